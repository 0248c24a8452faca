"""Checks of a PNG file before Pillow reads it, since Pillow ignores faults such as missing rows or a second header.

A PNG file is a signature and then chunks, each of which is a length, a name, data and a CRC. IHDR describes the
picture. IDAT, perhaps in several pieces, is a zlib stream of rows, each after the number of the filter applied to it.
Format: https://www.w3.org/TR/png/
"""

import struct
import zlib
from dataclasses import dataclass

from minipixel.errors import FormatError

MAX_CHUNKS, BYTES_A_CHUNK = 1024, 1024  # so many chunks, and one more for each so many bytes of the file
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
KINDS = (b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND")
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}  # of what a row holds

# Where each of the seven pictures of an interlaced one begins, and in what steps it goes on: x, y, right, down.
_ADAM7 = (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
_BLOCK = 1 << 20

Chunk = tuple[bytes, memoryview]


@dataclass(frozen=True)
class Png:
    """The chunks that the pixels depend on, and the content of the header; `kind` is the colour type of PNG."""

    size: tuple[int, int]  # width, height
    bits: int
    kind: int
    interlaced: bool
    chunks: tuple[Chunk, ...]

    @property
    def colours(self) -> int:
        """The number of colours in the palette."""
        return sum(len(data) // 3 for kind, data in self.chunks if kind == b"PLTE")

    @property
    def rows(self) -> bytes:
        """The zlib stream."""
        return b"".join(data for kind, data in self.chunks if kind == b"IDAT")

    @property
    def file(self) -> bytes:
        """A PNG file of these chunks alone, without text, colour profiles or further frames, for Pillow to read."""
        parts: list[bytes | memoryview] = [SIGNATURE]
        for kind, data in self.chunks:
            parts += [len(data).to_bytes(4, "big"), kind, data, zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")]
        return b"".join(parts)

    def check_rows(self, name: str) -> None:
        """Check that the zlib stream is sound and holds the rows that the header declares, a megabyte at a time."""
        unpack, left = zlib.decompressobj(), self._bytes_of_rows()
        try:
            for _, data in (chunk for chunk in self.chunks if chunk[0] == b"IDAT"):
                for packed in (data[i : i + _BLOCK] for i in range(0, len(data), _BLOCK)):
                    got = unpack.decompress(packed, _BLOCK)
                    while got and left >= 0:
                        left -= len(got)
                        # What is left to unpack may be all inside zlib, so an empty tail is no sign of the end.
                        got = unpack.decompress(unpack.unconsumed_tail, _BLOCK)
                    if left < 0:
                        raise FormatError(f"{name}: unpacks to more rows than the {self.size[1]} that it declares")
        except zlib.error as error:
            raise FormatError(f"{name}: damaged pixels ({error}), expected a sound zlib stream") from error
        if left or not unpack.eof or unpack.unused_data:
            raise FormatError(f"{name}: the pixels end too soon or too late, expected {self.size[1]} rows and no more")

    def _bytes_of_rows(self) -> int:
        """The bytes of all rows together, each with one byte before it for its filter."""
        (width, height), bits = self.size, self.bits * CHANNELS[self.kind]
        total = 0
        for x, y, right, down in _ADAM7 if self.interlaced else ((0, 0, 1, 1),):
            columns, rows = -(-(width - x) // right), -(-(height - y) // down)
            total += rows * (1 + -(-columns * bits // 8)) if columns > 0 < rows else 0
        return total


def parse_png(name: str, content: bytes) -> Png:
    """Check lengths, CRCs, order and header of a PNG file, and return its parts; the pixels are not unpacked yet.

    Bytes after the end of the picture are ignored.
    """
    chunks = _chunks(name, content)
    _check_order(name, chunks)
    header = chunks[0][1]
    if len(header) != 13:
        raise FormatError(f"{name}: has a header of {len(header)} bytes, expected 13")
    width, height, bits, kind, compression, filters, interlace = struct.unpack(">2I5B", header)
    depths = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}.get(kind, (8, 16))
    if kind not in CHANNELS or bits not in depths:
        raise FormatError(
            f"{name}: has {bits} bits per channel and colour type {kind}, expected grey or colour, of PNG"
        )
    if compression or filters or interlace > 1:
        raise FormatError(
            f"{name}: has compression {compression}, filter method {filters}, interlacing {interlace}, "
            "expected 0, 0, 0 or 1"
        )
    palette = [data for chunk, data in chunks if chunk == b"PLTE"]
    fits = not palette if kind in (GREY, GREY_ALPHA) else palette or kind != PALETTE
    if not fits or any(len(data) % 3 or not 3 <= len(data) <= 768 for data in palette):
        raise FormatError(f"{name}: has no palette, a bad one, or one too many, expected one of 1 to 256 colours")
    clear = [data for chunk, data in chunks if chunk == b"tRNS"]
    lengths = {GREY: (2,), COLOUR: (6,), PALETTE: range(1, 257)}.get(kind, ())
    if any(len(data) not in lengths for data in clear):
        raise FormatError(f"{name}: has a transparent colour that makes no sense, expected one that fits its pixels")
    return Png((width, height), bits, kind, interlace == 1, tuple(c for c in chunks if c[0] in KINDS))


def _chunks(name: str, content: bytes) -> list[Chunk]:
    """Cut a PNG file into its chunks, (name, data), once lengths and CRCs are right."""
    view, place, kind = memoryview(content), 8, b""
    chunks, most = list[Chunk](), MAX_CHUNKS + len(content) // BYTES_A_CHUNK
    while kind != b"IEND":
        if place + 12 > len(content):
            raise FormatError(f"{name}: ends after {len(content)} bytes, expected more chunks, the last being IEND")
        (length,) = struct.unpack_from(">I", content, place)
        kind, data = content[place + 4 : place + 8], view[place + 8 : place + 8 + length]
        if place + 12 + length > len(content):
            raise FormatError(f"{name}: chunk {kind!r} declares {length} bytes, expected no more than the file holds")
        if zlib.crc32(view[place + 4 : place + 8 + length]) != struct.unpack_from(">I", content, place + 8 + length)[0]:
            raise FormatError(f"{name}: chunk {kind!r} is damaged, expected data that match its CRC")
        if not kind.isalpha() or (kind[:1].isupper() and kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND")):
            raise FormatError(f"{name}: has a chunk {kind!r}, expected IHDR, PLTE, IDAT, IEND, and notes")
        chunks.append((kind, data))
        place += 12 + length
        if len(chunks) > most:
            raise FormatError(f"{name}: more than {most} chunks in {len(content)} bytes, expected fewer")
    return chunks


def _check_order(name: str, chunks: list[Chunk]) -> None:
    """Check that the chunks that matter are there, once each, in the order that PNG asks for."""
    kinds = [kind for kind, _ in chunks]
    first, count = (kinds.index(b"IDAT") if b"IDAT" in kinds else 0), kinds.count(b"IDAT")
    once = all(kinds.count(kind) <= 1 for kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf"))
    together = count > 0 and kinds[first : first + count] == [b"IDAT"] * count
    before = [kind for kind in kinds[first:] if kind in (b"PLTE", b"tRNS")]
    if kinds[0] != b"IHDR" or not once or not together or before or len(chunks[-1][1]):
        raise FormatError(f"{name}: has its chunks in another order or number, expected IHDR, IDAT, IEND")
