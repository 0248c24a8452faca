"""The learning rates of `minipixel train`: a base rate, and how it changes over all of a training's steps."""

import argparse
from collections.abc import Callable

from minipixel.optim import OPTIMIZERS, Optimizer, cosine_decay, exponential_decay
from minipixel.optim.optimizer import LearningRate

# From a base rate and the number of steps of a training to the optimizer's learning rate.
SCHEDULES: dict[str, Callable[[float, int], LearningRate]] = {
    "constant": lambda rate, steps: rate,
    "cosine": cosine_decay,
    "exponential": lambda rate, steps: exponential_decay(rate, 0.01 ** (1 / steps)),
}


def base_rate(settings: argparse.Namespace) -> float:
    """The rate that was asked for, or the optimizer's own."""
    if settings.learning_rate is not None:
        return float(settings.learning_rate)
    kind: Callable[[], Optimizer] = OPTIMIZERS[settings.optimizer]
    own = kind().learning_rate
    assert isinstance(own, float)
    return own


def optimizer_of(settings: argparse.Namespace, images: int) -> Optimizer:
    """The optimizer for a training on so many images."""
    kind = OPTIMIZERS[settings.optimizer]
    plain = kind(base_rate(settings), clip_norm=settings.clip_norm)  # refuses what is no rate
    if settings.schedule == "constant":
        return plain
    steps = max(1, settings.epochs) * -(
        -images // max(1, settings.batch_size)
    )  # what is no number of them, fit refuses
    return kind(SCHEDULES[settings.schedule](base_rate(settings), steps), clip_norm=settings.clip_norm)
