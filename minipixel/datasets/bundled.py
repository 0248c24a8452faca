"""The two data sets inside the package, handwritten digits and emoji, which need no network and no folder.

Neither comes with a suitable split, so **every fifth image is a test image** here (index % 5 == 4). This needs no seed,
so it is the same on every machine. It also takes test images from the whole set: the emoji are sorted by class, and if
the last fifth were the test images, some classes would never be trained on.
"""

from pathlib import Path

import numpy as np

from minipixel.datasets.dataset import TEST, Dataset, Folder, Split
from minipixel.datasets.npz import read_npz

DATA = Path(__file__).parent / "data"


def load_digits(root: Folder | None = None) -> Dataset:
    """Load 1,797 handwritten digits, (8, 8, 1) with 17 levels: 1,295 to train on, 143 to validate, 359 to test.

    A level, 0..16, counts the inked pixels in a 4x4 block of a 32x32 scan. Every fifth image (index % 5 == 4) is a test
    image, and every tenth of the others is a validation image. `root` must be None, since the file is inside the
    package; anything else raises ValueError.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI, https://doi.org/10.24432/C50P49
    (CC BY 4.0).
    """
    _check_no_root("digits", root)
    arrays = read_npz(DATA / "digits8.npz", "images", "labels")
    train, test = Split(arrays["images"], arrays["labels"].astype(np.int64)).without_every(TEST)
    return Dataset.from_train_and_test("digits", train, test, levels=17, classes=tuple("0123456789"))


def load_emoji(root: Folder | None = None) -> Dataset:
    """Load 1,906 emoji on white, (16, 16, 3) with 256 levels: 1,373 to train on, 152 to validate, 381 to test.

    There is one picture per emoji, without skin-tone variants; the classes are Unicode's groups ("Food & Drink", ...).
    Every fifth image (index % 5 == 4) is a test image, and every tenth of the others is a validation image. Six test
    images are also in another split under another name (the flag of France, for one, is also that of Saint Martin):
    four in training, two in validation. `root` must be None, since the file is inside the package; anything else raises
    ValueError.
    Source: Google, Noto Emoji, https://github.com/googlefonts/noto-emoji (Apache License 2.0).
    """
    _check_no_root("emoji", root)
    arrays = read_npz(DATA / "emoji16.npz", "images", "labels", "label_names")
    train, test = Split(arrays["images"], arrays["labels"].astype(np.int64)).without_every(TEST)
    return Dataset.from_train_and_test("emoji", train, test, levels=256, classes=tuple(arrays["label_names"].tolist()))


def _check_no_root(name: str, root: Folder | None) -> None:
    """Raise ValueError if a folder is given, since no pictures are read from it."""
    if root is not None:
        raise ValueError(
            f"root: got {str(root)!r} for {name}, wanted none, since that set is bundled and reads no folder; leave it "
            "out; pictures of your own are read by minipixel.datasets.read_png"
        )
