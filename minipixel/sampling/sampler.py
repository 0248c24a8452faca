"""What a sampler is to a model."""

from typing import Any

import numpy as np

from minipixel.sampling.canvas import Canvas


class Sampler:
    """A way to draw images from one model, with the weights that it has now.

    `shard_size` is how many images it takes at a time, `wide_shard_size` how many where they are to be drawn side by
    side, as the particles of an image are: functions of the model alone, never of the machine.
    """

    shard_size: int
    wide_shard_size: int

    def chances(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """All the randomness of N images (N, H, W, C), a row per image: here one uniform for each sub-pixel."""
        return rng.random(shape)

    def __call__(
        self,
        chances: np.ndarray,
        condition: Any,
        temperature: float,
        start: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Draw what is not `known`, (N, H, W), of N images `start`: chances (N, H, W, C) -> integers (N, H, W, C).

        These decide everything: the same ones give the same images in batches of any size, by any sampler.
        What `start` holds at unknown pixels is never read, since nothing depends on what is still to be drawn.
        """
        canvas = Canvas(start, known, chances)
        self.paint(canvas, condition, temperature)
        return canvas.images()

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw on a canvas what is not fixed there."""
        raise NotImplementedError
