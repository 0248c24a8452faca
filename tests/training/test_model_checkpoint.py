"""Which checkpoints are written and kept, and what happens when a disk does not do what it is told."""

import errno
import io
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel import checkpoint
from minipixel.training import Callback, CSVLogger, ModelCheckpoint
from minipixel.training.checkpoints import find, in_folder

sys.path.insert(0, str(Path(__file__).parent))

from reliability import record
from trained import BATCH, EPOCHS, STEPS, pixelcnn, train


def positions(folder):
    return [(find(file).position.epoch, find(file).position.step) for file in in_folder(folder)]


def test_the_last_few_are_kept(tmp_path):
    train(callbacks=[ModelCheckpoint(tmp_path / "runs" / "one", keep=2)])
    assert positions(tmp_path / "runs" / "one") == [(EPOCHS, 0), (EPOCHS - 1, 0)]
    train(callbacks=[ModelCheckpoint(tmp_path / "two", save_freq=STEPS + 1, keep=9)])
    assert positions(tmp_path / "two") == [(3, 0), (2, 2), (1, 1)]  # after 5 and 10 steps, and at the end
    assert all(path.suffix == ".safetensors" for path in tmp_path.rglob("*") if path.is_file())


def test_one_file(tmp_path):
    """It is replaced each time; a checkpoint of a former training may be, too, as nothing was kept in it for long."""
    path = tmp_path / "last.safetensors"
    whole = train(callbacks=[ModelCheckpoint(path)], epochs=1)
    assert find(path).position.epoch == 1 and list(tmp_path.iterdir()) == [path]
    assert train(resume=path, callbacks=[ModelCheckpoint(path)], epochs=1) == whole
    assert train(resume=path, callbacks=[ModelCheckpoint(path)]) == train()
    assert find(path).position.epoch == EPOCHS
    train(callbacks=[ModelCheckpoint(path)], epochs=1)
    assert find(path).position.epoch == 1


class Scores(Callback):
    """What validation would say, made up."""

    def __init__(self, *scores):
        self.scores = scores

    def on_epoch_end(self, epoch, logs):
        logs["val_loss"] = self.scores[epoch]


@pytest.mark.parametrize(
    ("scores", "saved"), [([3, 1, 2], [2, 1]), ([1, 1, 1], [1]), ([3, 2, 1], [3, 2, 1]), ([2, np.nan, 1], [3, 1])]
)
def test_only_the_best(scores, saved, tmp_path):
    """Also when training was stopped and resumed in between, and when it ends with an epoch that is not the best."""

    def run(folder, **options):
        best = ModelCheckpoint(folder / "best", save_best_only=True)
        return train(folder / "all", callbacks=[Scores(*scores), best], **options)

    for name, parts in (("whole", [3]), ("parts", [1, 2, 3])):
        for epochs in parts:
            run(tmp_path / name, epochs=epochs)
        assert [epoch for epoch, _ in positions(tmp_path / name / "best")] == saved
    assert mp.load(in_folder(tmp_path / "whole" / "best")[0]).config["model"] == "pixelcnn"


def test_a_training_does_not_begin_in_the_folder_of_another(tmp_path):
    train(tmp_path)
    files, model = sorted(tmp_path.iterdir()), pixelcnn()
    before = model.state_dict()
    with pytest.raises(
        FileExistsError, match=re.escape(f"{tmp_path}: holds checkpoints; give resume='{tmp_path}'")
    ) as error:
        train(None, model, callbacks=[ModelCheckpoint(tmp_path)])
    assert "\n" not in str(error.value) and sorted(tmp_path.iterdir()) == files
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])


def test_what_a_killed_writer_left_is_removed(tmp_path):
    """Whichever of its files it was writing, in a folder or beside a file, and nothing else."""
    folder, log = tmp_path / "checkpoints", tmp_path / "log[1].csv"
    folder.mkdir()
    for begun in (folder / "checkpoint-00001-000000.safetensors", folder / "model.safetensors", log):
        begun.with_name(f".{begun.name}.0123abcd.part").write_bytes(b"half")
    others = [folder / ".film.mkv.part", tmp_path / ".log1.csv.0123abcd.part", folder / "notes.txt"]
    for file in others:
        file.write_text("mine")
    train(None, epochs=1, callbacks=[ModelCheckpoint(folder), CSVLogger(log)])
    left = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*others, log, folder / "checkpoint-00001-000000.safetensors"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"keep": 0}, "keep: got 0, wanted a whole number in 1"),
        ({"save_freq": "batch"}, "save_freq: got 'batch', wanted a whole number"),
        ({"save_freq": 0}, "save_freq: got 0"),
        ({"save_freq": 2, "save_best_only": True}, "save_freq: got 2 with save_best_only, wanted 'epoch'"),
        ({"save_best_only": 1}, "save_best_only: got 1, wanted True or False"),
        ({"save_best_only": True, "monitor": "val_accuracy"}, "monitor: got 'val_accuracy', wanted one of loss"),
    ],
)
def test_bad_settings(options, match, tmp_path):
    with pytest.raises(ValueError, match=f"^{match}") as error:
        train(callbacks=[ModelCheckpoint(tmp_path, **options)])
    assert "\n" not in str(error.value)


def test_a_long_history_fits(tmp_path):
    """Numbers of 20,000 epochs are more than a header may hold, so they are tensors."""
    training = []

    class Take(Callback):
        def on_pause(self, now, stopping):
            training.append(now)

    train(callbacks=[Take()], epochs=1)
    (now,) = training[-1:]
    now.callbacks = ()  # whose training is over
    history = {name: np.random.default_rng(0).random(20_000).tolist() for name in ("loss", "val_loss", "seconds")}
    now.history.history = history | {"late": [1.0], "odd": [np.inf, np.nan]}
    saved = find(now.save(tmp_path / "long.safetensors"))
    assert repr(saved.history) == repr(now.history.history)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.pop("position"), "a training that does not fit"),
        (lambda t: t["position"].update(step="many"), "a training that does not fit"),
        (lambda t: t["position"].update(epoch=-1), "got -1, wanted a whole number from 0 up"),
        (lambda t: t["position"].update(step=STEPS + 1), "expected a place in this training"),
        (lambda t: t["position"].update(step=2, seen=BATCH), "expected a place in this training"),
        (lambda t: t["history"].append("weather"), "a training that does not fit"),
        (lambda t: t.update(callbacks=[1]), "a training that does not fit"),
        (lambda t: t["callbacks"].update(EMA={}), "its state of EMA does not fit"),
        (lambda t: t["optimizer"].pop("rate"), "its weights or optimizer do not fit"),
        (lambda t: t["optimizer"].update(steps="x"), "a training that does not fit"),
        (lambda t: t["same"].update(rng={"entropy": "x"}), "a malformed seed"),
        (lambda t: t["same"].pop("rng"), "a malformed seed"),
        (lambda t: t.update(same=[1]), "a training that does not fit"),
    ],
)
def test_a_signed_file_with_a_training_that_does_not_fit(change, match, tmp_path):
    """The digest is right, since anybody can compute one."""
    train(tmp_path, epochs=1)
    (path,) = in_folder(tmp_path)
    config, tensors = checkpoint.read(path)
    change(config["training"])
    checkpoint.write(path, config, tensors)
    with pytest.raises(mp.FormatError, match=match) as error:
        train(resume=path, rng=None)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("tensor", ["optimizer/mean/stem.bias", "stem.bias", "callbacks/EMA/average/stem.bias"])
@pytest.mark.parametrize("change", [None, (1, 1)])
def test_a_signed_file_with_other_tensors(tensor, change, tmp_path):
    train(tmp_path, epochs=1)
    (path,) = in_folder(tmp_path)
    config, tensors = checkpoint.read(path)
    if change is None:
        del tensors[tensor]
    else:
        tensors[tensor] = np.zeros(change, np.float32)
    checkpoint.write(path, config, tensors)
    with pytest.raises(mp.FormatError) as error:
        train(resume=path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


# --- a disk that fails ----------------------------------------------------------------------------------------------


class Disk:
    """Counts what is done to files below a folder, and fails from the `first` on, once or for good."""

    OPERATIONS = ("open", "close", "fsync", "replace", "rename", "unlink", "mkdir", "listdir", "scandir", "stat")

    def __init__(self, monkeypatch, folder, first=None, number=errno.ENOSPC, for_good=False):
        self.folder, self.first, self.number, self.for_good = str(folder), first, number, for_good
        self.count, self.handles, self.log = 0, set(), []
        real_open = io.open

        def opened(path, *arguments, **options):
            if not self._ours(path):
                return real_open(path, *arguments, **options)
            self.operation("open")
            return File(real_open(path, *arguments, **options), self)

        monkeypatch.setattr(io, "open", opened)
        for name in self.OPERATIONS:
            if hasattr(os, name):
                monkeypatch.setattr(os, name, self._failing(name, getattr(os, name)))

    def _ours(self, path):
        return path in self.handles if isinstance(path, int) else str(path).startswith(self.folder)

    def _failing(self, name, real):
        def function(path, *arguments, **options):
            if self._ours(path):
                self.operation(name)
            result = real(path, *arguments, **options)
            if name == "open" and self._ours(path):
                self.handles.add(result)
            if name == "close":
                self.handles.discard(path)
            return result

        return function

    def operation(self, name):
        self.count += 1
        self.log.append(name)
        if self.first is not None and (self.count == self.first or (self.for_good and self.count > self.first)):
            raise OSError(self.number, os.strerror(self.number))


class File:
    """A file of which each call may fail; a write that does has written half."""

    def __init__(self, file, disk):
        self.file, self.disk = file, disk
        disk.handles.add(file.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.disk.handles.discard(self.file.fileno())
        self.file.close()
        if exception[0] is None:
            self.disk.operation("close")

    def write(self, content):
        try:
            self.disk.operation("write")
        except OSError:
            self.file.write(content[: len(content) // 2])
            raise
        return self.file.write(content)

    def flush(self):
        self.disk.operation("flush")
        self.file.flush()

    def read(self, *size):
        self.disk.operation("read")
        return self.file.read(*size)

    def fileno(self):
        return self.file.fileno()


def tiny(folder, resume=None, epochs=3):
    """A training as short as can be: three epochs of one step; its weights."""
    model = mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1)
    images = np.arange(16).reshape(4, 2, 2, 1).astype(np.uint8) % 2
    callbacks = [] if folder is None else [ModelCheckpoint(folder, keep=2)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mp.fit(model, images, epochs=epochs, callbacks=callbacks, resume=resume, progress=False, workers=1)
    assert all("\n" not in str(warning.message) for warning in said)
    return np.concatenate([weight.ravel() for weight in model.state_dict().values()]), [str(w.message) for w in said]


def test_every_file_operation_fails_in_turn(tmp_path, monkeypatch):
    """Once, or for good: training does not begin, or ends with its result; every file is whole; a line says so."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    whole, _ = tiny(None)
    with monkeypatch.context() as patch:
        disk = Disk(patch, tmp_path / "counted")
        tiny(tmp_path / "counted")
    assert disk.count > 30 and {"open", "write", "flush", "fsync", "replace", "unlink", "mkdir"} <= set(disk.log)
    ways = (errno.ENOSPC, False), (errno.EIO, True)
    cases = [(first, *way) for first in range(1, disk.count + 1) for way in ways]
    refused = warned = 0
    for case, (first, number, for_good) in enumerate(cases):
        folder = tmp_path / f"run-{case:04d}"
        weights, said = None, []
        with monkeypatch.context() as patch:
            Disk(patch, folder, first, number, for_good)
            try:
                weights, said = tiny(folder)
            except OSError as error:
                assert error.errno == number and "\n" not in str(error)
        epochs = [find(file).position.epoch for file in in_folder(folder)]  # every one can be read
        if weights is None:
            assert epochs == []  # it was said before the first step
        else:
            np.testing.assert_array_equal(weights, whole)
            if epochs[:1] != [3]:  # the result could not be saved where it should be, so
                (rescued,) = elsewhere.rglob("*.safetensors")
                assert said[-1].endswith(f"; saved as {rescued} instead") and find(rescued).position.epoch == 3
                rescued.unlink()
        refused += weights is None
        warned += bool(said)
        assert not list(elsewhere.rglob("*.safetensors"))
        weights, _ = tiny(folder, resume=folder)  # the disk is well again, and the same command goes on
        np.testing.assert_array_equal(weights, whole)
    assert refused > 5 and warned > 20
    record(
        "failing-disk",
        f"each of {disk.count} file operations of a training made to fail in turn, with ENOSPC once and with EIO from "
        f"then on ({len(cases)} trainings): every checkpoint whole; {refused} said so before the first step, the rest "
        "came to the same weights, kept elsewhere if need be; the same command then went on from what there was",
    )


def test_a_disk_that_is_full_at_the_end(tmp_path, monkeypatch):
    """The result is not lost: it is elsewhere, and if there is no elsewhere it is still the model's."""
    nowhere = ", nor in the temporary folder: No space left on device; only the model in memory has the result: save it"
    whole, _ = tiny(None)
    for elsewhere, works in ((tmp_path / "elsewhere", True), (tmp_path / "full" / "too", False)):
        monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
        elsewhere.mkdir(parents=True, exist_ok=True)
        with monkeypatch.context() as patch:
            disk = Disk(patch, tmp_path / "full", for_good=True)

            def full(file, content, disk=disk):
                if disk._ours(file.file.fileno()) and b"stem" in content:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return file.file.write(content)

            patch.setattr(File, "write", full)
            weights, said = tiny(tmp_path / "full" / "run")
        np.testing.assert_array_equal(weights, whole)
        assert len(said) == 3 and all("could not be written: No space left on device" in line for line in said)
        assert all(line.endswith("; training goes on without it") for line in said[:2])
        if not works:
            assert said[2].endswith(nowhere)
        else:
            (saved,) = elsewhere.rglob("*.safetensors")
            assert said[2].endswith(f"; saved as {saved} instead") and find(saved).position.epoch == 3


def test_a_folder_that_cannot_be_written_is_said_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        tiny(tmp_path / "file" / "run")
