"""Augmentations for `fit(..., transform=...)`: each function returns a function (images, rng) -> changed images.

They draw new random numbers for every batch, move whole pixels, and create no level that was not in the image.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.models.checks import check_count
from minipixel.shown import short
from minipixel.spelling import did_you_mean, spelled

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def flip() -> Transform:
    """A transform that mirrors each image (N, H, W, C) left to right with probability 1/2."""

    def flipped(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        mirror = rng.random(len(images)) < 0.5
        return np.where(mirror[:, None, None, None], images[:, :, ::-1], images)

    return flipped


@spelled
def shift(most: int = 2) -> Transform:
    """A transform that moves each image (N, H, W, C) by up to `most` pixels, up or down and left or right.

    The pixels at the edge are repeated where the image has moved away. Raises ValueError for `most` below 0.
    """
    most = check_count("most", most, 0)

    def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, H, W, _ = images.shape
        down, across = rng.integers(-most, most, size=(2, N, 1), endpoint=True)
        return _picked(images, (np.arange(H) - down).clip(0, H - 1), (np.arange(W) - across).clip(0, W - 1))

    return shifted


@spelled
def crop(least: float = 0.8) -> Transform:
    """A transform that cuts a window out of each image (N, H, W, C), and enlarges it again by repeating pixels.

    Both sides of the window are the same random share, between `least` and 1, of the image's. Raises ValueError for a
    `least` outside (0, 1].
    """
    if isinstance(least, bool) or not isinstance(least, (int, float, np.number)) or not 0 < least <= 1:
        raise ValueError(f"least: got {short(least)}, wanted the shortest share of a side, in (0, 1]; such as 0.8")

    def cropped(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, H, W, _ = images.shape
        share, place = rng.uniform(least, 1, size=(N, 1)), rng.random((2, N, 1))

        def along(length: int, start: np.ndarray) -> np.ndarray:
            size = np.maximum(1, np.rint(share * length)).astype(int)
            first = np.floor(start * (length - size + 1)).astype(int)
            return first + np.arange(length) * size // length

        return _picked(images, along(H, place[0]), along(W, place[1]))

    return cropped


def in_turn(*transforms: Transform) -> Transform:
    """A transform that applies several transforms one after the other."""

    def all_of_them(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for transform in transforms:
            images = transform(images, rng)
        return images

    return all_of_them


AUGMENTATIONS: dict[str, Callable[..., Transform]] = {"flip": flip, "shift": shift, "crop": crop}


def augmentation(text: str) -> Transform:
    """The transform that a text names, such as "flip,shift=2,crop=0.8". Raises ValueError for any other text."""
    return in_turn(*(_one(part.strip()) for part in text.split(",")))


def _one(part: str) -> Transform:
    name, _, number = part.partition("=")
    if name not in AUGMENTATIONS:
        wanted = f"{', '.join(AUGMENTATIONS)}{did_you_mean(name, AUGMENTATIONS)}"
        raise ValueError(f"augmentation: got {name!r:.60}, wanted some of {wanted}; such as flip,shift=2")
    if not number:
        return AUGMENTATIONS[name]()
    if name == "flip":
        raise ValueError(f"augmentation: got {part!r:.60}, wanted flip, which takes no number")
    try:
        value: Any = int(number) if name == "shift" else float(number)
    except ValueError:
        kind = "a whole number" if name == "shift" else "a number"
        raise ValueError(f"augmentation: got {part!r:.60}, wanted {kind} after {name}=") from None
    return AUGMENTATIONS[name](value)


def _picked(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The pixels of each image at these rows (N, H) and columns (N, W)."""
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
