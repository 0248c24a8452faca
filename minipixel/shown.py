"""Short texts for objects, as their repr or in a message."""

import inspect
import os
from typing import Any

LONGEST = 60
"""About how many letters one setting may take."""


def as_made(thing: Any, *always: str, part: Any = None) -> str:
    """A class with the arguments of its constructor that are not the defaults, such as EarlyStopping(patience=3).

    Arguments in `always` are shown in any case. The value of an argument is that of the attribute with its name, or
    with its name after an underscore; without such an attribute it is left out. Attributes may also be those of a
    `part` of the object.
    """
    settings, own = [], (vars(part) if part is not None else {}) | vars(thing)
    for name, parameter in list(inspect.signature(type(thing).__init__).parameters.items())[1:]:
        value = own.get(name, own.get(f"_{name}", parameter.default))
        if name in always or not _same(value, parameter.default):
            settings.append(f"{name}={short(value)}")
    return f"{type(thing).__name__}({', '.join(settings)})"


def short(value: Any) -> str:
    """A value in a few letters: an array by its shape, a function by its name, anything else by its repr, if short."""
    if isinstance(shape := getattr(value, "shape", ()), tuple) and shape and hasattr(value, "dtype"):
        return f"<{value.dtype} of shape {tuple(value.shape)}>"
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    text = str(value) if hasattr(value, "dtype") else repr(value)  # a number of NumPy's without its type
    if " at 0x" in text or "\n" in text:
        return getattr(value, "__name__", f"<{type(value).__name__}>")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def of_channel(channel: int, C: int) -> str:
    """The name of a channel, as it follows a pixel: " green" of three, " channel 1" of another number, "" of one."""
    if C == 1:
        return ""
    return (" red", " green", " blue")[channel] if C == 3 else f" channel {channel}"


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default; an array only if it is the same object."""
    return value is default or (type(value) is type(default) and not hasattr(value, "shape") and value == default)
