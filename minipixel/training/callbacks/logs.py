"""What callbacks share that write files, and those that monitor a number."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minipixel import console


@contextmanager
def training_goes_on(who: str, then: str) -> Iterator[None]:
    """Within this block an OSError, a full disk say, becomes a warning of one line: `who` cannot write, and what then.

    For a log that cannot be written must not end the training it tells of. The default filter of warnings shows the
    same line once, not after every epoch.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.warn(f"{who}: {where}{error.strerror or error}; training goes on, {then}", RuntimeWarning, stacklevel=3)


MODES = {"min": 1, "max": -1}
"""Whether the best number is the smallest or the largest, and the sign that makes it the smallest."""


def monitored(monitor: str, logs: Mapping[str, float]) -> float:
    """The number to monitor; ValueError if the epoch does not report it."""
    if monitor not in logs:
        hint = "; val_ numbers need fit(validation=...)" if monitor.startswith("val_") else ""
        raise ValueError(f"monitor: got {monitor!r}, wanted one of {', '.join(logs)}{hint}")
    return float(logs[monitor])


def worst(mode: str) -> float:
    """What every number is better than."""
    return MODES[mode] * math.inf


def better(number: float, best: float, mode: str, by: float = 0.0) -> bool:
    """Whether a number is better than the best so far, by more than that; NaN never is."""
    return MODES[mode] * number < MODES[mode] * best - by
