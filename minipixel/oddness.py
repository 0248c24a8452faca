"""How odd pictures are to a model. Likelihood alone does not show it: blank pictures are likely, busy ones are not."""

import zlib
from typing import Any

import numpy as np

from minipixel.models import Model
from minipixel.spelling import spelled


@spelled
def oddness(model: Model, images: Any, condition: Any = None) -> np.ndarray:
    """How odd each picture is to a model: integers (N, H, W, C) -> float64 (N,), the larger the odder.

    It is -log p(x) minus the length of the picture compressed by zlib, both in nats: how much more a model of *these*
    pictures needs than a compressor of any pictures. By likelihood alone blank pictures are the least odd of all; this
    number finds blank ones, busy ones, and pictures of another data set. It has no meaning by itself, so compare it
    only between pictures scored by one model. docs/results.md compares it with other scores, which
    `benchmarks/odd_pictures.py` measures.
    Raises ValueError for images or conditions of another kind than the model's.
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
