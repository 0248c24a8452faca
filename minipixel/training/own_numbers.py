"""Checks of the numbers that callbacks add to the logs of an epoch, so that History and log files can hold them."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from minipixel.errors import visible
from minipixel.shown import short

LONGEST, MOST = 60, 255
"""The longest name of a number, and the most numbers that an epoch may have, since each is a column of the log."""


def check_numbers(logs: dict[str, Any], reported: Mapping[str, float], who: object) -> None:
    """Raise ValueError if a callback removed a `reported` number from the logs, or added something else than numbers.

    Added numbers become floats. NaN is allowed; it never counts as the best of a monitored number.
    """
    by = f"from {type(who).__name__}"
    gone = next((name for name in reported if name not in logs), None)
    if gone is not None:
        raise ValueError(f"logs: got none {by} for {gone!r}, wanted all that training reports; add to them")
    for name, value in list(logs.items()):
        if value is reported.get(name):
            continue
        fits = isinstance(name, str) and 0 < len(name) <= LONGEST and visible(name) == name and name != "epoch"
        if not fits:
            raise ValueError(f"logs: got the name {short(name)} {by}, wanted a word of its own, such as 'my_number'")
        value = value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError(f"logs: got {short(value)} for {name!r} {by}, wanted a number; such as float(value)")
        logs[name] = float(value)
    if len(logs) > MOST:
        raise ValueError(f"logs: got {len(logs)} numbers with those {by}, wanted at most {MOST}; leave some out")
