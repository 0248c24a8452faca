"""Suggestions for unknown names in error messages: the most similar known name, or minipixel's name for the thing."""

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
    "sample_weight": ("weights",),
    "weight": ("weights",),
    "weights": ("sample_weight",),
    "class_weight": ("sample_weight",),
    "decay": ("weight_decay",),
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
    """The end of a message, "; did you mean 'relu'?", with the most similar known name; "" if none is similar."""
    import difflib

    close = difflib.get_close_matches(str(name)[:LONGEST].lower(), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def spelled(function: F) -> F:
    """The same function, whose TypeError for wrong arguments suggests, in one line, what may have been meant.

    This is for unknown and missing arguments, and for too many by position. A function that takes *any or **any is
    returned as it is.
    """
    written: Any = function
    while hasattr(written, "__wrapped__"):  # by other decorators
        written = written.__wrapped__
    code = getattr(written, "__code__", None)  # None: not written in Python
    if code is None or code.co_flags & (0x04 | 0x08):  # *any, **any
        return function
    named = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    by_position, method = code.co_argcount, int(named[:1] == ("self",))
    required = named[method : by_position - len(written.__defaults__ or ())]
    known = named[method:]
    takes = frozenset(known)

    def complaint(arguments: tuple[Any, ...], options: dict[str, Any]) -> str:
        owner = type(arguments[0]).__name__ if function.__name__ == "__init__" else function.__name__
        unknown = next((option for option in options if option not in known), None)
        if unknown is not None:
            return f"{owner}: got an unknown argument {unknown[:LONGEST]!r}{_meant(unknown, known)}"
        if len(arguments) > by_position:
            got, wanted = len(arguments) - method, ", ".join(named[method:by_position]) or "none"
            left = [f"{name}=" for name in named[by_position:] if name not in options]
            hint = f"; name the others: {', '.join(left[:6])}{' ...' if len(left) > 6 else ''}" if left else ""
            return f"{owner}: got {got} arguments by position, wanted at most {by_position - method}, {wanted}{hint}"
        missing = next(name for name in required[max(len(arguments) - method, 0) :] if name not in options)
        return f"{owner}: got no {missing!r}, wanted {owner}({', '.join(required)}{', ...' * (known != required)})"

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        wanted = required[max(len(arguments) - method, 0) :]
        if len(arguments) > by_position or not options.keys() <= takes or not all(name in options for name in wanted):
            raise TypeError(complaint(arguments, options))
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


class Spelled:
    """A base class that makes the constructors of all derived classes `spelled`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            setattr(cls, "__init__", spelled(vars(cls)["__init__"]))  # noqa: B010 - mypy: no name of a method


def _meant(option: str, known: tuple[str, ...]) -> str:
    """The end of a message about an unknown argument: the one that may be meant, or all that there are."""
    elsewhere = next((name for name in ELSEWHERE.get(option, ()) if name in known), None)
    hint = f"; did you mean {elsewhere!r}?" if elsewhere else did_you_mean(option, known)
    return hint or f", wanted {'one of ' + ', '.join(known) if known else 'none'}"
