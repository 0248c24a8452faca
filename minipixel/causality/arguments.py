"""Checks of the arguments that describe a model to `check_causality`: its images, its order, and its output."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.models.checks import MAX_SUBPIXELS
from minipixel.shown import short


def check_image_shape(shape: Any, channels_first: bool) -> tuple[tuple[int, int, int], str]:
    """The shape (H, W, C) and the layout of images, from (H, W, C), (C, H, W) with channels first, (H, W), or (S,).

    (H, W) stands for images (N, H, W) without a channel axis, (S,) for vectors or sequences (N, S). Raises ValueError
    for anything else.
    """
    wanted = "(C, H, W), channels first" if channels_first else "(H, W, C), channels last"
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes)
    if len(sizes) not in (1, 2, 3) or not whole or np.prod([int(size) for size in sizes]) > MAX_SUBPIXELS:
        raise ValueError(
            f"image_shape: got {short(shape)}, wanted {wanted}, (H, W) without a channel axis, or (S,) for sequences; "
            "only a minipixel model has its own"
        )
    numbers = [int(size) for size in sizes]
    if len(numbers) == 1:
        return (1, numbers[0], 1), "NS"
    if len(numbers) == 2:
        return (numbers[0], numbers[1], 1), "NHW"
    a, b, c = numbers
    return ((b, c, a), "NCHW") if channels_first else ((a, b, c), "NHWC")


def check_order(order: Any, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The order of the sub-pixels, integers (H, W, C), from a name or from such an array; else ValueError.

    "raster" (or None) goes sub-pixel by sub-pixel. "pixels" draws all channels of a pixel at once. "rgb-planes" draws
    the whole first channel before the second one. For grey images integers (H, W) are accepted. Sub-pixels with the
    same number are drawn at once, so none of them may depend on another.
    """
    H, W, C = image_shape
    raster = np.arange(H * W * C).reshape(image_shape)
    if order is None or (isinstance(order, str) and order == "raster"):
        return raster
    if isinstance(order, str) and order == "rgb-planes":
        return np.arange(C * H * W).reshape(C, H, W).transpose(1, 2, 0)
    if isinstance(order, str) and order == "pixels":
        return np.broadcast_to(np.arange(H * W).reshape(H, W, 1), image_shape).copy()
    places = np.asarray(order)
    if C == 1 and places.size == H * W and places.ndim in (1, 2) and places.shape in ((H, W), (W,) if H == 1 else ()):
        places = places.reshape(image_shape)
    if places.shape != image_shape or places.dtype.kind not in "iu":
        got = repr(order) if isinstance(order, str) else f"{places.dtype} of shape {places.shape}"
        raise ValueError(
            f'order: got {got}, wanted "raster", "pixels", "rgb-planes" or integers of shape {image_shape}'
        )
    return places


@dataclass(frozen=True)
class Inputs:
    """The kind of images that a subject takes: numbers of a `dtype` from `low` to `high`, both included."""

    dtype: np.dtype
    low: float
    high: float

    @classmethod
    def of(cls, inputs: Any) -> "Inputs":
        """The kind of images from (dtype, low, high). Raises ValueError for anything else."""
        try:
            name, low, high = inputs
            dtype, low, high = np.dtype(name), float(low), float(high)
        except (TypeError, ValueError):
            dtype, low, high = np.dtype(bool), 0.0, 0.0
        whole = dtype.kind in "iu"
        if dtype.kind not in "iuf" or not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(
                f"inputs: got {short(inputs)}, wanted (dtype, lowest, highest), like "
                '("float32", -1.0, 1.0) or ("uint8", 0, 255)'
            )
        if whole and (low % 1 or high % 1 or low < np.iinfo(dtype).min or high > np.iinfo(dtype).max):
            raise ValueError(f"inputs: got {short(inputs)}, wanted whole numbers that {dtype} can hold")
        return cls(dtype, low, high)

    def image(self, shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
        """A random image (H, W, C), which is never constant: in a constant one a changed pixel might not show."""
        while True:
            if self.dtype.kind == "f":
                image = rng.uniform(self.low, self.high, shape).astype(self.dtype)
            else:
                image = rng.integers(int(self.low), int(self.high), shape, endpoint=True).astype(self.dtype)
            if image.size == 1 or image.min() < image.max():
                return image

    def far(self, values: np.ndarray) -> np.ndarray:
        """Values changed by a lot: each is moved to the further end of the range."""
        middle = (self.low + self.high) / 2
        return np.where(values > middle, self.low, self.high).astype(self.dtype)


def check_groups(groups: Any, P: int, C: int) -> np.ndarray:
    """The colour of each of P parameters, integers (P,) in 0..C-1; a colour may have no parameters. Else ValueError."""
    colours = np.asarray(groups)
    if colours.dtype.kind not in "iu" or colours.size != P:
        raise ValueError(
            f"groups: got {colours.dtype} of shape {colours.shape}, wanted {P} integers, the colour of each channel of "
            "the output"
        )
    colours = colours.reshape(-1)
    if colours.min() < 0 or colours.max() >= C:
        raise ValueError(f"groups: got colours {np.unique(colours).tolist()}, wanted some of {list(range(C))}")
    return colours


def split_evenly(P: int, C: int) -> np.ndarray:
    """The colour of each of P parameters, split evenly into C blocks, one for each colour in turn; else ValueError."""
    if P % C:
        mixture = _mixture_size(C)
        joined = f', or head="logistic_mixture" for {P // mixture} components' if P % mixture == 0 else ""
        raise ValueError(
            f"output: got {P} channels, wanted a number that {C} colours share evenly; pass groups=, the colour of "
            f"each channel of the output{joined}"
        )
    return np.repeat(np.arange(C), P // C)


def check_head(head: Any, P: int, C: int) -> bool:
    """Whether the head makes a colour depend on the earlier ones of its pixel; ValueError for an unknown head."""
    if head is None:
        return False
    if head != "logistic_mixture":
        raise ValueError(f'head: got {short(head)}, wanted None or "logistic_mixture", colours joined as in PixelCNN++')
    each = _mixture_size(C)
    if P % each:
        raise ValueError(
            f'head: got {P} parameters per pixel for "logistic_mixture", wanted a multiple of {each}: a logit, {C} '
            f"means and log-scales, {C * (C - 1) // 2} coefficients per component"
        )
    return True


def _mixture_size(C: int) -> int:
    """The number of parameters of one component of a mixture whose channels are joined by coefficients."""
    return 1 + 2 * C + C * (C - 1) // 2
