"""The classes Module and Parameter: a module owns parameters and other modules, which have dotted names."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from minipixel.backend import array_module, check_device, device_of, to_cpu, to_device, use_gpu_of
from minipixel.deprecation import going
from minipixel.ranks import place
from minipixel.shown import short
from minipixel.spelling import Spelled, spelled
from minipixel.tensor import Tensor, observer

_DATA: Any = vars(Tensor)["data"]  # where a Tensor holds its array


class Parameter(Tensor):
    """A weight: a Tensor that training changes. All that is computed with it has its dtype.

    Real numbers of another precision that are assigned to `data` are rounded to the weight's dtype; `retype` changes
    that dtype.
    """

    __slots__ = ()
    decides_dtype = True

    @property
    def data(self) -> Any:
        """The weight as an array; in a pass that is observed, what the observer shows of it (see tensor.observed)."""
        array, watching = _DATA.__get__(self), observer()
        return array if watching is None else watching.data_of(self, array)

    @data.setter
    def data(self, array: Any) -> None:
        watching = observer()
        if watching is not None:
            watching.written(self)
        # a single number that arithmetic made of a weight without axes is no array, and could not be written to
        array = array if hasattr(array, "dtype") and not isinstance(array, np.generic) else np.asarray(array)
        try:
            own = _DATA.__get__(self).dtype
        except AttributeError:  # the first one
            own = array.dtype
        real = own.kind == array.dtype.kind == "f"  # gradients are checked with complex numbers, which stay as they are
        _DATA.__set__(self, array.astype(own, copy=False) if real else array)

    def retype(self, dtype: str) -> None:
        """Change the dtype of the weight to "float32" or "float64"."""
        _DATA.__set__(self, self.data.astype(dtype))

    def __repr__(self) -> str:
        return f"Parameter({self.dtype} of shape {self.shape})"


class NotLoaded(NamedTuple):
    """What `load_state_dict` did not load; all three parts are empty if model and state have the same weights.

    `missing` has the names of the model's weights that the state lacks, `unexpected` the names in the state that the
    model lacks, and `other_shape`, by name, the shape in the state and that in the model.
    """

    missing: list[str]
    unexpected: list[str]
    other_shape: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


class ModuleClass(type):
    """The metaclass of all layers, which counts how often any of their classes was changed (see plan/unchanged.py)."""

    changes: int = 0

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        ModuleClass.changes += 1

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        ModuleClass.changes += 1


class Module(Spelled, metaclass=ModuleClass):
    """The base class of layers and models: its weights are attributes that are parameters, modules or lists of modules.

    Weights have dotted names, made of attribute names and list positions: `blocks.3.narrow.weight`. They are in the
    order in which attributes were assigned.

    A plain array in the place of a parameter, `layer.weight = layer.weight.data`, is a frozen weight: it is used, saved
    and loaded like any other, but training does not change it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        weight = value if isinstance(value, Parameter) else vars(self).get(name)
        if isinstance(weight, Parameter):  # whatever stands here later is a weight, too
            vars(self).setdefault("_kinds", {})[name] = tuple(weight.shape), str(weight.dtype)
            if isinstance(value, np.ndarray) and value.base is not None:
                value = value.copy()  # after training it is a view of the memory of all weights: those will go on
        super().__setattr__(name, value)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Every parameter of this module and of those in it, with its dotted name, always in the same order."""
        for name, value in list(vars(self).items()):  # a forward pass may keep a mask meanwhile
            yield from _named(value, f"{prefix}{name}")

    def parameters(self) -> list[Parameter]:
        """Every parameter, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_arrays(self) -> Iterator[tuple[str, Any]]:
        """The array of every weight, frozen ones too, with its dotted name; on a GPU these are CuPy arrays."""
        return ((name, array) for name, array, _ in _weights(self, ""))

    def frozen_names(self) -> list[str]:
        """The dotted names of frozen weights, which are plain arrays and no longer parameters."""
        trained = dict(self.named_parameters())
        return [name for name, _ in self.named_arrays() if name not in trained]

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every weight, frozen ones too, by dotted name, as host arrays.

        Raises ValueError if something that could not be loaded again is in the place of a weight.
        """
        return {name: np.array(to_cpu(array)) for name, array in self.named_arrays()}

    @spelled
    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> NotLoaded:
        """Copy weights in from a dict of arrays by dotted name; each weight keeps its dtype and device.

        Raises ValueError, with no weight changed, if a name is missing or unknown, if an array has another shape, or if
        it has no real numbers. With `strict=False` arrays that fit by name and shape are copied, all other weights stay
        as they are, and the result says which these were. Frozen weights are loaded too, and stay frozen.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"state: got {short(state)}, wanted a dict of arrays by name; state_dict() makes one")
        own = {name: (array, put) for name, array, put in _weights(self, "")}
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if strict and (missing or unknown):
            raise ValueError(
                f"state: got {len(state)} arrays, wanted the {len(own)} of this model; "
                f"missing: {', '.join(missing[:3]) or 'none'}; unknown: {', '.join(map(str, unknown[:3])) or 'none'}; "
                "strict=False takes what fits"
            )
        shapes = {name: _shape(state[name]) for name in own if name in state}
        other = {name: (shape, own[name][0].shape) for name, shape in shapes.items() if shape != own[name][0].shape}
        if strict and other:
            name, (got, wanted) = next(iter(other.items()))
            raise ValueError(f"state: got {name} of shape {got}, wanted {wanted}, as in this model")
        fitting = [name for name in shapes if name not in other]
        arrays = [_as_weight(name, state[name], own[name][0]) for name in fitting]  # all of them, before one is put
        for name, array in zip(fitting, arrays, strict=True):
            own[name][1](array)
        return NotLoaded(missing, unknown, other)

    @property
    def device(self) -> str:
        """Where the weights are, and so where it computes: "cpu", or "cuda" for a GPU."""
        return next((device_of(array) for _, array in self.named_arrays()), "cpu")

    @spelled
    def to(self, device: str) -> Self:
        """Move every weight, and its gradient, to "cuda", the current GPU, or to "cpu", the host; returns the module.

        It then computes there. What it is given may stay on the host: images and conditions are moved a batch at a time
        (see docs/gpu.md). Of several processes that MPI started on one machine, each takes another GPU, if there are so
        many. Raises ValueError for another word, ImportError where CuPy is missing, DeviceError where there is no GPU
        or its driver is too old, and MemoryError where it is too small; the weights are then where they were.
        """
        move = to_cpu if check_device(device) == "cpu" else to_device
        if device == "cuda":
            use_gpu_of(place())
        places = [(array, put) for _, array, put in _weights(self, "")]
        graded = [parameter for parameter in self.parameters() if parameter.grad is not None]
        places += [(parameter.grad, functools.partial(setattr, parameter, "grad")) for parameter in graded]
        arrays = {id(array): array for array, _ in places}  # each once, where several layers share one
        moved = {key: move(array) for key, array in arrays.items()}  # all, before one is put
        for array, put in places:
            put(moved[id(array)])
        return self

    def to_device(self) -> None:
        """Deprecated: `to("cuda")` moves the weights to the GPU."""
        going("to_device()")
        self.to("cuda")

    def to_cpu(self) -> None:
        """Deprecated: `to("cpu")` moves the weights to the host."""
        going("to_cpu()")
        self.to("cpu")

    def __repr__(self) -> str:
        weights = f"{sum(parameter.data.size for parameter in self.parameters()):,} weights"
        parts = ", ".join(name for name, value in vars(self).items() if next(_named(value, name), None) is not None)
        return f"{type(self).__name__}({parts}: {weights})" if parts else f"{type(self).__name__}({weights})"


def _named(value: Any, name: str) -> Iterator[tuple[str, Parameter]]:
    if isinstance(value, Parameter):
        yield name, value
    elif isinstance(value, Module):
        yield from value.named_parameters(f"{name}.")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _named(item, f"{name}.{position}")


def _weights(value: Any, name: str) -> Iterator[tuple[str, Any, Callable[[Any], None]]]:
    """Every weight, frozen or not, in the order of `named_parameters`: name, array, function to replace the array."""
    if isinstance(value, Tensor):
        yield name, value.data, functools.partial(setattr, value, "data")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if isinstance(item, (Parameter, Module, list)):
                yield from _weights(item, f"{name}.{position}")
    elif isinstance(value, Module):
        kinds = vars(value).get("_kinds", {})
        for attribute, item in vars(value).items():
            path = f"{name}.{attribute}" if name else attribute
            if attribute not in kinds or isinstance(item, Parameter):
                if isinstance(item, (Parameter, Module, list)):
                    yield from _weights(item, path)
                continue
            _check_frozen(path, item, *kinds[attribute])
            if isinstance(item, Tensor):
                yield from _weights(item, path)
            else:
                yield path, item, functools.partial(setattr, value, attribute)


def _check_frozen(name: str, value: Any, shape: tuple[int, ...], dtype: str) -> None:
    """Raise ValueError if a frozen weight is not an array of its shape and dtype, since a file could not be loaded."""
    is_array = hasattr(value, "dtype") and hasattr(value, "shape")
    if not is_array or (tuple(value.shape), str(value.dtype)) != (shape, dtype):
        got = f"{value.dtype} of shape {tuple(value.shape)}" if is_array else f"{value!r:.60}"
        raise ValueError(
            f"state: got {got} in the place of {name}, wanted {dtype} of shape {shape}, as in a new model; a file with "
            "anything else could not be loaded"
        )


def _shape(array: Any) -> tuple[int, ...]:
    """The shape of an array of any library, or of a list."""
    return tuple(array.shape if hasattr(array, "shape") else np.shape(array))


def _as_weight(name: str, array: Any, own: Any) -> Any:
    """Numbers as an array with the dtype and the device of the weight that they replace; else ValueError."""
    dtype = getattr(array, "dtype", None) or np.asarray(array).dtype
    if getattr(dtype, "kind", "f") not in "biuf":
        raise ValueError(f"state: got {name} of dtype {dtype}, wanted real numbers, as weights are")
    return array_module(own).array(to_cpu(array), dtype=own.dtype, order="C")
