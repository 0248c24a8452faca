"""Which sub-pixels an output depends on, from one backward pass over a batch of copies of an image."""

from typing import Any

import numpy as np

from minipixel.backend import array_module, to_cpu
from minipixel.models import Model
from minipixel.shards import Workers
from minipixel.tensor import Tensor, gradients


def dependencies(model: Model, *, images: int = 4, rng: Any = 0) -> np.ndarray:
    """Which sub-pixels each is predicted from: boolean (S, S), S = H*W*C in raster order, [i, j] for i on j.

    A batch holds S copies of one image, and copy i carries the seed of output i alone, so its gradient is row i of the
    Jacobian. An entry is False only where the gradient is exactly zero, for each of `images` random images: masks
    multiply by zero, and zero is exact. A rectifier may hide a dependency in one image, hence several.
    """
    generator = np.random.default_rng(rng)
    S = int(np.prod(model.image_shape))
    found = np.zeros((S, S), bool)
    with Workers() as workers:
        for _ in range(images):
            image = generator.integers(0, model.levels, model.image_shape)
            weights = generator.uniform(0.5, 1.5, len(model.head.groups))

            def rows(part: slice, image: Any = image, weights: Any = weights) -> np.ndarray:
                return _rows_of_jacobian(model, image, weights, part)

            for part in workers.map(lambda part: (part, rows(part)), S, model.shard_size):
                found[part[0]] |= part[1]
    return found


def _rows_of_jacobian(model: Model, image: np.ndarray, weights: np.ndarray, part: slice) -> np.ndarray:
    """Where row i of the Jacobian is not zero, for the outputs i in `part`: -> boolean (n, S)."""
    xp = array_module(model.parameters()[0].data)
    outputs = np.arange(part.start, part.stop)
    rows, columns, channels = np.unravel_index(outputs, model.image_shape)
    copies = np.repeat(image[:, :, None], len(outputs), axis=2)  # (H, W, n, C)
    x = Tensor(model.scaled(xp.asarray(copies)))
    parameters = model.forward(x)
    seed = np.zeros(parameters.shape, model.dtype)
    seed[rows, columns, np.arange(len(outputs))] = weights * (model.head.groups == channels[:, None])
    (gradient,) = gradients(parameters, [x], xp.asarray(seed))
    return to_cpu(gradient).transpose(2, 0, 1, 3).reshape(len(outputs), -1) != 0
