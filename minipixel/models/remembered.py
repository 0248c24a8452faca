"""The notes in a model file about the pictures that the model was trained on; the model itself does not need them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from minipixel.shown import short

MAX_CLASSES = 2**16


def _whole(value: Any, lowest: int, highest: int) -> bool:
    return type(value) is int and lowest <= value <= highest


def _wholes(value: Any, count: int, lowest: int, highest: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(_whole(one, lowest, highest) for one in value)


# The one table of what may be remembered: names, and what is one.
KINDS: dict[str, Callable[[Any], bool]] = {
    "classes": lambda value: (
        isinstance(value, list)
        and len(value) <= MAX_CLASSES
        and all(isinstance(name, str) for name in value)
        and len(set(value)) == len(value)
    ),
    "size": lambda value: _wholes(value, 2, 1, 2**16),
    "channels": lambda value: _whole(value, 1, 2**16),
    "levels": lambda value: _whole(value, 2, 2**16),
    "crop": lambda value: isinstance(value, str) and bool(re.fullmatch("[a-z]{1,20}", value)),
    "background": lambda value: value is None or _wholes(value, 3, 0, 255),
    "binarize": lambda value: isinstance(value, str) and bool(re.fullmatch("[a-z]{1,20}", value)),
    "split": lambda value: type(value) in (int, float) and 0 <= value < 1,
    "key": lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{32}", value)),
}


def check_pictures(pictures: Any) -> dict[str, Any]:
    """A copy of `pictures`, if it is such a dict as a data set has; else ValueError."""
    if not isinstance(pictures, Mapping):
        raise ValueError(f"pictures: got {short(pictures)}, wanted what a data set has: model.pictures = ds.pictures")
    for name, value in pictures.items():
        if name not in KINDS or not KINDS[name](value):
            wanted = "what a data set has there" if name in KINDS else f"some of {', '.join(KINDS)}"
            raise ValueError(f"pictures: got {short(name)}: {short(value)}, wanted {wanted}")
    return dict(pictures)
