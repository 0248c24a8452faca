"""PixelCNN++ with the names of TensorFlow Probability: `tfp.distributions.PixelCNN` on this library's own model.

The model itself is `distribution.model`, a PixelCNNpp, which you can train, save and inspect. docs/tfp.md translates a
script.
"""

import math
from typing import Any

import numpy as np

from minipixel.heads import MOST_LEVELS, level_dtype
from minipixel.models import PixelCNNpp
from minipixel.models.arrays import as_array
from minipixel.models.checks import MANY, check_count, check_flag
from minipixel.randomness import generator
from minipixel.shown import short
from minipixel.spelling import spelled

# What an argument of PixelCNNpp is called here: its errors should name what was written.
NAMES = {
    "condition_shape": "conditional_shape",
    "resnets": "num_resnet",
    "hierarchies": "num_hierarchies",
    "filters": "num_filters",
    "mixtures": "num_logistic_mix",
    "dropout": "dropout_p",
    "activation": "resnet_activation",
    "weight_norm": "use_weight_norm",
}


class PixelCNN:
    """A PixelCNN++ (1701.05517) over images of whole numbers low..high, with the arguments of TFP's PixelCNN.

    `image_shape` is (H, W, C) with C in 1..64, and `high` - `low` is in 1..65,535. `conditional_shape` is None, or the
    shape of an image's condition: () for one number, (K,) for a vector, (H, W, K) for K numbers per pixel. (TFP
    flattens such a map into one vector for all pixels; for that, use (H*W*K,) and reshape.) `receptive_field_dims`
    (rows, columns) is how far a layer sees, its own row included; the number of columns is odd. Dropout is on only in
    training. `resnet_activation` is "concat_elu", "elu" or "relu". With `use_data_init`, `fit` scales the weights by
    its first batch, which needs `use_weight_norm`. `dtype` is "float32" or "float64". `rng` (None, int, SeedSequence or
    Generator) draws the first weights; TFP has no such argument.
    Raises ValueError for arguments out of their range.
    """

    @spelled
    def __init__(
        self,
        image_shape: tuple[int, int, int],
        conditional_shape: tuple[int, ...] | None = None,
        num_resnet: int = 5,
        num_hierarchies: int = 3,
        num_filters: int = 160,
        num_logistic_mix: int = 10,
        receptive_field_dims: tuple[int, int] = (3, 3),
        dropout_p: float = 0.5,
        resnet_activation: str = "concat_elu",
        use_weight_norm: bool = True,
        use_data_init: bool = True,
        high: int = 255,
        low: int = 0,
        dtype: str = "float32",
        name: str = "PixelCNN",
        *,
        rng: Any = 0,
    ) -> None:
        rows, columns = _check_field(receptive_field_dims)
        self.name = name
        self.low = check_count("low", low, -(2**16))
        self.high = check_count("high", high, self.low + 1, self.low + MOST_LEVELS - 1)
        try:
            self.model = PixelCNNpp(
                image_shape,
                self.high - self.low + 1,
                filters=num_filters,
                resnets=num_resnet,
                hierarchies=num_hierarchies,
                dropout=dropout_p,
                vertical_kernel=(rows - 1, columns),
                horizontal_kernel=(2, columns // 2 + 1),
                activation=resnet_activation,
                weight_norm=use_weight_norm,
                head="logistic_mixture",
                mixtures=num_logistic_mix,
                condition_shape=conditional_shape,
                rng=rng,
                dtype=dtype,
            )
        except ValueError as error:
            argument, colon, complaint = str(error).partition(":")
            raise ValueError(NAMES.get(argument, argument) + colon + complaint) from None
        if not check_flag("use_data_init", use_data_init):
            self.model.initialized = True  # fit leaves the weights as they were drawn

    @property
    def event_shape(self) -> tuple[int, int, int]:
        """The shape of one image, (H, W, C)."""
        return self.model.image_shape

    @property
    def batch_shape(self) -> tuple[()]:
        """Always (), since this is one distribution, and not a batch of them."""
        return ()

    @property
    def conditional_shape(self) -> tuple[int, ...] | None:
        """The shape of what one image is conditioned on, or None."""
        return self.model.conditions.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of weights and samples."""
        return np.dtype(self.model.dtype)

    @spelled
    def log_prob(self, value: Any, conditional_input: Any = None) -> np.ndarray:
        """The log-likelihood of images in nats: whole numbers low..high (..., H, W, C) -> float64 (...).

        The batch shapes of `value` and `conditional_input` (..., *conditional_shape) are broadcast against each other;
        that of a single image is (). In place of TFP's argument `training` use `model.loss`, which is differentiable,
        and has dropout if it gets an rng. Raises ValueError for other images and conditions.
        """
        images = self.levels_of(value)
        told, told_batch = self._told(conditional_input)
        batch = images.shape[:-3]
        try:
            batch = np.broadcast_shapes(batch, told_batch)
        except ValueError:
            raise ValueError(
                f"conditional_input: got a batch of shape {told_batch} beside values of batch shape {batch}, "
                "wanted two that broadcast"
            ) from None
        if told is not None:
            event = told.shape[len(told_batch) :]
            told = np.broadcast_to(told, (*batch, *event)).reshape(-1, *event)
        images = np.broadcast_to(images, (*batch, *self.event_shape)).reshape(-1, *self.event_shape)
        return self.model.log_prob(images, told).reshape(batch)

    @spelled
    def sample(self, n: Any = (), conditional_input: Any = None, seed: Any = None) -> np.ndarray:
        """Draw images: whole numbers low..high, in `dtype`, of shape (*n, H, W, C).

        `n` is a number or a shape; () draws a single image. A single `conditional_input` is used for all images. A
        batch of b of them is repeated: then `n` must be a multiple of b, or a shape that ends with the batch's shape.
        `seed` is None, an int or a Generator. Raises ValueError for arguments of another kind or shape.
        """
        shape = tuple(check_count("n", size, 1, MANY) for size in (n if isinstance(n, (tuple, list)) else (n,)))
        images = check_count("n", math.prod(shape), 1, MANY)
        told, batch = self._told(conditional_input)
        if told is not None:
            b = math.prod(batch)
            # A batch that ran on across the rows of a larger shape would leave samples[i, j] with some other condition.
            fits = b == 1 or shape[-len(batch) :] == batch or (len(shape) == 1 and images % b == 0)
            if not fits:
                raise ValueError(
                    f"n: got {short(n)} for {b} conditional inputs of batch shape {batch}, "
                    f"wanted a multiple of {b}, or a shape that ends with {batch}"
                )
            told = told.reshape(b, *told.shape[len(batch) :])[np.arange(images) % b]
        drawn = self.model.sample(images, told, rng=generator(seed, "seed"))
        return (drawn.astype(self.dtype) + self.low).reshape(*shape, *self.event_shape)

    def levels_of(self, value: Any) -> np.ndarray:
        """Values as images for `model` and `fit`: whole numbers low..high (..., H, W, C) -> unsigned integers from 0.

        Raises ValueError for images of another shape, and for numbers that are not whole or out of range.
        """
        value = as_array("value", value)
        H, W, C = self.event_shape
        wanted = f"wanted whole numbers in {self.low}..{self.high} (`low` to `high`)"
        if value.shape[-3:] != self.event_shape or not value.size or value.dtype.kind not in "iuf":
            raise ValueError(f"value: got {value.dtype} of shape {value.shape}, {wanted} of shape (..., {H}, {W}, {C})")
        lowest, highest = value.min(), value.max()
        if not (lowest >= self.low and highest <= self.high):  # NaN is in no range
            raise ValueError(f"value: got {lowest}..{highest}, {wanted}")
        levels = value.astype(np.int64)
        if (levels != value).any():
            raise ValueError(f"value: got {value[levels != value][0]}, {wanted}; scaling is the model's work")
        return (levels - self.low).astype(level_dtype(self.model.levels))

    def _told(self, conditional_input: Any) -> tuple[np.ndarray | None, tuple[int, ...]]:
        """Conditional inputs as an array (*batch, *conditional_shape), and that batch shape; None, () if none."""
        event = self.conditional_shape
        if event is None:
            if conditional_input is not None:
                raise ValueError(
                    "conditional_input: got one, wanted None; for one, pass a conditional_shape at the start"
                )
            return None, ()
        wanted = f"wanted finite numbers of shape {event}, or a batch of such, its dimensions first"
        if conditional_input is None:
            raise ValueError(f"conditional_input: got None, {wanted}")
        told = as_array("conditional_input", conditional_input)
        batch = told.shape[: max(told.ndim - len(event), 0)]
        if told.shape[len(batch) :] != event or not told.size or told.dtype.kind not in "iuf":
            raise ValueError(f"conditional_input: got {told.dtype} of shape {told.shape}, {wanted}")
        if not np.isfinite(told).all():
            raise ValueError(f"conditional_input: got NaN or infinite numbers, {wanted}")
        return told, batch

    def __repr__(self) -> str:
        shapes = f"event_shape={self.event_shape}, conditional_shape={self.conditional_shape}"
        return f"PixelCNN({self.name!r}, {shapes}, {self.low}..{self.high}, dtype={self.dtype})"


def _check_field(dims: Any) -> tuple[int, int]:
    """The receptive field of a layer, (rows, columns), if both streams can have it; else ValueError."""
    if not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise ValueError(f"receptive_field_dims: got {short(dims)}, wanted (rows, columns), such as (3, 3)")
    rows = check_count("receptive_field_dims", dims[0], 2, 255)
    columns = check_count("receptive_field_dims", dims[1], 3, 255)
    if columns % 2 == 0:
        raise ValueError(f"receptive_field_dims: got {columns} columns, wanted an odd number; try {columns + 1}")
    return rows, columns
