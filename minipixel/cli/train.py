"""`minipixel demo` and `minipixel train`: from a data set to a folder with a model, pictures and figures."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import datasets, plots
from minipixel.cli import architecture
from minipixel.cli.data import batch_transform, describe, histogram_bits_per_dim, in_turn, prepare
from minipixel.files import write_atomically
from minipixel.models import MODELS, Model
from minipixel.optim import OPTIMIZERS, Optimizer
from minipixel.training import EMA, Callback, History, Interrupted, fit

DEMO_EPOCHS = 20
SAMPLES = 30


def demo(arguments: argparse.Namespace) -> int:
    """Train a PixelCNN on the bundled digits, all 17 levels, for about a minute on two cores."""
    settings = {
        **{"model": "pixelcnn", "data": "digits", "root": None, "levels": None, "binarize": "static", "head": None},
        "mixtures": 5,
        **{"hidden": 32, "blocks": 5, "conditional": False, "batch_size": 64},
        **{"optimizer": "adam", "learning_rate": 2e-3, "clip_norm": None, "ema": None, "default_out": "minipixel-demo"},
    }
    return _run(argparse.Namespace(**{**vars(arguments), **settings}))


def train(arguments: argparse.Namespace) -> int:
    """Train any model on any data set."""
    return _run(argparse.Namespace(**vars(arguments), default_out=f"runs/{arguments.data}-{arguments.model}"))


def _run(settings: argparse.Namespace) -> int:
    ds = datasets.load(settings.data, settings.root)
    levels = settings.levels or ds.levels
    train_images = prepare(ds.train.images, ds.levels, levels, settings.binarize)
    test_images = prepare(ds.test.images, ds.levels, levels, settings.binarize)
    transform = batch_transform(ds.levels, levels, settings.binarize)
    options = architecture.chosen(settings) | {
        "head": settings.head,
        "mixtures": settings.mixtures,
        "rng": settings.seed,
    }
    labels, test_labels = (ds.train.labels, ds.test.labels) if settings.conditional else (None, None)
    model = MODELS[settings.model](
        ds.image_shape, levels, num_classes=len(ds.classes) if settings.conditional else None, **options
    )
    optimizer = _optimizer(settings)
    averages = [] if settings.ema is None else [EMA(settings.ema)]
    results = _ResultsFolder(settings.out, settings.default_out)
    print(f"data    {describe(ds, levels)}")
    print(f"model   {type(model).__name__}, {model.num_parameters:,} weights, {model.head.name} head")

    start, interrupted = time.perf_counter(), False
    try:
        history = fit(
            model,
            ds.train.images if transform else train_images,
            labels,
            validation=(test_images, test_labels),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            optimizer=optimizer,
            transform=transform,
            callbacks=[*averages, results],
            rng=settings.seed,
            workers=settings.workers,
        )
    except Interrupted as stop:
        history, interrupted = stop.history, True
    folder = results.path
    figures = {
        **{"model": model.name, "data": ds.name, "levels": levels, "parameters": model.num_parameters},
        **{"epochs": history.epochs, "seconds": round(time.perf_counter() - start, 1), "interrupted": interrupted},
        "histogram_bits_per_dim": histogram_bits_per_dim(train_images, test_images, levels),
        **_last(history),
    }
    model.save(folder / "model.safetensors")  # first, so that nothing that follows can lose it
    write_atomically(folder / "figures.json", json.dumps(figures, indent=2) + "\n")
    history.plot().savefig(folder / "loss.png")
    if interrupted:
        print(f"interrupted: the model so far is in {folder / 'model.safetensors'}", file=sys.stderr)
        return 130
    print(
        f"test    {figures['test_bits_per_dim']:.3f} bits/dim, {figures['test_nats_per_image']:.2f} nats an image "
        f"(a histogram of the levels: {figures['histogram_bits_per_dim']:.3f}) after {figures['seconds']:.0f} s"
    )
    _draw(model, test_images, folder / "samples.png", settings.seed)
    print(f"folder  {folder}: samples.png, loss.png, model.safetensors, figures.json")
    return 0


def _optimizer(settings: argparse.Namespace) -> Optimizer:
    options = {} if settings.learning_rate is None else {"learning_rate": settings.learning_rate}
    return OPTIMIZERS[settings.optimizer](**options, clip_norm=settings.clip_norm)


def _last(history: History) -> dict[str, Any]:
    """The figures of the last epoch, by names that say what they are; the test set's only if it was reached."""
    names = {
        **{"bits_per_dim": "train_bits_per_dim", "loss": "train_nats_per_image"},
        **{"val_bits_per_dim": "test_bits_per_dim", "val_loss": "test_nats_per_image"},
    }
    return {name: history.history[key][-1] for key, name in names.items() if key in history.history}


def _draw(model: Model, real: np.ndarray, path: Path, seed: int) -> None:
    print(f"drawing {SAMPLES} images", flush=True)
    generated = model.sample(SAMPLES, in_turn(model, SAMPLES), rng=seed)
    plots.sample_grid(real, generated, model.levels).savefig(path)


class _ResultsFolder(Callback):
    """The folder for the results: made and tried once `fit` has accepted all else, before it takes its first step.

    One that was asked for must not hold a model already (FileExistsError); else the next free name is taken.
    """

    def __init__(self, wanted: str | None, default: str) -> None:
        self.path = Path(wanted or default)
        number = 2
        while wanted is None and self.path.exists():
            self.path = Path(f"{default}-{number}")
            number += 1
        if (self.path / "model.safetensors").exists():
            raise FileExistsError(f"{self.path}: holds a model already; give --out another folder, or remove that one")

    def on_train_begin(self, model: Model, images_in_all: int) -> None:
        """Make the folder and write to it. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "figures.json", "{}\n")
