"""What a command leaves: files that are written whole or not at all, and of several ranks by the first alone."""

from collections.abc import Callable
from pathlib import Path

from minipixel.files import write_atomically
from minipixel.ranks import now


def write(path: Path, content: Callable[[], bytes | str]) -> None:
    """Write what `content()` gives, which is asked on the first rank alone. Raises OSError."""
    if now().first:
        write_atomically(path, content())
