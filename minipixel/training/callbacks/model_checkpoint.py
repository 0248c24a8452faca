"""ModelCheckpoint: saves the whole state of training regularly, in files from which it can be resumed."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minipixel import console
from minipixel.files import Claim, write_atomically
from minipixel.models.checks import MANY, check_choice, check_count, check_flag
from minipixel.optim import Optimizer
from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.logs import MODES, better, monitored, worst
from minipixel.training.checkpoints import in_folder

if TYPE_CHECKING:
    from minipixel.training.training import Training

SUFFIX = ".safetensors"
OF_OTHERS = (".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".keras", ".pkl", ".npz", ".bin")
"""What files of weights are called elsewhere: no names for a folder."""


class ModelCheckpoint(Callback):
    """Saves the whole state of training. `fit(..., resume=path)` continues it bit for bit; `mp.load` reads the model.

    `path` is a folder, which gets files checkpoint-EPOCH-STEP.safetensors, and in which the last `keep` of them remain;
    or it is one file, *.safetensors, which is replaced each time. `save_freq` is "epoch", or a number of steps. The
    state after the last step, and after a step during which Ctrl-C was pressed, is saved as well. With `save_best_only`
    an epoch is saved only if its `monitor`, a name in `History.history`, is below that of all epochs before, or above
    it if `mode` is "max".

    A full disk, or a folder that can no longer be written, does not end training: there is a warning, and at the end of
    training the state is saved in the system's temporary folder instead.
    """

    reads_numbers = True
    writes = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        monitor: str = "val_loss",
        save_best_only: bool = False,
        save_freq: str | int = "epoch",
        keep: int = 3,
        mode: str = "min",
    ) -> None:
        self.path, self.monitor = Path(path), monitor
        if self.path.suffix.lower() in OF_OTHERS:
            raise ValueError(f"path: got {str(path)!r}, wanted a folder, or one file *{SUFFIX}")
        self.save_best_only = check_flag("save_best_only", save_best_only)
        self.save_freq = save_freq if save_freq == "epoch" else check_count("save_freq", save_freq, 1, MANY)
        self.keep = check_count("keep", keep, 1)
        self.mode = check_choice("mode", mode, tuple(MODES))
        if save_best_only and save_freq != "epoch":
            raise ValueError(f"save_freq: got {save_freq} with save_best_only, wanted 'epoch'; no step has a {monitor}")

    @property
    def folder(self) -> Path:
        """The folder of the files."""
        return self.path.parent if self.path.suffix.lower() == SUFFIX else self.path

    def claims(self) -> list[Claim]:
        """The folder, or the file, that is written."""
        return [Claim(self.path, is_folder=self.path.suffix.lower() != SUFFIX)]

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Make the folder, and try to write to it.

        Raises OSError if it cannot be written, and ValueError for a model that a file cannot hold.
        """
        model.state_dict()  # ValueError for what could not be saved: now, not after an epoch
        self.best, self._better = worst(self.mode), False
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / ".checkpoint-probe", b"").unlink()

    def on_epoch_begin(self, epoch: int, optimizer: Optimizer) -> None:
        """Raise FileExistsError if a new training begins in a folder with the checkpoints of another one."""
        if epoch == 0 and self._files():
            raise FileExistsError(
                f"{self.path}: holds checkpoints; give resume={str(self.path)!r} to go on, or another folder, or "
                "remove them"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """See whether this epoch is the best so far. Raises ValueError if it does not report the monitored number."""
        if not self.save_best_only:
            return
        number = monitored(self.monitor, logs)
        self._better = better(number, self.best, self.mode)
        self.best = number if self._better else self.best

    def on_pause(self, training: "Training", stopping: bool) -> None:
        """Save, if a save is due at this step or epoch."""
        if self.save_best_only:
            due, self._better = self._better and training.position.step == 0, False
        elif self.save_freq == "epoch":
            due = stopping or training.position.step == 0
        else:
            due = stopping or (training.position.step > 0 and training.steps % int(self.save_freq) == 0)
        if due:
            self._save(training, stopping)

    def state(self) -> dict[str, Any]:
        """The best number so far, if only the best epoch is saved."""
        return {"best": self.best} if self.save_best_only else {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on with the best number of before."""
        self.best = float(state["best"])

    def _save(self, training: "Training", stopping: bool) -> None:
        at = training.position
        name = f"checkpoint-{at.epoch:05d}-{at.step:06d}{SUFFIX}"
        path = self.path if self.path.suffix.lower() == SUFFIX else self.path / name
        try:
            training.save(path)
        except OSError as error:
            rescued = self._rescue(training, name) if stopping else "; training goes on without it"
            console.warn(f"checkpoint: {path} could not be written: {error.strerror}{rescued}", stacklevel=2)
            return
        try:
            self._forget(path)
        except OSError as error:
            console.warn(f"checkpoint: {path} is written, older ones remain: {error.strerror}", stacklevel=2)

    def _rescue(self, training: "Training", name: str) -> str:
        """Save in the temporary folder, and return the end of the message that says where."""
        try:
            return f"; saved as {training.save(Path(tempfile.mkdtemp(prefix='minipixel-')) / name)} instead"
        except OSError as error:
            return f", nor in the temporary folder: {error.strerror}; only the model in memory has the result: save it"

    def _forget(self, newest: Path) -> None:
        """Remove all but the last few checkpoints up to the newest; later ones are not of this training."""
        files = self._files()
        for old in files[files.index(newest) + self.keep :] if newest in files else ():
            old.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        """The checkpoints in the folder, newest first; an empty list if `path` is a single file."""
        return [] if self.path.suffix.lower() == SUFFIX else in_folder(self.path)
