"""What may be said of somebody else's model: its images, its order, what its output means; or one line why not."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.models.checks import MAX_SUBPIXELS
from minipixel.shown import short


def check_image_shape(shape: Any, channels_first: bool) -> tuple[int, int, int]:
    """(H, W, C), or (C, H, W) with channels first -> (H, W, C); else ValueError."""
    wanted = "(C, H, W), channels first" if channels_first else "(H, W, C), channels last"
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes)
    if len(sizes) != 3 or not whole or np.prod([int(size) for size in sizes]) > MAX_SUBPIXELS:
        raise ValueError(f"image_shape: got {short(shape)}, wanted {wanted}; only a minipixel model knows its own")
    a, b, c = (int(size) for size in sizes)
    return (b, c, a) if channels_first else (a, b, c)


def check_order(order: Any, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The place in line of each sub-pixel, integers (H, W, C), from a name or from such an array; else ValueError.

    "raster" (or None) goes pixel by pixel, "rgb-planes" draws all of the first channel before the second one.
    Sub-pixels of the same place are drawn at once, so neither may depend on the other.
    """
    H, W, C = image_shape
    raster = np.arange(H * W * C).reshape(image_shape)
    if order is None or (isinstance(order, str) and order == "raster"):
        return raster
    if isinstance(order, str) and order == "rgb-planes":
        return np.arange(C * H * W).reshape(C, H, W).transpose(1, 2, 0)
    places = np.asarray(order)
    if places.shape != image_shape or places.dtype.kind not in "iu":
        got = repr(order) if isinstance(order, str) else f"{places.dtype} of shape {places.shape}"
        raise ValueError(
            f'order: got {got}, wanted "raster", "rgb-planes" or integers of shape {image_shape}, (H, W, C)'
        )
    return places


@dataclass(frozen=True)
class Inputs:
    """The images that a subject takes: numbers of a `dtype` from `low` to `high`, both included."""

    dtype: np.dtype
    low: float
    high: float

    @classmethod
    def of(cls, inputs: Any) -> "Inputs":
        """From (dtype, low, high); ValueError if it is not that."""
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
        """A random image (H, W, C), never a constant one: there, what is read could not be told from what is not."""
        while True:
            if self.dtype.kind == "f":
                image = rng.uniform(self.low, self.high, shape).astype(self.dtype)
            else:
                image = rng.integers(int(self.low), int(self.high), shape, endpoint=True).astype(self.dtype)
            if image.size == 1 or image.min() < image.max():
                return image

    def far(self, values: np.ndarray) -> np.ndarray:
        """Values changed by a lot: each to the end of the range that is further away."""
        middle = (self.low + self.high) / 2
        return np.where(values > middle, self.low, self.high).astype(self.dtype)


class Layout:
    """How an output of N images is laid out: channels last (N, H, W, ...) or first (N, ..., H, W); ... may be nothing.

    `channels` are the sizes of what stands for the dots, `P` their product. ValueError for any other shape.
    """

    def __init__(self, shape: tuple[int, ...], image_shape: tuple[int, int, int], N: int, channels_first: bool) -> None:
        H, W, _ = image_shape
        self.channels_first = channels_first and len(shape) > 3
        pixels, self.channels = (shape[-2:], shape[1:-2]) if self.channels_first else (shape[1:3], shape[3:])
        if len(shape) not in (3, 4, 5) or shape[0] != N or pixels != (H, W):
            wanted = f"({N}, P, {H}, {W})" if channels_first else f"({N}, {H}, {W}, P)"
            raise ValueError(
                f"output: got shape {shape} for {N} images of {H} x {W} pixels, wanted {wanted}, parameters for each "
                "pixel of each image; look at image_shape and channels_first, or wrap what returns something else"
            )
        self.P = int(np.prod(self.channels, dtype=int))

    def last(self, raw: np.ndarray) -> np.ndarray:
        """An output as it is laid out -> (N, H, W, P)."""
        if self.channels_first:
            raw = np.moveaxis(raw, (-2, -1), (1, 2))
        return raw.reshape(*raw.shape[:3], self.P)

    def raw(self, parameters: np.ndarray) -> np.ndarray:
        """(N, H, W, P) -> laid out as the output is."""
        parameters = parameters.reshape(*parameters.shape[:3], *self.channels)
        return np.moveaxis(parameters, (1, 2), (-2, -1)) if self.channels_first else parameters

    def groups(self, groups: Any, C: int) -> np.ndarray:
        """The colour that each parameter describes, integers (P,) in 0..C-1: those given, or an even split by C.

        An even split is C blocks, the first for the first colour; of two axes of channels, the one that is C long.
        """
        if groups is not None:
            found = np.asarray(groups)
            if found.dtype.kind not in "iu" or found.shape not in ((self.P,), self.channels):
                raise ValueError(
                    f"groups: got {found.dtype} of shape {found.shape}, wanted {self.P} integers, the colour of each "
                    "channel of the output"
                )
            found = found.reshape(-1)
            if not np.array_equal(np.unique(found), np.arange(C)):
                raise ValueError(f"groups: got colours {np.unique(found).tolist()}, wanted each of {list(range(C))}")
            return found
        way_out = "pass groups=, the colour of each channel of the output"
        if len(self.channels) == 2:
            axes = [axis for axis, size in enumerate(self.channels) if size == C]
            if len(axes) == 2 and not self.channels_first:
                axes = [0]  # (N, H, W, C, Q)
            if len(axes) != 1:
                raise ValueError(
                    f"output: got axes {self.channels} of channels, wanted just one of them {C} long; {way_out}"
                )
            return np.broadcast_to(np.indices(self.channels)[axes[0]], self.channels).reshape(-1)
        if self.P % C:
            raise ValueError(f"output: got {self.P} channels, wanted a number that {C} colours share evenly; {way_out}")
        return np.repeat(np.arange(C), self.P // C)
