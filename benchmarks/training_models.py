"""The six models that benchmarks/training.py times, their batches, and one fit of ours with a time for every step."""

import time

import numpy as np

import minipixel as mp

# name on the command line -> (name of model and twin, its options, batch, levels)
ROWS = {
    "pixelcnn-h16": ("pixelcnn", {"hidden": 16, "blocks": 7}, 64, 2),
    "pixelcnn-h32": ("pixelcnn", {"hidden": 32, "blocks": 7}, 64, 2),
    "gated": ("gated", {"filters": 32, "layers": 7}, 64, 2),
    "row-lstm": ("row-lstm", {"hidden": 16, "layers": 7}, 64, 2),
    "diagonal-bilstm": ("diagonal-bilstm", {"hidden": 16, "layers": 7}, 64, 2),
    "pixelcnnpp": ("pixelcnnpp", {"filters": 32, "resnets": 2, "hierarchies": 2}, 16, 256),
}
WITHOUT_TWIN = {
    "multi-scale": ("multi-scale", {"hidden": 16, "layers": 3}, 64, 2),
}
OURS_ALONE = {
    "diagonal-bilstm": {"phantom_column": False},  # the twin is the model as published
    "pixelcnnpp": {"mixtures": 5, "dropout": 0.5},  # as in the twin
}


def ours(row, side=28):
    """An untrained model for side x side images, brought into range by a batch where it asks for that."""
    kind, options, _, levels = (ROWS | WITHOUT_TWIN)[row]
    model = mp.models.MODELS[kind]((side, side, 1), levels, **options, **OURS_ALONE.get(kind, {}))
    if not model.initialized:
        model.initialize(noise(row, 1, side))
    return model


def certain(row, side=28, shift=-85):
    """The same, nearly certain that images are blank: its last bias is moved so far that gradients become denormal.

    It is the only logit; or, of a mixture, the bias of the means, which then lie far below the lowest level.
    """
    model = ours(row, side)
    bias = [parameter for name, parameter in model.named_parameters() if name.endswith("bias")][-1]
    M = model.mixtures
    moved = slice(M, 2 * M) if model.head.joins_colours else slice(None)
    bias.data = bias.data.copy()
    bias.data[moved] += np.float32(shift)
    return model


def blank(row, n, side=28):
    """Images of level 0 alone."""
    return np.zeros_like(noise(row, n, side))


def noise(row, n, side=28):
    """Images of independent sub-pixels, integers (n, side, side, 1): no time depends on what they show."""
    levels = (ROWS | WITHOUT_TWIN)[row][3]
    return np.random.default_rng(0).integers(0, levels, (n, side, side, 1), dtype=np.uint8)


class Stamps(mp.callbacks.Callback):
    """When an epoch began, and when each of its steps was done."""

    def on_epoch_begin(self, epoch, optimizer):
        self.times = [time.perf_counter()]

    def on_batch_end(self, epoch, images, logs):
        self.times.append(time.perf_counter())


def fit(model, images, batch, optimizer, workers=None, condition=None):
    """Seconds of each step of one epoch: the time from one step's end to the next one's."""
    stamps = Stamps()
    mp.fit(
        model,
        images,
        condition,
        epochs=1,
        batch_size=batch,
        optimizer=optimizer,
        callbacks=[stamps],
        workers=workers,
        progress=False,
    )
    return np.diff(stamps.times)
