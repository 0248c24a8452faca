"""The lines that a command writes to stderr."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from minipixel.console import above_bars, printable


def say(kind: str, text: str) -> None:
    """Write one line: "minipixel: KIND: TEXT"."""
    with above_bars():
        print(f"minipixel: {f'{kind}: ' if kind else ''}{printable(text)}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Write a line that is worth knowing, but stops nothing."""
    say("note", text)


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Within this block a warning is one line, without its place in the source."""

    def show(message: Warning | str, *place: Any) -> None:
        note(str(message))

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("default", UserWarning)
            warnings.simplefilter("ignore", DeprecationWarning)  # of libraries among themselves: nothing for a user
        warnings.showwarning = show  # type: ignore[assignment]
        yield
