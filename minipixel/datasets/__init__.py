"""Pictures to learn from: small sets inside the package, others from a folder or a download, pictures of one's own."""

import difflib
from collections.abc import Callable
from typing import Any

from minipixel.datasets import bundled, cifar10, fashion_mnist, mnist, quickdraw
from minipixel.datasets.dataset import Dataset, Folder, Split
from minipixel.datasets.png import read_png
from minipixel.datasets.transforms import binarize, quantize

__all__ = ["DATASETS", "Dataset", "Split", "binarize", "load", "quantize", "read_png"]

DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": bundled.load_digits,
    "emoji": bundled.load_emoji,
    "mnist": mnist.load,
    "fashion_mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
    "quickdraw": quickdraw.load,
}

_OPTIONS = {"quickdraw": ("classes", "per_class")}


def load(name: str, root: Folder | None = None, **options: Any) -> Dataset:
    """Load a data set by its name: "digits", "emoji", "mnist", "fashion_mnist", "cifar10" or "quickdraw".

    Each split has `images`, uint8 (N, H, W, C) with levels 0..Q-1, and `labels`, int64 (N,); the set has `levels`
    (that is Q) and `classes`. The arrays are new at every call and yours to change.

    `root` is the folder to look for files in; without it that is `$MINIPIXEL_DATA`, then the user's cache folder, to
    which missing files are downloaded. "digits" and "emoji" come with the package and take no `root`. Options:
    "quickdraw" takes `classes=("apple", "cat", "fish")`, any of its 345, and `per_class=10_000`.

    Raises ValueError for an unknown name or option, or a root that would not be read, FileNotFoundError if `root` lacks
    a file, FormatError if a file is not what it claims to be, ConnectionError if a download is needed and fails.
    Sources: see the `load` of each set, in `minipixel.datasets.mnist` and so on.
    """
    if name not in DATASETS:
        close = difflib.get_close_matches(str(name).lower(), DATASETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"load: unknown data set {name!r}, wanted one of {', '.join(map(repr, DATASETS))}{hint}")
    known = _OPTIONS.get(name, ())
    for option in options:
        if option not in known:
            raise ValueError(f"load: {name!r} takes no option {option!r}, wanted {' or '.join(known) or 'none'}")
    return DATASETS[name](root, **options)
