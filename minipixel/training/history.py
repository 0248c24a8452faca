"""What training remembers: one number an epoch for each quantity."""

from typing import Any


class History:
    """`history` maps "loss", "bits_per_dim", "seconds" and, with validation data, "val_loss" and "val_bits_per_dim"
    to lists with one entry an epoch. Losses are nats an image.
    """  # noqa: D205, D209

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}

    def append(self, logs: dict[str, float]) -> None:
        """Add the numbers of one epoch."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    @property
    def epochs(self) -> int:
        """How many epochs are in it."""
        return len(self.history.get("loss", ()))

    def plot(self) -> Any:
        """The loss curves as a matplotlib Figure: bits/dim against epochs, training and validation."""
        from minipixel import plots

        return plots.loss_curve(self.history)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self.history.items())
        return f"History({self.epochs} epochs: {last})"
