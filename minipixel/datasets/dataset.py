"""The classes Dataset and Split: three splits of labelled pictures, with their levels and the names of their classes.

Each split has one use: a model learns from `train`; `validation` shows when to stop, and which of several models is
best; `test` is used once, when all of that is decided. A loader takes **every tenth** of the images that its set calls
training images for validation (index % 10 == 9). This needs no seed, so they are the same images on every machine, and
every class has its share of them.
"""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from minipixel.errors import visible
from minipixel.spelling import did_you_mean

Folder = str | os.PathLike[str]

# A name that a data set lacks, and the way to what was meant.
INSTEAD = {
    **dict.fromkeys(("images", "data", "x"), "ds.train.images and ds.test.images are its images"),
    **dict.fromkeys(("labels", "targets", "target", "y"), "ds.train.labels and ds.test.labels are its labels"),
    **dict.fromkeys(("val", "valid", "dev"), "ds.validation.images are those to validate on"),
    "shape": "ds.image_shape is that of one image",
    "num_classes": "len(ds.classes) is how many there are",
}

TEST, VALIDATION = 5, 10
"""Of a set that comes without a split, one image in so many is for the test; of all others, one to validate on."""

SHOWN = 40
"""How many pictures of a data set a notebook shows."""


# Without eq=False, == would compare arrays, which has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Labelled pictures: `images` (N, H, W, C), uint8, or uint16 for more than 256 levels, and `labels`, int64 (N,).

    `files` are the paths that the pictures were read from, if each comes from a file of its own.
    """

    images: NDArray[Any]
    labels: NDArray[np.int64]
    files: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Split({self})"

    def __str__(self) -> str:
        N, H, W, C = self.images.shape
        return f"{N} images, {H}x{W}x{C}"

    def without_every(self, n: int) -> "tuple[Split, Split]":
        """Two splits: the second has every n-th picture, those at indices n-1, 2n-1, ...; the first has all others."""
        nth = np.arange(len(self.images)) % n == n - 1
        return Split(self.images[~nth], self.labels[~nth]), Split(self.images[nth], self.labels[nth])

    def __add__(self, other: "Split") -> "Split":
        """A split with copies of the pictures of both."""
        images, labels = (np.concatenate([getattr(s, name) for s in (self, other)]) for name in ("images", "labels"))
        return Split(images, labels, self.files + other.files)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training, validation and test pictures (H, W, C) whose sub-pixels have `levels` values, 0..Q-1.

    `train`, `validation` and `test` are Splits. `classes` has the names of the labels: an image with label 3 is of the
    class `classes[3]`, and there are `len(classes)` of them. `pictures` is a dict that says how the pictures were
    prepared; after `model.pictures = ds.pictures` a model file has it too.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    levels: int
    classes: tuple[str, ...]
    pictures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.pictures:
            object.__setattr__(self, "pictures", {"levels": self.levels, "classes": list(self.classes)})

    @classmethod
    def from_train_and_test(
        cls, name: str, train: Split, test: Split, *, levels: int, classes: tuple[str, ...]
    ) -> "Dataset":
        """A set from two splits; every tenth of the training images becomes a validation image."""
        train, validation = train.without_every(VALIDATION)
        return cls(name, train, validation, test, levels, classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The shape (H, W, C) of one picture, as the constructor of a model takes it."""
        H, W, C = self.train.images.shape[1:]
        return H, W, C

    if not TYPE_CHECKING:  # to a type checker a name that is not there is not there

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError for an unknown name, with the name that minipixel has for it, if there is one."""
            hint = INSTEAD.get(name) or did_you_mean(name, () if name[:1] == "_" else Dataset.__annotations__)[2:]
            raise AttributeError(f"Dataset has no {name!r}{'; ' * bool(hint)}{hint}", name=name, obj=self)

        def __iter__(self) -> NoReturn:
            """Raise TypeError, since a set is not a tuple that could be unpacked."""
            raise TypeError(
                "Dataset is not unpacked; ds.train, ds.validation and ds.test have .images and .labels each"
            )

    def __repr__(self) -> str:
        return f"Dataset({self})"

    def __str__(self) -> str:
        H, W, C = self.image_shape
        return f"{visible(self.name)}: {self.counts()}, {H}x{W}x{C}, {self.levels} levels, {len(self.classes)} classes"

    def everything(self) -> Split:
        """A split with copies of all pictures of the three splits."""
        return self.train + self.validation + self.test

    def counts(self) -> str:
        """How many images there are: "1295 train + 143 validation + 359 test images"."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return " + ".join(f"{len(split.images)} {name}" for name, split in splits.items()) + " images"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: some of the training images, spread over all of them."""
        from minipixel import plots

        N = len(self.train.images)
        some = self.train.images[np.linspace(0, N - 1, min(N, SHOWN)).astype(int)]
        return plots.png(plots.image_grid(some, self.levels, title=str(self))) if N else None
