"""The head for images of Q levels: a softmax over the levels of each sub-pixel."""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.heads.base import TIE, Head, check_drawn_from, level_dtype
from minipixel.tensor import Tensor


class Categorical(Head):
    """Q logits for each of C channels, without any relation between neighbouring levels (1601.06759, section 3.3).

    The parameters of a pixel are laid out as (C, Q): all logits of red, then all of green, then all of blue.
    """

    name = "categorical"
    most_levels = 4096

    def __init__(self, C: int, Q: int, mixtures: int) -> None:
        self.Q = Q
        self.groups = np.repeat(np.arange(C), Q)

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel, in nats: (H, W, N, C*Q), integers (H, W, N, C) -> (H, W, N, C)."""
        return ops.categorical_log_prob(parameters, images=images)

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """The number of levels whose part of the CDF is below the uniform number: (N, C*Q), (N, C), (N,) -> (N,)."""
        logits = parameters[:, channel * self.Q : (channel + 1) * self.Q].astype(np.float64)
        highest = logits.max(axis=1, keepdims=True)
        check_drawn_from(highest)
        if temperature == 0:
            return (logits >= highest - TIE).argmax(axis=1).astype(level_dtype(self.Q))
        weights = np.exp((logits - highest) / temperature)
        edges = weights.cumsum(axis=1)
        below = edges[:, :-1] <= uniforms[:, None] * edges[:, -1:]  # the last edge is 1: no uniform lies above it
        return below.sum(axis=1).astype(level_dtype(self.Q))

    def log_prob_of(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, levels: np.ndarray, temperature: float = 1.0
    ) -> np.ndarray:
        """The logits of those levels, less the log of the sum over all: (N, C*Q), (N, C), (N or 1, L) -> (N, L)."""
        logits = parameters[:, channel * self.Q : (channel + 1) * self.Q].astype(np.float64)
        highest = logits.max(axis=1, keepdims=True)
        check_drawn_from(highest)
        scores = (logits - highest) / temperature
        return np.take_along_axis(scores, levels, axis=1) - np.log(np.exp(scores).sum(axis=1, keepdims=True))
