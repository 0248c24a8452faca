"""Train, stop, save, load, resume, evaluate, draw, in any order: nothing changes a result that should not change."""

import os
import shutil
import signal
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import minipixel as mp
from minipixel.training import EMA, Callback, Interrupted, ModelCheckpoint
from minipixel.training.checkpoints import find

IMAGES = np.random.default_rng(0).integers(0, 3, (7, 3, 3, 1)).astype(np.uint8)
BATCH, STEPS, MOST = 3, 3, 12
"""Three steps per epoch, the last of a single image; no training goes beyond so many steps."""


def new_model(seed=0):
    return mp.models.PixelCNN((3, 3, 1), 3, hidden=2, blocks=1, dropout=0.2, rng=seed)


def fit(model, epochs, *callbacks, **options):
    def shift(images, rng):
        return (images + rng.integers(3)).astype(np.uint8) % 3

    quiet = {"progress": False, "batch_size": BATCH, "transform": shift, "validation": IMAGES[:3]}
    return mp.fit(model, IMAGES, epochs=epochs, callbacks=[EMA(0.8), *callbacks], **quiet | options)


def bits(model):
    return b"".join(weight.tobytes() for weight in model.state_dict().values())


class StopAfter(Callback):
    """Ctrl-C in the step that makes it so many in all."""

    def __init__(self, steps):
        self.left = steps

    def on_batch_end(self, epoch, images, logs):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@lru_cache(maxsize=1)
def straight():
    """By steps in all: the weights, as fit leaves them, and the history, of a training that never stopped before."""
    history = fit(new_model(), MOST // STEPS).history
    after = {0: (bits(new_model()), {})}
    for steps in range(1, MOST + 1):
        model = new_model()
        with pytest.raises(Interrupted):
            fit(model, MOST, StopAfter(steps))
        after[steps] = bits(model), {k: v[: steps // STEPS] for k, v in history.items() if k != "seconds"}
    return after


class AnySequence(RuleBasedStateMachine):
    """`self.steps` is how far the training in the folder is; `self.model` is a model of after `self.known` steps."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.steps = self.known = 0
        self.model = new_model()

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def _fit(self, epochs, *callbacks, model=None, workers=1):
        """On with the training in the folder, in a model of whatever weights; or its beginning."""
        model = model or new_model(seed=self.steps if self.steps else 0)
        saving = ModelCheckpoint(self.folder / "checkpoints", save_freq=2)
        history = fit(model, epochs, saving, *callbacks, resume=self.folder / "checkpoints", workers=workers)
        return model, history

    @precondition(lambda self: self.steps < MOST)
    @rule(epochs=st.integers(1, 2), workers=st.integers(1, 2))
    def train(self, epochs, workers):
        epochs = min(self.steps // STEPS + epochs, MOST // STEPS)
        self.model, history = self._fit(epochs, workers=workers)
        self.steps = self.known = epochs * STEPS
        assert {k: v for k, v in history.history.items() if k != "seconds"} == straight()[self.steps][1]

    @precondition(lambda self: self.steps < MOST)
    @rule(steps=st.integers(1, 4))
    def train_until_ctrl_c(self, steps):
        steps = min(steps, MOST - self.steps)
        model = new_model()
        with pytest.raises(Interrupted) as stop:
            self._fit(MOST, StopAfter(steps), model=model)
        self.steps = self.known = self.steps + steps
        self.model = model
        assert find(stop.value.checkpoint).position.step == (self.steps - 1) % STEPS + 1

    @precondition(lambda self: self.steps > 0)
    @rule()
    def load_the_checkpoint(self):
        self.model, self.known = mp.load(find(self.folder / "checkpoints").path), self.steps

    @rule()
    def save_and_load(self):
        path = self.folder / "model.safetensors"
        self.model.save(path)
        self.model = mp.load(path)

    @rule(n=st.integers(1, 7), shard=st.integers(1, 7))
    def evaluate(self, n, shard):
        """Whatever the number of images, and of images per shard."""
        whole = self.model.log_prob(IMAGES)
        kind = type(self.model)
        before = kind.wide_shard_size
        kind.wide_shard_size = shard
        try:
            part = self.model.log_prob(IMAGES[:n])
        finally:
            kind.wide_shard_size = before
        np.testing.assert_allclose(part, whole[:n], rtol=1e-5)
        np.testing.assert_array_equal(self.model.log_prob(IMAGES), whole)

    @rule(seed=st.integers(0, 3), method=st.sampled_from(["naive", "cached"]))
    def draw(self, seed, method):
        first = self.model.sample(2, rng=seed, method=method)
        np.testing.assert_array_equal(first, self.model.sample(2, rng=seed, method=method))

    @rule()
    def train_another(self):
        fit(new_model(3), 1, rng=5)

    @precondition(lambda self: self.steps > 0)
    @rule(batch_size=st.sampled_from([1, 2, 4, 7]))
    def another_batch_size_is_refused(self, batch_size):
        with pytest.raises(ValueError, match=f"^resume: got batch_size {batch_size}, wanted {BATCH}"):
            fit(new_model(), MOST, resume=self.folder / "checkpoints", batch_size=batch_size)

    @precondition(lambda self: self.steps > 0)
    @rule()
    def the_newest_is_damaged(self):
        """Training goes on from the one before, and comes to the same."""
        newest = find(self.folder / "checkpoints")
        files = list((self.folder / "checkpoints").glob("checkpoint-*"))
        if len(files) > 1:
            newest.path.write_bytes(newest.path.read_bytes()[:-1])
            with pytest.warns(UserWarning, match="going back to the checkpoint before"):
                model, _ = self._fit(MOST // STEPS)
            self.model, self.steps, self.known = model, MOST, MOST

    @invariant()
    def nothing_else_has_changed(self):
        if hasattr(self, "model"):
            assert bits(self.model) == straight()[self.known][0]


def run(examples, steps):
    calm = settings(max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True)
    run_state_machine_as_test(AnySequence, settings=calm)


def test_any_sequence():
    run(6, 12)


@pytest.mark.slow
def test_any_sequence_for_long():
    run(300, 30)
