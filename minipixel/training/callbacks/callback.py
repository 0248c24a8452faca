"""The events of training, in the order in which they come."""

from typing import Any

from minipixel.optim import Optimizer


class Callback:
    """Something that training tells what it does. Override what you need; `logs` are the numbers to report.

    One that sets its `stop_training` ends training after the step at hand. One that has something to remember from
    epoch to epoch gives it to checkpoints by `state`, and takes it back by `restore`.
    """

    stop_training = False

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Before the first step; `images_in_all` is epochs * N."""

    def on_epoch_begin(self, epoch: int, optimizer: Optimizer) -> None:
        """Before the first step of each epoch, when the optimizer's settings may be changed; epochs count from 0."""

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """After each step, which used `images` images; `logs` are means over the epoch so far."""

    def on_evaluation_begin(self) -> None:
        """After the last step of each epoch, before its validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch and its validation, with the weights that were validated: the time to save or to draw."""

    def on_evaluation_end(self) -> None:
        """After all of `on_epoch_end`, before training goes on."""

    def on_train_end(self) -> None:
        """After the last step, or after an interruption, which may have come between any two of the above."""

    def state(self) -> dict[str, Any]:
        """What a training that is resumed needs to know, by name: numbers, and arrays of numbers."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave, after `on_train_begin`, when training is resumed."""
