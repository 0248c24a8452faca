"""Callbacks that watch, over a kill and a resume: what they decide and write is as if nothing had happened."""

import csv

import numpy as np
import pytest

import minipixel as mp
from minipixel.training.callbacks import (
    EMA,
    Callback,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    SampleImages,
    TensorBoard,
)

IMAGES = np.random.default_rng(0).integers(0, 4, (50, 6, 5, 1)).astype(np.uint8)


class KilledError(Exception):
    pass


class Kill(Callback):
    def __init__(self, step):
        self.step, self.taken = step, 0

    def on_batch_end(self, epoch, images, logs):
        self.taken += 1
        if self.taken == self.step:
            raise KilledError


def run(folder, kill=None, resume=None):
    """EarlyStopping stands before EMA on purpose: it restores the averages all the same."""
    model, stopping = mp.models.PixelCNN((6, 5, 1), 4, hidden=4, blocks=1), EarlyStopping("val_loss", 0.0, 2, True)
    watchers = [stopping, EMA(0.9), CSVLogger(folder / "log.csv"), TensorBoard(folder / "board", every=None)]
    watchers += [SampleImages(folder / "samples", every=2, n=3), *([Kill(kill)] if kill else [])]
    watchers.append(ModelCheckpoint(folder / "checkpoints", save_freq=2))
    options = {"validation": IMAGES[40:], "epochs": 30, "batch_size": 16, "optimizer": mp.optim.Adam(0.04)}
    history = mp.fit(model, IMAGES[:40], callbacks=watchers, progress=False, resume=resume, **options).history
    with (folder / "log.csv").open(newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    history.pop("seconds")  # those of all runs together
    decided = stopping.best, stopping.best_epoch, stopping.stopped_epoch, stopping.wait
    return model.state_dict(), rows, history, decided


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole"))


def test_a_kill_makes_no_difference(tmp_path, whole):
    weights, rows, history, decided = whole
    assert 4 < len(rows) == decided[2] + 1 < 30  # it was stopped, and not at once
    for kill in (1, 2, 5, 3 * decided[1] + 1, 3 * len(rows)):
        folder = tmp_path / str(kill)
        with pytest.raises(KilledError):
            run(folder, kill)
        again = run(folder, resume=folder / "checkpoints")
        assert again[1:] == (rows, history, decided)
        for name, weight in weights.items():
            np.testing.assert_array_equal(again[0][name], weight, err_msg=name)
        assert len(list((folder / "samples").iterdir())) == len(rows) // 2


def test_one_that_was_stopped_stays_so(tmp_path, whole):
    """And it ends with its best weights once more."""
    run(tmp_path)
    again = run(tmp_path, resume=tmp_path / "checkpoints")
    assert again[1:] == whole[1:]
    for name, weight in whole[0].items():
        np.testing.assert_array_equal(again[0][name], weight, err_msg=name)
