"""What people do in a forward pass beside calling ops: one row a model, and what the clock has to make of it.

Each row is a PixelCNN with something done to its features `y` before the top. `SEEN` is read off the tape in a way that
the clock follows: its proof is right, and all samplers agree. `REFUSED` has numbers that the clock cannot see, with the
words that name them. Each row buys the checks in tests/test_trace.py.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.special
from model_table import shaken

import minipixel as mp
from minipixel import ops
from minipixel.tensor import Tensor, no_grad


@mp.op
def silent(x):
    """An op that does not say what it reads."""
    return x, lambda g: (g,)


@mp.op(local=ops.local.pointwise(ops.local.each))
def times(x, *, by):
    """An op with an array as a keyword."""
    return x * by, lambda g: (g * by,)


def array(x):
    """The numbers of a Tensor or of an array."""
    return x.data if isinstance(x, Tensor) else x


class Between(mp.models.PixelCNN):
    """A PixelCNN that does something to its features."""

    between: Callable

    def forward(self, x, condition=None, rng=None):
        return self.blocks_and_top(self.between(self.stem(x), x, condition))

    def blocks_and_top(self, y):
        for block in self.blocks:
            y = block(y, None)
        return self.top(y)


@dataclass(frozen=True)
class Row:
    """`between(model, y, x, condition)` makes the features; `made(model)` is what a constructor would do."""

    name: str
    between: Callable
    says: str = ""
    causal: bool = True
    made: Callable = lambda model: None
    methods: dict = field(default_factory=dict)

    def model(self, shape=(3, 4, 1), **options):
        methods = self.methods | {"between": self.between}
        kind = type("Between", (Between,), methods)
        model = kind(shape, 3, hidden=4, blocks=1, dtype="float64", head="categorical", **options)
        model.scale, model.stretch = model.init.constant(0.7, 1), model.init.constant(0.2, 8)
        self.made(shaken(model))
        return model


def next_pixel(a):
    """Each pixel shows the one to its right."""
    return np.concatenate([a[:, 1:], np.zeros_like(a[:, :1])], axis=1)


# --- what the clock follows -------------------------------------------------------------------------------------------


def without_a_tape(model, y, x, condition):
    with no_grad():
        told = ops.tanh(ops.multiply(y, model.scale))
    return y + told


def ahead_without_a_tape(model, y, x, condition):
    with no_grad():
        told = ops.mirror(ops.shift_right(ops.mirror(y)))
    return y + told


def positions(model, y, x, condition):
    rows, columns = np.indices(y.shape[:2])
    place = np.stack([rows, columns], axis=-1)[:, :, None] / 10
    return y + np.broadcast_to(place @ np.ones((2, y.shape[-1])), y.shape)


def remembered_positions(model, y, x, condition):
    if y.shape[:2] not in model.cache:
        model.cache[y.shape[:2]] = np.cos(np.arange(np.prod(y.shape[:2]))).reshape(*y.shape[:2], 1, 1)
    return y * model.cache[y.shape[:2]]


def masked_by_hand(model, y, x, condition):
    mask = np.eye(y.shape[-1], dtype=bool)
    return ops.linear(y, np.full(mask.shape, 0.3), None, mask=mask)


def kept_for_a_look(model, y, x, condition):
    model.last, model.numbers = y, y.data
    return y


def conditioned_without_a_tape(model, y, x, condition):
    with no_grad():
        told = ops.tanh(array(condition))
    return y + ops.linear(told, np.full((2, y.shape[-1]), 0.4), None)


def fixes(model):
    with no_grad():
        model.fixed = ops.exp(model.scale)


SEEN = [
    Row("an op under no_grad", without_a_tape),
    Row("the next pixel under no_grad", ahead_without_a_tape, causal=False),
    Row("stop-gradient by Tensor(y.data)", lambda model, y, x, c: y * ops.sigmoid(Tensor(y.data))),
    Row("stop-gradient by ops on y.data", lambda model, y, x, c: y * ops.sigmoid(y.data)),
    Row("stop-gradient by a copy", lambda model, y, x, c: y + Tensor(y.data.copy())),
    Row(
        "the next pixel by ops on y.data",
        lambda model, y, x, c: y + ops.mirror(ops.shift_right(ops.mirror(y.data))),
        "",
        False,
    ),
    Row("weight.data given to an op", lambda model, y, x, c: y * model.stretch.data),
    Row("weight.data on the left", lambda model, y, x, c: model.stretch.data * y + model.scale.data),
    Row("a function of weights, made of ops", lambda model, y, x, c: y * ops.exp(model.scale)),
    Row(
        "a weight that is no attribute",
        lambda model, y, x, c: y * model.hidden[0],
        made=lambda model: setattr(model, "hidden", (model.stretch,)),
    ),
    Row("made of weights once", lambda model, y, x, c: y * model.fixed, made=lambda model: fixes(model)),
    Row(
        "a number made of weights once",
        lambda model, y, x, c: y * model.fixed,
        made=lambda model: setattr(model, "fixed", float(model.scale.data[0])),
    ),
    Row("positions", positions),
    Row("positions, remembered", remembered_positions, made=lambda model: setattr(model, "cache", {})),
    Row("zeros of its shape", lambda model, y, x, c: y + np.zeros_like(y.data) + np.ones((*x.shape[:-1], 1))),
    Row("an array library", lambda model, y, x, c: y + model.xp.full((*y.shape[:2], 1, 1), 0.5)),
    Row("a mask by hand", masked_by_hand),
    Row("features kept for a look", kept_for_a_look),
    Row("repr", lambda model, y, x, c: y * float(len(repr(model.scale)) > 0)),
    Row(
        "noise from a fixed seed",
        lambda model, y, x, c: y + np.random.default_rng(0).standard_normal((*y.shape[:2], 1, 8)),
    ),
]
CONDITIONED = Row("a condition under no_grad", conditioned_without_a_tape)


# --- what it refuses --------------------------------------------------------------------------------------------------


def branches(model, y, x, condition):
    return y * 2.0 if y.data[:, -1].max() > 0 else y


def branches_on_a_weight(model, y, x, condition):
    return y * 2.0 if model.scale.data > 0 else y


def swallows(model, y, x, condition):
    try:
        return y * float(np.sum(model.stretch.data))
    except Exception:
        return y


def remembers_the_first(model, y, x, condition):
    if model.first is None:
        model.first = np.tanh(y.data[:, :, :1])
    return y + model.first


def keeps_the_last(model, y, x, condition):
    before, model.first = model.first, y.data
    return y if before is None or before.shape != y.shape else y + before


def runs_a_mean(model, y, x, condition):
    model.mean = 0.9 * model.mean + 0.1 * y.data.mean(axis=(0, 1, 2))
    return y - model.mean


def normalises(model, y, x, condition):
    return y - np.mean(y.data, axis=(0, 1), keepdims=True)


def counts(model, y, x, condition):
    model.calls += 1
    return y * (1.0 + model.calls % 2)


def draws_noise(model, y, x, condition):
    return y + model.generator.standard_normal((*y.shape[:2], 1, 1))


def sees_images(model, levels):
    model.seen = levels
    return super(Between, model).scaled(levels)


def redefines_an_op(model, y, x, condition):
    @mp.op(local=ops.local.pointwise(ops.local.each))
    def halved(x):
        return x / 2, lambda g: (g / 2,)

    return halved(y)


def writes_a_weight(model, y, x, condition):
    model.scale.data = np.ones(1)
    return y * model.scale


def asserts_arrays(model, y, x, condition):
    assert isinstance(y.data, np.ndarray), "an array"
    return y


def first_is_none(model):
    model.first = None


REFUSED = [
    Row("float of a weight", lambda model, y, x, c: y * float(model.scale.data[0]), r"\[\.\.\.\] of the weight scale"),
    Row("item of a weight", lambda model, y, x, c: y * model.scale.data.item(), r"\.item of the weight scale"),
    Row(
        "mean of a weight", lambda model, y, x, c: y * np.mean(model.stretch.data), r"numpy\.mean of the weight stretch"
    ),
    Row(
        "arithmetic on a weight",
        lambda model, y, x, c: y * (2 * model.stretch.data),
        r"numpy\.multiply of the weight stretch",
    ),
    Row(
        "a norm of a layer's weight",
        lambda model, y, x, c: y / np.linalg.norm(model.stem.weight.data),
        r"numpy\.norm of the weight stem\.weight",
    ),
    Row(
        "all weights as a dict",
        lambda model, y, x, c: y * model.state_dict()["scale"],
        r"numpy\.asarray of the weight stem\.weight",
    ),
    Row("NumPy without a shift", lambda model, y, x, c: y + np.tanh(y.data), r"numpy\.tanh of stem \(conv2d\)"),
    Row("SciPy", lambda model, y, x, c: y + scipy.special.expit(y.data), r"numpy\.expit of stem \(conv2d\)"),
    Row(
        "the next pixel by NumPy",
        lambda model, y, x, c: y + next_pixel(y.data),
        r"\[\.\.\.\] of stem \(conv2d\)",
        False,
    ),
    Row(
        "the next pixel by np.roll",
        lambda model, y, x, c: y + np.roll(ops.tanh(y).data, -1, axis=1),
        r"numpy\.roll of tanh after stem",
        False,
    ),
    Row(
        "NumPy on the image",
        lambda model, y, x, c: y + np.tanh(np.asarray(array(x))),
        r"numpy\.asarray of the image",
        False,
    ),
    Row("a mean over pixels", normalises, r"numpy\.mean of stem \(conv2d\)", False),
    Row("a branch on the features", branches, r"\[\.\.\.\] of stem \(conv2d\)", False),
    Row("a branch on a weight", branches_on_a_weight, r"numpy\.greater of the weight scale"),
    Row("an error that is caught", swallows, r"numpy\.sum of the weight stretch"),
    Row("what the first image gave", remembers_the_first, r"\[\.\.\.\] of stem \(conv2d\)", made=first_is_none),
    Row("what the last image gave", keeps_the_last, r"what was kept of an earlier pass", made=first_is_none),
    Row(
        "running statistics",
        runs_a_mean,
        r"\.mean of stem \(conv2d\)",
        made=lambda model: setattr(model, "mean", np.zeros(8)),
    ),
    Row(
        "a weight's memory",
        lambda model, y, x, c: y * model.raw,
        r"input 1 of multiply after stem.* with the weights",
        made=lambda model: setattr(model, "raw", model.stretch.data),
    ),
    Row(
        "the image by another way",
        lambda model, y, x, c: y + np.asarray(model.seen) * 1.0,
        r"input 1 of add after stem.* with the image",
        False,
        methods={"scaled": sees_images},
    ),
    Row(
        "the number of images",
        lambda model, y, x, c: y / x.shape[2],
        r"input 1 of multiply after stem.* with the number of images",
    ),
    Row(
        "noise",
        draws_noise,
        r"input 1 of add after stem.* from pass to pass",
        made=lambda model: setattr(model, "generator", np.random.default_rng(0)),
    ),
    Row(
        "a counter",
        counts,
        r"input 1 of multiply after stem.* from pass to pass",
        made=lambda model: setattr(model, "calls", 0),
    ),
    Row(
        "an op made anew",
        redefines_an_op,
        r"halved after stem, where another pass has halved after stem.* from pass to pass",
    ),
    Row("a weight that is written", writes_a_weight, r"a forward pass that writes the weight scale"),
    Row(
        "a weight as a keyword",
        lambda model, y, x, c: times(y, by=model.scale.data),
        r"the weight scale as a keyword .*, given to times after stem",
    ),
    Row("an op that does not say what it reads", lambda model, y, x, c: silent(y), r"op silent after stem on the way"),
]

RAW = [  # what works on plain arrays alone, which all passes get but the clock's, and those that want a gradient
    Row(
        "NumPy on a plain image",
        lambda model, y, x, c: y + np.tanh(x),
        r"TypeError \(.*\) from a traced pass alone, after stem",
    ),
    Row(
        "a slice of a plain image",
        lambda model, y, x, c: y + 0 * x[..., :1],
        r"TypeError \(.*\) from a traced pass alone",
    ),
    Row("an assertion", asserts_arrays, r"AssertionError \(.*\) from a traced pass alone, after stem \(conv2d\)"),
]


# --- what is drawn in training ----------------------------------------------------------------------------------------


def remembers_what_was_kept(model, y, rng):
    model.cache.setdefault("keep", rng.keep(0.5, y.shape))
    return ops.dropout(y, keep=model.cache["keep"], rate=0.5)


def drops_by_chance(model, y, rng):
    return ops.dropout(y, keep=np.random.default_rng().random(y.shape) < 0.5, rate=0.5)


# What a model may do with the `rng` of a pass in training, and the words by which the clock refuses it.
DRAWING = {
    "normal": (lambda model, y, rng: y + rng.normal(size=y.shape[-1]), r"rng\.normal, drawn from rng directly, after"),
    "random": (lambda model, y, rng: y * rng.random(), r"rng\.random, drawn from rng directly, after"),
    "spawned": (lambda model, y, rng: y * rng.spawn(1)[0].random(), r"rng\.spawn, drawn from rng directly"),
    "its bits": (lambda model, y, rng: y * rng.bit_generator.random_raw(), r"rng\.bit_generator, drawn"),
    "a copy": (lambda model, y, rng: y * copy.deepcopy(rng).random(), r"rng\.copy, drawn"),
    "keep as a factor": (lambda model, y, rng: y * rng.keep(0.5, y.shape), r"what rng\.keep drew read in forward"),
    "keep by NumPy": (
        lambda model, y, rng: y * np.asarray(rng.keep(0.5, y.shape)).mean(),
        r"what rng\.keep drew read in forward",
    ),
    "keep compared": (lambda model, y, rng: y * float(rng.keep(0.5, y.shape) == 1), r"what rng\.keep drew read"),
    "keep negated": (
        lambda model, y, rng: y * ~rng.keep(0.5, y.shape),
        r"TypeError \(bad operand .* traced pass alone",
    ),
    "an op of one's own": (lambda model, y, rng: times(y, by=rng.keep(0.5, y.shape)), r"what rng\.keep drew read"),
    "a keep of the first pass": (remembers_what_was_kept, r"what rng\.keep drew in an earlier pass, given to dropout"),
    "chance of its own": (drops_by_chance, r"keep= of dropout after stem.* from pass to pass"),
    "its key": (lambda model, y, rng: y * float(rng.key[0]), r"AttributeError .* 'key'.* from a traced pass alone"),
}
