"""Where weights start."""

from typing import Any

import numpy as np

from minipixel.nn.module import Parameter

BLANK = "blank"
"""Given as `rng`: weights that are about to be loaded. Zeros that take no memory, whatever size is asked for."""


def zeros(shape: tuple[int, ...], rng: Any, dtype: str) -> Parameter:
    """A parameter of zeros."""
    return Parameter(np.broadcast_to(np.zeros((), dtype), shape) if rng is BLANK else np.zeros(shape, dtype))


def masked_uniform(mask: np.ndarray, rng: np.random.Generator, dtype: str) -> Parameter:
    """A weight (..., K_out) drawn from [-b, b] with b = sqrt(3 / fan_in), so that outputs vary as much as inputs do.

    Only what the mask opens is counted in fan_in, output by output; what it shuts is 0, and stays 0 in training.
    """
    fan_in = mask.reshape(-1, mask.shape[-1]).sum(axis=0)
    bound = np.sqrt(3 / np.maximum(fan_in, 1))
    return Parameter((rng.uniform(-1, 1, mask.shape) * bound * mask).astype(dtype))
