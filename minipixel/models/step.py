"""The loss of a batch and its gradients, computed shard by shard, for a step of training in `fit` or elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minipixel import ops, plan
from minipixel.backend import array_module
from minipixel.nn import Gradients, Parameter
from minipixel.nn.flat import Layout, distinct
from minipixel.shards import Workers, rows
from minipixel.tensor import Tensor, gradients

if TYPE_CHECKING:
    from minipixel.models.base import Model


@dataclass(frozen=True)
class Batch:
    """Checked images (N, H, W, C), with their conditions, weights and random numbers.

    `weights` say how much each image counts; None means that all count alike. `draws` returns the `rng` of a shard's
    dropout, or None; for one shard it always returns the same.
    """

    images: np.ndarray
    condition: Any
    weights: np.ndarray | None
    draws: Callable[[slice], Any]


class Losses(NamedTuple):
    """The loss of a batch in nats per image: `weighted`, of which the gradients are, and `plain`, without the weights.

    Without weights the two are equal. On a GPU they are arrays of one number, which nobody has waited for.
    """

    weighted: Any
    plain: Any


def value_and_gradients(model: "Model", batch: Batch, pool: Workers) -> tuple[Losses, Gradients]:
    """The losses of a batch, and the gradients of the weighted one: see Model.

    The shards' gradients are added along a tree (see tree.py), so the bits are the same for any number of workers and
    ranks.
    """
    N, named = len(batch.images), list(model.named_parameters())
    size = model.shard_of_batch(N)
    parameters = list(distinct(named).values())
    layout = Layout.of([parameter.data for parameter in parameters])
    able = None
    if as_defined(model):
        together = model.images_of_pass(min(N, size))
        able = plan.ready(model, together, back=True, rng=batch.draws(slice(0, size)))

    def shard(part: slice) -> list[Any]:
        if able is not None:
            starts = range(part.start, part.stop, together) or [part.start]
            return _planned(model, able, batch, [slice(start, min(start + together, part.stop)) for start in starts])
        share = (part.stop - part.start) / N
        loss, plain = shard_losses(model, batch, part)
        of_shard = model.xp.stack([loss.data, plain]).astype("float64") * share
        return [of_shard, *gradient_buffers(loss, parameters, layout, share)]

    losses, *buffers = pool.sum(shard, N, size)
    if able is not None:
        buffers = layout.gather(_or_zeros(able.gradients(buffers[0], parameters), parameters))
    return Losses(*losses), named_gradients(named, layout, buffers)


def as_defined(model: "Model") -> bool:
    """Whether a model has the loss of this library, and not one that a subclass or its owner has written."""
    base = next(kind for kind in type(model).__mro__ if kind.__module__ == "minipixel.models.base")
    names = ("loss", "_log_prob", "_parameters")
    return all(getattr(type(model), name) is getattr(base, name) and name not in vars(model) for name in names)


def planned_log_prob(
    model: "Model", able: plan.Ready, images: np.ndarray, condition: Any, rng: Any = None
) -> tuple[Any, Tensor, Tensor]:
    """A pass by a model's plan, its output as a Tensor without history, and log p of each sub-pixel: (H, W, N, C)."""
    levels = model._pixels_first(images)
    x = model.as_numbers(levels)
    run = able.run(x, model.condition_map(condition), rng)
    parameters = Tensor(run.output.reshape(*x.shape[:3], -1))
    return run, parameters, model.head.log_prob(parameters, levels)


def _planned(model: "Model", able: plan.Ready, batch: Batch, passes: Sequence[slice]) -> list[Any]:
    """A shard's share of the losses, and of the gradients of packed weights, in one pass or several."""
    losses, grads = 0, None
    for part in passes:
        loss, grads = _one_pass(model, able, batch, part, grads)
        losses = losses + loss
    return [losses, grads]


def _one_pass(model: "Model", able: plan.Ready, batch: Batch, part: slice, grads: Any) -> tuple[Any, Any]:
    """The same of some images, with their gradients added to `grads`; only the head's graph is on the tape."""
    images, condition = batch.images[part], rows(batch.condition, part)
    run, parameters, log_prob = planned_log_prob(model, able, images, condition, batch.draws(part))
    xp = model.xp
    alike = xp.ones(len(images), log_prob.dtype) / -len(batch.images)
    each = alike if batch.weights is None else xp.asarray(batch.weights[part], log_prob.dtype) / -len(batch.images)
    of_image = log_prob.data.sum(axis=(0, 1, 3), dtype="float64")
    (g,) = gradients(log_prob, [parameters], xp.broadcast_to(each[:, None], log_prob.shape))
    return xp.stack([of_image @ each, of_image @ alike]), run.back(g, grads)


def shard_losses(model: "Model", batch: Batch, part: slice) -> tuple[Tensor, Any]:
    """The mean loss of a shard of a batch, weighted and plain, with the shard's own dropout; repeated calls agree."""
    given = batch.images[part], rows(batch.condition, part)
    if batch.weights is None:
        loss = model.loss(*given, rng=batch.draws(part))
        return loss, loss.data
    each = model.loss(*given, rng=batch.draws(part), reduction="none")
    weights = model.xp.asarray(batch.weights[part])
    return ops.total(each * weights) / each.shape[0], each.data.mean()


def gradient_buffers(output: Tensor, parameters: Sequence[Tensor], layout: Layout, seed: Any) -> list[Any]:
    """The gradients of `output` in the buffers of a layout; zeros for a parameter that it does not depend on."""
    return layout.gather(_or_zeros(gradients(output, parameters, seed=seed), parameters))


def _or_zeros(found: Sequence[Any], parameters: Sequence[Tensor]) -> list[Any]:
    """Gradients, and zeros for a parameter without one."""
    return [array_module(p.data).zeros_like(p.data) if g is None else g for g, p in zip(found, parameters, strict=True)]


def named_gradients(named: Sequence[tuple[str, Parameter]], layout: Layout, buffers: list[Any]) -> Gradients:
    """Gradients by the names of parameters; a parameter with several names has its gradient under each of them."""
    places = [id(parameter) for parameter in distinct(named).values()]
    views = dict(zip(places, layout.views(buffers), strict=True))
    return Gradients({name: views[id(p)] for name, p in named}, buffers[0] if layout.together else None)
