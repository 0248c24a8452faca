"""Reading one picture in any of the usual formats, by Pillow, from a file that a stranger may have written.

The first bytes of the file decide the format, and Pillow tries no other of its thirty readers. The size of the picture
is known before it is decoded, and a picture that is too large is refused then. Every error of Pillow becomes one line.
Pillow keeps 8 of the 16 bits per channel of colours; those of a PNG are unpacked here, after Pillow has undone its
filters.
"""

import io
import os
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.png_chunks import COLOUR_ALPHA, GREY_ALPHA, SIGNATURE, Png, parse_png
from minipixel.errors import FormatError, visible

MAX_PIXELS = 64_000_000
MAX_SIDE = (1 << 16) - 1  # in pixels
MAX_BYTES = 1 << 28  # of a file: 64 Mpx in colour and with alpha, not compressed at all

# How the files of each format begin, by Pillow's names for them.
SIGNATURES = {
    "PNG": (SIGNATURE,),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "WEBP": (b"RIFF",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
FORMATS = tuple(SIGNATURES)

_PLAIN = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}  # the modes of Pillow whose numbers are kept, and their channels
_CONVERTED = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}
_BLOCK = 1 << 18  # pixels that are copied out of Pillow's memory at a time
_BITS_PER_SAMPLE = 258  # a tag of TIFF
_ORIENTATION = 0x0112  # a tag of EXIF

Pixels = NDArray[Any]
"""uint8 or uint16, (H, W, C)."""


def read_picture(path: str | os.PathLike[str]) -> Pixels:
    """Read a PNG, JPEG, GIF, BMP, WebP or TIFF picture: (H, W, C), uint8 in 0..255, or uint16 in 0..65535 for 16 bits.

    C is 1 for shades of grey and 3 for colours. It is one more if some pixel is transparent: then the last channel is
    alpha, which is 0 where the picture is clear. Colours that are all grey become one channel, and an alpha channel
    that is opaque everywhere is left out. Palettes are looked up, 1, 2 and 4 bits are stretched to 8, CMYK becomes red,
    green and blue, and the picture is turned as its EXIF data says. Of several frames or pages the first is read. The
    picture may have 64 million pixels, 65,535 on a side, and the file 256 MB.
    Raises FormatError if the file is damaged, cut off, too large, or of another kind (floats, say); FileNotFoundError
    if there is no such file.
    """
    return decode_picture(str(path), read_content(path, MAX_BYTES))


def format_of(content: bytes) -> str | None:
    """The format that the first bytes of a file show, by Pillow's name for it; None for any that is not read here."""
    found = (kind for kind, starts in SIGNATURES.items() if content.startswith(starts))
    kind = next(found, None)
    return None if kind == "WEBP" and content[8:12] != b"WEBP" else kind


def decode_picture(name: str, content: bytes, formats: tuple[str, ...] = FORMATS) -> Pixels:
    """Read a picture that is in memory already; `name` is what to call it in an error. See `read_picture`."""
    kind = format_of(content)
    if kind not in formats:
        wanted = f"{', '.join(formats[:-1])} or {formats[-1]}" if len(formats) > 1 else formats[0]
        raise FormatError(f"{name}: starts with {content[:8].hex(' ') or 'nothing'}, expected a {wanted} file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about notes in the file
            pixels = _turned(*_decoded(name, content, kind))
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # of bytes that make no sense Pillow raises whatever comes of it
        said = visible(error)[:120] or type(error).__name__
        said = "its header makes no sense" if said.startswith("cannot identify") else said
        raise FormatError(f"{name}: got a {kind} file that Pillow cannot read ({said}), expected a sound one") from None
    return _plainest(pixels)


def _decoded(name: str, content: bytes, kind: str) -> tuple[Pixels, int]:
    """The pixels as they are in the file, and the orientation that EXIF gives for them."""
    from PIL import Image

    if kind == "WEBP":
        _check_webp(name, content)
    if kind == "PNG":
        png = parse_png(name, content)
        _check_size(name, png.size)
        png.check_rows(name)
        content = png.file
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        _check_size(name, image.size)
        depth = _depth(content, image)
        if depth == 16 and kind == "PNG" and image.mode != "I;16":
            return _png_of_16_bits(png), _turns(image)
        image.load()
        _check_size(name, image.size)
        if kind == "PNG" and image.mode == "P" and (highest := int(np.asarray(image.getextrema())[1])) >= png.colours:
            raise FormatError(f"{name}: has a pixel of colour {highest}, expected 0..{png.colours - 1}, as its palette")
        if depth == 16 and kind == "TIFF" and image.mode in _PLAIN:
            raise FormatError(f"{name}: has colours of 16 bits in TIFF, of which Pillow keeps 8, expected PNG for them")
        return _numbers(name, image, depth), _turns(image)


def _check_size(name: str, size: tuple[int, int]) -> None:
    width, height = size
    if not 0 < width * height <= MAX_PIXELS or max(size) > MAX_SIDE:
        raise FormatError(
            f"{name}: declares {width}x{height} pixels, expected at least one and at most {MAX_PIXELS}, "
            f"no more than {MAX_SIDE} on a side"
        )


def _check_webp(name: str, content: bytes) -> None:
    """Check the canvas that an extended WebP declares: Pillow takes memory for it when it opens the file."""
    if content[12:16] == b"VP8X" and len(content) >= 30:
        _check_size(name, (int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1))


def _depth(content: bytes, image: Any) -> int:
    """The bits per channel of formats that may have more than 8, and of a PNG, which may have fewer; else 8."""
    if image.format == "PNG":
        return content[24]  # of IHDR, which comes first, or Pillow would not have opened it
    bits = image.tag_v2.get(_BITS_PER_SAMPLE, (8,)) if image.format == "TIFF" else (8,)
    return max(bits)


def _turns(image: Any) -> int:
    """The orientation that EXIF gives a loaded picture, 1..8; 1, upright, where there is none or it makes no sense."""
    try:
        turned = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a note that is broken is no reason to refuse the picture
        return 1
    return turned if turned in range(1, 9) else 1


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels (H, W, C) turned and mirrored so that they stand upright, given EXIF's orientation 1..8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    down, across = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


def _numbers(name: str, image: Any, depth: int) -> Pixels:
    """The numbers of a loaded picture, palettes looked up and a transparent colour made alpha: (H, W, C)."""
    clear = image.info.get("transparency")
    if image.mode.startswith("I") and image.mode != "I":  # I;16, I;16B, I;16L, I;16N
        grey = np.asarray(image).astype(np.uint16)[..., None]
        return grey if clear is None else _with_clear(grey, clear)
    if image.mode == "P":
        image = image.convert("RGB" if clear is None and image.palette.mode == "RGB" else "RGBA")
    elif clear is not None and image.mode in ("1", "L"):
        stretched = min(clear * 255 // (2**depth - 1), 255)  # Pillow stretches the pixels to 8 bits, but not this one
        return _with_clear(_copied(image.convert("L"), 1), stretched)
    elif clear is not None and image.mode == "RGB":
        image = image.convert("RGBA")
    image = image.convert(_CONVERTED[image.mode]) if image.mode in _CONVERTED else image
    if image.mode not in _PLAIN:
        what = {"F": "floats", "I": "whole numbers of more than 16 bits"}.get(image.mode, f"Pillow's mode {image.mode}")
        raise FormatError(f"{name}: has {what}, expected 1 to 16 bits per channel; scale it to 0..65535 and save a PNG")
    opaque = image.mode in ("LA", "RGBA") and image.getextrema()[-1] == (255, 255)
    return _copied(image, _PLAIN[image.mode] - opaque)


def _copied(image: Any, channels: int) -> NDArray[np.uint8]:
    """The first so many channels of a picture: (H, W, C). A few rows are copied at a time, which saves memory."""
    (width, height), bands = image.size, len(image.getbands())
    pixels, rows = np.empty((height, width, channels), np.uint8), max(1, _BLOCK // width)
    for top in range(0, height, rows):
        part = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.asarray(part).reshape(-1, width, bands)[..., :channels]
    return pixels


def _png_of_16_bits(png: Png) -> NDArray[np.uint16]:
    """The numbers of a PNG with 16 bits per channel and more than one of them.

    Pillow keeps the upper byte of each number, or the lower one if it takes the file for little-endian; so it unpacks
    the picture once each way.
    """
    from PIL import Image

    if png.kind == GREY_ALPHA:  # four bytes per pixel, as RGBA
        bytes_of = np.asarray(Image.frombytes("RGBA", png.size, png.rows, "zip", "RGBA", png.interlaced))
        return bytes_of.view(">u2").astype(np.uint16)
    mode = "RGBA" if png.kind == COLOUR_ALPHA else "RGB"
    high, low = (
        np.asarray(Image.frombytes(mode, png.size, png.rows, "zip", f"{mode};16{order}", png.interlaced))
        for order in "BL"
    )
    pixels = high.astype(np.uint16) << 8 | low
    clear = next((struct.unpack(">3H", data) for kind, data in png.chunks if kind == b"tRNS"), None)
    return pixels if clear is None else _with_clear(pixels, clear)


def _with_clear(pixels: Pixels, clear: int | tuple[int, ...]) -> Pixels:
    """The pixels with an alpha channel that is 0 where they have the colour `clear`, and the top level elsewhere."""
    alpha = np.zeros_like(pixels[..., :1])
    alpha[(pixels != clear).any(axis=2)] = np.iinfo(pixels.dtype).max
    return np.concatenate([pixels, alpha], axis=2)


def _plainest(pixels: Pixels) -> Pixels:
    """The pixels without an alpha channel that is opaque everywhere, and with one channel if all colours are grey."""
    C, top = pixels.shape[2], np.iinfo(pixels.dtype).max
    opaque = C in (2, 4) and bool((pixels[..., -1] == top).all())
    colours = pixels[..., : 3 if C > 2 else 1]
    if C > 2 and (colours[..., 0] == colours[..., 1]).all() and (colours[..., 0] == colours[..., 2]).all():
        colours = colours[..., :1]
    if C in (1, 3) or opaque:
        return np.ascontiguousarray(colours)
    return np.concatenate([colours, pixels[..., -1:]], axis=2)
