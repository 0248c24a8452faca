"""Sampling: one sub-pixel after the other, each drawn from what the model says given those before it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.backend import to_cpu


def naive(model: Any, uniforms: np.ndarray, condition: np.ndarray | None, temperature: float) -> np.ndarray:
    """One whole forward pass a sub-pixel, of which a single pixel is used: uniforms (N, H, W, C) -> uint8 (N, H, W, C).

    Slow, and plainly right: every other sampler is tested against it. The uniforms decide everything, so the same ones
    give the same images in batches of any size.
    """
    images = np.zeros(uniforms.shape, np.uint8)
    for place in np.argsort(model.order, axis=None):
        r, c, channel = np.unravel_index(place, model.order.shape)
        parameters = to_cpu(model.predict(images, condition)[r, c])
        images[:, r, c, channel] = model.head.draw(
            parameters, images[:, r, c], int(channel), uniforms[:, r, c, channel], temperature
        )
    return images


# The one table of samplers, by the name that `model.sample(method=...)` takes.
SAMPLERS: dict[str, Callable[[Any, np.ndarray, np.ndarray | None, float], np.ndarray]] = {"auto": naive, "naive": naive}
