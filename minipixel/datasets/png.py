"""Reading pictures of one's own from PNG files: grey or colour, 8 bits a channel, opaque.

A PNG file is a signature and then chunks, each a length, a name, its data and a CRC. IHDR says what the picture is;
IDAT, perhaps in several pieces, is a zlib stream of rows, each with the number of the filter that was applied to it.
Everything but the filters is checked here, before Pillow, which undoes them, sees any of it; other chunks (text, colour
profiles, other pictures) are checked for damage and passed over: the numbers come out as they are stored.
Format: https://www.w3.org/TR/png/
"""

import os
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.errors import FormatError

MAX_PIXELS = 64_000_000
MAX_SIDE = (1 << 16) - 1  # in pixels: rows are unfiltered two at a time at least, so they are to be short
MAX_BYTES = 1 << 28  # of a file: 64 Mpx in colour and with alpha, not compressed at all
MAX_CHUNKS, BYTES_A_CHUNK = 1024, 1024  # so many chunks, and one more for each so many bytes of the file

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">2I5B")
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_MODES = {_GREY: "L", _COLOUR: "RGB", _PALETTE: "L", _GREY_ALPHA: "LA", _COLOUR_ALPHA: "RGBA"}  # by Pillow's names
_FILTERS = 5
_BEST_RATIO = 1032  # no zlib stream is that much smaller than what it holds: two bits for 258 bytes
_BLOCK = 1 << 20


class _Header(NamedTuple):
    width: int
    height: int
    kind: int

    @property
    def channels(self) -> int:
        return len(_MODES[self.kind])

    @property
    def stride(self) -> int:
        """Bytes a row: the number of its filter, then its pixels."""
        return 1 + self.width * self.channels


def read_png(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read a PNG picture: uint8 (H, W, C) in 0..255, C = 1 if it is grey and 3 if it has colours or a palette.

    It has 8 bits a channel, at most 64 Mpx, none of its sides above 65,535, no interlacing, and no transparent pixel.
    Raises FormatError if the file is damaged, too short, too long, or another kind of picture; FileNotFoundError if
    there is no such file.
    """
    return decode_png(str(path), read_content(path, MAX_BYTES))


def decode_png(name: str, content: bytes) -> NDArray[np.uint8]:
    """Read a PNG picture that is in memory already; `name` is what to call it in an error. See `read_png`."""
    chunks = _chunks(name, content)
    header = _parse_header(name, chunks)
    pieces = [data for kind, data in chunks if kind == b"IDAT"]
    size, packed = header.height * header.stride, sum(map(len, pieces))
    if size > _BEST_RATIO * packed:
        raise FormatError(
            f"{name}: {packed} bytes of pixels, too few for {header.width}x{header.height} pixels, expected at least "
            f"{-(-size // _BEST_RATIO)}"
        )
    pixels = _undo_filters(name, header, _rows(name, header, pieces))
    if header.kind == _PALETTE:
        return _look_up(name, pixels, next(data for kind, data in chunks if kind == b"PLTE"))
    return pixels


def _chunks(name: str, content: bytes) -> list[tuple[bytes, memoryview]]:
    """Cut a PNG file into its chunks, (name, data), once lengths, CRCs and order are right."""
    if content[:8] != _SIGNATURE:
        raise FormatError(f"{name}: starts with {content[:8].hex(' ') or 'nothing'}, expected a PNG file")
    view, place, chunks = memoryview(content), 8, list[tuple[bytes, memoryview]]()
    most = MAX_CHUNKS + len(content) // BYTES_A_CHUNK
    while not chunks or chunks[-1][0] != b"IEND":
        if place + 12 > len(content):
            raise FormatError(f"{name}: ends after {len(content)} bytes, expected more chunks, the last being IEND")
        (length,) = struct.unpack_from(">I", content, place)
        kind, data = content[place + 4 : place + 8], view[place + 8 : place + 8 + length]
        if place + 12 + length > len(content):
            raise FormatError(f"{name}: chunk {kind!r} declares {length} bytes, expected no more than the file holds")
        if zlib.crc32(view[place + 4 : place + 8 + length]) != struct.unpack_from(">I", content, place + 8 + length)[0]:
            raise FormatError(f"{name}: chunk {kind!r} is damaged, expected data that match its CRC")
        chunks.append((kind, data))
        place += 12 + length
        if len(chunks) > most:
            raise FormatError(f"{name}: more than {most} chunks in {len(content)} bytes, expected fewer")
    if place != len(content):
        raise FormatError(f"{name}: {len(content) - place} bytes after the end of the picture, expected none")
    _check_order(name, chunks)
    return chunks


def _check_order(name: str, chunks: list[tuple[bytes, memoryview]]) -> None:
    """Check that the chunks that matter are there, once each, in the order that PNG asks for."""
    kinds = [kind for kind, _ in chunks]
    for kind in kinds:
        if not kind.isalpha() or (kind[:1].isupper() and kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND")):
            raise FormatError(f"{name}: has a chunk {kind!r}, expected IHDR, PLTE, IDAT, IEND, and notes")
    first, count = (kinds.index(b"IDAT") if b"IDAT" in kinds else 0), kinds.count(b"IDAT")
    together = count > 0 and kinds[first : first + count] == [b"IDAT"] * count
    in_order = kinds[0] == b"IHDR" and kinds.count(b"IHDR") == 1 and together
    palette = kinds.count(b"PLTE") == 0 or (kinds.count(b"PLTE") == 1 and kinds.index(b"PLTE") < first)
    if not in_order or not palette or len(chunks[-1][1]):
        raise FormatError(f"{name}: has its chunks in another order or number, expected IHDR, IDAT, IEND")
    if b"tRNS" in kinds:
        raise FormatError(f"{name}: has a transparent colour, expected an opaque picture; put it on a background")


def _parse_header(name: str, chunks: list[tuple[bytes, memoryview]]) -> _Header:
    """What the picture is, if it is one that can be read; no memory has been taken for it yet."""
    data = chunks[0][1]
    if len(data) != _HEADER.size:
        raise FormatError(f"{name}: has a header of {len(data)} bytes, expected {_HEADER.size}")
    width, height, bits, kind, compression, filters, interlace = _HEADER.unpack(data)
    if not 0 < width * height <= MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise FormatError(
            f"{name}: declares {width}x{height} pixels, expected at least one and at most {MAX_PIXELS}, "
            f"no more than {MAX_SIDE} on a side"
        )
    if bits != 8 or kind not in _MODES:
        raise FormatError(f"{name}: has {bits} bits a channel and colour type {kind}, expected 8 bits, grey or colour")
    if compression or filters or interlace:
        raise FormatError(
            f"{name}: has compression {compression}, filter method {filters}, interlacing {interlace}, expected 0, 0, 0"
        )
    palette = [data for kind, data in chunks if kind == b"PLTE"]
    fits = not palette if kind in (_GREY, _GREY_ALPHA) else palette or kind != _PALETTE
    if not fits or any(len(data) % 3 or not 3 <= len(data) <= 768 for data in palette):
        raise FormatError(f"{name}: has no palette, a bad one, or one too many, expected one of 1 to 256 colours")
    return _Header(width, height, kind)


def _rows(name: str, header: _Header, pieces: list[memoryview]) -> Iterator[bytes]:
    """Unpack the zlib stream, whole rows at a time, about a megabyte each; no more of it than the header declares."""
    unpack, stride = zlib.decompressobj(), header.stride
    most, left, waiting = max(_BLOCK, stride), header.height * stride, bytearray()
    try:
        for packed in (piece[i : i + _BLOCK] for piece in pieces for i in range(0, len(piece), _BLOCK)):
            got = unpack.decompress(packed, most)
            while got:
                waiting += got
                left -= len(got)
                if left < 0:
                    raise FormatError(f"{name}: unpacks to more rows than the {header.height} that it declares")
                if whole := len(waiting) // stride * stride:
                    yield bytes(waiting[:whole])
                    del waiting[:whole]
                # What is left to unpack may be all inside zlib, so an empty tail is no sign of the end.
                got = unpack.decompress(unpack.unconsumed_tail, most)
    except zlib.error as error:
        raise FormatError(f"{name}: damaged pixels ({error}), expected a sound zlib stream") from error
    if left or not unpack.eof or unpack.unused_data:
        raise FormatError(f"{name}: the pixels end too soon or too late, expected {header.height} rows and no more")


def _undo_filters(name: str, header: _Header, blocks: Iterator[bytes]) -> NDArray[np.uint8]:
    """Undo the filters of all rows, and leave an opaque alpha out: uint8 (H, W, C).

    Pillow is given a block of rows at a time, not the file: so it is not asked to read a header, and the picture is
    never held twice. A row is filtered by the row above, which is put before each block, with filter 0, "as it is".
    """
    from PIL import Image

    alpha = header.kind in (_GREY_ALPHA, _COLOUR_ALPHA)
    pixels = np.empty((header.height, header.width, header.channels - alpha), np.uint8)
    mode, above, done = _MODES[header.kind], bytes(header.stride), 0
    for block in blocks:
        used = np.frombuffer(block, np.uint8)[:: header.stride]
        if used.max() >= _FILTERS:
            raise FormatError(f"{name}: has a row with filter {used.max()}, expected 0..{_FILTERS - 1}")
        size = (header.width, 1 + len(used))
        try:
            image = Image.frombytes(mode, size, zlib.compress(above + block, 0), "zip", mode)
        except (ValueError, OSError) as error:
            raise FormatError(f"{name}: rows that Pillow cannot read ({error}), expected a PNG picture") from error
        rows = np.asarray(image).reshape(*size[::-1], header.channels)[1:]
        if alpha and rows[..., -1].min() < 255:
            raise FormatError(f"{name}: has transparent pixels, expected an opaque picture; put it on a background")
        pixels[done : done + len(rows)] = rows[..., : pixels.shape[-1]]
        done += len(rows)
        above = b"\0" + rows[-1].tobytes()
    return pixels


def _look_up(name: str, places: NDArray[np.uint8], palette: memoryview) -> NDArray[np.uint8]:
    """Turn places in a palette (H, W, 1) into colours (H, W, 3)."""
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if places.max() >= len(colours):
        raise FormatError(
            f"{name}: has a pixel of colour {places.max()}, expected 0..{len(colours) - 1}, as its palette"
        )
    return colours[places[..., 0]]
