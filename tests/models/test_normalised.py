"""The whole cross, as the papers would want it: every model, every head that fits, every kind of condition.

Slow, because it is thorough: pytest -m slow tests/models/test_normalised.py
"""

import numpy as np
import pytest
from model_table import SMALL, Case

import minipixel as mp
from minipixel.heads import HEADS

pytestmark = pytest.mark.slow

SHAPES = [((2, 3, 1), 2), ((2, 2, 1), 3), ((1, 2, 3), 2), ((1, 2, 3), 3), ((1, 2, 2), 3), ((1, 2, 4), 2)]
KINDS = ("none", "class", "vector", "map")
CASES = [
    (Case(name, shape, Q, head), kind)
    for name in SMALL
    for shape, Q in SHAPES
    for head, kind_of_head in HEADS.items()
    if kind_of_head.fits(Q)
    for kind in KINDS
]


def conditional(case, kind):
    H, W, _ = case.shape
    options = {"none": {}, "class": {"num_classes": 3}, "vector": {"condition_shape": (2,)}}
    return case.model(**(options | {"map": {"condition_shape": (H, W, 2)}})[kind])


def total_probability(case, model):
    images = case.every_image()
    one = model.conditions.random(1, np.random.default_rng(3))
    return np.exp(model.log_prob(images, None if one is None else np.repeat(one, len(images), axis=0))).sum()


@pytest.mark.parametrize(("case", "kind"), CASES, ids=[f"{case.id}-{kind}" for case, kind in CASES])
def test_probabilities_sum_to_one(case, kind, tmp_path):
    """At the start, after a few steps, after save and load, on averaged weights."""
    model, images = conditional(case, kind), case.every_image()
    assert total_probability(case, model) == pytest.approx(1, abs=1e-9)
    condition = model.conditions.random(len(images), np.random.default_rng(4))
    settings = {"epochs": 1, "batch_size": -(-len(images) // 4), "progress": False}
    mp.fit(model, images, condition, optimizer=mp.optim.Adam(0.02), **settings)
    assert total_probability(case, model) == pytest.approx(1, abs=1e-9)
    model.save(tmp_path / "model")
    assert total_probability(case, mp.load(tmp_path / "model")) == pytest.approx(1, abs=1e-9)
    mp.fit(model, images, condition, optimizer=mp.optim.Adam(0.02), callbacks=[mp.callbacks.EMA(0.9)], **settings)
    assert total_probability(case, model) == pytest.approx(1, abs=1e-9)


TERNARY = [
    Case(name, shape, 3, head)
    for name in SMALL
    for shape in ((2, 2, 1), (1, 1, 3), (1, 2, 2), (1, 1, 4))
    for head, kind_of_head in HEADS.items()
    if kind_of_head.fits(3)
]


@pytest.mark.parametrize("case", TERNARY, ids=lambda case: case.id)
def test_samples_follow_the_probabilities(case):
    """Chi-square of 20,000 samples against exp(log_prob), cells under 5 expected pooled."""
    model, images = case.model(), case.every_image()
    mp.fit(model, images[::2], epochs=2, batch_size=8, optimizer=mp.optim.Adam(0.02), progress=False)
    assert case.p_of_samples(model, 20_000) > 1e-4
