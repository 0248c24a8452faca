"""Reading a PNG picture as 8 bits per channel, opaque: what most models of pictures take."""

import os

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.pictures import MAX_BYTES, decode_picture
from minipixel.datasets.preparation import to_8_bits
from minipixel.errors import FormatError


def read_png(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a PNG picture: uint8 (H, W, C) in 0..255, C = 1 if it is all grey, else 3; 16 bits are rounded to 8.

    The picture may have 64 million pixels, 65,535 on a side, and no transparent ones. `read_picture` and `from_folder`
    read other formats, transparent pictures, and 16 bits as they are.
    Raises FormatError if the file is damaged, cut off, too large, transparent, or another kind of picture;
    FileNotFoundError if there is no such file.
    """
    return decode_png(str(path), read_content(path, MAX_BYTES))


def decode_png(name: str, content: bytes) -> NDArray[np.uint8]:
    """Read a PNG picture that is in memory already; `name` is what to call it in an error. See `read_png`."""
    pixels = decode_picture(name, content, ("PNG",))
    if pixels.shape[2] in (2, 4):
        raise FormatError(f"{name}: has transparent pixels, expected an opaque picture; put it on a background")
    return to_8_bits(pixels)
