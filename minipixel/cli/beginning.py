"""The beginning of a training: its loss before the first step, beside that of equal probabilities; whether it falls."""

import math
from typing import Any

import numpy as np

from minipixel import console
from minipixel.cli.notes import note
from minipixel.training import Callback

IMAGES = 64
"""How many training images the loss before the first step is of."""

STEPS, QUARTER = 100, 25
"""The last quarter of so many first steps is compared with the first."""


class Beginning(Callback):
    """Prints the loss of training images (N, H, W, C) before the first step; warns if the first 100 do not lower it.

    Losses vary from batch to batch, and the first ones may be extreme. So pairs of one of the first 25 steps and one of
    the last 25 are compared: in two thirds of all pairs the later loss must be lower. If the loss did not change at
    all, this would happen by chance once in fifty times (Mann and Whitney 1947).
    """

    writes = True

    def __init__(self, images: np.ndarray, labels: np.ndarray | None) -> None:
        some = np.linspace(0, len(images) - 1, min(len(images), IMAGES)).astype(int)  # of sets sorted by class, all
        self.images, self.labels = images[some], None if labels is None else labels[some]

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Print the loss. This draws no random numbers, so the training stays the same."""
        self._losses: list[float] = []
        self._before = 0, 0.0  # images and nats of this epoch so far
        self._sub_pixels = S = math.prod(model.image_shape)
        nats, nothing = -float(model.log_prob(self.images, self.labels).mean()), math.log(model.levels)
        line = (
            f"start   {nats / S:.3f} nats per sub-pixel, {nats:.2f} per image; with equal probabilities it is log "
            f"{model.levels} = {nothing:.3f}, {S * nothing:.2f} per image"
        )
        with console.above_bars():
            print(line, flush=True)

    def on_epoch_begin(self, epoch: int, optimizer: Any) -> None:
        """Start again, since the means that are reported begin anew in each epoch."""
        self._before = 0, 0.0
        self._optimizer = optimizer

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """Note the loss of this step, computed from the mean over the epoch so far; compare after the hundredth."""
        if len(self._losses) == STEPS:
            return
        seen, nats = self._before
        self._before = seen + images, logs["loss"] * (seen + images)
        self._losses.append((self._before[1] - nats) / images)
        if len(self._losses) == STEPS:
            self._compare(logs["gradient_norm"])

    def _compare(self, norm: float) -> None:
        first, last = (
            np.array(self._losses[part]) / self._sub_pixels for part in (slice(QUARTER), slice(-QUARTER, None))
        )
        if not (first[:, None] > last).mean() > 2 / 3:
            note(
                f"the loss does not fall: {first.mean():.4g} nats per sub-pixel in steps 1 to {QUARTER}, "
                f"{last.mean():.4g} in steps {STEPS - QUARTER + 1} to {STEPS}, with gradients of norm {norm:.3g}; the "
                f"learning rate is {self._optimizer.rate:.3g}, so try --learning-rate with ten times that, or a tenth; "
                "log.csv has both"
            )
