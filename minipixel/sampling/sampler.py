"""The class Sampler, the base of all samplers."""

from typing import Any

import numpy as np

from minipixel.sampling.canvas import Canvas


class Sampler:
    """A way to draw images from one model, with its present weights.

    `shard_size` is how many images it draws at a time, `wide_shard_size` how many if they must be drawn side by side,
    as the particles of an image are. Both depend on the model alone, never on the machine.
    """

    shard_size: int
    wide_shard_size: int

    def chances(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """All random numbers for N images (N, H, W, C), one row per image: here one uniform for each sub-pixel."""
        return rng.random(shape)

    def __call__(
        self,
        chances: np.ndarray,
        condition: Any,
        temperature: float,
        start: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Draw the pixels of N images `start` that are not `known`, (N, H, W), by the uniform numbers `chances`.

        Chances (N, H, W, C) -> integers (N, H, W, C). The same chances give the same images in batches of any size, by
        any sampler. The levels of `start` at unknown pixels do not matter, since nothing depends on pixels that are
        still to be drawn.
        """
        canvas = Canvas(start, known, chances)
        self.paint(canvas, condition, temperature)
        return canvas.images()

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw all sub-pixels of a canvas that are not fixed."""
        raise NotImplementedError
