"""The user's own data sets and pictures on the command line: folders, arrays, and a model's notes about them."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import datasets
from minipixel.cli.data import prepare
from minipixel.cli.notes import note
from minipixel.datasets import Dataset
from minipixel.datasets.folder import pictures_in, read_folder
from minipixel.datasets.npy import read_npy
from minipixel.datasets.npz import read_npz
from minipixel.datasets.pictures import read_picture
from minipixel.datasets.places import check_split, key_of, random_of
from minipixel.datasets.preparation import Preparation, check_preparation
from minipixel.errors import FormatError, visible
from minipixel.models import Model
from minipixel.spelling import did_you_mean

MAX_BYTES = 1 << 32
"""The largest array that is read from a file, in bytes."""

OF_A_FOLDER = ("size", "channels", "crop", "background", "test_share")
"""The options that say how a folder of pictures is prepared; in config.toml by the same names."""


def is_named(data: str) -> bool:
    """Whether --data names one of the ready sets; else it is a path."""
    return data in datasets.DATASETS


def short_name(data: str) -> str:
    """The name of the data in the name of a folder for results."""
    return data if is_named(data) else Path(data).resolve().stem


def load_data(settings: argparse.Namespace) -> Dataset:
    """The data set of --data: one by its name, a folder of pictures, or a .npy or .npz file.

    Raises ValueError for anything else, and for options that only a folder takes.
    """
    path = Path(settings.data)
    if is_named(settings.data) or not path.is_dir():
        for name in OF_A_FOLDER:
            if getattr(settings, name, None) is not None:
                raise ValueError(
                    f"--{name.replace('_', '-')}: got one for {settings.data}, wanted none; it is for folders"
                )
    if is_named(settings.data):
        return datasets.load(settings.data, settings.root)
    if path.is_dir():
        return _folder(settings, _levels_of(settings.levels))
    if path.suffix.lower() in (".npy", ".npz") and path.is_file():
        return _array(path, settings.levels)
    names = ", ".join(datasets.DATASETS)
    hint = did_you_mean(settings.data, datasets.DATASETS)
    raise ValueError(
        f"--data: got {visible(settings.data)!r:.100}, wanted one of {names}, a folder of pictures, or a .npy or .npz "
        f"file{hint}"
    )


def _folder(settings: argparse.Namespace, levels: int) -> Dataset:
    size = settings.size if settings.size is None or len(settings.size) != 1 else settings.size[0]
    preparation = check_preparation(size, settings.channels, levels, settings.crop or "centre", settings.background)
    share = 0.1 if settings.test_share is None else settings.test_share
    return read_folder(settings.data, preparation, check_split(share), key_of(0))


def _levels_of(levels: int | None) -> int:
    """The levels with which a folder is read: those asked for, or 256 if the images are to be binarised."""
    return 256 if levels is None or levels == 2 else levels


def _array(path: Path, levels: int | None) -> Dataset:
    """Images (N, H, W, C) in a .npy file, or as `images` with `labels`, if it has some, in a .npz file.

    Whole numbers that are all below `levels` have that many levels; other uint8 images have 256, which are reduced
    later.
    """
    if path.suffix.lower() == ".npy":
        arrays = {"images": read_npy(path, max_bytes=MAX_BYTES)}
    else:
        arrays = read_npz(path, "images", optional=("labels",), max_bytes=MAX_BYTES)
    images = arrays["images"]
    known = levels is not None and images.size > 0 and images.dtype.kind in "iu" and images.max() < levels
    return replace(datasets.from_arrays(images, arrays.get("labels"), levels=levels if known else None), name=path.stem)


def remembered(ds: Dataset, model: Model, binarize: str) -> dict[str, Any]:
    """The notes for a model file about the pictures that the model learns from."""
    return {**ds.pictures, "binarize": binarize} if model.levels == 2 else dict(ds.pictures)


def same_again(arguments: argparse.Namespace, model: Model) -> Dataset:
    """The data set of --data, prepared as the model's training pictures were, with the model's labels."""
    path = Path(arguments.data)
    if is_named(arguments.data) or not path.is_dir():
        return load_data(argparse.Namespace(**{**vars(arguments), "levels": _known(model).get("levels")}))
    known, preparation = _known(model), preparation_of(model, arguments.file)
    key = bytes.fromhex(str(known.get("key", key_of(0).hex())))
    ds = read_folder(path, preparation, check_split(known.get("split", 0.1)), key)
    return ds if not model.conditions.num_classes else _relabelled(ds, known.get("classes"))


def _known(model: Model) -> Mapping[str, Any]:
    return model.pictures or {}


def preparation_of(model: Model, name: str) -> Preparation:
    """How pictures become images of a model: as its notes say, or else cropped in the middle and scaled to its size."""
    known, (H, W, C) = _known(model), model.image_shape
    if C not in (1, 3, 4):
        raise ValueError(f"{name}: got a model of {C} channels, wanted 1, 3 or 4 for pictures; give an array in Python")
    levels = known.get("levels", 256)
    if levels < model.levels:
        levels = 256
    try:
        return check_preparation((H, W), C, levels, known.get("crop", "centre"), known.get("background"))
    except (TypeError, ValueError) as error:
        raise FormatError(f"{name}: its notes on pictures make no sense: {error!s:.200}") from error


def _relabelled(ds: Dataset, classes: Sequence[str] | None) -> Dataset:
    """The same set with the label numbers of a model. Raises ValueError for a class that the model does not have."""
    if classes is None or tuple(classes) == ds.classes:
        return ds
    for name in ds.classes:
        if name not in classes:
            raise ValueError(
                f"--data: got a class {visible(name)!r:.60}, wanted those that the model knows: "
                f"{visible(', '.join(classes)):.300}"
            )
    numbers = np.array([list(classes).index(name) for name in ds.classes], np.int64)
    splits = {
        name: replace(split, labels=numbers[split.labels])
        for name in ("train", "validation", "test")
        for split in [getattr(ds, name)]
    }
    return replace(ds, classes=tuple(classes), **splits)


def label_of(model: Model, text: str | None) -> int | None:
    """The number of a class, from its name or number. Raises ValueError for one that the model does not have."""
    if text is None:
        return None
    count, classes = model.conditions.num_classes, list(_known(model).get("classes", ()))
    if count is None:
        raise ValueError(f"--label: got {visible(text)!r:.60} for a model without classes, wanted none")
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < count:
        return int(text)
    names = f" or one of {visible(', '.join(classes)):.300}" if classes else ""
    raise ValueError(
        f"--label: got {visible(text)!r:.60}, wanted a number in 0..{count - 1}{names}"
        f"{'' if text.isdecimal() else did_you_mean(text, classes)}"
    )


def read_pictures(paths: Sequence[str], model: Model, name: str, binarize: str) -> tuple[np.ndarray, list[str]]:
    """The user's pictures, from files and folders, as images of a model (N, H, W, C), and their names.

    They are prepared as the pictures that the model learnt from. If the model file has no notes about these, pictures
    must have the model's size, and colours are not turned into grey. A damaged file in a folder is left out with a
    note. Raises FormatError for a named file that is no picture, ValueError for a picture that does not fit, and for a
    folder without pictures.
    """
    preparation, known = preparation_of(model, name), _known(model)
    images, names = [], []
    for path in paths:
        for file in pictures_in(path) if Path(path).is_dir() else [path]:
            try:
                pixels = read_picture(file)
            except (FormatError, OSError) as error:
                if file == path:
                    raise
                note(f"{error}; left out")
                continue
            if "size" not in known:
                _check_fits(file, pixels, model)
            try:
                images.append(preparation.of(pixels, random_of(file.encode("utf-8", "surrogateescape"), key_of(0))))
            except ValueError as error:
                raise ValueError(f"{visible(file)}: {error}") from None
            names.append(file)
    if not images:
        raise ValueError(f"{visible(paths[0])}: got no picture that can be read, wanted at least one")
    return prepare(np.stack(images), preparation.levels, model.levels, str(known.get("binarize", binarize))), names


def _check_fits(file: str, pixels: np.ndarray, model: Model) -> None:
    H, W, C = model.image_shape
    if pixels.shape[:2] != (H, W):
        raise ValueError(
            f"{visible(file)}: got a picture of {pixels.shape[0]}x{pixels.shape[1]} pixels (height x width), wanted "
            f"{H}x{W}, as the model draws; scale it first"
        )
    if C == 1 and pixels.shape[2] > 2:
        raise ValueError(f"{visible(file)}: got a picture with colours, wanted shades of grey, as the model draws")
