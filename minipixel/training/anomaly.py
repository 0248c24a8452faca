"""Numbers that are not finite in training: every step is checked, and the first op with such a result can be named.

Training that goes well only pays for a look at the loss and the gradients of each step. The op is searched for when a
step has failed: random numbers depend only on their keys, so the batch can be computed again to the same bits.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from minipixel import kernels
from minipixel.backend import array_module
from minipixel.errors import NonFiniteError
from minipixel.models import Model
from minipixel.nn import Gradients
from minipixel.nn.flat import Layout, distinct
from minipixel.optim import Optimizer
from minipixel.tensor import Tensor, gradients, inputs_first


class StepError(Exception):
    """A step cannot be taken; the message says in words what is not finite."""


def check_step(loss: float, squares: Sequence[float], gradients: Gradients, clipped: bool) -> float:
    """The norm of all gradients of a step. Raises StepError unless loss, gradients and their squares are finite.

    The `squares` are sums of them. They matter because optimisers use them: an infinite one would stop its weight for
    good. Gradients that will be `clipped` may be larger.
    """
    if not np.isfinite(loss):
        raise StepError(f"loss: got {loss}")
    arrays = _together(gradients)
    if clipped and not all(map(math.isfinite, squares)) and all(bool(_finite(array)) for array in arrays):
        squares = [float((g.astype("float64") ** 2).sum()) for g in arrays]
    if not all(map(math.isfinite, squares)):
        raise StepError(f"gradient: got NaN, infinity or squares beyond its dtype, of a loss of {loss:.6g},")
    return math.sqrt(sum(squares))


@contextmanager
def undone_on_error(parameters: Sequence[Tensor], optimizer: Optimizer) -> Iterator[None]:
    """After an error in this block, weights and optimizer are as they were before it."""
    before = [parameter.data for parameter in parameters]
    try:
        with optimizer.undone_on_error():
            yield
    except BaseException:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data
        raise


def take_step(model: Any, optimizer: Optimizer, loss: Any, gradients: Gradients) -> tuple[float, float]:
    """Let an optimizer change the weights by these gradients; returns the loss and the norm of the gradients.

    The gradients are put into the `.grad` of each weight, where the optimizer reads them, because a user's optimizer
    may have a `step` that takes nothing but a model.
    Raises StepError if loss, gradients or new weights are not finite; weights and optimizer are then as before. On a
    GPU these numbers are read once, after the step, since it would stand idle while the host waits for them.
    """
    squares, clipped = [array_module(g).vdot(g, g) for g in _together(gradients)], optimizer.clip_norm is not None
    on_host = all(array_module(square) is np for square in squares)
    if on_host:
        norm = check_step(float(loss), list(map(float, squares)), gradients, clipped)
    parameters = distinct(model.named_parameters())
    for name, parameter in parameters.items():
        parameter.grad = gradients[name]
    with undone_on_error(list(parameters.values()), optimizer):
        optimizer.step(model)
        after = [parameter.data for parameter in parameters.values()]
        finite = [_finite(array) for array in Layout.of(after).read(after)]
        if not on_host:
            loss, *numbers = _read([loss, *squares, *finite])
            squares, finite = numbers[: len(squares)], numbers[len(squares) :]
            norm = check_step(loss, squares, gradients, clipped)
        if not all(finite):
            raise StepError("weights: got NaN or infinity by a step of the optimizer,")
    return float(loss), norm


def _read(numbers: Sequence[Any]) -> list[float]:
    """Numbers from a GPU, all by one copy."""
    xp = array_module(*numbers)
    return xp.stack([xp.asarray(number).astype("float64") for number in numbers]).get().tolist()


def _together(gradients: Gradients) -> Sequence[Any]:
    return list(gradients.values()) if gradients.flat is None else [gradients.flat]


def report(what: StepError, key: tuple[int, int], images: np.ndarray, first: str | None) -> NonFiniteError:
    """The error of one line for a step that cannot be taken; `key` is (epoch, step)."""
    epoch, step = key
    cause = "fit(..., anomaly=True) finds the first op" if first is None else f"first in {first}"
    some = ", ".join(str(place) for place in images[:8]) + (", ..." if len(images) > 8 else "")
    return NonFiniteError(
        f"{what} in epoch {epoch}, step {step} (both from 0), wanted finite numbers; {cause}; the weights are those "
        "from before it; lower the learning rate, or give the optimizer clip_norm=, or look at these of the "
        f"{len(images)} images: {some}",
        *(epoch, step, images, first),
    )


def first_op(model: Model, losses: Callable[[], Iterable[Tensor]]) -> str:
    """The name of the first op of a training step whose result is not finite, and of its layer.

    `losses()` computes the losses of the shards again, as the ops are written: a plan computes many ops as one. If all
    results are finite this way, the plan is looked at as it ran in training.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for as_in_training in (False, True):
        with np.errstate(all="ignore"), nullcontext() if as_in_training else kernels.as_written():  # errors: told of
            for loss in losses():
                found = _forward(loss, names) or _backward(loss, model, names)
                if found is not None:
                    return found
    return "no op, only in what became of the gradients after them"


def _forward(loss: Tensor, names: dict[int, str]) -> str | None:
    for node in inputs_first(loss):
        if not _finite(node.data):
            if node.vjp is None:
                return f"the weight {names.get(id(node), 'of the model')}, before any op"
            return f"{node.op}{_layer(node, names)}, in the forward pass"
    return None


class _OpError(Exception):
    """The vjp of an op returned a gradient that is not finite."""


def _backward(loss: Tensor, model: Model, names: dict[int, str]) -> str | None:
    for node in inputs_first(loss):
        if node.vjp is not None:
            node.vjp = _watched(node, _layer(node, names))
    try:
        gradients(loss, model.parameters())
    except _OpError as found:
        return str(found)
    return None


def _watched(node: Tensor, layer: str) -> Callable[..., Any]:
    """The vjp of a node, which now raises _OpError if a gradient that it gives to a Tensor is not finite."""
    vjp, inputs, name = node.vjp, node.inputs, node.op

    def looked_at(part: Any) -> Any:
        part = part() if callable(part) else part
        if not _finite(part):
            raise _OpError(f"{name}{layer}, in the backward pass")
        return part

    def watched(g: Any) -> list[Any]:
        assert vjp is not None
        parts = zip(inputs, vjp(g), strict=True)
        return [looked_at(part) if isinstance(x, Tensor) else part for x, part in parts]

    return watched


def _layer(node: Tensor, names: dict[int, str]) -> str:
    """The layer whose weight the op reads, or the last one before it."""
    queue, seen = deque([(node, 0)]), {id(node)}
    while queue:
        at, distance = queue.popleft()
        if id(at) in names:
            layer = names[id(at)].rpartition(".")[0] or names[id(at)]
            return f" of {layer}" if distance == 1 else f" after {layer}"
        for x in at.inputs:
            if isinstance(x, Tensor) and id(x) not in seen:
                seen.add(id(x))
                queue.append((x, distance + 1))
    return ""


def _finite(array: Any) -> Any:
    """Whether all numbers of an array are finite: a bool, or an array of one on a GPU, which nobody has waited for."""
    return array_module(array).isfinite(array).all()
