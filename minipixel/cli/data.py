"""The images of a data set with a given number of levels, as a model learns from them or scores them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import datasets
from minipixel.errors import visible

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def prepare(images: np.ndarray, levels: int, to: int, binarize: str) -> np.ndarray:
    """Images with `to` levels: integers (N, H, W, C) in 0..levels-1 -> uint8 in 0..to-1.

    Random draws are always the same, so that all models are judged by the same images; "dynamic" means "static" here.
    """
    if to == levels:
        return images
    if to == 2:
        return datasets.binarize(images, levels, "static" if binarize == "dynamic" else binarize)
    return datasets.quantize(images, levels, to)


def batch_transform(levels: int, to: int, binarize: str) -> Transform | None:
    """The transform for every batch: it draws binary images for dynamic binarisation, and is None otherwise."""
    if to != 2 or to == levels or binarize != "dynamic":
        return None

    def draw(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return datasets.binarize(images, levels, "dynamic", rng)

    return draw


def histogram_bits_per_dim(train: np.ndarray, images: np.ndarray, levels: int) -> float:
    """Bits/dim of images by the histogram of levels of the training images, which a model has to beat."""
    counts, seen = (_counts(some, levels) for some in (train, images))
    share = (counts + 1.0) / (counts + 1.0).sum()
    return float(-(np.log2(share) * seen).sum() / seen.sum())


def _counts(images: np.ndarray, levels: int) -> np.ndarray:
    """How often each level occurs, counted for a few images at a time, since all may be larger than memory."""
    parts = (images[n : n + 1000].ravel() for n in range(0, len(images), 1000))
    return np.sum([np.bincount(part, minlength=levels) for part in parts], axis=0)


def describe(ds: Any, levels: int) -> str:
    """One line on a data set as it is used: "digits: 1295 train + ... + 359 test images, 8x8x1, 17 levels"."""
    H, W, C = ds.image_shape
    return f"{visible(ds.name)}: {ds.counts()}, {H}x{W}x{C}, {levels} levels"
