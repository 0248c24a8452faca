"""Sealed arrays, which in a traced pass show their shape and dtype, but none of their numbers.

A number that is taken out of the graph would look like a constant to the clock. So while a model is traced, arrays that
depend on the image, the condition or the weights are sealed: ops accept them, since the clock watches these, and
anything else that asks for their numbers gets an error. So everything that the trace takes for a constant is one.
"""

from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

SHAPE_ALONE = {
    *(np.shape, np.ndim, np.size, np.result_type),
    *(np.zeros_like, np.ones_like, np.empty_like, np.full_like),
}
"""The functions of NumPy that look at no number of their array."""


class Sealed(NDArrayOperatorsMixin):
    """A placeholder for the array of `tensor` in a pass; any use of its numbers raises TraceError, by `refuse`."""

    __hash__ = object.__hash__

    def __init__(self, tensor: Any, shape: tuple[int, ...], dtype: Any, xp: Any, refuse: Any) -> None:
        self.tensor, self.shape, self.dtype = tensor, tuple(shape), np.dtype(dtype)
        self._xp, self._refuse = xp, refuse

    def _read(self, what: str) -> NoReturn:
        self._refuse(what, self.tensor)
        raise AssertionError("a refusal raises")

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def copy(self) -> "Sealed":
        """The same object, since it cannot be written to."""
        return self

    def __deepcopy__(self, memo: Any) -> "Sealed":
        return self

    def __repr__(self) -> str:
        return f"Sealed({'x'.join(map(str, self.shape))}, {self.dtype}: traced by the clock)"

    def __array_namespace__(self, api_version: Any = None) -> Any:
        return self._xp

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        self._read(f"numpy.{ufunc.__name__}")

    def __array_function__(self, function: Any, kinds: Any, arguments: Any, options: Any) -> Any:
        if function not in SHAPE_ALONE:
            self._read(f"numpy.{function.__name__}")
        stand_in = np.broadcast_to(np.zeros((), self.dtype), self.shape)
        return function(*[stand_in if x is self else x for x in arguments], **options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        self._read("numpy.asarray")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"a traced array has no {name!r}")
        self._read(f".{name}")


def _refusing(name: str) -> Any:
    def method(self: Sealed, *arguments: Any) -> Any:
        self._read(f"{name.strip('_')}()" if name in CASTS else "[...]")

    return method


CASTS = ("__float__", "__int__", "__bool__", "__complex__", "__index__", "__iter__", "__contains__", "__round__")
for _name in (*CASTS, "__getitem__", "__setitem__"):
    setattr(Sealed, _name, _refusing(_name))
