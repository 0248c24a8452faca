"""A digest of all that training and drawing give, per model: mpiexec -n R python same_bits.py WORKERS MODEL ...

With SAME_BITS_FOLDER in the environment it saves a checkpoint after every step there, goes on from what is there, and
takes one step of each model before it ends as after Ctrl-C.
"""

import hashlib
import os
import sys

import numpy as np
from model_table import SMALL

import minipixel as mp
from minipixel import ranks

WORKERS, *NAMES = sys.argv[1:]
FOLDER = os.environ.get("SAME_BITS_FOLDER")
LAST = int(os.environ.get("SAME_BITS_STEPS", "1000"))


class Stops(mp.callbacks.Callback):
    """Ends the training after so many steps of this run."""

    def on_train_begin(self, model, images_in_all):
        self.left = LAST
        self.stop_training = False

    def on_batch_end(self, epoch, images, logs):
        self.left -= 1
        self.stop_training = self.left == 0


def digest(name):
    dropout = {"dropout": 0.2} if name in ("pixelcnn", "pixelcnnpp") else {}
    model = mp.models.MODELS[name]((8, 8, 1), 17, num_classes=10, rng=1, **SMALL[name], **dropout)
    ds = mp.datasets.load("digits")
    images, labels = ds.train.images[:90], ds.train.labels[:90]
    callbacks = [mp.callbacks.EMA(0.9), mp.callbacks.EarlyStopping(patience=1), Stops()]
    folder = None if FOLDER is None else os.path.join(FOLDER, name)  # noqa: PTH118
    if folder:
        callbacks.append(mp.callbacks.ModelCheckpoint(folder, save_freq=1))
    history = mp.fit(
        model, images, labels, validation=(ds.validation.images[:30], ds.validation.labels[:30]), epochs=2,
        batch_size=40, optimizer=mp.optim.Adam(0.01, clip_norm=0.5), sample_weight=np.linspace(0, 2, 90),
        transform=lambda batch, rng: np.where(rng.random(batch.shape) < 0.05, 0, batch), callbacks=callbacks, rng=3,
        workers=int(WORKERS), progress=False, resume=folder,
    )  # fmt: skip
    with ranks.together():
        drawn = model.sample(9, np.arange(9), rng=0)
        likely = model.log_prob(drawn, np.arange(9))
    sha = hashlib.sha256(drawn.tobytes() + likely.tobytes())
    for parameter in model.parameters():
        sha.update(parameter.data.tobytes())
    del history.history["seconds"]
    sha.update(repr(history.history).encode())
    return sha.hexdigest()[:16]


for name in NAMES:
    for found in ranks.world().exchange("digest", digest(name).encode())[0]:
        if ranks.world().first:  # one process prints for all, so that no line is cut in two by another
            print(name, found.decode(), flush=True)
