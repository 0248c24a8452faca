"""Animations of images that grow in the order in which a model draws them: a GIF or a PNG, written by Pillow."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from minipixel import tiles
from minipixel.heads.base import MOST_LEVELS
from minipixel.models.checks import check_any_images, check_choice, check_count
from minipixel.shown import short
from minipixel.spelling import spelled

FORMATS = ("gif", "png")
STEPS, SHORTEST, HOLD = 100, 40, 1500
"""The most steps of an animation, the least time for one, and the time for the finished pictures, in milliseconds."""
COMFORTABLE = 480, 640
"""The height and width on a screen, in pixels, that small pictures are enlarged to."""
MAX_PIXELS = 1 << 21
"""The largest animation, in pixels of one frame."""
GIF_COLOURS = 253
"""How many colours of images a GIF has, beside the two below and one that leaves a pixel as it was."""
UNDRAWN = (0xA9, 0xC6, 0xE0), (0xC4, 0xDB, 0xA8), (0xDD, 0xB8, 0xD9)
"""Soft colours for what is not drawn yet, the first of them in grey pictures."""
APART = 25
"""How far they are from the colours of images, where that can be: the first is as far from any grey."""
NEXT = 0xD9, 0x82, 0x2B
"""The colour of the pixel that is drawn next."""


@spelled
def growing(
    images: Any,
    levels: int,
    *,
    order: Any = None,
    columns: int = 10,
    scale: int | None = None,
    seconds: float = 4.0,
    format: str = "gif",
) -> bytes:
    """An animation in which integer images (N, H, W, C) in 0..Q-1 grow as a model draws them -> the bytes of a file.

    `levels` is Q, and `order` is the order of drawing, integers (H, W, C) with 0 for the first sub-pixel, such as
    `model.order`; by default it is raster order. The images stand side by side in `columns`, and grow together, in at
    most 100 steps that take so many `seconds`; then they stay for a while, and the animation begins again. Pixels that
    are not drawn yet have a soft colour that is far from the images' colours, and the pixel that comes next is orange.
    Each pixel is a square of `scale` pixels; by default the scale is as large as fits into 640 x 480, and at least 1. A
    pixel in colours appears when its last channel is drawn.

    `format` is "gif" or "png". All frames have the same colours. These are exact, but a GIF has only 253 for the
    images: if they have more, it shows 253 that are close to them, and grey stays grey. A program that shows no
    animations shows the last frame of a PNG.
    Raises ValueError for arguments of another shape or range.
    """
    levels = check_count("levels", levels, 2, MOST_LEVELS)
    images = check_any_images("images", images, levels)
    order, seconds = _checked_order(order, images.shape[1:]), _checked_seconds(seconds)
    format, columns = check_choice("format", format, FORMATS), min(check_count("columns", columns, 1), len(images))
    scale = fitting_scale(images.shape, columns, scale)
    columns = tiles.abreast(columns, images.shape[3])
    finished = np.rint(tiles.side_by_side(tiles.colours(images, levels), columns) * 255).astype(np.uint8)
    places = _places(order, len(images), columns)
    colours, index = _indexed(finished, GIF_COLOURS if format == "gif" else None)
    colours = np.concatenate([colours, np.array([_undrawn(colours), NEXT], np.uint8)])
    last = int(places.max()) + 1
    steps = min(last, STEPS, max(1, int(seconds * 1000 / SHORTEST)))
    counts = np.rint(np.linspace(0, last, steps + 1)).astype(int)
    frames = (_enlarged(_frame(index, places, count, len(colours) - 2), colours, scale) for count in counts)
    return _written(format, frames, [round(seconds * 100 / steps) * 10] * steps + [HOLD])


def fitting_scale(shape: tuple[int, ...], columns: int, scale: int | None = None) -> int:
    """The scale of an animation of images (N, H, W, C). Raises ValueError if the animation would be too large."""
    height, width = tiles.size_of(shape, columns)
    if scale is None:
        scale = max(1, min(COMFORTABLE[0] // height, COMFORTABLE[1] // width))
    scale = check_count("scale", scale, 1)
    height, width = scale * height, scale * width
    if height * width > MAX_PIXELS or max(height, width) >= 1 << 16:
        raise ValueError(
            f"images: got {shape[0]}, {columns} abreast, which are {height}x{width} pixels, wanted at most "
            f"{MAX_PIXELS:,} pixels in an animation, and 65535 on a side; animate fewer of them"
        )
    return scale


def _checked_order(order: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The place in line of every sub-pixel (H, W, C), without gaps."""
    if order is None:
        return np.arange(np.prod(shape)).reshape(shape)
    order = np.asarray(order)
    if order.shape != shape or order.dtype.kind not in "iu":
        raise ValueError(
            f"order: got {order.dtype} of shape {order.shape}, wanted integers of shape {shape}: model.order"
        )
    return np.unique(order, return_inverse=True)[1].reshape(shape)


def _checked_seconds(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float, np.number)) or not 0 < seconds <= 600:
        raise ValueError(f"seconds: got {short(seconds)}, wanted a number above 0, up to 600")
    return float(seconds)


def _places(order: np.ndarray, N: int, columns: int) -> np.ndarray:
    """The place in the order of every pixel of the whole picture (height, width), from 0; -1 between images."""
    if tiles.in_one_picture(order.shape[2]):
        one = np.unique(order.max(axis=2), return_inverse=True)[1].reshape(order.shape[:2])
    else:
        one = tiles.group(order[None], -1)[0]
    return tiles.side_by_side(np.broadcast_to(one[None, ..., None], (N, *one.shape, 1)), columns, -1)[..., 0]


def _indexed(picture: np.ndarray, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The colours of a picture (H, W, 3), at most so many: uint8 (K, 3); and which of them each pixel has: (H, W)."""
    from PIL import Image

    colours, index = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    if most is None or len(colours) <= most:
        return colours, index.reshape(picture.shape[:2])
    every = Image.fromarray(picture)
    fewer = every.quantize(most, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    return np.array(fewer.getpalette(), np.uint8).reshape(-1, 3)[:most], np.asarray(fewer, int)


def _undrawn(colours: np.ndarray) -> tuple[int, int, int]:
    """The first soft colour that is far enough from every colour of a picture (K, 3), else the one that is farthest."""
    distances = [np.abs(colours.astype(int) - soft).max(axis=1).min() for soft in UNDRAWN]
    return UNDRAWN[int(np.argmax(np.minimum(distances, APART)))]


def _frame(index: np.ndarray, places: np.ndarray, count: int, undrawn: int) -> np.ndarray:
    """The number of each pixel's colour once so many places are drawn; after that of `UNDRAWN` comes that of `NEXT`."""
    return np.where(places < count, index, undrawn + (places == count))


def _enlarged(frame: np.ndarray, colours: np.ndarray, scale: int) -> Any:
    """A frame of colours by their number as a picture of Pillow, each pixel a square."""
    from PIL import Image

    frame = frame.repeat(scale, axis=0).repeat(scale, axis=1)
    if len(colours) > 256:
        return Image.fromarray(colours[frame])
    image = Image.fromarray(frame.astype(np.uint8))
    image.putpalette(colours.tobytes())
    return image


def _written(format: str, frames: Iterator[Any], milliseconds: list[int]) -> bytes:
    """Frames, each shown for so long, as an animation that begins anew for ever."""
    content, options = io.BytesIO(), {"save_all": True, "duration": milliseconds, "loop": 0}
    if format == "gif":
        first = next(frames)  # told the palette, Pillow writes it once, and of later frames what is new in them
        first.save(content, "GIF", append_images=frames, palette=bytes(first.getpalette()), optimize=True, **options)
    else:
        every = list(frames)  # in 8 bits, since Pillow 10.0 fails with fewer
        every[-1].save(content, "PNG", append_images=every, default_image=True, bits=8, **options)
    return content.getvalue()
