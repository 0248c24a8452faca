"""A loop of one's own has what fit has: the loss of a batch and its gradients, shard by shard, the same to the bit."""

import copy
import re

import numpy as np
import pytest
from model_table import SMALL, VARIANTS

import minipixel as mp
from minipixel import ops
from minipixel.stand_in import DeviceArray, to_device_array
from minipixel.training import Callback

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (13, 4, 3, 1)).astype(np.uint8)
LABELS = RNG.integers(0, 3, 13)
WEIGHTS = np.array([0, 1, -0.5, 2, *RNG.random(9)])
KINDS = {name: (name, {}) for name in SMALL} | VARIANTS
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def five_shards(monkeypatch):
    """The last of them smaller."""
    monkeypatch.setattr(mp.models.Model, "shard_size", 3)


def make(kind="pixelcnn", **options):
    name, variant = KINDS[kind]
    model = mp.models.MODELS[name]((4, 3, 1), 4, **SMALL[name] | variant | {"num_classes": 3} | options)
    model.initialize(IMAGES, LABELS if model.conditions.width else None)
    return model


def assert_close(gradients, model, **tolerance):
    assert list(gradients) == [name for name, _ in model.named_parameters()]
    for name, parameter in model.named_parameters():
        assert gradients[name].shape == parameter.shape and gradients[name].dtype == parameter.dtype
        np.testing.assert_allclose(gradients[name], parameter.grad, **tolerance, err_msg=name)


@every_kind
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
def test_it_is_the_gradient_of_the_loss(kind, weights):
    """Of all images at once; in the order of the state, and `flat` holds the same numbers in that order."""
    model = make(kind, dtype="float64")
    loss = model.loss(IMAGES, LABELS, weights=weights)
    loss.backward()
    value, gradients = model.value_and_gradients(IMAGES, LABELS, weights=weights)
    assert type(value) is float and value == pytest.approx(loss.item(), rel=1e-12)
    assert_close(gradients, model, rtol=1e-9, atol=1e-12)
    assert list(gradients) == list(model.state_dict())
    np.testing.assert_array_equal(gradients.flat, np.concatenate([g.ravel() for g in gradients.values()]))
    assert all(np.shares_memory(g, gradients.flat) for g in gradients.values())


@every_kind
def test_the_same_bits_for_any_number_of_workers(kind):
    model = make(kind)
    wanted, gradients = model.value_and_gradients(IMAGES, LABELS, weights=WEIGHTS, rng=5, workers=1)
    for workers in (2, 3, 5):
        value, others = model.value_and_gradients(IMAGES, LABELS, weights=WEIGHTS, rng=5, workers=workers)
        assert value == wanted
        np.testing.assert_array_equal(others.flat, gradients.flat)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_is_the_step_of_fit(optimizer):
    """To the bit, with shards that end unevenly."""
    by_fit, by_hand = make(), make()
    ours = mp.optim.OPTIMIZERS[optimizer](0.01, clip_norm=0.5)
    losses = []

    class Orders(Callback):
        def on_batch_end(self, epoch, images, logs):
            losses.append(logs["loss"])

    theirs = mp.optim.OPTIMIZERS[optimizer](0.01, clip_norm=0.5)
    options = {"epochs": 1, "batch_size": 8, "progress": False, "callbacks": [Orders()], "optimizer": theirs}
    mp.fit(by_fit, IMAGES, LABELS, **options)
    order = mp.training.streams.Streams(0)(mp.training.streams.SHUFFLE, 0).permutation(13)
    for step, part in enumerate((order[:8], order[8:])):
        loss, gradients = by_hand.value_and_gradients(IMAGES[part], LABELS[part], workers=1)
        assert step or loss == losses[0]
        ours.step(by_hand, gradients)
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_array_equal(weight, by_fit.state_dict()[name], err_msg=name)


def test_grad_stays_as_it_is():
    """Nothing is written there, nor read from there by a step that is given gradients."""
    model, optimizer = make(), mp.optim.SGD(0.1)
    for parameter in model.parameters():
        parameter.grad = "mine"
    optimizer.step(model, model.value_and_gradients(IMAGES, LABELS)[1])
    assert all(parameter.grad == "mine" for parameter in model.parameters())


def test_gradients_stay_those_of_their_call():
    """Neither later calls, nor steps, nor threads that end change them; they may be copied."""
    model, optimizer = make(), mp.optim.Adam(0.1)
    _, gradients = model.value_and_gradients(IMAGES, LABELS)
    before, copied = {name: g.copy() for name, g in gradients.items()}, copy.deepcopy(gradients)
    for _ in range(3):
        optimizer.step(model, model.value_and_gradients(IMAGES, LABELS)[1])
    for name, g in before.items():
        np.testing.assert_array_equal(gradients[name], g)
        np.testing.assert_array_equal(copied[name], g)
    np.testing.assert_array_equal(copied.flat, gradients.flat)


def test_what_is_frozen_has_none():
    model = make()
    model.stem.weight = model.stem.weight.data
    _, gradients = model.value_and_gradients(IMAGES, LABELS)
    assert list(gradients) == [name for name in model.state_dict() if name != "stem.weight"]
    mp.optim.Adam().step(model, gradients)


def test_a_weight_without_influence_has_zeros():
    model = make()
    model.unused = mp.nn.Parameter(np.ones(3, np.float32))
    _, gradients = model.value_and_gradients(IMAGES, LABELS)
    np.testing.assert_array_equal(gradients["unused"], np.zeros(3))
    assert gradients.flat.size == model.num_parameters


@pytest.mark.parametrize("other", ["float64", "device"])
def test_weights_of_two_kinds_have_arrays_of_their_own(other):
    """And the same gradients, as they are written: a plan wants weights of one kind."""
    model, wanted = make(), make().value_and_gradients(IMAGES, LABELS)[1]
    unused = np.ones(3, np.float64 if other == "float64" else np.float32)
    model.unused = mp.nn.Parameter(unused if other == "float64" else to_device_array(unused))
    _, gradients = model.value_and_gradients(IMAGES, LABELS, workers=2)
    assert gradients.flat is None and isinstance(gradients["unused"], DeviceArray) == (other == "device")
    assert str(gradients.pop("unused").dtype) == str(unused.dtype)
    for name, g in wanted.items():
        np.testing.assert_allclose(gradients[name], g, rtol=1e-4, atol=1e-5 * abs(g).max())


def test_tied_weights_have_one_gradient_under_two_names():
    model = make(dtype="float64")
    model.blocks[1].widen.weight = model.blocks[0].widen.weight
    model.loss(IMAGES, LABELS).backward()
    _, gradients = model.value_and_gradients(IMAGES, LABELS)
    assert_close(gradients, model, rtol=1e-9, atol=1e-12)
    first, second = (gradients[f"blocks.{i}.widen.weight"] for i in (0, 1))
    assert np.shares_memory(first, second)
    assert gradients.flat.size == sum(p.data.size for p in {id(p): p for p in model.parameters()}.values())


def test_on_a_device(played_gpu):
    model, wanted = make(dtype="float64"), make(dtype="float64").value_and_gradients(IMAGES, LABELS, weights=WEIGHTS)
    model.to("cuda")
    value, gradients = model.value_and_gradients(IMAGES, LABELS, weights=WEIGHTS)
    assert value == pytest.approx(wanted[0], rel=1e-12) and isinstance(gradients.flat, DeviceArray)
    np.testing.assert_allclose(gradients.flat.get(), wanted[1].flat, rtol=1e-9, atol=1e-12)
    mp.optim.Adam().step(model, gradients)
    assert all(isinstance(parameter.data, DeviceArray) for parameter in model.parameters())


def test_dropout_draws_from_rng():
    model = make("dropout")

    def value(rng):
        return model.value_and_gradients(IMAGES, LABELS, rng=rng)[0]

    assert value(1) == value(1) == value(np.random.SeedSequence(1)) != value(2)
    assert value(None) == pytest.approx(model.loss(IMAGES, LABELS).item(), rel=1e-6)
    stream = np.random.default_rng(3)
    assert value(stream) != value(stream)


def test_the_loss_of_each_image():
    model = make(dtype="float64")
    each = model.loss(IMAGES, LABELS, reduction="none")
    np.testing.assert_allclose(each.data, -model.log_prob(IMAGES, LABELS), rtol=1e-12)
    weighted = model.loss(IMAGES, LABELS, weights=WEIGHTS, reduction="none")
    np.testing.assert_allclose(weighted.data, -WEIGHTS * model.log_prob(IMAGES, LABELS), rtol=1e-12)
    assert model.loss(IMAGES, LABELS, weights=WEIGHTS).item() == pytest.approx(weighted.data.sum() / 13, rel=1e-12)
    ops.total(weighted).backward()
    given = {name: parameter.grad / 13 for name, parameter in model.named_parameters()}
    for name, g in model.value_and_gradients(IMAGES, LABELS, weights=WEIGHTS)[1].items():
        np.testing.assert_allclose(g, given[name], rtol=1e-9, atol=1e-12)


def test_weights_of_one_change_next_to_nothing_and_whole_numbers_count_images():
    model = make(dtype="float64")
    plain, gradients = model.value_and_gradients(IMAGES, LABELS)
    for ones in (np.ones(13, int), [True] * 13):
        value, weighted = model.value_and_gradients(IMAGES, LABELS, weights=ones)
        assert value == pytest.approx(plain, rel=1e-12)
        np.testing.assert_allclose(weighted.flat, gradients.flat, rtol=1e-9, atol=1e-12)
    counts = np.arange(13) % 3
    twice = model.value_and_gradients(IMAGES.repeat(counts, axis=0), LABELS.repeat(counts))[0] * counts.sum() / 13
    assert model.value_and_gradients(IMAGES, LABELS, weights=counts)[0] == pytest.approx(twice, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": np.ones(12)}, "weights: got float64 of shape (12,), wanted 13 numbers, one for each image"),
        (
            {"weights": np.ones((13, 1))},
            "weights: got float64 of shape (13, 1), wanted 13 numbers, one for each image; ",
        ),
        ({"weights": 2.0}, "weights: got float64 of shape (), wanted 13 numbers, one for each image"),
        ({"weights": ["one"] * 13}, "weights: got <U3 of shape (13,), wanted 13 numbers, one for each image"),
        ({"weights": [np.nan] + [1] * 12}, "weights: got nan, wanted finite numbers, in float32 too"),
        ({"weights": [1] * 12 + [1e300]}, "weights: got 1e+300, wanted finite numbers, in float32 too"),
        ({"weights": "all"}, "weights: got "),
        ({"rng": "no"}, "rng: got 'no', wanted None, a whole number"),
    ],
)
def test_arguments_that_cannot_be_meant(options, message):
    model = make()
    for ask in (model.value_and_gradients, model.loss):
        with pytest.raises(ValueError, match="^" + re.escape(message)) as error:
            ask(IMAGES, LABELS, **options)
        assert "\n" not in str(error.value)


def test_only_of_one_of_them():
    model = make()
    with pytest.raises(ValueError, match=r"^reduction: got 'sum', wanted one of 'mean', 'none'"):
        model.loss(IMAGES, LABELS, reduction="sum")
    with pytest.raises(ValueError, match=r"^workers: got 0, wanted a number of threads"):
        model.value_and_gradients(IMAGES, LABELS, workers=0)
    with pytest.raises(ValueError, match=r"^condition: got None, wanted 13 labels"):
        model.value_and_gradients(IMAGES)
    with pytest.raises(TypeError, match="did you mean 'weights'"):
        model.value_and_gradients(IMAGES, LABELS, sample_weight=WEIGHTS)
