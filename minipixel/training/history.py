"""The class History: the numbers that training reports, one per epoch for each quantity."""

import math
from typing import Any


class History:
    """The numbers of a training: `history` is a dict of lists, which have one entry per epoch.

    Its names are "loss" (nats per image), "bits_per_dim", "gradient_norm" (the norm of the gradient of all weights
    together, before any clipping, as a mean over the epoch's steps), "learning_rate" (that of the epoch's last step)
    and "seconds"; with validation data also "val_loss" and "val_bits_per_dim"; and the names of all numbers that
    callbacks add. An epoch that lacks a number which a later epoch has gets NaN for it.
    The History of `fit_embedding` has one entry per step instead: "loss", the triplet loss of the step's batch.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def append(self, logs: dict[str, float]) -> None:
        """Add the numbers of one epoch."""
        self._put(logs, self.epochs)

    def revise(self, logs: dict[str, float]) -> None:
        """Replace the numbers of the last epoch by these, some of which may be new."""
        self._put(logs, self.epochs - 1)

    def _put(self, logs: dict[str, float], epoch: int) -> None:
        for name, value in logs.items():
            values = self.history.setdefault(name, [])
            values += [math.nan] * (epoch - len(values))
            values[epoch:] = [value]

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return len(self.history.get("loss", ()))

    def plot(self) -> Any:
        """The loss curves as a matplotlib Figure: bits/dim against epochs, training and validation."""
        from minipixel import plots

        return plots.loss_curve(self.history)

    def __repr__(self) -> str:
        unit = "epoch" if "bits_per_dim" in self.history else "step"
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({self.epochs} {unit}{'s' * (self.epochs != 1)}{': ' * bool(last)}{last})"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the plot, once there is something to plot."""
        from minipixel import plots

        return plots.png(self.plot()) if self.epochs else None
