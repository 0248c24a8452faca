"""The rows of benchmarks/against.py: plain models, the wide ones of the papers, options, and a model of one's own.

An option names the plain model that its step is held against. Only what both checkouts know may stand here.
"""

from dataclasses import dataclass, field

import numpy as np
import training_models

import minipixel as mp
from minipixel import nn, ops


class Own(mp.models.Model):
    """A model of one's own: tanh, products of maps, weights with two readers, two resolutions.

    It has about as many multiplications as a PixelCNN of 16 hidden features and 7 blocks.
    """

    name = "own"

    def __init__(self, image_shape, levels, *, features=32, **options):
        super().__init__(image_shape, levels, {}, **options)
        image, wide = np.arange(image_shape[2]), nn.colour_groups(features, image_shape[2])
        self.features = features
        self.stem = nn.Conv2d(image, wide, (7, 7), "A", self.init)
        self.look = nn.Conv2d(wide, wide, (3, 3), "B", self.init)
        self.gate = nn.Pointwise(wide, wide, self.init)
        shape = features, features, (2, 2), "down-right", self.init, False
        self.halve = nn.ShiftedConv2d(*shape, stride=2)
        self.enlarge = nn.EnlargingConv2d(*shape, stride=2, size=tuple(image_shape[:2]))
        self.top = nn.Top(wide, features, self.head.groups, self.init)

    def gated(self, x):
        """A gated residual, with the same weights wherever it stands."""
        return x + ops.tanh(self.look(x)) * ops.sigmoid(self.gate(x))

    def forward(self, x, condition=None, rng=None):
        """(H, W, N, C) -> (H, W, N, P)."""
        y = self.gated(self.gated(self.stem(x)))
        return self.top(y + self.enlarge(self.gated(self.halve(y))))


@dataclass(frozen=True)
class Row:
    """A model by its name and options, the batch of a step, and the plain model that it is an option of, if any."""

    kind: str
    options: dict = field(default_factory=dict)
    batch: int = 64
    levels: int = 2
    shape: tuple = (28, 28, 1)
    plain: str | None = None

    def model(self, side=None):
        """An untrained model for images of its shape, or of side x side pixels; brought into range by a batch."""
        kind = Own if self.kind == "own" else mp.models.MODELS[self.kind]
        options = dict(self.options)
        if options.get("condition_shape") == "map":
            options["condition_shape"] = (*self.of_side(side)[:2], 8)
        model = kind(self.of_side(side), self.levels, **options)
        if not model.initialized:
            model.initialize(*self.data(model, 1))
        return model

    def of_side(self, side):
        """The shape of images, of side x side pixels if that is not None."""
        return self.shape if side is None else (side, side, self.shape[2])

    @staticmethod
    def data(model, n):
        """n images of independent sub-pixels, and their conditions."""
        rng = np.random.default_rng(0)
        images = rng.integers(0, model.levels, (n, *model.image_shape), dtype=np.uint8)
        return images, model.conditions.random(n, rng)


def _rows():
    rows = {
        name: Row(kind, options | training_models.OURS_ALONE.get(kind, {}), batch, levels)
        for name, (kind, options, batch, levels) in training_models.ROWS.items()
    }
    colours = {"batch": 8, "levels": 256, "shape": (32, 32, 3)}
    rows |= {f"pixelcnn-h{hidden}": Row("pixelcnn", {"hidden": hidden, "blocks": 7}, 16) for hidden in (64, 128)}
    rows |= {f"gated-{filters}": Row("gated", {"filters": filters, "layers": 7}, 16) for filters in (96, 128)}
    rows |= {
        f"pixelcnnpp-{filters}": Row(
            "pixelcnnpp", {"filters": filters, "resnets": 2, "hierarchies": 3, "mixtures": 10}, **colours
        )
        for filters in (96, 160)
    }

    def option(plain, name, **changes):
        of = rows[plain]
        rows[f"{plain}+{name}"] = Row(of.kind, of.options | changes, of.batch, of.levels, of.shape, plain)

    option("pixelcnn-h16", "classes", num_classes=10)
    option("pixelcnn-h16", "prelu", activation="prelu")
    option("pixelcnn-h16", "dropout", dropout=0.1)
    option("pixelcnn-h16", "maps", condition_shape="map")
    option("row-lstm", "skip", skip=True)
    option("diagonal-bilstm", "classes", num_classes=10)
    option("gated", "classes", num_classes=10)
    option("pixelcnnpp", "classes", num_classes=10)
    rows["multi-scale"] = Row("multi-scale", {"base": "row-lstm", "hidden": 16, "layers": 7}, plain="row-lstm")
    rows["own"] = Row("own", plain="pixelcnn-h16")
    return rows


ROWS = _rows()
"""By the name on the command line."""
