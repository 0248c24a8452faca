"""Output on the terminal, which may be lost, but never ends or changes the work that it reports."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from minipixel.errors import visible


class Guarded:
    """A stream whose writes never raise errors: if it is missing, closed, full or broken, the text is lost.

    `find` returns the present stream, or None if the process has none (pythonw, a closed descriptor). `error` has the
    first failure. Only KeyboardInterrupt and SystemExit are raised.
    """

    def __init__(self, find: Callable[[], TextIO | None]) -> None:
        self._find = find
        self.error: Exception | None = None

    @property
    def stream(self) -> Any:
        """The stream that it writes to at present."""
        return self._find()

    def write(self, text: str) -> int:
        """Write a text, with escapes for characters that the stream's encoding lacks."""
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
        """Flush the stream."""
        if self.stream is not None:
            try:
                self.stream.flush()
            except Exception as error:
                self.error = self.error or error

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        try:
            return bool(self.stream.isatty())
        except Exception:
            return False

    def __getattr__(self, name: str) -> Any:
        """Any other attribute, such as `encoding`, is that of the stream."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.stream, name)


stderr = Guarded(lambda: sys.stderr)
"""Where progress goes: `print(..., file=console.stderr)`."""


@contextlib.contextmanager
def above_bars() -> Iterator[None]:
    """Within this block progress bars are hidden, so that a line can be printed."""
    tqdm = sys.modules.get("tqdm")  # where nobody has imported it, there is no bar
    with tqdm.tqdm.external_write_mode(file=stderr) if tqdm else contextlib.nullcontext():
        yield


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """Call `warnings.warn`. A closed `sys.stderr` raises no error; filters that turn warnings into errors still do."""
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except Warning:
        raise
    except Exception:  # the stream that it is written to: see Guarded
        pass


def callers() -> int:
    """The `stacklevel` of the first caller that is not a function of this library."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith(("minipixel.", "contextlib")):
        frame, level = frame.f_back, level + 1
    return level


def printable(text: str, length: int = 1000) -> str:
    """A text as one line of at most so many characters, with escapes for control characters of file names."""
    shown = visible(text)
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."
