"""Reading arrays from an npz file that a stranger may have written: a zip archive with one npy file for each array.

Nothing is unpacked to the disk, and only as much is unpacked in memory as zip directory and npy header agree on.
"""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from minipixel.datasets.content import read_content
from minipixel.datasets.npy import read_array
from minipixel.errors import FormatError

MAX_BYTES = 1 << 28  # of a file, and of the arrays read from it; the largest we bundle is 1.5 MB
MAX_DIRECTORY = 1 << 16  # of the zip directory, which Python reads as a whole, an object an entry

_ENCRYPTED = 1  # bit 0 of a zip member's flags
_END = struct.Struct("<4s4H2LH")  # the record at the end: magic, disks, entries, size and place of the directory

# What zipfile raises on bytes that make no sense (NotImplementedError is a RuntimeError).
_NONSENSE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)


def read_npz(
    path: str | os.PathLike[str], *names: str, optional: Sequence[str] = (), max_bytes: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an npz file into memory: writable, in C order, in the machine's byte order.

    `optional` has names of further arrays, which may be missing. Raises FormatError if the file is damaged, lacks a
    name, or holds more than `max_bytes`; FileNotFoundError if there is no such file.
    """
    return decode_npz(str(path), read_content(path, max_bytes), *names, optional=optional, max_bytes=max_bytes)


def decode_npz(
    path: str, content: bytes, *names: str, optional: Sequence[str] = (), max_bytes: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """Read an npz file that is in memory already; `path` is what to call it in an error. See `read_npz`."""
    _check_end(path, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = {entry.filename for entry in archive.infolist()}
            names += tuple(name for name in optional if f"{name}.npy" in inside)
            members = [_find(archive, name) for name in names]
            total = sum(member.file_size for member in members)
            if total > max_bytes:
                raise FormatError(f"the arrays unpack to {total} bytes, expected at most {max_bytes}")
            return {name: _read_member(archive, member) for name, member in zip(names, members, strict=True)}
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except _NONSENSE as error:
        # Python's message may quote a name that is 64 KB long.
        raise FormatError(f"{path}: {str(error)[:120] or 'ends too soon'}, expected a sound npz file") from error


def _check_end(path: str, content: bytes) -> None:
    """Check the record that ends a zip file, before its directory is read: no comment, nothing before or after."""
    if len(content) < _END.size:
        raise FormatError(f"{path}: {len(content)} bytes, expected an npz file")
    magic, *_, size, place, comment = _END.unpack(content[-_END.size :])
    if magic != b"PK\5\6" or comment or size + place + _END.size != len(content):
        raise FormatError(f"{path}: does not end as a zip file does, expected an npz file and nothing after it")
    if size > MAX_DIRECTORY:
        raise FormatError(f"{path}: the zip directory is of {size} bytes, expected at most {MAX_DIRECTORY}")


def _find(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Find an array's one entry in the zip directory."""
    entries = archive.infolist()
    found = [entry for entry in entries if entry.filename == f"{name}.npy"]
    if len(found) != 1:
        listed = ", ".join(f"{entry.filename!r:.30}" for entry in entries[:8]) or "nothing"
        raise FormatError(f"{len(found)} members named '{name}.npy', expected one; the file holds {listed}")
    if found[0].flag_bits & _ENCRYPTED:
        raise FormatError(f"member '{name}.npy' is encrypted, expected no password")
    if found[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = found[0].compress_type
        raise FormatError(f"member '{name}.npy' is packed by zip method {method}, expected 0 (stored) or 8 (deflated)")
    return found[0]


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Read one array; the last byte read also checks the CRC."""
    with archive.open(entry) as member:
        return read_array(f"member {entry.filename!r:.60}", member, entry.file_size)
