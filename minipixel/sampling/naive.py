"""The naive sampler: one sub-pixel after the other, each drawn from a whole forward pass."""

from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.progress import advance


class Naive:
    """One whole forward pass a sub-pixel, of which a single pixel is used.

    Slow, and plainly right: every other sampler is tested against it.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.shard_size = model, model.wide_shard_size

    def __call__(
        self,
        uniforms: np.ndarray,
        condition: Any,
        temperature: float,
        start: np.ndarray,
        known: np.ndarray,
    ) -> np.ndarray:
        """Draw what is not known of N images: uniforms (N, H, W, C) -> integers (N, H, W, C).

        What `start` holds at unknown pixels is never read, since nothing depends on what is still to be drawn.
        """
        model, images = self.model, start.copy()
        for place in np.argsort(model.order, axis=None):
            r, c, channel = np.unravel_index(place, model.order.shape)
            advance(len(images) / model.order.size)
            unknown = ~known[:, r, c]
            if not unknown.any():
                continue
            parameters = to_cpu(model.predict(images, condition)[r, c])
            drawn = model.head.draw(parameters, images[:, r, c], int(channel), uniforms[:, r, c, channel], temperature)
            images[unknown, r, c, channel] = drawn[unknown]
        return images
