"""A training with everything on that could depend on where it stopped, small enough to be killed many times."""

import hashlib

import numpy as np

import minipixel as mp
from minipixel.training import EMA, LearningRate, ModelCheckpoint

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (22, 4, 4, 1)).astype(np.uint8)
LABELS = RNG.integers(0, 3, 22)
EPOCHS, BATCH, STEPS = 3, 6, 4
"""Of 22 images in batches of 6: four steps per epoch, the last of four images."""


def pixelcnnpp(**options):
    """Dropout, weight normalisation with its first batch, conditions; float32."""
    sizes = {"filters": 3, "resnets": 1, "hierarchies": 2, "dropout": 0.3, "mixtures": 2, "num_classes": 3}
    return mp.models.PixelCNNpp((4, 4, 1), 4, **sizes | options)


def pixelcnn(**options):
    """Dropout too, and the quickest to take a step."""
    return mp.models.PixelCNN((4, 4, 1), 4, **{"hidden": 2, "blocks": 1, "dropout": 0.3, "num_classes": 3} | options)


def flip(images, rng):
    return images[:, :, ::-1] if rng.random() < 0.5 else images


def train(folder=None, model=None, callbacks=(), save_freq="epoch", **options):
    """Train, or go on if there is something in the folder; all that must come out the same, whatever happened."""
    model = model or pixelcnn()
    saving = [] if folder is None else [ModelCheckpoint(folder, save_freq=save_freq)]
    options = {
        "validation": (IMAGES[:4], LABELS[:4]),
        "epochs": EPOCHS,
        "batch_size": BATCH,
        "optimizer": mp.optim.Nadam(4e-3),
        "transform": flip,
        "progress": False,
        "resume": folder,
        "workers": 1,
    } | options
    changing = [EMA(0.9), LearningRate(lambda epoch, rate: 0.7 * rate)]
    history = mp.fit(model, IMAGES, LABELS, callbacks=[*changing, *saving, *callbacks], **options)
    return outcome(model.state_dict(), options["optimizer"].state_dict(), history.history)


def outcome(weights, optimizer, history):
    """A digest of each: bits, not numbers. Seconds are no part of it."""
    history = {name: np.array(values, np.float64) for name, values in history.items() if name != "seconds"}
    numbers = {name: np.array(value) for name, value in optimizer.items()}
    return {
        kind: _digest(arrays) for kind, arrays in (("weights", weights), ("optimizer", numbers), ("history", history))
    }


def _digest(arrays):
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
