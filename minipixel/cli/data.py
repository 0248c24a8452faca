"""From a data set and a number of levels to the images that a model of that many levels learns from or scores."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import datasets
from minipixel.datasets.augment import augmentation
from minipixel.errors import visible

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def prepare(images: np.ndarray, levels: int, to: int, binarize: str) -> np.ndarray:
    """Images with `to` levels: integers (N, H, W, C) in 0..levels-1 -> uint8 in 0..to-1.

    Random draws are always the same, so what a model is judged by is, too: "dynamic" then means "static".
    """
    if to == levels:
        return images
    if to == 2:
        return datasets.binarize(images, levels, "static" if binarize == "dynamic" else binarize)
    return datasets.quantize(images, levels, to)


def batch_transform(levels: int, to: int, binarize: str) -> Transform | None:
    """What has to happen to every batch anew: drawing it, for dynamic binarisation; None for all else."""
    if to != 2 or to == levels or binarize != "dynamic":
        return None

    def draw(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return datasets.binarize(images, levels, "dynamic", rng)

    return draw


def augmented(augment: str | None, drawn: Transform | None) -> Transform | None:
    """What is done to every batch: augmentations, by the text that asks for them, then what `batch_transform` says."""
    first = [] if augment is None else [augmentation(augment)]
    steps = [*first, *([] if drawn is None else [drawn])]
    return datasets.in_turn(*steps) if len(steps) > 1 else steps[0] if steps else None


def histogram_bits_per_dim(train: np.ndarray, images: np.ndarray, levels: int) -> float:
    """Bits/dim of images under the histogram of the training images: what a model has to beat."""
    counts = _counts(train, levels) + 1.0
    seen = _counts(images, levels)
    return float(-(np.log2(counts / counts.sum()) @ seen) / seen.sum())


def _counts(images: np.ndarray, levels: int) -> np.ndarray:
    """How often each level occurs, counted some images at a time, for counting makes eight bytes of each number."""
    some = max(1, 2**22 // int(np.prod(images.shape[1:])))
    parts = (images[first : first + some] for first in range(0, len(images), some))
    return sum((np.bincount(part.ravel(), minlength=levels) for part in parts), np.zeros(levels))


def describe(ds: Any, levels: int) -> str:
    """One line on a data set as it is used: "digits: 1295 train + ... + 359 test images, 8x8x1, 17 levels"."""
    H, W, C = ds.image_shape
    return f"{visible(ds.name)}: {ds.counts()}, {H}x{W}x{C}, {levels} levels"
