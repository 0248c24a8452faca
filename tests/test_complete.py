"""`complete`: what is known stays, what is unknown may hold anything, and it takes what `sample` takes."""

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case
from scipy.stats import chisquare

from minipixel.sampling import SAMPLERS

SHAPES = [((3, 4, 1), 2, "bernoulli"), ((2, 3, 3), 3, "categorical"), ((3, 3, 1), 6, "logistic_mixture")]
SHAPES += [((2, 3, 3), 256, "normal_mixture"), ((2, 5, 1), 256, "categorical")]


def task(turn, N=4):
    """A model, images, which pixels are known, and conditions."""
    name, variant = KINDS[turn]
    shape, Q, head = SHAPES[turn % len(SHAPES)]
    model, rng = (
        Case(name, shape, Q, head, variant).conditional(CONDITIONS[turn % len(CONDITIONS)]),
        np.random.default_rng(turn),
    )
    images, known = rng.integers(0, Q, (N, *shape)), rng.random((N, *shape[:2])) < 0.5
    return model, images, known, model.conditions.random(N, rng)


each_kind = pytest.mark.parametrize("turn", range(len(KINDS)), ids=lambda turn: "-".join(filter(None, KINDS[turn])))


@each_kind
def test_all_methods_and_temperatures_agree(turn):
    model, images, known, condition = task(turn)
    for temperature in (0, 0.5, 1.0, 3):
        options = {"rng": 3, "temperature": temperature}
        wanted = model.complete(images, known, condition, method="naive", **options)
        np.testing.assert_array_equal(wanted[known], images[known])
        for method in ("auto", "cached"):
            np.testing.assert_array_equal(model.complete(images, known, condition, method=method, **options), wanted)
    nothing = np.zeros_like(known)
    sampled = model.sample(len(images), condition, rng=5, temperature=0.5)
    np.testing.assert_array_equal(model.complete(images, nothing, condition, rng=5, temperature=0.5), sampled)


@each_kind
def test_the_log_likelihood_is_that_of_the_whole_picture(turn):
    """Untempered, known pixels and drawn ones; which is that of `log_prob`, for any method and temperature."""
    model, images, known, condition = task(turn)
    for method in ("auto", "naive"):
        options = {"rng": 1, "temperature": 0.3, "method": method}
        found, log_prob = model.complete(images, known, condition, return_log_prob=True, **options)
        np.testing.assert_array_equal(found, model.complete(images, known, condition, **options))
        assert log_prob.shape == (len(images),) and log_prob.dtype == np.float64
        np.testing.assert_array_equal(log_prob, model.log_prob(found, condition))
    everything = np.ones_like(known)
    same, log_prob = model.complete(images, everything, condition, return_log_prob=True)
    np.testing.assert_array_equal(same, images)
    np.testing.assert_array_equal(log_prob, model.log_prob(images, condition))


def test_what_is_drawn_is_the_conditional():
    """The upper row known: what follows comes as often as exp(log-likelihood) of all pictures with that row says."""
    case = Case("pixelcnn", (2, 2, 1), 3, "categorical")
    model, every, n = case.conditional(""), case.every_image(), 3000
    known, upper = np.array([[True, True], [False, False]]), np.array([[2], [0]])
    of_row = every[(every[:, 0] == upper).all(axis=(1, 2))]
    weights = np.exp(model.log_prob(of_row))
    images = np.full((n, 2, 2, 1), -1)
    images[:, 0] = upper
    found, log_prob = model.complete(images, known, rng=0, return_log_prob=True)
    place = (found[:, 1, 0, 0] * 3 + found[:, 1, 1, 0]).astype(int)
    np.testing.assert_allclose(np.exp(log_prob), weights[place], rtol=1e-12)
    assert chisquare(np.bincount(place, minlength=9), n * weights / weights.sum()).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint64"])
def test_unknown_pixels_may_hold_anything(dtype):
    model, images, known, condition = task(1)
    wanted = model.complete(images, known, condition, rng=0)
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    for held in (lowest, highest, 255 if highest >= 255 else 3, -1 if lowest < 0 else 1):
        asked = np.where(known[..., None], images, 0).astype(dtype)
        asked[~known] = held
        before = asked.copy()
        np.testing.assert_array_equal(model.complete(asked, known, condition, rng=0), wanted)
        np.testing.assert_array_equal(asked, before)


def test_what_is_known_has_to_be_a_level():
    model, images, known, condition = task(0)
    for wrong in (-1, 2, 255):
        asked = images.copy()
        asked[1][known[1]] = wrong
        with pytest.raises(ValueError, match=rf"^images: got levels .*{wrong}.*, wanted 0\.\.1"):
            model.complete(asked, known, condition)
    floats = np.where(known[..., None], images, np.nan)
    with pytest.raises(ValueError, match=r"^images: got .*float"):
        model.complete(floats, known, condition)
    for shape in ((), (3,), (3, 4), (3, 4, 1), (4, 4, 3, 1), (4, 1, 3, 4)):
        with pytest.raises(ValueError, match=r"^(images|known): got .*, wanted .*") as error:
            model.complete(np.zeros(shape, int), known, condition)
        assert "\n" not in str(error.value)
    for options, match in [
        ({"temperature": -1}, r"^temperature: got -1, wanted a number from 0 up"),
        ({"temperature": float("nan")}, r"^temperature: got nan"),
        ({"method": "fast"}, r"^method: got 'fast', wanted one of"),
    ]:
        with pytest.raises(ValueError, match=match):
            model.complete(images, known, condition, **options)


def test_all_methods_are_taken():
    model, known = Case("gated", (3, 14, 1), 2, "bernoulli").conditional(""), np.zeros((3, 14), bool)
    images = np.full((2, 3, 14, 1), -1)
    wanted = model.complete(images, known, rng=0, method="naive")
    for method in SAMPLERS:
        np.testing.assert_array_equal(model.complete(images, known, rng=0, method=method), wanted)
