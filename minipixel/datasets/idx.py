"""Reading IDX files, the format of MNIST, plain or gzipped.

An IDX file is four bytes (0, 0, the code of the number type, the number of dimensions), each dimension as a big-endian
32-bit integer, then the numbers, last index fastest.
Format: http://yann.lecun.com/exdb/mnist/ (at the foot of the page)
"""

import hashlib
import io
import math
import os
import struct
import zlib
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from minipixel.errors import FormatError
from minipixel.files import open_regular

MAX_BYTES = 1 << 28  # of the unpacked numbers; MNIST's training images are 47 MB

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 16
_ZLIB_GZIP = 31  # the number by which zlib knows gzip
_MAX_MEMBERS = 1 << 12  # of a gzip file; MNIST's have one
_MAX_AROUND = 1 << 20  # bytes of a file that are not numbers: its header, and what gzip adds where it can pack nothing


def read_idx(
    path: str | os.PathLike[str], dims: int, *, sha256: str | None = None, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with `dims` dimensions: (N, H, W) for grey images, (N,) for labels.

    Its first bytes show whether it is gzipped, not its name. `sha256` is the hex digest that the unpacked content must
    have (the packed files of different mirrors differ, their content does not).
    Raises FormatError if the file is damaged, too short, too long, of another type or shape, larger than `max_bytes`
    or not the one with that digest; FileNotFoundError if there is no such file.
    """
    file, _ = open_regular(path, max_bytes + _MAX_AROUND)
    with file:
        return _decode(str(path), file, dims, sha256, max_bytes)


def decode_idx(
    name: str, content: bytes, dims: int, *, sha256: str | None = None, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """Read an IDX file that is in memory already; `name` is what to call it in an error. See `read_idx`."""
    return _decode(name, io.BytesIO(content), dims, sha256, max_bytes)


def _decode(name: str, file: IO[bytes], dims: int, sha256: str | None, max_bytes: int) -> NDArray[np.uint8]:
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    stream: _Stream = _Unpacked(file) if packed else file
    try:
        header = _read_up_to(stream, 4 + 4 * dims)
        shape = _parse_header(header, dims, name)
        size = math.prod(shape)
        # Beside a dimension of 0 the others cost nothing, but NumPy refuses them when they are too large.
        if math.prod(max(n, 1) for n in shape) > max_bytes:
            raise FormatError(f"{name}: the header declares {shape}, {size} bytes, expected at most {max_bytes}")
        # One byte more than there should be: it shows a tail without unpacking all of it, and where there is none
        # the reader meets the end of the gzip stream, where the check sum is.
        content = _read_up_to(stream, size + 1)
    except (zlib.error, EOFError) as error:
        raise FormatError(f"{name}: damaged gzip ({error}), expected an IDX file, plain or gzipped") from error
    if len(content) != size:
        got = f"{len(content)} bytes" if len(content) < size else "more bytes"
        raise FormatError(f"{name}: {got} of data after the header, expected {size} for shape {shape}")
    if sha256 is not None:
        digest = hashlib.sha256(header)
        digest.update(content)
        if digest.hexdigest() != sha256:
            raise FormatError(
                f"{name}: unpacked content has SHA-256 {digest.hexdigest()}, expected {sha256}; "
                "replace the file by the original"
            )
    return np.frombuffer(content, np.uint8).reshape(shape)


class _Stream(Protocol):
    """A stream to read from: a file, or the unpacked content of a gzip file."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""


class _Unpacked:
    """The unpacked content of a gzip file: all its members, one after the other, without zeros after the last one.

    It takes the place of Python's own reader, which goes through such zeros, and through the names in a header, byte by
    byte, however many there are.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._packed, self._members = file, b"", 1
        self._member = zlib.decompressobj(_ZLIB_GZIP)

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end. Raises zlib.error, EOFError."""
        while True:
            if self._member.eof:
                rest = self._member.unused_data.lstrip(b"\0")
                while not rest and (chunk := self._file.read(_CHUNK)):
                    rest = chunk.lstrip(b"\0")
                if not rest:
                    return b""
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise zlib.error(f"more than {_MAX_MEMBERS} members")
                self._member, self._packed = zlib.decompressobj(_ZLIB_GZIP), rest
            self._packed = self._packed or self._file.read(_CHUNK)
            at_end = not self._packed
            got = self._member.decompress(self._packed, size)  # of nothing: what zlib still has
            self._packed = self._member.unconsumed_tail
            if got:
                return got
            if at_end and not self._member.eof:
                raise EOFError("it ends too soon")


def _read_up_to(stream: _Stream, size: int) -> bytearray:
    """Read `size` bytes, or fewer at the end; memory grows with what arrives, not with what a header declares."""
    content = bytearray()
    while len(content) < size and (chunk := stream.read(min(_CHUNK, size - len(content)))):
        content += chunk
    return content


def _parse_header(header: bytearray, dims: int, name: str) -> tuple[int, ...]:
    """Check the header of an IDX file and return the shape it declares."""
    wanted = bytes([0, 0, _UNSIGNED_BYTE, dims])
    if header[:4] != wanted:
        raise FormatError(
            f"{name}: starts with {header[:4].hex(' ') or 'nothing'}, "
            f"expected {wanted.hex(' ')} (IDX, unsigned bytes, {dims} dimensions)"
        )
    if len(header) != 4 + 4 * dims:
        raise FormatError(f"{name}: {len(header)} bytes, expected a header of {4 + 4 * dims}")
    return struct.unpack(f">{dims}I", header[4:])
