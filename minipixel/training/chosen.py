"""A choice of images from an array, which are read when a batch needs them, so that a memory map is never copied."""

from collections.abc import Iterator
from typing import Any

import numpy as np

PIECE = 2**24
"""About how many bytes `pieces` gives at once."""


class Chosen:
    """The images (N, H, W, C) at some places of an array, in that order; it can be indexed like an array."""

    def __init__(self, images: np.ndarray, places: np.ndarray) -> None:
        self._images, self._places = images, places
        self.dtype, self.shape = images.dtype, (len(places), *images.shape[1:])

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._images[self._places[index]]


def pieces(array: "np.ndarray | Chosen") -> Iterator[memoryview]:
    """The bytes of an array, or of the chosen part of one, in C order, some rows at a time."""
    rows = max(1, PIECE // max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize))
    for first in range(0, len(array), rows):
        yield np.ascontiguousarray(array[first : first + rows]).data
