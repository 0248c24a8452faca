"""What people do to a model between two steps of training: one row a change. The next loss has to follow each of them.

`change(model, patch)` changes it (`patch` undoes what is done to a class) and returns False where the model has nothing
of the kind; `before` is done to the model before its first step.
"""

import copy
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from drawn_models import array_of, freeze, holder, modules

from minipixel import models, nn, ops


@dataclass(frozen=True)
class Change:
    """A row: what it is called, what is done before the first step, and what after."""

    name: str
    change: Callable
    before: Callable = lambda model: None


def first(model, suits):
    """The first module that suits, or None."""
    return next((part for part in modules(model) if suits(part)), None)


def on_first(suits):
    """A change of the first module that suits."""

    def decorate(change):
        def changed(model, patch):
            part = first(model, suits)
            return False if part is None else change(part)

        return changed

    return decorate


def has(*names):
    return lambda part: all(getattr(part, name, None) is not None for name in names)


def lists_of(model, least=1):
    """Lists of layers of one class."""
    for part in modules(model):
        for value in vars(part).values():
            is_list = isinstance(value, list) and len(value) >= least
            if is_list and all(isinstance(item, nn.Module) for item in value) and len({*map(type, value)}) == 1:
                yield value


def weights(model):
    """A few of the weights, by name: the first one, one in the middle, and the last one."""
    every = list(model.named_parameters())
    return [every[0], every[len(every) // 2], every[-1]]


# --- weights ----------------------------------------------------------------------------------------------------------


def assigned(model, patch):
    for _, weight in weights(model):
        weight.data = weight.data * 1.5 + 0.1


def written(model, patch):
    for _, weight in weights(model):
        weight.data[...] = weight.data * 0.5 - 0.1


def in_another_order(model, patch):
    for _, weight in model.named_parameters():
        weight.data = np.asfortranarray(weight.data + 0.1)


def as_a_view(model, patch):
    for _, weight in model.named_parameters():
        weight.data = np.repeat(weight.data - 0.1, 2, axis=-1)[..., ::2]


def read_only(model, patch):
    for _, weight in model.named_parameters():
        weight.data = weight.data + 0.1
        weight.data.flags.writeable = False


def loaded(model, patch):
    model.load_state_dict({name: array * 0.5 + 0.1 for name, array in model.state_dict().items()})


def frozen_written(model, patch):
    for name in model.frozen_names():
        layer, attribute = holder(model, name)
        array_of(getattr(layer, attribute))[...] += 0.3


def thawed(model, patch):
    for name in model.frozen_names():
        layer, attribute = holder(model, name)
        setattr(layer, attribute, nn.Parameter(array_of(getattr(layer, attribute)) + 0.2))


def tied(model, patch):
    named = dict(model.named_parameters())
    for name, weight in list(named.items())[::-1]:
        for other, twin in named.items():
            if other != name and twin.shape == weight.shape and (twin.data != weight.data).any():
                layer, attribute = holder(model, name)
                setattr(layer, attribute, twin)
                return True
    return False


def retyped(model, patch):
    for part in modules(model):
        for value in vars(part).values():
            if isinstance(value, nn.Parameter):
                value.retype("float32" if value.dtype == "float64" else "float64")
        if isinstance(part, models.Model):
            part.dtype = "float32" if part.dtype == "float64" else "float64"


# --- layers -----------------------------------------------------------------------------------------------------------


def reversed_layers(model, patch):
    any_list = False
    for layers in lists_of(model, 2):
        shapes = [{name: p.shape for name, p in layer.named_parameters()} for layer in layers]
        if all(shape == shapes[0] for shape in shapes) and shapes[0]:
            layers.reverse()
            any_list = True
    return any_list


def layer_removed(model, patch):
    for layers in list(lists_of(model, 2)):
        if getattr(model, "blocks", None) is layers:
            del layers[-1]
            return True
    return False


def layer_copied(model, patch):
    """A copy in the place of a layer, with other weights."""
    for layers in list(lists_of(model)):
        layers[0] = copy.deepcopy(layers[0])
        for weight in layers[0].parameters():
            weight.data = weight.data * 1.5
    return any(lists_of(model))


@on_first(has("top"))
def function_for_a_layer(model):
    top = model.top
    model.top = lambda *arguments: top(*arguments) * 0.5  # its weights have no name any more


@on_first(lambda part: isinstance(part, nn.Pointwise))
def another_class(layer):
    class Doubled(type(layer)):
        def __call__(self, x):
            return super().__call__(x) * 2.0

    layer.__class__ = Doubled


# --- methods ----------------------------------------------------------------------------------------------------------


def forward_of_the_instance(model, patch):
    forward = model.forward
    model.forward = lambda *arguments: ops.tanh(forward(*arguments))


def scaled_of_the_instance(model, patch):
    model.scaled = types.MethodType(lambda self, levels: type(self).scaled(self, levels) * 0.5, model)


def head_of_the_instance(model, patch):
    log_prob = model.head.log_prob
    model.head.log_prob = lambda parameters, levels: log_prob(parameters * 0.5, levels)


def call_of_a_class(kind):
    def change(model, patch):
        part, call = first(model, lambda part: type(part) is kind), kind.__call__
        patch.setattr(kind, "__call__", lambda self, *arguments: call(self, *arguments) * 1.5)
        return part is not None

    return change


# --- attributes that a forward pass reads -----------------------------------------------------------------------------


def masked(part):
    return getattr(part, "mask", None) is not None and part.mask.any()


@on_first(masked)
def mask_written(layer):
    try:
        layer.mask.flags.writeable = True
    except ValueError:  # a view of an array that is read-only: nobody can write to it
        return False
    layer.mask[..., : max(1, layer.mask.shape[-1] // 2)] = False
    return None


@on_first(masked)
def mask_exchanged(layer):
    layer.mask = np.zeros_like(layer.mask)


@on_first(lambda part: isinstance(part, nn.Dropout) and part.rate > 0)
def rate(layer):
    layer.rate = 0.7


@on_first(has("taps"))
def taps(lstm):
    lstm.taps = tuple(tap - 1 for tap in lstm.taps)


@on_first(lambda part: isinstance(part, nn.Conv2d) and part.kernel[1] > 1)
def dilation(layer):
    layer.dilation += 1


@on_first(has("centre"))
def centre(layer):
    layer.centre = layer.centre[0], layer.centre[1] + 1


@on_first(has("activations"))
def activation(block):
    block.activations[0] = ops.tanh


@on_first(has("activate"))
def activate(layer):
    doubles = layer.activate is ops.concat_elu
    layer.activate = (lambda x: ops.concat(ops.tanh(x), x)) if doubles else ops.tanh


@on_first(has("phantom_column"))
def phantom_column(model):
    model.phantom_column = not model.phantom_column


@on_first(has("h0"))
def start_state(lstm):
    lstm.h0 = None


@on_first(has("steps"))
def constant(model):
    """A number or an array that the forward pass of a model of one's own reads."""
    numbers = [name for name, value in vars(model).items() if name[0] == "c" and isinstance(value, (float, np.ndarray))]
    for name in numbers:
        setattr(model, name, getattr(model, name) * 0.5)
    return bool(numbers)


@on_first(has("steps"))
def constant_written(model):
    arrays = [value for name, value in vars(model).items() if name[0] == "c" and isinstance(value, np.ndarray)]
    for array in arrays:
        array[...] *= 0.5
    return bool(arrays)


CHANGES = [
    Change("weights assigned", assigned),
    Change("weights written", written),
    Change("weights in Fortran's order", in_another_order),
    Change("weights as views", as_a_view),
    Change("weights that are read-only", read_only),
    Change("weights loaded", loaded),
    Change("weights frozen", lambda model, patch: freeze(model, [0, 3, 8])),
    Change("frozen weights written", frozen_written, lambda model: freeze(model, [0, 3, 8])),
    Change("weights thawed", thawed, lambda model: freeze(model, [0, 3, 8])),
    Change("weights tied", tied),
    Change("another dtype", retyped),
    Change("layers in another order", reversed_layers),
    Change("a layer removed", layer_removed),
    Change("layers copied", layer_copied),
    Change("a function for a layer", function_for_a_layer),
    Change("a layer of another class", another_class),
    Change("forward on the instance", forward_of_the_instance),
    Change("scaled on the instance", scaled_of_the_instance),
    Change("log_prob on the head", head_of_the_instance),
    Change("a method of Pointwise", call_of_a_class(nn.Pointwise)),
    Change("a method of Conv2d", call_of_a_class(nn.Conv2d)),
    Change("a method of Conditioning", call_of_a_class(nn.Conditioning)),
    Change("a mask written", mask_written),
    Change("a mask exchanged", mask_exchanged),
    Change("the rate of dropout", rate),
    Change("taps", taps),
    Change("a dilation", dilation),
    Change("a centre", centre),
    Change("an activation in a list", activation),
    Change("an activation", activate),
    Change("the phantom column", phantom_column),
    Change("no start state", start_state),
    Change("constants exchanged", constant),
    Change("constants written", constant_written),
]
