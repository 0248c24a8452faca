"""The settings of a training as TOML: left beside its results, and read back by `minipixel train --config`."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minipixel.cli import architecture
from minipixel.datasets import DATASETS
from minipixel.errors import FormatError
from minipixel.heads import HEADS
from minipixel.models import MODELS
from minipixel.optim import OPTIMIZERS

MAX_BYTES = 2**20
"""The longest file of settings that is read."""

BINARIZE = ("static", "dynamic", "threshold")

# The one table of what a file of settings may hold, beside any model's architecture: a kind, or the words to choose
# from. The names are those of the options of `minipixel train`.
OPTIONS: dict[str, type | tuple[str, ...]] = {
    "model": tuple(MODELS),
    "data": tuple(DATASETS),
    "root": str,
    "binarize": BINARIZE,
    "levels": int,
    "epochs": int,
    "batch_size": int,
    "optimizer": tuple(OPTIMIZERS),
    "learning_rate": float,
    "clip_norm": float,
    "ema": float,
    "head": tuple(HEADS),
    "mixtures": int,
    "conditional": bool,
    "seed": int,
    "workers": int,
    "save_freq": int,
    "sample_every": int,
    "tensorboard": bool,
}

MADE_WITH = ("minipixel", "python", "numpy", "scipy", "numba", "kernels", "machine", "data_sha256")
"""What a run depends on besides its settings: the table [made_with] at the end of its config.toml."""

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def write(settings: Mapping[str, Any], made_with: Mapping[str, str], remarks: Sequence[str]) -> str:
    """A file of settings; what is None is left out, and so takes its default. Remarks come first, as comments."""
    import tomli_w

    given = {name: value for name, value in settings.items() if value is not None}
    printable = ["".join(letter if letter.isprintable() else "?" for letter in remark) for remark in remarks]
    comments = "".join(f"# {remark}\n" for remark in printable)  # a folder's name may hold a line break
    return f"{comments}\n{tomli_w.dumps({**given, 'made_with': dict(made_with)})}"


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings in a file, by the names of the options, and what it was made with.

    Raises FormatError, one line, for a file that is no TOML, for a name that is not in the table, and for a value of
    another kind; whether, say, a rate is above 0 is for the one who takes it to say. OSError as the system gives it.
    """
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise FormatError(f"{path}: got more than {MAX_BYTES} bytes, expected the settings of a training")
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and TOMLDecodeError are ValueErrors
        raise FormatError(f"{path}: got a file that is not TOML ({error}), expected settings") from error
    made_with = values.pop("made_with", {})
    if not isinstance(made_with, dict) or not all(
        name in MADE_WITH and isinstance(value, str) for name, value in made_with.items()
    ):
        raise FormatError(f"{path}: made_with: got {made_with!r:.60}, expected texts named {', '.join(MADE_WITH)}")
    return {name: _checked(path, name, value) for name, value in values.items()}, made_with


def _checked(path: str | os.PathLike[str], name: str, value: Any) -> Any:
    of_models = {key for model in MODELS for key in architecture.parameters(model)}
    if name not in OPTIONS and name not in of_models:
        known = [*OPTIONS, *sorted(of_models)]
        close = difflib.get_close_matches(name[:60], known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise FormatError(f"{path}: got a setting {name!r:.60}, expected one of {', '.join(known)}{hint}")
    kind = OPTIONS.get(name)
    if kind is None:
        fits, wanted = _is_architecture(value), "a number, true or false, a word, or a list of whole numbers"
    elif isinstance(kind, tuple):
        fits, wanted = value in kind, f"one of {', '.join(kind)}"
    else:
        fits, wanted = _is(value, kind) or (kind is float and _is(value, int)), WORDS[kind]
    if not fits:
        raise FormatError(f"{path}: {name}: got {value!r:.60}, expected {wanted}")
    return tuple(value) if isinstance(value, list) else value


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)


def _is_architecture(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is(item, int) for item in value)
    return isinstance(value, (int, float)) or (isinstance(value, str) and bool(re.fullmatch("[a-z_-]+", value)))
