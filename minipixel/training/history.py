"""What training remembers: one number per epoch for each quantity."""

import math
from typing import Any


class History:
    """The numbers of each epoch: `history` maps a name to a list with one entry per epoch.

    Names: "loss" (nats per image), "bits_per_dim", "gradient_norm" (that of all weights together, before any clipping,
    the mean over the epoch's steps), "learning_rate" (that of the epoch's last step), "seconds"; with validation data
    "val_loss", "val_bits_per_dim"; and whatever a callback adds to the logs of an epoch. NaN stands for an epoch that
    had none of a number that a later epoch has.
    That of `fit_embedding` has one entry per step instead: "loss", the triplet loss of its batch.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def append(self, logs: dict[str, float]) -> None:
        """Add the numbers of one epoch."""
        self._put(logs, self.epochs)

    def revise(self, logs: dict[str, float]) -> None:
        """Put these numbers, of which some may be new, in the place of those of the last epoch."""
        self._put(logs, self.epochs - 1)

    def _put(self, logs: dict[str, float], epoch: int) -> None:
        for name, value in logs.items():
            values = self.history.setdefault(name, [])
            values += [math.nan] * (epoch - len(values))
            values[epoch:] = [value]

    @property
    def epochs(self) -> int:
        """How many epochs are in it."""
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
