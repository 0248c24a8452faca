"""The models that benchmarks/gpu.py runs on a GPU, the most important first: those of CIFAR's size, then the CPU's."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from training_models import OURS_ALONE
from training_models import ROWS as CPU_ROWS

import minipixel as mp


@dataclass(frozen=True)
class Row:
    """A model, its images and batch, and how many times PyTorch's time ours should be at the least."""

    kind: str
    options: dict[str, Any]
    shape: tuple[int, int, int]
    levels: int
    batch: int
    alone: dict[str, Any] = field(default_factory=dict)  # options that the twin has no name for

    @property
    def wanted(self):
        """PyTorch's time over ours, at the least."""
        return 10.0 if self.kind == "diagonal-bilstm" else 1.0

    def model(self, device="cpu", **options):
        """An untrained model, brought into range by a few images where it asks for that."""
        model = mp.models.MODELS[self.kind](self.shape, self.levels, **self.options | self.alone | options)
        if not model.initialized:
            model.initialize(self.images(2))
        return model.to(device)

    def images(self, n=None):
        """Images of independent sub-pixels, a batch of them: no time depends on what they show."""
        shape = (n or self.batch, *self.shape)
        return np.random.default_rng(0).integers(0, self.levels, shape, dtype=np.uint8)


PUBLISHED = OURS_ALONE["diagonal-bilstm"]
CIFAR, PAPER = ((32, 32, 3), 256), {"filters": 160, "resnets": 5, "hierarchies": 3}
ROWS = {
    "pixelcnnpp-160": Row("pixelcnnpp", PAPER, *CIFAR, 32, {"mixtures": 10, "dropout": 0.5}),
    "diagonal-bilstm-128": Row("diagonal-bilstm", {"hidden": 128, "layers": 7}, *CIFAR, 64, PUBLISHED),
    "pixelcnn-128": Row("pixelcnn", {"hidden": 128, "blocks": 7}, *CIFAR, 64),
    "gated-128": Row("gated", {"filters": 128, "layers": 7}, *CIFAR, 64),
    "row-lstm-128": Row("row-lstm", {"hidden": 128, "layers": 7}, *CIFAR, 64),
} | {
    name: Row(kind, options, (28, 28, 1), levels, batch, OURS_ALONE.get(kind, {}))
    for name, (kind, options, batch, levels) in CPU_ROWS.items()
}
COMPILED = sorted(ROWS, key=lambda name: ("lstm" in name, "pp" in name))  # the quickest to compile first
SAMPLED = ("pixelcnn-h16", "gated", "row-lstm", "diagonal-bilstm", "pixelcnnpp")

_NARROW = {"hidden": 6, "filters": 4}
_SMALL = _NARROW | {"blocks": 2, "layers": 2, "resnets": 1, "hierarchies": 2}


def small(row):
    """The same kind of model for tiny images, to try the script on a machine without a GPU."""
    options = {name: _SMALL[name] for name in row.options}
    return replace(row, options=options, shape=(8, 8, row.shape[2]), batch=4)


def narrow(row):
    """The same model with few channels: its plan has the same instructions."""
    return replace(row, options=row.options | {name: few for name, few in _NARROW.items() if name in row.options})


def binary(row):
    """The same model for black and white images: those that are drawn, as in benchmarks/sampling.py."""
    alone = row.alone if row.kind != "pixelcnnpp" else {}
    return replace(row, levels=2, alone=alone | {"head": "bernoulli"})


# the whole family, tiny: computed on both devices
CHECKED = {
    "pixelcnn": Row("pixelcnn", {"hidden": 6, "blocks": 2, "dropout": 0.3}, (8, 6, 3), 5, 6),
    "gated": Row("gated", {"filters": 5, "layers": 3}, (8, 6, 3), 5, 6),
    "row-lstm": Row("row-lstm", {"hidden": 6, "layers": 2}, (8, 6, 1), 2, 6),
    "diagonal-bilstm": Row("diagonal-bilstm", {"hidden": 6, "layers": 2}, (8, 6, 1), 2, 6),
    "pixelcnnpp": Row("pixelcnnpp", {"filters": 4, "resnets": 1, "hierarchies": 2}, (8, 8, 3), 256, 6),
    "multi-scale": Row("multi-scale", {"hidden": 6, "layers": 1, "upsampled": 5}, (8, 8, 1), 3, 6),
}
