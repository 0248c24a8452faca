"""Reading an array from an npy file that a stranger may have written: a short text header, then the numbers.

`numpy.load` trusts the file. Here every size is checked before memory is taken for it, only numbers and text are read,
and nothing is unpickled.
Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import io
import math
import mmap
import os
import re
import struct
import sys
import warnings
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.errors import FormatError
from minipixel.files import open_regular

MAX_BYTES = 1 << 28  # of a file; the largest of Quick, Draw! has 267 MB
MAX_MAPPED = 1 << 46  # of a file that is mapped: 64 TB
MAX_HEADER = 1024  # NumPy writes 118 bytes for a plain array

_NUMBERS_OR_TEXT = re.compile(r"[<>|][iufU][1-9][0-9]{0,3}")  # '|u1', '<f8', '<U17'; no objects, no records


def read_npy(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Read the array of an npy file into memory: writable, in C order, in the machine's byte order.

    Raises FormatError if the file is damaged, too short, too long, holds anything but numbers or text, or is larger
    than `max_bytes`; FileNotFoundError if there is no such file.
    """
    return decode_npy(str(path), read_content(path, max_bytes))


def map_npy(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of an npy file of any size as a read-only memory map, which stays on the disk.

    It must have numbers in the machine's byte order, in C order. The errors are those of `read_npy`.
    """
    file, length = open_regular(path, MAX_MAPPED)
    with file:
        dtype, fortran_order, shape, start = _read_header(f"{path}: the file", file)
        if start + math.prod(shape) * dtype.itemsize != length or fortran_order or not dtype.isnative:
            raise FormatError(f"{path}: the file is of {length} bytes, expected those of {dtype} of shape {shape}")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype, offset=start).reshape(shape)


def decode_npy(name: str, content: bytes) -> NDArray[Any]:
    """Read an npy file that is in memory already; `name` is what to call it in an error. See `read_npy`."""
    return read_array(f"{name}: the file", io.BytesIO(content), len(content))


def read_array(what: str, stream: IO[bytes], length: int) -> NDArray[Any]:
    """Read the array of an npy stream of `length` bytes; `what` is what to call it in an error."""
    dtype, fortran_order, shape, start = _read_header(what, stream)
    size = math.prod(shape) * dtype.itemsize
    if start + size != length:
        raise FormatError(f"{what} is of {length} bytes, expected {start + size} for {dtype} of shape {shape}")
    # A plain read() would let a zip member that lies about its size unpack without bound.
    data = stream.read(size)
    if len(data) != size:
        raise FormatError(f"{what} unpacks to {len(data)} bytes of data, expected {size}")
    if dtype.kind == "U":
        # Text is stored as numbers, and one that is no character would crash whatever shows the text later.
        largest = np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder)).max(initial=0)
        if largest > sys.maxunicode:
            raise FormatError(f"{what} has character {largest}, expected at most {sys.maxunicode}")
    try:
        array = np.frombuffer(data, dtype)
        array = array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
        return array.astype(dtype.newbyteorder("="), order="C")
    except (ValueError, OverflowError) as error:  # too many dimensions, or one too large beside an empty one
        raise FormatError(f"{what} has shape {shape}, expected one that NumPy can hold ({error})") from error


def _read_header(what: str, stream: IO[bytes]) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Read the header of an npy file: type, whether the first index runs fastest, shape, and where the data start."""
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise FormatError(f"{what} starts with {start!r}, expected the npy magic of version 1.0 or 2.0")
    form = "<H" if start[6] == 1 else "<I"
    field = stream.read(struct.calcsize(form))
    if len(field) != struct.calcsize(form):
        raise FormatError(f"{what} ends after {8 + len(field)} bytes, expected a header")
    (length,) = struct.unpack(form, field)
    if length > MAX_HEADER:
        raise FormatError(f"{what} has a header of {length} bytes, expected at most {MAX_HEADER}")
    content = stream.read(length)
    if len(content) != length:
        raise FormatError(f"{what} ends inside its header, expected {length} bytes of it")
    descr, fortran_order, shape = _parse(what, content)
    if not (isinstance(descr, str) and _NUMBERS_OR_TEXT.fullmatch(descr)):
        raise FormatError(f"{what} has type {descr!r}, expected numbers or text such as '|u1', '<f8', '<U9'")
    if not isinstance(fortran_order, bool):
        raise FormatError(f"{what} has fortran_order {fortran_order!r}, expected True or False")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise FormatError(f"{what} has shape {shape!r}, expected a tuple of whole numbers from 0 up")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise FormatError(f"{what} has type {descr!r}, expected one that NumPy knows") from None
    return dtype, fortran_order, shape, 8 + len(field) + length


def _parse(what: str, content: bytes) -> tuple[Any, Any, Any]:
    """Read the three entries of a header, a literal of Python's on one line; none missing, doubled or unknown."""
    try:
        text = content.decode("ascii").removesuffix("\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser's, about escapes and the like
            node = ast.parse(text.strip(" "), mode="eval").body
            header = ast.literal_eval(node)
        descr, fortran_order, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
        if text.isprintable() and isinstance(node, ast.Dict) and len(node.keys) == 3:
            return descr, fortran_order, shape
    except (ValueError, SyntaxError, TypeError, KeyError, IndexError, MemoryError, RecursionError):
        pass
    raise FormatError(f"{what} has the header {content[:80]!r}, expected a dict of descr, fortran_order and shape")
