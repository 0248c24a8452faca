"""What somebody may have meant by a name that is not known: the closest one that is, or what others call the same."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

LONGEST = 60
"""How much of a name is looked at and shown: it may come from a file."""

# What other libraries call an argument: the names it may have here, of which the first that a function takes counts.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate", "optimizer"),
    "learning_rate": ("optimizer",),
    "beta_1": ("beta1",),
    "beta_2": ("beta2",),
    "betas": ("beta1",),
    "eps": ("epsilon",),
    "clipnorm": ("clip_norm",),
    "max_norm": ("clip_norm",),
    "seed": ("rng",),
    "random_state": ("rng",),
    "generator": ("rng",),
    "verbose": ("progress",),
    "n_jobs": ("workers",),
    "num_workers": ("workers",),
    "validation_split": ("validation",),
    "val": ("validation",),
    "x": ("images",),
    "X": ("images",),
    "data": ("images",),
    "y": ("condition", "labels"),
    "labels": ("condition",),
    "label": ("condition",),
    "classes": ("num_classes",),
    "n_classes": ("num_classes",),
    "c": ("condition",),
    "mask": ("known",),
    "size": ("n", "image_shape"),
    "shape": ("image_shape",),
    "input_shape": ("image_shape",),
    "Q": ("levels",),
    "depth": ("layers", "blocks"),
    "layers": ("blocks",),
    "blocks": ("layers", "resnets"),
    "hidden": ("filters",),
    "filters": ("hidden",),
    "channels": ("filters", "hidden"),
    "n_components": ("mixtures",),
}


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """ "; did you mean 'relu'?", with the closest of the known names, for the end of a message; "" if none is close."""
    import difflib

    close = difflib.get_close_matches(str(name)[:LONGEST].lower(), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def spelled(function: F) -> F:
    """The same function, whose complaint about an argument that it does not take says which was meant: a TypeError.

    For functions that name all of their arguments, and their constructors; what takes **anything is left as it is.
    """
    code = function.__code__
    if code.co_flags & 0x08:  # **anything
        return function
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    known = named[1:] if named[:1] == ("self",) else named

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        for option in options:
            if option not in known:
                owner = (
                    type(arguments[0]).__name__ if function.__name__ == "__init__" and arguments else function.__name__
                )
                raise TypeError(_unknown(owner, option, known))
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


class Spelled:
    """What makes a class, and all classes derived from it, `spelled`: every constructor written in one."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", spelled(vars(cls)["__init__"]))  # noqa: B010 - mypy: no name of a method


def _unknown(owner: str, option: str, known: tuple[str, ...]) -> str:
    """One line on an argument that is not taken."""
    elsewhere = next((name for name in ELSEWHERE.get(option, ()) if name in known), None)
    hint = f"; did you mean {elsewhere!r}?" if elsewhere else did_you_mean(option, known)
    wanted = "" if hint else f", wanted {'one of ' + ', '.join(known) if known else 'none'}"
    return f"{owner}: got an unknown argument {option[:LONGEST]!r}{wanted}{hint}"
