"""The loss and gradients of a model by its definition, op after op on the tape, and by every other way that there is.

The definition is `reference`. Each row of `WAYS` is judged by it; what the package does not have yet is not among them.
"""

import contextlib
import copy
import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event

import minipixel as mp
from minipixel import kernels
from minipixel.tensor import Tensor, gradients, inputs_first, no_grad

PLAN = importlib.import_module("minipixel.plan") if (Path(mp.__file__).parent / "plan").is_dir() else None
CONTEXTS = [name for name in ("interpreted", "poisoned", "whole_maps") if hasattr(PLAN, name)]
HAS_VALUES = hasattr(mp.models.Model, "value_and_gradients")
needs_plan = pytest.mark.skipif(not hasattr(PLAN, "table_of"), reason="there is no minipixel.plan yet")
needs_values = pytest.mark.skipif(not HAS_VALUES, reason="there is no Model.value_and_gradients yet")

EXACT = {"value": 1e-12, "gradient": 1e-11}
SINGLE = 1e-5
ROUNDED = 3  # models whose weights are rounded by chance, to see what that alone costs
KINK = 1e-5
"""A rectifier whose input is nearer to 0 than this, beside the largest one of its map, may fall on either side of its
kink in float32: its gradient then jumps, by however much, and says nothing about the arithmetic."""


@dataclass(frozen=True)
class Result:
    """A loss in nats per image, and the gradient of each weight by dotted name; zeros where the loss does not reach."""

    loss: float
    gradients: dict[str, np.ndarray]


def weighted_loss(model, images, condition, weights, rng):
    """The differentiable loss; with weights (N,) the sum of w_n * -log p_n, divided by N."""
    return model.loss(images, condition, weights=weights, rng=rng)


def result_of(model, loss):
    """What the tape below a loss says."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = gradients(loss, parameters)
    pairs = zip(names, parameters, found, strict=True)
    return Result(float(loss.data), {name: np.zeros(p.shape, p.dtype) if g is None else g for name, p, g in pairs})


def reference(model, images, condition=None, weights=None, rng=None):
    """The definition: the tape as it is written."""
    with kernels.as_written():
        return result_of(model, weighted_loss(model, images, condition, weights, rng))


def reference_log_prob(model, images, condition=None):
    """The log-likelihood of each image as it is written: (N,)."""
    with kernels.as_written(), no_grad():
        return np.asarray(model._log_prob(*model.checked(images, condition)).data, np.float64).sum(axis=(0, 1, 3))


# --- the ways ---------------------------------------------------------------------------------------------------------


def by_backward(model, images, condition, weights, rng):
    for parameter in model.parameters():
        parameter.grad = None
    loss = weighted_loss(model, images, condition, weights, rng)
    loss.backward()
    named = [(name, p, p.grad) for name, p in model.named_parameters()]
    return Result(float(loss.data), {name: np.zeros(p.shape, p.dtype) if g is None else g for name, p, g in named})


def by_values(model, images, condition, weights, rng, workers=1):
    loss, found = model.value_and_gradients(images, condition, weights=weights, rng=rng, workers=workers)
    assert type(loss) is float
    assert list(found) == [name for name, _ in model.named_parameters()]
    return Result(loss, found)


def within(name, way):
    """A way, inside one of the contexts of minipixel.plan."""

    def inside(*arguments):
        with getattr(PLAN, name)():
            return way(*arguments)

    return inside


WAYS: dict[str, Callable[..., Result]] = {"backward": by_backward}
if HAS_VALUES:
    WAYS["value_and_gradients"] = by_values
WAYS |= {f"{name}, {context}": within(context, way) for context in CONTEXTS for name, way in WAYS.items()}


@contextlib.contextmanager
def quietly():
    """A model without a plan runs as it is written, and says so in a warning, which is an error in tests."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*as (it is )?written")
        yield


# --- how near they have to come ---------------------------------------------------------------------------------------


def assert_agree(drawn):
    """All ways give the results of the definition; in float32, those of float64 with the same weights."""
    model = drawn.model()
    with readable(drawn), quietly():
        _assert_agree(drawn, model)


@contextlib.contextmanager
def readable(drawn):
    """An error says what was drawn, as somebody would read it."""
    try:
        yield
    except Exception as error:
        error.add_note(drawn.text())
        raise


def _assert_agree(drawn, model):
    batch = (*drawn.batch(model), drawn.rng)
    wanted = reference(model, *batch)
    assert np.isfinite(wanted.loss), "the drawn model overflows"
    limit, kinked = exact_limit, False
    if drawn.dtype == "float32":
        twin = drawn.model("float64")
        kinked = near_a_kink(twin, batch)
        event(f"a rectifier near its kink: {kinked}")
        wanted, limit = reference(twin, *batch), single_limit(twin, batch, wanted)
    for name, way in WAYS.items():
        compare(way(model, *batch), wanted, limit, name, only_the_loss=kinked)


def compare(got, wanted, limit, name, only_the_loss=False):
    """AssertionError, in one line, where a loss or a gradient is further from the one wanted than `limit` allows."""
    error, most = abs(got.loss - wanted.loss), limit(wanted, None)
    assert error <= most, f"{name}: loss {got.loss!r}, wanted {wanted.loss!r}: off by {error:.1e}, at most {most:.1e}"
    assert list(got.gradients) == list(wanted.gradients), name
    for weight, gradient in () if only_the_loss else wanted.gradients.items():
        assert got.gradients[weight].shape == gradient.shape, f"{name}: {weight}"
        error, most = np.abs(got.gradients[weight] - gradient).max(initial=0), limit(wanted, weight)
        assert error <= most, f"{name}: gradient of {weight} off by {error:.1e}, at most {most:.1e}"


def scale(result, weight, least=1e-2):
    """How large a loss or a gradient is; that of one weight counts for a hundredth, say, of the largest one at least.

    A gradient that is zero but for rounding, as of a bias before a softmax, is as exact as what it is the sum of.
    """
    if weight is None:
        return max(abs(result.loss), 1.0)
    own, *others = (np.abs(g).max(initial=0) for g in (result.gradients[weight], *result.gradients.values()))
    return max(own, least * max(others))


def exact_limit(wanted, weight):
    return EXACT["value" if weight is None else "gradient"] * scale(wanted, weight)


def single_limit(twin, batch, single):
    """In float32: 1e-5, or four times what the tape itself loses there, or models with rounded weights, the largest.

    A narrow mixture, say, loses digits in the difference of two numbers near 1, whoever computes it; and large gains
    of many layers enlarge whatever was rounded, in some weights by luck more than in others. What the tape loses is one
    such chance; models whose weights are each moved by one step of float32 show others.
    """
    exact = reference(twin, *batch)

    def lost(other, weight):
        a, b = (r.loss if weight is None else r.gradients[weight] for r in (exact, other))
        return float(np.abs(a - b).max(initial=0)) / max(scale(exact, weight, 0.1), np.finfo(np.float32).tiny)

    def losses(other):
        return lost(other, None), max(lost(other, weight) for weight in exact.gradients)

    others = [losses(reference(rounded(twin, n), *batch)) for n in range(ROUNDED)]
    of_loss, of_gradients = np.max([losses(single), *others], axis=0)

    def limit(wanted, weight):
        return max(SINGLE, 4 * (of_loss if weight is None else of_gradients)) * scale(wanted, weight, 0.1)

    return limit


def rounded(model, seed):
    """A copy of a model whose weights are each moved by one step of float32, up or down."""
    rng, model = np.random.default_rng(seed), copy.deepcopy(model)
    for parameter in model.parameters():
        step = np.spacing(np.abs(parameter.data).astype(np.float32)).astype(np.float64)
        parameter.data = parameter.data + step * rng.choice([-1.0, 1.0], parameter.shape)
    return model


def near_a_kink(model, batch):
    """Whether some rectifier of a float64 model gets an input that float32 cannot tell from 0, and that is not 0."""
    with kernels.as_written():
        nodes = inputs_first(weighted_loss(model, *batch))
    for node in nodes:
        if node.op in ("relu", "prelu"):
            x = np.abs(np.asarray(node.inputs[0].data if isinstance(node.inputs[0], Tensor) else node.inputs[0]))
            if ((x > 0) & (x < KINK * x.max())).any():
                return True
    return False


def assert_same_bits(got, wanted, name):
    assert got.loss == wanted.loss, f"{name}: loss {got.loss!r}, wanted {wanted.loss!r}"
    for weight, gradient in wanted.gradients.items():
        assert got.gradients[weight].tobytes() == gradient.tobytes(), f"{name}: other bits in {weight}"


def slope(model, batch, directions):
    """The derivative of the definition's loss along a direction in the space of weights, by a complex step."""
    images, condition, weights, rng = batch
    kept = [parameter.data for parameter in model.parameters()]
    try:
        for parameter, data, direction in zip(model.parameters(), kept, directions, strict=True):
            parameter.data = data + 1e-30j * direction
        with kernels.as_written():
            return float(np.imag(weighted_loss(model, images, condition, weights, rng).data)) / 1e-30
    finally:
        for parameter, data in zip(model.parameters(), kept, strict=True):
            parameter.data = data
