"""Where weights start."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.nn.module import Parameter

BLANK = "blank"
"""Given as `rng`: weights that are about to be loaded. Zeros that take no memory, whatever size is asked for."""


def weight_and_bias(
    shape: tuple[int, ...], mask: Callable[[], np.ndarray], rng: Any, dtype: str
) -> tuple[Parameter, Parameter]:
    """A weight (..., K_out) and its bias (K_out,), drawn uniformly so that outputs vary about as much as inputs do.

    With fan_in the number of inputs that the mask opens, output by output, weights lie within sqrt(3 / fan_in) and
    biases within sqrt(1 / fan_in). Weights that the mask shuts are 0, and stay 0 in training. Biases are not 0: the
    first pixel sees nothing else, and a rectifier at exactly 0 has no gradient to check.
    """
    if rng is BLANK:
        nothing = np.zeros((), dtype)
        return Parameter(np.broadcast_to(nothing, shape)), Parameter(np.broadcast_to(nothing, shape[-1:]))
    opened = mask()
    fan_in = np.maximum(opened.reshape(-1, shape[-1]).sum(axis=0), 1)
    weight = rng.uniform(-1, 1, shape) * np.sqrt(3 / fan_in) * opened
    bias = rng.uniform(-1, 1, shape[-1]) * np.sqrt(1 / fan_in)
    return Parameter(weight.astype(dtype)), Parameter(bias.astype(dtype))
