"""What all callbacks that write files share: a log that cannot be written must not end the training it tells of."""

from collections.abc import Iterator
from contextlib import contextmanager

from minipixel import console


@contextmanager
def training_goes_on(who: str, then: str) -> Iterator[None]:
    """Within this block an OSError, a full disk say, becomes a warning of one line: `who` cannot write, and what then.

    The default filter of warnings shows the same line once, not after every epoch.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.warn(f"{who}: {where}{error.strerror or error}; training goes on, {then}", RuntimeWarning, stacklevel=3)
