"""What happens when something goes wrong on one rank: mpiexec -n 3 python failing_rank.py FOLDER HOW ...

One training after another goes wrong, in the way that each HOW names; rank 0 prints what every rank saw of it. So they
also show that ranks can go on together after an error.
"""

import sys
import time
from pathlib import Path

import minipixel as mp
from minipixel import ranks

FOLDER, *WAYS = sys.argv[1:]
WORLD = ranks.world()
DIGITS = mp.datasets.load("digits")


class Trouble(mp.callbacks.Callback):
    """Makes trouble in the third step, on one of the ranks."""

    def __init__(self, how):
        self.how, self.steps, self.started = how, 0, False

    def on_train_begin(self, model, images_in_all):
        self.model, self.started = model, True

    def on_batch_end(self, epoch, images, logs):
        self.steps += 1
        if self.steps == 3:
            self.act()

    def act(self):
        if self.how == "bug" and WORLD.rank == 1:
            raise KeyError("x")
        if self.how == "disk" and WORLD.rank == 0:
            raise OSError(28, "No space left on device", "log.csv")
        if self.how == "apart" and WORLD.rank == 2:
            next(iter(self.model.parameters())).data[...] *= 1.001
        if self.how == "stop" and WORLD.rank == 1:
            self.stop_training = True
        if self.how == "hang" and WORLD.rank == 1:
            time.sleep(1000)

    def transform(self, images, rng):
        if self.how == "memory" and WORLD.rank == 2 and self.started:
            raise MemoryError("no room for a batch")
        return images

    def spoil(self, model):
        """From the first step on the losses of rank 1 are NaN."""
        loss = model.loss

        def spoiled(*arguments, **options):
            found = loss(*arguments, **options)
            if WORLD.rank == 1 and self.started:
                found.data = found.data * float("nan")
            return found

        model.loss = spoiled


def train(how):
    """One training; what came of it."""
    images = DIGITS.train.images[: 0 if how == "argument" else 200].copy()
    if how == "data" and WORLD.rank == 2:
        images[5, 0, 0, 0] ^= 1
    seed = WORLD.rank if how == "weights" else 0
    model, trouble = mp.models.PixelCNN((8, 8, 1), 17, hidden=8, blocks=2, rng=seed), Trouble(how)
    if how == "nan":
        trouble.spoil(model)
    watchers = [trouble, mp.callbacks.ModelCheckpoint(Path(FOLDER) / how, save_freq=1)]
    try:
        history = mp.fit(
            model, images, validation=DIGITS.validation.images[:40], epochs=2, batch_size=50, callbacks=watchers,
            transform=trouble.transform, workers=1, progress=False,
        )  # fmt: skip
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"ended after {history.epochs} epochs"


for how in WAYS:
    for rank, said in enumerate(WORLD.exchange("what was seen", train(how).encode())[0]):
        if WORLD.first:
            print(f"{how}, rank {rank}: {said.decode()}", flush=True)
