"""Completion with particles: known pixels that come later influence the drawn ones before them.

K particles, each a version of the picture, go through the pixels in the model's order. At an unknown sub-pixel each
particle draws from the model. At a known one it takes the known level, and its weight is multiplied by the probability
that the model gives to this level. So a particle whose draws do not fit the known pixels loses its weight. When few
particles have most of the weight, all are replaced: each is copied about as often as its weight says, and then all
weights are equal again. In the end one particle is drawn by its weight. As K grows, its distribution approaches that of
the unknown pixels given all known ones, under the model at that temperature.

Source: Gordon, Salmond, Smith 1993, "Novel approach to nonlinear/non-Gaussian Bayesian state estimation", IEE
Proceedings F 140(2); when to replace, and how: Doucet, de Freitas, Gordon 2001, "Sequential Monte Carlo Methods in
Practice", chapter 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.sampling.canvas import Canvas

MOST_PARTICLES = 1024
FEW = 0.5
"""Particles are replaced where the effective number of them is below this share of all."""


class Particles(Canvas):
    """A canvas of N * K images, the K particles of each image side by side, with their weights.

    `start` (N, H, W, C) and `known` (N, H, W) belong to the N images, `order` (H, W, C) is the model's. The uniform
    numbers of an image come from its own generator in `rngs`, so they do not depend on the other images.
    """

    def __init__(
        self, start: np.ndarray, known: np.ndarray, order: np.ndarray, K: int, rngs: Sequence[np.random.Generator]
    ) -> None:
        uniforms = np.concatenate([rng.random((K, *order.shape)) for rng in rngs])
        super().__init__(np.repeat(start, K, axis=0), np.repeat(known, K, axis=0), uniforms)
        self.wanted = len(start)
        self.log_weights = np.zeros((len(start), K))
        """Of the particles of each image, up to a number that they share."""
        self._chances = np.stack([rng.random(order.size + 1) for rng in rngs])
        self._place = order.reshape(-1, order.shape[2])
        unknown = np.where(known.reshape(len(start), -1, 1), -1, self._place)
        self._last = unknown.max(axis=(1, 2))  # the last unknown sub-pixel of each image: its place in line

    def asks(self, pixels: np.ndarray) -> bool:
        """Always true, since the weights depend on known pixels, too."""
        return True

    def draw(self, head: Any, temperature: float, parameters: np.ndarray, pixels: np.ndarray, channel: int) -> Any:
        """Draw one channel of a single pixel; where it is known, weigh the particles, and replace them if need be."""
        fixed = self.fixed[pixels[0]]
        if not fixed.all():
            super().draw(head, temperature, parameters, pixels, channel)
        self.moved = None
        if fixed.any():
            self._weigh(head, temperature, parameters[0, fixed], fixed, int(pixels[0]), channel)
            self._replace(fixed, int(self._place[pixels[0], channel]))
        return self.levels[pixels, :, channel]

    def chosen(self) -> np.ndarray:
        """One particle of each image, drawn by its weight: integers (N, H, W, C)."""
        N, K = self.log_weights.shape
        (chosen,) = _where(self._shares(slice(None)), self._chances[:, -1:]).T
        return self.images()[np.arange(N) * K + chosen]

    def _weigh(self, head: Any, temperature: float, parameters: Any, fixed: Any, pixel: int, channel: int) -> None:
        """Multiply weights by the probability of a known sub-pixel."""
        seen = self.levels[pixel, fixed]
        log_p = head.log_prob_of(parameters, seen, channel, seen[:, channel, None], temperature)
        self.log_weights.reshape(-1)[fixed] += log_p[:, 0]

    def _replace(self, fixed: np.ndarray, place: int) -> None:
        """Replace the particles of images in which few have most of the weight, unless nothing is left to draw."""
        K = self.log_weights.shape[1]
        images = np.flatnonzero(fixed[::K] & (self._last > place))
        shares = self._shares(images)
        few = 1 / (shares**2).sum(axis=1) < FEW * K * (1 - 1e-9)  # of weights that tie, rounding is not to decide
        images, shares = images[few], shares[few]
        if not len(images):
            return
        self.log_weights[images] = 0
        at = (np.arange(K) + self._chances[images, place, None]) / K
        self.moved = tuple((images[:, None] * K + which).ravel() for which in (np.arange(K), _where(shares, at)))
        copies, originals = self.moved
        self.levels[:, copies] = self.levels[:, originals]

    def _shares(self, images: Any) -> np.ndarray:
        """The weights of the particles of some images, (n, K), which sum to 1 for each image."""
        log_weights = self.log_weights[images]
        highest = log_weights.max(axis=1, keepdims=True)
        weights = np.exp(log_weights - np.where(np.isfinite(highest), highest, 0))
        total = weights.sum(axis=1, keepdims=True)
        return np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights.shape[1])


def _where(shares: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The particles whose parts of [0, 1), one after another, contain these places: (n, K), (n, L) -> (n, L)."""
    edges = shares.cumsum(axis=1)
    below = edges[:, None, :-1] <= at[:, :, None] * edges[:, -1:, None]
    return below.sum(axis=2)
