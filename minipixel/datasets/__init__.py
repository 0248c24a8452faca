"""Pictures to learn from: small sets inside the package, MNIST from a folder or a download."""

import difflib
from collections.abc import Callable

from minipixel.datasets import bundled, mnist
from minipixel.datasets.dataset import Dataset, Folder, Split
from minipixel.datasets.transforms import binarize, quantize

__all__ = ["DATASETS", "Dataset", "Split", "binarize", "load", "quantize"]

DATASETS: dict[str, Callable[[Folder | None], Dataset]] = {
    "digits": bundled.load_digits,
    "emoji": bundled.load_emoji,
    "mnist": mnist.load,
}


def load(name: str, root: Folder | None = None) -> Dataset:
    """Load a data set by its name: "digits", "emoji" or "mnist".

    Each split has `images`, uint8 (N, H, W, C) with levels 0..Q-1, and `labels`, int64 (N,); the set has `levels`
    (that is Q) and `classes`. The arrays are new at every call and yours to change.

    `root` is the folder to look for files in; without it that is `$MINIPIXEL_DATA`, then the user's cache folder, to
    which missing files are downloaded. "digits" and "emoji" come with the package and look nowhere.

    Raises ValueError for an unknown name, FileNotFoundError if `root` lacks a file, FormatError if a file is not what
    it claims to be, ConnectionError if a download is needed and fails.
    Sources: see `minipixel.datasets.bundled` and `minipixel.datasets.mnist`.
    """
    if name not in DATASETS:
        close = difflib.get_close_matches(str(name).lower(), DATASETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"load: unknown data set {name!r}, wanted one of {', '.join(map(repr, DATASETS))}{hint}")
    return DATASETS[name](root)
