"""`minipixel sample`: draw images, and write them as pictures, numbers, an animation, or beside training images."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minipixel import datasets, plots
from minipixel.cli.notes import say
from minipixel.cli.output import write
from minipixel.cli.pictures import label_of
from minipixel.cli.use import (
    DRAWN,
    as_it_learnt,
    data_that_fits,
    drawing,
    output_file,
    read_model,
    write_images,
    write_picture,
)
from minipixel.errors import InterruptedDrawing
from minipixel.growing import fitting_scale
from minipixel.models import Model
from minipixel.models.checks import MANY, check_count

ABREAST = 10
"""How many pictures stand side by side, unless --grid says so."""

MOST_SHOWN = 50
"""Of so many drawn pictures the nearest training pictures are shown."""

MOST_COMPARED = 1000
"""Of so many validation pictures, spread over all of them, the nearest training pictures are looked for."""


class Learnt(NamedTuple):
    """The training images with the model's levels, (N, H, W, C), and some validation images, which may be none."""

    train: np.ndarray
    validation: np.ndarray


def sample(arguments: argparse.Namespace) -> int:
    """Draw images, and write them in all the forms asked for; after Ctrl-C as many as have been drawn.

    All arguments are checked before anything is drawn.
    """
    out, animation, copies = _files(arguments)
    if arguments.data is not None and not copies:
        raise ValueError(f"--data: got {arguments.data} without --nearest, wanted both or none; it is for --nearest")
    model = read_model(arguments.file, arguments.own_classes).to(arguments.device)
    n = check_count("-n", arguments.n, 1, MANY)
    label = label_of(model, arguments.label)
    condition = model.conditions.in_turn(n) if label is None else np.full(n, label)
    columns = min(n, ABREAST if arguments.grid is None else check_count("--grid", arguments.grid, 1))
    shape = (n, *model.image_shape)
    if out.suffix.lower() == ".png":
        _check_size(shape, columns)
    if animation:
        fitting_scale(shape, columns)
    learnt = _learnt(arguments, model) if copies else None
    status = 0
    try:
        images = model.sample(n, condition, **drawing(arguments))
    except InterruptedDrawing as stop:
        if stop.images is None:
            raise
        images, status = stop.images, 130
    columns = min(columns, len(images))
    names = _file_names(model, condition, len(images))
    write_images(out, images, model.levels, lambda: plots.image_grid(images, model.levels, columns=columns), names)
    if status:
        say("", f"interrupted: the first {len(images)} of {n} images are in {out}")
    else:
        print(f"{n} images in {out}")
    if animation:
        kind = animation.suffix[1:].lower()
        write(
            animation,
            lambda: plots.growing(images, model.levels, order=model.order, columns=columns, format=kind),
        )
        print(f"growing, in the order in which they are drawn, in {animation}")
    if learnt and copies:
        _compare(copies, images, learnt, model.levels, columns)
    return status


def _files(arguments: argparse.Namespace) -> tuple[Path, Path | None, Path | None]:
    """The files of the images, of the animation and of the comparison; the last two may be None."""
    out = output_file(arguments.out, DRAWN)
    animation = None if arguments.animate is None else output_file(arguments.animate, (".gif", ".png"), "--animate")
    copies = None if arguments.nearest is None else output_file(arguments.nearest, (".png",), "--nearest")
    taken = {out.resolve(): "--out"}
    for option, file in (("--animate", animation), ("--nearest", copies)):
        if file and (other := taken.setdefault(file.resolve(), option)) != option:
            raise ValueError(f"{option}: got {file}, which {other} writes, wanted another name")
    return out, animation, copies


def _check_size(shape: tuple[int, ...], columns: int) -> None:
    """Raises ValueError if images (N, H, W, C) are too many for one picture."""
    height, width = plots.size_of_grid(shape, columns=columns)
    if max(height, width) >= 1 << 16:
        raise ValueError(
            f"-n: got {shape[0]}, which are a picture of {height}x{width} pixels, wanted fewer than 65536 on a side; "
            "set --grid, or let --out be a folder/ or .npy"
        )


def _learnt(arguments: argparse.Namespace, model: Model) -> Learnt:
    """The training and validation images of --data, prepared as the model remembers. Raises ValueError for others."""
    ds = data_that_fits(arguments, model)
    if not len(ds.train.images):
        raise ValueError(f"--data: got {arguments.data}, without training pictures, wanted at least one")
    train, validation = (as_it_learnt(some.images, ds, arguments, model) for some in (ds.train, ds.validation))
    every = len(validation)
    return Learnt(train, validation[np.linspace(0, every - 1, min(every, MOST_COMPARED)).astype(int)])


def _file_names(model: Model, condition: np.ndarray | None, n: int) -> Sequence[str]:
    """The names of the files of n images in a folder if their classes have names, such as 00007-seven; else none."""
    classes = (model.pictures or {}).get("classes", ())
    if condition is None or len(classes) < (model.conditions.num_classes or 0):
        return ()
    words = [re.sub(r"[^\w.-]+", "-", str(name))[:60] for name in classes]
    return [f"{number:05}-{words[label]}" for number, label in enumerate(condition[:n])]


def _compare(file: Path, images: np.ndarray, learnt: Learnt, levels: int, columns: int) -> None:
    """Write a figure of images above their nearest training images, and print whether they are copies."""
    near, far = datasets.nearest(images, learnt.train, levels, count=min(2, len(learnt.train)))
    shown = np.sort(far[:, 0].argsort(kind="stable")[:MOST_SHOWN])
    write_picture(file, plots.nearest_grid(images[shown], learnt.train[near[shown]], levels, columns=columns))
    of = f"the {len(shown)} of them nearest to any" if len(shown) < len(images) else "each"
    print(f"below {of} the nearest training images, of {len(learnt.train)}, in {file}")
    distances = {"drawn": far[:, 0]}
    if len(learnt.validation):
        distances["validation"] = datasets.nearest(learnt.validation, learnt.train, levels)[1][:, 0]
    copied = ", ".join(f"{np.sum(d == 0)} of {len(d)} {what} images" for what, d in distances.items())
    median = ", ".join(f"{np.median(d):.4f} {what}" for what, d in distances.items())
    print(f"copies    to the bit: {copied}")
    print(f"distance  to the nearest training image, median: {median}; root mean square, levels in 0..1")
