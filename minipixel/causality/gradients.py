"""Which sub-pixels an output depends on, from one backward pass over a batch of copies of an image."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.causality.structure import belongs, joined
from minipixel.causality.subjects import Subject, subject_of
from minipixel.models import Model
from minipixel.shards import Workers


def dependencies(
    model: Model | Subject, *, images: int = 4, outputs: Sequence[int] | np.ndarray | None = None, rng: Any = 0
) -> np.ndarray:
    """The sub-pixels that each sub-pixel is predicted from, by gradients: boolean (S, S), [i, j] if i depends on j.

    S = H*W*C, and sub-pixels are in raster order. A batch holds S copies of one image, and copy i gets the gradient of
    output i alone, so its gradient is row i of the Jacobian. An entry is False only where the gradient is exactly zero
    for each of `images` random images: masks multiply by zero, and zero is exact. (Denormal numbers count as zero where
    a model computes: see computing.py.) A rectifier may hide a dependency in one image, so several are tried;
    `structure` also finds dependencies that a dead rectifier hides in all images.
    A head that joins the colours of a pixel predicts a later colour from the parameters and values of the earlier ones,
    so these count as dependencies.
    `outputs` picks rows, as places in raster order: then the result is (len(outputs), S).
    """
    subject = subject_of(model)
    places = np.arange(subject.size) if outputs is None else np.asarray(outputs)
    found = slopes(subject, images=images, outputs=places, rng=rng) > 0
    return found | joined(places, subject.image_shape) if subject.joins else found


def slopes(subject: Subject, *, images: int = 4, outputs: np.ndarray, rng: Any = 0) -> np.ndarray:
    """The largest absolute gradient of each output with respect to each sub-pixel over some images: (rows, S)."""
    if not subject.has_gradients:
        raise ValueError(f"dependencies: got {subject.name}, without gradients, wanted one with; see perturbed")
    generator = np.random.default_rng(rng)
    sizes = np.zeros((len(outputs), subject.size))
    with Workers(subject.threads, block=subject.block) as workers:
        for _ in range(images):
            image = subject.random_image(generator)
            weights = generator.uniform(0.5, 1.5, len(subject.groups))  # so that no two parameters cancel
            rows = functools.partial(_rows_of_jacobian, subject, image, subject.context(generator), weights, outputs)
            np.maximum(sizes, np.concatenate(list(workers.map(rows, len(outputs), subject.batch))), out=sizes)
    return sizes


def _rows_of_jacobian(
    subject: Subject,
    image: np.ndarray,
    context: Any,
    weights: np.ndarray,
    places: np.ndarray,
    part: slice,
) -> np.ndarray:
    """The sizes of the rows `places[part]` of the Jacobian at an image (H, W, C): -> (n, S)."""
    n = len(places[part])
    r, c, channel = np.unravel_index(places[part], subject.image_shape)
    seeds = np.zeros((n, *subject.image_shape[:2], len(weights)), np.float32)
    for k in range(n):
        seeds[k, r[k], c[k]] = weights * belongs(subject.groups, channel[k], subject.joins)
    sizes = np.abs(subject.gradient(np.repeat(image[None], n, axis=0), seeds, context).reshape(n, -1))
    return np.where(np.isnan(sizes), np.inf, sizes)
