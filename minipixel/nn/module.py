"""A module owns parameters and other modules, and knows them by dotted names."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from minipixel.backend import array_module, to_cpu, to_device
from minipixel.spelling import Spelled, spelled
from minipixel.tensor import Tensor, observer

_DATA: Any = vars(Tensor)["data"]  # where a Tensor holds its array


class Parameter(Tensor):
    """A Tensor that training changes, whose dtype is that of all that is computed with it.

    Real numbers of another precision that are assigned to `data` are rounded to its own; `retype` changes that.
    """

    __slots__ = ()
    decides_dtype = True

    @property
    def data(self) -> Any:
        """The weight, an array; in a pass that is observed, what the observer shows of it (see tensor.observed)."""
        array, watching = _DATA.__get__(self), observer()
        return array if watching is None else watching.data_of(self, array)

    @data.setter
    def data(self, array: Any) -> None:
        watching = observer()
        if watching is not None:
            watching.written(self)
        array = array if hasattr(array, "dtype") else np.asarray(array)
        try:
            own = _DATA.__get__(self).dtype
        except AttributeError:  # the first one
            own = array.dtype
        real = own.kind == array.dtype.kind == "f"  # gradients are checked with complex numbers, which stay as they are
        _DATA.__set__(self, array.astype(own, copy=False) if real else array)

    def retype(self, dtype: str) -> None:
        """From now on the weight is of this dtype: "float32" or "float64"."""
        _DATA.__set__(self, self.data.astype(dtype))

    def __repr__(self) -> str:
        return f"Parameter({self.dtype} of shape {self.shape})"


class Module(Spelled):
    """Something with weights: its attributes that are parameters, modules, or lists of modules, in order of assignment.

    Names are dotted paths of attribute names and list positions: `blocks.3.narrow.weight`.
    """

    _methods: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._methods = cls._methods | {name: value for name, value in vars(cls).items() if callable(value)}

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Every parameter below, with its dotted name, always in the same order."""
        for name, value in vars(self).items():
            yield from _named(value, f"{prefix}{name}")

    def parameters(self) -> list[Parameter]:
        """Every parameter below, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every weight, by dotted name, as host arrays."""
        return {name: np.array(to_cpu(parameter.data)) for name, parameter in self.named_parameters()}

    @spelled
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy weights in, keeping each parameter's dtype and device.

        Raises ValueError, with no weight changed, if a name is missing or unknown or an array has another shape.
        """
        own = dict(self.named_parameters())
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise ValueError(
                f"state: got {len(state)} arrays, wanted the {len(own)} of this model; "
                f"missing: {', '.join(missing[:3]) or 'none'}; unknown: {', '.join(unknown[:3]) or 'none'}"
            )
        for name, parameter in own.items():
            if tuple(state[name].shape) != parameter.shape:
                raise ValueError(
                    f"state: got {name} of shape {tuple(state[name].shape)}, wanted {parameter.shape}, as in this model"
                )
        for name, parameter in own.items():
            parameter.data = array_module(parameter.data).array(state[name], dtype=parameter.dtype, order="C")

    def to_device(self) -> None:
        """Move every weight to the current GPU; what is computed from them then runs there too."""
        for parameter in self.parameters():
            parameter.data = to_device(parameter.data)

    def to_cpu(self) -> None:
        """Move every weight back to the host."""
        for parameter in self.parameters():
            parameter.data = to_cpu(parameter.data)

    def __repr__(self) -> str:
        weights = f"{sum(parameter.data.size for parameter in self.parameters()):,} weights"
        parts = ", ".join(name for name, value in vars(self).items() if next(_named(value, name), None) is not None)
        return f"{type(self).__name__}({parts}: {weights})" if parts else f"{type(self).__name__}({weights})"


def as_built(part: Any, kind: type[Module]) -> bool:
    """Whether a part of a layer is of this very class, of which nobody has exchanged a method, in it or in the class.

    A compiled body that stands for several parts runs only if all of them are as they were built.
    """
    if type(part) is not kind or any(name in kind._methods for name in vars(part)):
        return False
    return all(getattr(kind, name) is method for name, method in kind._methods.items())


def _named(value: Any, name: str) -> Iterator[tuple[str, Parameter]]:
    if isinstance(value, Parameter):
        yield name, value
    elif isinstance(value, Module):
        yield from value.named_parameters(f"{name}.")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _named(item, f"{name}.{position}")
