"""BLAS keeps to one thread while anybody computes, and gets all of them back: whoever comes and goes, in any order."""

import concurrent.futures
import contextlib
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st

import minipixel as mp
from minipixel import blas_threads, kernels
from minipixel.blas_threads import OneBlasThread
from minipixel.shards import Workers

# --- any order, on libraries that are made up -------------------------------------------------------------------------


class Shared:
    """A library with one number of threads for all; one thread alone may set it, as in threadpoolctl."""

    internal_api, threading_layer = "openblas", "pthreads"
    controlling = None

    def __init__(self, name, threads):
        self.filepath, self.num_threads = name, threads

    def clear_controlling_thread(self, force=False):
        Shared.controlling = None

    def set_num_threads(self, threads):
        if Shared.controlling in (None, threading.current_thread()):
            Shared.controlling, self.num_threads = threading.current_thread(), threads


class OfEachThread:
    """A library that knows a number for each thread; new ones begin with the same."""

    internal_api, threading_layer = "openblas", "openmp"

    def __init__(self, name, threads):
        self.filepath, self._threads, self._numbers = name, threads, {}

    @property
    def num_threads(self):
        return self._numbers.get(threading.current_thread(), self._threads)

    def set_num_threads(self, threads):
        self._numbers[threading.current_thread()] = threads


STEPS = st.tuples(st.sampled_from(["come", "come", "go", "go", "load"]), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=25), before=st.lists(st.integers(1, 8), min_size=6, max_size=6))
def test_whoever_comes_and_goes(steps, before):
    """Three threads, in and out of blocks in any order, while libraries are loaded by one of them."""
    libraries = [Shared("a", before[0]), OfEachThread("b", before[1])]
    waiting = [Shared("c", before[2]), OfEachThread("d", before[3]), Shared("e", before[4])]
    original = {library.filepath: library.num_threads for library in libraries + waiting}
    block, depth = OneBlasThread(), [0, 0, 0]
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(blas_threads, "_libraries", lambda: libraries)
        threads = [stack.enter_context(concurrent.futures.ThreadPoolExecutor(1)) for _ in range(3)]

        def run(who, call, *arguments):
            return threads[who].submit(call, *arguments).result(10)

        def numbers(who):
            return run(who, lambda: {library.filepath: library.num_threads for library in libraries})

        for what, who in steps:
            if what == "come":
                run(who, block.__enter__)
                depth[who] += 1
            elif what == "go" and depth[who]:
                run(who, block.__exit__, None, None, None)
                depth[who] -= 1
            elif what == "load" and waiting:
                libraries.append(waiting.pop())
                run(who, block.look_again)
            for each in range(3):
                if depth[each]:
                    run(each, block.look_again)
                    assert set(numbers(each).values()) == {1}
                else:  # its own numbers are untouched; the shared ones are held for the others
                    for library in libraries:
                        held = any(depth) and isinstance(library, Shared)
                        assert numbers(each)[library.filepath] == (1 if held else original[library.filepath])
        for who in range(3):
            for _ in range(depth[who]):
                run(who, block.__exit__, None, None, None)
        assert all(
            numbers(who) == {library.filepath: original[library.filepath] for library in libraries} for who in range(3)
        )


# --- the real ones ----------------------------------------------------------------------------------------------------


def numbers():
    """By file, the number of threads of each BLAS library of this process."""
    return {row["filepath"]: row["num_threads"] for row in threadpoolctl.threadpool_info() if row["user_api"] == "blas"}


@pytest.fixture
def three():
    """Every BLAS library at 3 threads, however many cores there are; as before afterwards."""
    if kernels.numba_enabled():
        import scipy.linalg.cython_blas  # noqa: F401  (as compiled kernels do)
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        if set(numbers().values()) != {3}:
            pytest.skip("a BLAS library of this process cannot have 3 threads")
        yield


def test_two_trainings_that_cross_each_other(three):
    """A enters, B enters, A leaves, B leaves: B stays limited, and in the end all have their threads again."""
    b_entered, a_left = threading.Event(), threading.Event()
    seen = {}

    def a():
        with Workers(1):
            b_entered.wait()
        seen["after A"] = numbers()
        a_left.set()

    def b():
        with Workers(1):
            b_entered.set()
            a_left.wait()
            seen["in B"] = numbers()
            np.ones((300, 300)) @ np.ones((300, 300))

    threads = [threading.Thread(target=target) for target in (a, b)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(seen["after A"].values()) == set(seen["in B"].values()) == {1}
    assert set(numbers().values()) == {3}


def test_two_trainings_at_once(three):
    """Real ones, in two Python threads; the limit holds in every step of both, whichever ends first."""
    images = np.random.default_rng(0).integers(0, 2, (40, 6, 8, 1), dtype=np.uint8)
    seen = []

    class Look(mp.callbacks.Callback):
        def on_batch_end(self, *ignored):
            seen.append(set(numbers().values()))

    def train(epochs):
        model = mp.models.PixelCNN((6, 8, 1), 2, hidden=4, blocks=1)
        mp.fit(model, images, epochs=epochs, batch_size=8, callbacks=[Look()], progress=False)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(train, [2, 4]))
    assert len(seen) == 30 and all(found == {1} for found in seen)
    assert set(numbers().values()) == {3}


def test_a_limit_of_somebody_else_stays(three):
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with Workers(1):
            assert set(numbers().values()) == {1}
        assert set(numbers().values()) == {2}
    assert set(numbers().values()) == {3}


LOOK = """
import json, sys, threadpoolctl
import numpy as np
import minipixel as mp

def numbers():
    found = threadpoolctl.threadpool_info()
    return {row["filepath"].rpartition("/")[2]: row["num_threads"] for row in found if row["user_api"] == "blas"}

seen = []
images = np.zeros((16, 6, 8, 1), int)
model = mp.models.PixelCNN((6, 8, 1), 2, hidden=4, blocks=1)
"""
ORDERS = {  # what a fresh process does, as a program that appends to `seen`
    "the first training": """
class Look(mp.callbacks.Callback):
    def on_batch_end(self, *ignored):
        seen.append(numbers())
mp.fit(model, images, epochs=1, batch_size=4, callbacks=[Look()], progress=False)
""",
    "the first loss, from within": """
class Look(mp.models.PixelCNN):
    def forward(self, x, condition=None, rng=None):
        y = super().forward(x, condition, rng)
        seen.append(numbers())
        return y
Look((6, 8, 1), 2, hidden=4, blocks=1).loss(images)
""",
    "SciPy's before ours": """
import scipy.linalg.cython_blas
with mp.shards.Workers():
    seen.append(numbers())
""",
    "SciPy's while somebody computes": """
from minipixel.computing import computing
with computing:
    import scipy.linalg.cython_blas
    with computing:
        seen.append(numbers())
""",
    "SciPy's in one thread while another one computes": """
import threading
from minipixel.computing import computing
def load():
    import scipy.linalg.cython_blas
with computing:
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    model.loss(images)
    with computing:
        seen.append(numbers())
""",
}


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_in_which_libraries_are_loaded(order):
    """In a fresh process, which has SciPy's BLAS when it is looked at, held, and free afterwards."""
    code = LOOK + ORDERS[order] + "\nprint(json.dumps([seen, numbers(), [*sys.modules]]))"
    environment = {"OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    seen, after, modules = json.loads(done.stdout)
    assert seen and all(number == 1 for found in seen for number in found.values())
    assert set(seen[-1]) == set(after) and all(number == min(3, Workers().count) for number in after.values())
    if kernels.numba_enabled() or "SciPy" in order:
        assert "scipy.linalg.cython_blas" in modules


# --- how many workers -------------------------------------------------------------------------------------------------


class Watched(mp.models.PixelCNN):
    """A model that notes which threads compute."""

    shard_size = wide_shard_size = 2

    def forward(self, x, condition=None, rng=None):
        self.threads.add(threading.current_thread().name)
        return super().forward(x, condition, rng)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_validation_and_callbacks_take_as_many_workers_as_training(workers):
    """As they are written, so that it is the model's own `forward` that runs in each of them."""
    images = np.random.default_rng(0).integers(0, 2, (40, 6, 8, 1), dtype=np.uint8)
    model, counts = Watched((6, 8, 1), 2, hidden=4, blocks=1), []
    model.threads = set()

    class Look(mp.callbacks.Callback):
        def on_evaluation_begin(self):
            model.threads.clear()

        def on_epoch_end(self, epoch, logs):
            counts.append(Workers().count)
            assert 1 <= len(model.threads) <= workers
            model.sample(9, rng=0, method="naive")
            assert len(model.threads) <= workers

    outside = Workers().count
    with kernels.as_written():
        mp.fit(model, images, validation=images, epochs=2, workers=workers, callbacks=[Look()], progress=False)
    assert counts == [workers] * 2 and Workers().count == outside


def test_a_worker_starts_no_others():
    with Workers(3) as workers:
        assert list(workers.map(lambda part: Workers().count, 6, 1)) == [1] * 6
        assert Workers().count == 3 and Workers(2).count == 2


def test_workers_have_the_settings_of_whoever_starts_them():
    """NumPy's errors too, so that an error does not depend on whether an image has a shard of its own."""
    with np.errstate(over="raise", divide="ignore"), Workers(2) as workers:
        here = np.geterr()
        assert list(workers.map(lambda part: np.geterr(), 6, 1)) == [here] * 6
        with pytest.raises(FloatingPointError, match="overflow"):
            list(workers.map(lambda part: np.float32(1e30) * np.float32(1e30), 6, 1))
