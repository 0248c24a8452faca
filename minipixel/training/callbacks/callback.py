"""The class Callback: one method for each event of training, in the order of the events."""

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
    """The base class of callbacks: `fit` calls these methods during training. Override those that you need.

    `logs` is a dict of the numbers that training reports. Numbers that your `on_epoch_end` adds to it are treated like
    all others: they go to the History and into the files of CSVLogger and TensorBoard, and EarlyStopping and
    ModelCheckpoint can monitor them, in whatever order the callbacks are listed. Numbers that your `on_batch_end` adds
    are shown by the progress bar and written by TensorBoard.

    A callback that sets its `stop_training` to True ends training after the current step. A callback that has to
    remember something from epoch to epoch returns it from `state`, which goes into checkpoints, and takes it back in
    `restore`. When training is resumed, `on_train_begin` and `restore` are called first, then the methods for the next
    step or epoch, as if training had never stopped. So in the middle of an epoch there is no second `on_epoch_begin`;
    and an interrupted epoch has no `on_epoch_end` until it has been resumed and is finished.

    All methods are called in the thread that called `fit`. In this thread denormal numbers count as zero while `fit`
    runs (computing.py).
    """

    stop_training = False
    reads_numbers: ClassVar[bool] = False
    """Whether it is called after the callbacks that may add numbers to the logs of a step or an epoch."""
    writes: ClassVar[bool] = False
    """Whether it writes, prints or draws, so that it is wanted once: of several ranks only the first calls it.

    All other callbacks are called on every rank, and have to come to the same results there.
    """

    def claims(self) -> Sequence[Claim]:
        """Files and folders that only this training may write while it runs; `fit` raises if another one holds them."""
        return ()

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Called before the first step. `images_in_all` is epochs * N, less the images of before if it is resumed."""

    def on_epoch_begin(self, epoch: int, optimizer: Optimizer) -> None:
        """Called before each epoch's first step; the optimizer's settings may be changed here. Epochs count from 0."""

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """Called after each step, which used `images` images; `logs` are means over the epoch so far."""

    def on_evaluation_begin(self) -> None:
        """Called after the last step of each epoch, before its validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Called after each epoch and its validation, with the weights that were validated, to draw or to report."""

    def on_evaluation_end(self) -> None:
        """Called after `on_epoch_end` of all callbacks, before training goes on; what they wrote can be read now."""

    def on_pause(self, training: "Training", stopping: bool) -> None:
        """Called after `on_batch_end` of all callbacks, and after `on_evaluation_end` of all callbacks.

        The state of training is consistent then, so `training.save(path)` may be called. `stopping` is True if nothing
        follows: the last epoch is over, a callback set `stop_training`, or there was Ctrl-C.
        """

    def on_not_finite(self, error: NonFiniteError) -> None:
        """Called when a step was not taken because its loss or gradient was not finite.

        `fit` then raises `error`, unless a callback sets its `stop_training`: then training ends as after its last
        epoch.
        """

    def on_train_end(self) -> None:
        """Called after the last step, or after an interruption, which may come between any two of the other calls."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint stores of this callback: a dict of numbers and arrays.

        From a checkpoint `minipixel.load` takes an array named `average/NAME` in place of the model's weight NAME.
        """
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Called after `on_train_begin` when training is resumed, with what `state` returned."""

    def __repr__(self) -> str:
        return as_made(self)
