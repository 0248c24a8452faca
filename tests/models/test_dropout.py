"""Dropout: on exactly when a forward pass is given an rng, and never a way for the future to leak."""

import numpy as np
import pytest
from model_table import CASES

import minipixel as mp
from minipixel.tensor import Tensor, gradients

SHAPE = (6, 5, 1)
IMAGES = np.random.default_rng(0).integers(0, 4, (50, *SHAPE)).astype(np.uint8)
dropping_cases = pytest.mark.parametrize(
    "case", [case for case in CASES if case.variant == "dropout"], ids=lambda case: case.id
)


def small(**options):
    return mp.models.PixelCNN(SHAPE, 4, **{"hidden": 8, "blocks": 2, "dropout": 0.5, "dtype": "float64"} | options)


def loss(model, rng=None, images=IMAGES):
    return float(model.loss(images, rng=rng).data)


def test_on_exactly_with_an_rng():
    """Without one, likelihoods and samples are those of the same weights in a model that has no dropout."""
    model, plain = small(), small(dropout=0.0)
    assert loss(model) == loss(plain) == loss(plain, rng=0) == pytest.approx(-model.log_prob(IMAGES).mean(), rel=1e-12)
    assert loss(model, rng=0) != loss(model)
    np.testing.assert_array_equal(model.log_prob_map(IMAGES), plain.log_prob_map(IMAGES))
    np.testing.assert_array_equal(model.predict(IMAGES), plain.predict(IMAGES))
    np.testing.assert_array_equal(model.sample(5, rng=3), plain.sample(5, rng=3))


def test_the_same_rng_drops_the_same():
    model = small()
    first = loss(model, rng=1)
    assert first == loss(model, np.random.SeedSequence(1)) == loss(model, np.random.default_rng(1))
    assert first != loss(model, rng=2)
    generator = np.random.default_rng(1)
    assert loss(model, generator) != loss(model, generator)  # it goes on, as every Generator does


def test_the_mean_is_preserved():
    """Each element is dropped with the rate asked for, and the mean over draws is the element, within 5 sigmas."""
    x, rng, n = np.array([[-2.0, 0.5, 3.0]]), np.random.default_rng(0), 20_000
    for rate in (0.1, 0.5, 0.9):
        layer = mp.nn.Dropout(rate)
        drawn = np.array([layer(x, rng) for _ in range(n)])
        assert abs((drawn == 0).mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / (3 * n))
        np.testing.assert_array_less(np.abs(drawn.mean(axis=0) - x), 5 * np.abs(x) * np.sqrt(rate / (1 - rate) / n))
        np.testing.assert_allclose(drawn[drawn != 0], np.broadcast_to(x / (1 - rate), drawn.shape)[drawn != 0])


def test_elements_are_dropped_one_by_one():
    """Not whole feature maps: neighbours in any direction share their fate no more often than chance has it."""
    kept = mp.nn.Dropout(0.5)(np.ones((20, 20, 20, 20)), np.random.default_rng(0)) > 0
    for axis in range(4):
        same = (np.delete(kept, 0, axis) == np.delete(kept, -1, axis)).mean()
        assert abs(same - 0.5) < 5 * 0.5 / np.sqrt(kept.size)


@dropping_cases
def test_with_a_fixed_draw_it_is_a_causal_model(case):
    """What is dropped does not depend on the image, so one draw is a thinner model: its probabilities sum to one."""
    model = case.model()
    total = sum(np.exp(-loss(model, rng=7, images=image[None])) for image in case.every_image())
    assert total == pytest.approx(1, abs=1e-9)


@dropping_cases
def test_gradients_see_no_future(case):
    """Row by row of the Jacobian, with dropout on: nothing reads itself or what is later, and something is read."""
    model, order = case.model(), case.model().order.ravel()
    image = case.every_image()[3]
    found = np.zeros((order.size, order.size), bool)
    for place, (r, c, channel) in enumerate(np.ndindex(*case.shape)):
        x = Tensor(model.scaled(image[:, :, None]))
        parameters = model.forward(x, None, np.random.default_rng(7))
        seed = np.zeros(parameters.shape)
        seed[r, c, 0] = model.head.groups == channel
        found[place] = gradients(parameters, [x], seed * np.arange(1, seed.shape[-1] + 1))[0].ravel() != 0
    assert not (found & (order[None, :] >= order[:, None])).any() and found.any()


@dropping_cases
def test_gradients_with_dropout_on(case):
    """The complex step through a whole loss whose rng is fixed."""
    model = case.model()
    plain = model.loss
    model.loss = lambda images, condition: plain(images, condition, rng=3)
    assert mp.gradcheck_model(model, case.every_image()[3:8]) <= 1e-10


def test_bit_identical_for_any_number_of_workers(monkeypatch):
    """What a shard drops depends on the step and the shard, not on the thread that works on it."""
    monkeypatch.setattr(mp.models.PixelCNN, "shard_size", 5)
    runs = []
    for workers in (1, 2):
        model = small(dtype="float32")
        history = mp.fit(model, IMAGES, epochs=2, batch_size=24, workers=workers, progress=False)
        runs.append((model.state_dict(), history.history["loss"]))
    assert runs[0][1] == runs[1][1]
    for name, weight in runs[0][0].items():
        np.testing.assert_array_equal(weight, runs[1][0][name], err_msg=name)


def test_fit_trains_with_dropout():
    """At a learning rate of next to nothing: an epoch's loss is not that of the whole model, and differs by epoch."""
    model = small()
    history = mp.fit(
        model, IMAGES, validation=IMAGES, epochs=2, optimizer=mp.optim.SGD(1e-12), rng=0, progress=False
    ).history
    assert history["val_loss"] == pytest.approx([loss(model)] * 2, rel=1e-9)
    assert abs(history["loss"][0] - loss(model)) > 1e-3 and abs(history["loss"][0] - history["loss"][1]) > 1e-3


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"^dropout: got a keep of shape \(3,\), wanted \(2, 3\), the shape of x$"):
        mp.ops.dropout(np.ones((2, 3)), keep=np.ones(3, bool), rate=0.5)
