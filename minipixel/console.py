"""What is written for people to read while something works: it can be lost, and can never end or change the work."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from minipixel.errors import visible


class Guarded:
    """A stream whose writes never raise: to one that is missing, closed, full or broken they are lost.

    `find` gives the stream to write to now, None where the process has none (pythonw, a closed descriptor). `error`
    keeps the first failure. Only KeyboardInterrupt and SystemExit come through.
    """

    def __init__(self, find: Callable[[], TextIO | None]) -> None:
        self._find = find
        self.error: Exception | None = None

    @property
    def stream(self) -> Any:
        """Where it writes to now."""
        return self._find()

    def write(self, text: str) -> int:
        """Write, with escapes for what the stream's encoding lacks."""
        if self.stream is not None:
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError as lacking:
                    self.stream.write(text.encode(lacking.encoding, "backslashreplace").decode(lacking.encoding))
            except Exception as error:
                self.error = self.error or error
        return len(text)

    def flush(self) -> None:
        """Send on what was written."""
        if self.stream is not None:
            try:
                self.stream.flush()
            except Exception as error:
                self.error = self.error or error

    def isatty(self) -> bool:
        """Whether somebody sits there and looks."""
        try:
            return bool(self.stream.isatty())
        except Exception:
            return False

    def __getattr__(self, name: str) -> Any:
        """All else, `encoding` say, is asked of the stream."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.stream, name)


stderr = Guarded(lambda: sys.stderr)
"""Where progress goes: `print(..., file=console.stderr)`."""


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """Within this block bars are off the terminal, so that a line can be printed there."""
    tqdm = sys.modules.get("tqdm")  # where nobody has imported it, there is no bar
    with tqdm.tqdm.external_write_mode(file=stderr) if tqdm else contextlib.nullcontext():
        yield


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """`warnings.warn`, which a closed `sys.stderr` cannot make an error; filters that turn warnings into errors can."""
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except Warning:
        raise
    except Exception:  # the stream that it is written to: see Guarded
        pass


def callers() -> int:
    """How many calls up from whoever warns the first function stands that is not the library's: a `stacklevel`."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(("minipixel.", "contextlib")):
        frame, level = frame.f_back, level + 1
    return level


def printable(text: str, length: int = 1000) -> str:
    """Text as one line of at most so many characters, in which a control character of a file's name is only shown."""
    shown = visible(text)
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."
