"""Callbacks that change what training does: averaged weights, and learning rates by the epoch."""

import os
import signal

import numpy as np
import pytest
from model_table import CASES

import minipixel as mp
from minipixel.training import Interrupted
from minipixel.training.callbacks import EMA, Callback, LearningRate

IMAGES = np.random.default_rng(0).integers(0, 4, (50, 6, 5, 1)).astype(np.uint8)


def small(**options):
    return mp.models.PixelCNN((6, 5, 1), 4, **{"hidden": 8, "blocks": 2} | options)


def train(model, *callbacks, **options):
    return mp.fit(model, IMAGES, **{"epochs": 3, "batch_size": 24, "progress": False, "callbacks": callbacks} | options)


def assert_same_bits(a, b):
    for name, weight in a.items():
        np.testing.assert_array_equal(weight, b[name], err_msg=name)


class Recorder(Callback):
    """Weights at the start and after each step, and those that each epoch ends with."""

    def on_train_begin(self, model, images_in_all):
        self.model, self.weights, self.at_epoch_end, self.val_loss = model, [model.state_dict()], [], []

    def on_batch_end(self, epoch, images, logs):
        self.weights.append(self.model.state_dict())

    def on_epoch_end(self, epoch, logs):
        self.at_epoch_end.append(self.model.state_dict())
        self.val_loss.append(-self.model.log_prob(IMAGES[:10]).mean())


def averages(weights, decay):
    """By the definition, as one weighted sum: a weight's share is (1 - d) of its step times all d after it."""
    d = [min(decay, (1 + t) / (10 + t)) for t in range(1, len(weights))]
    shares = [np.prod(d[t:]) * (1 - d[t - 1] if t else 1) for t in range(len(weights))]
    assert sum(shares) == pytest.approx(1)
    return {name: sum(s * w[name] for s, w in zip(shares, weights, strict=True)) for name in weights[0]}


@pytest.mark.parametrize("decay", [0.9995, 0.25, 0.0])
def test_ema_is_its_definition(decay):
    model, recorder = small(dtype="float64"), Recorder()
    train(model, recorder, EMA(decay))
    assert len(recorder.weights) == 10  # the start and three epochs of three steps
    wanted = averages(recorder.weights, decay)
    for name, weight in model.state_dict().items():
        np.testing.assert_allclose(weight, wanted[name], rtol=1e-12, atol=1e-15, err_msg=name)
    if decay == 0:
        assert_same_bits(model.state_dict(), recorder.weights[-1])


def test_training_goes_on_with_its_own_weights():
    """All steps are those of a training without the callback, to the bit, validation or not."""
    with_ema, without = Recorder(), Recorder()
    train(small(), EMA(0.9), with_ema, validation=IMAGES[:10])
    train(small(), without)
    for a, b in zip(with_ema.weights, without.weights, strict=True):
        assert_same_bits(a, b)


def test_what_is_validated_and_saved_is_the_average():
    model, recorder = small(dtype="float64"), Recorder()
    history = train(model, EMA(0.9), recorder, validation=IMAGES[:10])
    for epoch, seen in enumerate(recorder.at_epoch_end):
        wanted = averages(recorder.weights[: 3 * epoch + 4], 0.9)
        for name, weight in seen.items():
            np.testing.assert_allclose(weight, wanted[name], rtol=1e-12, atol=1e-15)
    assert history.history["val_loss"] == recorder.val_loss
    assert_same_bits(model.state_dict(), recorder.at_epoch_end[-1])
    assert history.history["val_loss"][-1] == -model.log_prob(IMAGES[:10]).mean()


def test_ema_for_any_number_of_workers(monkeypatch):
    monkeypatch.setattr(mp.models.PixelCNN, "shard_size", 5)
    one, two = small(), small()
    train(one, EMA(0.9), workers=1)
    train(two, EMA(0.9), workers=2)
    assert_same_bits(one.state_dict(), two.state_dict())


@pytest.mark.parametrize("moment", ["on_batch_end", "on_evaluation_begin", "on_epoch_end"])
def test_ctrl_c_leaves_the_average(moment):
    """A first Ctrl-C, and two at once: wherever they come, the model ends with averaged weights."""
    for times in (1, 2):

        class Impatient(Callback):
            def interrupt(self, *arguments, times=times):
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)

        impatient, recorder, model = Impatient(), Recorder(), small(dtype="float64")
        setattr(impatient, moment, impatient.interrupt)
        with pytest.raises(Interrupted):
            train(model, EMA(0.9), recorder, impatient)
        wanted = averages(recorder.weights, 0.9)
        for name, weight in model.state_dict().items():
            np.testing.assert_allclose(weight, wanted[name], rtol=1e-12, atol=1e-15)
        assert len(recorder.weights) == (2 if moment == "on_batch_end" else 4)


def test_averaged_weights_are_a_causal_model():
    """The probabilities of all images sum to one, and masks hold, whatever was averaged."""
    case = CASES[0]
    model, images = case.model(), case.every_image()
    mp.fit(model, images[::2], epochs=3, batch_size=8, optimizer=mp.optim.Adam(0.02), callbacks=[EMA()], progress=False)
    assert np.exp(model.log_prob(images)).sum() == pytest.approx(1, abs=1e-12)
    mp.assert_causal(model)


def test_an_ema_may_be_used_again():
    ema, first, second = EMA(0.9), small(), small()
    train(first, ema)
    train(second, ema)
    assert_same_bits(first.state_dict(), second.state_dict())


def test_learning_rate_by_the_epoch():
    """As Keras does it: from the epoch and the rate before. Equal to a schedule that knows the epochs' steps."""
    heard = []

    def halve(epoch, rate):
        heard.append((epoch, rate))
        return rate if epoch == 0 else rate / 2

    optimizer, by_epoch, by_step = mp.optim.Adam(4e-3), small(), small()
    train(by_epoch, LearningRate(halve), optimizer=optimizer)
    assert heard == [(0, 4e-3), (1, 4e-3), (2, 2e-3)] and optimizer.learning_rate == 1e-3
    train(by_step, optimizer=mp.optim.Adam(mp.optim.piecewise([3, 6], [4e-3, 2e-3, 1e-3])))
    assert_same_bits(by_epoch.state_dict(), by_step.state_dict())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: EMA(1.0), r"decay: got 1.0, wanted a number in \[0, 1\)"),
        (lambda: EMA(-0.1), "decay: got -0.1"),
        (lambda: LearningRate(0.1), "schedule: got 0.1, wanted a function of"),
        (lambda: train(small(), LearningRate(lambda epoch, rate: -rate)), "learning_rate: got -0.001 for step 0"),
        (
            lambda: train(small(), LearningRate(lambda epoch, rate: rate), optimizer=mp.optim.SGD(lambda step: 0.1)),
            "LearningRate: got an optimizer with a schedule",
        ),
    ],
)
def test_bad_settings(make, match):
    with pytest.raises(ValueError, match=f"^{match}") as error:
        make()
    assert "\n" not in str(error.value)
