"""What happens when something goes wrong on one rank: mpiexec -n 3 python failing_rank.py HOW FOLDER."""

import sys
import time

import minipixel as mp
from minipixel import ranks

HOW, FOLDER = sys.argv[1:]
WORLD = ranks.world()


class Trouble(mp.callbacks.Callback):
    """Makes trouble in the third step, on one of the ranks."""

    steps = 0

    def on_batch_end(self, epoch, images, logs):
        self.steps += 1
        time.sleep(0.2 if HOW == "slow" else 0)
        if self.steps != 3:
            return
        if HOW == "bug" and WORLD.rank == 1:
            raise KeyError("x")
        if HOW == "disk" and WORLD.rank == 0:
            raise OSError(28, "No space left on device", "log.csv")
        if HOW == "apart" and WORLD.rank == 2:
            next(iter(model.parameters())).data[...] *= 1.001
        if HOW == "stop" and WORLD.rank == 1:
            self.stop_training = True
        if HOW == "hang" and WORLD.rank == 1:
            time.sleep(1000)


def transform(images, rng):
    if HOW == "memory" and WORLD.rank == 2 and Trouble.started:
        raise MemoryError("no room for a batch")
    return images


Trouble.started = False
ds = mp.datasets.load("digits")
images, validation = ds.train.images[:300].copy(), ds.validation.images[:40]
model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=8, blocks=2, rng=WORLD.rank if HOW == "weights" else 0)
if HOW == "data" and WORLD.rank == 2:
    images[5, 0, 0, 0] ^= 1
if HOW == "argument":
    images = images[:0]


class Started(mp.callbacks.Callback):
    def on_train_begin(self, model, images_in_all):
        Trouble.started = True


loss = model.loss
if HOW == "nan":

    def broken(*arguments, **options):
        found = loss(*arguments, **options)
        if WORLD.rank == 1 and Trouble.started:
            found.data = found.data * float("nan")
        return found

    model.loss = broken

watchers = [Started(), Trouble(), mp.callbacks.ModelCheckpoint(FOLDER, save_freq=1)]
try:
    history = mp.fit(
        model, images, validation=validation, epochs=40 if HOW == "slow" else 3, batch_size=50, callbacks=watchers,
        transform=transform, workers=1, progress=HOW == "slow",
    )  # fmt: skip
    print(f"rank {WORLD.rank} ended after {history.epochs} epochs", flush=True)
except KeyboardInterrupt as error:
    print(f"rank {WORLD.rank}: {type(error).__name__}", flush=True)
    sys.exit(130)
except Exception as error:
    print(f"rank {WORLD.rank}: {type(error).__name__}: {error}", flush=True)
    sys.exit(2)
