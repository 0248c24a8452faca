"""The images while they are drawn: what both executors of a schedule paint on."""

from typing import Any

import numpy as np


class Canvas:
    """N images, pixels first: `levels` uint16 (P, N, C), `fixed` boolean (P, N), which stay; `uniforms` (P, N, C)."""

    def __init__(self, start: np.ndarray, known: np.ndarray, uniforms: np.ndarray) -> None:
        self.shape, self.dtype = start.shape, start.dtype
        levels = start.astype(np.uint16)  # of any number of levels, so that no loop is compiled twice
        self.levels, self.fixed, self.uniforms = (_pixels_first(array) for array in (levels, known, uniforms))

    def draw(self, head: Any, temperature: float, parameters: np.ndarray, pixels: np.ndarray, channel: int) -> Any:
        """One channel of p pixels, (p,), drawn from (p, N, P) parameters where it is not fixed: levels (p, N)."""
        p, N, P = parameters.shape
        so_far = self.levels[pixels].reshape(p * N, -1)
        uniforms = self.uniforms[pixels, :, channel].ravel()
        drawn = head.draw(parameters.reshape(p * N, P), so_far, channel, uniforms, temperature).reshape(p, N)
        self.levels[pixels, :, channel] = np.where(self.fixed[pixels], self.levels[pixels, :, channel], drawn)
        return self.levels[pixels, :, channel]

    def images(self) -> np.ndarray:
        """The images as they are now: integers (N, H, W, C), of the kind that they started as."""
        N, H, W, C = self.shape
        return self.levels.reshape(H, W, N, C).transpose(2, 0, 1, 3).astype(self.dtype)


def _pixels_first(array: np.ndarray) -> np.ndarray:
    """(N, H, W, ...) -> (H * W, N, ...), a copy."""
    N, H, W = array.shape[:3]
    return np.moveaxis(array, 0, 2).reshape(H * W, N, *array.shape[3:]).copy()
