"""The options of every model's constructor, as options of the command line."""

import argparse
import inspect
import itertools
from typing import Any

from minipixel.models import MODELS, Model

COMMON = tuple(inspect.signature(Model).parameters)  # known from the data set, or shared by all models


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """The arguments that the constructor of a model has besides those of all models: hidden, blocks ..."""
    found: dict[str, inspect.Parameter] = {}
    for parent in itertools.takewhile(lambda parent: parent is not Model, MODELS[name].__mro__):
        own = inspect.signature(parent).parameters.items()
        found = {key: p for key, p in own if p.kind is p.KEYWORD_ONLY and key not in COMMON} | found
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add an `--option` for each argument that some model takes, with the default of each such model in its help."""
    takers: dict[str, dict[str, inspect.Parameter]] = {}
    for model in MODELS:
        for key, parameter in parameters(model).items():
            takers.setdefault(key, {})[model] = parameter
    group = parser.add_argument_group("architecture (help(mp.models.PixelCNN) and so on explain these)")
    for key, models in takers.items():
        defaults = ", ".join(f"{model} {parameter.default}" for model, parameter in models.items())
        several = any(isinstance(parameter.default, tuple) for parameter in models.values())
        metavar = "VALUE VALUE ..." if several else "VALUE"
        group.add_argument(
            *(_option(key),), action=Values, type=_parse, nargs="+", metavar=metavar, help=f"default: {defaults}"
        )


class Values(argparse.Action):
    """An option of one value, or of several, "5 5" or "5,5", which become a tuple; `chosen` checks which one fits."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Put the value, or the tuple, into the namespace."""
        several = tuple(item for value in values for item in (value if isinstance(value, tuple) else (value,)))
        setattr(namespace, self.dest, values[0] if len(values) == 1 else several)


def given(arguments: argparse.Namespace) -> list[str]:
    """The names of the architecture options that were used."""
    every = {key for model in MODELS for key in parameters(model)}
    return [key for key in sorted(every) if getattr(arguments, key, None) is not None]


def chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    """The architecture options as arguments of the model. Raises ValueError for one that the model does not take."""
    takes = parameters(arguments.model)
    for key in given(arguments):
        if key not in takes:
            options = ", ".join(_option(name) for name in takes)
            raise ValueError(f"{_option(key)}: {arguments.model} does not take it, wanted one of {options}")
    return {key: _fitting(key, getattr(arguments, key), takes[key].default) for key in given(arguments)}


def _fitting(key: str, value: Any, default: Any) -> Any:
    """One value, or a tuple where the default is one. Raises ValueError for several values in place of one."""
    if isinstance(default, tuple):
        return value if isinstance(value, (tuple, str)) else (value,)
    if isinstance(value, tuple):
        words = " ".join(map(str, value[:8])) + f" ... ({len(value)} values)" * (len(value) > 8)
        square = ", since a kernel is as high as it is wide" * ("kernel" in key)
        raise ValueError(f"{_option(key)}: got {words}, wanted one value{square}; {_option(key)} {value[0]}, say")
    return value


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _parse(text: str) -> Any:
    """A text as a whole number, a number, whole numbers with commas, True or False, or else as a word."""
    if text in ("true", "false"):
        return text == "true"
    if "," in text:
        try:
            return tuple(int(part) for part in text.split(","))
        except ValueError:
            raise argparse.ArgumentTypeError(f"got {text!r:.60}, wanted whole numbers with commas between") from None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
