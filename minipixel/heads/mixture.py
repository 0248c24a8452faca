"""Heads for images of Q levels: a mixture of a few smooth curves, in which neighbouring levels have similar p."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.backend import special
from minipixel.heads.base import TIE, Head, check_drawn_from, level_dtype
from minipixel.ops import mixture
from minipixel.tensor import Tensor

MOST_BINS = 2**20
"""How many bins, of all images together, are looked at at once for the fullest: 8 MiB an array."""


class Mixture(Head):
    """A mixture of M components per pixel, each with a curve for each channel; all channels share the mixture logits.

    The parameters of a pixel are rows of M: one of logits, C of means, C of log-scales, and C (C-1) / 2 of coefficients
    before their tanh, by which the mean of a channel depends on the values of the earlier ones. So they are (3, M) if
    C = 1, and (10, M) if C = 3, where the last three are for green on red, blue on red, and blue on green. Means and
    scales are in units in which levels lie on [-1, 1]. Log-scales below -7 count as -7 (above 256 levels the limit is
    lower: see ops.mixture.log_scale_floor). The logits belong to the first channel's group, since that is drawn from
    them.
    """

    joins_colours = True
    log_mass: Callable[..., Any]
    """The log of the mass of bins: ops.mixture.logistic_log_mass or .normal_log_mass."""

    def __init__(self, C: int, Q: int, mixtures: int) -> None:
        self.Q = Q
        rows = [0, *range(C), *range(C), *np.tril_indices(C, -1)[0]]
        self.groups = np.repeat(rows, mixtures)

    @staticmethod
    def cdf(z: np.ndarray) -> np.ndarray:
        """The CDF of the curve with mean 0 and scale 1."""
        raise NotImplementedError

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """The number of bins below the uniform number, in the CDF given earlier channels: (N, P), (N, C), (N,) -> (N,).

        So the result is a level, and not a real number that would have to be rounded. `temperature` divides the mixture
        logits and multiplies the scales; at 0 the result is the bin with the most mass.
        """
        fullest, temperature = temperature == 0, temperature or 1.0
        scores, means, log_scales = self._components(parameters, pixel, channel, temperature)
        weights = np.exp(scores)  # (N, M)
        precision = mixture.precision_of(log_scales, self.Q, temperature)
        check_drawn_from(means * precision)
        if fullest:
            return self._fullest(weights, means, precision)
        target = uniforms * weights.sum(axis=1)
        level = np.zeros(len(parameters), int)
        for step in 2 ** np.arange((self.Q - 1).bit_length() - 1, -1, -1):  # the answer's bits, from the highest down
            edge = (2 * (level + step) - 1) / (self.Q - 1) - 1  # the lower edge of the bin `step` levels up
            below = weights * self.cdf((edge[:, None] - means) * precision)
            level += step * ((level + step < self.Q) & (below.sum(axis=1) <= target))
        return level.astype(level_dtype(self.Q))

    def log_prob_of(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, levels: np.ndarray, temperature: float = 1.0
    ) -> np.ndarray:
        """The log of the mass of those bins under all components: (N, P), (N, C), (N or 1, L) -> (N, L)."""
        scores, means, log_scales = self._components(parameters, pixel, channel, temperature)
        bins = mixture.bins(levels, self.Q, means[:, None], log_scales[:, None], temperature)[:4]
        log_shares, _ = mixture.log_normalise(scores)
        _, log_p = mixture.log_normalise(log_shares[:, None] + self.log_mass(*bins)[0])
        return log_p[..., 0]

    def _components(self, parameters: np.ndarray, pixel: np.ndarray, channel: int, temperature: float) -> Any:
        """Log-weights of the components given the earlier channels (0 for the largest); means; log-scales.

        (N, P), (N, C) -> (N, M) three times, float64. A component's weight depends on how well it predicted the earlier
        channels.
        """
        logits, means, log_scales, _ = mixture.mixture_parts(parameters.astype(np.float64), pixel, self.Q)
        m, d, lowest, highest, _ = mixture.bins(pixel, self.Q, means, log_scales, temperature)
        log_mass, _ = self.log_mass(m[:, :channel], d[:, :channel], lowest[:, :channel], highest[:, :channel])
        scores = (logits - logits.max(axis=1, keepdims=True)) / temperature
        for earlier in range(channel):  # one by one: of a sum of large numbers no digits would be left
            scores = scores + log_mass[:, earlier]
            scores = scores - scores.max(axis=1, keepdims=True)
        check_drawn_from(scores.max(axis=1))
        return scores, means[:, channel], log_scales[:, channel]

    def _fullest(self, weights: np.ndarray, means: np.ndarray, precision: np.ndarray) -> np.ndarray:
        """The bin with the most mass under weighted components, of several that tie the lowest: (N, M) each -> (N,).

        This bin has a mass of at least 1 / Q, so the difference of two CDFs is accurate enough; above 256 levels it is
        less accurate, and more bins tie. A few images are computed at a time, since all their bins take much memory.
        """
        size, tie = max(1, MOST_BINS // self.Q), TIE * max(1.0, self.Q / 256)
        parts = [slice(first, first + size) for first in range(0, len(weights), size)]
        found = [self._fullest_of(weights[part], means[part], precision[part], tie) for part in parts]
        return np.concatenate(found).astype(level_dtype(self.Q))

    def _fullest_of(self, weights: np.ndarray, means: np.ndarray, precision: np.ndarray, tie: float) -> np.ndarray:
        edges = (2 * np.arange(1, self.Q) - 1) / (self.Q - 1) - 1
        below = np.zeros((len(weights), self.Q + 1))
        below[:, -1] = weights.sum(axis=1)
        for weight, mean, inverse_scale in zip(weights.T, means.T, precision.T, strict=True):
            below[:, 1:-1] += weight[:, None] * self.cdf((edges - mean[:, None]) * inverse_scale[:, None])
        mass = np.diff(below, axis=1)
        return (mass >= mass.max(axis=1, keepdims=True) * (1 - tie)).argmax(axis=1)


class LogisticMixture(Mixture):
    """A discretized mixture of logistics (PixelCNN++, 1701.05517, sections 2.1 and 2.2)."""

    name = "logistic_mixture"
    log_mass = staticmethod(mixture.logistic_log_mass)

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel given all before it: (H, W, N, P), integers (H, W, N, C) -> (H, W, N, C)."""
        return ops.logistic_mixture_log_prob(parameters, images=images, levels=self.Q)

    @staticmethod
    def cdf(z: np.ndarray) -> np.ndarray:
        """1 / (1 + e ** -z)."""
        return special(np).expit(z)


class NormalMixture(Mixture):
    """A discretized mixture of normals, which is like LogisticMixture, but with lighter tails."""

    name = "normal_mixture"
    log_mass = staticmethod(mixture.normal_log_mass)

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel given all before it: (H, W, N, P), integers (H, W, N, C) -> (H, W, N, C)."""
        return ops.normal_mixture_log_prob(parameters, images=images, levels=self.Q)

    @staticmethod
    def cdf(z: np.ndarray) -> np.ndarray:
        """Phi(z)."""
        return special(np).ndtr(z)
