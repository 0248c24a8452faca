"""PixelCNN: the whole past of a pixel through a stack of masked convolutions.

Source: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759,
table 1. The first model of the family, and the plainest: it trains all pixels at once, since during training the
image is known and the masks alone keep each pixel from its own future.

What it leaves out: the 3x3 masked kernels have a blind spot, above and to the right, that no depth closes; the Row
LSTM, the Diagonal BiLSTM and the Gated PixelCNN each cure it in their own way.
"""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.models.base import Model
from minipixel.models.checks import check_count, check_shape
from minipixel.nn import Conditioning, Conv2d, Init, Module, Pointwise, colour_groups
from minipixel.tensor import Tensor


class ResidualBlock(Module):
    """2h features narrowed to h, a 3x3 mask B among those, widened to 2h again and added to what came in."""

    def __init__(self, h: int, C: int, K_condition: int, init: Init) -> None:
        wide, narrow = colour_groups(2 * h, C), colour_groups(h, C)
        self.narrow = Pointwise(wide, narrow, init)
        self.look = Conv2d(narrow, narrow, (3, 3), "B", init)
        self.told = Conditioning(K_condition, h, init)
        self.widen = Pointwise(narrow, wide, init)

    def __call__(self, x: Tensor, condition: Any) -> Tensor:
        """(H, W, N, 2h) -> (H, W, N, 2h)."""
        y = self.narrow(ops.relu(x))
        y = self.told(self.look(ops.relu(y)), condition)
        return x + self.widen(ops.relu(y))


class PixelCNN(Model):
    """PixelCNN (1601.06759, table 1) for images (H, W, C) of Q levels, C = 1 or 3.

    A 7x7 mask A to 2 `hidden` features, `blocks` residual blocks, two 1x1 layers of `head_width` features (2 `hidden`
    if None; the paper's 32 for MNIST is just that, its 1024 for colour photographs is more), and the head. A condition
    is added in every block, to what its 3x3 saw. `options` are those of every model: see Model.
    """

    name = "pixelcnn"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        hidden: int = 32,
        blocks: int = 7,
        head_width: int | None = None,
        **options: Any,
    ) -> None:
        C = check_shape(image_shape)[2]
        hidden = check_count("hidden", hidden, C)  # each colour needs a feature of its own
        blocks = check_count("blocks", blocks, 1)
        head_width = 2 * hidden if head_width is None else check_count("head_width", head_width, C)
        architecture = {"hidden": hidden, "blocks": blocks, "head_width": head_width}
        super().__init__(image_shape, levels, architecture, **options)

        self.features = 2 * hidden
        image, wide, top = np.arange(C), colour_groups(2 * hidden, C), colour_groups(head_width, C)
        self.stem = Conv2d(image, wide, (7, 7), "A", self.init)
        self.blocks = [ResidualBlock(hidden, C, self.conditions.width, self.init) for _ in range(blocks)]
        self.top = [Pointwise(wide, top, self.init), Pointwise(top, top, self.init)]
        self.out = Pointwise(top, self.head.groups, self.init)

    def forward(self, x: Any, condition: Any = None) -> Tensor:
        """The head's parameters at every pixel, from images scaled to [-1, 1]: (H, W, N, C) -> (H, W, N, P)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, condition)
        for layer in self.top:
            x = layer(ops.relu(x))
        return self.out(ops.relu(x))
