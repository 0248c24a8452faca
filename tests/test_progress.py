"""Long drawing, completing and scoring: a bar where somebody looks, and an end by Ctrl-C that leaves all as it was."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import minipixel as mp
from minipixel import progress
from minipixel.blas_threads import one_blas_thread
from minipixel.cli import main
from minipixel.errors import InterruptedDrawing

MODEL = mp.models.PixelCNN((8, 8, 1), 4, hidden=3, blocks=1)
UNKNOWN = np.zeros((8, 8), bool)

# By name: what takes long, of N images.
LONG = {
    "sample": lambda N, **options: MODEL.sample(N, rng=0, **options),
    "complete": lambda N, **options: MODEL.complete(np.zeros((N, 8, 8, 1), np.uint8), UNKNOWN, rng=0, **options),
    "log_prob": lambda N: MODEL.log_prob(np.zeros((N, 8, 8, 1), np.uint8)),
}


class Terminal(io.StringIO):
    """A stream at which somebody looks."""

    def isatty(self):
        return True


@pytest.fixture
def at_once(monkeypatch):
    """Bars without a wait."""
    monkeypatch.setattr(progress, "DELAY", 0.0)


@pytest.mark.parametrize("name", LONG)
def test_a_bar_on_a_terminal_that_is_gone_at_the_end(name, at_once):
    with contextlib.redirect_stderr(Terminal()) as terminal:
        expected = LONG[name](40)
    shown = terminal.getvalue()
    assert "/40.0 [" in shown and "images" in shown
    assert shown.endswith("\r") and not shown[:-1].rpartition("\r")[2].strip()  # overwritten by blanks
    with contextlib.redirect_stderr(io.StringIO()) as file:
        np.testing.assert_array_equal(LONG[name](40), expected)
    assert file.getvalue() == ""


@pytest.mark.parametrize("method", ["naive", "cached"])
@pytest.mark.parametrize("jit", [True, False])
def test_all_that_is_to_do_is_counted(method, jit, monkeypatch):
    """Whatever draws, and in however many shards: the bar comes to its end."""
    counted = []
    if not jit:
        monkeypatch.setattr("minipixel.sampling.machine.suits", lambda program, model: False)
    with progress._working(progress.Work(counted.append)):
        monkeypatch.setattr(progress, "shown", lambda total, unit: progress._working(progress.Work(counted.append)))
        monkeypatch.setattr("minipixel.models.gathering.shown", progress.shown)
        MODEL.sample(21, rng=0, method=method)
    assert sum(counted) == pytest.approx(21)


def test_soon_done_is_never_shown():
    with contextlib.redirect_stderr(Terminal()) as terminal:
        LONG["sample"](4)
    assert not terminal.getvalue().strip()


def test_no_bar_within_a_training(at_once):
    """It has its own, or wants none."""
    images = np.zeros((40, 8, 8, 1), np.uint8)
    with contextlib.redirect_stderr(Terminal()) as terminal:
        mp.fit(MODEL, images, validation=images, epochs=1, progress=False, callbacks=[Drawing()])
    assert terminal.getvalue() == ""


class Drawing(mp.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        MODEL.sample(9)


class Interrupting:
    """Sends Ctrl-C to this process when so much is done."""

    def __init__(self, after):
        self.after, self.done, self.sent = after, 0.0, None

    def __call__(self, amount):
        self.done += amount
        if self.done >= self.after and self.sent is None:
            self.sent = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sample", {}),
        ("sample", {"method": "cached"}),
        ("sample", {"method": "naive"}),
        ("complete", {}),
        ("complete", {"method": "naive"}),
        ("log_prob", {}),
    ],
)
def test_ctrl_c(name, options, monkeypatch):
    """It ends soon; threads, BLAS and NumPy's settings are as before; the first images are those of a whole run."""
    expected = LONG[name](8, **options)
    threads, settings = threading.active_count(), np.geterr()
    sent = Interrupting(after=20)
    monkeypatch.setattr("minipixel.models.gathering.shown", lambda N, unit: progress._working(progress.Work(sent)))
    with pytest.raises(KeyboardInterrupt) as stopped:
        LONG[name](20_000, **options)
    assert time.monotonic() - sent.sent < 5
    while threading.active_count() > threads and time.monotonic() - sent.sent < 5:
        time.sleep(0.01)  # one that was just being started takes its time
    assert threading.active_count() == threads and np.geterr() == settings
    assert one_blas_thread._holders == 0
    if name != "log_prob":
        assert isinstance(stopped.value, InterruptedDrawing)
        images = stopped.value.images
        if images is not None:
            np.testing.assert_array_equal(images[:8], expected)
    np.testing.assert_array_equal(LONG[name](8, **options), expected)


def test_sample_writes_what_it_has(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    MODEL.save("model")
    sent = Interrupting(after=40)
    monkeypatch.setattr("minipixel.models.gathering.shown", lambda N, unit: progress._working(progress.Work(sent)))
    assert main(["sample", "model", "-n", "50000", "--out", "some.npy"]) == 130
    images = np.load("some.npy")
    said = capsys.readouterr()
    assert (
        said.err == f"minipixel: interrupted: the first {len(images)} of 50000 images are in some.npy\n"
        and not said.out
    )
    monkeypatch.undo()
    np.testing.assert_array_equal(images, mp.load(tmp_path / "model").sample(len(images), rng=0))


@pytest.mark.parametrize("command", ["complete", "evaluate"])
def test_others_write_nothing(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    mp.models.PixelCNN((8, 8, 1), 17, hidden=2, blocks=1).save("model")
    sent = Interrupting(after=0)
    monkeypatch.setattr("minipixel.models.gathering.shown", lambda N, unit: progress._working(progress.Work(sent)))
    assert main([command, "model"]) == 130
    assert capsys.readouterr().err == "minipixel: interrupted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="no SIGINT to send")
def test_ctrl_c_in_a_process_of_its_own(tmp_path):
    """As a user would: exit status 130 and one line."""
    mp.models.PixelCNN((28, 28, 1), 16, hidden=16, blocks=3).save(tmp_path / "model")
    command = [sys.executable, "-m", "minipixel", "sample", "model", "-n", "20000", "--out", "some.npy"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error.startswith("minipixel: interrupted") and error.count("\n") == 1
