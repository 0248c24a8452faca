"""SampleImages: pictures that a model draws while it is trained."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import plots
from minipixel.files import Claim, write_atomically
from minipixel.models.checks import MANY, check_count
from minipixel.shown import as_made
from minipixel.training.callbacks.callback import Callback
from minipixel.training.callbacks.logs import training_goes_on

COLUMNS = 10


class Samples:
    """Draws n images after every `every` epochs (None: never), always from the same `rng` and `condition`.

    If `rng` is an int or a SeedSequence, the same uniform numbers are used each time, so pictures differ only by what
    the model has learnt. A model with classes draws all classes in turn if `condition` is None.
    """

    def __init__(self, every: int | None, n: int, rng: Any, condition: Any) -> None:
        self.every = None if every is None else check_count("every", every, 1, MANY)
        self.n, self.rng, self.condition = check_count("n", n, 1), rng, condition

    def begin(self, model: Any) -> None:
        """Take the model. Raises ValueError if the condition is not of the model's kind."""
        self._model = model
        self._condition = model.conditions.in_turn(self.n) if self.condition is None else self.condition
        if self.every is not None:
            model.conditions.checked(self._condition, self.n)

    def due(self, epoch: int) -> bool:
        """Whether images are drawn after that epoch, counted from 0."""
        return self.every is not None and (epoch + 1) % self.every == 0

    def draw(self) -> np.ndarray:
        """The images: integers (n, H, W, C)."""
        return self._model.sample(self.n, self._condition, rng=self.rng)


class SampleImages(Callback):
    """Draws n images after every `every` epochs into `folder`, as epoch-0001.png and so on; epochs count from 1.

    If `rng` is an int or a SeedSequence, the same uniform numbers are used each time, so pictures differ only by what
    the model has learnt. `condition` has the conditions of the n images; a model with classes draws all classes in turn
    if it is None. A folder that cannot be written to raises OSError before the first step; if writing fails later,
    there is a warning, and that picture is missing. Together with `EMA` the averaged weights draw. The steps of
    training are the same as without this callback.
    """

    writes = True

    def __init__(
        self, folder: str | os.PathLike[str], every: int = 1, n: int = 20, rng: Any = 0, condition: Any = None
    ) -> None:
        self.folder, self._samples = Path(folder), Samples(check_count("every", every, 1, MANY), n, rng, condition)

    def __repr__(self) -> str:
        return as_made(self, part=self._samples)

    def claims(self) -> list[Claim]:
        """The folder that is written."""
        return [Claim(self.folder, is_folder=True)]

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Make the folder, and try to write to it."""
        self._samples.begin(model)
        self._levels = model.levels
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / ".writable", "").unlink()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Draw, if images are due after this epoch."""
        if self._samples.due(epoch):
            images, columns = self._samples.draw(), min(COLUMNS, self._samples.n)
            picture = plots.png(plots.image_grid(images, self._levels, columns=columns, title=f"epoch {epoch + 1}"))
            with training_goes_on("SampleImages", "without that picture"):
                write_atomically(self.folder / f"epoch-{epoch + 1:04}.png", picture)
