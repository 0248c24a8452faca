"""PixelCNN: the whole past of a pixel through a stack of masked convolutions.

Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759,
table 1. The first model of the family, and the plainest: it trains all pixels at once, since during training the
image is known and the masks alone keep each pixel from its own future.

What it leaves out: the 3x3 masked kernels have a blind spot, above and to the right, that no depth closes; the Row
LSTM, the Diagonal BiLSTM and the Gated PixelCNN each cure it in their own way.
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
    """2h features narrowed to h, a mask B, 3x3 in the paper, among those, widened to 2h and added to what came in.

    Before each of the three an activation; features are dropped before the last.
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

    A mask A to 2 `hidden` features, `first_kernel` wide and high, `blocks` residual blocks, with a mask B that is
    `kernel` wide and high, two 1x1 layers of `head_width` features (2 `hidden` if None; the paper's 32 for MNIST is
    just that, its 1024 for colour photographs is more), and the head. Both kernels are odd; 7 and 3 are the paper's. A
    condition is added in every block, to what its mask B saw.

    Two options that the paper does not have, as later models do: `activation` "prelu" in place of "relu", and in
    training a share `dropout` of each block's features is dropped. From `head` on: see Model.
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
