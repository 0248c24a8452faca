"""MNIST from its four original IDX files, in a folder of yours or downloaded once to the cache.

Wherever a file comes from, the SHA-256 of its unpacked content must be that of the original, so that your results can
be compared with published ones.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.dataset import Dataset, Folder, Split
from minipixel.datasets.fetch import fetch
from minipixel.datasets.idx import read_idx

# Of the unpacked files.
DIGESTS = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


def load(root: Folder | None = None) -> Dataset:
    """Load MNIST: handwritten digits, (28, 28, 1) with 256 levels.

    There are 54,000 images to train on, 6,000 to validate, and 10,000 to test. The validation images are every tenth of
    the original's 60,000 training images (index % 10 == 9).

    The four files, `train-images-idx3-ubyte` and so on, or `train-images.idx3-ubyte`, plain or with `.gz`, are looked
    for in `root`/mnist, `root`/MNIST/raw (torchvision's) and `root`; without `root` in `$MINIPIXEL_DATA`, its mnist/
    first, then in the user's cache, to which missing files are downloaded (11 MB in all).
    Raises FileNotFoundError if `root` lacks a file, FormatError if a file is not the original, ConnectionError if a
    download is needed and no mirror answers.
    Source: Y. LeCun, C. Cortes, C. J. C. Burges, http://yann.lecun.com/exdb/mnist/ (CC BY-SA 3.0).
    """
    return load_from(root, DIGESTS, MIRRORS)


def load_from(root: Folder | None, digests: Mapping[str, str], mirrors: Sequence[str]) -> Dataset:
    """Load the four files that have these digests, downloading from these mirrors; `load` says the rest."""

    def array(name: str, dims: int) -> NDArray[np.uint8]:
        urls = [f"{mirror}{name}.gz" for mirror in mirrors]
        names = [f"{spelt}{end}" for spelt in spellings(name) for end in ("", ".gz")]
        return fetch(names, "mnist", root, urls, lambda path: read_idx(path, dims, sha256=digests[name]))

    return Dataset.from_train_and_test("mnist", *splits(array), levels=256, classes=tuple("0123456789"))


def spellings(name: str) -> tuple[str, str]:
    """The two usual names of one of the four files: with "-" before "idx", or with ".", as many programs unpack it."""
    return name.replace("-idx", ".idx"), name


def splits(array: Callable[[str, int], NDArray[np.uint8]]) -> tuple[Split, Split]:
    """The training and the test split of a set with MNIST's four files, which `array(name, dims)` reads."""
    train, test = (
        Split(array(f"{part}-images-idx3-ubyte", 3)[..., None], array(f"{part}-labels-idx1-ubyte", 1).astype(np.int64))
        for part in ("train", "t10k")
    )
    return train, test
