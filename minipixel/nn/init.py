"""The first values of weights."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.nn.module import Parameter
from minipixel.randomness import generator

MOST_BYTES = 2**30
"""What a single weight may take."""


class Blank:
    """Passed as `rng` for a model whose weights are loaded next: all its weights are zeros, which take no memory.

    For a model from a file `arrays` is the number of weights in the file. Asking for more of them raises ValueError, so
    that a file of a few bytes cannot make a model of 65,536 layers.
    """

    def __init__(self, arrays: int | None = None) -> None:
        self.arrays = arrays
        self.made = 0

    def filled(self, number: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """An array that has one number everywhere, and takes the memory of one number."""
        self.made += 1
        if self.arrays is not None and self.made > self.arrays:
            raise ValueError(f"state: got {self.arrays} arrays, wanted more, as the configuration has more layers")
        return np.broadcast_to(number, shape)

    def __repr__(self) -> str:
        return "Blank()" if self.arrays is None else f"Blank({self.arrays})"


BLANK = Blank()


class Init:
    """Creates the parameters of a model, layer by layer, from one stream of random numbers and in one dtype.

    `rng` is None, an int, a SeedSequence, a Generator, or a Blank.
    """

    def __init__(self, rng: Any, dtype: str) -> None:
        self.blank = rng if isinstance(rng, Blank) else None
        self.rng = None if self.blank else generator(rng)
        self.dtype = dtype

    def constant(self, value: float, *shape: int) -> Parameter:
        """A parameter with one value everywhere."""
        number = np.asarray(value, self.dtype)
        return Parameter(self.blank.filled(number, shape) if self.blank else np.full(shape, number))

    def zeros(self, *shape: int) -> Parameter:
        """A parameter of zeros."""
        return self.constant(0, *shape)

    def uniform(self, shape: tuple[int, ...], bound: Any) -> Parameter:
        """A parameter drawn from [-bound, bound]; `bound` may be an array that broadcasts to `shape`."""
        assert self.rng is not None
        return Parameter((self.rng.uniform(-1, 1, shape) * bound).astype(self.dtype))

    def _check_memory(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError for a single weight of more than 1 GiB, from many features or many one-hot levels."""
        size = math.prod(shape) * np.dtype(self.dtype).itemsize
        if size > MOST_BYTES and not self.blank:
            raise ValueError(
                f"weight: got one of shape {tuple(shape)}, {size / 2**30:.1f} GiB, wanted 1 GiB at the most; take "
                'fewer features, or inputs="embedding" where each of many levels has weights of its own'
            )

    def weight(self, *shape: int, fan_in: int | None = None) -> Parameter:
        """A weight (..., K_out) without a mask, drawn evenly from [-b, b] with b = sqrt(3 / fan_in).

        `fan_in` is the number of inputs of each output; by default it is the product of all axes but the last.
        """
        fan_in = fan_in or math.prod(shape[:-1])
        self._check_memory(shape)
        return self.zeros(*shape) if self.blank else self.uniform(shape, np.sqrt(3 / fan_in))

    def weight_and_bias(
        self, shape: tuple[int, ...], mask: Callable[[], np.ndarray] | None = None
    ) -> tuple[Parameter, Parameter]:
        """A weight (..., K_out), with or without a mask, and its bias (K_out,).

        They are drawn so that outputs have about the variance of the inputs: weights evenly from [-b, b] with
        b = sqrt(3 / fan_in), biases with b = sqrt(1 / fan_in), where fan_in is the number of inputs that the mask
        leaves open for an output. Weights that the mask shuts are 0, and stay 0 in training. Biases do not start at 0,
        since the first pixel sees nothing else, and since a rectifier has no gradient to check at exactly 0.
        """
        if self.blank:
            return self.zeros(*shape), self.zeros(shape[-1])
        self._check_memory(shape)
        opened = np.ones(shape, bool) if mask is None else mask()
        fan_in = np.maximum(opened.reshape(-1, shape[-1]).sum(axis=0), 1)
        return self.uniform(shape, np.sqrt(3 / fan_in) * opened), self.uniform(shape[-1:], np.sqrt(1 / fan_in))

    def __repr__(self) -> str:
        return f"Init({self.blank or type(self.rng).__name__}, {self.dtype})"
