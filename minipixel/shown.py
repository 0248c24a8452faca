"""How an object shows itself in one line."""

import inspect
import os
from typing import Any

LONGEST = 60
"""About how many letters one setting may take."""


def as_made(thing: Any, *always: str, part: Any = None) -> str:
    """EarlyStopping(patience=3): a class, and what its constructor was given where that is not the default.

    Those in `always` are there in any case.
    A setting is what an attribute holds that has the name of an argument, or that name with a line in front; an
    argument without either is left out. Some may be the attributes of a `part` of it.
    """
    settings, own = [], (vars(part) if part is not None else {}) | vars(thing)
    for name, parameter in list(inspect.signature(type(thing).__init__).parameters.items())[1:]:
        value = own.get(name, own.get(f"_{name}", parameter.default))
        if name in always or not _same(value, parameter.default):
            settings.append(f"{name}={short(value)}")
    return f"{type(thing).__name__}({', '.join(settings)})"


def short(value: Any) -> str:
    """A setting in a few letters: an array by its shape, a function by its name, all else as itself if it is short."""
    if isinstance(shape := getattr(value, "shape", ()), tuple) and shape and hasattr(value, "dtype"):
        return f"<{value.dtype} of shape {tuple(value.shape)}>"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    text = str(value) if hasattr(value, "dtype") else repr(value)  # a number of NumPy's without its type
    if " at 0x" in text or "\n" in text:
        return getattr(value, "__name__", f"<{type(value).__name__}>")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def of_channel(channel: int, C: int) -> str:
    """Which of C channels, after a pixel in words: " green" of three, " channel 1" of another number, "" of one."""
    if C == 1:
        return ""
    return (" red", " green", " blue")[channel] if C == 3 else f" channel {channel}"


def _same(value: Any, default: Any) -> bool:
    """Whether a setting is the default: an array never is, unless it is the very one."""
    return value is default or (type(value) is type(default) and not hasattr(value, "shape") and value == default)
