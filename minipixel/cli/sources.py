"""What `--data` names: a set of the package, a folder of pictures, or an array in a file; and pictures beside it."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import datasets
from minipixel.cli.notes import note
from minipixel.datasets import Dataset
from minipixel.datasets.content import read_content
from minipixel.datasets.folder import pictures_in, read_folder
from minipixel.datasets.npy import read_npy
from minipixel.datasets.npz import decode_npz
from minipixel.datasets.pictures import read_picture
from minipixel.datasets.places import check_split, key_of, random_of
from minipixel.datasets.preparation import Preparation, check_preparation
from minipixel.errors import FormatError, visible
from minipixel.models import Model
from minipixel.spelling import did_you_mean

ARRAYS = (".npy", ".npz")
MAX_BYTES = 1 << 32  # of an array in a file

TEST_SHARE = 0.1

# Options that only a folder of pictures takes, by their names in what the command line gives.
OF_FOLDERS = ("size", "channels", "crop", "background", "test_share")


def source(text: str) -> str:
    """A word that names data, for argparse: ArgumentTypeError for one that names none."""
    if text in datasets.DATASETS or Path(text).is_dir() or Path(text).suffix in ARRAYS:
        return text
    sets = ", ".join(datasets.DATASETS)
    hint = did_you_mean(text, datasets.DATASETS)
    raise argparse.ArgumentTypeError(f"got {text!r}, wanted one of {sets}, a folder, or a .npy or .npz file{hint}")


def size(text: str) -> str:
    """A size of pictures, for argparse, as it is written: "32", or "32x48"; ArgumentTypeError for what is none."""
    if not all(part.isdecimal() and part.isascii() for part in text.split("x")) or text.count("x") > 1:
        raise argparse.ArgumentTypeError(f"got {text!r:.60}, wanted pixels, 32 say, or height x width, 32x48")
    return text


def is_set(data: str) -> bool:
    """Whether it names a set of the package."""
    return data in datasets.DATASETS


def load(settings: argparse.Namespace, model: Model | None = None) -> Dataset:
    """The data set that is asked for, as these options, or else the model, say that it is prepared.

    Raises ValueError for options that it does not take, and for pictures that the model is not made for.
    """
    if is_set(settings.data):
        _check_none(settings, OF_FOLDERS)
        return datasets.load(settings.data, settings.root)
    if settings.root is not None:
        raise ValueError(f"--root: got {settings.root} beside a path, wanted none; --data names the folder itself")
    told = {} if model is None or model.pictures is None else model.pictures
    share = getattr(settings, "test_share", None)
    split = check_split(told.get("split", TEST_SHARE) if share is None else share)
    key = bytes.fromhex(told["key"]) if "key" in told else key_of(0)
    path = Path(settings.data)
    if path.suffix in ARRAYS and not path.is_dir():
        _check_none(settings, tuple(name for name in OF_FOLDERS if name != "test_share"))
        return _array(path, settings.levels if model is None else model.levels, split)
    return read_folder(path, preparation(settings, model), split, key)


def preparation(settings: argparse.Namespace, model: Model | None) -> Preparation:
    """How pictures are prepared: as the options say, else as the model remembers, else as they are."""
    told = {} if model is None or model.pictures is None else model.pictures
    size = None if settings.size is None else tuple(map(int, settings.size.split("x")))
    wanted = {
        "size": size[0] if size is not None and len(size) == 1 else size,
        "channels": getattr(settings, "channels", None),
        "levels": getattr(settings, "levels", None),
        "crop": settings.crop or told.get("crop", "centre"),
        "background": told.get("background") if settings.background is None else _colour(settings.background),
    }
    if model is not None:
        H, W, C = model.image_shape
        if size is not None and (size[0], size[-1]) != (H, W):
            raise ValueError(f"--size: got {settings.size}, wanted {H}x{W}, as the model draws; leave it out")
        if C not in (1, 3, 4):
            raise ValueError(f"--data: got pictures for a model of {C} channels, wanted a .npy file of such images")
        wanted |= {"size": (H, W), "channels": C, "levels": model.levels}
    if wanted["levels"] is None or wanted["levels"] == 2:  # what is made binary is made so from all levels
        wanted["levels"] = 256
    return check_preparation(**wanted)


def own(paths: Sequence[str], settings: argparse.Namespace, model: Model) -> tuple[np.ndarray, list[str], int]:
    """Pictures of one's own, from files and folders, in that order: (N, H, W, C), their names, and their levels.

    They are scaled if --size says so, or the model remembers how its pictures were prepared; else they have to be of
    its size, and grey if it draws in grey. Raises FormatError for a file that is named and cannot be read, and notes
    one that is in a folder; ValueError for one that does not suit the model, or a folder without any.
    """
    done = preparation(settings, model)
    as_they_are = settings.size is None and not (model.pictures or {}).get("size")
    images, names = [], []
    for path in paths:
        for file in pictures_in(path) if Path(path).is_dir() else [path]:
            try:
                pixels = read_picture(file)
            except FormatError as error:
                if file == path:
                    raise
                note(f"{error}; left out")
                continue
            if as_they_are:
                _check_suits(file, pixels, model.image_shape)
            try:
                images.append(done.of(pixels, random_of(file.encode("utf-8", "surrogateescape"), key_of(0))))
            except ValueError as error:
                raise ValueError(f"{visible(file)}: {error}") from None
            names.append(file)
    if not images:
        raise ValueError(f"{visible(paths[0])}: got no picture that can be read, wanted at least one")
    return np.stack(images), names, done.levels


def _check_suits(file: str, pixels: np.ndarray, image_shape: tuple[int, int, int]) -> None:
    """ValueError unless a picture is of the model's size, and has no colours for one that draws in grey."""
    H, W, C = image_shape
    if pixels.shape[:2] != (H, W):
        raise ValueError(
            f"{visible(file)}: got a picture of {pixels.shape[0]}x{pixels.shape[1]} pixels (height x width), wanted "
            f"{H}x{W}, as the model draws; --size {H}x{W} scales it"
        )
    if C == 1 and pixels.shape[2] > 2:
        raise ValueError(f"{visible(file)}: got a picture with colours, wanted shades of grey, as the model draws")


def _array(path: Path, levels: int | None, split: float) -> Dataset:
    """The images of a file, and their labels, if it has such: an npy file has none, an npz file may.

    Bytes that all lie below `levels` have those levels, and else 256; of other numbers `levels` has to be given.
    """
    if path.suffix == ".npy":
        arrays = {"images": read_npy(path, max_bytes=MAX_BYTES)}
    else:
        content = read_content(path, MAX_BYTES)
        arrays = decode_npz(str(path), content, "images", max_bytes=MAX_BYTES, optional=("labels",))
    images = arrays["images"]
    known = levels is not None and images.size > 0 and images.dtype.kind in "iu" and images.max() < levels
    try:
        ds = datasets.from_arrays(images, arrays.get("labels"), levels=levels if known else None, split=split)
    except ValueError as error:
        raise ValueError(f"{visible(path)}: {error}") from None
    return dataclasses.replace(ds, name=path.stem)


def _colour(text: str) -> Any:
    """A background as it is written: a name, "#ff8000", "255,128,0", or a grey."""
    parts = text.split(",")
    if all(part.strip().isdecimal() for part in parts):
        numbers = [int(part) for part in parts]
        return numbers[0] if len(numbers) == 1 else numbers
    return text


def _check_none(settings: argparse.Namespace, options: tuple[str, ...]) -> None:
    """ValueError for an option that this data does not take."""
    for name in options:
        if (got := getattr(settings, name, None)) is not None:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option}: got {got} for {settings.data}, wanted none; a folder of pictures takes it")


def labels_for(model: Model, ds: Dataset, labels: np.ndarray) -> np.ndarray:
    """Labels of a data set as the model counts classes, by name if it remembers names; ValueError for another class."""
    names = (model.pictures or {}).get("classes")
    if names is None or tuple(names) == ds.classes:
        return labels
    number = {name: label for label, name in enumerate(names)}
    there = [ds.classes[label] for label in np.unique(labels)]
    strange = [name for name in there if name not in number]
    if strange:
        hint = "; --label says of what class they are" if ds.classes == (".",) else ""
        raise ValueError(
            f"--data: got pictures of class {visible(strange[0])!r:.60}, wanted classes that the model knows: "
            f"{listed(names)}{hint}"
        )
    return np.array([number.get(name, -1) for name in ds.classes])[labels]


def class_of(model: Model, text: str | None) -> int | None:
    """The number of a class from its name, or from its number; ValueError for one that the model does not know."""
    names = (model.pictures or {}).get("classes", [])
    if text is None or text in names:
        return None if text is None else names.index(text)
    if text.removeprefix("-").isdecimal():
        return int(text)
    if not names:
        raise ValueError(f"--label: got {text!r:.60}, wanted a number, since this model's file names no classes")
    raise ValueError(f"--label: got {text!r:.60}, wanted one of {listed(names)}{did_you_mean(text, names)}")


def listed(names: Sequence[str]) -> str:
    """Names in a message: the first of them, if there are many."""
    return ", ".join(map(visible, names[:12])) + ", ..." * (len(names) > 12)
