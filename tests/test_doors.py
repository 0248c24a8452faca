"""Whatever arrays come in, ops and models give the result of their definition: any dtype, order of memory, or flag.

A compiled loop reads memory by plain numbers; what it is not made for must never reach it (see kernels/shapes.py).
"""

import copy
import itertools

import numpy as np
import pytest
from op_table import TABLE
from test_compiled import CASES

from minipixel import Tensor, kernels, models, ops
from minipixel.kernels.shapes import check
from minipixel.nn import Conditioning, Module, Parameter
from minipixel.tensor import gradients


def fortran(x):
    return np.asarray(x, order="F")


def strided(x):
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, x.dtype) if x.ndim else x
    if x.ndim:
        wide[..., ::2] = x
    return wide[..., ::2] if x.ndim else x


def backwards(x):
    return np.flip(np.flip(x).copy())


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    y = np.frombuffer(memory.data, x.dtype, x.size).reshape(x.shape)
    y[...] = x
    return y


def swapped(x):
    return x.astype(x.dtype.newbyteorder())


FORMS = [fortran, strided, backwards, read_only, unaligned, swapped]
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
rows = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.id)


def run(row, inputs, seed):
    tensors = [Tensor(x) for x in inputs]
    output = row.op(*tensors, **row.static)
    return [output.data, *gradients(output, tensors, seed(output.shape))]


def numbers(shape):
    return np.random.default_rng(2).standard_normal(shape)


def assert_same(found, wanted, bound):
    for a, b in zip(found, wanted, strict=True):
        if b is None:  # no gradient, since nothing depends on it
            assert a is None
            continue
        assert np.abs(a - b).max(initial=0) <= bound * max(1.0, np.abs(b).max(initial=0))


@rows
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_op_takes_arrays_in_any_form(row, dtype):
    """All inputs and the seed in each form: value and gradients are those of the definition, in the dtype of the op."""
    inputs, bound = row.inputs(dtype), {np.float32: 1e-5, np.float64: 1e-12}[dtype]
    with kernels.as_written():
        wanted = run(row, inputs, lambda shape: numbers(shape).astype(dtype))
    for form in FORMS:
        found = run(row, [form(x) for x in inputs], lambda shape, form=form: form(numbers(shape).astype(dtype)))
        assert_same(found, wanted, bound)


@rows
def test_a_float64_seed_does_not_reach_a_float32_op(row):
    inputs = row.inputs(np.float32)
    with kernels.as_written():
        wanted = run(row, inputs, lambda shape: numbers(shape).astype(np.float32))
    found = run(row, inputs, numbers)
    assert [x.dtype for x in found] == [np.float32] * len(found)
    assert_same(found, wanted, 1e-5)


@rows
def test_one_float64_input_among_float32_ones(row):
    """A constant is rounded to the dtype of the others; of two Tensors that no weight is, the wider one decides."""
    inputs = row.inputs(np.float32)
    with kernels.as_written():
        wanted = run(row, inputs, numbers)
    for place in range(len(inputs)):
        mixed = [x.astype(np.float64) if i == place else x for i, x in enumerate(inputs)]
        found = run(row, mixed, numbers)
        assert [g.dtype for g in found[1:]] == [x.dtype for x in mixed]
        assert_same(found, wanted, 1e-5)
        if len(inputs) > 1:
            tensors = [x if i == place else Tensor(x) for i, x in enumerate(mixed)]
            output = row.op(*tensors, **row.static)
            assert output.dtype == np.float32
            assert_same([output.data], wanted[:1], 1e-5)


@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_a_model_takes_weights_in_any_form(name, shape, options):
    """Weights in another order of memory, as PyTorch's transposed ones are, or read-only, by whatever way they came."""
    model = models.MODELS[name](shape, 4, **options, rng=0)
    images = np.random.default_rng(0).integers(0, 4, (3, *shape), dtype=np.uint8)
    condition = model.conditions.random(3, np.random.default_rng(1)) if model.conditions.width else None
    if not model.initialized:
        model.initialize(images)

    def found():
        loss = model.loss(images, condition, rng=5)
        return [loss.data, *gradients(loss, model.parameters())]

    state = model.state_dict()
    with kernels.as_written():
        wanted = found()
    for form in FORMS[:-1]:
        for parameter, array in zip(model.parameters(), state.values(), strict=True):
            parameter.data = form(array)
        assert_same(found(), wanted, 1e-4)
    model.load_state_dict({key: np.asfortranarray(array) for key, array in state.items()})
    assert all(parameter.data.flags.carray for parameter in model.parameters())
    assert_same(found(), wanted, 1e-4)


class Loud(Module):
    """A part of one's own that does something."""

    def __call__(self, x, *rest):
        return x * 1.25


def parts_of(module, path=()):
    """Every callable part below a module: (the object that holds it, its attribute or place in a list)."""
    for name, value in vars(module).items():
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for place, item in items:
            if isinstance(item, Module):
                yield module, name, place
                yield from parts_of(item)
            elif callable(item) and not isinstance(item, type):
                yield module, name, place


def exchange(holder, name, place, part):
    if place is None:
        setattr(holder, name, part)
    else:
        getattr(holder, name)[place] = part


def loss_and_gradients(model, images, condition):
    loss = model.loss(images, condition, rng=5)
    return [loss.data, *gradients(loss, model.parameters())]


FAMILY = [
    ("pixelcnn", {"hidden": 4, "blocks": 2}),
    ("row-lstm", {"hidden": 4, "layers": 2}),
    ("diagonal-bilstm", {"hidden": 4, "layers": 2}),
    ("gated", {"filters": 4, "layers": 2}),
    ("pixelcnnpp", {"filters": 4, "resnets": 1, "hierarchies": 1, "weight_norm": False}),
    ("multi-scale", {"hidden": 4, "layers": 1}),
]


@pytest.mark.parametrize("how", ["wrapped", "in the instance", "in the class"])
@pytest.mark.parametrize(("name", "options"), FAMILY)
def test_no_exchanged_part_is_ignored(name, options, how, monkeypatch):
    """Each part in turn gives its result one and a quarter times: by plan and as written agree, and it is heard."""
    images = np.random.default_rng(0).integers(0, 4, (2, 4, 4, 1), dtype=np.uint8)
    build = models.MODELS[name]
    heard = 0
    for number in range(len(list(parts_of(build((4, 4, 1), 4, **options, dtype="float64"))))):
        model = build((4, 4, 1), 4, **options, dtype="float64", rng=1)
        plain = model.loss(images, rng=5).item()
        holder, attribute, place = list(parts_of(model))[number]
        part = getattr(holder, attribute) if place is None else getattr(holder, attribute)[place]
        if isinstance(part, Conditioning) and how == "wrapped":
            exchange(holder, attribute, place, Loud())
        elif isinstance(part, Module) and how == "in the instance":
            method = next((m for m in ("scan", "apply", "gates") if hasattr(part, m)), None)
            if method is None:
                continue
            original = getattr(part, method)
            monkeypatch.setattr(part, method, lambda *x, original=original, **y: original(*x, **y) * 1.25)
        elif isinstance(part, Module) and how == "in the class":
            call = type(part).__call__

            part.loud = True  # who it is would not tell: a trace runs a twin of the model

            def patched(self, *x, call=call, **y):
                result = call(self, *x, **y)
                if not hasattr(self, "loud"):
                    return result
                return (result[0], result[1] * 1.25) if isinstance(result, tuple) else result * 1.25

            monkeypatch.setattr(type(part), "__call__", patched)
        elif how == "wrapped":

            def wrapped(*x, part=part, **y):
                result = part(*x, **y)
                return (result[0], result[1] * 1.25) if isinstance(result, tuple) else result * 1.25

            if isinstance(part, Module):
                wrapper = Loud()
                wrapper.part, wrapper.__dict__["kind"] = part, getattr(part, "kind", None)
                wrapper.__class__ = type(
                    "Wrapper", (Loud,), {"__call__": lambda self, *x, wrapped=wrapped, **y: wrapped(*x, **y)}
                )
                exchange(holder, attribute, place, wrapper)
            else:
                exchange(holder, attribute, place, wrapped)
        else:
            continue
        try:
            found = loss_and_gradients(model, images, None)
        except AttributeError:
            assert how == "wrapped"  # the wrapper lacks what its holder asks it for, in one line
            monkeypatch.undo()
            continue
        with kernels.as_written():
            wanted = loss_and_gradients(model, images, None)
        monkeypatch.undo()
        assert_same(found, wanted, 1e-10)
        heard += found[0] != plain
    assert heard >= 2 or (how == "in the instance" and name in ("pixelcnn", "gated"))  # whose parts have but a call


@pytest.mark.parametrize("when", ["in place", "in place, of a deep copy", "in place, and shut again"])
@pytest.mark.parametrize(("name", "options"), FAMILY)
def test_a_mask_that_was_written_to_is_seen(name, options, when):
    """After a first pass, each mask in turn is shut altogether."""
    images = np.random.default_rng(0).integers(0, 4, (2, 4, 4, 1), dtype=np.uint8)

    def masks(module):
        if hasattr(module, "mask") and module.mask is not None:
            yield module.mask
        for holder, attribute, place in parts_of(module):
            part = getattr(holder, attribute) if place is None else getattr(holder, attribute)[place]
            mask = getattr(part, "mask", None) if isinstance(part, Module) else None
            if mask is not None:
                yield mask

    model = models.MODELS[name]((4, 4, 1), 4, **options, dtype="float64", rng=1)
    model.loss(images)
    if "copy" in when:
        model = copy.deepcopy(model)
        model.loss(images)
    for mask in list(masks(model)):
        before, kept = model.loss(images).item(), mask.copy()
        owner = mask if mask.base is None else mask.base
        owner.flags.writeable = mask.flags.writeable = True
        mask[...] = False
        owner.flags.writeable = mask.flags.writeable = "again" not in when
        found = loss_and_gradients(model, images, None)
        with kernels.as_written():
            wanted = loss_and_gradients(model, images, None)
        assert_same(found, wanted, 1e-10)
        assert not kept.any() or found[0] != before
        owner.flags.writeable = mask.flags.writeable = True
        mask[...] = kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_masks_of_ones_and_zeros_are_masks(dtype):
    row = next(row for row in TABLE if row.id == "conv2d-3x3-B-rgb")
    mask = row.static["mask"].astype(dtype)
    x, weight, bias = row.inputs()
    np.testing.assert_array_equal(ops.conv2d(x, weight, bias, mask=mask), row.op(x, weight, bias, **row.static))
    with pytest.raises(ValueError, match=r"mask: got a float.. array with numbers beside 0 and 1, wanted booleans"):
        ops.conv2d(x, weight, bias, mask=mask * 0.5)
    with pytest.raises(ValueError, match=r"mask: got a float.. array with numbers beside 0 and 1, wanted booleans"):
        ops.linear(x, weight[0, 0], bias, mask=np.full(weight.shape[2:], 0.5))


SHAPED = [
    row
    for row in TABLE
    if row.op.__name__ in ("linear", "conv2d", "transposed_conv2d", "lstm_scan", "weight_norm", "prelu")
]


@pytest.mark.parametrize("row", SHAPED, ids=lambda row: row.id)
def test_sizes_that_do_not_go_together_are_refused(row):
    """Each axis of each input one longer than it should be: the op's name and the shapes in one line, nothing read."""
    inputs = row.inputs()
    tried = 0
    for place, x in enumerate(inputs):
        for axis in range(x.ndim):
            longer = list(inputs)
            longer[place] = np.take(x, [*range(x.shape[axis]), 0], axis=axis)
            name = row.op.__name__
            try:
                made = row.op(*[Tensor(y) for y in longer], **row.static)
            except ValueError as error:
                assert str(error).startswith(name) and "\n" not in str(error), str(error)
                tried += 1
            else:
                with kernels.as_written():
                    wanted = row.op(*[Tensor(y) for y in longer], **row.static)
                np.testing.assert_allclose(made.data, wanted.data, rtol=1e-10, atol=1e-10)
    assert tried


def test_letters_say_which_shapes_go_together():
    a, b = np.zeros((2, 3, 4)), np.zeros((4, 12))
    for letters, arrays in [("... K; K 3K", (a, b)), ("H W K; K L; L", (a, b, None)), ("2H W K", (a,))]:
        check("op", letters, arrays)
    for letters, arrays in [("... K; 3K K", (a, b)), ("W K", (a,)), ("3H W K", (a,))]:
        with pytest.raises(ValueError, match="op: got inputs of shapes "):
            check("op", letters, arrays)


def test_two_weights_never_share_a_gradient():
    """What is in `.grad` belongs to that weight alone: neither another one's, nor the seed, nor what an op keeps."""
    for name, options in FAMILY:
        model = models.MODELS[name]((4, 4, 1), 4, **options, rng=1)
        model.loss(np.zeros((2, 4, 4, 1), np.uint8)).backward()
        for a, b in itertools.combinations(model.parameters(), 2):
            assert not np.shares_memory(a.grad, b.grad), name
        assert all(parameter.grad.flags.carray for parameter in model.parameters())
    seed, a, b = np.ones(3), Tensor(np.zeros(3)), Tensor(np.zeros(3))
    (a + b).backward(seed)
    assert not np.shares_memory(a.grad, b.grad) and not np.shares_memory(a.grad, seed)
    ops.total(a).backward()
    assert a.grad.flags.writeable


def test_a_weight_without_axes_stays_an_array():
    """Arithmetic on an array without axes gives a number, which could not be written to."""
    weight = Parameter(np.array(2.0))
    weight.data = weight.data * 1.5
    weight.data[...] = weight.data - 1.0
    assert isinstance(weight.data, np.ndarray) and weight.data.shape == () and weight.data == 2.0
