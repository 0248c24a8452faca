"""PixelCNN: a stack of masked convolutions that predicts each pixel from the pixels before it.

Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759,
table 1. It is the first model of the family, and the plainest. It trains all pixels at once: during training the whole
image is known, and only the masks keep a pixel from reading its own future.

Its 3x3 masked kernels have a blind spot: there are pixels above and to the right that it never reads, however many
layers it has. The Row LSTM, the Diagonal BiLSTM and the Gated PixelCNN each remove the blind spot in their own way.
"""

from typing import Any

import numpy as np

from minipixel.models.base import Model
from minipixel.models.checks import check_choice, check_count, check_features, check_kernel, check_rate, check_shape
from minipixel.nn import (
    ACTIVATIONS,
    Conditioning,
    Conv2d,
    Dropout,
    Init,
    Module,
    Pointwise,
    Top,
    colour_groups,
)
from minipixel.tensor import Tensor


class ResidualBlock(Module):
    """One residual block: (H, W, N, 2h) -> (H, W, N, 2h).

    A 1x1 layer narrows 2h features to h, a convolution with mask B (3x3 in the paper) follows, and a 1x1 layer widens
    them to 2h again; the result is added to the input of the block. An activation comes before each of the three
    layers, and dropout before the last.
    """

    def __init__(
        self, h: int, C: int, kernel: int, K_condition: int, activation: str, dropout: float, init: Init
    ) -> None:
        wide, narrow = colour_groups(2 * h, C), colour_groups(h, C)
        self.activations = [ACTIVATIONS[activation](K, init) for K in (2 * h, h, h)]
        self.narrow = Pointwise(wide, narrow, init)
        self.look = Conv2d(narrow, narrow, (kernel, kernel), "B", init)
        self.told = Conditioning(K_condition, h, init)
        self.drop = Dropout(dropout)
        self.widen = Pointwise(narrow, wide, init)

    def __call__(self, x: Tensor, condition: Any, rng: np.random.Generator | None = None) -> Tensor:
        """(H, W, N, 2h) -> (H, W, N, 2h)."""
        first, second, third = self.activations
        y = self.narrow(first(x))
        y = self.told(self.look(second(y)), condition)
        return x + self.widen(self.drop(third(y), rng))


class PixelCNN(Model):
    """PixelCNN (1601.06759, table 1) for images (H, W, C) of Q levels, C in 1..64.

    The layers are, in this order: a convolution with mask A to 2 * `hidden` features, whose kernel is `first_kernel`
    wide and high; `blocks` residual blocks, whose convolutions with mask B are `kernel` wide and high; two 1x1 layers
    of `head_width` features; and the head. Both kernel sizes are odd; the paper has 7 and 3. If `head_width` is None it
    is 2 * `hidden`, as in the paper's model of MNIST (32); for colour photographs the paper takes 1024. A condition is
    added in every block, to the output of its masked convolution.

    Two options are not in the paper: `activation` may be "prelu" in place of "relu", and in training the share
    `dropout` of each block's features is set to zero. The arguments from `head` on are explained in Model.
    Raises ValueError for arguments out of their range.
    """

    name = "pixelcnn"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        hidden: int = 32,
        blocks: int = 7,
        kernel: int = 3,
        first_kernel: int = 7,
        head_width: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        head: str | None = None,
        mixtures: int = 5,
        num_classes: int | None = None,
        condition_shape: tuple[int, ...] | None = None,
        rng: Any = 0,
        dtype: str = "float32",
        inputs: str = "scaled",
        embedding_width: int = 16,
    ) -> None:
        C = check_shape(image_shape)[2]
        hidden = check_features("hidden", hidden, C)
        blocks = check_count("blocks", blocks, 1)
        kernel, first_kernel = check_kernel("kernel", kernel), check_kernel("first_kernel", first_kernel)
        head_width = 2 * hidden if head_width is None else check_features("head_width", head_width, C)
        architecture = {
            **{"hidden": hidden, "blocks": blocks, "head_width": head_width},
            **{"kernel": kernel, "first_kernel": first_kernel},
            "activation": check_choice("activation", activation, tuple(ACTIVATIONS)),
            "dropout": check_rate("dropout", dropout),
        }
        common = head, mixtures, num_classes, condition_shape, rng, dtype, inputs, embedding_width
        super().__init__(image_shape, levels, architecture, *common)

        self.features = 2 * hidden
        image, wide = self.encoding.groups, colour_groups(2 * hidden, C)
        self.stem = Conv2d(image, wide, (first_kernel, first_kernel), "A", self.init)
        block = hidden, C, kernel, self.conditions.width, activation, dropout, self.init
        self.blocks = [ResidualBlock(*block) for _ in range(blocks)]
        self.top = Top(wide, head_width, self.head.groups, self.init, activation)

    def forward(self, x: Any, condition: Any = None, rng: np.random.Generator | None = None) -> Tensor:
        """The head's parameters at every pixel, from encoded images: (H, W, N, C*E) -> (H, W, N, P)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, condition, rng)
        return self.top(x)
