"""The optimizers of `minipixel train`: a base rate, how it changes over all of a training's steps, weight decay."""

import argparse
from collections.abc import Callable

from minipixel.optim import OPTIMIZERS, AdamW, Optimizer, cosine_decay, exponential_decay
from minipixel.optim.optimizer import LearningRate

# From a base rate and the number of steps of a training to the optimizer's learning rate.
SCHEDULES: dict[str, Callable[[float, int], LearningRate]] = {
    "constant": lambda rate, steps: rate,
    "cosine": cosine_decay,
    "exponential": lambda rate, steps: exponential_decay(rate, 0.01 ** (1 / steps)),
}


def base_rate(settings: argparse.Namespace) -> float:
    """The learning rate that was asked for, or else the optimizer's default."""
    if settings.learning_rate is not None:
        return float(settings.learning_rate)
    kind: Callable[[], Optimizer] = OPTIMIZERS[settings.optimizer]
    own = kind().learning_rate
    assert isinstance(own, float)
    return own


def decay_of(settings: argparse.Namespace) -> float | None:
    """The weight decay, None if the optimizer has none. Raises ValueError if it is given for such an optimizer."""
    if settings.optimizer == "adamw":
        return AdamW().weight_decay if settings.weight_decay is None else float(settings.weight_decay)
    if settings.weight_decay is not None:
        got = f"{settings.weight_decay:g} with {settings.optimizer}"
        raise ValueError(f"--weight-decay: got {got}, wanted --optimizer adamw beside it, or none")
    return None


def optimizer_of(settings: argparse.Namespace, images: int) -> Optimizer:
    """The optimizer for a training on so many images."""
    decay = decay_of(settings)
    options = {"clip_norm": settings.clip_norm} | ({} if decay is None else {"weight_decay": decay})
    kind = OPTIMIZERS[settings.optimizer]
    plain = kind(base_rate(settings), **options)  # refuses what is no rate
    if settings.schedule == "constant":
        return plain
    steps = max(1, settings.epochs) * -(
        -images // max(1, settings.batch_size)
    )  # what is no number of them, fit refuses
    return kind(SCHEDULES[settings.schedule](base_rate(settings), steps), **options)
