"""LearningRate: a learning rate that changes from epoch to epoch."""

from collections.abc import Callable

from minipixel.optim import Optimizer
from minipixel.shown import short
from minipixel.training.callbacks.callback import Callback


class LearningRate(Callback):
    """Sets the optimizer's learning rate before each epoch to `schedule(epoch, rate)`; epochs count from 0.

    `rate` is the learning rate of the epoch before. For a rate that changes at every step, give the optimizer a
    schedule instead (see mp.optim). Raises ValueError if `schedule` is no function, or if the optimizer has a schedule.
    """

    def __init__(self, schedule: Callable[[int, float], float]) -> None:
        if not callable(schedule):
            raise ValueError(f"schedule: got {short(schedule)}, wanted a function of (epoch, rate) that gives a rate")
        self.schedule = schedule

    def on_epoch_begin(self, epoch: int, optimizer: Optimizer) -> None:
        """Set the rate. Raises ValueError if the optimizer has a schedule of its own."""
        if callable(optimizer.learning_rate):
            raise ValueError(
                "LearningRate: got an optimizer with a schedule, wanted one with a number; keep one of them"
            )
        optimizer.learning_rate = self.schedule(epoch, optimizer.learning_rate)
