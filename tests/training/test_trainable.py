"""`fit(..., trainable=)`: some weights are trained, all others stay as they are, to the bit."""

import re

import numpy as np
import pytest
from model_table import SMALL
from stopping import Stop

import minipixel as mp
from minipixel.kernels import as_written
from minipixel.training import EMA, Callback, EarlyStopping, ModelCheckpoint

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(3, size=(8, 4, 4, 1)).astype(np.uint8)


def build(name="pixelcnn", **options):
    model = mp.models.MODELS[name]((4, 4, 1), 3, **SMALL[name] | options)
    model.initialize(IMAGES)
    return model


def train(model, **options):
    return mp.fit(model, IMAGES, **{"epochs": 2, "batch_size": 4, "progress": False} | options).history


def same(a, b):
    return [name for name in a if np.array_equal(a[name], b[name])]


def assert_same(a, b):
    assert list(a) == same(a, b)


def names_of(model):
    return [name for name, _ in model.named_parameters()]


def assert_all_trainable_again(model, parameters):
    assert model.frozen_names() == [] and [id(p) for p in model.parameters()] == [id(p) for p in parameters]


@pytest.mark.parametrize("written", [False, True], ids=["planned", "as written"])
@pytest.mark.parametrize("name", SMALL)
def test_of_every_model_every_third_weight(name, written):
    """The steps of these are those that they take beside weights which somebody froze; the others stay."""
    model = build(name)
    every, parameters, before = names_of(model), model.parameters(), model.state_dict()
    chosen = every[::3]
    if written:
        with as_written():
            train(model, trainable=chosen)
    else:
        train(model, trainable=chosen)
    after = model.state_dict()
    assert set(every) - set(chosen) <= set(same(before, after)) != set(every)
    assert_all_trainable_again(model, parameters)
    again = model.value_and_gradients(IMAGES)[1]
    assert list(again) == every and all(np.isfinite(g).all() for g in again.values())
    np.testing.assert_allclose(model.log_prob(IMAGES), _of_a_copy(name, after), rtol=1e-12)


def _of_a_copy(name, state):
    model = build(name)
    model.load_state_dict(state)
    return model.log_prob(IMAGES)


@pytest.mark.parametrize(
    ("trainable", "wanted"),
    [
        ("top", lambda name: name.startswith("top.")),
        (["top", "stem.bias"], lambda name: name.startswith("top.") or name == "stem.bias"),
        ("blocks.1", lambda name: name.startswith("blocks.1.")),
        (lambda model: model.top, lambda name: name.startswith("top.")),
        (lambda model: [model.blocks[0], "stem"], lambda name: name.startswith(("blocks.0.", "stem."))),
        (lambda model: model.stem.weight, lambda name: name == "stem.weight"),
        (lambda model: model, lambda name: True),
    ],
)
def test_names_beginnings_of_names_and_layers(trainable, wanted):
    model = build()
    before = model.state_dict()
    train(model, trainable=trainable(model) if callable(trainable) else trainable)
    after = model.state_dict()
    assert {name for name in before if not np.array_equal(before[name], after[name])} == set(filter(wanted, before))


def test_moments_of_others_stay_and_go_on():
    """What an optimizer remembers of frozen weights is untouched by a training that leaves them out, and then used."""
    model, optimizer = build(), mp.optim.Adam(0.01)
    train(model, optimizer=optimizer)
    before = optimizer.state_dict()
    train(model, optimizer=optimizer, trainable="top")
    after = optimizer.state_dict()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"steps"} | {name for name in before if "/top." in name}
    train(model, optimizer=optimizer)
    later = optimizer.state_dict()
    assert later["steps"] == 12 and not [name for name in same(before, later) if "/" in name]


def test_weights_tied_to_a_trained_one_are_trained_everywhere():
    for trainable, trained in (("blocks.0", True), ("blocks.1", True), ("top", False)):
        model = build(dtype="float64")
        tied = model.blocks[1].widen.weight = model.blocks[0].widen.weight
        before = tied.data.copy()
        train(model, trainable=trainable)
        assert model.blocks[1].widen.weight is model.blocks[0].widen.weight is tied
        assert np.array_equal(before, tied.data) != trained


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_resumed_to_the_bit(steps, tmp_path):
    """After a training of all weights by the same optimizer, whose memories of the frozen ones are in the file."""

    def begun():
        model, optimizer = build(), mp.optim.Adam(0.01)
        train(model, optimizer=optimizer)
        return model, optimizer

    whole, ours = begun()
    options = {"trainable": ["top", "stem"], "epochs": 3}
    train(whole, optimizer=ours, callbacks=[EMA(0.5)], **options)
    cut, optimizer = begun()
    saving = [EMA(0.5), ModelCheckpoint(tmp_path), Stop(steps)]
    train(cut, optimizer=optimizer, callbacks=saving, **options)
    again, theirs = build(), mp.optim.Adam(0.01)
    for other in (None, "top", ["stem", "blocks"]):
        with pytest.raises(ValueError, match=r"^resume: got frozen .*wanted \[.*; give the same"):
            train(again, optimizer=theirs, resume=tmp_path, callbacks=[EMA(0.5)], **options | {"trainable": other})
        assert_all_trainable_again(again, again.parameters())
    train(again, optimizer=theirs, resume=tmp_path, callbacks=[EMA(0.5)], **options)
    assert_same(whole.state_dict(), again.state_dict())
    assert_same(ours.state_dict(), theirs.state_dict())
    train(whole, optimizer=ours)
    train(again, optimizer=theirs)
    assert_same(whole.state_dict(), again.state_dict())


class Fail(Callback):
    def on_epoch_end(self, epoch, logs):
        raise RuntimeError("stop")


def test_after_an_error_all_are_trainable_again():
    model = build()
    parameters = model.parameters()
    with pytest.raises(RuntimeError, match=r"^stop$"):
        train(model, trainable="top", callbacks=[Fail()])
    assert_all_trainable_again(model, parameters)


def test_the_best_weights_come_back_and_what_was_frozen_before_stays_frozen():
    model = build()
    model.stem.weight = model.stem.weight.data
    before = model.state_dict()
    stopping = EarlyStopping("loss", patience=9, restore_best_weights=True)
    train(model, trainable=["stem", "top"], callbacks=stopping)
    assert model.frozen_names() == ["stem.weight"]
    changed = {name for name in before if not np.array_equal(before[name], model.state_dict()[name])}
    assert changed == {name for name in before if name.startswith("top.")} | {"stem.bias"}


def test_nothing_else_is_brought_into_range_by_a_first_batch():
    model = mp.models.PixelCNNpp((4, 4, 1), 3, filters=6, resnets=1)
    before = model.state_dict()
    train(model, trainable="level")
    kept = [name for name in before if not name.startswith("level.")]
    assert kept and set(kept) <= set(same(before, model.state_dict()))


@pytest.mark.parametrize(
    ("trainable", "said"),
    [
        ("tops", "trainable: got 'tops', wanted what has weights to train in this model; did you mean 'top'?"),
        (
            ["top", "stem.wait"],
            "trainable: got 'stem.wait', wanted what has weights to train in this model; did you me",
        ),
        ("", "trainable: got '', wanted what has weights to train in this model"),
        ([], "trainable: got [], wanted names of weights or layers, such as ['top'], or layers"),
        (3, "trainable: got 3, wanted names of weights or layers, such as ['top'], or layers"),
        ([3], "trainable: got 3, wanted what has weights to train in this model; take the layer from the model itself"),
        (True, "trainable: got True, wanted names of weights or layers"),
        (build().top, "wanted what has weights to train in this model; take the layer from the model itself"),
        ("stem", "; its weights are plain arrays, which are frozen for good"),
    ],
)
def test_bad_names(trainable, said):
    model = build()
    if trainable == "stem":
        model.stem.weight, model.stem.bias = model.stem.weight.data, model.stem.bias.data
    before, parameters = model.state_dict(), model.parameters()
    with pytest.raises(ValueError, match=re.escape(said)) as e:
        train(model, trainable=trainable)
    assert "\n" not in str(e.value)
    assert_same(before, model.state_dict())
    assert [id(p) for p in model.parameters()] == [id(p) for p in parameters]


def test_a_weight_in_a_list_cannot_be_frozen():
    model = build()
    model.loose = [mp.nn.Parameter(np.ones(2, np.float32))]
    with pytest.raises(ValueError, match=r"^trainable: got a model with weights in a list, wanted each as"):
        train(model, trainable="top")
    train(model, trainable=["top", "loose"])
