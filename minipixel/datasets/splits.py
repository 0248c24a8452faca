"""A data set from images that are sorted by their places in [0, 1): the places decide the split."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.dataset import VALIDATION, Dataset, Split


def dataset(
    name: str,
    images: NDArray[Any],
    labels: NDArray[np.int64],
    places: NDArray[np.float64],
    split: float,
    levels: int,
    classes: tuple[str, ...],
    files: tuple[str, ...] = (),
    pictures: dict[str, Any] | None = None,
) -> Dataset:
    """A set of images (N, H, W, C) that are sorted by their places in [0, 1).

    Places below `split` are test images, the next tenth of the rest are validation images, and all others training
    images.
    """
    cut, second = (int(cut) for cut in np.searchsorted(places, [split, split + (1 - split) / VALIDATION]))

    def part(which: slice) -> Split:
        return Split(images[which], labels[which], files[which])

    told = {**(pictures or {"levels": levels}), "classes": list(classes)}
    return Dataset(
        name,
        train=part(slice(second, None)),
        validation=part(slice(cut, second)),
        test=part(slice(0, cut)),
        levels=levels,
        classes=classes,
        pictures=told,
    )
