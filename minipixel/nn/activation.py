"""Nonlinearities that learn, or drop."""

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
    """A rectifier that learns, channel by channel, how much of what is negative to let through: (..., K) -> (..., K).

    Slopes start at 0.25, as in He et al. 2015, arXiv:1502.01852, and PyTorch. (Keras starts them at 0, as a ReLU, and
    has one for every pixel too unless told to share them; a model of this family treats all pixels alike.)
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
    """Drops each element with probability `rate` and enlarges the others, so that means stay, when given an rng.

    Element by element, as the reference code of PixelCNN++ (arXiv:1701.05517) has it, not whole feature maps.
    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, x: Any, rng: np.random.Generator | None) -> Any:
        """x as it is if `rng` is None or the rate 0. What is kept is drawn on the host, the same on every device."""
        if rng is None or self.rate == 0:
            return x
        return ops.dropout(x, keep=self.keep(rng, x.shape), rate=self.rate)

    def keep(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """True with probability 1 - rate, each element alone: booleans of that shape.

        The Draws of a pass in training know by themselves what this layer keeps, by counter. Of a plain Generator four
        elements share the 64 bits of one draw, in a quarter of the time.
        """
        if hasattr(rng, "keep"):
            return rng.keep(self.rate, shape)
        n = math.prod(shape)
        draws = rng.integers(0, 2**64 - 1, -(-n // 4), np.uint64, endpoint=True)
        sixteen_bits = draws.astype("<u8", copy=False).view("<u2")[:n]
        return (sixteen_bits >= threshold_of(self.rate)).reshape(shape)

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"
