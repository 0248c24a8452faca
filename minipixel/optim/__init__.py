"""Optimisers, and schedules, by which their learning rates change from step to step."""

from minipixel.optim.adaptive import Adam, Adamax, AdamW, Nadam, RMSProp
from minipixel.optim.optimizer import Optimizer
from minipixel.optim.schedules import Schedule, cosine_decay, exponential_decay, piecewise
from minipixel.optim.sgd import SGD

# The one table of optimisers, by the name used on the command line.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
    "adamax": Adamax,
    "rmsprop": RMSProp,
    "sgd": SGD,
}

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSProp",
    "Schedule",
    "cosine_decay",
    "exponential_decay",
    "piecewise",
]
