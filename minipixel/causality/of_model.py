"""The adapter for minipixel models, which have an image shape, an order and conditions of their own."""

from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.causality.arguments import Inputs, check_order
from minipixel.causality.subjects import Options, Subject, adapter
from minipixel.computing import computing
from minipixel.models import Model
from minipixel.models.host_copy import on_host
from minipixel.shards import rows
from minipixel.tensor import Tensor, gradients, no_grad


class OfModel(Subject):
    """A minipixel model, with its own order, groups and images; every image comes with a condition if it takes one."""

    has_gradients = trains = True
    threads = None
    block = computing

    def __init__(self, model: Model, order: Any = None) -> None:
        model.check_finite()
        self.model, self.name, self.image_shape = model, type(model).__name__, model.image_shape
        self.order = model.order if order is None else check_order(order, model.image_shape)
        self.groups, self.joins, self.batch = model.head.groups, model.head.joins_colours, model.shard_size
        self.inputs = Inputs(np.dtype(int), 0, model.levels - 1)
        self.rounding = 1e-12 if model.dtype == "float64" else 1e-5

    def context(self, rng: np.random.Generator) -> Any:
        """The condition of one image."""
        return self.model.conditions.random(1, rng)

    @computing
    def parameters(self, images: np.ndarray, context: Any = None, seed: int | None = None) -> np.ndarray:
        """Images (N, H, W, C) -> parameters (N, H, W, P)."""
        with no_grad():
            found = to_cpu(self._forward(self._numbers(images), len(images), context, seed).data)
        if not np.isfinite(found).all():  # NaN would be like NaN, and hide what depends on what
            raise ValueError(f"{self.name}: got NaN or infinite parameters, wanted numbers; its weights are too large")
        return found.transpose(2, 0, 1, 3)

    @computing
    def gradient(self, images: np.ndarray, seeds: np.ndarray, context: Any = None) -> np.ndarray:
        """The gradient of the sum of `seeds` (N, H, W, P) times the parameters: -> (N, H, W, C)."""
        x = Tensor(self._encoded(images))
        parameters = self._forward(x, len(images), context, None)
        pixels_first = np.ascontiguousarray(seeds.transpose(1, 2, 0, 3), self.model.dtype)
        (gradient,) = gradients(parameters, [x], self.model.xp.asarray(pixels_first))
        return self._largest(to_cpu(gradient).transpose(2, 0, 1, 3))

    def _numbers(self, images: np.ndarray) -> Any:
        pixels_first = np.ascontiguousarray(images.transpose(1, 2, 0, 3))
        return self.model.as_numbers(self.model.xp.asarray(pixels_first))

    def _encoded(self, images: np.ndarray) -> Any:
        """Images as the numbers that the first layer reads: codes have no gradient, but these numbers have."""
        with no_grad():
            return self.model.encoding.encoded(self._numbers(images))

    def _largest(self, gradient: np.ndarray) -> np.ndarray:
        """The largest gradient of a sub-pixel's E numbers: (N, H, W, C*E) -> (N, H, W, C)."""
        C = self.image_shape[2]
        return gradient if gradient.shape[-1] == C else np.abs(gradient).reshape(*gradient.shape[:3], C, -1).max(-1)

    def _forward(self, x: Any, N: int, context: Any, seed: int | None) -> Tensor:
        condition = self.model.condition_map(rows(context, np.zeros(N, int)))
        return self.model.maps(x, condition, None if seed is None else np.random.default_rng(seed))


@adapter(rank=0)
def of_model(thing: Any, image_shape: Any, options: Options) -> Subject | None:
    """A subject from a minipixel model. Raises ValueError for arguments that the model decides itself."""
    if not isinstance(thing, Model):
        return None
    if given := options.given():
        raise ValueError(f"{given[0]}: got one for a {type(thing).__name__}, wanted None; a minipixel model knows it")
    if image_shape is not None and tuple(image_shape) != thing.image_shape:
        raise ValueError(f"image_shape: got {tuple(image_shape)}, wanted {thing.image_shape}, that of the model")
    return OfModel(on_host(thing), options.order)
