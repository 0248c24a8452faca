"""Whether a model is still as it was traced, with the same layers, masks and numbers; its weights may have changed.

Tracing a model again takes some milliseconds, as long as calling its ops. The library's own code depends only on the
content of its objects, so it is enough to compare this content, which takes tenths of a millisecond. Code of a user may
depend on anything, so such a model is traced again each time (`Trace.holds`).
"""

import types
from typing import Any

import numpy as np

from minipixel.nn.init import Init
from minipixel.nn.module import ModuleClass, Parameter

PLAIN = (int, float, str, bool, bytes, complex, type(None), np.generic, np.dtype)


class Parts:
    """The content of all objects of a model: `plain` values, and `arrays`, which are compared by their numbers.

    `own` says whether there is code or data of a user in it.
    """

    def __init__(self, model: Any, copies: bool = False) -> None:
        self.plain: list[Any] = [ModuleClass.changes]
        self.arrays: list[Any] = []
        self.own = False
        self._copies, self._seen = copies, set[int]()
        self._take(model)

    def same(self, other: "Parts") -> bool:
        """Whether the content is the same."""
        return self.plain == other.plain and all(map(_equal, self.arrays, other.arrays))

    def _take(self, value: Any) -> None:
        kind = type(value)
        if kind is Parameter:
            self.plain += (id(value), value.shape, value.dtype, type(value.data))
        elif isinstance(value, PLAIN):
            self.plain.append(value)
        elif kind in (list, tuple):
            self.plain.append(len(value))
            for part in value:
                self._take(part)
        elif kind is dict:
            self.plain += value
            for part in value.values():
                self._take(part)
        elif hasattr(value, "dtype") and hasattr(value, "shape"):
            self.plain += (value.shape, value.dtype, kind)
            self.arrays.append(np.array(value) if self._copies and kind is np.ndarray else value)
        elif kind is types.MethodType:
            self._code(value.__func__)
            self._take(value.__self__)
        elif not _of_the_library(kind):
            self._code(value)
            if hasattr(value, "__dict__") and not isinstance(value, (type, types.ModuleType)):
                self._object(value)
        elif kind is not Init:
            self._object(value)

    def _object(self, value: Any) -> None:
        """Add the content of an object; frozen weights count by identity, since a table reads them at each pass."""
        self.plain.append(id(value))
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        held = vars(value) if hasattr(value, "__dict__") else {}
        weights = held.get("_kinds", ())
        for name, part in held.items():
            if name.startswith("_kinds"):
                continue
            self.plain.append(name)
            if name in weights and hasattr(part, "dtype"):
                self.plain += (id(part), part.shape, part.dtype)
            else:
                self._take(part)

    def _code(self, value: Any) -> None:
        """Add a function or an object that may be a user's."""
        self.plain.append(id(value))
        self.own = self.own or not str(getattr(value, "__module__", "")).startswith("minipixel.")


def _of_the_library(kind: type) -> bool:
    return kind.__module__.startswith("minipixel.")


def _equal(a: Any, b: Any) -> bool:
    if a is b or not type(a) is type(b) is np.ndarray:  # a comparison on a GPU would wait for it
        return a is b
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"))
