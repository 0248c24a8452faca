"""`minipixel complete` and `info`, and common parts of the commands that use a trained model."""

import argparse
import errno
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minipixel import datasets, plots
from minipixel.cli.boxed import data_of, in_the_box, path_of
from minipixel.cli.data import describe, prepare
from minipixel.cli.installation import in_full
from minipixel.cli.output import write
from minipixel.cli.own_class import import_class
from minipixel.cli.pictures import label_of, read_pictures, same_again
from minipixel.cli.run_folder import describe as describe_run
from minipixel.datasets import Dataset
from minipixel.models import Model, load
from minipixel.models.checks import check_count
from minipixel.ranks import now

KINDS = {
    ".png": "a picture",
    ".gif": "an animation",
    ".npy": "the numbers",
    ".csv": "a table",
    ".onnx": "for other runtimes",
    "/": "a folder of pictures",
}
DRAWN = (".png", ".npy", "/")


def complete(arguments: argparse.Namespace) -> int:
    """Keep the upper rows of pictures, or all but a hole, draw the rest several times, and write the result."""
    out = output_file(arguments.out, DRAWN)
    model = read_model(arguments.file, arguments.own_classes).to(arguments.device)
    images, labels, *_ = pictures_for(arguments, model, arguments.pictures)
    n = (len(images) if arguments.pictures else min(10, len(images))) if arguments.n is None else arguments.n
    n, times = check_count("-n", n, 1, len(images)), check_count("--times", arguments.times, 1)
    known, kept = _kept(arguments, model.image_shape)
    images, labels = images[:n], None if labels is None else np.tile(labels[:n], times)
    options = drawing(arguments) | {"particles": arguments.particles}
    completed = model.complete(np.tile(images, (times, 1, 1, 1)), known, labels, **options)
    completed = completed.reshape(times, n, *model.image_shape)
    write_images(out, completed, model.levels, lambda: plots.completion_grid(images, known, completed, model.levels))
    print(f"{n} images, {kept}, {times} completions of each in {out}")
    return 0


def _kept(arguments: argparse.Namespace, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, str]:
    """Which pixels are kept, boolean (H, W), and the same in words."""
    (H, W, _), (row, column) = image_shape, np.indices(image_shape[:2])
    if arguments.hole is None:
        rows = H // 2 if arguments.rows is None else check_count("--rows", arguments.rows, 0, H)
        return row < rows, f"{rows} of {H} rows kept"
    top, left, height, width = arguments.hole
    top, left = check_count("--hole ROW", top, 0, H - 1), check_count("--hole COLUMN", left, 0, W - 1)
    height = check_count("--hole HEIGHT", height, 1, H - top)
    width = check_count("--hole WIDTH", width, 1, W - left)
    hole = (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
    return ~hole, f"all but {height}x{width} pixels kept"


def drawing(arguments: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `sample` and `complete` that say how to draw."""
    return {"rng": arguments.seed, "temperature": arguments.temperature, "method": arguments.method}


def info(arguments: argparse.Namespace) -> int:
    """Describe a model file or the folder of a run; without one, the installation."""
    if arguments.file and Path(arguments.file).is_dir() and not in_the_box(arguments.file):
        print(describe_run(Path(arguments.file)))
        return 0
    if arguments.file:
        print(_load(arguments.file, arguments.own_classes).summary())
        return 0
    print(in_full())
    return 0


def output_file(name: str, kinds: tuple[str, ...] = (".png", ".npy"), option: str = "--out") -> Path:
    """The path of a picture, an array or a table, checked before anything is drawn. Raises ValueError, OSError."""
    out = Path(name)
    if not now().first:  # the first rank writes, and its machine has the folder
        return out
    if "/" in kinds and name.endswith(("/", os.sep)):
        out.mkdir(parents=True, exist_ok=True)
        return out
    if out.suffix.lower() not in kinds:
        wanted = " or ".join(f"{kind} ({KINDS[kind]})" for kind in kinds)
        raise ValueError(f"{option}: got {name}, wanted a name ending in {wanted}")
    problem = None
    if not out.parent.is_dir():
        problem = errno.ENOENT
    elif out.is_dir():
        problem = errno.EISDIR
    elif not os.access(out.parent, os.W_OK):
        problem = errno.EACCES
    if problem is not None:
        raise OSError(problem, os.strerror(problem), name)  # of the kind that belongs to that number
    return out


def write_images(
    out: Path, images: np.ndarray, levels: int, picture: Callable[[], Any], names: Sequence[str] = ()
) -> None:
    """Write images as numbers or as one picture of them all, whole or not at all; or each as a picture in a folder.

    `names` are the names of the pictures in a folder, without suffix; without `names` they are numbered.
    """
    if not now().first:
        return
    if not out.is_dir():
        if out.suffix.lower() == ".png":
            write_picture(out, picture())
        else:
            write_array(out, images)
        return
    every = images.reshape(-1, *images.shape[-3:])
    if not names:
        datasets.save_pictures(every, out, levels)
    for name, image in zip(names, every, strict=False):
        datasets.save_pictures(image[None], out / f"{name}.png", levels)


def write_array(out: Path, numbers: np.ndarray) -> None:
    """Write numbers, whole or not at all."""
    content = io.BytesIO()
    np.save(content, numbers)
    write(out, content.getvalue)


def write_picture(out: Path, figure: Any) -> None:
    """Write a Figure as a picture, whole or not at all."""
    write(out, lambda: plots.png(figure))


def read_model(path: str, own_classes: Sequence[str] = ()) -> Model:
    """The model in a file or in the box. Raises ValueError for an embedding network, which cannot draw or score."""
    model = _load(path, own_classes)
    if not isinstance(model, Model):
        raise ValueError(f"{path}: got an embedding network, which draws nothing and scores nothing, wanted a model")
    return model


def _load(path: str, own_classes: Sequence[str]) -> Any:
    """The network in a file or in the box, of a class of the library or one that `--class` names."""
    return load(path_of(path), classes=[import_class(name) for name in own_classes])


class Pictures(NamedTuple):
    """The images (N, H, W, C) that a model scores or completes, with its levels, and what is known of them.

    `labels` (N,) are the model's conditions, None if it takes none; `classes` has the names of the pictures' classes.
    """

    images: np.ndarray
    labels: np.ndarray | None
    classes: list[str] | None
    names: list[str]
    described: str


def pictures_for(arguments: argparse.Namespace, model: Model, paths: Sequence[str] | None) -> Pictures:
    """The user's own pictures, if paths are given, else a split of the data set."""
    return _own(arguments, model, paths) if paths else _split(arguments, model)


def _split(arguments: argparse.Namespace, model: Model) -> Pictures:
    """A split of the data set of --data. Raises ValueError if its images do not have the model's size."""
    if arguments.label is not None:
        raise ValueError("--label: got one for a data set, which has labels, wanted none, or pictures of your own")
    ds = data_that_fits(arguments, model)
    split = ds.everything() if arguments.split == "all" else getattr(ds, arguments.split)
    if not len(split.images):
        raise ValueError(
            f"--data: got {arguments.data}, without {arguments.split} pictures, wanted one; say --split all"
        )
    images = as_it_learnt(split.images, ds, arguments, model)
    names = list(split.files) or [f"{ds.name}/{arguments.split}/{n}" for n in range(len(images))]
    labels = split.labels if model.conditions.num_classes else None
    classes = [ds.classes[label] for label in split.labels]
    return Pictures(images, labels, classes, names, describe(ds, model.levels))


def data_that_fits(arguments: argparse.Namespace, model: Model) -> Dataset:
    """The data set of --data. Raises ValueError if its images have another size than the model's, or fewer levels."""
    arguments.data = data_of(arguments)
    ds = same_again(arguments, model)
    if ds.image_shape != model.image_shape:
        got, wanted = ("x".join(map(str, shape)) for shape in (ds.image_shape, model.image_shape))
        raise ValueError(
            f"--data: got {arguments.data}, whose images are {got}, wanted images of {wanted}, as {arguments.file} was "
            "trained on"
        )
    if ds.levels < model.levels:
        raise ValueError(
            f"--data: got {arguments.data}, whose images have {ds.levels} levels, wanted at least {model.levels}, as "
            f"{arguments.file} has them"
        )
    return ds


def as_it_learnt(images: np.ndarray, ds: Dataset, arguments: argparse.Namespace, model: Model) -> np.ndarray:
    """Images of a data set, reduced to the levels of the model in the same way as its training images."""
    binarize = (model.pictures or {}).get("binarize", arguments.binarize)
    return prepare(images, ds.levels, model.levels, binarize)


def _own(arguments: argparse.Namespace, model: Model, paths: Sequence[str]) -> Pictures:
    """The user's own pictures. Raises ValueError if the model takes classes and --label is missing."""
    images, names = read_pictures(paths, model, arguments.file, arguments.binarize)
    label = label_of(model, arguments.label)
    if model.conditions.num_classes and label is None:
        raise ValueError("--label: got none, wanted the class of the pictures, since this model is conditioned on it")
    labels = None if label is None else np.full(len(images), label)
    size = "x".join(map(str, model.image_shape))
    described = f"{len(images)} picture{'s' * (len(images) != 1)} of {size}, {model.levels} levels"
    known = (model.pictures or {}).get("classes", ())
    classes = None if label is None else [known[label] if label < len(known) else str(label)] * len(images)
    return Pictures(images, labels, classes, names, described)
