"""The adapter for JAX functions; it is imported when one returns an array of JAX's, and no sooner."""

from typing import Any

import jax
import numpy as np

from minipixel.causality.subjects import OfFunction


class OfJax(OfFunction):
    """A function of JAX arrays, channels last unless told otherwise, with gradients if its images are floating point.

    Noise and modes are arguments of such a function, so fix them before it is handed over.
    """

    def __init__(self, function: Any, image_shape: Any, **options: Any) -> None:
        super().__init__(function, image_shape, **options)
        self.has_gradients = self.inputs.dtype.kind == "f"

    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        output, backward = jax.vjp(self.function, jax.numpy.asarray(self.given(images)))
        (gradient,) = backward(jax.numpy.asarray(self.layout.raw(seeds), output.dtype))
        return self.taken(np.asarray(gradient))
