"""The interface of minipixel as a value: the names that are public, what each takes, and the options of the commands.

Run it from a release's own tree to record what that version offers: python tests/interface.py OUT.json
"""

import argparse
import inspect
import json
import sys
from pathlib import Path

import minipixel as mp

try:
    from minipixel.cli.parser import parser
except ImportError:
    from minipixel.cli import _parser as parser  # as 0.1 called it

SPACES = ("models", "nn", "ops", "optim", "callbacks", "datasets", "distributions", "interop", "ranks", "plots")


def _arguments(function):
    """Name, kind, and whether it may be left out, of each; None for what cannot be asked."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    return [[p.name, p.kind.name, p.default is not p.empty] for p in parameters if p.name != "self"]


def _of(value):
    if inspect.ismodule(value):
        return "module"
    if not inspect.isclass(value):
        return _arguments(value) if callable(value) else "value"
    methods = {name: getattr(value, name) for name in dir(value) if not name.startswith("_")}
    offered = {name: _arguments(method) if callable(method) else "attribute" for name, method in methods.items()}
    return {"()": _arguments(value)} | offered


def _names(space):
    if hasattr(space, "__all__"):
        return space.__all__
    return [name for name, value in vars(space).items() if getattr(value, "__module__", None) == space.__name__]


def _options(whole, name=""):
    """The options of each command, by the words that call it."""
    found = {name: []}
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                found |= _options(below, f"{name} {word}".strip())
        else:
            found[name] += action.option_strings or [action.dest]
    return found


def interface():
    """By dotted name: of a function its arguments, of a class those of its methods; and the command line."""
    python = {name: _of(getattr(mp, name)) for name in mp.__all__}
    for space in filter(lambda name: hasattr(mp, name), SPACES):
        names = [name for name in _names(getattr(mp, space)) if not name.startswith("_")]
        python |= {f"{space}.{name}": _of(getattr(getattr(mp, space), name)) for name in names}
    return {"version": mp.__version__, "python": python, "commands": _options(parser({}))}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(interface(), sort_keys=True, separators=(",", ":")) + "\n")
