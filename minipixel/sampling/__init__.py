"""Sampling: each sub-pixel is drawn from the model's distribution of it given those before it."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minipixel.errors import TraceError
from minipixel.sampling import machine
from minipixel.sampling.cached import Cached
from minipixel.sampling.naive import Naive
from minipixel.sampling.on_gpu import MachineOnGPU, on_gpu
from minipixel.sampling.particles import MOST_PARTICLES, Particles
from minipixel.sampling.program import Program, program_of
from minipixel.sampling.sampler import Sampler
from minipixel.shards import rows

__all__ = [
    "MOST_PARTICLES",
    "SAMPLERS",
    "Cached",
    "LookingAhead",
    "MachineOnGPU",
    "Naive",
    "Program",
    "Sampler",
    "in_order",
    "on_gpu",
    "program_of",
]


DEPTH = 6
"""How far a warning from here is from whoever called `sample` or `complete`, whose line it should show."""


def cached(model: Any) -> Sampler:
    """The sampler that computes each value once, in the model's own order."""
    return _executor(program_of(model, wave=False)[0], model)


def wavefront(model: Any) -> Sampler:
    """The same for slanted lines of pixels at once; if no slope is causal it warns, and returns that of `cached`."""
    program, slope = program_of(model, wave=True)
    if slope is None:
        warnings.warn(
            f"wavefront: no slope below {model.image_shape[1]} is causal for this {type(model).__name__}, so it draws "
            "its pixels one by one, in its own order, as method='cached' does",
            stacklevel=DEPTH,
        )
    return _executor(program, model)


def auto(model: Any, wave: bool = True) -> Sampler:
    """The fastest sampler that works: along slanted lines if wanted and causal, else in the model's order.

    Where the clock cannot find out what the model reads, it warns, and returns the naive sampler.
    """
    try:
        program, _ = program_of(model, wave)
    except TraceError as error:
        warnings.warn(
            f"{error}; so it draws naively, one forward pass per sub-pixel, with no proof that the model is causal",
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


def in_order(method: str) -> Callable[[Any], Sampler]:
    """The sampler for particles of that method, which draws the pixels one by one in the model's own order."""
    if method == "wavefront":
        warnings.warn(
            "wavefront: particles are weighed pixel by pixel, in the model's own order, so they are drawn as "
            "method='cached' does",
            stacklevel=DEPTH,
        )
    return (SAMPLERS | {"auto": partial(auto, wave=False), "wavefront": cached})[method]


class LookingAhead(Sampler):
    """Completes images with K particles, so that later known pixels influence the drawn ones: see particles.py.

    `sampler` is one that draws pixel by pixel, in the model's own `order`; all of these draw the same.
    """

    def __init__(self, sampler: Sampler, order: np.ndarray, K: int) -> None:
        self.sampler, self.order, self.K = sampler, order, K
        self.shard_size = max(1, sampler.wide_shard_size // K)

    def chances(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """The seed of each image's own generator: (N, 4)."""
        return rng.integers(2**32, size=(shape[0], 4))

    def __call__(
        self,
        chances: np.ndarray,
        condition: Any,
        temperature: float,
        start: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Draw the pixels of N images `start` that are not `known` (N, H, W): seeds (N, 4) -> integers (N, H, W, C)."""
        rngs = [np.random.default_rng([int(word) for word in seed]) for seed in chances]
        canvas = Particles(start, known, self.order, self.K, rngs)
        of_particles = rows(condition, np.repeat(np.arange(len(start)), self.K))
        self.sampler.paint(canvas, of_particles, temperature)
        return canvas.chosen()
