"""The cache of folders: the prepared pictures of a folder in an npy file, which is read as a memory map.

A file belongs to the content of a folder and to a preparation; it is written whole or not at all. A small JSON file
beside it, which is written last, has its SHA-256 and the pictures that could not be read.
"""

import contextlib
import hashlib
import io
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minipixel import console
from minipixel.datasets import fetch
from minipixel.datasets.npy import decode_npy, map_npy
from minipixel.datasets.preparation import with_channels
from minipixel.errors import FormatError
from minipixel.files import UNFINISHED, open_regular, read_regular, write_atomically

HEADER = 128  # bytes before the numbers: what NumPy writes for any array of four dimensions
IN_MEMORY = 1 << 28  # bytes: sets up to this size are read into memory, larger ones are mapped
MAX_NOTES = 1 << 26  # bytes
ABANDONED = 86400  # seconds: a file that nobody has written to for so long will not be finished
UNUSED_DAYS = 30  # what was not used for so long is removed when something new is written

Bad = dict[str, str]
"""Why a picture could not be read, by the SHA-256 of its file in hex."""

Write = Callable[["Rows"], Bad]


class Rows:
    """A file that images of one size are being written to, all with as many channels as the one that needs most.

    `opaque` is the top level, which is the alpha of images that have no alpha channel.
    """

    def __init__(self, file: IO[bytes], opaque: int) -> None:
        self.file, self.opaque = file, opaque
        self.count, self.shape, self.dtype = 0, (0, 0, 0), np.dtype(np.uint8)

    def append(self, image: NDArray[Any]) -> None:
        """Write one more (H, W, C), with the size and dtype of those before. Raises OSError."""
        if not self.count:
            self.shape, self.dtype = image.shape, image.dtype
            self.file.seek(HEADER)
        elif image.shape[2] > self.shape[2]:
            self._widen(image.shape[2])
        self.file.write(self._with(image, self.shape[2]))
        self.count += 1

    def finish(self) -> None:
        """Write the header of the file, which says how many images there are."""
        header = io.BytesIO()
        form = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(header, form)
        self.file.seek(0)
        if len(header.getvalue()) != HEADER:
            raise RuntimeError(f"NumPy wrote a header of {len(header.getvalue())} bytes, wanted {HEADER}")
        self.file.write(header.getvalue())
        self.file.flush()

    def _with(self, image: NDArray[Any], channels: int) -> memoryview:
        wide = image if image.shape[2] == channels else with_channels(image, channels, self.opaque)
        return np.ascontiguousarray(wide).data

    def _widen(self, channels: int) -> None:
        """Write all images again with more channels, the last first, so that none is overwritten before it is read."""
        old, self.shape = self.shape, (*self.shape[:2], channels)
        size, wide = (int(np.prod(shape)) * self.dtype.itemsize for shape in (old, self.shape))
        for n in reversed(range(self.count)):
            self.file.seek(HEADER + n * size)
            image = np.frombuffer(self.file.read(size), self.dtype).reshape(old)
            self.file.seek(HEADER + n * wide)
            self.file.write(self._with(image, channels))
        self.file.seek(HEADER + self.count * wide)


def stored(key: str, opaque: int, write: Write) -> tuple[NDArray[Any], Bad]:
    """The images (N, H, W, C) of a key, and the pictures that could not be read, from the cache or from `write`.

    `write` fills Rows, and may be called a second time. A damaged cache is written again, and if the cache cannot be
    written, nothing is stored; both with a warning. Up to IN_MEMORY bytes the caller may change the images; larger ones
    are read-only.
    """
    folder = fetch.cache_folder("pictures")
    path, notes = folder / f"{key}.npy", folder / f"{key}.json"
    try:
        found = _found(path, notes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        console.warn(f"{path}: the cache is damaged ({error!s:.200}), and is written again", stacklevel=5)
        found = None
    return found or _written(path, notes, opaque, write)


def _found(path: Path, notes: Path) -> tuple[NDArray[Any], Bad] | None:
    """The content of the cache; None if it has none. Raises any of five errors for a damaged one."""
    if not (path.exists() and notes.exists()):
        return None
    said = json.loads(read_regular(notes, MAX_NOTES))
    if said["sha256"] != _sha256(path):
        raise FormatError("another SHA-256 than it had")
    bad = {str(digest): str(reason) for digest, reason in said["bad"].items()}
    with contextlib.suppress(OSError):
        os.utime(notes)  # it is in use
    return _array(path), bad


def _written(path: Path, notes: Path, opaque: int, write: Write) -> tuple[NDArray[Any], Bad]:
    part = path.with_name(UNFINISHED.format(name=path.name, mark=secrets.token_hex(4)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _new_file(part) as file:
            bad = _filled(file, opaque, write)
            os.fsync(file.fileno())
        part.replace(path)
        write_atomically(notes, json.dumps({"sha256": _sha256(path), "bad": bad}))
        _remove_unused(path.parent)
        return _array(path), bad
    except OSError as error:
        why = error.strerror or str(error)
        console.warn(
            f"{path.parent}: the cache cannot be written ({why}), so all pictures are read each time", stacklevel=6
        )
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    memory = io.BytesIO()
    bad = _filled(memory, opaque, write)
    return decode_npy("pictures", memory.getvalue()), bad


def _filled(file: IO[bytes], opaque: int, write: Write) -> Bad:
    rows = Rows(file, opaque)
    bad = write(rows)
    rows.finish()
    return bad


def _new_file(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "w+b")


def _array(path: Path) -> NDArray[Any]:
    if path.stat().st_size <= IN_MEMORY:
        return decode_npy(str(path), read_regular(path, IN_MEMORY))
    return map_npy(path)


def _sha256(path: Path) -> str:
    file, _ = open_regular(path, 1 << 46)
    with file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _remove_unused(folder: Path) -> None:
    """Remove files that have not been used for a month, and those that a killed process had begun to write."""
    for notes in folder.glob("*.json"):
        with contextlib.suppress(OSError):
            if time.time() - notes.stat().st_mtime > UNUSED_DAYS * 86400:
                notes.with_suffix(".npy").unlink(missing_ok=True)
                notes.unlink()
    for part in folder.glob(UNFINISHED.format(name="*", mark="*")):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
