"""Canvas: the images while they are drawn, as every sampler uses them."""

from typing import Any

import numpy as np


class Canvas:
    """N images while they are drawn, with the pixels first.

    `levels` uint16 (P, N, C) has the levels, `fixed` boolean (P, N) the pixels that stay, and `uniforms` (P, N, C) the
    random numbers. `wanted` says how many images there will be in the end.
    """

    moved: tuple[np.ndarray, np.ndarray] | None = None
    """Images that have become copies of others when a sub-pixel was drawn, and of which: see particles.py."""

    def __init__(self, start: np.ndarray, known: np.ndarray, uniforms: np.ndarray) -> None:
        self.shape, self.dtype, self.wanted = start.shape, start.dtype, len(start)
        levels = start.astype(np.uint16)  # of any number of levels, so that no loop is compiled twice
        self.levels, self.fixed, self.uniforms = (_pixels_first(array) for array in (levels, known, uniforms))

    def asks(self, pixels: np.ndarray) -> bool:
        """Whether the parameters of these pixels are needed."""
        return not self.fixed[pixels].all()

    def draw(self, head: Any, temperature: float, parameters: np.ndarray, pixels: np.ndarray, channel: int) -> Any:
        """One channel of p pixels, (p,), drawn from (p, N, P) parameters where it is not fixed: levels (p, N)."""
        p, N, P = parameters.shape
        so_far = self.levels[pixels].reshape(p * N, -1)
        uniforms = self.uniforms[pixels, :, channel].ravel()
        drawn = head.draw(parameters.reshape(p * N, P), so_far, channel, uniforms, temperature).reshape(p, N)
        self.levels[pixels, :, channel] = np.where(self.fixed[pixels], self.levels[pixels, :, channel], drawn)
        return self.levels[pixels, :, channel]

    def images(self) -> np.ndarray:
        """The images as they are now: integers (N, H, W, C), in the dtype of the first images."""
        _, H, W, C = self.shape
        return self.levels.reshape(H, W, -1, C).transpose(2, 0, 1, 3).astype(self.dtype)


def follow(maps: Any, moved: tuple[np.ndarray, np.ndarray]) -> None:
    """Copy the stored values, (slots, N, K) each, of images that have become copies of other images."""
    copies, originals = moved
    for kept in maps:
        kept[:, copies] = kept[:, originals]


def _pixels_first(array: np.ndarray) -> np.ndarray:
    """(N, H, W, ...) -> (H * W, N, ...), a copy."""
    N, H, W = array.shape[:3]
    return np.moveaxis(array, 0, 2).reshape(H * W, N, *array.shape[3:]).copy()
