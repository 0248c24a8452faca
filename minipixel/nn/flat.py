"""Many arrays in one long array, so that an operation on all weights is one operation on this array.

A network has dozens of weights, most of them small, for which a call from Python takes longer than the arithmetic.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from minipixel.arena import empty
from minipixel.backend import array_module
from minipixel.nn.module import Parameter


@dataclass(frozen=True)
class Layout:
    """The places of a model's arrays in buffers.

    With `together` they stand one after another in a single flat buffer, for which they need one dtype and one device.
    Otherwise each has a buffer of its own.
    """

    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    together: bool

    @classmethod
    def of(cls, arrays: Sequence[Any], together: bool = True) -> "Layout":
        """The layout for arrays such as these; they stand together if that is wanted and possible."""
        together = together and len({(array.dtype, array_module(array)) for array in arrays}) == 1
        return cls(tuple(array.shape for array in arrays), tuple(array.dtype for array in arrays), together)

    @cached_property
    def _ends(self) -> list[int]:
        return [0, *accumulate(prod(shape) for shape in self.shapes)]

    def gather(self, arrays: Sequence[Any]) -> list[Any]:
        """New buffers with the numbers of these arrays, in the dtypes of the layout."""
        if not self.together:
            pairs = zip(arrays, self.dtypes, strict=True)
            return [array_module(array).array(array, dtype=dtype, order="C") for array, dtype in pairs]
        xp, dtype = array_module(arrays[0]), self.dtypes[0]
        if xp is np:
            return [np.concatenate(arrays, axis=None, out=empty((self._ends[-1],), dtype))]
        return [xp.concatenate(arrays, axis=None).astype(dtype, copy=False)]

    def read(self, arrays: Sequence[Any]) -> list[Any]:
        """The same for reading only: if the arrays are views of one buffer already, that buffer is returned."""
        base = getattr(arrays[0], "base", None) if self.together and arrays else None
        if type(base) is np.ndarray and base.shape == (self._ends[-1],):
            address, step = base.ctypes.data, base.itemsize
            places = zip(arrays, self._ends, strict=False)
            if all(x.base is base and x.ctypes.data == address + at * step for x, at in places if x.size):
                return [base]
        return self.gather(arrays)

    def views(self, buffers: Sequence[Any]) -> list[Any]:
        """The arrays in the buffers, each in its own shape; writing into one writes into the buffer."""
        if not self.together:
            return list(buffers)
        (flat,) = buffers
        places = zip(pairwise(self._ends), self.shapes, strict=True)
        return [flat[start:end].reshape(shape) for (start, end), shape in places]


class Gradients(dict[str, Any]):
    """Gradients by the dotted names of their weights.

    All of them are views of one array, `flat` (P,), in the order of `named_parameters`, so that a norm of them all, or
    a sum with those of another machine, is one operation. `flat` is None if the weights have several dtypes or devices.
    `gradients[name][...] = numbers` writes into `flat` as well; replacing an entry leaves `flat` as it was.
    """

    def __init__(self, entries: dict[str, Any], flat: Any) -> None:
        super().__init__(entries)
        self.flat = flat

    def __repr__(self) -> str:
        return f"Gradients({', '.join(list(self)[:3])}{', ...' * (len(self) > 3)}: {len(self)} arrays)"


def distinct(named: Iterable[tuple[str, Parameter]]) -> dict[str, Parameter]:
    """Named parameters, each once: one with several places in a model has the first of its names."""
    parameters: dict[int, tuple[str, Parameter]] = {}
    for name, parameter in named:
        parameters.setdefault(id(parameter), (name, parameter))
    return dict(parameters.values())
