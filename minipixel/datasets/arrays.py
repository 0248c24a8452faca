"""A data set from arrays of your own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.dataset import Dataset
from minipixel.datasets.places import check_split, digest_of, key_of, place_of
from minipixel.datasets.preparation import MAX_LEVELS
from minipixel.datasets.splits import dataset
from minipixel.models.arrays import as_array
from minipixel.models.checks import as_images, check_count, check_labels, dtype_hint
from minipixel.spelling import spelled


@spelled
def from_arrays(
    images: Any, labels: Any = None, *, levels: int | None = None, split: float = 0.1, rng: Any = 0
) -> Dataset:
    """Make a data set of integer images (N, H, W, C), or (N, H, W) with one channel, in 0..Q-1.

    `levels` is Q. It may be left out for uint8 images, which then have 256 levels, and for True and False, which have
    2. Images become uint8, or uint16 for more than 256 levels. `labels` are N whole numbers from 0, or N names; without
    labels all images are of one class, ".".
    `split` is the share of test images. A hash of an image's content decides its split, so adding images does not move
    others to another split, and equal images are in the same one. Another `rng`, a number say, gives another split.
    Raises ValueError for images or labels of another kind, and for levels outside 0..Q-1.
    """
    images, split, key = as_images(images), check_split(split), key_of(rng)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or 0 in images.shape:
        hint = "; one alone needs an axis: images[None]" if images.ndim == 2 else ""
        raise ValueError(f"images: got shape {images.shape}, wanted (N, H, W, C) with N >= 1{hint}")
    levels = _levels(images, levels)
    kind = np.uint8 if levels <= 256 else np.uint16
    images = images.astype(kind, copy=False)
    numbers, classes = _labels(labels, len(images))
    places = np.array([place_of(digest_of(image), key) for image in images])
    order = np.argsort(places, kind="stable")
    H, W, C = images.shape[1:]
    said = {"size": [H, W], "channels": C, "levels": levels, "split": split, "key": key.hex()}
    images, numbers, places = images[order], numbers[order], places[order]
    return dataset("arrays", images, numbers, places, split, levels, classes, pictures=said)


def _levels(images: NDArray[Any], levels: int | None) -> int:
    """The number of levels. Raises ValueError if it is not clear, or if images are not whole numbers below it."""
    if levels is None and images.dtype in (np.dtype(bool), np.dtype(np.uint8)):
        return 2 if images.dtype == bool else 256
    if images.dtype.kind not in "uib":
        hint = dtype_hint("images", images, 256 if levels is None else levels)
        raise ValueError(f"images: got dtype {images.dtype}, wanted integers (uint8, or uint16){hint}")
    lowest, highest = int(images.min()), int(images.max())
    if levels is None:
        raise ValueError(
            f"levels: got none for {images.dtype} images of {lowest}..{highest}, wanted how many there are; "
            f"levels={min(max(highest + 1, 2), MAX_LEVELS)}, say"
        )
    levels = check_count("levels", levels, 2, MAX_LEVELS)
    if lowest < 0 or highest >= levels:
        raise ValueError(
            f"images: got levels {lowest}..{highest}, wanted 0..{levels - 1}; raise levels, or quantize them"
        )
    return levels


def _labels(labels: Any, N: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as numbers, and the names of the classes. Raises ValueError for anything that is not labels."""
    if labels is None:
        return np.zeros(N, np.int64), (".",)
    if np.asarray(labels).dtype.kind == "U":
        if np.shape(labels) != (N,):
            raise ValueError(f"labels: got names of shape {np.shape(labels)}, wanted {N}, one per image")
        names, numbers = np.unique(np.asarray(labels), return_inverse=True)
        return numbers.astype(np.int64), tuple(map(str, names))
    numbers = check_labels(as_array("labels", labels), N)
    if numbers.min() < 0:
        raise ValueError(f"labels: got {numbers.min()}, wanted whole numbers from 0")
    count = check_count("number of classes", int(numbers.max()) + 1, 1)
    return numbers.astype(np.int64), tuple(map(str, range(count)))
