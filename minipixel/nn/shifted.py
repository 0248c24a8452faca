"""Shifted convolutions, which read only up, or up and to the left: a kernel that ends at its pixel needs no mask.

Source: T. Salimans, A. Karpathy, X. Chen, D. P. Kingma, "PixelCNN++", 2017, arXiv:1701.05517, section 2.4.

    "down": 2x3        "down-right": 2x2       x is the pixel that is computed; the kernel reads it, too

    1 2 3              1 2
    4 x 5              3 x
"""

from typing import Any

from minipixel import ops
from minipixel.nn.init import Init
from minipixel.nn.weight_norm import WeightNorm
from minipixel.tensor import Tensor


class ShiftedConv2d(WeightNorm):
    """A weight-normalised convolution that reads up (`shift` "down") or up and to the left (`shift` "down-right").

    (H, W, N, K_in) -> (ceil(H / stride), ceil(W / stride), N, K_out), zeros past the border. "down" reads kh - 1 rows
    above and the pixel's own, kw // 2 columns to either side; "down-right" reads the same rows, and kw - 1 columns to
    the left.
    """

    def __init__(
        self,
        K_in: int,
        K_out: int,
        kernel: tuple[int, int],
        shift: str,
        init: Init,
        normed: bool = True,
        *,
        stride: int = 1,
    ) -> None:
        kh, kw = kernel
        self.shift, self.stride = shift, stride
        self.centre = {"down": (kh - 1, kw // 2), "down-right": (kh - 1, kw - 1)}[shift]
        super().__init__((kh, kw, K_in, K_out), init, normed)

    def apply(self, x: Any, weight: Any, bias: Any) -> Tensor:
        """W x + b: (H, W, N, K_in) -> (ceil(H / stride), ceil(W / stride), N, K_out)."""
        return ops.conv2d(x, weight, bias, stride=self.stride, centre=self.centre)

    def __repr__(self) -> str:
        kh, kw, K_in, K_out = self.v.shape
        apart = "" if self.stride == 1 else f", stride {self.stride}"
        return f"{type(self).__name__}({kh}x{kw} {self.shift}{apart}, {K_in} -> {K_out})"


class EnlargingConv2d(ShiftedConv2d):
    """A transposed shifted convolution, which enlarges a map to `size` (H, W): (h, w, N, K_in) -> (H, W, N, K_out).

    Each tap writes to the place that the tap of a strided convolution would read. Pixel (r, c) writes to rows from
    stride * r on, and with "down-right" to columns from stride * c on, and never to earlier ones; so the map stays
    causal.
    """

    def __init__(
        self,
        K_in: int,
        K_out: int,
        kernel: tuple[int, int],
        shift: str,
        init: Init,
        normed: bool = True,
        *,
        stride: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__(K_in, K_out, kernel, shift, init, normed, stride=stride)
        self.centre = {"down": (0, kernel[1] // 2), "down-right": (0, 0)}[shift]
        self.size = size

    def apply(self, x: Any, weight: Any, bias: Any) -> Tensor:
        """W x + b: (h, w, N, K_in) -> (H, W, N, K_out)."""
        return ops.transposed_conv2d(x, weight, bias, size=self.size, stride=self.stride, centre=self.centre)
