"""The naive sampler: one sub-pixel after the other, each drawn from a whole forward pass."""

from typing import Any

import numpy as np

from minipixel.progress import advance
from minipixel.sampling.canvas import Canvas
from minipixel.sampling.sampler import Sampler


class Naive(Sampler):
    """The sampler that runs one whole forward pass per sub-pixel, and uses a single pixel of it.

    It is slow and obviously right, so every other sampler is tested against it.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.shard_size = model, model.wide_shard_size
        self.wide_shard_size = self.shard_size

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw all sub-pixels of a canvas that are not fixed."""
        model = self.model
        for place in np.argsort(model.order, axis=None):
            r, c, channel = np.unravel_index(place, model.order.shape)
            advance(canvas.wanted / model.order.size)
            pixels = np.array([r * model.image_shape[1] + c])
            if canvas.asks(pixels):
                images = canvas.images()
                parameters = model.predict(images, condition)[r, c]
                if len(parameters) < len(images):  # of one image, where the model reads none
                    parameters = np.repeat(parameters, len(images), axis=0)
                canvas.draw(model.head, temperature, parameters[None], pixels, int(channel))
