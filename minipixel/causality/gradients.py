"""Which sub-pixels an output depends on, from one backward pass over a batch of copies of an image."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.models import Model
from minipixel.shards import Workers
from minipixel.tensor import Tensor, gradients


def dependencies(model: Model, *, images: int = 4, outputs: Sequence[int] | None = None, rng: Any = 0) -> np.ndarray:
    """Which sub-pixels each is predicted from: boolean (S, S), S = H*W*C in raster order, [i, j] for i on j.

    A batch holds S copies of one image, and copy i carries the seed of output i alone, so its gradient is row i of the
    Jacobian. An entry is False only where the gradient is exactly zero, for each of `images` random images: masks
    multiply by zero, and zero is exact. A rectifier may hide a dependency in one image, hence several.
    A head that joins the colours of a pixel predicts a later one from the parameters and values of the earlier ones,
    whatever the network under it sees: these count.
    `outputs` picks rows, as places in raster order: then (len(outputs), S).
    """
    generator = np.random.default_rng(rng)
    S = int(np.prod(model.image_shape))
    places = np.arange(S) if outputs is None else np.asarray(outputs)
    found = np.zeros((len(places), S), bool)
    with Workers() as workers:
        for _ in range(images):
            image = generator.integers(0, model.levels, model.image_shape)
            weights = generator.uniform(0.5, 1.5, len(model.head.groups))  # so that no two parameters cancel
            condition = model.conditions.random(1, generator)
            rows = functools.partial(_rows_of_jacobian, model, image, condition, weights, places)
            found |= np.concatenate(list(workers.map(rows, len(places), model.shard_size)))
    if model.head.joins_colours:
        C = model.image_shape[2]
        same_pixel = np.arange(S) // C == places[:, None] // C
        found |= same_pixel & (np.arange(S) < places[:, None])
    return found


def _rows_of_jacobian(
    model: Model, image: np.ndarray, condition: np.ndarray | None, weights: np.ndarray, places: np.ndarray, part: slice
) -> np.ndarray:
    """Where the rows `places[part]` of the Jacobian at an image (H, W, C) are not zero: -> boolean (n, S)."""
    xp = model.xp
    n = len(places[part])
    r, c, channel = np.unravel_index(places[part], model.image_shape)
    x = Tensor(model.scaled(xp.asarray(np.repeat(image[:, :, None], n, axis=2))))  # (H, W, n, C)
    parameters = model.forward(x, model.condition_map(None if condition is None else np.repeat(condition, n, axis=0)))
    seed = np.zeros(parameters.shape, model.dtype)
    belongs = np.less_equal if model.head.joins_colours else np.equal
    seed[r, c, np.arange(n)] = weights * belongs(model.head.groups, channel[:, None])
    (gradient,) = gradients(parameters, [x], xp.asarray(seed))
    return to_cpu(gradient).transpose(2, 0, 1, 3).reshape(n, -1) != 0
