"""The naive sampler: one sub-pixel after the other, each drawn from a whole forward pass."""

from typing import Any

import numpy as np

from minipixel.backend import to_cpu


def naive(
    model: Any,
    uniforms: np.ndarray,
    condition: np.ndarray | None,
    temperature: float,
    start: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """One whole forward pass a sub-pixel, of which a single pixel is used: uniforms (N, H, W, C) -> uint8 (N, H, W, C).

    Slow, and plainly right: every other sampler is tested against it. The uniforms decide everything, so the same ones
    give the same images in batches of any size. Pixels that are `known`, boolean (N, H, W), stay as in `start`, uint8
    (N, H, W, C); what that holds elsewhere is never read, since nothing depends on what is still to be drawn.
    """
    images = start.copy()
    for place in np.argsort(model.order, axis=None):
        r, c, channel = np.unravel_index(place, model.order.shape)
        unknown = ~known[:, r, c]
        if not unknown.any():
            continue
        parameters = to_cpu(model.predict(images, condition)[r, c])
        drawn = model.head.draw(parameters, images[:, r, c], int(channel), uniforms[:, r, c, channel], temperature)
        images[unknown, r, c, channel] = drawn[unknown]
    return images
