"""The settings of a training as a TOML file, which is written beside its results, and read by `train --config`."""

import difflib
import functools
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from minipixel.backend import DEVICES
from minipixel.cli import architecture
from minipixel.cli.rates import SCHEDULES
from minipixel.datasets.preparation import CROPS
from minipixel.errors import FormatError, visible
from minipixel.files import read_regular
from minipixel.heads import HEADS
from minipixel.models import MODELS
from minipixel.nn import INPUTS
from minipixel.optim import OPTIMIZERS
from minipixel.ranks import now

MAX_BYTES, MAX_DOTS, MAX_WORD = 2**16, 300, 1000
"""The longest file of settings that is read, the most dots in it, and its longest word or number.

For a name of many parts, x.x.x, Python's reader takes time and memory that grow as the square of their number; for a
long number a hundred times its length.
"""

MOST, MOST_NUMBERS = 2**63, 100
"""Numbers of settings are below; and a list has so many of them at most."""

BINARIZE = ("static", "dynamic", "threshold")


class Names(list[str]):
    """The kind of a setting that is one text or several."""


# The one table of what a file of settings may hold, beside any model's architecture: a kind, or the words to choose
# from. The names are those of the options of `minipixel train`.
OPTIONS: dict[str, type | tuple[str, ...]] = {
    "model": tuple(MODELS),
    "data": str,
    **{"size": list, "channels": int, "crop": CROPS, "background": str, "test_share": float, "augment": str},
    "root": str,
    "binarize": BINARIZE,
    "levels": int,
    "epochs": int,
    "patience": int,
    "from": str,
    "batch_size": int,
    "optimizer": tuple(OPTIMIZERS),
    "learning_rate": float,
    "schedule": tuple(SCHEDULES),
    "clip_norm": float,
    "weight_decay": float,
    "trainable": Names,
    "sample_weight": str,
    "ema": float,
    "head": tuple(HEADS),
    "mixtures": int,
    "inputs": INPUTS,
    "embedding_width": int,
    "conditional": bool,
    "seed": int,
    "device": DEVICES,
    "workers": int,
    "save_freq": int,
    "sample_every": int,
    "tensorboard": bool,
}

MADE_WITH = (
    "minipixel",
    "python",
    "numpy",
    "scipy",
    "numba",
    "kernels",
    "machine",
    "device",
    "data_sha256",
    "from_sha256",
)
"""What a run depends on besides its settings: the table [made_with] at the end of its config.toml."""

WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "one or two whole numbers",
    Names: "a list of texts",
}


def write(settings: Mapping[str, Any], made_with: Mapping[str, str], remarks: Sequence[str]) -> str:
    """The text of a file of settings. Settings that are None are left out. Remarks come first, as comments."""
    import tomli_w

    given = {name: value for name, value in settings.items() if value is not None}
    comments = "".join(f"# {visible(remark)}\n" for remark in remarks)  # a folder's name may hold a line break
    return f"{comments}\n{tomli_w.dumps({**given, 'made_with': dict(made_with)})}"


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings in a file, by the names of the options, and the versions and data that they were used with.

    Raises FormatError for a file that is not TOML, for an unknown name, and for a value of another kind; the range of a
    value, such as a rate above 0, is checked where it is used. Raises OSError as the system gives it. Of several ranks
    the first reads the file for all.
    """
    return decode(str(path), now().from_first("settings", read_regular(path, MAX_BYTES) if now().first else b""))


def decode(path: str, content: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """The same for a file that is in memory already; `path` is its name in error messages. See `read`."""
    if (dots := content.count(b".")) > MAX_DOTS:
        raise FormatError(f"{path}: got {dots} dots, expected at most {MAX_DOTS} in the settings of a training")
    if re.search(rb"\w{%d}" % MAX_WORD, content):
        raise FormatError(f"{path}: got a word of {MAX_WORD} letters or more, expected the settings of a training")
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are ValueErrors
        raise FormatError(f"{path}: got a file that is not TOML ({error!s:.200}), expected settings") from error
    made_with = values.pop("made_with", {})
    if not isinstance(made_with, dict) or not all(
        name in MADE_WITH and isinstance(value, str) for name, value in made_with.items()
    ):
        raise FormatError(f"{path}: made_with: got {made_with!r:.60}, expected texts named {', '.join(MADE_WITH)}")
    return {name: _checked(path, name, value) for name, value in values.items()}, made_with


def _checked(path: str, name: str, value: Any) -> Any:
    if name not in OPTIONS and name not in _of_models():
        known = [*OPTIONS, *_of_models()]
        close = difflib.get_close_matches(name[:60], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise FormatError(f"{path}: got a setting {name!r:.60}, expected one of {', '.join(known):.300}{hint}")
    kind = OPTIONS.get(name)
    if kind is None:
        fits, wanted = _is_architecture(value), "a number, true or false, a word, or a list of whole numbers"
    elif isinstance(kind, tuple):
        fits, wanted = value in kind, f"one of {', '.join(kind)}"
    elif kind is list:
        fits, wanted = _is_size(value), WORDS[kind]
    else:
        fits, wanted = _is(value, kind) or (kind is float and _is(value, int)), WORDS[kind]
    numbers = value if isinstance(value, list) else [value]
    if not fits:
        raise FormatError(f"{path}: {name}: got {value!r:.60}, expected {wanted}")
    if any(isinstance(number, (int, float)) and not abs(number) < MOST for number in numbers):
        raise FormatError(f"{path}: {name}: got {value!r:.60}, expected {wanted} below 2**63")
    return tuple(value) if isinstance(value, list) else value


@functools.cache
def _of_models() -> tuple[str, ...]:
    """The names of all arguments that some model's constructor takes."""
    return tuple(sorted({key for model in MODELS for key in architecture.parameters(model)}))


def _is(value: Any, kind: type) -> bool:
    if kind is Names:
        return isinstance(value, list) and 0 < len(value) <= MOST_NUMBERS and all(_is(item, str) for item in value)
    return isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 2) and all(_is(number, int) for number in value)


def _is_architecture(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST_NUMBERS and all(_is(item, int) for item in value)
    return isinstance(value, (int, float)) or (isinstance(value, str) and bool(re.fullmatch("[a-z_-]+", value)))
