"""The callback TensorBoard: the numbers of training, and images that the model draws, for TensorBoard to show."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import plots
from minipixel.shown import as_made, short
from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.logs import training_goes_on
from minipixel.training.callbacks.sample_images import COLUMNS, Samples
from minipixel.training.checkpoints import whole


class TensorBoard(Callback):
    """Writes event files into `folder`: each number of each epoch by its name, and "samples", a grid of n images.

    `update_freq` is as in Keras: with "epoch" only the numbers of epochs are written; with "batch", or a number of
    steps, "batch_loss" and "batch_bits_per_dim" are written too, as means over the epoch so far. The horizontal axis is
    the number of steps taken. `every`, `n`, `rng` and `condition` are those of SampleImages; with `every=None` there
    are no images. A folder that cannot be written to raises OSError before the first step; if writing fails later,
    there is a warning, and it is tried again after the next epoch. When training is resumed, TensorBoard drops the
    numbers that came after the checkpoint. Raises ImportError if tensorboardX is missing: pip install
    "minipixel[tensorboard]".
    """

    reads_numbers = True
    writes = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        update_freq: int | str = "epoch",
        every: int | None = 1,
        n: int = 20,
        rng: Any = 0,
        condition: Any = None,
    ) -> None:
        whole = isinstance(update_freq, int) and not isinstance(update_freq, bool) and update_freq >= 1
        if update_freq not in ("epoch", "batch") and not whole:
            raise ValueError(f"update_freq: got {short(update_freq)}, wanted 'epoch', 'batch', or a number of steps")
        self.folder, self.update_freq = Path(folder), 1 if update_freq == "batch" else update_freq
        self._samples = Samples(every, n, rng, condition)
        try:
            import tensorboardX  # noqa: F401
        except ImportError as error:
            raise ImportError('TensorBoard: tensorboardX is missing; pip install "minipixel[tensorboard]"') from error

    def __repr__(self) -> str:
        return as_made(self, part=self._samples)

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Make the folder, and a new event file in it."""
        # Its SummaryWriter writes from a thread of its own: on a full disk that dies unheard, and training would hang
        # as soon as the queue to it is full. This one writes, and fails, where it is called.
        from tensorboardX.record_writer import RecordWriter

        self._samples.begin(model)
        self._levels, self._steps = model.levels, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = RecordWriter(str(self.folder / f"events.out.tfevents.{time.time_ns()}"))
        self._write(file_version="brain.Event:2")
        self._file.flush()

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """Count the step, and write its numbers if they are due."""
        self._steps += 1
        if not isinstance(self.update_freq, str) and self._steps % self.update_freq == 0:
            with training_goes_on("TensorBoard", "it is tried again"):
                self._write_scalars({f"batch_{name}": value for name, value in logs.items()})

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write the epoch's numbers, and images if they are due."""
        from tensorboardX import summary

        with training_goes_on("TensorBoard", "it is tried again"):
            self._write_scalars(logs)
            if self._samples.due(epoch):
                grid = plots.mosaic(self._samples.draw(), self._levels, columns=min(COLUMNS, self._samples.n))
                pixels = np.rint(255 * grid).astype(np.uint8)
                self._write(summary=summary.image("samples", pixels, dataformats="HWC"))
            self._file.flush()

    def on_train_end(self) -> None:
        """Close the file."""
        with training_goes_on("TensorBoard", "its last numbers are lost"):
            self._file.close()

    def state(self) -> dict[str, Any]:
        """The number of steps taken."""
        return {"steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on counting from there, and let TensorBoard drop later numbers of an earlier file."""
        from tensorboardX.proto.event_pb2 import SessionLog

        self._steps = whole(state["steps"])
        self._write(1, session_log=SessionLog(status=SessionLog.START))

    def _write_scalars(self, logs: dict[str, float]) -> None:
        from tensorboardX import summary

        for name, value in logs.items():
            self._write(summary=summary.scalar(name, value))

    def _write(self, ahead: int = 0, **content: Any) -> None:
        """Write one event, at the number of steps taken plus `ahead`."""
        from tensorboardX.proto.event_pb2 import Event

        event = Event(step=self._steps + ahead, wall_time=time.time(), **content)
        self._file.write(event.SerializeToString())
