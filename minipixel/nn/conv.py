"""The convolutions of the whole family: with a masked kernel, without a mask, and 1x1, a matrix product per pixel."""

import functools
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.nn.init import Init
from minipixel.nn.masks import causal_mask
from minipixel.nn.module import Module
from minipixel.tensor import Tensor


class Conv2d(Module):
    """A causal convolution with bias: (H, W, N, K_in) -> (H, W, N, K_out), zeros past the border.

    `groups_in` and `groups_out` give the colour of each input and output channel, and so K_in and K_out;
    `kind` is the mask, "A" or "B"; with `dilation` d the taps lie d pixels apart.
    """

    def __init__(
        self,
        groups_in: np.ndarray,
        groups_out: np.ndarray,
        kernel: tuple[int, int],
        kind: str,
        init: Init,
        dilation: int = 1,
    ) -> None:
        self.groups_in, self.groups_out, self.kernel, self.kind = groups_in, groups_out, kernel, kind
        self.dilation = dilation
        shape = (*kernel, len(groups_in), len(groups_out))
        self.weight, self.bias = init.weight_and_bias(shape, lambda: self.mask)

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """The open weights, boolean (kh, kw, K_in, K_out); built when first asked for."""
        return causal_mask(self.kernel, self.groups_in, self.groups_out, self.kind)

    def __call__(self, x: Any) -> Tensor:
        """Convolve: (H, W, N, K_in) -> (H, W, N, K_out)."""
        return ops.conv2d(x, self.weight, self.bias, mask=self.mask, dilation=self.dilation)

    def __repr__(self) -> str:
        kh, kw = self.kernel
        apart = "" if self.dilation == 1 else f", dilation {self.dilation}"
        sizes = f"{len(self.groups_in)} -> {len(self.groups_out)}"
        return f"{type(self).__name__}({kh}x{kw}, mask {self.kind}{apart}, {sizes})"


class UnmaskedConv2d(Module):
    """A convolution with bias and without a mask, for maps that are known before the first pixel, never for the image.

    (H, W, N, K_in) -> (H, W, N, K_out), zeros past the border; with `dilation` d the taps lie d pixels apart; with
    `stride` s only every s-th row and column is computed.
    """

    def __init__(
        self, K_in: int, K_out: int, kernel: tuple[int, int], init: Init, *, dilation: int = 1, stride: int = 1
    ) -> None:
        self.dilation, self.stride = dilation, stride
        self.weight, self.bias = init.weight_and_bias((*kernel, K_in, K_out))

    def __call__(self, x: Any) -> Tensor:
        """Convolve: (H, W, N, K_in) -> (ceil(H / stride), ceil(W / stride), N, K_out)."""
        return ops.conv2d(x, self.weight, self.bias, dilation=self.dilation, stride=self.stride)

    def __repr__(self) -> str:
        kh, kw, K_in, K_out = self.weight.shape
        apart = "" if self.dilation == 1 else f", dilation {self.dilation}"
        apart += "" if self.stride == 1 else f", stride {self.stride}"
        return f"UnmaskedConv2d({kh}x{kw}{apart}, {K_in} -> {K_out})"


class Pointwise(Module):
    """A 1x1 convolution with bias under mask B: (..., K_in) -> (..., K_out), each pixel by itself.

    `groups_in` and `groups_out` have the colours of the channels. A channel of group g reads the groups up to g;
    without this mask, features of red could depend on the value of blue.
    """

    def __init__(self, groups_in: np.ndarray, groups_out: np.ndarray, init: Init) -> None:
        self.groups_in, self.groups_out = groups_in, groups_out
        shape = (len(groups_in), len(groups_out))
        self.weight, self.bias = init.weight_and_bias(shape, lambda: self.mask)

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """The open weights, boolean (K_in, K_out); built when first asked for."""
        return causal_mask((1, 1), self.groups_in, self.groups_out, "B")[0, 0]

    def __call__(self, x: Any) -> Tensor:
        """Multiply each pixel's channels by the weight: (..., K_in) -> (..., K_out)."""
        return ops.linear(x, self.weight, self.bias, mask=self.mask)

    def __repr__(self) -> str:
        return f"Pointwise(1x1, mask B, {len(self.groups_in)} -> {len(self.groups_out)})"
