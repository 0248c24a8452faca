"""The events of training, in the order in which they come."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minipixel.errors import NonFiniteError
from minipixel.files import Claim
from minipixel.optim import Optimizer
from minipixel.shown import as_made
from minipixel.spelling import Spelled

if TYPE_CHECKING:
    from minipixel.training.training import Training


class Callback(Spelled):
    """Something that training tells what it does. Override what you need; `logs` are the numbers to report.

    Numbers of one's own that `on_epoch_end` adds to `logs` go where all others go: to the history, into the files of
    CSVLogger and TensorBoard, to what EarlyStopping and ModelCheckpoint monitor, wherever these stand in the list.
    Those that `on_batch_end` adds are shown by the progress bar, and are in TensorBoard's numbers of batches.

    One that sets its `stop_training` ends training after the step at hand. One that has something to remember from
    epoch to epoch gives it to checkpoints by `state`, and takes it back by `restore`. A training that is resumed tells
    what comes next as if it had never stopped: `on_train_begin`, `restore`, then the next step or the next epoch. So
    in the middle of an epoch there is no second `on_epoch_begin`; and an epoch that was cut short has no
    `on_epoch_end`, until it is resumed and comes to its end.

    All happens in the thread that called `fit`, in which denormal numbers count as zero meanwhile (computing.py).
    """

    stop_training = False
    reads_numbers: ClassVar[bool] = False
    """Whether it is told of a step and of an epoch after those that may add numbers to their logs."""
    writes: ClassVar[bool] = False
    """Whether it writes, prints or draws, and so is wanted once: of several ranks only the first has it (ranks.py).

    All others are told of everything on every rank, and have to come to the same there.
    """

    def claims(self) -> Sequence[Claim]:
        """Files and folders that no other training may write while this one runs: `fit` holds them, or is refused."""
        return ()

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Before the first step; `images_in_all` is epochs * N, less what was seen before if training is resumed."""

    def on_epoch_begin(self, epoch: int, optimizer: Optimizer) -> None:
        """Before the first step of each epoch, when the optimizer's settings may be changed; epochs count from 0."""

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """After each step, which used `images` images; `logs` are means over the epoch so far."""

    def on_evaluation_begin(self) -> None:
        """After the last step of each epoch, before its validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After each epoch and its validation, with the weights that were validated: the time to draw or to report."""

    def on_evaluation_end(self) -> None:
        """After all of `on_epoch_end`, before training goes on: the time to read what other callbacks wrote."""

    def on_pause(self, training: "Training", stopping: bool) -> None:
        """When all have heard of a step (after `on_batch_end`) or of an epoch (after `on_evaluation_end`).

        All is consistent then, so this is the time for `training.save(path)`. `stopping`: nothing follows, since the
        last epoch is over, a callback set `stop_training`, or Ctrl-C came.
        """

    def on_not_finite(self, error: NonFiniteError) -> None:
        """A step was not taken, for its loss or gradient was not finite: `error` is raised unless one stops training.

        That is, sets `stop_training`; training then ends as it does after its last epoch.
        """

    def on_train_end(self) -> None:
        """After the last step, or after an interruption, which may have come between any two of the above."""

    def state(self) -> dict[str, Any]:
        """What a training that is resumed needs to know, by name: numbers, and arrays of numbers.

        An array named `average/NAME` is what `minipixel.load` of a checkpoint takes for the model's weight NAME.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave, after `on_train_begin`, when training is resumed."""

    def __repr__(self) -> str:
        return as_made(self)
