"""Recording a sampler: the probability of each level when it is drawn, to compare with that of the finished image."""

import copy
from typing import Any

import numpy as np

from minipixel.computing import computing
from minipixel.heads import Head, level_dtype
from minipixel.models import Model
from minipixel.sampling import Cached, Naive, program_of
from minipixel.tensor import Tensor, no_grad


class Recorder(Head):
    """A head that draws as another one does, and adds up the log-probability of what it draws for each of N images."""

    def __init__(self, head: Head, N: int) -> None:
        self.head, self.groups = head, head.groups
        self.log_probs = np.zeros(N)

    def log_prob(self, parameters: Any, images: Any) -> Any:
        """The log-probabilities that the other head gives."""
        return self.head.log_prob(parameters, images)

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """The levels that the other head draws: rows of p pixels of N images, the images of a pixel side by side."""
        drawn = self.head.draw(parameters, pixel, channel, uniforms, temperature)
        levels = pixel.copy()
        levels[:, channel] = drawn
        with no_grad():
            log_prob = self.head.log_prob(Tensor(parameters[:, None, None]), levels[:, None, None].astype(int)).data
        self.log_probs += log_prob[:, 0, 0, channel].reshape(-1, len(self.log_probs)).sum(axis=0, dtype=np.float64)
        return drawn


@computing
def replayed(model: Model, n: int, method: str, rng: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """The log-probabilities of n samples in nats, (n,) and (n,): summed while drawing, and of the finished images.

    The methods are "naive", "cached" and "wavefront"; the latter two use the plain executor, which calls the head.
    Raises CausalityError if a method refuses the model, as all but the first do if the clock cannot prove it causal.
    """
    generator = np.random.default_rng(rng)
    watched = copy.copy(model)
    watched.head = recorder = Recorder(model.head, n)
    wave = method == "wavefront"
    sampler = Naive(watched) if method == "naive" else Cached(program_of(model, wave)[0], watched)
    condition = model.conditions.random(n, generator)
    nothing = np.zeros((n, *model.image_shape), level_dtype(model.levels))
    nowhere = np.zeros(nothing.shape[:3], bool)
    images = sampler(generator.random((n, *model.image_shape)), condition, 1.0, nothing, nowhere)
    return recorder.log_probs, model.log_prob(images, condition)
