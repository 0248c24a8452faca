"""Every model under every kind of condition: still a distribution, still causal, and told something."""

import numpy as np
import pytest
from model_table import SMALL, WIDE, Case

import minipixel as mp
from minipixel.shards import rows

KINDS = ("class", "vector", "map", "class and vector", "class and map")
IMAGES = [((2, 3, 1), 2, "bernoulli"), ((1, 3, 1), 3, "categorical"), ((1, 2, 3), 2, "categorical")]
CASES = [(Case(name, *images), kind) for name in SMALL for images in IMAGES for kind in KINDS]


def on_the_diagonal(case, kind):
    """Each model under each kind of condition on one of the images, in turn; the others are slow."""
    turn = list(SMALL).index(case.name) + KINDS.index(kind)
    return (case.shape, case.levels, case.head) == IMAGES[turn % len(IMAGES)]


def cases(quick):
    """All of them, slow but for those that are quick."""
    rows = [(case, kind, () if quick(case, kind) else pytest.mark.slow) for case, kind in CASES]
    marked = [pytest.param(case, kind, id=f"{case.id}-{kind}", marks=marks) for case, kind, marks in rows]
    return pytest.mark.parametrize(("case", "kind"), marked)


diagonal = cases(on_the_diagonal)
every_case = cases(lambda case, kind: " and " not in kind or on_the_diagonal(case, kind))


def conditional(case, kind, **options):
    H, W, _ = case.shape
    options |= {"num_classes": 3} if kind.startswith("class") else {}
    options |= {"condition_shape": (2,)} if kind.endswith("vector") else {}
    options |= {"condition_shape": (H, W, 2)} if kind.endswith("map") else {}
    return case.model(**options)


def told(model, n, seed=0):
    """One condition, n times."""
    return rows(model.conditions.random(1, np.random.default_rng(seed)), np.zeros(n, int))


def total_probabilities(case, model):
    """The sum over all images under each of three conditions."""
    images = case.every_image()
    return [np.exp(model.log_prob(images, told(model, len(images), seed))).sum() for seed in range(3)]


def train_a_little(case, model):
    images = case.every_image()
    condition = model.conditions.random(len(images), np.random.default_rng(5))
    mp.fit(model, images, condition, epochs=2, batch_size=16, optimizer=mp.optim.Adam(0.02), progress=False)
    return model


@diagonal
def test_a_distribution_under_every_condition(case, kind, tmp_path):
    model = conditional(case, kind)
    assert total_probabilities(case, model) == pytest.approx([1] * 3, abs=1e-9)
    train_a_little(case, model)
    assert total_probabilities(case, model) == pytest.approx([1] * 3, abs=1e-9)
    model.save(tmp_path / "model.safetensors")
    again = mp.load(tmp_path / "model.safetensors")
    assert again.config == model.config
    assert total_probabilities(case, again) == total_probabilities(case, model)


@every_case
def test_the_condition_is_heard(case, kind):
    model, images = conditional(case, kind, **WIDE[case.name]), case.every_image()[:5]
    conditions = [np.full(5, label) for label in range(3)] if kind == "class" else [told(model, 5, n) for n in range(3)]
    first, *others = (model.log_prob_map(images, condition) for condition in conditions)
    heard = np.any([first != other for other in others], axis=0)
    assert heard.any(axis=0).all()  # at every sub-pixel


@every_case
def test_causal_and_right_gradients(case, kind):
    model = conditional(case, kind)
    mp.assert_causal(model)
    images = case.every_image()[2:6]
    condition = model.conditions.random(4, np.random.default_rng(0))
    assert mp.gradcheck_model(model, images, condition, directions=2) <= 1e-10


@diagonal
def test_samples_under_conditions(case, kind):
    model = train_a_little(case, conditional(case, kind))
    condition = model.conditions.random(30, np.random.default_rng(0))
    images, log_prob = model.sample(30, condition, rng=1, return_log_prob=True)
    np.testing.assert_allclose(log_prob, model.log_prob(images, condition), rtol=1e-12)
    np.testing.assert_array_equal(images[:4], model.sample(4, rows(condition, slice(4)), rng=1))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(2, 3, 1), pytest.param((2, 2, 3), marks=pytest.mark.slow)])
def test_a_model_learns_what_it_is_told(name, shape):
    """Two images and two labels: told the label, there is nothing left to guess; and fit shuffles both together."""
    both = np.stack([np.zeros(shape, np.uint8), np.ones(shape, np.uint8)])
    labels = np.arange(32) % 2
    model = Case(name, shape, 2, "bernoulli").model(
        num_classes=2, **WIDE[name], rng=1
    )  # a start in which no colour is dead
    mp.fit(model, both[labels], labels, epochs=30, batch_size=8, optimizer=mp.optim.Adam(0.02), progress=False)
    assert model.bits_per_dim(both, np.arange(2)) < 0.1
    assert model.bits_per_dim(both, np.array([1, 0])) > 1
    np.testing.assert_array_equal(model.sample(2, np.arange(2), rng=0), both)


def small(**options):
    return mp.models.PixelCNN((4, 3, 1), 2, hidden=2, blocks=1, **options)


ZEROS = np.zeros((2, 4, 3, 1), np.uint8)
MAPS, BOTH = np.zeros((2, 4, 3, 1)), {"num_classes": 3, "condition_shape": (4, 3, 1)}


@pytest.mark.parametrize(
    ("options", "condition", "match"),
    [
        ({"num_classes": 3}, None, r"condition: got None, wanted 2 labels, integers \(N,\) in 0\.\.2"),
        ({"num_classes": 3}, np.array([0, 3]), r"condition: got labels 0\.\.3, wanted 0\.\.2"),
        ({"num_classes": 3}, np.array([-1, 0]), r"condition: got labels -1\.\.0, wanted 0\.\.2"),
        ({"num_classes": 3}, np.array([0]), r"condition: got int64 of shape \(1,\), wanted 2 labels"),
        ({"num_classes": 3}, np.array([0.0, 1.5]), r"condition: got float64 of shape \(2,\), wanted 2 labels"),
        ({"num_classes": 3}, np.eye(3)[:2], r"condition: got float64 of shape \(2, 3\), wanted 2 labels"),
        ({"condition_shape": (5,)}, None, r"condition: got None, wanted numbers of shape \(2, 5\)"),
        ({"condition_shape": (5,)}, np.zeros((2, 4)), r"condition: got float64 of shape \(2, 4\), wanted"),
        ({"condition_shape": (5,)}, np.full((2, 5), np.nan), r"condition: got nan, wanted finite numbers"),
        ({"condition_shape": (5,)}, np.array([["a"] * 5] * 2), r"condition: got <U1 of shape"),
        ({"condition_shape": (4, 3, 2)}, np.zeros((2, 3, 4, 2)), r"condition: got float64 of shape \(2, 3, 4, 2\)"),
        ({}, np.zeros(2, int), r"condition: got one, wanted None"),
        (
            BOTH,
            None,
            r"condition: got None, wanted \(2 labels.*; numbers of shape \(2, 4, 3, 1\)",
        ),
        (BOTH, np.zeros(2, int), r"condition: got a ndarray, wanted a pair, \(2 labels"),
        (BOTH, (np.zeros(2, int),), r"condition: got 1 things, wanted a pair, \(2 labels"),
        (BOTH, (np.full(2, 3), MAPS), r"condition\[0\]: got labels 3\.\.3, wanted 0\.\.2; labels count from 0"),
        (BOTH, (MAPS, np.zeros(2, int)), r"condition\[0\]: got float64 of shape \(2, 4, 3, 1\), wanted 2 labels"),
        (BOTH, (np.zeros(2, int), MAPS[:1]), r"condition\[1\]: got float64 of shape \(1, 4, 3, 1\), wanted numbers of"),
    ],
)
def test_bad_conditions(options, condition, match):
    model = small(**options)
    for call in (model.loss, model.log_prob, lambda images, c: model.sample(2, c), lambda i, c: mp.fit(model, i, c)):
        with pytest.raises(ValueError, match=match) as error:
            call(ZEROS, condition)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_classes": 0}, r"num_classes: got 0"),
        ({"num_classes": 2.5}, r"num_classes: got 2\.5"),
        ({"condition_shape": 3}, r"condition_shape: got 3, wanted \(K,\)"),
        ({"condition_shape": (3, 4, 2)}, r"condition_shape: got \(3, 4, 2\), wanted \(K,\) for vectors or \(4, 3, K\)"),
        ({"condition_shape": (4, 3)}, r"condition_shape: got \(4, 3\)"),
        ({"condition_shape": (0,)}, r"condition_shape: got \(0,\)"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        small(**options)
