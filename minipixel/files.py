"""Safe reading and writing: files are written whole or not at all, and only regular ones of a sensible size are read.

`alone_with` makes sure that only one training at a time writes a file or a folder.
"""

import contextlib
import glob
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from minipixel.errors import FormatError

KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


def open_regular(path: str | os.PathLike[str], max_bytes: int) -> tuple[IO[bytes], int]:
    """Open a file for reading, and return it with its size in bytes; all readers of minipixel use this function.

    Raises FormatError for a pipe, a device or a socket, which might never end, and for a file larger than `max_bytes`;
    FileNotFoundError and other OSErrors (a folder, no permission) as the system gives them.
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
    """Open a file as `open` does, but without waiting for a writer if it is a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_regular(path: str | os.PathLike[str], max_bytes: int) -> bytes:
    """The whole of a file: see `open_regular`."""
    file, size = open_regular(path, max_bytes)
    with file:
        return file.read(size)


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


UNFINISHED = ".{name}.{mark}.part"
"""What a file is called while it is written: what `write_atomically` renames, and what a killed process leaves."""


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file so that a crash leaves either the old one or the new one, never half of one.

    The bytes go to a temporary file in the same folder, are flushed and synced, then renamed over `path`.
    Raises OSError (no such folder, no permission, disk full) with the old file untouched.
    """
    path = Path(path)
    temporary = path.with_name(UNFINISHED.format(name=path.name, mark=secrets.token_hex(4)))  # two never share one
    try:
        with temporary.open("xb") as file:
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


@dataclass(frozen=True)
class Claim:
    """A file or a folder that only one training may write for a while."""

    path: Path
    is_folder: bool

    @property
    def lock(self) -> Path:
        """The hidden file whose lock holds the claim."""
        return self.path / ".lock" if self.is_folder else self.path.with_name(f".{self.path.name}.lock")

    def unfinished(self) -> Iterator[Path]:
        """The files that a killed process had begun to write here."""
        name = "*" if self.is_folder else glob.escape(self.path.name)
        return self.lock.parent.glob(UNFINISHED.format(name=name, mark="[0-9a-f]" * 8))


@contextlib.contextmanager
def alone_with(claims: Iterable[Claim]) -> Iterator[None]:
    """Within this block no other process, and no other such block in this process, can claim any of these.

    Missing folders are created, and files that a killed process had begun to write are removed. A claim is held by a
    lock of the operating system, which ends with the process in any case; the hidden file that may remain after a kill
    holds nothing. Where the system has no such locks, as on Windows and some network drives, nothing is held.

    Raises BlockingIOError if another process holds one of them; OSError as the system gives it.
    """
    with contextlib.ExitStack() as held:
        for path, claim in {claim.lock.absolute(): claim for claim in claims}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            held.callback(_let_go, path, _locked(claim))
            for file in claim.unfinished():
                with contextlib.suppress(OSError):
                    file.unlink()
        yield


def _let_go(lock: Path, handle: int | None) -> None:
    with contextlib.suppress(OSError):
        lock.unlink()  # before it is let go of, so that nobody locks a file that is then removed
    if handle is not None:
        _close(handle)


def _close(handle: int) -> None:
    """Release a lock, even if the file cannot be closed."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)
    with contextlib.suppress(OSError):
        os.close(handle)


def _locked(claim: Claim) -> int | None:
    """The open and locked file of a claim; None where the system cannot lock files."""
    if fcntl is None:
        return None
    while True:
        handle = os.open(claim.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(_close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                process = os.read(handle, 20).decode("ascii", "replace").strip()
                who = f"process {process}" if process.isdecimal() else "another process"
                raise BlockingIOError(
                    f"{claim.path}: {who} is training there; wait for its end, or take another place"
                ) from None
            except OSError:  # a file system without locks
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), claim.lock.stat()):
                    on_failure.pop_all()
                    with contextlib.suppress(OSError):
                        os.write(handle, str(os.getpid()).encode().ljust(20))  # so that others can say who
                    return handle
        # removed between being opened and being locked, by the one who had it: once more


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be opened (Windows does not)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
