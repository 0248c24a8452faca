"""Layers without a matrix: PReLU, an activation with learned slopes, and Dropout."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.draws import threshold_of
from minipixel.nn.init import Init
from minipixel.nn.module import Module
from minipixel.tensor import Tensor


class PReLU(Module):
    """A rectifier with a learned slope for negative numbers, one for each channel: (..., K) -> (..., K).

    Slopes start at 0.25, as in He et al. 2015, arXiv:1502.01852, and PyTorch. (In Keras they start at 0, as in a ReLU,
    and each pixel has its own unless `shared_axes` is given; the models of this family treat all pixels alike.)
    """

    def __init__(self, K: int, init: Init) -> None:
        self.slope = init.constant(0.25, K)

    def __call__(self, x: Any) -> Tensor:
        """x where it is positive, slope * x elsewhere."""
        return ops.prelu(x, self.slope)

    def __repr__(self) -> str:
        return f"PReLU({len(self.slope.data)})"


# The one table of activations, by the name that models take: how many channels and Init -> a function of feature maps.
ACTIVATIONS: dict[str, Callable[[int, Init], Callable[[Any], Tensor]]] = {
    "relu": lambda K, init: ops.relu,
    "prelu": PReLU,
}


class Dropout(Module):
    """Sets each number to zero with probability `rate`, and divides the others by 1 - rate, so that means stay.

    It does so only if it is called with an rng. Single numbers are dropped, as in the reference code of PixelCNN++
    (arXiv:1701.05517), and not whole feature maps.
    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, x: Any, rng: np.random.Generator | None) -> Any:
        """x with dropout; x itself if `rng` is None or the rate 0. Random numbers are the same on every device."""
        if rng is None or self.rate == 0:
            return x
        return ops.dropout(x, keep=self.keep(rng, x.shape), rate=self.rate)

    def keep(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Booleans of that shape, each True with probability 1 - rate, independently.

        In training `rng` is a Draws, which computes them from counters. With a plain Generator four of them share the
        64 bits of one draw, which takes a quarter of the time.
        """
        if hasattr(rng, "keep"):
            return rng.keep(self.rate, shape)
        n = math.prod(shape)
        draws = rng.integers(0, 2**64 - 1, -(-n // 4), np.uint64, endpoint=True)
        sixteen_bits = draws.astype("<u8", copy=False).view("<u2")[:n]
        return (sixteen_bits >= threshold_of(self.rate)).reshape(shape)

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"
