"""The gated layer: one layer of the two stacks that together see the whole past of a pixel.

Source: A. van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, arXiv:1606.05328, figure 2.
"""

import functools
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.nn.conditioning import Conditioning
from minipixel.nn.conv import Conv2d, Pointwise
from minipixel.nn.init import Init
from minipixel.nn.masks import vertical_mask
from minipixel.nn.module import Module
from minipixel.tensor import Tensor


class VerticalConv2d(Conv2d):
    """A convolution over whole rows, on both sides of a pixel, with bias: (H, W, N, K_in) -> (H, W, N, K_out).

    `kind` "A" reads the rows above the pixel's row, "B" also reads the pixel's row.
    """

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """The open weights, boolean (kh, kw, K_in, K_out); built when first asked for."""
        return vertical_mask(self.kernel, len(self.groups_in), len(self.groups_out), self.kind)


class GatedLayer(Module):
    """One layer of both stacks: K_in features each -> p features each, p = len(groups_out).

    The vertical stack has an n x n kernel, open for the rows above; the horizontal stack has a 1 x n kernel, open to
    the left. `kind` is "A" for the layer that reads the image, and "B" for those after it. `groups_in` and `groups_out`
    are the colours of the horizontal stack's channels. A `condition` of K_condition numbers is added in both gates.
    """

    def __init__(
        self,
        groups_in: np.ndarray,
        groups_out: np.ndarray,
        n: int,
        kind: str,
        K_condition: int,
        init: Init,
        dilation: int = 1,
    ) -> None:
        # Output k of a gate is made of channels k and p + k: both must belong to its colour.
        before_gate = np.concatenate([groups_out, groups_out])
        # At row r the vertical stack knows rows above r and no part of r: the mask A of its first layer sees to that,
        # and no later layer looks further down. All its channels are past to every colour: they count as group 0,
        # which all may read, so that neither its own layers nor the link are masked by colour.
        all_may_read, all_before_gate = np.zeros_like(groups_in), np.zeros_like(before_gate)
        self.kind = kind
        self.vertical = VerticalConv2d(all_may_read, all_before_gate, (n, n), kind, init, dilation)
        self.told_vertical = Conditioning(K_condition, len(before_gate), init)
        self.link = Pointwise(all_before_gate, before_gate, init)
        self.horizontal = Conv2d(groups_in, before_gate, (1, n), kind, init, dilation)
        self.told_horizontal = Conditioning(K_condition, len(before_gate), init)
        self.out = Pointwise(groups_out, groups_out, init)

    def __call__(self, v: Any, h: Any, condition: Any) -> tuple[Tensor, Tensor]:
        """Features of both stacks (H, W, N, K_in) -> vertical before its gate (H, W, N, 2p), horizontal (H, W, N, p).

        The vertical features still have to pass `ops.gate` before the next layer. The link to the horizontal stack
        reads them before the gate, and after the last layer they are not needed.
        """
        above = self.told_vertical(self.vertical(v), condition)
        row = self.told_horizontal(self.horizontal(h) + self.link(above), condition)
        y = self.out(ops.gate(row))
        return above, y if self.kind == "A" else h + y  # the image itself is no set of features to add to
