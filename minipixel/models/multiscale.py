"""Multi-scale PixelRNN: one model draws a small image, and another one draws the large image around its pixels.

Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759,
section 3.5. The small image is every s-th row and column of the large one. One model draws it. Another model, which
reads all of the small image, draws the missing pixels; so even the first of these is drawn with rough knowledge of the
whole picture. For s = 2 the pixels of a 4x4 image are drawn in this order:

    1 . 2 .       1  5  2  6
    . . . .       7  8  9 10       on the left the small image, on the right the large one
    3 . 4 .       3 11  4 12
    . . . .      13 14 15 16

The small image is a part of the large one, so each of its pixels counts once, with the probability that the small model
gives it. The large model reads these pixels beforehand, and its own prediction of them is not used.
"""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.models.base import Model
from minipixel.models.checks import check_choice, check_count, check_features, check_shape
from minipixel.models.pixelcnn import PixelCNN
from minipixel.models.pixelrnn import DiagonalBiLSTM, RowLSTM
from minipixel.nn import Init, Module, UnmaskedConv2d
from minipixel.tensor import Tensor

# The models that there can be at each scale, by name, and what each calls the number of its layers.
BASES: dict[str, tuple[type[Model], str]] = {
    "row-lstm": (RowLSTM, "layers"),
    "diagonal-bilstm": (DiagonalBiLSTM, "layers"),
    "pixelcnn": (PixelCNN, "blocks"),
}


class Upsampling(Module):
    """A map of the large image's size, computed from the small image: (h, w, N, C) -> (H, W, N, K).

    First come 3x3 convolutions of the small image, without masks, since all of the small image is known by then. Their
    dilations 1, 2, 4, ... double until together they reach along the longer side, so every pixel of the result depends
    on every pixel of the small image. Then a transposed convolution turns each small pixel into s x s large ones, of
    which the upper left one is at its own place.
    """

    def __init__(self, C: int, K: int, size: tuple[int, int], stride: int, init: Init) -> None:
        self.size, self.stride = size, stride
        longer_side = -(-max(size) // stride)
        steps = max(1, (longer_side - 1).bit_length())  # 2**steps - 1, how far they reach together, spans that side
        self.layers = [UnmaskedConv2d(K if i else C, K, (3, 3), init, dilation=2**i) for i in range(steps)]
        block = min(stride, size[0]), min(stride, size[1])  # no more taps than there are pixels to write to
        self.weight, self.bias = init.weight(*block, K, K, fan_in=K), init.zeros(K)

    def __call__(self, x: Any) -> Tensor:
        """(h, w, N, C) -> (H, W, N, K)."""
        for layer in self.layers:
            x = ops.elu(layer(x))
        return ops.transposed_conv2d(x, self.weight, self.bias, size=self.size, stride=self.stride, centre=(0, 0))

    def __repr__(self) -> str:
        kh, kw, K, _ = self.weight.shape
        return f"Upsampling({kh}x{kw}, stride {self.stride}, {K} -> {K})"


class MultiScale(Model):
    """Multi-scale PixelRNN (1601.06759, section 3.5) for images (H, W, C) of Q levels, C in 1..64.

    It consists of two models. The small one describes every `factor`-th row and column of the image. The large one
    describes the whole image; in every layer it is conditioned on a map of `upsampled` features that are computed from
    the small image. Both are of the kind `base`: "row-lstm", "diagonal-bilstm" or "pixelcnn", with that model's
    arguments `hidden` and `layers` (the `blocks` of PixelCNN). If `scales` is above 2, the small model is itself a
    MultiScale with one scale less. A condition goes to both models; if it is a map, the small one reads every
    `factor`-th row and column of it. The arguments from `head` on are explained in Model. Raises ValueError for
    arguments out of their range.

    The order of the pixels is not raster order: see `order`. In its own image each model sees what its base sees, and
    the large one sees all of the small image besides; with "diagonal-bilstm" both see their whole past.
    """

    name = "multi-scale"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        base: str = "row-lstm",
        factor: int = 2,
        scales: int = 2,
        hidden: int = 16,
        layers: int = 7,
        upsampled: int = 32,
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        H, W, C = check_shape(image_shape)
        factor = check_count("factor", factor, 2)
        architecture: dict[str, Any] = {
            "base": check_choice("base", base, tuple(BASES)),
            "factor": factor,
            "scales": check_count("scales", scales, 2, _most_scales(max(H, W), factor)),
            "hidden": check_features("hidden", hidden, C),
            "layers": check_count("layers", layers, 1),
            "upsampled": check_count("upsampled", upsampled, 1),
        }
        common = head, mixtures, num_classes, condition_shape, rng, dtype, inputs, embedding_width
        super().__init__(image_shape, levels, architecture, *common)

        self.factor = factor
        kind, depth = BASES[base]
        sizes: dict[str, Any] = {"hidden": hidden, depth: layers}
        rng = self.init.blank or self.init.rng  # one stream for all weights, or no memory for any
        shared: dict[str, Any] = {"head": self.head.name, "mixtures": self.mixtures, "rng": rng, "dtype": self.dtype}
        shared |= {"inputs": inputs, "embedding_width": embedding_width}

        small_shape = -(-H // factor), -(-W // factor), C
        told = self.conditions.shape
        if told is not None and len(told) == 3:  # a map
            told = (*small_shape[:2], told[2])
        of_small = shared | {"num_classes": self.conditions.num_classes, "condition_shape": told}
        self.small: Model
        if scales == 2:
            self.small = kind(small_shape, levels, **sizes, **of_small)
        else:
            self.small = MultiScale(small_shape, levels, **(architecture | {"scales": scales - 1} | of_small))
        self.upsampling = Upsampling(len(self.encoding.groups), upsampled, (H, W), factor, self.init)
        told = (H, W, upsampled + self.conditions.width)
        self.large = kind((H, W, C), levels, **sizes, **shared, condition_shape=told)
        self.features = self.large.features

    @property
    def order(self) -> np.ndarray:
        """The place in line of every sub-pixel: first the small image, in its own order, then the rest in raster order.

        Integers (H, W, C), from 0.
        """
        few, s = self.small.order, self.factor
        order = np.full(self.image_shape, -1)
        order[::s, ::s] = few
        order[order < 0] = np.arange(few.size, order.size)
        return order

    def maps(self, x: Any, condition: Any = None, rng: Any = None) -> Tensor:
        """The same as `forward`, since each of the two models encodes its own input."""
        return self.forward(x, condition, rng)

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from images as numbers: (H, W, N, C) -> (H, W, N, P)."""
        s = self.factor
        few = ops.subsample(x, stride=s)
        of_few = self.small.maps(few, None if condition is None else ops.subsample(condition, stride=s), rng)
        told = self.upsampling(self.encoding(few))
        if condition is not None:
            everywhere = self.xp.zeros((*told.shape[:2], 1, 1), self.dtype)  # a condition may be one for all pixels
            told = ops.concat(told, everywhere + condition)
        return ops.overlay(self.large.maps(x, told, rng), of_few, stride=s)


def _most_scales(side: int, factor: int) -> int:
    """How many scales an image with that longer side can have until a single pixel is left; at least 2."""
    scales = 1
    while side > 1:
        side, scales = -(-side // factor), scales + 1
    return max(2, scales)
