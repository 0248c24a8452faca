"""Small programs as people write them around minipixel: models of their own, parts exchanged, other dtypes and orders.

A program is a seed. It builds a small model, does a few things to it that people do, and gives what can be seen of it:
loss, gradients, weights after two steps of training, samples. None of them may do harm, and none may come out
differently by plan and in compiled loops.
"""

import copy

import numpy as np

from minipixel import Tensor, fit, models, nn, op, ops, optim
from minipixel.ops.local import each, pointwise
from minipixel.tensor import gradients

SHAPES = [(4, 4, 1), (3, 5, 1), (4, 3, 3)]
SIZES = {
    "pixelcnn": {"hidden": 4, "blocks": 2},
    "row-lstm": {"hidden": 4, "layers": 2},
    "diagonal-bilstm": {"hidden": 4, "layers": 2},
    "gated": {"filters": 4, "layers": 2},
    "pixelcnnpp": {"filters": 4, "resnets": 1, "hierarchies": 1},
    "multi-scale": {"hidden": 4, "layers": 1, "upsampled": 3},
}


@op(local=pointwise(each))
def squash(x):
    """An op as people write it: NumPy's float64 numbers in value and gradient."""
    scale = np.float64(0.5)
    y = np.tanh(x * scale) * np.sqrt(2.0)

    def vjp(g):
        return (np.asarray(g, np.float64) * np.sqrt(2.0) * scale * (1 - np.tanh(x * scale) ** 2),)

    return y, vjp


@op(local=pointwise(each))
def doubled(x):
    """An op that gives its gradient back as a strided view of something wider."""

    def vjp(g):
        wide = np.zeros((*g.shape, 2), np.float64)
        wide[..., 0] = 2 * g
        return (wide[..., 0],)

    return 2 * x, vjp


class Own(models.Model):
    """A model of one's own, of the library's layers, with NumPy's numbers in between."""

    name = "own"

    def __init__(self, image_shape, levels, *, turns=(), **options):
        super().__init__(image_shape, levels, {}, **options)
        C = image_shape[2]
        image, wide = np.arange(C), nn.colour_groups(6, C)
        self.features = 6
        self.stem = nn.Conv2d(image, wide, (3, 3), "A", self.init)
        self.look = nn.Conv2d(wide, wide, (3, 3), "B", self.init)
        self.mix = nn.Pointwise(wide, wide, self.init)
        self.scale = self.init.constant(0.7, 6)
        self.top = nn.Top(wide, 6, self.head.groups, self.init)
        self.turns = turns

    def forward(self, x, condition=None, rng=None):
        y = self.stem(x)
        y = y + ops.relu(self.look(y)) * np.sqrt(0.5)
        for turn in self.turns:
            y = turn(self, y)
        return self.top(y + self.mix(ops.tanh(y)) * self.scale)


H_MAP = np.linspace(-1, 1, 4 * 5 * 6).reshape(4, 5, 1, 6)  # a positional map in float64, larger than any of the images
TURNS = {
    "np.sqrt": lambda model, y: y * np.sqrt(0.5),
    "np.float64": lambda model, y: y * np.float64(1),
    "0-d array": lambda model, y: y / np.array(2.0),
    "python number": lambda model, y: 0.5 * y - 1,
    "integer": lambda model, y: y + np.int64(1),
    "float64 row": lambda model, y: y * np.linspace(0.5, 1, 6),
    "integer row": lambda model, y: y * np.arange(1, 7),
    "fortran map": lambda model, y: y + np.asfortranarray(H_MAP[: y.shape[0], : y.shape[1]]),
    "sliced map": lambda model, y: y + H_MAP[::-1, ::-1][: y.shape[0], : y.shape[1]],
    "read-only row": lambda model, y: y + np.broadcast_to(np.float64(0.1), (6,)),
    "float64 Tensor": lambda model, y: y + Tensor(np.linspace(0, 1, 6)),
    "own op": lambda model, y: squash(y),
    "own view": lambda model, y: doubled(y),
    "gate of two": lambda model, y: ops.gate(ops.concat(y, y * np.float64(0.5))),
    "division": lambda model, y: y / (1 + np.float64(1)),
    "power": lambda model, y: (y + 4.0) ** np.float64(1.5),
    "reused": lambda model, y: y + y + y,
    "linear of a product": lambda model, y: ops.linear(
        y, model.mix.weight * np.float64(0.5), None, mask=model.mix.mask
    ),
    "wrong size": lambda model, y: ops.linear(y, np.ones((5, 6)), None),
    "wrong channels": lambda model, y: ops.concat(y, y),
}


def convs(model):
    """All layers of a model that own a `weight` and a `mask`, with their paths."""
    return [(path, layer) for path, layer in layers(model) if hasattr(layer, "weight") and hasattr(layer, "mask")]


def layers(module, path=""):
    for name, value in vars(module).items():
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, nn.Module):
                yield f"{path}{name}.{place}", item
                yield from layers(item, f"{path}{name}.{place}.")


def pick(rng, items):
    return items[rng.integers(len(items))]


def fortran_weights(model, rng):
    for parameter in model.parameters():
        parameter.data = np.asarray(parameter.data, order="F")


def strided_weights(model, rng):
    for parameter in model.parameters():
        parameter.data = np.repeat(parameter.data, 2, axis=-1)[..., ::2]


def read_only_weights(model, rng):
    for parameter in model.parameters():
        parameter.data.flags.writeable = False


def float64_weights(model, rng):
    parameter = pick(rng, model.parameters())
    parameter.data = parameter.data * np.float64(0.9)


def loaded_from_float64(model, rng):
    model.load_state_dict(
        {name: np.asarray(array, np.float64, order="F") for name, array in model.state_dict().items()}
    )


def frozen_part(model, rng):
    for _, layer in convs(model)[:1]:
        layer.weight = layer.weight.data


def frozen_in_float64(model, rng):
    for _, layer in convs(model)[-1:]:
        layer.weight = layer.weight.data.astype(np.float64)


def no_bias(model, rng):
    chosen = convs(model)
    if chosen:
        pick(rng, chosen)[1].bias = None


def tied(model, rng):
    for name in ("blocks", "layers"):
        parts = getattr(model, name, None)
        if isinstance(parts, list) and len(parts) > 1 and type(parts[0]) is type(parts[-1]) and name == "blocks":
            parts[-1] = parts[0]


def own_activation(model, rng):
    for _, layer in layers(model):
        if isinstance(getattr(layer, "activations", None), list):
            layer.activations[0] = squash


def own_drop(model, rng):
    for _, layer in layers(model):
        if hasattr(layer, "drop"):
            layer.drop = lambda y, rng: y * np.float64(0.9)


def told_something(model, rng):
    for _, layer in layers(model):
        if hasattr(layer, "told") and not hasattr(layer, "h0"):
            layer.told = lambda y, condition: y + np.float64(0.1)


def lstm_told_something(model, rng):
    for _, layer in layers(model):
        if hasattr(layer, "h0"):
            layer.told = lambda y, condition: y * np.float64(0.9)


def integer_mask(model, rng):
    for _, layer in convs(model):
        layer.mask = layer.mask.astype(pick(rng, [np.int64, np.float32, np.uint8]))


def shut_mask(model, rng):
    for _, layer in convs(model)[:1]:
        mask = layer.mask.copy()
        mask[..., 0] = False
        layer.mask = mask


def soft_mask(model, rng):
    for _, layer in convs(model)[:1]:
        layer.mask = layer.mask * 0.5


def wider_weight(model, rng):
    for _, layer in convs(model)[:1]:
        layer.weight.data = np.repeat(layer.weight.data, 2, axis=-1)


def deep_copy(model, rng):
    return copy.deepcopy(model)


EDITS = {
    edit.__name__: edit
    for edit in (
        *(fortran_weights, strided_weights, read_only_weights, float64_weights, loaded_from_float64),
        *(frozen_part, frozen_in_float64, no_bias, tied, own_activation, own_drop, told_something),
        *(lstm_told_something, integer_mask, shut_mask, soft_mask, wider_weight, deep_copy),
    )
}


def images_of(shape, levels, how, rng):
    """Six images, in one of the forms in which people have them."""
    images = rng.integers(0, levels, (6, *shape), dtype=np.uint8)
    forms = {
        "plain": lambda: images,
        "int64": lambda: images.astype(np.int64),
        "fortran": lambda: np.asfortranarray(images),
        "every other": lambda: np.repeat(images, 2, axis=0)[::2],
        "transposed": lambda: images.transpose(1, 2, 3, 0).copy().transpose(3, 0, 1, 2),
        "read-only": lambda: np.broadcast_to(images, images.shape),
    }
    return forms[how]()


FORMS_OF_IMAGES = ["plain", "int64", "fortran", "every other", "transposed", "read-only"]
LOSSES = ["plain", "bits", "weighted", "halved", "mean of two"]


def loss_of(model, images, condition, how):
    """The loss of one's own loop, in one of the ways in which people write it."""
    loss = model.loss(images, condition, rng=3)
    if how == "bits":
        return loss / np.log(2)
    if how == "halved":
        return np.float64(0.5) * loss
    if how == "mean of two":
        return (loss + model.loss(images[::2], None if condition is None else condition[::2], rng=4)) / 2
    if how == "weighted":
        parameters = model.forward(model.scaled(model._pixels_first(images)), model.condition_map(condition))
        of_each = model.head.log_prob(parameters, model._pixels_first(images))
        return -ops.mean(of_each * np.linspace(0.5, 1.5, len(images))[:, None])
    return loss


def program(seed):
    """What a program is made of: the name of its model, its options, and what is done to it."""
    rng = np.random.default_rng(seed)
    own = seed % 3 == 0
    shape = pick(rng, SHAPES)
    levels = int(pick(rng, [2, 4, 4, 256]))
    head = pick(rng, [None, "logistic_mixture", "normal_mixture", "categorical"])
    options = {
        "head": head,
        "mixtures": 2,
        "rng": int(rng.integers(100)),
        "dtype": pick(rng, ["float32"] * 3 + ["float64"]),
    }
    name = "own" if own else pick(rng, list(SIZES))
    if not own and rng.random() < 0.3:
        options["num_classes"] = 3
    names = list(TURNS) if own else []
    turns = [pick(rng, names) for _ in range(rng.integers(1, 4))] if own else []
    edits = [pick(rng, list(EDITS)) for _ in range(rng.integers(0 if own else 1, 3))]
    return {
        **{"model": name, "shape": shape, "levels": levels, "options": options, "turns": turns, "edits": edits},
        **{"images": pick(rng, FORMS_OF_IMAGES), "loss": pick(rng, LOSSES), "seed": seed},
    }


def build(recipe):
    rng = np.random.default_rng(recipe["seed"])
    if recipe["model"] == "own":
        turns = [TURNS[name] for name in recipe["turns"]]
        model = Own(recipe["shape"], recipe["levels"], turns=turns, **recipe["options"])
    else:
        options = SIZES[recipe["model"]] | recipe["options"]
        model = models.MODELS[recipe["model"]](recipe["shape"], recipe["levels"], **options)
    for name in recipe["edits"]:
        model = EDITS[name](model, rng) or model
    return model


def run(recipe):
    """What a program shows: (loss, gradients, weights after two steps, model, samples); or the error's line."""
    rng = np.random.default_rng(recipe["seed"])
    try:
        model = build(recipe)
        images = images_of(recipe["shape"], recipe["levels"], recipe["images"], rng)
        condition = np.arange(6) % 3 if recipe["options"].get("num_classes") else None
        if not model.initialized:
            model.initialize(images, condition)
        loss = loss_of(model, images, condition, recipe["loss"])
        shown = [loss.data, *gradients(loss, model.parameters())]
        drawn = [
            model.sample(3, None if condition is None else condition[:3], rng=1, method=m) for m in ("naive", "auto")
        ]
        before = copy.deepcopy(model)
        fit(model, images, condition, epochs=1, batch_size=3, optimizer=optim.SGD(1e-3), progress=False, workers=2)
        return shown, [parameter.data for parameter in model.parameters()], before, drawn
    except (ValueError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
