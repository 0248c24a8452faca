"""A copy of a model that is traced in its place, so that nothing that a pass stores remains in the model."""

import copy
import functools
import types
from typing import Any

import numpy as np


def twin_of(model: Any, other_weights: bool = False) -> Any:
    """A copy of a model: its modules, lists and dictionaries are copies, its parameters and arrays are the same ones.

    With `other_weights`, arrays in the memory of a weight are replaced by others, since a model that has stored
    `weight.data` would read the weights through them.
    """
    weights = {id(_memory(parameter.data)) for _, parameter in model.named_parameters()} if other_weights else set()
    twins: dict[int, Any] = {}

    def twin(value: Any) -> Any:
        new: Any
        if id(value) in twins:
            return twins[id(value)]
        kind = type(value)
        if hasattr(kind, "named_parameters"):
            if isinstance(getattr(kind, "mask", None), functools.cached_property):
                _ = value.mask  # built when it is first asked for: the twin would keep it to itself
            new = twins[id(value)] = object.__new__(kind)
            vars(new).update({name: twin(part) for name, part in vars(value).items()})
            return new
        if kind is list:
            new = twins[id(value)] = []
            new.extend(twin(part) for part in value)
            return new
        if kind is dict:
            new = twins[id(value)] = {}
            new.update((key, twin(part)) for key, part in value.items())
            return new
        if kind is tuple:
            return tuple(twin(part) for part in value)
        if kind is np.random.Generator:
            new = twins[id(value)] = copy.deepcopy(value)
            return new
        if kind is types.MethodType:
            return types.MethodType(value.__func__, twin(value.__self__))
        if weights and kind is np.ndarray and id(_memory(value)) in weights:
            return value + 1
        return value

    return twin(model)


def _memory(array: Any) -> Any:
    """The array whose memory a view shows."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return array
