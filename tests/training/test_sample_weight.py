"""`fit(..., sample_weight=)`: what an image counts in the gradient, and in nothing else."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_table import SMALL
from stopping import Stop

import minipixel as mp
from minipixel.kernels import as_written
from minipixel.training import EarlyStopping, ModelCheckpoint
from minipixel.training.arguments import held_out
from minipixel.training.streams import SHUFFLE, VALIDATION, Streams

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (13, 4, 3, 1)).astype(np.uint8)
LABELS = RNG.integers(0, 3, 13)
WEIGHTS = np.array([0, 1, -0.5, 2, *RNG.random(9)])


@pytest.fixture(autouse=True)
def several_shards(monkeypatch):
    monkeypatch.setattr(mp.models.Model, "shard_size", 3)


def make(name="pixelcnn", **options):
    model = mp.models.MODELS[name]((4, 3, 1), 4, **SMALL[name] | {"num_classes": 3} | options)
    model.initialize(IMAGES, LABELS)
    return model


def train(model, **options):
    options = {"epochs": 2, "batch_size": 5, "progress": False, "optimizer": mp.optim.SGD(0.01)} | options
    return mp.fit(model, IMAGES, LABELS, **options).history


def assert_same(model, other):
    for (name, weight), same in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(weight, same, err_msg=name)


WEIGHT = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 1e-30]), st.floats(-100, 100, width=32))


@settings(max_examples=12, deadline=None)
@given(weights=st.lists(WEIGHT, min_size=13, max_size=13), name=st.sampled_from(["pixelcnn", "gated", "row-lstm"]))
def test_any_weights(weights, name):
    """By plan and as written, by any number of workers: the sum of w_n * -log p_n over N, and its gradients."""
    model = make(name, dtype="float64")
    wanted = float(-(model.log_prob(IMAGES, LABELS) @ weights) / 13)
    close = {"rtol": 1e-9, "atol": 1e-9}
    value, gradients = model.value_and_gradients(IMAGES, LABELS, weights=weights, workers=1)
    np.testing.assert_allclose(value, wanted, **close)
    np.testing.assert_allclose(model.loss(IMAGES, LABELS, weights=weights).item(), wanted, **close)
    for workers in (2, 3):
        again, others = model.value_and_gradients(IMAGES, LABELS, weights=weights, workers=workers)
        assert again == value
        np.testing.assert_array_equal(others.flat, gradients.flat)
    with as_written():
        value, slow = model.value_and_gradients(IMAGES, LABELS, weights=weights)
    np.testing.assert_allclose(value, wanted, **close)
    np.testing.assert_allclose(slow.flat, gradients.flat, **close)
    each = model.loss(IMAGES, LABELS, weights=weights, reduction="none").data
    np.testing.assert_allclose(each, -model.log_prob(IMAGES, LABELS) * weights, **close)


@pytest.mark.parametrize("written", [False, True], ids=["planned", "as written"])
def test_it_is_a_step_with_weights_and_a_loss_without(written):
    """Batch by batch what value_and_gradients gives by hand, with a transform, and the plain loss in the history."""
    by_fit, by_hand, optimizer = make(), make(), mp.optim.SGD(0.01)
    losses = []

    def darker(images, rng):
        return images // 2

    def run():
        history = train(by_fit, epochs=1, sample_weight=WEIGHTS, transform=darker)
        order = Streams(0)(SHUFFLE, 0).permutation(13)
        for part in (order[:5], order[5:10], order[10:]):
            given = IMAGES[part] // 2, LABELS[part]
            losses.append(by_hand.value_and_gradients(*given)[0] * len(part))
            optimizer.step(by_hand, by_hand.value_and_gradients(*given, weights=WEIGHTS[part])[1])
        return history

    if written:
        with as_written():
            history = run()
    else:
        history = run()
    assert_same(by_fit, by_hand)
    assert history["loss"] == [pytest.approx(sum(losses) / 13, rel=1e-6)]


def test_an_image_of_weight_0_teaches_nothing():
    """Others in its place change no weight; and their own validation counts all images alike."""
    weights = np.arange(13) % 2
    models = make(), make()
    for model, unseen in zip(models, (IMAGES, 3 - IMAGES), strict=True):
        images = np.where(weights[:, None, None, None], IMAGES, unseen)
        mp.fit(model, images, LABELS, sample_weight=weights, epochs=2, batch_size=5, progress=False)
    assert_same(*models)
    stopping = EarlyStopping(patience=9)
    model = make()
    history = train(model, sample_weight=weights, validation=(IMAGES, LABELS), callbacks=stopping)
    assert history["val_loss"][-1] == pytest.approx(-model.log_prob(IMAGES, LABELS).mean(), rel=1e-12)
    assert stopping.best == min(history["val_loss"])


def test_weights_follow_their_images_into_a_share():
    """Of a share for validation: the weights of those that are trained on, image by image."""
    learned, _ = held_out(13, 0.3, Streams(0)(VALIDATION))
    ours, theirs = make(), make()
    train(ours, sample_weight=WEIGHTS, validation=0.3)
    options = {"epochs": 2, "batch_size": 5, "progress": False, "optimizer": mp.optim.SGD(0.01)}
    mp.fit(theirs, IMAGES[learned], LABELS[learned], sample_weight=WEIGHTS[learned], **options)
    assert_same(ours, theirs)


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_resumed_to_the_bit(steps, tmp_path):
    whole, again = make("pixelcnnpp"), make("pixelcnnpp")
    options = {"sample_weight": WEIGHTS, "epochs": 3}
    history = train(whole, workers=1, **options)
    train(make("pixelcnnpp"), callbacks=[Stop(steps), ModelCheckpoint(tmp_path)], workers=2, **options)
    for other in (None, WEIGHTS[::-1], WEIGHTS * 2):
        with pytest.raises(ValueError, match=r"^resume: got sample_weight .*wanted .*; give the same") as e:
            train(again, resume=tmp_path, **options | {"sample_weight": other})
        assert "\n" not in str(e.value)
    resumed = train(again, resume=tmp_path, **options)
    assert_same(whole, again)
    assert resumed["loss"] == history["loss"]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.ones(12), "sample_weight: got float64 of shape (12,), wanted 13 numbers, one for each image"),
        (np.ones((13, 1)), "one for each image; take the axis away: sample_weight[:, 0]"),
        (2.0, "sample_weight: got float64 of shape (), wanted 13 numbers, one for each image"),
        (["one"] * 13, "sample_weight: got <U3 of shape (13,), wanted 13 numbers"),
        ([np.nan] * 13, "sample_weight: got nan, wanted finite numbers, in float32 too"),
        ([1e300] * 13, "sample_weight: got 1e+300, wanted finite numbers, in float32 too"),
    ],
)
def test_bad_weights(weights, said):
    model, before = make(), make()
    with pytest.raises(ValueError, match=re.escape(said)) as e:
        train(model, sample_weight=weights)
    assert "\n" not in str(e.value)
    assert_same(model, before)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_what_is_not_finite_is_traced_with_its_weights():
    """`anomaly` looks at the batch again with the weights that it had."""
    model = make()
    with pytest.raises(mp.NonFiniteError, match=r"first in .*, in the (forward|backward) pass"):
        train(model, sample_weight=[3e38] * 13, anomaly=True)
