"""Files that are written whole or not at all, and read only if they are regular ones of a size that can be meant."""

import contextlib
import os
import stat
from pathlib import Path
from typing import IO

from minipixel.errors import FormatError

KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def open_regular(path: str | os.PathLike[str], max_bytes: int) -> tuple[IO[bytes], int]:
    """Open a file for reading, and say how many bytes it has: every reader of minipixel comes through here.

    Raises FormatError for a pipe, a device or a socket, which could be waited for for ever or have no end, and for a
    file larger than `max_bytes`; FileNotFoundError and other OSErrors (a folder, no permission) as the system gives
    them.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115
    try:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            kind = KINDS.get(stat.S_IFMT(found.st_mode), "no regular file")
            raise FormatError(f"{path}: got {kind}, expected a regular file")
        if found.st_size > max_bytes:
            raise FormatError(f"{path}: got a file of {found.st_size} bytes, expected at most {max_bytes}")
    except BaseException:
        file.close()
        raise
    return file, found.st_size


def _without_waiting(path: str, flags: int) -> int:
    """Open as `open` does, but a pipe without waiting for somebody who writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The whole of a file: see `open_regular`."""
    file, size = open_regular(path, max_bytes)
    with file:
        return file.read(size)


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file so that a crash leaves either the old one or the new one, never half of one.

    The bytes go to a temporary file in the same folder, are flushed and synced, then renamed over `path`.
    Raises OSError (no such folder, no permission, disk full) with the old file untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error  # the name that was asked for
        raise
    _sync_folder(path.parent)
    return path


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened (Windows does not)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
