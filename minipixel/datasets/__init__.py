"""Data sets of pictures: two small ones inside the package, four that are downloaded, and pictures of your own."""

from collections.abc import Callable, Sequence

from minipixel.datasets import bundled, cifar10, fashion_mnist, mnist, quickdraw
from minipixel.datasets.arrays import from_arrays
from minipixel.datasets.augment import crop, flip, in_turn, shift
from minipixel.datasets.dataset import Dataset, Folder, Split
from minipixel.datasets.folder import from_folder
from minipixel.datasets.nearest import nearest
from minipixel.datasets.pictures import read_picture
from minipixel.datasets.png import read_png
from minipixel.datasets.quickdraw import PER_CLASS
from minipixel.datasets.saving import save_pictures
from minipixel.datasets.transforms import binarize, quantize
from minipixel.spelling import did_you_mean, spelled

__all__ = [
    "DATASETS",
    "Dataset",
    "Split",
    "binarize",
    "crop",
    "flip",
    "from_arrays",
    "from_folder",
    "in_turn",
    "load",
    "nearest",
    "quantize",
    "read_picture",
    "read_png",
    "save_pictures",
    "shift",
]

DATASETS: dict[str, Callable[..., Dataset]] = {
    "digits": bundled.load_digits,
    "emoji": bundled.load_emoji,
    "mnist": mnist.load,
    "fashion_mnist": fashion_mnist.load,
    "cifar10": cifar10.load,
    "quickdraw": quickdraw.load,
}


@spelled
def load(
    name: str, root: Folder | None = None, *, classes: Sequence[str] | None = None, per_class: int | None = PER_CLASS
) -> Dataset:
    """Load a data set by its name: "digits", "emoji", "mnist", "fashion_mnist", "cifar10" or "quickdraw".

    The set has three splits, `train`, `validation` and `test`, each with `images`, uint8 (N, H, W, C) in 0..Q-1, and
    `labels`, int64 (N,). It also has `levels`, which is Q, and `classes`, the names of the labels. Every call returns
    new arrays, which you may change.

    `root` is the folder in which files are looked for. Without `root` that is `$MINIPIXEL_DATA`, then the user's cache
    folder, to which missing files are downloaded. "digits" and "emoji" come with the package and take no `root`. Only
    "quickdraw" takes `classes`, any of its 345, by default ("apple", "cat", "fish"), and `per_class`, how many drawings
    of each class are loaded, None for all.

    Raises ValueError for an unknown name or option, or for a root that would not be read; FileNotFoundError if `root`
    lacks a file; FormatError if a file is not what it claims to be; ConnectionError if a download is needed and fails.
    Sources: see the `load` of each set, in `minipixel.datasets.mnist` and so on.
    """
    if not isinstance(name, str) or name not in DATASETS:
        wanted = f"{', '.join(map(repr, DATASETS))}{did_you_mean(name, DATASETS)}"
        raise ValueError(
            f"load: unknown data set {name!r:.100}, wanted one of {wanted}; from_folder(path) reads your own pictures"
        )
    if name == "quickdraw":
        return quickdraw.load(root, classes=quickdraw.DEFAULT if classes is None else classes, per_class=per_class)
    for option, other in (("classes", classes is not None), ("per_class", per_class != PER_CLASS)):
        if other:
            raise ValueError(f"load: {name!r} takes no option {option!r}, wanted none; 'quickdraw' does")
    return DATASETS[name](root)
