"""Finding the objects that a function refers to, and copying the function with other objects in their place.

A network that needs more than an image is passed as a function, such as `lambda x: net(x, labels)[0]`. The network has
to be found in it, to put it into evaluation mode, or to check it again with other weights. It may be in the closure,
among the globals that the code names, in a partial or behind a bound method; and there by itself, in a list or a dict,
or as an attribute of another object. The function and all objects that it refers to stay as they are.
"""

import copy
import functools
import types
from collections.abc import Callable
from typing import Any

DEPTH = 3
"""How many functions and objects deep it is looked: a lambda that calls a function that calls a network."""
MOST = 64
"""How many values a list, a table or an object has at the most for each of them to be looked at."""

Swap = Callable[[Any], Any]


def references(function: Any, depth: int = DEPTH) -> list[Any]:
    """All objects that a function refers to, through functions that it calls, each once."""
    found: list[Any] = []

    def look(value: Any) -> Any:
        if not any(value is other for other in found):
            found.append(value)
        return value

    replaced(function, look, depth)
    return found


def replaced(function: Any, swap: Swap, depth: int = DEPTH) -> Any:
    """A function that refers to `swap(value)` instead of each value; the function itself if nothing is swapped."""
    if depth < 0:
        return function
    if isinstance(function, functools.partial):
        inner = _swapped(function.func, swap, depth)
        arguments = [_swapped(value, swap, depth) for value in function.args]
        keywords = {name: _swapped(value, swap, depth) for name, value in function.keywords.items()}
        return functools.partial(inner, *arguments, **keywords)
    if isinstance(function, types.MethodType):
        owner = _swapped(function.__self__, swap, depth)
        return types.MethodType(function.__func__, owner) if owner is not function.__self__ else function
    if isinstance(function, types.FunctionType):
        return _function(function, swap, depth)
    inner = getattr(function, "__wrapped__", None)  # a compiled or cached function says so what it was
    return replaced(inner, swap, depth) if isinstance(inner, types.FunctionType) else _holder(function, swap, depth)


def _function(function: types.FunctionType, swap: Swap, depth: int) -> types.FunctionType:
    cells = []
    for cell in function.__closure__ or ():
        try:
            before = cell.cell_contents
        except ValueError:  # not yet bound
            cells.append(cell)
            continue
        after = _swapped(before, swap, depth)
        cells.append(cell if after is before else types.CellType(after))
    names = _names(function.__code__)
    before = {name: function.__globals__[name] for name in names if name in function.__globals__}
    after = {name: _swapped(value, swap, depth) for name, value in before.items()}
    defaults = tuple(_swapped(value, swap, depth) for value in function.__defaults__ or ())
    own_globals = function.__globals__
    if any(after[name] is not before[name] for name in before):
        own_globals = {**function.__globals__, **after}
    same = own_globals is function.__globals__ and all(
        new is old
        for new, old in zip(
            (*cells, *defaults), (*(function.__closure__ or ()), *(function.__defaults__ or ())), strict=True
        )
    )
    if same:
        return function
    made = types.FunctionType(function.__code__, own_globals, function.__name__, defaults or None, tuple(cells) or None)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _names(code: types.CodeType) -> set[str]:
    """The global names that a code object uses, also in the functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(_names(each) for each in inner))


def _swapped(value: Any, swap: Swap, depth: int) -> Any:
    after = swap(value)
    if after is not value or isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return after
    return value if _of_a_library(value) else replaced(value, swap, depth - 1)


def _holder(holder: Any, swap: Swap, depth: int) -> Any:
    """A list, tuple, dict or object with `swap(value)` for each of its values; the same one if nothing is swapped."""
    kind = type(holder)
    if kind in (list, tuple, dict):
        values = holder if kind is dict else dict(enumerate(holder[: MOST + 1]))
    elif isinstance(holder, (type, types.ModuleType)) or _of_a_library(kind) or hasattr(holder, "named_modules"):
        return holder  # a framework's own, and its modules, are found or not: what is inside is their own affair
    else:
        values = getattr(holder, "__dict__", {})
    others = {name: _swapped(value, swap, depth) for name, value in values.items()} if len(values) <= MOST else values
    if all(others[name] is value for name, value in values.items()):
        return holder
    if kind in (list, tuple, dict):
        return others if kind is dict else kind(others.values())
    other = copy.copy(holder)
    vars(other).update(others)
    return other


LIBRARIES = ("torch", "jax", "jaxlib", "flax", "numpy", "scipy", "minipixel", "functools")


def _of_a_library(function: Any) -> bool:
    """Whether a function belongs to a framework, and so refers to no user's weights."""
    if isinstance(function, (functools.partial, types.MethodType)):
        return False
    return (getattr(function, "__module__", None) or "").partition(".")[0] in LIBRARIES
