"""Common parts of the callbacks that write files, and of those that monitor a number."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minipixel import console


@contextmanager
def training_goes_on(who: str, then: str) -> Iterator[None]:
    """Within this block an OSError, from a full disk say, becomes a warning: `who` cannot write, and what happens then.

    A log that cannot be written must not end training. Python's default filter of warnings shows the same line once,
    and not after every epoch.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.warn(f"{who}: {where}{error.strerror or error}; training goes on, {then}", RuntimeWarning, stacklevel=3)


MODES = {"min": 1, "max": -1}
"""Whether the best number is the smallest or the largest, and the sign that makes it the smallest."""


def monitored(monitor: str, logs: Mapping[str, float]) -> float:
    """The monitored number of an epoch. Raises ValueError if the epoch does not report it."""
    if monitor not in logs:
        hint = "; val_ numbers need fit(validation=...)" if monitor.startswith("val_") else ""
        raise ValueError(f"monitor: got {monitor!r}, wanted one of {', '.join(logs)}{hint}")
    return float(logs[monitor])


def worst(mode: str) -> float:
    """The number that every other number is better than: infinity, or minus infinity."""
    return MODES[mode] * math.inf


def better(number: float, best: float, mode: str, by: float = 0.0) -> bool:
    """Whether a number is better than the best so far by more than `by`; NaN never is."""
    return MODES[mode] * number < MODES[mode] * best - by
