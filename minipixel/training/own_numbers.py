"""Numbers that callbacks add to the logs of an epoch: whether they are such as history, logs and monitors can hold."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from minipixel.errors import visible
from minipixel.shown import short

LONGEST, MOST = 60, 255
"""The longest name, and how many numbers an epoch may have: each is a column of the log."""


def check_numbers(logs: dict[str, Any], reported: Mapping[str, float], who: object) -> None:
    """ValueError unless a callback has left all that was `reported` in the logs, and what it put there are numbers.

    Those become floats. NaN is one, which no monitor takes for a best.
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
