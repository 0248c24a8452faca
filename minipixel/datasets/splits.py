"""Images in the order of their places, cut into the splits of a data set."""

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
    """A set of images (N, H, W, C) in the order of their places, in [0, 1): those below `split` are for the test.

    Of what is left a tenth is to validate on, the next in order.
    """
    first, second = np.searchsorted(places, (split, split + (1 - split) / VALIDATION)).tolist()

    def part(which: slice) -> Split:
        return Split(images[which], labels[which], files[which])

    told = {**(pictures or {"levels": levels}), "classes": list(classes)}
    return Dataset(
        name,
        train=part(slice(second, None)),
        validation=part(slice(first, second)),
        test=part(slice(0, first)),
        levels=levels,
        classes=classes,
        pictures=told,
    )
