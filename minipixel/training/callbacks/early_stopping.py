"""EarlyStopping: ends a training that no longer gets better."""

import math
from typing import Any

import numpy as np

from minipixel.models.checks import MANY, check_choice, check_count, check_flag
from minipixel.shown import short
from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.logs import MODES, better, monitored, worst
from minipixel.training.checkpoints import finite, whole


class EarlyStopping(Callback):
    """Stops training after `patience` epochs in a row without a new best. Names, arguments and counting are Keras's.

    `monitor` is any name in `History.history`, also of a number that a callback adds. `mode` "min" means that smaller
    is better, as it is for all losses; "max" means that larger is better. An epoch is a new best if its number is
    better than the best so far by more than `min_delta`; NaN never is. With `restore_best_weights` the model ends with
    the weights of its best epoch, whether training was stopped, was interrupted, or came to its last epoch; together
    with `EMA` these are the averaged weights. Afterwards `best` is the best number, and `best_epoch` and
    `stopped_epoch` are epochs, counted from 0, or None.
    """

    reads_numbers = True

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        restore_best_weights: bool = False,
        mode: str = "min",
    ) -> None:
        if not (isinstance(min_delta, (int, float, np.number)) and 0 <= min_delta < math.inf):
            raise ValueError(f"min_delta: got {short(min_delta)}, wanted a number of at least 0")
        self.monitor, self.min_delta = monitor, float(min_delta)
        self.patience = check_count("patience", patience, 0, MANY)
        self.restore_best_weights = check_flag("restore_best_weights", restore_best_weights)
        self.mode = check_choice("mode", mode, tuple(MODES))

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Forget any training before this one."""
        self._model = model
        self._weights: dict[str, np.ndarray] = {}  # of the best epoch
        self.best, self.wait = worst(self.mode), 0
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Compare the number with the best one so far. Raises ValueError if the epoch does not report it."""
        number = monitored(self.monitor, logs)
        if better(number, self.best, self.mode, self.min_delta):
            self.best, self.best_epoch, self.wait = number, epoch, 0
            self._weights = self._model.state_dict() if self.restore_best_weights else {}
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch, self.stop_training = epoch, True

    def on_train_end(self) -> None:
        """Give the model its best weights, if `restore_best_weights` is set and there was a best epoch."""
        if self._weights:
            self._model.load_state_dict(self._weights)
        self._weights = {}

    def state(self) -> dict[str, Any]:
        """The best number so far, its weights, and how many epochs have passed since."""
        best = None if self.best_epoch is None else self.best
        known = {"best": best, "best_epoch": self.best_epoch, "stopped_epoch": self.stopped_epoch}
        return {
            "wait": self.wait,
            **{name: value for name, value in known.items() if value is not None},
            **{f"best/{name}": weight for name, weight in self._weights.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on counting; a training that had been stopped is stopped again."""
        self.wait, self.best = whole(state["wait"]), finite(state["best"]) if "best" in state else worst(self.mode)
        self.best_epoch = whole(state["best_epoch"]) if "best_epoch" in state else None
        self.stopped_epoch = whole(state["stopped_epoch"]) if "stopped_epoch" in state else None
        self._weights = {name[5:]: weight for name, weight in state.items() if name.startswith("best/")}
        wanted = {name: weight.shape for name, weight in self._model.state_dict().items()} if self._weights else {}
        if {name: weight.shape for name, weight in self._weights.items()} != wanted:
            raise ValueError("best: got other weights than those of the model")
        self.stop_training = self.stopped_epoch is not None
