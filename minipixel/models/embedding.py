"""The embedding network: it maps a picture to K numbers, which are close together for pictures of one class.

Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering",
2015, arXiv:1503.03832. A. van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016,
arXiv:1606.05328, section 3.3, condition a model on such numbers and draw new portraits of the people they stand for.

The network reads finished pictures, so its convolutions have no masks. It has no likelihood and draws nothing, so it is
not a `Model` and not in MODELS; a model with `condition_shape=(K,)` can draw pictures for its numbers.
"""

import itertools
import math
from typing import Any

import numpy as np

from minipixel import ops, plan
from minipixel.backend import explained, to_cpu
from minipixel.computing import computing
from minipixel.models.checks import check_count, check_images, check_labels
from minipixel.models.network import Network
from minipixel.nn import Init, Module, UnmaskedConv2d
from minipixel.optim.optimizer import check_above_0
from minipixel.shards import Workers
from minipixel.spelling import spelled
from minipixel.tensor import Tensor, no_grad, recording


class Linear(Module):
    """A linear layer with bias: (N, K_in) -> (N, K_out)."""

    def __init__(self, K_in: int, K_out: int, init: Init) -> None:
        self.weight, self.bias = init.weight_and_bias((K_in, K_out))

    def __call__(self, x: Any) -> Tensor:
        """Multiply: (N, K_in) -> (N, K_out)."""
        return ops.linear(x, self.weight, self.bias)

    def __repr__(self) -> str:
        K_in, K_out = self.weight.shape
        return f"Linear({K_in} -> {K_out})"


class EmbeddingNet(Network):
    """An ordinary convolutional network from images to points on a sphere: integers (N, H, W, C) -> (N, K).

    It has `layers` 3x3 convolutions with a ReLU after each. The first has `filters` features; each of the others has a
    stride of 2, which halves the map, and twice as many features as the one before. One linear layer follows, from the
    whole of the last map to K = `dimensions` numbers, which are scaled to length 1. `mp.fit_embedding` trains it.

    `image_shape` is (H, W, C) with C in 1..64, and `levels` is Q in 2..65,536. `rng` (None, int, SeedSequence or
    Generator) draws the first weights. `dtype` is "float32" or "float64". Raises ValueError for other arguments.
    Source: Schroff et al. 2015, "FaceNet", arXiv:1503.03832.
    """

    name = "embedding"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        levels: int,
        *,
        dimensions: int = 16,
        filters: int = 32,
        layers: int = 3,
        rng: Any = 0,
        dtype: str = "float32",
    ) -> None:
        super().__init__(image_shape, levels, rng, dtype)
        self.dimensions = check_count("dimensions", dimensions, 2)  # on a line there are but two points of length 1
        self.features = check_count("filters", filters, 1)
        layers = check_count("layers", layers, 1, 8)
        self.config = {
            "model": self.name,
            "image_shape": list(self.image_shape),
            "levels": self.levels,
            "dimensions": self.dimensions,
            "filters": self.features,
            "layers": layers,
            "dtype": self.dtype,
        }
        H, W, C = self.image_shape
        widths = [C, *(self.features * 2**layer for layer in range(layers))]
        self.layers = [
            UnmaskedConv2d(K_in, K_out, (3, 3), self.init, stride=2 if layer else 1)
            for layer, (K_in, K_out) in enumerate(itertools.pairwise(widths))
        ]
        h, w = (math.ceil(size / 2 ** (layers - 1)) for size in (H, W))
        self.last = Linear(h * w * widths[-1], self.dimensions, self.init)

    def maps(self, x: Any, condition: Any = None, rng: Any = None) -> Tensor:
        """All convolutions: (H, W, N, C) -> (h, w, N, K). This is the part that a plan can compute (see plan)."""
        for layer in self.layers:
            x = ops.relu(layer(x))
        return x

    def forward(self, x: Any) -> Tensor:
        """Points of length 1, from images scaled to [-1, 1]: (H, W, N, C) -> (N, K)."""
        return self._points_of(self.maps(x))

    def _points_of(self, maps: Tensor) -> Tensor:
        return ops.unit(self.last(ops.flatten(maps)))

    def ready(self, N: int, back: bool) -> plan.Ready | None:
        """The planned convolutions for passes of about N images, or None where they run as they are written; see plan.

        A subclass with a `forward` of its own always runs as it is written, since it need not agree with `points`.
        """
        another = type(self).forward is not EmbeddingNet.forward or "forward" in vars(self)
        return None if another else plan.ready(self, N, back=back)

    @computing
    def points(self, images: np.ndarray, able: plan.Ready | None = None) -> Tensor:
        """The embeddings of checked images, with the way back to the weights: integers (N, H, W, C) -> (N, K)."""
        able = able or self.ready(len(images), recording())
        x = self.as_numbers(self._pixels_first(images))
        return self.forward(x) if able is None else self._points_of(able.on_tape(x))

    @spelled
    def embed(self, images: Any) -> np.ndarray:
        """The embeddings of integer images (N, H, W, C): (N, K), in the network's dtype, each of length 1."""
        images = check_images(images, self.image_shape, self.levels)
        self.check_finite()
        able = self.ready(min(len(images), self.shard_size), False)

        def shard(part: slice) -> np.ndarray:
            with no_grad():
                return to_cpu(self.points(images[part], able).data)

        with Workers(device=self.device) as workers, explained(min(len(images), self.shard_size)):
            return np.concatenate(list(workers.map(shard, len(images), self.shard_size)))

    @spelled
    @computing
    def loss(self, images: Any, labels: Any, *, margin: float = 0.2) -> Tensor:
        """The triplet loss of labelled images, integers (N, H, W, C) and (N,), differentiable: see ops.triplet_loss.

        Distances are squared ones, from 0 to 4. Raises ValueError for images or labels of another kind, and where no
        class has two images while another class has at least one.
        """
        images = check_images(images, self.image_shape, self.levels)
        labels = check_labels(labels, len(images))
        check_above_0("margin", margin, "0.2")
        return ops.triplet_loss(self.points(images), labels=labels, margin=float(margin))
