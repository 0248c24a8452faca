"""`minipixel train`: from a data set to a folder with a model, pictures and figures."""

import argparse
import json
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import plots
from minipixel.cli import architecture, config
from minipixel.cli.beginning import Beginning
from minipixel.cli.boxed import in_the_box
from minipixel.cli.data import batch_transform, describe, histogram_bits_per_dim, prepare
from minipixel.cli.notes import note, say
from minipixel.cli.output import write
from minipixel.cli.pictures import is_named, load_data, remembered, short_name
from minipixel.cli.rates import base_rate, decay_of, optimizer_of
from minipixel.cli.run_folder import RunFolder, files, made_with, repeat_command
from minipixel.cli.start_from import digest, take_weights
from minipixel.datasets.augment import Transform, augmentation, in_turn
from minipixel.datasets.npy import read_npy
from minipixel.errors import NonFiniteError
from minipixel.models import MODELS, Model
from minipixel.models.checks import check_weights
from minipixel.ranks import now
from minipixel.training import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    Interrupted,
    ModelCheckpoint,
    SampleImages,
    TensorBoard,
    fit,
)
from minipixel.training.checkpoints import in_folder

SAMPLES = 30
MODEL = "model.safetensors"


def settings_file(arguments: argparse.Namespace) -> Path | None:
    """The file with the settings that are not on the command line: that of --config, or that of a run to resume."""
    if getattr(arguments, "config", None) is not None:
        return Path(arguments.config)
    if getattr(arguments, "resume", None) is not None:
        if arguments.out is not None:
            raise ValueError("--out: got a folder with --resume, wanted none; a run goes on in its own")
        if getattr(arguments, "from") is not None:
            raise ValueError("--from: got a model with --resume, wanted none; a run goes on with its own weights")
        return Path(arguments.resume) / "config.toml"
    return None


def train(arguments: argparse.Namespace) -> int:
    """Train any model on any data set, and print its result on the validation images; test images are not used."""
    return run(
        argparse.Namespace(
            **vars(arguments), test=False, default_out=f"runs/{short_name(arguments.data)}-{arguments.model}"
        )
    )


def run(settings: argparse.Namespace, first: Callable[[Path], None] | None = None) -> int:
    """Train as the settings say. `first` is called with the new folder before anything else is written into it."""
    ds = now().in_turn("data", lambda: load_data(settings))  # what one rank downloads is there for those after it
    levels = ds.levels if settings.levels is None else settings.levels
    train_images = prepare(ds.train.images, ds.levels, levels, settings.binarize)
    held_out = prepare(ds.validation.images, ds.levels, levels, settings.binarize)
    drawn = batch_transform(ds.levels, levels, settings.binarize)
    transform = _in_turn(None if settings.augment is None else augmentation(settings.augment), drawn)
    options = architecture.chosen(settings) | {
        "head": settings.head,
        "mixtures": settings.mixtures,
        "inputs": settings.inputs,
        "embedding_width": settings.embedding_width,
        "rng": settings.seed,
    }
    labels, of_held_out = (ds.train.labels, ds.validation.labels) if settings.conditional else (None, None)
    model = MODELS[settings.model](
        ds.image_shape, levels, num_classes=len(ds.classes) if settings.conditional else None, **options
    )
    sample_weight = _sample_weight(settings, len(train_images))
    model.pictures = remembered(ds, model, settings.binarize)
    optimizer = optimizer_of(settings, len(train_images))
    source, resumed = getattr(settings, "from"), settings.resume is not None
    if source is not None and not (resumed and any(in_folder(Path(settings.resume) / "checkpoints"))):
        take_weights(model, source)
    model.to(settings.device)
    with RunFolder(settings.out, settings.default_out, settings.resume) as folder:
        if first is not None:
            first(folder.path)
        versions = made_with(ds, model.device)
        if source is not None and not resumed:
            versions["from_sha256"] = digest(source)
        elif "from_sha256" in settings.made_with:  # the file may be another one by now; it is no longer needed
            versions["from_sha256"] = settings.made_with["from_sha256"]
        folder.explain(_in_full(settings, model), versions)
        watchers = _watchers(settings, folder)
        if source is None and not resumed:
            watchers.append(Beginning(train_images, labels))
        stopping = None
        if settings.patience is not None:
            stopping = EarlyStopping(patience=settings.patience, restore_best_weights=True)
            watchers.append(stopping)
        print(f"data    {describe(ds, levels)}")
        print(f"model   {type(model).__name__}, {model.num_parameters:,} weights, {model.head.name} head", flush=True)
        for name, then in settings.made_with.items():
            if then != versions.get(name):
                note(f"{name}: was {then} then, is {versions.get(name)} now; the bits may differ")

        start, stop = time.perf_counter(), None
        try:
            history = fit(
                model,
                ds.train.images if drawn else train_images,
                labels,
                validation=(held_out, of_held_out),
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                optimizer=optimizer,
                transform=transform,
                sample_weight=sample_weight,
                trainable=settings.trainable,
                callbacks=watchers,
                rng=settings.seed,
                workers=settings.workers,
                resume=settings.resume and folder.checkpoints,
            )
        except (Interrupted, NonFiniteError) as early:
            history, stop = early.history, early
        except Exception:
            if folder.begun:
                _save(model, folder.path / MODEL)
                note(f"the model so far is in {folder.path / MODEL}")
            raise
        figures = {
            **{"model": model.name, "data": ds.name, "levels": levels, "parameters": model.num_parameters},
            **{"epochs": history.epochs, "seconds": round(time.perf_counter() - start, 1)},
            **{"interrupted": isinstance(stop, Interrupted), "diverged": isinstance(stop, NonFiniteError)},
            "histogram_bits_per_dim": histogram_bits_per_dim(train_images, held_out, levels),
            **_figures(history, None if stopping is None else stopping.best_epoch),
        }
        path = folder.path
        _save(model, path / MODEL)  # first, so that nothing that follows can lose it
        if settings.test and stop is None:
            images = prepare(ds.test.images, ds.levels, levels, settings.binarize)
            nats = float(-model.log_prob(images, ds.test.labels if settings.conditional else None).mean())
            figures |= {"test_bits_per_dim": model.bits(nats), "test_nats_per_image": nats}
        write(path / "figures.json", lambda: json.dumps(figures, indent=2) + "\n")
        if history.epochs:
            write(path / "loss.png", lambda: plots.png(history.plot()))
        if stop is not None:
            return _stopped(stop, path)
        print(
            f"validation {figures['validation_bits_per_dim']:.3f} bits/dim, {figures['validation_nats_per_image']:.2f} "
            f"nats per image (a histogram of the levels: {figures['histogram_bits_per_dim']:.3f}) after "
            f"{figures['seconds']:.0f} s"
        )
        if stopping is not None:
            print(f"best    epoch {figures['best_epoch']} of {figures['epochs']}, whose weights are kept")
        if settings.test:
            print(f"test       {model.bits(nats):.3f} bits/dim, {nats:.2f} nats per image")
        _draw(model, held_out, path / "samples.png", settings.seed)
        if now().first:
            print(f"folder  {path}: {', '.join(files(path))}")
        print(f"repeat  {repeat_command(path / 'config.toml')}")
    return 0


def _in_turn(*transforms: Transform | None) -> Transform | None:
    """The transforms that are not None, one after the other; None if there are none."""
    given = [transform for transform in transforms if transform is not None]
    return in_turn(*given) if given else None


def _stopped(stop: Interrupted | NonFiniteError, path: Path) -> int:
    """The exit status of a training that ended early, after a line that says where the model is."""
    if isinstance(stop, NonFiniteError):
        what = str(stop).partition(", wanted")[0]
        raise ValueError(
            f"{what}, wanted finite numbers; the model from before that step is in {path / MODEL}; give a lower "
            "--learning-rate, or --clip-norm 1"
        )
    say("", f"interrupted: the model so far is in {path / MODEL}")
    say("", f"go on   minipixel train --resume {shlex.quote(str(path))}")
    return 130


def _in_full(settings: argparse.Namespace, model: Model) -> dict[str, Any]:
    """All settings by their names, with the values of those that were left out, as config.toml has them."""
    paths = {name: getattr(settings, name) for name in ("root", "from", "sample_weight")}  # hold wherever they are read
    found: dict[str, Any] = {name: None if path is None else str(Path(path).resolve()) for name, path in paths.items()}
    if in_the_box(paths["from"]):
        found["from"] = paths["from"]
    if not is_named(settings.data):
        found["data"] = str(Path(settings.data).resolve())
    found |= {"levels": model.levels, "head": model.head.name, "learning_rate": base_rate(settings)}
    found |= {"weight_decay": decay_of(settings)}
    layers = {key: model.config[key] for key in architecture.parameters(model.name)}
    return {**{name: getattr(settings, name) for name in config.OPTIONS}, **found, **layers}


def _watchers(settings: argparse.Namespace, folder: RunFolder) -> list[Callback]:
    """The callbacks of a training. The folder comes first, since the others write into it."""
    watchers: list[Callback] = [folder, CSVLogger(folder.path / "log.csv"), ModelCheckpoint(folder.checkpoints)]
    if settings.save_freq is not None:
        watchers.append(ModelCheckpoint(folder.checkpoints, save_freq=settings.save_freq))
    if settings.ema is not None:
        watchers.append(EMA(settings.ema))
    if settings.sample_every is not None:
        watchers.append(SampleImages(folder.path / "samples", every=settings.sample_every, rng=settings.seed))
    if settings.tensorboard:
        pictures = settings.sample_every
        watchers.append(TensorBoard(folder.path / "tensorboard", every=pictures, rng=settings.seed))
    return watchers


def _save(model: Model, path: Path) -> None:
    """Save the model. If that fails, save it in a temporary folder, and raise an OSError that says where."""
    if not now().first:
        return
    try:
        model.save(path)
    except OSError as error:
        elsewhere = Path(tempfile.mkdtemp(prefix="minipixel-")) / path.name
        model.save(elsewhere)
        said = f"{error.strerror or error}; the model is in {elsewhere} instead"
        raise OSError(error.errno, said, str(path)) from error


def _sample_weight(settings: argparse.Namespace, N: int) -> np.ndarray | None:
    """How much each training image counts, from a file. Raises FormatError, ValueError and OSError."""
    if settings.sample_weight is None:
        return None
    return check_weights("--sample-weight", read_npy(settings.sample_weight), N, "float32")


def _figures(history: History, best: int | None) -> dict[str, Any]:
    """The figures of the last epoch, or of the best one, under longer names; those of validation if there are any."""
    names = {
        **{"bits_per_dim": "train_bits_per_dim", "loss": "train_nats_per_image"},
        **{"val_bits_per_dim": "validation_bits_per_dim", "val_loss": "validation_nats_per_image"},
    }
    epoch = {} if best is None else {"best_epoch": best + 1}
    at = -1 if best is None else best
    return epoch | {name: history.history[key][at] for key, name in names.items() if key in history.history}


def _draw(model: Model, real: np.ndarray, path: Path, seed: int) -> None:
    print(f"drawing {SAMPLES} images", flush=True)
    generated = model.sample(SAMPLES, model.conditions.in_turn(SAMPLES), rng=seed)
    write(path, lambda: plots.png(plots.sample_grid(real, generated, model.levels)))
