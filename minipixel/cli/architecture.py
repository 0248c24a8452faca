"""The options of every model's constructor, as options of the command line."""

import argparse
import inspect
import itertools
from typing import Any

from minipixel.models import MODELS, Model

COMMON = tuple(inspect.signature(Model).parameters)  # known from the data set, or shared by all models


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """What the constructor of the model of that name takes of its own, or passes on to a parent: hidden, blocks ..."""
    found: dict[str, inspect.Parameter] = {}
    for parent in itertools.takewhile(lambda parent: parent is not Model, MODELS[name].__mro__):
        own = inspect.signature(parent).parameters.items()
        found = {key: p for key, p in own if p.kind is p.KEYWORD_ONLY and key not in COMMON} | found
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One `--option` for each name that some model takes, with that model's default in its help."""
    takers: dict[str, dict[str, inspect.Parameter]] = {}
    for model in MODELS:
        for key, parameter in parameters(model).items():
            takers.setdefault(key, {})[model] = parameter
    group = parser.add_argument_group("architecture (what is left out takes the model's default)")
    for key, models in takers.items():
        defaults = ", ".join(f"{model} {parameter.default}" for model, parameter in models.items())
        several = any(isinstance(parameter.default, tuple) for parameter in models.values())
        metavar = "VALUE VALUE ..." if several else "VALUE"
        group.add_argument(
            *(_option(key),), action=Values, type=_parse, nargs="+", metavar=metavar, help=f"default: {defaults}"
        )


class Values(argparse.Action):
    """One value, as it is, or several, "5 5" or "5,5", as a tuple; `chosen` says which of them a model can use."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        """Put it into the namespace."""
        several = tuple(item for value in values for item in (value if isinstance(value, tuple) else (value,)))
        setattr(namespace, self.dest, values[0] if len(values) == 1 else several)


def given(arguments: argparse.Namespace) -> list[str]:
    """The names of the architecture options that were used."""
    every = {key for model in MODELS for key in parameters(model)}
    return [key for key in sorted(every) if getattr(arguments, key, None) is not None]


def chosen(arguments: argparse.Namespace) -> dict[str, Any]:
    """The architecture that was asked for; ValueError for an option that the chosen model does not take."""
    takes = parameters(arguments.model)
    for key in given(arguments):
        if key not in takes:
            options = ", ".join(_option(name) for name in takes)
            raise ValueError(f"{_option(key)}: {arguments.model} does not take it, wanted one of {options}")
    return {key: _fitting(key, getattr(arguments, key), takes[key].default) for key in given(arguments)}


def _fitting(key: str, value: Any, default: Any) -> Any:
    """One value where one is meant, a tuple where several are; ValueError for several in place of one."""
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
    """A whole number, a number, a list of whole numbers with commas, true or false; else a word, as it is."""
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
