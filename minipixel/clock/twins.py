"""A copy of a model to trace, so that nothing that a pass writes down stays in the model."""

import copy
import types
from typing import Any

import numpy as np


def twin_of(model: Any, other_weights: bool = False) -> Any:
    """The same model: its modules, lists and dictionaries are copies, its parameters and arrays the very same.

    With `other_weights` arrays that stand in the memory of a weight are others: somebody who kept `weight.data` would
    read the weights through them.
    """
    weights = {id(_memory(parameter.data)) for _, parameter in model.named_parameters()} if other_weights else set()
    twins: dict[int, Any] = {}

    def twin(value: Any) -> Any:
        new: Any
        if id(value) in twins:
            return twins[id(value)]
        kind = type(value)
        if hasattr(kind, "named_parameters"):
            getattr(value, "mask", None)  # built when it is first asked for: the twin would keep it to itself
            new = twins[id(value)] = object.__new__(kind)
            vars(new).update({name: twin(part) for name, part in vars(value).items()})
            return new
        if kind in (list, set):
            new = twins[id(value)] = kind()
            (new.extend if kind is list else new.update)(twin(part) for part in value)
            return new
        if kind is dict:
            new = twins[id(value)] = {}
            new.update((key, twin(part)) for key, part in value.items())
            return new
        if kind is tuple:
            return tuple(twin(part) for part in value)
        if kind is np.random.Generator:
            return copy.deepcopy(value)
        if kind is types.MethodType:
            return types.MethodType(value.__func__, twin(value.__self__))
        if id(_memory(value)) in weights:
            return ~value if value.dtype == bool else value + 1
        return value

    return twin(model)


def _memory(array: Any) -> Any:
    """The array whose memory a view shows; anything else as it is."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array
