"""The preparation of pictures: all are cropped and scaled to one size, and get the same channels and levels."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.pictures import MAX_SIDE, Pixels
from minipixel.models.checks import check_choice, check_count
from minipixel.shown import short

MAX_LEVELS = 1 << 16
CROPS = ("centre", "random", "stretch")
CHANNELS = (1, 3, 4)
GREY = np.array([299, 587, 114])  # thousandths of red, green and blue in a grey: ITU-R BT.601, as in Pillow


@dataclass(frozen=True)
class Preparation:
    """The settings of a preparation. `channels` None: as few as all pictures need; `size` None: they are not scaled."""

    size: tuple[int, int] | None = None
    channels: int | None = None
    levels: int = 256
    crop: str = "centre"
    background: tuple[int, int, int] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the images: uint8, or uint16 for more than 256 levels."""
        return np.dtype(np.uint8 if self.levels <= 256 else np.uint16)

    def of(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """A picture (H, W, C) from `read_picture` as an image of this size and these levels; `rng` places random crops.

        If `channels` is None it has as many channels as it needs, with one more for alpha. Raises ValueError for a
        transparent picture where there is neither an alpha channel nor a background.
        """
        if pixels.shape[2] in (2, 4) and self.background is not None:
            pixels = on_background(pixels, self.background)
        if pixels.shape[2] in (2, 4) and self.channels in (1, 3):
            raise ValueError(
                f"got transparent pixels, wanted opaque ones for channels={self.channels}; give background='white' "
                "say, or channels=4"
            )
        if self.size is not None and self.size != pixels.shape[:2]:
            pixels = scaled(pixels, self._window(pixels.shape, rng), self.size)
        if self.channels is not None or pixels.shape[2] == 2:
            pixels = with_channels(pixels, self.channels or 4, np.iinfo(pixels.dtype).max)
        return to_levels(pixels, self.levels)

    def _window(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[float, float, float, float]:
        """The part of a picture that is used: left, top, right and bottom, in pixels."""
        (h, w), (H, W) = shape[:2], self.size or shape[:2]
        if self.crop == "stretch":
            return 0, 0, w, h
        ratio = min(Fraction(h, H), Fraction(w, W))  # the largest part that has the shape wanted
        height, width = float(ratio * H), float(ratio * W)
        down, across = rng.random(2) if self.crop == "random" else (0.5, 0.5)
        top, left = down * (h - height), across * (w - width)
        return left, top, min(left + width, w), min(top + height, h)


def check_preparation(size: Any, channels: Any, levels: Any, crop: Any, background: Any) -> Preparation:
    """The preparation for these arguments. Raises ValueError for arguments of another kind or range."""
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sizes) != 2:
        raise ValueError(f"size: got {short(size)}, wanted a whole number, or (H, W), or None")
    if channels is not None and channels not in CHANNELS:
        raise ValueError(f"channels: got {short(channels)}, wanted 1 (grey), 3 (colours), 4 (with alpha), or None")
    return Preparation(
        None if size is None else (_side(sizes[0]), _side(sizes[1])),
        None if channels is None else int(channels),
        check_count("levels", levels, 2, MAX_LEVELS),
        check_choice("crop", crop, CROPS),
        None if background is None else as_colour(background),
    )  # fmt: skip


def _side(size: Any) -> int:
    return check_count("size", size, 1, MAX_SIDE)


def as_colour(background: Any) -> tuple[int, int, int]:
    """A colour from a grey in 0..255, from red, green and blue, or from a name or "#ff8000"; else ValueError."""
    parts = tuple(background) if isinstance(background, (tuple, list, np.ndarray)) else (background,) * 3
    if isinstance(background, str):
        from PIL import ImageColor

        try:
            parts = ImageColor.getrgb(background)[:3]
        except ValueError:
            parts = ()
    if len(parts) != 3 or not all(isinstance(part, (int, np.integer)) and 0 <= part <= 255 for part in parts):
        raise ValueError(
            f"background: got {short(background)}, wanted a colour: 'white', '#ff8000', three numbers in 0..255, or one"
        )
    return int(parts[0]), int(parts[1]), int(parts[2])


def on_background(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """A transparent picture on a background: (H, W, 2) or (H, W, 4) -> (H, W, 1) if both are grey, else (H, W, 3)."""
    (H, W, C), top = pixels.shape, np.iinfo(pixels.dtype).max
    below = np.array(background, np.uint32) * (top // 255)
    below = below[:1] if C == 2 and len(set(background)) == 1 else below
    mixed, rows = np.empty((H, W, len(below)), pixels.dtype), max(1, (1 << 20) // W)
    for first in range(0, H, rows):  # so that wide numbers are held of some rows alone
        part = pixels[first : first + rows].astype(np.uint32)
        colours, alpha = part[..., :-1], part[..., -1:]
        weighed = (colours * alpha + below * (top - alpha)).astype(np.uint64)  # 65535 times 65535 still fits 32 bits
        mixed[first : first + rows] = (weighed + top // 2) // top
    return mixed


def scaled(pixels: Pixels, window: tuple[float, float, float, float], size: tuple[int, int]) -> Pixels:
    """A part of a picture (H, W, C), scaled to another size. Colours are weighted by alpha, so clear pixels add none.

    When it becomes smaller, pixels are means of those that they cover; when it becomes larger, it is interpolated by
    cubics.
    """
    from PIL import Image

    left, top, right, bottom = window
    shrinks = right - left >= size[1] and bottom - top >= size[0]
    how = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC

    def one(channel: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(Image.fromarray(channel.astype(np.float32)).resize(size[::-1], how, box=window))

    C, limit = pixels.shape[2], np.iinfo(pixels.dtype).max
    if C in (1, 3):
        parts = [one(pixels[..., c]) for c in range(C)]
    else:
        alpha = one(pixels[..., -1])
        weighed = [one(pixels[..., c] * (pixels[..., -1] / np.float32(limit))) for c in range(C - 1)]
        parts = [np.divide(part * limit, alpha, out=np.zeros_like(part), where=alpha >= 0.5) for part in weighed]
        parts.append(alpha)
    return np.rint(np.stack(parts, axis=2)).clip(0, limit).astype(pixels.dtype)


def with_channels(pixels: Pixels, channels: int, opaque: int) -> Pixels:
    """A picture (H, W, 1..4) with 1, 3 or 4 channels: turned grey, or repeated, or with an `opaque` alpha channel."""
    C = pixels.shape[2]
    colours = pixels[..., :-1] if C in (2, 4) else pixels
    if channels == 1 and colours.shape[2] == 3:
        colours = ((colours @ GREY + 500) // 1000).astype(pixels.dtype)[..., None]
    elif channels > 1:
        colours = np.broadcast_to(colours, (*pixels.shape[:2], 3))
    if channels < 4:
        return np.ascontiguousarray(colours)
    alpha = pixels[..., -1:] if C in (2, 4) else np.full((*pixels.shape[:2], 1), opaque, pixels.dtype)
    return np.concatenate([colours, alpha], axis=2)


def to_levels(pixels: Pixels, levels: int) -> Pixels:
    """Reduce uint8 in 0..255 or uint16 in 0..65535 to `levels` levels: uint8, or uint16 for more than 256 levels.

    Up to 256 levels are cut evenly from 8 bits, as `quantize` does it; 16 bits are rounded to 8 before that. More
    levels are cut evenly from 16 bits; 8 bits are stretched to 16 before that.
    """
    if levels > 256:
        wide = pixels if pixels.dtype == np.uint16 else pixels * np.uint16(257)
        return wide if levels == MAX_LEVELS else (wide.astype(np.uint32) * levels >> 16).astype(np.uint16)
    narrow = to_8_bits(pixels)
    return narrow if levels == 256 else (narrow.astype(np.uint16) * levels >> 8).astype(np.uint8)


def to_8_bits(pixels: Pixels) -> NDArray[np.uint8]:
    """0..65535 as 0..255, rounded to the nearest, since 257 steps become one; 8 bits stay as they are."""
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
