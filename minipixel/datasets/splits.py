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
    """A set of images (N, H, W, C) that stand in the order of their places, in [0, 1).

    What is below `split` is test, and a tenth of the rest, which follows, is validation.
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
