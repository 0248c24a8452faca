"""Sampling: each sub-pixel drawn from what the model says given those before it."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from minipixel.errors import TraceError
from minipixel.sampling import machine
from minipixel.sampling.cached import Cached
from minipixel.sampling.naive import Naive
from minipixel.sampling.program import Program, program_of

__all__ = ["SAMPLERS", "Cached", "Naive", "Program", "Sampler", "program_of"]


DEPTH = 6
"""How far a warning from here is from whoever called `sample` or `complete`, whose line it should show."""


class Sampler(Protocol):
    """A way to draw images from one model, with the weights that it has now.

    `shard_size` is how many images it takes at a time: a function of the model alone, never of the machine.
    """

    shard_size: int

    def __call__(
        self,
        uniforms: np.ndarray,
        condition: Any,
        temperature: float,
        start: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Draw what is not `known`, (N, H, W), of N images `start`: uniforms (N, H, W, C) -> integers (N, H, W, C).

        The uniforms decide everything: the same ones give the same images in batches of any size, by any sampler.
        """
        ...


def cached(model: Any) -> Sampler:
    """Each value is computed once, in the model's own order."""
    return _executor(program_of(model, wave=False)[0], model)


def wavefront(model: Any) -> Sampler:
    """The same along slanted lines, many pixels at once; where the proof allows none, as `cached`, with a warning."""
    program, slope = program_of(model, wave=True)
    if slope is None:
        warnings.warn(
            f"wavefront: no slope below {model.image_shape[1]} is causal for this {type(model).__name__}, so it draws "
            "its pixels one by one, in its own order, as method='cached' does",
            stacklevel=DEPTH,
        )
    return _executor(program, model)


def auto(model: Any) -> Sampler:
    """The fastest that holds: along slanted lines where the proof allows some, else pixel by pixel.

    Naively, with a warning, where the clock cannot tell what the model reads.
    """
    try:
        program, _ = program_of(model, wave=True)
    except TraceError as error:
        warnings.warn(
            f"{error}; so it draws naively, a forward pass a sub-pixel, with no proof that the model is causal",
            stacklevel=DEPTH,
        )
        return Naive(model)
    return _executor(program, model)


def _executor(program: Program, model: Any) -> Sampler:
    return machine.Machine(program, model) if machine.suits(program, model) else Cached(program, model)


# The one table of samplers, by the name that `model.sample(method=...)` takes.
SAMPLERS: dict[str, Callable[[Any], Sampler]] = {
    "auto": auto,
    "naive": Naive,
    "cached": cached,
    "wavefront": wavefront,
}
