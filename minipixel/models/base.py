"""What every model of the family is to the people who use it: likelihoods out, samples out, weights in and out."""

import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from minipixel import checkpoint, ops
from minipixel.backend import array_module, to_cpu
from minipixel.heads import make_head
from minipixel.models.checks import MANY, check_choice, check_count, check_images, check_shape
from minipixel.nn import Module
from minipixel.sampling import SAMPLERS
from minipixel.shards import Workers
from minipixel.tensor import Tensor, no_grad


class Model(Module):
    """A distribution over images of one shape, written once: a subclass says only how features are computed.

    `image_shape` is (H, W, C) with C = 1 or 3, `levels` is Q in 2..256. Images are integers in 0..Q-1, (N, H, W, C).
    A subclass sets `name` and `features` (how many channels most of its feature maps have), builds its layers, and
    defines `forward`; what it passes on as `architecture` is what its constructor needs to build the same layers again.
    """

    name: ClassVar[str]
    features: int

    def __init__(
        self, image_shape: tuple[int, int, int], levels: int, head: str | None, dtype: str, **architecture: Any
    ) -> None:
        self.image_shape = check_shape(image_shape)
        self.levels = check_count("levels", levels, 2, 256)
        self.dtype = check_choice("dtype", getattr(dtype, "__name__", str(dtype)), ("float32", "float64"))
        self.head = make_head(head, self.image_shape[2], self.levels)
        self.config = {
            "model": self.name,
            "image_shape": list(self.image_shape),
            "levels": self.levels,
            "head": self.head.name,
            "dtype": self.dtype,
            **architecture,
        }

    # --- what a subclass writes -------------------------------------------------------------------------------------

    def forward(self, x: Any) -> Tensor:
        """The head's parameters at every pixel, from images scaled to [-1, 1]: (H, W, N, C) -> (H, W, N, P)."""
        raise NotImplementedError

    # --- likelihood -------------------------------------------------------------------------------------------------

    def checked(self, images: Any, condition: Any) -> np.ndarray:
        """The images as an array, if they are ones that this model describes; else ValueError."""
        self._check_condition(condition)
        return check_images(images, self.image_shape, self.levels)

    def loss(self, images: Any, condition: Any = None, *, rng: Any = None) -> Tensor:
        """The mean negative log-likelihood of integer images (N, H, W, C), in nats an image, differentiable.

        `rng` turns dropout on, in models that have it. Raises ValueError for images of another shape, dtype or range.
        """
        images = self.checked(images, condition)
        return -ops.total(self._log_prob(images)) / len(images)

    def log_prob_map(self, images: Any, condition: Any = None) -> np.ndarray:
        """log p(sub-pixel | all earlier ones) in nats: integers (N, H, W, C) -> float64 (N, H, W, C)."""
        images = self.checked(images, condition)

        def shard(part: slice) -> np.ndarray:
            with no_grad():
                return to_cpu(self._log_prob(images[part]).data).transpose(2, 0, 1, 3)

        with Workers() as workers:
            return np.concatenate(list(workers.map(shard, len(images), self.shard_size)), dtype=np.float64)

    def log_prob(self, images: Any, condition: Any = None) -> np.ndarray:
        """The log-likelihood of each image in nats: integers (N, H, W, C) -> float64 (N,)."""
        return self.log_prob_map(images, condition).sum(axis=(1, 2, 3))

    def bits_per_dim(self, images: Any, condition: Any = None) -> float:
        """The mean negative log-likelihood of integers (N, H, W, C), in bits a sub-pixel."""
        return self.bits(-self.log_prob(images, condition).mean())

    def bits(self, nats: float) -> float:
        """Nats an image as bits a sub-pixel, that is divided by H*W*C * ln 2."""
        return float(nats / (np.prod(self.image_shape) * np.log(2)))

    def predict(self, images: np.ndarray) -> Any:
        """The head's parameters at every pixel, without a tape: integers (N, H, W, C) -> (H, W, N, P)."""
        with no_grad():
            return self.forward(self.scaled(self._pixels_first(images))).data

    # --- sampling ---------------------------------------------------------------------------------------------------

    @property
    def order(self) -> np.ndarray:
        """The place in line of every sub-pixel, from 0: integers (H, W, C). Raster order, unless overridden."""
        return np.arange(np.prod(self.image_shape)).reshape(self.image_shape)

    def sample(
        self,
        n: int,
        condition: Any = None,
        *,
        rng: Any = None,
        temperature: float = 1.0,
        method: str = "auto",
        return_log_prob: bool = False,
    ) -> Any:
        """Draw n images: uint8 (n, H, W, C); with `return_log_prob` also their log-likelihoods, float64 (n,) nats.

        All randomness is one uniform a sub-pixel, drawn from `rng` (None, int, SeedSequence or Generator) beforehand,
        so the same rng gives the same images whatever the method. `temperature` divides the logits; the log-likelihoods
        are the untempered ones. Methods: "naive" (a forward pass a sub-pixel), "auto" (the fastest there is).
        """
        self._check_condition(condition)
        sampler = SAMPLERS[check_choice("method", method, tuple(SAMPLERS))]
        n = check_count("n", n, 1, MANY)
        if not temperature > 0:
            raise ValueError(
                f"temperature: got {temperature}, wanted a number above 0; 1.0 samples from the model itself"
            )
        uniforms = np.random.default_rng(rng).random((n, *self.image_shape))
        with Workers() as workers:
            parts = workers.map(lambda part: sampler(self, uniforms[part], temperature), n, self.shard_size)
            images = np.concatenate(list(parts))
        return (images, self.log_prob(images)) if return_log_prob else images

    # --- size and files ---------------------------------------------------------------------------------------------

    @property
    def num_parameters(self) -> int:
        """How many weights the model stores, those that masks shut included."""
        return sum(parameter.data.size for parameter in self.parameters())

    @property
    def shard_size(self) -> int:
        """How many images one worker takes at a time: 1 to 16, so that a feature map has about 2**18 numbers.

        Small enough to stay near the core, large enough for good matrix products, and several to a batch.
        A function of the model alone, never of the machine, since sums over shards depend on it in the last bit.
        On a GPU a shard is as large as a batch is likely to be.
        """
        if array_module(self.parameters()[0].data) is not np:
            return 1024
        H, W, _ = self.image_shape
        return int(np.clip(2**18 // (H * W * self.features), 1, 16))

    def summary(self) -> str:
        """A table of the layers, their weights, and how many of those the masks leave open."""
        rows = [(path, repr(layer), *_sizes(layer)) for path, layer in _layers(self, "")]
        rows.append(("total", "", sum(row[2] for row in rows), sum(row[3] for row in rows)))
        width = max(len(row[0]) for row in rows)
        lines = [f"{path:{width}}  {layer:36}{stored:>12,}{opened:>12,}" for path, layer, stored, opened in rows]
        H, W, C = self.image_shape
        title = (
            f"{type(self).__name__}: {H}x{W}x{C} images of {self.levels} levels, {self.head.name} head, {self.dtype}"
        )
        return "\n".join([title, f"{'layer':{width}}  {'':36}{'weights':>12}{'open':>12}", *lines])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write configuration and weights to a safetensors file, whole or not at all. Raises OSError."""
        checkpoint.write(path, self.config, self.state_dict())

    # --- the first and the last line of every pass ------------------------------------------------------------------

    def _check_condition(self, condition: Any) -> None:
        if condition is not None:
            raise ValueError("condition: got one, wanted None; this model was made without conditions")

    def _pixels_first(self, images: np.ndarray) -> Any:
        """Integers (N, H, W, C) -> integers (H, W, N, C), in the library that the weights live in."""
        return array_module(self.parameters()[0].data).asarray(np.ascontiguousarray(images.transpose(1, 2, 0, 3)))

    def scaled(self, levels: Any) -> Any:
        """Integers 0..Q-1 -> the model's dtype in [-1, 1]."""
        return levels.astype(self.dtype) * (2 / (self.levels - 1)) - 1

    def _log_prob(self, images: np.ndarray) -> Tensor:
        """log p of each sub-pixel: integers (N, H, W, C) -> (H, W, N, C)."""
        levels = self._pixels_first(images)
        return self.head.log_prob(self.forward(self.scaled(levels)), levels)


def _layers(module: Module, prefix: str) -> Iterator[tuple[str, Any]]:
    """The modules below that own weights themselves, with their dotted paths."""
    for name, value in vars(module).items():
        for position, item in enumerate(value if isinstance(value, list) else [value]):
            path = f"{prefix}{name}.{position}" if isinstance(value, list) else f"{prefix}{name}"
            if isinstance(item, Module):
                yield from [(path, item)] if hasattr(item, "mask") else _layers(item, f"{path}.")


def _sizes(layer: Any) -> tuple[int, int]:
    """Weights and biases stored, and those of them that the mask leaves open."""
    return layer.weight.data.size + layer.bias.data.size, int(layer.mask.sum()) + layer.bias.data.size
