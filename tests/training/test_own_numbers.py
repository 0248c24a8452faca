"""Numbers that a callback adds to `logs`: where they go, that they survive a resume, and what is no number."""

import csv
import re

import numpy as np
import pytest

import minipixel as mp
from minipixel.training.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    TensorBoard,
)
from minipixel.training.checkpoints import in_folder

IMAGES = np.random.default_rng(0).integers(0, 3, (12, 4, 3, 1)).astype(np.uint8)


def small(**options):
    return mp.models.PixelCNN((4, 3, 1), 3, **{"hidden": 3, "blocks": 1} | options)


def train(model, callbacks, **options):
    return mp.fit(model, IMAGES, callbacks=callbacks, **{"epochs": 4, "batch_size": 4, "progress": False} | options)


class Mine(Callback):
    """Adds numbers: value(epoch) of each, or none of that epoch if it is None."""

    def __init__(self, **values):
        self.values = values

    def on_epoch_end(self, epoch, logs):
        logs.update({name: value(epoch) for name, value in self.values.items() if value(epoch) is not None})


class Blank(Callback):
    """Adds the likelihood of a blank picture, by the weights that were validated: a number of the model's own."""

    def on_train_begin(self, model, images_in_all):
        self.model = model

    def on_epoch_end(self, epoch, logs):
        logs["blank"] = self.model.log_prob(np.zeros((1, 4, 3, 1), np.uint8))[0]


def columns(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("first", [False, True])
def test_they_reach_all_that_reads_numbers_wherever_it_stands(tmp_path, first):
    """History, log, TensorBoard and both monitors, before and behind the callback that adds them."""
    tensorboard = pytest.importorskip("tensorboardX.proto.event_pb2")
    stopping = EarlyStopping("mine", patience=1)
    best = ModelCheckpoint(tmp_path / "best", "mine", save_best_only=True)
    readers = [CSVLogger(tmp_path / "log.csv"), TensorBoard(tmp_path / "board", every=None), stopping, best]
    mine = Mine(mine=lambda epoch: np.float32([0.5, 0.25, 0.75, 0][epoch]))
    history = train(small(), [mine, *readers] if first else [*readers, mine]).history
    assert history["mine"] == [0.5, 0.25, 0.75] and type(history["mine"][0]) is float
    assert columns(tmp_path / "log.csv")["mine"] == ["0.5", "0.25", "0.75"]
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (0.25, 1, 2)
    assert [file.name[:16] for file in in_folder(tmp_path / "best")] == ["checkpoint-00002", "checkpoint-00001"]
    (file,) = (tmp_path / "board").iterdir()
    assert tensorboard and file.read_bytes().count(b"mine") == 3


def test_the_best_may_be_the_largest(tmp_path):
    values = [1.0, 3.0, np.nan, 2.0, 4.0]
    stopping = EarlyStopping("mine", patience=3, restore_best_weights=True, mode="max")
    best = ModelCheckpoint(tmp_path, "mine", save_best_only=True, mode="max", keep=9)
    model = small()
    train(model, [stopping, best, Mine(mine=lambda epoch: values[epoch])], epochs=5)
    assert (stopping.best, stopping.best_epoch, stopping.stopped_epoch) == (4.0, 4, None)
    assert [file.name[:16] for file in in_folder(tmp_path)] == [f"checkpoint-0000{n}" for n in (5, 2, 1)]
    for kind in (EarlyStopping, lambda **mode: ModelCheckpoint(tmp_path, **mode)):
        with pytest.raises(ValueError, match=r"^mode: got 'maximum', wanted one of 'min', 'max'"):
            kind(mode="maximum")


def test_epochs_without_one_are_nan_in_the_history_and_empty_in_the_log(tmp_path):
    model, log = small(), CSVLogger(tmp_path / "log.csv")
    history = train(model, [log, Mine(late=lambda epoch: epoch if epoch in (1, 3) else None)])
    np.testing.assert_array_equal(history.history["late"], [np.nan, 1, np.nan, 3])
    assert columns(tmp_path / "log.csv")["late"] == ["", "1.0", "", "3.0"]
    assert history.epochs == 4 and "late 3" in repr(history) and history.plot()


def test_what_is_replaced_is_replaced_everywhere(tmp_path):
    stopping = EarlyStopping(patience=9)
    watchers = [stopping, CSVLogger(tmp_path / "log.csv"), Mine(val_loss=lambda epoch: [3, 1, 2, 4][epoch])]
    history = train(small(), watchers, validation=IMAGES[:3]).history
    assert history["val_loss"] == [3, 1, 2, 4] and stopping.best_epoch == 1
    assert columns(tmp_path / "log.csv")["val_loss"] == ["3.0", "1.0", "2.0", "4.0"]
    assert len(history["loss"]) == len(history["val_bits_per_dim"]) == 4


class Kill(Callback):
    def __init__(self, step):
        self.left = step

    def on_batch_end(self, epoch, images, logs):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [2, 3, 7, 9])
def test_resumed_to_the_bit(tmp_path, steps):
    """With averaged weights; what was added before the kill, and how monitors count, are as if nothing had happened."""

    def run(folder, resume=None, *more):
        model, stopping = small(), EarlyStopping("blank", patience=2, mode="max")
        watchers = [CSVLogger(folder / "log.csv"), stopping, EMA(0.9), Blank()]
        watchers += [Mine(odd=lambda epoch: np.pi**epoch if epoch % 2 else None), *more]
        watchers += [ModelCheckpoint(folder / "checkpoints", save_freq=1)]
        history = train(model, watchers, resume=resume, optimizer=mp.optim.Adam(0.02)).history
        log = columns(folder / "log.csv")
        del history["seconds"], log["seconds"]
        return model.state_dict(), history, log, (stopping.best, stopping.best_epoch, stopping.wait)

    weights, history, *rest = run(tmp_path / "whole")
    with pytest.raises(mp.training.Interrupted):
        run(tmp_path / "cut", None, Kill(steps))
    again, resumed, *others = run(tmp_path / "cut", tmp_path / "cut" / "checkpoints")
    assert others == rest and list(resumed) == list(history)
    for name, values in history.items():
        np.testing.assert_array_equal(resumed[name], values)
    for name, weight in weights.items():
        np.testing.assert_array_equal(again[name], weight)


def test_those_of_steps_are_shown_and_no_more(tmp_path):
    """By TensorBoard, of batches; the history has numbers of epochs."""
    pytest.importorskip("tensorboardX")

    class OfSteps(Callback):
        def on_batch_end(self, epoch, images, logs):
            logs["half"] = images / 2

    history = train(small(), [TensorBoard(tmp_path, every=None, update_freq=1), OfSteps()], epochs=1).history
    assert "half" not in history
    (file,) = tmp_path.iterdir()
    assert file.read_bytes().count(b"batch_half") == 3


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (
            {"mine": lambda epoch: "high"},
            "logs: got 'high' for 'mine' from Mine, wanted a number; such as float(value)",
        ),
        ({"mine": lambda epoch: [1.0]}, "logs: got [1.0] for 'mine' from Mine, wanted a number"),
        ({"mine": lambda epoch: np.ones(2)}, "logs: got <float64 of shape (2,)> for 'mine' from Mine, wanted a number"),
        ({"mine": lambda epoch: 1j}, "logs: got 1j for 'mine' from Mine, wanted a number"),
        ({"mine": lambda epoch: True}, "logs: got True for 'mine' from Mine, wanted a number"),
        ({"": lambda epoch: 1}, "logs: got the name '' from Mine, wanted a word of its own, such as 'my_number'"),
        ({"a\nb": lambda epoch: 1}, r"logs: got the name 'a\nb' from Mine, wanted a word of its own"),
        ({"x" * 61: lambda epoch: 1}, "from Mine, wanted a word of its own"),
        ({"epoch": lambda epoch: 1}, "logs: got the name 'epoch' from Mine, wanted a word of its own"),
        ({"loss": lambda epoch: "low"}, "logs: got 'low' for 'loss' from Mine, wanted a number"),
        ({f"n{i}": lambda epoch: 1 for i in range(300)}, "from Mine, wanted at most 255; leave some out"),
    ],
)
def test_what_is_no_number_is_one_line(numbers, said):
    with pytest.raises(ValueError, match=re.escape(said)) as e:
        train(small(), [Mine(**numbers)])
    assert "\n" not in str(e.value)


def test_a_key_that_is_no_name_and_a_number_that_was_taken_away():
    class Odd(Callback):
        def __init__(self, change):
            self.change = change

        def on_epoch_end(self, epoch, logs):
            self.change(logs)

    for change, said in (
        (lambda logs: logs.update({3: 1.0}), "logs: got the name 3 from Odd, wanted a word of its own"),
        (
            lambda logs: logs.clear(),
            "logs: got none from Odd for 'loss', wanted all that training reports; add to them",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            train(small(), [Odd(change)])


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), np.int64(0), 1, mp.Tensor(np.array(0.5))], ids=repr)
def test_kinds_of_numbers(value, tmp_path):
    history = train(small(), [Mine(mine=lambda epoch: value), ModelCheckpoint(tmp_path)], epochs=1).history
    assert history["mine"] == [float(value)] and type(history["mine"][0]) is float


def test_many_numbers_in_a_log_that_is_read_again(tmp_path):
    """As many as an epoch may have, with long names: what CSVLogger writes it can read."""
    numbers = {f"{i:060}": lambda epoch: -np.pi * 1e-300 for i in range(250)}
    path, folder = tmp_path / "log.csv", tmp_path / "checkpoints"
    for epochs in (1, 2):
        train(small(), [CSVLogger(path), Mine(**numbers), ModelCheckpoint(folder)], epochs=epochs, resume=folder)
    assert len(columns(path)) == 256 and len(columns(path)["epoch"]) == 2
