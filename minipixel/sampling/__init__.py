"""Sampling: each sub-pixel drawn from what the model says given those before it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.sampling import cached
from minipixel.sampling.naive import naive
from minipixel.sampling.program import program_of


def _cached(model: Any, *arguments: Any) -> np.ndarray:
    return cached.run(program_of(model, False)[0], model, *arguments)


def _wavefront(model: Any, *arguments: Any) -> np.ndarray:
    return cached.run(program_of(model, True)[0], model, *arguments)


# The one table of samplers, by the name that `model.sample(method=...)` takes.
SAMPLERS: dict[str, Callable[..., np.ndarray]] = {
    "auto": _cached,
    "naive": naive,
    "cached": _cached,
    "wavefront": _wavefront,
}
