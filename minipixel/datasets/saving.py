"""Writing images as picture files, which can be looked at and read again."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from minipixel.datasets.preparation import MAX_LEVELS
from minipixel.files import write_atomically
from minipixel.models.checks import check_any_images, check_count
from minipixel.spelling import spelled

COLUMNS = 10
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@spelled
def save_pictures(images: Any, path: str | os.PathLike[str], levels: int) -> list[Path]:
    """Write integer images (N, H, W, C), C = 1, 3 or 4, with levels 0..Q-1 as PNG pictures; `levels` is Q.

    `path` is a folder, which is created if it is missing and gets 00000.png, 00001.png ...; or it is a name that ends
    in .png, for one picture in which all images stand side by side, ten per row and without gaps. Level 0 becomes black
    and Q-1 white, with the other levels evenly between. Up to 256 levels are written with 8 bits and more with 16, and
    `from_folder(..., levels=Q)` reads the same levels back.
    Returns the paths of the files. Raises ValueError for images of another shape or range, and OSError if a file cannot
    be written.
    """
    levels, path = check_count("levels", levels, 2, MAX_LEVELS), Path(path)
    images = check_any_images("images", images, levels)
    if images.shape[3] not in _MODES:
        raise ValueError(f"images: got shape {images.shape}, wanted (N, H, W, C) with C = 1, 3 or 4")
    shades = _shades(levels)
    if path.suffix.lower() == ".png" and not path.is_dir():
        return [write_atomically(path, _png(shades[_abreast(images)]))]
    path.mkdir(parents=True, exist_ok=True)
    return [write_atomically(path / f"{n:05}.png", _png(shades[image])) for n, image in enumerate(images)]


def _shades(levels: int) -> np.ndarray:
    """The shade of each level, in 8 or 16 bits: the nearest one that `from_folder` turns into that level again."""
    shades = 256 if levels <= 256 else MAX_LEVELS
    level = np.arange(levels)
    lowest, after = -(-level * shades // levels), -(-(level + 1) * shades // levels)
    wanted = np.rint(level * ((shades - 1) / (levels - 1))).astype(int)
    return wanted.clip(lowest, after - 1).astype(np.uint8 if levels <= 256 else np.uint16)


def _abreast(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as one, row by row; the rest of the last row is 0."""
    N, H, W, C = images.shape
    columns = min(N, COLUMNS)
    rows = -(-N // columns)
    blank = np.zeros((rows * columns - N, H, W, C), images.dtype)
    whole = np.concatenate([images, blank]).reshape(rows, columns, H, W, C)
    return whole.transpose(0, 2, 1, 3, 4).reshape(rows * H, columns * W, C)


def _png(pixels: np.ndarray) -> bytes:
    """A picture (H, W, C) as a PNG file. Pillow writes no colours of 16 bits; these are written here, unfiltered."""
    from PIL import Image

    content, (H, W, C) = io.BytesIO(), pixels.shape
    if pixels.dtype == np.uint8 or C == 1:
        Image.fromarray(pixels[..., 0] if C == 1 else pixels).save(content, "PNG")
        return content.getvalue()
    rows = np.zeros((H, 1 + 2 * W * C), np.uint8)  # the first number says how a row is filtered: not at all
    rows[:, 1:] = np.ascontiguousarray(pixels, ">u2").view(np.uint8).reshape(H, -1)
    header = struct.pack(">2I5B", W, H, 16, {3: 2, 4: 6}[C], 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
