"""The head for binary images: one logit per sub-pixel."""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.heads.base import TIE, Head, check_drawn_from
from minipixel.tensor import Tensor


class Bernoulli(Head):
    """p(1) = sigmoid(logit), one logit for each of C channels (1601.06759, section 5.2)."""

    name = "bernoulli"
    most_levels = 2

    def __init__(self, C: int, Q: int, mixtures: int) -> None:
        self.groups = np.arange(C)

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel, in nats: (H, W, N, C), integers (H, W, N, C) -> (H, W, N, C)."""
        return ops.bernoulli_log_prob(parameters, images=images)

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """1 where the uniform lies above p(0): (N, C), (N, C), (N,) -> (N,)."""
        logit = parameters[:, channel].astype(np.float64)
        if temperature == 0:
            check_drawn_from(logit)
            return (logit > TIE).astype(np.uint8)
        logit = logit / temperature
        check_drawn_from(logit)
        # p(0) = 1 / (1 + e ** logit), written so that no exponential overflows
        return (uniforms >= np.exp(-np.logaddexp(0, logit))).astype(np.uint8)

    def log_prob_of(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, levels: np.ndarray, temperature: float = 1.0
    ) -> np.ndarray:
        """log sigmoid(logit) for 1, log sigmoid(-logit) for 0: (N, C), (N, C), (N or 1, L) -> (N, L)."""
        logit = parameters[:, channel, None].astype(np.float64) / temperature
        check_drawn_from(logit)
        return -np.logaddexp(0, np.where(levels == 1, -logit, logit))
