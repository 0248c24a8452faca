"""Quick, Draw!: drawings of 345 kinds of things, each drawn within twenty seconds; each kind has a file of bitmaps."""

import difflib
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.dataset import TEST, VALIDATION, Dataset, Folder, Split
from minipixel.datasets.fetch import fetch
from minipixel.datasets.npy import MAX_BYTES, decode_npy
from minipixel.errors import FormatError

URL = "https://storage.googleapis.com/quickdraw_dataset/full/numpy_bitmap/"
DEFAULT = ("apple", "cat", "fish")  # 315 MB to download
PER_CLASS = 10_000
FEWEST = 12  # of which at least one is to validate on
H, W = 28, 28

_TABLE = Path(__file__).parent / "data" / "quickdraw.txt"


@functools.cache
def digests() -> dict[str, str]:
    """Read the SHA-256 of each class's file, by class. Google publishes none; the table says where these are from."""
    lines = (line for line in _TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {name: sha256 for name, _, sha256 in (line.split("\t") for line in lines)}


def load(root: Folder | None = None, *, classes: Sequence[str] = DEFAULT, per_class: int | None = PER_CLASS) -> Dataset:
    """Load drawings of some classes, (28, 28, 1) with 256 levels, 0 for the paper; by default 10,000 of each of three.

    `classes` has any of the 345 names, such as "cat" or "The Eiffel Tower"; these become the labels 0, 1, ... in that
    order. The first `per_class` drawings of each file are taken, or all of them (113,613 to 340,029) if it is None. The
    original has no splits; here every fifth drawing of a class (index % 5 == 4) is a test image, and every tenth of the
    others is a validation image. In each split the classes alternate, as long as they last.

    The files, cat.npy and so on, about 100 MB each, are looked for in `root`/quickdraw and `root`; without `root` in
    `$MINIPIXEL_DATA`, its quickdraw/ first, then in the user's cache, to which missing files are downloaded.
    Raises ValueError for an unknown class, FileNotFoundError if `root` lacks a file, FormatError if a file is not the
    original, ConnectionError if a download is needed and the server does not answer.
    Source: Google, https://github.com/googlecreativelab/quickdraw-dataset (CC BY 4.0).
    """
    return load_from(root, digests(), URL, classes, per_class)


def load_from(
    root: Folder | None, digests: Mapping[str, str], url: str, classes: Sequence[str], per_class: int | None
) -> Dataset:
    """Load the classes whose files have these digests, downloading them from below this URL; `load` says the rest."""
    classes = _check_classes(classes, digests)
    if per_class is not None and (type(per_class) is not int or per_class < FEWEST):
        raise ValueError(
            f"quickdraw: per_class is {per_class!r}, wanted a whole number from {FEWEST} up, or None for all"
        )
    drawings = [
        fetch(
            (f"full_numpy_bitmap_{name}.npy", f"{name}.npy"),  # the first as browsers save it
            "quickdraw",
            root,
            [f"{url}{quote(name)}.npy"],
            functools.partial(_read, sha256=digests[name], per_class=per_class),
        )
        for name in classes
    ]
    of_classes = []  # each by itself, so that it has its share of every split
    for label, images in enumerate(drawings):
        train, test = Split(images, np.full(len(images), label, np.int64)).without_every(TEST)
        of_classes.append((*train.without_every(VALIDATION), test))
    train, validation, test = map(_in_turn, zip(*of_classes, strict=True))
    return Dataset("quickdraw", train, validation, test, levels=256, classes=classes)


def decode_bitmaps(name: str, content: bytes) -> NDArray[np.uint8]:
    """Read the bitmaps of a class from the bytes of its npy file: uint8 (N, 28, 28, 1); else FormatError."""
    array = decode_npy(name, content)
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != H * W:
        raise FormatError(f"{name}: {array.dtype} of shape {array.shape}, expected uint8 of shape (N, {H * W})")
    return array.reshape(-1, H, W, 1)


def _read(path: Path, sha256: str, per_class: int | None) -> NDArray[np.uint8]:
    return decode_bitmaps(str(path), read_content(path, MAX_BYTES, sha256))[:per_class].copy()


def _in_turn(classes: Sequence[Split]) -> Split:
    """The first drawing of each class, then the second of each, and so on."""
    images, labels = (np.concatenate([getattr(one, part) for one in classes]) for part in ("images", "labels"))
    place = np.concatenate([np.arange(len(one.images)) for one in classes])
    order = np.lexsort((labels, place))
    return Split(images[order], labels[order])


def _check_classes(classes: Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """The classes asked for, if there is at least one, each is known and none comes twice; else ValueError."""
    if isinstance(classes, str):
        classes = (classes,)
    for name in classes:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; they are listed in {_TABLE}"
            raise ValueError(f"quickdraw: unknown class {name!r}, wanted one of the {len(known)}{hint}")
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"quickdraw: classes are {tuple(classes)!r}, wanted at least one, and each once")
    return tuple(classes)
