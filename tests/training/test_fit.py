"""The training loop: the same bits for any number of workers, honest numbers, clean stops."""

import io
import os
import signal
import sys
import time

import numpy as np
import pytest

import minipixel as mp
from minipixel.training import Callback, Interrupted
from minipixel.training.streams import DROPOUT, SHUFFLE, Streams

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 4, (50, 6, 5, 1)).astype(np.uint8)


def small(**options):
    return mp.models.PixelCNN((6, 5, 1), 4, **{"hidden": 8, "blocks": 2} | options)


def train(model=None, images=IMAGES, **options):
    model = model or small()
    history = mp.fit(model, images, **{"epochs": 2, "batch_size": 24, "progress": False} | options)
    return model, history


def assert_same_bits(a, b):
    for name, weight in a.state_dict().items():
        np.testing.assert_array_equal(weight, b.state_dict()[name], err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bit_identical_for_any_number_of_workers(dtype, monkeypatch):
    """With many shards a batch, and an augmentation that draws random numbers."""
    monkeypatch.setattr(mp.models.PixelCNN, "shard_size", 5)

    def flip(images, rng):
        return images[:, :, ::-1] if rng.random() < 0.5 else images

    runs = [train(small(dtype=dtype), workers=workers, transform=flip, rng=7) for workers in (1, 2, 3)]
    for model, history in runs[1:]:
        assert_same_bits(runs[0][0], model)
        for name in ("loss", "gradient_norm"):
            assert history.history[name] == runs[0][1].history[name]


def test_bit_identical_for_the_same_rng_and_not_for_another():
    first, _ = train(rng=1)
    assert_same_bits(first, train(rng=1)[0])
    assert_same_bits(first, train(rng=np.random.SeedSequence(1))[0])
    with pytest.raises(AssertionError):
        assert_same_bits(first, train(rng=2)[0])
    again = [train(rng=np.random.default_rng(5))[0] for _ in range(2)]
    assert_same_bits(*again)


def test_the_step_is_the_gradient_of_the_mean_loss(monkeypatch):
    """Whatever the cut into shards: one step equals the step of a loop of one's own over the whole batch."""
    monkeypatch.setattr(mp.models.PixelCNN, "shard_size", 7)
    by_fit, _ = train(small(dtype="float64"), epochs=1, batch_size=len(IMAGES))
    by_hand = small(dtype="float64")
    optimizer = mp.optim.Adam()
    by_hand.loss(IMAGES).backward()
    optimizer.step(by_hand)
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_allclose(by_fit.state_dict()[name], weight, rtol=1e-9, atol=1e-12, err_msg=name)


def test_history_and_loss():
    model = small()
    before = -model.log_prob(IMAGES).mean()
    model, history = train(model, epochs=4, validation=IMAGES[:10], optimizer=mp.optim.Adam(5e-3))
    numbers = history.history
    assert set(numbers) == {
        *("loss", "bits_per_dim", "gradient_norm", "val_loss", "val_bits_per_dim", "learning_rate", "seconds")
    }
    assert all(len(values) == 4 for values in numbers.values()) and history.epochs == 4
    assert numbers["loss"][-1] < before
    assert numbers["val_loss"][-1] == pytest.approx(-model.log_prob(IMAGES[:10]).mean(), rel=1e-6)
    assert numbers["val_bits_per_dim"][-1] == pytest.approx(model.bits_per_dim(IMAGES[:10]), rel=1e-6)
    assert numbers["bits_per_dim"][0] == pytest.approx(numbers["loss"][0] / (30 * np.log(2)))
    assert "History(4 epochs" in repr(history)


def test_the_loss_of_an_epoch_is_the_mean_over_images_not_batches():
    """With a learning rate of next to nothing it must equal the loss of the model, though the last batch is short."""
    model, history = train(epochs=1, batch_size=49, optimizer=mp.optim.Adam(1e-12))
    assert history.history["loss"][0] == pytest.approx(-model.log_prob(IMAGES).mean(), rel=1e-5)


def test_it_learns_what_there_is_to_learn():
    """Images that all show the same stripes: next to nothing is left to say."""
    stripes = np.tile(np.array([0, 3, 1], np.uint8), 20)[: 6 * 5].reshape(1, 6, 5, 1).repeat(32, axis=0)
    model, _ = train(images=stripes, epochs=60, batch_size=32, optimizer=mp.optim.Adam(1e-2))
    assert model.bits_per_dim(stripes[:1]) < 0.02
    np.testing.assert_array_equal(model.sample(4, rng=0, temperature=0.1), stripes[:4])


def test_transform_may_change_the_levels():
    grey = RNG.integers(0, 256, (20, 6, 5, 1)).astype(np.uint8)
    model = mp.models.PixelCNN((6, 5, 1), 2, hidden=4, blocks=1)
    _, history = train(model, grey, transform=lambda x, rng: mp.datasets.binarize(x, 256, "dynamic", rng))
    assert np.isfinite(history.history["loss"]).all()


class Interrupter(Callback):
    """Ctrl-C after so many batches."""

    def __init__(self, after):
        self.after = after

    def on_batch_end(self, epoch, images, logs):
        self.after -= 1
        if self.after == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_finishes_the_step_and_keeps_the_model():
    before = signal.getsignal(signal.SIGINT)
    model = small()
    with pytest.raises(Interrupted) as stop:
        train(model, epochs=50, callbacks=[Interrupter(after=5)])
    assert isinstance(stop.value, KeyboardInterrupt)
    assert stop.value.history.epochs == 2  # three batches per epoch
    assert signal.getsignal(signal.SIGINT) is before
    same = small()
    with pytest.raises(Interrupted):
        train(same, epochs=50, callbacks=[Interrupter(after=5)])
    assert_same_bits(model, same)


def test_a_second_ctrl_c_stops_at_once_and_keeps_the_model():
    class Impatient(Callback):
        def on_epoch_end(self, epoch, logs):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)

    model, started = small(), time.monotonic()
    with pytest.raises(Interrupted) as stop:
        train(model, epochs=50, callbacks=[Impatient()])
    assert time.monotonic() - started < 20 and stop.value.history.epochs == 1
    assert all(np.isfinite(weight).all() for weight in model.state_dict().values())


def test_callbacks_hear_everything():
    heard = []

    class Listener(Callback):
        def on_train_begin(self, model, images_in_all):
            heard.append(("begin", images_in_all))

        def on_epoch_begin(self, epoch, optimizer):
            heard.append(("epoch begins", epoch, type(optimizer)))

        def on_batch_end(self, epoch, images, logs):
            heard.append(("batch", epoch, images, sorted(logs)))

        def on_evaluation_begin(self):
            heard.append(("evaluation",))

        def on_epoch_end(self, epoch, logs):
            heard.append(("epoch", epoch, sorted(logs)))

        def on_evaluation_end(self):
            heard.append(("evaluated",))

        def on_train_end(self):
            heard.append(("end",))

    train(epochs=1, callbacks=[Listener()])
    batches = [("batch", 0, n, ["bits_per_dim", "gradient_norm", "loss"]) for n in (24, 24, 2)]
    begin = [("begin", 50), ("epoch begins", 0, mp.optim.Adam)]
    end = [
        ("evaluation",),
        ("epoch", 0, ["bits_per_dim", "gradient_norm", "learning_rate", "loss", "seconds"]),
        ("evaluated",),
        ("end",),
    ]
    assert heard == [*begin, *batches, *end]


def test_progress_in_a_file_is_lines(capsys):
    train(progress=True, epochs=3)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("compiling the kernels")]
    assert len(lines) == 2  # the first and the last epoch; a third would come after ten seconds
    assert lines[0].startswith("epoch 1/3  loss ") and "bits_per_dim" in lines[0] and "images/s" in lines[0]
    assert lines[1].endswith(" 0 s left")


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    train(progress=True, epochs=1)
    drawn = terminal.getvalue()
    assert "epoch 1/1" in drawn and "loss=" in drawn and "bits_per_dim=" in drawn and "images/s" in drawn


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"epochs": 0}, "epochs: got 0, wanted"),
        ({"epochs": 1.5}, "epochs: got 1.5"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"workers": 0}, "workers: got 0, wanted a number of threads"),
        ({"workers": 1.5}, "workers: got 1.5"),
        ({"images": IMAGES.astype(float)}, "images: got dtype float64"),
        ({"images": IMAGES + 200}, "images: got levels 200..203"),
        ({"images": IMAGES[:0]}, "images: got shape .0, 6, 5, 1."),
        ({"images": IMAGES[:0], "transform": lambda x, rng: x}, "number of images: got 0"),
        ({"validation": IMAGES[:, :5]}, "images: got shape .50, 5, 5, 1."),
        ({"validation": (IMAGES, np.zeros(50, int))}, "condition: got one"),
        ({"condition": np.zeros(50, int)}, "condition: got one"),
        ({"anomaly": 1}, "anomaly: got 1, wanted True or False"),
    ],
)
def test_bad_arguments(options, match):
    model = small()
    before = model.state_dict()
    with pytest.raises(ValueError, match=match) as error:
        train(model, **options)
    assert "\n" not in str(error.value)
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


def test_streams_depend_on_the_key_alone():
    streams = Streams(3)
    a = streams(SHUFFLE, 1).random(4)
    streams(DROPOUT, 0, 0, 0).random(100)
    np.testing.assert_array_equal(a, streams(SHUFFLE, 1).random(4))
    np.testing.assert_array_equal(a, Streams(np.random.SeedSequence(3))(SHUFFLE, 1).random(4))
    others = [streams(SHUFFLE, 2), streams(DROPOUT, 1), Streams(4)(SHUFFLE, 1), Streams(None)(SHUFFLE, 1)]
    assert all((a != other.random(4)).any() for other in others)


def test_blas_threads_are_restored():
    """From 3, since tests otherwise run with one, which nobody could tell from being held to one."""
    import scipy.linalg.cython_blas  # noqa: F401  (as compiled kernels do)
    import threadpoolctl

    def numbers():
        return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        before = numbers()
        assert max(before) > 1
        train(epochs=1)
        assert numbers() == before


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_the_norm_of_the_gradient_is_the_mean_over_an_epochs_steps_before_clipping(clip_norm):
    """With a rate that moves no weight, every batch's gradient can be computed again."""
    model, optimizer = small(), mp.optim.SGD(1e-30, clip_norm=clip_norm)
    history = mp.fit(model, IMAGES, epochs=2, batch_size=24, optimizer=optimizer, progress=False)
    for epoch in range(2):
        order = Streams(0)(SHUFFLE, epoch).permutation(len(IMAGES))
        gradients = [model.value_and_gradients(IMAGES[order[i : i + 24]])[1] for i in range(0, len(IMAGES), 24)]
        norms = [np.linalg.norm(g.flat.astype(float)) for g in gradients]
        assert history.history["gradient_norm"][epoch] == pytest.approx(np.mean(norms), rel=1e-5)
