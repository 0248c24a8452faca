"""The nearest images of a set to given ones, which shows whether a model draws copies of its training images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.preparation import MAX_LEVELS
from minipixel.models.checks import check_any_images, check_count
from minipixel.spelling import spelled

BLOCK = 1 << 11
"""How many images, and sub-pixels, are compared at a time: in some 200 MB, whatever there is to compare."""


@spelled
def nearest(images: Any, among: Any, levels: int, *, count: int = 1) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each image the `count` nearest ones in a set: their indices and distances, (N, count) each, nearest first.

    `images` are integers (N, H, W, C) in 0..Q-1, such as images that a model has drawn; `among` (M, H, W, C) is the
    set, such as its training images; and `levels` is Q. The distance is the root mean square difference over all
    sub-pixels, with levels scaled to 0..1: it is 0 only for identical images, and 1 between black and white. Of images
    at the same distance the first in the set comes first. Distances are computed in whole numbers, without rounding.
    Raises ValueError for other arrays, for images of two sizes, and for a `count` that is not in 1..M.
    """
    levels = check_count("levels", levels, 2, MAX_LEVELS)
    images, among = check_any_images("images", images, levels), check_any_images("among", among, levels)
    if images.shape[1:] != among.shape[1:]:
        got, wanted = ("x".join(map(str, some.shape[1:])) for some in (among, images))
        raise ValueError(f"among: got images of {got}, wanted {wanted}, as the images have")
    count = check_count("count", count, 1, len(among))
    flat, others = (some.reshape(len(some), -1) for some in (images, among))
    found = [_nearest(flat[n : n + BLOCK], others, count) for n in range(0, len(flat), BLOCK)]
    indices, squared = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return indices, np.sqrt(squared / flat.shape[1]) / (levels - 1)


def _nearest(images: np.ndarray, among: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for a block of images, integers (N, D): indices and squared distances, (N, count) each."""
    best, indices = np.empty((2, len(images), 0), np.int64)
    for first in range(0, len(among), BLOCK):
        here = _squared(images, among[first : first + BLOCK])
        order = _smallest(here, count)
        best = np.concatenate([best, np.take_along_axis(here, order, axis=1)], axis=1)
        indices = np.concatenate([indices, first + order], axis=1)
        order = _smallest(best, count)
        best, indices = (np.take_along_axis(some, order, axis=1) for some in (best, indices))
    return indices, best


def _smallest(numbers: np.ndarray, count: int) -> np.ndarray:
    """The places of the smallest numbers in each row, of equal ones the first place first: (N, M) -> (N, count)."""
    if count == 1:
        return numbers.argmin(axis=1)[:, None]
    return np.argsort(numbers, axis=1, kind="stable")[:, :count]


def _squared(images: np.ndarray, among: np.ndarray) -> NDArray[np.int64]:
    """Squared distances of all pairs: integers (N, D) and (M, D) -> (N, M).

    They are computed by matrix products, which are fast, since |x - y|^2 = |x|^2 - 2 xy + |y|^2. Only so many
    sub-pixels are multiplied at a time that all sums stay below 2**53, where float64 holds whole numbers exactly.
    """
    squared = np.zeros((len(images), len(among)), np.int64)
    for first in range(0, images.shape[1], BLOCK):
        x, y = (some[:, first : first + BLOCK].astype(np.float64) for some in (images, among))
        products = x @ y.T
        products *= -2
        products += np.einsum("nd,nd->n", x, x)[:, None]
        products += np.einsum("nd,nd->n", y, y)
        squared += products.astype(np.int64)
    return squared
