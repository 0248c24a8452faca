"""What a head is to a model and to a sampler."""

from typing import Any

import numpy as np

from minipixel.tensor import Tensor


class Head:
    """A family of distributions over one sub-pixel, given P parameters a pixel.

    `groups` (P,) says which colour each parameter describes: it may know that colour's predecessors, never the colour
    itself, and the masks of the model's last layers are built from it.
    """

    name: str
    groups: np.ndarray

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel given all before it, in nats: (H, W, N, P), integers (H, W, N, C) -> (H, W, N, C)."""
        raise NotImplementedError

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """The level whose slice of the CDF holds each uniform: (N, P), (N, C), (N,) in [0, 1) -> (N,).

        `pixel` holds the channels drawn so far. `temperature` divides logits: below 1 keeps to what is likely.
        """
        raise NotImplementedError
