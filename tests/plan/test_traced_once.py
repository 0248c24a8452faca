"""A model is traced once, and again only when it has changed: to trace takes as long as a training step or more."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import kernels
from minipixel.plan import engine

pytestmark = pytest.mark.skipif(not kernels.numba_enabled(), reason="without Numba nothing runs by a plan")
IMAGES = np.random.default_rng(0).integers(2, size=(4, 6, 6, 1))


@pytest.fixture
def traces(monkeypatch):
    """The models that are traced from now on."""
    traced = []

    class Noted(engine.Trace):
        def __init__(self, model, *arguments, **options):
            traced.append(model)
            super().__init__(model, *arguments, **options)

    monkeypatch.setattr(engine, "Trace", Noted)
    return traced


@pytest.mark.parametrize("kind", mp.models.MODELS.values(), ids=list(mp.models.MODELS))
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_model_is_traced_once(kind, is_loaded, traces, tmp_path):
    """One from a file, too, whose layers make their masks when a first pass asks for them."""
    model = kind((6, 6, 1), 2)
    model.initialized = True
    if is_loaded:
        model.save(tmp_path / "model.safetensors")
        model = mp.load(tmp_path / "model.safetensors")
    for _ in range(3):
        model.loss(IMAGES)
        model.log_prob(IMAGES)
    assert len(traces) == 1
    mp.fit(model, IMAGES, epochs=3, batch_size=2, progress=False)
    assert len(traces) == 2  # in training, where there may be dropout


def test_a_model_that_holds_nan_is_traced_once(traces):
    model = mp.models.PixelCNN((6, 6, 1), 2, hidden=4, blocks=1)
    model.notes = {"last loss": np.array([np.nan])}
    for _ in range(3):
        model.loss(IMAGES)
    assert len(traces) == 1
