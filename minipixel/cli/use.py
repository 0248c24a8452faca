"""`minipixel sample`, `complete`, `evaluate` and `info`: what can be done with a trained model."""

import argparse
import errno
import io
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minipixel
from minipixel import datasets, interop, plots
from minipixel.cli.data import describe, prepare, read_pictures
from minipixel.cli.own_class import import_class
from minipixel.cli.run_folder import describe as describe_run
from minipixel.cli.run_folder import installed
from minipixel.files import write_atomically
from minipixel.kernels import numba_enabled
from minipixel.models import Model, load
from minipixel.models.checks import check_count
from minipixel.shards import Workers


def sample(arguments: argparse.Namespace) -> int:
    """Draw images and write them as a picture or as an array."""
    out, model = output_file(arguments.out), read_model(arguments)
    condition = (
        model.conditions.in_turn(arguments.n) if arguments.label is None else np.full(arguments.n, arguments.label)
    )
    images = model.sample(arguments.n, condition, **_drawing(arguments))
    _write(out, images, lambda: plots.image_grid(images, model.levels, columns=min(10, arguments.n)))
    print(f"{arguments.n} images in {out}")
    return 0


def complete(arguments: argparse.Namespace) -> int:
    """Keep the upper rows of pictures, draw the rest several times, and write that as a picture or an array."""
    out, model = output_file(arguments.out), read_model(arguments)
    own = arguments.pictures
    images, labels, _ = _pictures(arguments, model, own) if own else _split(arguments, model)
    n = (len(images) if own else min(10, len(images))) if arguments.n is None else arguments.n
    n, times = check_count("-n", n, 1, len(images)), check_count("--times", arguments.times, 1)
    (H, W, C), rows = model.image_shape, arguments.rows
    rows = H // 2 if rows is None else check_count("--rows", rows, 0, H)
    images, labels = images[:n], None if labels is None else np.tile(labels[:n], times)
    known = np.indices((H, W))[0] < rows
    completed = model.complete(np.tile(images, (times, 1, 1, 1)), known, labels, **_drawing(arguments))
    completed = completed.reshape(times, n, H, W, C)
    _write(out, completed, lambda: plots.completion_grid(images, known, completed, model.levels))
    print(f"{n} images, {rows} of {H} rows kept, {times} completions of each in {out}")
    return 0


def _drawing(arguments: argparse.Namespace) -> dict[str, Any]:
    """How to draw, as `sample` and `complete` are told it."""
    return {"rng": arguments.seed, "temperature": arguments.temperature, "method": arguments.method}


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the mean negative log-likelihood of a split, or of pictures of one's own."""
    model = read_model(arguments)
    own = bool(arguments.images)
    images, labels, data = _pictures(arguments, model, arguments.images) if own else _split(arguments, model)
    nats = -model.log_prob(images, labels)
    bits = model.bits(nats.mean())
    spread = f" (standard error {nats.std() / np.sqrt(len(nats)):.2f})" if len(nats) > 1 else ""
    print(f"data    {data}")
    what = "images" if own else arguments.split
    print(f"{what:7} {nats.mean():.2f} nats an image{spread}, {bits:.4f} bits/dim")
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Describe a model file or the folder of a run; without one, the installation."""
    if arguments.file and Path(arguments.file).is_dir():
        print(describe_run(Path(arguments.file)))
        return 0
    if arguments.file:
        print(_load(arguments).summary())
        return 0
    print(f"minipixel {minipixel.__version__} on Python {platform.python_version()}, {platform.machine()}")
    for name in ("numpy", "scipy", "numba", "safetensors", "matplotlib", "cupy-cuda12x", "cupy-cuda13x"):
        print(f"  {name:13}{installed(name)}")
    print(f"kernels       {'Numba' if numba_enabled() else 'plain NumPy (Numba is missing, or MINIPIXEL_NUMBA=0)'}")
    print(f"threads       {Workers().count}")
    print(f"data          {os.environ.get('MINIPIXEL_DATA', 'a cache folder (MINIPIXEL_DATA is not set)')}")
    print(f"data sets     {', '.join(datasets.DATASETS)}")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write one forward pass of a model as an ONNX file."""
    out, model = output_file(arguments.out, (".onnx",)), read_model(arguments)
    interop.to_onnx(model, out)
    told = [name for name, takes in _CONDITIONS.items() if takes(model.conditions)]
    P = len(model.head.groups)
    print(f"{out}: {', '.join(['images', *told])} -> parameters (H, W, N, {P}) of a {model.head.name} head")
    return 0


_CONDITIONS = {"labels": lambda given: given.num_classes, "condition": lambda given: given.shape is not None}


def output_file(name: str, kinds: tuple[str, ...] = (".png", ".npy")) -> Path:
    """Where a picture or an array will go, checked before anything is drawn. Raises ValueError, OSError."""
    out = Path(name)
    if out.suffix not in kinds:
        wanted = " or ".join(
            {".png": ".png (a picture)", ".npy": ".npy (the numbers)"}.get(kind, kind) for kind in kinds
        )
        raise ValueError(f"--out: got {name}, wanted a name ending in {wanted}")
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


def _write(out: Path, images: np.ndarray, picture: Callable[[], Any]) -> None:
    """Images as numbers, or as a picture of them, whole or not at all."""
    if out.suffix == ".png":
        write_picture(out, picture())
        return
    content = io.BytesIO()
    np.save(content, images)
    write_atomically(out, content.getvalue())


def write_picture(out: Path, figure: Any) -> None:
    """A Figure as a picture, whole or not at all."""
    write_atomically(out, plots.png(figure))


def read_model(arguments: argparse.Namespace) -> Model:
    """The model in the file; ValueError for an embedding network, which is no distribution over images."""
    model = _load(arguments)
    if not isinstance(model, Model):
        raise ValueError(
            f"{arguments.file}: got an embedding network, which draws nothing and scores nothing, wanted a model"
        )
    return model


def _load(arguments: argparse.Namespace) -> Any:
    """What is in the file, of a class of the family or of those that `--class` names."""
    return load(arguments.file, classes=[import_class(name) for name in arguments.classes])


def _split(arguments: argparse.Namespace, model: Model) -> tuple[np.ndarray, np.ndarray | None, str]:
    """A split of the data set asked for, as the model is told it: images, labels or None, a line that describes it.

    Raises ValueError if its images are not of the model's size.
    """
    if arguments.label is not None:
        raise ValueError("--label: got one for a data set, which has labels, wanted none, or pictures of one's own")
    ds = datasets.load(arguments.data, arguments.root)
    if ds.image_shape != model.image_shape:
        got, wanted = ("x".join(map(str, shape)) for shape in (ds.image_shape, model.image_shape))
        raise ValueError(
            f"--data: got {arguments.data}, whose images are {got}, wanted images of {wanted}, as {arguments.file} was "
            "trained on"
        )
    split = ds.train if arguments.split == "train" else ds.test
    images = prepare(split.images, ds.levels, model.levels, arguments.binarize)
    return images, split.labels if model.conditions.num_classes else None, describe(ds, model.levels)


def _pictures(
    arguments: argparse.Namespace, model: Model, paths: Sequence[str]
) -> tuple[np.ndarray, np.ndarray | None, str]:
    """The same of pictures of one's own; of what class they are has to be said, if the model is told one."""
    images = prepare(read_pictures(paths, model.image_shape), 256, model.levels, arguments.binarize)
    if model.conditions.num_classes and arguments.label is None:
        raise ValueError("--label: got none, wanted the class of the pictures, which this model is told")
    labels = None if arguments.label is None else np.full(len(images), arguments.label)
    size = "x".join(map(str, model.image_shape))
    return images, labels, f"{len(images)} picture{'s' * (len(images) != 1)} of {size}, {model.levels} levels"
