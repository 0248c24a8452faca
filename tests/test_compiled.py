"""Models by their plan against models as they are written, and the doors of compiled bodies of ops (see test_ops.py).

See tests/plan for models drawn at random; here stand models of whom somebody has exchanged a part.
"""

import numpy as np
import pytest

from minipixel import kernels, models, ops
from minipixel.kernels import COMPILED
from minipixel.tensor import gradients, inputs_first
from minipixel.training import fit

if not kernels.numba_enabled():
    pytest.skip("Numba is missing or switched off", allow_module_level=True)

WIDE_KERNELS = {"vertical_kernel": (3, 5), "horizontal_kernel": (1, 3)}
TALL_KERNELS = {"vertical_kernel": (1, 3), "horizontal_kernel": (4, 2)}

CASES = [
    ("pixelcnn", (5, 6, 1), {"hidden": 5, "blocks": 1, "head_width": 9}),
    ("gated", (4, 5, 3), {"filters": 6, "layers": 1}),
    ("pixelcnn", (18, 10, 1), {"hidden": 3, "blocks": 1}),
    ("gated", (6, 7, 1), {"filters": 5, "layers": 3, "dilations": (2, 1)}),
    ("gated", (5, 4, 3), {"filters": 11, "layers": 2, "kernel": 5, "first_kernel": 3}),
    ("gated", (4, 5, 1), {"filters": 4, "layers": 2, "num_classes": 3}),
    ("gated", (4, 5, 3), {"filters": 6, "layers": 2, "condition_shape": (2,)}),
    ("gated", (1, 1, 1), {"filters": 3, "layers": 2}),
    ("gated", (5, 6, 1), {"filters": 24, "layers": 3}),
    ("gated", (4, 5, 3), {"filters": 25, "layers": 2, "num_classes": 3}),
    ("pixelcnn", (6, 7, 1), {"hidden": 5, "blocks": 2}),
    ("pixelcnn", (5, 4, 3), {"hidden": 7, "blocks": 1}),
    ("pixelcnn", (1, 1, 1), {"hidden": 3, "blocks": 1}),
    ("pixelcnnpp", (6, 7, 1), {"filters": 5, "resnets": 1}),
    ("pixelcnnpp", (5, 4, 3), {"filters": 6, "resnets": 2, "dropout": 0.0}),
    ("pixelcnnpp", (1, 3, 1), {"filters": 3, "resnets": 1, "dropout": 0.3, "weight_norm": False}),
    # of sizes at which float32 itself comes within 1e-5 of float64
    ("pixelcnnpp", (9, 8, 1), {"filters": 8, "resnets": 1, "hierarchies": 1, "dropout": 0.25, **WIDE_KERNELS}),
    ("pixelcnnpp", (4, 5, 3), {"filters": 9, "resnets": 1, "hierarchies": 1, **TALL_KERNELS}),
    ("pixelcnnpp", (9, 8, 1), {"filters": 4, "resnets": 1, "weight_norm": False, **WIDE_KERNELS}),
    ("row-lstm", (6, 7, 1), {"hidden": 5, "layers": 2}),
    ("row-lstm", (3, 30, 1), {"hidden": 19, "layers": 1}),
    ("row-lstm", (5, 4, 3), {"hidden": 7, "layers": 2, "learned_state": True, "skip": True}),
    ("row-lstm", (1, 1, 1), {"hidden": 3, "layers": 1}),
    ("diagonal-bilstm", (6, 7, 1), {"hidden": 5, "layers": 2}),
    ("diagonal-bilstm", (30, 5, 1), {"hidden": 19, "layers": 1, "phantom_column": False}),
    ("diagonal-bilstm", (5, 4, 3), {"hidden": 7, "layers": 2, "learned_state": True, "skip": True}),
    ("diagonal-bilstm", (1, 5, 1), {"hidden": 3, "layers": 2, "learned_state": True}),
    ("diagonal-bilstm", (5, 1, 1), {"hidden": 3, "layers": 2, "learned_state": True, "phantom_column": False}),
]


def loss_and_gradients(model, images):
    condition = model.conditions.random(len(images), np.random.default_rng(1)) if model.conditions.width else None
    loss = model.loss(images, condition, rng=5)  # what is dropped is drawn in the same order
    return [loss.data, *gradients(loss, model.parameters())]


def runs_by_its_plan(model, images):
    return any(node.op == "plan" for node in inputs_first(model.loss(images)))


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-10), ("float32", 5e-5)])
@pytest.mark.parametrize(("name", "shape", "options"), CASES)
def test_a_model_equals_its_definition(dtype, bound, name, shape, options):
    """Loss and gradients within `bound` of the largest number of each.

    That of float32 is what float32 itself, as it is written, keeps to beside float64, whatever is dropped: 4e-5.
    """
    model = models.MODELS[name](shape, 4, **options, dtype=dtype, rng=0)
    images = np.random.default_rng(0).integers(0, 4, (3, *shape), dtype=np.uint8)
    if not model.initialized:
        model.initialize(images)
    found = loss_and_gradients(model, images)
    with kernels.as_written():
        wanted = loss_and_gradients(model, images)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        assert np.abs(a - b).max(initial=0) <= bound * np.abs(b).max(initial=0)


def test_as_written_there_is_no_plan():
    model, images = models.PixelCNN((4, 4, 1), 2, hidden=4, blocks=1), np.zeros((2, 4, 4, 1), np.uint8)
    assert runs_by_its_plan(model, images)
    with kernels.as_written():
        assert not runs_by_its_plan(model, images)


def assert_equals_its_definition(model, images):
    assert runs_by_its_plan(model, images)
    found = loss_and_gradients(model, images)
    with kernels.as_written():
        wanted = loss_and_gradients(model, images)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("tap", [(1, 2), (2, 0), (2, 2)])
def test_a_tampered_mask_is_computed_as_it_is(tap):
    """A leak is not hidden, nor made, by a plan that goes row by row and relies on the past being past."""
    model = models.PixelCNN((5, 4, 1), 2, hidden=9, blocks=2, dtype="float64")
    look = model.blocks[0].look
    look.mask = look.mask.copy()
    look.mask[tap] = True
    look.weight.data[tap] = 1
    images = np.random.default_rng(0).integers(0, 2, (3, 5, 4, 1), dtype=np.uint8)
    assert_equals_its_definition(model, images)


@pytest.mark.parametrize("filters", [5, 24])
@pytest.mark.parametrize("rows", [(), (0,), (2,), (1, 2), (0, 1, 2)])
def test_rows_of_a_vertical_kernel_are_seen_as_they_are(filters, rows):
    """The same for Gated PixelCNN, whose vertical mask is B."""
    model = models.GatedPixelCNN((6, 5, 1), 2, filters=filters, layers=3, dtype="float64")
    vertical = model.layers[1].vertical
    vertical.mask = np.zeros_like(vertical.mask)
    vertical.mask[list(rows)] = True
    vertical.weight.data[:] = np.random.default_rng(0).normal(size=vertical.weight.shape)
    images = np.random.default_rng(0).integers(0, 2, (3, 6, 5, 1), dtype=np.uint8)
    assert_equals_its_definition(model, images)


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("centre", [(0, 1), (1, 0)])
def test_a_kernel_out_of_place_is_computed_as_it_is(layer, centre):
    """The same for PixelCNN++, of one convolution of a layer or of the other."""
    model = models.PixelCNNpp((5, 4, 1), 2, filters=3, resnets=1, hierarchies=1, dtype="float64")
    getattr(model.level.way_in[0].ul, layer).centre = centre
    images = np.random.default_rng(0).integers(0, 2, (3, 5, 4, 1), dtype=np.uint8)
    assert_equals_its_definition(model, images)


def test_a_link_that_was_exchanged_is_used():
    model = models.GatedPixelCNN((5, 4, 1), 2, filters=4, layers=2, dtype="float64")
    images = np.random.default_rng(0).integers(0, 2, (3, 5, 4, 1), dtype=np.uint8)
    for layer in model.layers:
        layer.link = lambda above: ops.multiply(above, 2.0)
    assert_equals_its_definition(model, images)


class Doubled:
    """Stands in for a part of a layer, and makes twice as much of what it is given."""

    def __init__(self, part):
        self.part = part

    def __call__(self, *arguments):
        return 2 * self.part(*arguments)


PARTS = [
    ("pixelcnn", {"hidden": 5, "blocks": 1}, lambda model: model.blocks[0], ("narrow", "look", "widen")),
    ("pixelcnn", {"hidden": 5, "blocks": 1}, lambda model: model.blocks[0].activations, (0, 1, 2)),
    ("pixelcnn", {"hidden": 5, "blocks": 1}, lambda model: model.top.layers, (0, 1, 2)),
    ("pixelcnn", {"hidden": 5, "blocks": 1}, lambda model: model.top.activations, (0, 1, 2)),
    ("gated", {"filters": 5, "layers": 2}, lambda model: model.layers[1], ("vertical", "horizontal", "link", "out")),
    ("row-lstm", {"hidden": 5, "layers": 1}, lambda model: model.layers[0].lstm, ("see",)),
    ("diagonal-bilstm", {"hidden": 5, "layers": 1}, lambda model: model.layers[0].left, ("see",)),
    ("diagonal-bilstm", {"hidden": 5, "layers": 1}, lambda model: model.layers[0].right, ("see",)),
    ("pixelcnnpp", {"filters": 5, "resnets": 1}, lambda model: model.level.way_in[0].u, ("first", "second")),
]
PARTS = [(name, options, owner, part) for name, options, owner, parts in PARTS for part in parts]


@pytest.mark.parametrize(("name", "options", "owner", "part"), PARTS)
def test_a_part_that_was_exchanged_is_used(name, options, owner, part):
    """A plan never stands for a model of which somebody has exchanged a part."""
    model = models.MODELS[name]((5, 4, 1), 2, **options, dtype="float64")
    images = np.random.default_rng(0).integers(0, 2, (3, 5, 4, 1), dtype=np.uint8)
    if not model.initialized:
        model.initialize(images)
    before, place = model.predict(images), owner(model)
    if isinstance(place, list):
        place[part] = Doubled(place[part])
    else:
        setattr(place, part, Doubled(getattr(place, part)))
    after = model.predict(images)
    with kernels.as_written():
        wanted = model.predict(images)
    np.testing.assert_allclose(after, wanted, rtol=1e-10, atol=1e-10)
    assert not np.allclose(after, before)


def test_a_dilation_that_was_changed_is_used():
    model = models.PixelCNN((6, 5, 1), 2, hidden=5, blocks=1, dtype="float64")
    rnn = models.RowLSTM((6, 5, 1), 2, hidden=5, layers=1, dtype="float64")
    model.blocks[0].look.dilation = rnn.layers[0].lstm.see.dilation = 2
    images = np.random.default_rng(0).integers(0, 2, (3, 6, 5, 1), dtype=np.uint8)
    for changed in (model, rnn):
        assert_equals_its_definition(changed, images)


def test_every_compiled_body_is_tested():
    """As a row of the table of ops, in test_ops.py and test_doors.py."""
    assert set(COMPILED) <= set(ops.OPS)


def test_nothing_is_compiled_when_numba_is_off(monkeypatch):
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    assert kernels.compiled("bernoulli_log_prob", [np.zeros(3)]) is None


@pytest.mark.parametrize("inputs", [[np.zeros(3, complex)], [np.zeros(3, np.float16)], [np.zeros(3), np.zeros(3, "f")]])
def test_other_inputs_take_the_definition(inputs):
    assert kernels.compiled("bernoulli_log_prob", inputs) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", models.MODELS)
def test_an_epoch_is_the_same_for_any_number_of_workers(monkeypatch, name, dtype):
    """Weights to the bit, for 1, 2, 3 and 4 workers and ragged shards, with dropout where there is any."""
    options = {"pixelcnn": {"hidden": 8, "dropout": 0.3}, "pixelcnnpp": {"filters": 8}, "multi-scale": {"hidden": 8}}
    images = np.random.default_rng(0).integers(0, 3, (23, 6, 8, 1), dtype=np.uint8)
    monkeypatch.setattr(models.MODELS[name], "shard_size", 3)
    states = []
    for workers in (1, 2, 3, 4):
        model = models.MODELS[name]((6, 8, 1), 3, **options.get(name, {}), dtype=dtype)
        fit(model, images, epochs=1, batch_size=16, workers=workers, progress=False)
        states.append(model.state_dict())
    for state in states[1:]:
        for key, weight in states[0].items():
            np.testing.assert_array_equal(weight, state[key], err_msg=key)
