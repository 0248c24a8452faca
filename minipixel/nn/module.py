"""A module owns parameters and other modules, and knows them by dotted names."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minipixel.backend import array_module, to_cpu, to_device
from minipixel.tensor import Tensor, observer

_array: Any = vars(Tensor)["data"]


class Parameter(Tensor):
    """A Tensor that training changes. In a forward pass that is observed its numbers are not shown (tensor.observed)."""

    __slots__ = ()

    @property
    def data(self) -> Any:  # type: ignore[override]
        """The array."""
        array, watching = _array.__get__(self), observer()
        return array if watching is None else watching.data_of(self, array)

    @data.setter
    def data(self, array: Any) -> None:
        watching = observer()
        if watching is not None:
            watching.written(self)
        _array.__set__(self, array)


class Module:
    """Something with weights: its attributes that are parameters, modules, or lists of modules, in order of assignment.

    Names are dotted paths of attribute names and list positions: `blocks.3.narrow.weight`.
    """

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
            parameter.data = array_module(parameter.data).array(state[name], dtype=parameter.dtype)

    def to_device(self) -> None:
        """Move every weight to the current GPU; what is computed from them then runs there too."""
        for parameter in self.parameters():
            parameter.data = to_device(parameter.data)

    def to_cpu(self) -> None:
        """Move every weight back to the host."""
        for parameter in self.parameters():
            parameter.data = to_cpu(parameter.data)


def _named(value: Any, name: str) -> Iterator[tuple[str, Parameter]]:
    if isinstance(value, Parameter):
        yield name, value
    elif isinstance(value, Module):
        yield from value.named_parameters(f"{name}.")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _named(item, f"{name}.{position}")
