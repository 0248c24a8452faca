"""Files of users' own model classes. The caller passes the classes; nothing that a file names is ever imported."""

import inspect
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from minipixel.errors import FormatError
from minipixel.models.network import Network, options_of
from minipixel.shown import short


def by_name(classes: Any, family: Mapping[str, Any], base: tuple[type[Network], ...]) -> dict[str, type[Network]]:
    """Users' classes by their names in files. Raises ValueError for anything else, and for a name that comes twice."""
    wanted = "classes derived from mp.models.Model, in a list"
    if isinstance(classes, (str, Mapping)) or not isinstance(classes, Iterable):
        hint = f"; say [{classes.__name__}]" if inspect.isclass(classes) else ""
        raise ValueError(f"classes: got {_called(classes)}, wanted {wanted}{hint}")
    named: dict[str, type[Network]] = {}
    for kind in classes:
        if not inspect.isclass(kind) or not issubclass(kind, base):
            hint = f"; say {type(kind).__name__}, its class" if isinstance(kind, base) else ""
            raise ValueError(f"classes: got {_called(kind)}, wanted {wanted}{hint}")
        other = named.get(kind.name, family.get(kind.name))
        if other is not None and other is not kind:
            raise ValueError(
                f"classes: got {kind.__name__} named {kind.name!r}, as {other.__name__} is, wanted a name of its own; "
                f'write name = "..." in the class'
            )
        named[kind.name] = kind
    return named


def make(path: str | os.PathLike[str], kind: type[Network], config: Mapping[str, Any]) -> Network:
    """A model of a user's class, built from a configuration, with its first weights.

    The constructor gets those arguments that it takes; then the new model's configuration is compared with the stored
    one. Raises FormatError if an argument is missing, or if the two differ.
    """
    options, takes_any = options_of(kind)
    missing = [name for name, option in options.items() if option.default is option.empty and name not in config]
    if missing:
        raise FormatError(
            f"{path}: got no {missing[0]!r}, which {kind.__name__} takes; when the model is made, pass it on as a part "
            f"of `architecture`: super().__init__(image_shape, levels, {{{missing[0]!r}: {missing[0]}}}, ...)"
        )
    given = {name: value for name, value in config.items() if name != "model" and (takes_any or name in options)}
    model: Network = kind(**given)
    made = json.loads(json.dumps(model.config))
    for name, value in config.items():
        if name not in made or made[name] != value:
            got = f"made with {short(made[name])}" if name in made else "without one"
            raise FormatError(
                f"{path}: got {name} {short(value)}, and a {kind.__name__} {got}; its constructor has to take "
                f"{name!r}, and to pass it on to super().__init__"
            )
    return model


def _called(thing: Any) -> str:
    """A class by its name, anything else as `short` shows it."""
    return thing.__name__ if inspect.isclass(thing) else short(thing)
