"""Which pictures are odd: not those that are least likely, for a blank one is likely and a busy one is not."""

import zlib
from typing import Any

import numpy as np

from minipixel.models import Model
from minipixel.spelling import spelled


@spelled
def oddness(model: Model, images: Any, condition: Any = None) -> np.ndarray:
    """How odd each picture is to a model: integers (N, H, W, C) -> float64 (N,), the larger the odder.

    It is -log p(x) less the length of the picture once zlib has compressed it, in nats: what a model of *these*
    pictures needs beyond what a compressor of any pictures needs. Likelihood alone finds blank pictures least odd of
    all; this finds blank and busy ones, and those of another data set. It has no meaning by itself: compare it between
    pictures of one model. docs/results.md has what else was tried, `benchmarks/odd_pictures.py` measures it.
    Raises ValueError for images or conditions that the model does not describe.
    Source: Serra et al. 2020, "Input complexity and out-of-distribution detection with likelihood-based generative
    models", arXiv:1909.11480.
    """
    images, condition = model.checked(images, condition)
    return -model.log_prob(images, condition) - complexity(images, model.levels)


def complexity(images: np.ndarray, levels: int) -> np.ndarray:
    """The length of each picture, compressed by zlib: integers 0..Q-1, (N, H, W, C) -> float64 (N,), in nats."""
    smallest = np.min_scalar_type(levels - 1).newbyteorder("<")
    content = [image.astype(smallest).tobytes() for image in images]
    return np.array([8 * np.log(2) * len(zlib.compress(each, 9)) for each in content], np.float64)
