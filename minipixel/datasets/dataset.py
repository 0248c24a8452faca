"""What a loader gives back: two splits of labelled pictures and what their numbers mean."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Folder = str | os.PathLike[str]

SHOWN = 40
"""How many pictures of a data set a notebook shows."""


# Without eq=False, == would compare arrays, which has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Labelled pictures: `images`, uint8 (N, H, W, C), and `labels`, int64 (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Split({self})"

    def __str__(self) -> str:
        N, H, W, C = self.images.shape
        return f"{N} images, {H}x{W}x{C}"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A training and a test split of pictures (H, W, C) whose sub-pixels take `levels` values, 0..Q-1.

    `classes` names the labels: an image with label 3 is a `classes[3]`, and `len(classes)` is how many there are.
    """

    name: str
    train: Split
    test: Split
    levels: int
    classes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of one picture, which is what a model asks for."""
        H, W, C = self.train.images.shape[1:]
        return H, W, C

    def __repr__(self) -> str:
        return f"Dataset({self})"

    def __str__(self) -> str:
        N, N_test = len(self.train.images), len(self.test.images)
        H, W, C = self.image_shape
        return (
            f"{self.name}: {N} train + {N_test} test images, {H}x{W}x{C}, "
            f"{self.levels} levels, {len(self.classes)} classes"
        )

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: some of the training images, spread over all of them."""
        from minipixel import plots

        N = len(self.train.images)
        some = self.train.images[np.linspace(0, N - 1, min(N, SHOWN)).astype(int)]
        return plots.png(plots.image_grid(some, self.levels, title=str(self))) if N else None
