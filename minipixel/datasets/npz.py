"""Reading arrays from an npz file that a stranger may have made.

An npz file is a zip archive with one npy file for each array; an npy file is a short text header (type, order, shape)
and then the numbers. `numpy.load` trusts what it reads; here every size is checked before memory is taken for it, the
header may ask for numbers and text only, nothing is unpickled, and nothing is unpacked to disk.
Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import io
import math
import os
import re
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minipixel.errors import FormatError

MAX_BYTES = 1 << 28  # of a file, and of the arrays read from it; the largest we bundle is 1.5 MB
MAX_HEADER = 1024  # of an npy header: NumPy writes 118 bytes for a plain array

_ENCRYPTED = 1  # bit 0 of a zip member's flags
_NUMBERS_OR_TEXT = re.compile(r"[<>|][iufU][1-9][0-9]{0,3}")  # '|u1', '<f8', '<U17'; no objects, no records

# What zipfile and NumPy raise on bytes that make no sense (NotImplementedError is a RuntimeError).
_NONSENSE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


def read_npz(path: Path, *names: str, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an npz file into memory: writable, in C order, in the machine's byte order.

    Raises FormatError if the file is damaged, lacks a name, or holds more than `max_bytes`; FileNotFoundError if there
    is no such file.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size > max_bytes:
            raise FormatError(f"{path}: {size} bytes, expected at most {max_bytes}")
        file.seek(0)
        content = file.read()
    # From here on there are only bytes: an error can no longer come from the disk, it is the content's.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [_find(archive, name) for name in names]
            total = sum(member.file_size for member in members)
            if total > max_bytes:
                raise FormatError(f"the arrays unpack to {total} bytes, expected at most {max_bytes}")
            return {name: _read_npy(archive, member) for name, member in zip(names, members, strict=True)}
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except _NONSENSE as error:
        raise FormatError(f"{path}: {str(error) or 'ends too soon'}, expected a sound npz file") from error


def _find(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Find an array's one entry in the zip directory."""
    entries = archive.infolist()
    found = [entry for entry in entries if entry.filename == f"{name}.npy"]
    if len(found) != 1:
        listed = ", ".join(repr(entry.filename) for entry in entries[:8]) or "nothing"
        raise FormatError(f"{len(found)} members named '{name}.npy', expected one; the file holds {listed}")
    if found[0].flag_bits & _ENCRYPTED:
        raise FormatError(f"member '{name}.npy' is encrypted, expected no password")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = found[0].compress_type
        raise FormatError(f"member '{name}.npy' is packed by zip method {method}, expected 0 (stored) or 8 (deflated)")
    return found[0]


def _read_npy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array once its header and its entry in the zip directory agree about its size."""
    with archive.open(entry) as member:
        dtype, fortran_order, shape, start = _read_header(member, entry.filename)
        size = math.prod(shape) * dtype.itemsize
        if start + size != entry.file_size:
            raise FormatError(
                f"member {entry.filename!r} is of {entry.file_size} bytes, "
                f"expected {start + size} for {dtype} of shape {shape}"
            )
        # A plain read() would let a lying entry unpack without bound; and the last byte read checks the CRC.
        data = member.read(size)
    if len(data) != size:
        raise FormatError(f"member {entry.filename!r} unpacks to {len(data)} bytes of data, expected {size}")
    array = np.frombuffer(data, dtype)
    array = array.reshape(shape[::-1]).T if fortran_order else array.reshape(shape)
    if dtype.kind == "U":
        # Text is stored as numbers, and one that is no character would crash whatever shows the text later.
        largest = np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder)).max(initial=0)
        if largest > sys.maxunicode:
            raise FormatError(f"member {entry.filename!r} has character {largest}, expected at most {sys.maxunicode}")
    return array.astype(dtype.newbyteorder("="), order="C")


def _read_header(member: IO[bytes], name: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Read the header of an npy file: type, whether the first index runs fastest, shape, and where the data start."""
    start = member.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\x01\x00", b"\x02\x00"):
        raise FormatError(f"member {name!r} starts with {start!r}, expected the npy magic of version 1.0 or 2.0")
    form = "<H" if start[6] == 1 else "<I"
    (length,) = struct.unpack(form, member.read(struct.calcsize(form)))
    if length > MAX_HEADER:
        raise FormatError(f"member {name!r} has a header of {length} bytes, expected at most {MAX_HEADER}")
    text = member.read(length).decode("latin-1")
    try:
        header = ast.literal_eval(text)
        descr, fortran_order, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise FormatError(
            f"member {name!r} has the header {text[:80]!r}, expected a dict of descr, fortran_order and shape"
        ) from None
    if not (isinstance(descr, str) and _NUMBERS_OR_TEXT.fullmatch(descr)):
        raise FormatError(f"member {name!r} has type {descr!r}, expected numbers or text such as '|u1', '<f8', '<U9'")
    if not isinstance(fortran_order, bool):
        raise FormatError(f"member {name!r} has fortran_order {fortran_order!r}, expected True or False")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise FormatError(f"member {name!r} has shape {shape!r}, expected a tuple of whole numbers from 0 up")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise FormatError(f"member {name!r} has type {descr!r}, expected one that NumPy knows") from None
    return dtype, fortran_order, shape, 8 + struct.calcsize(form) + length
