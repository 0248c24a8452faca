"""The two sets inside the package: handwritten digits and emoji. No network, no folder, no waiting.

Neither comes with a split that suits us, so we make one: **every fifth image is a test image** (index % 5 == 4). It
needs no seed, so it is the same on every machine and for ever, and it takes its share from the whole length of the
set: the emoji are sorted by class, and cutting off the last fifth would leave classes that are never trained on.
"""

from pathlib import Path

import numpy as np

from minipixel.datasets.dataset import TEST, Dataset, Folder, Split
from minipixel.datasets.npz import read_npz

DATA = Path(__file__).parent / "data"


def load_digits(root: Folder | None = None) -> Dataset:
    """Load 1,797 handwritten digits, (8, 8, 1) with 17 levels: 1,295 to train on, 143 to validate, 359 to test.

    A level, 0..16, counts the inked pixels in a 4x4 block of a 32x32 scan. Every fifth image (index % 5 == 4) is a test
    image, every tenth of the others one to validate on. `root` has to be None: the file is inside the package.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, https://doi.org/10.24432/C50P49
    (CC BY 4.0).
    """
    _check_no_root("digits", root)
    arrays = read_npz(DATA / "digits8.npz", "images", "labels")
    train, test = Split(arrays["images"], arrays["labels"].astype(np.int64)).without_every(TEST)
    return Dataset.from_train_and_test("digits", train, test, levels=17, classes=tuple("0123456789"))


def load_emoji(root: Folder | None = None) -> Dataset:
    """Load 1,906 emoji on white, (16, 16, 3) with 256 levels: 1,373 to train on, 152 to validate, 381 to test.

    One picture an emoji, without skin-tone variants; the classes are Unicode's groups ("Food & Drink", ...). Every
    fifth image (index % 5 == 4) is a test image, every tenth of the others one to validate on. Six test images are also
    in another split, under another name, as the flag of France is also that of Saint Martin: four in training, two
    among those to validate on. `root` has to be None: the file is inside the package.
    Source: Google, Noto Emoji, https://github.com/googlefonts/noto-emoji (Apache License 2.0).
    """
    _check_no_root("emoji", root)
    arrays = read_npz(DATA / "emoji16.npz", "images", "labels", "label_names")
    train, test = Split(arrays["images"], arrays["labels"].astype(np.int64)).without_every(TEST)
    return Dataset.from_train_and_test("emoji", train, test, levels=256, classes=tuple(arrays["label_names"].tolist()))


def _check_no_root(name: str, root: Folder | None) -> None:
    """ValueError for a folder, in which somebody hopes that pictures of their own are read."""
    if root is not None:
        raise ValueError(
            f"root: got {str(root)!r} for {name}, wanted none, since that set is bundled and reads no folder; leave it "
            "out; pictures of your own are read by minipixel.datasets.read_png"
        )
