"""Numbers that stop being finite: said at once, with what there is to know, and before they spoil anything."""

import re

import numpy as np
import pytest

import minipixel as mp
from minipixel.tensor import op
from minipixel.training import EMA, Callback, ModelCheckpoint
from minipixel.training.checkpoints import find

IMAGES = np.random.default_rng(0).integers(0, 4, (22, 4, 4, 1)).astype(np.uint8)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*runs as it is written, slower:RuntimeWarning"),  # ops made for these tests
]


def model(**options):
    return mp.models.PixelCNN((4, 4, 1), 4, **{"hidden": 2, "blocks": 2, "dropout": 0.2} | options)


class At(Callback):
    """Does something to the model after so many steps, and keeps the weights of each step."""

    def __init__(self, after, change):
        self.after, self.change, self.weights = after, change, []

    def on_train_begin(self, model, images_in_all):
        self.model = model

    def on_batch_end(self, epoch, images, logs):
        self.weights.append(self.model.state_dict())
        if len(self.weights) == self.after:
            self.change(self.model)


def fails(net, *callbacks, match, **options):
    options = {"batch_size": 6, "progress": False, "epochs": 3, "callbacks": callbacks} | options
    with pytest.raises(mp.NonFiniteError, match=match) as error:
        mp.fit(net, IMAGES, **options)
    assert "\n" not in str(error.value) and isinstance(error.value, FloatingPointError)
    return error.value


def broken(where, value):
    """Puts a number into the first place of a weight."""

    def change(net):
        parameter = dict(net.named_parameters())[where]
        parameter.data = parameter.data.copy()
        parameter.data.flat[0] = value

    return change


@op
def square_root_of_nothing(x):
    """The value is finite, 0; its derivative is not."""
    return x * 0, lambda g: (g / (x * 0),)


@op
def explode(x):
    """A value that is not finite."""
    return x / 0, lambda g: (g,)


def blows_up(which, layer):
    """From now on the output of that layer goes through an op of the above."""

    def change(net):
        block = net.blocks[1]
        inner = getattr(block, layer)
        setattr(block, layer, _After(inner, which))

    return change


class _After(mp.nn.Module):
    def __init__(self, inner, which):
        self.inner, self.which = inner, which

    def __call__(self, *inputs):
        y = self.inner(*inputs)
        return y + self.which(y)


@pytest.mark.parametrize("anomaly", [False, True])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_loss_that_is_not_finite(anomaly, workers, monkeypatch, tmp_path):
    monkeypatch.setattr(mp.models.Model, "shard_size", 2)
    net, at = model(), At(6, blows_up(explode, "narrow"))
    error = fails(
        net,
        *(at, ModelCheckpoint(tmp_path, save_freq=1)),
        match=r"^loss: got nan in epoch 1, step 2 \(both from 0\), wanted finite numbers; ",
        anomaly=anomaly,
        workers=workers,
    )
    assert (error.epoch, error.step, error.history.epochs) == (1, 2, 1)
    order = mp.training.streams.Streams(0)(mp.training.streams.SHUFFLE, 1).permutation(22)
    np.testing.assert_array_equal(error.images, order[12:18])
    assert ", ".join(map(str, error.images)) in str(error)
    found = "explode after blocks.1.narrow.inner, in the forward pass"
    assert error.first == (found if anomaly else None)
    assert (f"first in {found}" if anomaly else "fit(..., anomaly=True) finds the first op") in str(error)
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(weight, at.weights[-1][name.replace(".inner", "")])
    position = find(tmp_path).position
    assert (position.epoch, position.step) == (1, 2)


def test_the_layer_is_named_where_a_plan_stands_for_many():
    def overflow(net):
        for weight in ("layers.0.out.weight", "layers.1.horizontal.weight"):
            broken(weight, 1e30)(net)

    net = mp.models.GatedPixelCNN((4, 4, 1), 4, filters=4, layers=3)
    error = fails(net, At(2, overflow), match="^(loss|gradient): got ", anomaly=True)
    assert error.first == "conv2d of layers.1.horizontal, in the forward pass"


def test_a_gradient_that_is_not_finite():
    net, at = model(), At(2, blows_up(square_root_of_nothing, "narrow"))
    error = fails(
        net, at, match=r"^gradient: got NaN, infinity or squares beyond its dtype, of a loss of ", anomaly=True
    )
    assert error.first == "square_root_of_nothing after blocks.1.narrow.inner, in the backward pass"
    assert (error.epoch, error.step) == (0, 2)
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(weight, at.weights[-1][name.replace(".inner", "")])


def test_a_weight_that_is_not_finite():
    """The callback's doing, so the search names no op."""
    at = At(2, broken("blocks.0.narrow.weight", np.nan))
    assert (
        fails(model(), at, match="^loss: got nan", anomaly=True).first
        == "the weight blocks.0.narrow.weight, before any op"
    )


def test_an_op_that_overflows_in_a_layer():
    """The one that reads the weight is named, though all that comes after it is not finite either."""

    def huge(net):
        net.stem.weight.data = np.full_like(net.stem.weight.data, 3e38)

    error = fails(model(), At(1, huge), match="^loss: got nan", anomaly=True)
    assert error.first == "conv2d of stem, in the forward pass"


@pytest.mark.parametrize("optimizer", [mp.optim.Adam, mp.optim.SGD])
def test_a_step_that_would_spoil_the_weights_is_taken_back(optimizer):
    net, at = model(), At(99, None)
    error = fails(
        *(net, at),
        match="^weights: got NaN or infinity by a step of the optimizer, in epoch 0, step 2",
        optimizer=optimizer(lambda step: 1e-3 if step < 2 else 1e300),
        anomaly=True,
    )
    assert error.first == "no op, only in what became of the gradients after them"
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(weight, at.weights[-1][name])


def test_gradients_too_large_to_square_are_for_clipping():
    """In float32 their squares would be infinite, and stop a weight for good; scaled down they do no harm."""

    @op
    def steep(x):
        return x * 0, lambda g: (g * np.float32(1e25),)

    at = At(1, blows_up(steep, "narrow"))
    fails(model(), at, match="^gradient: got NaN, infinity or squares beyond")
    for clipped in (mp.optim.Adam(clip_norm=1.0), mp.optim.SGD(clip_norm=1.0)):
        net = model()
        mp.fit(
            *(net, IMAGES),
            **{"batch_size": 6, "progress": False, "epochs": 1, "optimizer": clipped},
            callbacks=[At(1, blows_up(steep, "narrow"))],
        )
        assert all(np.isfinite(weight).all() for weight in net.state_dict().values())


def test_with_averages_the_model_keeps_them():
    net, ema = model(), EMA(0.9)
    fails(net, ema, At(5, broken("stem.bias", np.inf)), match="^loss: got", epochs=2)
    # the average has taken in five steps, the last of them before the weight was broken
    kept, other = model(), EMA(0.9)

    class Stop(Callback):
        def on_batch_end(self, epoch, images, logs):
            self.stop_training = epoch == 1

    mp.fit(kept, IMAGES, batch_size=6, progress=False, epochs=2, callbacks=[other, Stop()])
    for name, weight in net.state_dict().items():
        np.testing.assert_array_equal(weight, kept.state_dict()[name])


def test_a_callback_may_end_training_instead(tmp_path):
    class End(Callback):
        def on_not_finite(self, error):
            self.error, self.stop_training = error, True

    for after, epochs in ((6, 2), (4, 1)):  # in the middle of the second epoch, and at its first step
        end, net = End(), model()
        saving = ModelCheckpoint(tmp_path / str(after))
        at = At(after, broken("stem.bias", np.nan))
        history = mp.fit(net, IMAGES, batch_size=6, progress=False, epochs=3, callbacks=[end, at, saving])
        assert history.epochs == epochs and (end.error.epoch, end.error.step) == (1, after - 4)
        position = find(tmp_path / str(after)).position
        assert (position.epoch, position.step) == (1, 0)
        assert re.match("loss: got nan", str(end.error))


def test_a_training_that_goes_well_is_the_same():
    plain, looked_at = model(), model()
    for net, anomaly in ((plain, False), (looked_at, True)):
        mp.fit(net, IMAGES, batch_size=6, progress=False, epochs=2, anomaly=anomaly)
    for name, weight in plain.state_dict().items():
        np.testing.assert_array_equal(weight, looked_at.state_dict()[name])
