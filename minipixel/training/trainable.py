"""Training some of a model's weights, while all others are frozen."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minipixel.models import Model
from minipixel.nn import Module, Parameter
from minipixel.shown import short
from minipixel.spelling import did_you_mean
from minipixel.tensor import Tensor


def check_trainable(model: Model, trainable: Any) -> list[Parameter] | None:
    """The weights that are meant by names, beginnings of names, or layers; None means all. Else ValueError."""
    if trainable is None:
        return None
    wanted = [trainable] if isinstance(trainable, (str, Tensor, Module)) else trainable
    if not isinstance(wanted, Iterable) or not (wanted := list(wanted)):
        raise ValueError(
            f"trainable: got {short(trainable)}, wanted names of weights or layers, such as ['top'], or layers"
        )
    named = list(model.named_parameters())
    chosen: dict[int, Parameter] = {}
    for part in wanted:
        weights = _weights_of(model, part, named)
        chosen |= {id(weight): weight for weight in weights}
    return list(chosen.values())


def _weights_of(model: Model, part: Any, named: list[tuple[str, Parameter]]) -> list[Parameter]:
    """The weights meant by a name, a beginning of names, a layer, or a weight; ValueError if there are none."""
    if isinstance(part, str):
        weights = [weight for name, weight in named if f"{name}.".startswith(f"{part}.")]
        known = {name[:end] for name, _ in named for end in _ends(name)}
        hint = did_you_mean(part, sorted(known)) or f"; such as {named[0][0]!r}" * bool(named)
        if any(f"{name}.".startswith(f"{part}.") for name in model.frozen_names()):
            hint = "; its weights are plain arrays, which are frozen for good"
    else:
        within = part.parameters() if isinstance(part, Module) else [part]
        ours = {id(weight) for _, weight in named}
        weights = [weight for weight in within if id(weight) in ours]
        hint = "; take the layer from the model itself, such as model.top"
    if not weights:
        raise ValueError(f"trainable: got {short(part)}, wanted what has weights to train in this model{hint}")
    return weights


def _ends(name: str) -> Iterator[int]:
    """Where each beginning of a dotted name ends."""
    return (end for end in range(1, len(name) + 1) if name[end : end + 1] in (".", ""))


@contextmanager
def others_frozen(model: Model, trained: list[Parameter] | None) -> Iterator[None]:
    """Within this block all weights but these are frozen: they are plain arrays, which an optimizer does not change.

    After the block each is a Parameter again, in all layers that share it, with the numbers that are in its place by
    then. If `trained` is None, nothing is frozen. Raises ValueError, with nothing changed, for a weight that cannot be
    frozen.
    """
    chosen = {id(weight) for weight in trained or ()}
    kept = {id(weight) for weight in model.parameters() if trained is None or id(weight) in chosen}
    places = [place for place in _places(model) if id(place[2]) not in kept]
    if any(isinstance(owner, list) for owner, _, _ in places):
        raise ValueError("trainable: got a model with weights in a list, wanted each as an attribute of its layer")
    for owner, name, weight in places:
        setattr(owner, name, weight.data)
    try:
        yield
    finally:
        for owner, name, weight in places:
            now = vars(owner)[name]
            if now is not weight:  # a layer that stands in two places is met twice
                weight.data = now
                setattr(owner, name, weight)


def _places(owner: Any) -> Iterator[tuple[Any, str, Parameter]]:
    """Every parameter below, with the layer or list that holds it, and the name of its attribute."""
    items = vars(owner).items() if isinstance(owner, Module) else ((str(i), item) for i, item in enumerate(owner))
    for name, item in list(items):
        if isinstance(item, Parameter):
            yield owner, name, item
        elif isinstance(item, (Module, list)):
            yield from _places(item)
