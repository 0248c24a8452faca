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
        group.add_argument(_option(key), type=_parse, metavar="VALUE", help=f"default: {defaults}")


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
    return {key: getattr(arguments, key) for key in given(arguments)}


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _parse(text: str) -> Any:
    """A whole number, a number, a list of whole numbers with commas, true or false; else a word, as it is."""
    if text in ("true", "false"):
        return text == "true"
    if "," in text:
        return tuple(int(part) for part in text.split(","))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
