"""A copy on the host of a model on a GPU, for what the host does better: drawing pixel by pixel, and proofs."""

import copy
import threading
import weakref
from typing import Any, TypeVar

from minipixel.backend import to_cpu
from minipixel.errors import DeviceError
from minipixel.models.network import Network
from minipixel.plan.unchanged import Parts

N = TypeVar("N", bound=Network)

_lock = threading.Lock()
_copies: weakref.WeakKeyDictionary[Any, tuple[Parts, Any]] = weakref.WeakKeyDictionary()


def on_host(model: N) -> N:
    """The model itself if its weights are on the host; else a copy of it there, which has its present weights.

    The copy is kept as long as the model has the same layers and masks, and so is what is known of the copy, such as a
    proof that it is causal. Its weights are copied anew each time. A model with code of a user, which may depend on
    anything, is copied whole each time.
    """
    if model.device == "cpu":
        return model
    with _lock:
        known = _copies.get(model)
        if known is not None and not known[0].own and Parts(model).same(known[0]):
            known[1].load_state_dict(model.state_dict())
            return known[1]
        _copies[model] = Parts(model, copies=True), _copied(model)
        return _copies[model][1]


def _copied(model: N) -> N:
    """A deep copy with host arrays in the place of all weights; gradients stay behind."""
    weights = {id(array): to_cpu(array) for _, array in model.named_arrays()}
    gradients = {id(parameter.grad): ... for parameter in model.parameters() if parameter.grad is not None}
    try:
        other = copy.deepcopy(model, {**weights, **gradients})
    except Exception as error:
        raise DeviceError(
            f"{type(model).__name__}: got a model on the GPU that cannot be copied to the host ({error!s:.200}), "
            "wanted one that copy.deepcopy takes; move it there with model.to('cpu'), or draw with method='naive'"
        ) from error
    for parameter in other.parameters():
        parameter.grad = None
    return other
