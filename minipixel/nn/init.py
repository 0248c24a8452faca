"""Where weights start."""

import numpy as np

from minipixel.nn.module import Parameter

BLANK = "blank"
"""Given as `rng`: weights that are about to be loaded. Zeros that take no memory, whatever size is asked for."""


def blank(shape: tuple[int, ...], dtype: str) -> Parameter:
    """A parameter that is about to be loaded."""
    return Parameter(np.broadcast_to(np.zeros((), dtype), shape))


def masked_uniform(mask: np.ndarray, rng: np.random.Generator, dtype: str) -> Parameter:
    """A weight (..., K_out) drawn from [-b, b] with b = sqrt(3 / fan_in), so that outputs vary as much as inputs do.

    Only what the mask opens is counted in fan_in, output by output; what it shuts is 0, and stays 0 in training.
    """
    return Parameter((rng.uniform(-1, 1, mask.shape) * np.sqrt(3 / _fan_in(mask)) * mask).astype(dtype))


def uniform_bias(mask: np.ndarray, rng: np.random.Generator, dtype: str) -> Parameter:
    """The bias (K_out,) that goes with it, drawn from [-b, b] with b = sqrt(1 / fan_in).

    Not zero: the first pixel sees nothing but biases, and a rectifier at exactly 0 has no gradient to check.
    """
    return Parameter((rng.uniform(-1, 1, mask.shape[-1]) * np.sqrt(1 / _fan_in(mask))).astype(dtype))


def _fan_in(mask: np.ndarray) -> np.ndarray:
    """How many inputs each output reads, at least 1: (..., K_out) -> (K_out,)."""
    return np.maximum(mask.reshape(-1, mask.shape[-1]).sum(axis=0), 1)
