"""What people are told of compiling: that it happens, only when it does, and where the result is kept."""

import contextlib
import io
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from minipixel.cli import main, warmup
from minipixel.kernels import compiling, numba_enabled
from minipixel.training.callbacks import Progress

needs_numba = pytest.mark.skipif(not numba_enabled(), reason="Numba is missing or switched off")


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch):
    """In which nothing was compiled, said or kept, and nobody asked to be told."""
    names = {"_seconds": 0.0, "_announced": False, "_warned": False, "_speak": None}
    for name, value in (names | {"_folders": set(), "_failures": []}).items():
        monkeypatch.setattr(compiling, name, value)


def compile_for(seconds):
    compiling.begin(True)
    time.sleep(seconds)
    compiling.end()


class Terminal(io.StringIO):
    def isatty(self):
        return True


# --- seconds ----------------------------------------------------------------------------------------------------------


def test_seconds_of_kernels_within_kernels_count_once():
    began = time.perf_counter()
    compiling.begin(True)
    compile_for(0.05)
    assert 0.05 <= compiling.seconds() <= time.perf_counter() - began  # it goes on meanwhile
    compiling.end()
    after = compiling.seconds()
    assert 0.05 <= after <= time.perf_counter() - began
    assert compiling.seconds() == after


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_leaves_them_out(monkeypatch, terminal):
    """30 s of compiling in the first of 1000 steps, which take a tenth of a second each: 100 s are left, not 30,000."""
    stream, now = Terminal() if terminal else io.StringIO(), [0.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("minipixel.training.callbacks.progress.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(compiling, "seconds", lambda: min(now[0], 30.0))
    progress = Progress(1)
    progress.on_train_begin(None, 1000)
    bar = progress._bar
    bar._time, bar.start_t, bar.last_print_t = lambda: now[0], 0.0, 0.0
    for now[0] in (30.1, 30.2):
        progress.on_batch_end(0, 1, {"loss": 1.0})
    progress.on_epoch_end(0, {"loss": 1.0})
    if terminal:
        assert bar.format_dict["elapsed"] == pytest.approx(0.2) and bar.format_dict["rate"] == pytest.approx(10)
    progress.on_train_end()
    assert "10 images/s  100 s left" in stream.getvalue()


# --- that it is said --------------------------------------------------------------------------------------------------


def test_it_is_said_once():
    said = []
    compiling.announce(said.append)
    compile_for(0)
    compile_for(0)
    assert said == ["compiling the kernels, once for this machine ..."]


@pytest.mark.parametrize(("stream", "expected"), [(Terminal(), 1), (io.StringIO(), 0)])
def test_unasked_it_is_said_where_somebody_watches(monkeypatch, stream, expected):
    monkeypatch.setattr(sys, "stderr", stream)
    compile_for(0)
    assert stream.getvalue().count("compiling the kernels") == expected


def closed():
    stream = Terminal()
    stream.close()
    return stream


class Broken(Terminal):
    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, closed(), Broken()])
@pytest.mark.parametrize("asked", [False, True])
def test_an_error_stream_that_takes_nothing_ends_no_compiling(monkeypatch, stream, asked):
    monkeypatch.setattr(sys, "stderr", stream)
    if asked:
        Progress(1)
    compile_for(0)
    assert compiling.seconds() >= 0


def half(x):
    return x / 2


def compiled_anew():
    """A kernel as a new process has it."""
    from minipixel.kernels.jit import jit

    assert jit(half)(np.float32(3)) == 1.5


@needs_numba
def test_loading_is_not_compiling(monkeypatch, tmp_path):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    said = []
    compiling.announce(said.append)
    compiled_anew()
    assert len(said) == 1 and compiling.seconds() > 0
    monkeypatch.setattr(compiling, "_announced", False)
    before = compiling.seconds()
    compiled_anew()
    assert len(said) == 1 and compiling.seconds() == before


@needs_numba
def test_a_kernel_that_cannot_be_compiled_ends_too(monkeypatch, tmp_path):
    import numba

    from minipixel.kernels.jit import jit

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    with contextlib.suppress(numba.core.errors.TypingError):
        jit(half)("text")
    assert compiling._depth == 0


# --- warmup -----------------------------------------------------------------------------------------------------------


@needs_numba
def test_warmup_says_where(monkeypatch, tmp_path, capsys):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(warmup, "_works", lambda: [("half", compiled_anew)])
    for _ in range(2):  # compiled, and loaded
        assert main(["warmup"]) == 0
        assert f"kept in {tmp_path}" in capsys.readouterr().out


@needs_numba
def test_warmup_says_that_nothing_is_kept(monkeypatch, tmp_path, capsys):
    """One line, and no warning besides."""
    import numba

    from minipixel.kernels import cache

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache.Files, "save", full)
    monkeypatch.setattr(warmup, "_works", lambda: [("half", compiled_anew)])
    assert main(["warmup"]) == 2
    out, err = capsys.readouterr()
    assert "kept" not in out
    assert err.count("\n") == 1 and "No space left on device" in err and "NUMBA_CACHE_DIR" in err
