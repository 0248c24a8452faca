"""`complete(..., particles=K)`: drawn pixels that suit the known ones further on, the better the more particles."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case
from quick import every
from scipy.stats import chisquare
from test_complete import SHAPES

import minipixel as mp
from minipixel import sampling
from minipixel.sampling import LookingAhead, particles

_spec = importlib.util.spec_from_file_location("particles_benchmark", Path("benchmarks/particles.py").resolve())
benchmark = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(benchmark)


def task(turn, N=4):
    """A model, images, which pixels are known, and conditions."""
    (name, variant), (shape, Q, head) = KINDS[turn], SHAPES[turn % len(SHAPES)]
    model, rng = Case(name, shape, Q, head, variant).conditional(CONDITIONS[turn % 5]), np.random.default_rng(turn)
    images, known = rng.integers(0, Q, (N, *shape)), rng.random((N, *shape[:2])) < 0.5
    return model, images, known, model.conditions.random(N, rng)


@pytest.mark.parametrize("turn", every(2, range(len(KINDS))), ids=lambda turn: "-".join(filter(None, KINDS[turn])))
def test_all_methods_and_temperatures_agree(turn, monkeypatch):
    model, images, known, condition = task(turn)
    for temperature, K in ((0.5, 5), (1.0, 9)):
        options = {"rng": 3, "temperature": temperature, "particles": K}
        wanted = model.complete(images, known, condition, method="naive", **options)
        np.testing.assert_array_equal(wanted[known], images[known])
        for method in ("auto", "cached"):
            np.testing.assert_array_equal(model.complete(images, known, condition, method=method, **options), wanted)
        with pytest.warns(UserWarning, match="^wavefront: particles are weighed pixel by pixel") as record:
            found = model.complete(images, known, condition, method="wavefront", **options)
        assert record[-1].filename == __file__
        np.testing.assert_array_equal(found, wanted)
        plain, _ = sampling.program_of(model, wave=False)
        monkeypatch.setitem(sampling.SAMPLERS, "plain", lambda model, plain=plain: sampling.Cached(plain, model))
        np.testing.assert_array_equal(model.complete(images, known, condition, method="plain", **options), wanted)


def test_a_class_beside_a_map_steers_its_own_particles():
    options = {"num_classes": 3, "condition_shape": (3, 3, 2), "hidden": 4, "blocks": 1}
    model, rng = mp.models.PixelCNN((3, 3, 1), 3, **options), np.random.default_rng(0)
    images, known = rng.integers(0, 3, (5, 3, 3, 1)), rng.random((5, 3, 3)) < 0.5
    condition = model.conditions.random(5, rng)
    wanted = model.complete(images, known, condition, rng=0, particles=6)
    for method in ("naive", "cached"):
        found = model.complete(images, known, condition, rng=0, particles=6, method=method)
        np.testing.assert_array_equal(found, wanted)
    first = model.complete(images[:2], known[:2], tuple(part[:2] for part in condition), rng=0, particles=6)
    np.testing.assert_array_equal(first, wanted[:2])


def test_an_image_does_not_depend_on_those_beside_it(monkeypatch):
    """Nor on workers, nor on how many images go together; and the same rng gives the same."""
    model, images, known, condition = task(1, N=7)
    wanted = model.complete(images, known, condition, rng=0, particles=6)
    first = [None if part is None else part[:2] for part in (images, known, condition)]
    np.testing.assert_array_equal(model.complete(*first, rng=0, particles=6), wanted[:2])
    with mp.shards.Workers(1):
        np.testing.assert_array_equal(model.complete(images, known, condition, rng=0, particles=6), wanted)
    sizes = []

    class Small(LookingAhead):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            sizes.append(self.shard_size)
            self.shard_size = 1

    monkeypatch.setattr(mp.models.base, "LookingAhead", Small)
    np.testing.assert_array_equal(model.complete(images, known, condition, rng=0, particles=6), wanted)
    assert sizes[0] > 1


def test_one_particle_is_completion_as_ever():
    model, images, known, condition = task(3)
    wanted = model.complete(images, known, condition, rng=5, temperature=0.7)
    options = {"rng": 5, "temperature": 0.7, "particles": 1}
    np.testing.assert_array_equal(model.complete(images, known, condition, **options), wanted)


def test_the_log_likelihood_is_that_of_the_whole_picture():
    model, images, known, condition = task(2)
    found, log_prob = model.complete(images, known, condition, rng=1, particles=4, return_log_prob=True)
    np.testing.assert_array_equal(found, model.complete(images, known, condition, rng=1, particles=4))
    np.testing.assert_array_equal(log_prob, model.log_prob(found, condition))


def test_the_distance_to_the_exact_conditional_falls():
    """One model of the benchmark, and fewer draws: 64 particles are within the noise, one is far from it."""
    found, (_, most) = benchmark.tiny(1, draws=4000, counts=(1, 4, 64))
    assert found[0] > 3 * most and found[0] > 1.5 * found[1] and found[2] < most


@pytest.mark.slow
@pytest.mark.parametrize("seed", benchmark.SEEDS)
def test_the_distance_falls_until_it_is_noise(seed):
    found, (_, most) = benchmark.tiny(seed)
    assert found[-1] < 1.1 * most
    assert all(b < max(a, most) for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("shape", "Q", "head", "temperature"),
    [
        ((1, 4, 1), 3, "categorical", 0.6),
        ((1, 4, 1), 2, "bernoulli", 2.0),
        pytest.param((1, 2, 3), 3, "logistic_mixture", 0.7, marks=pytest.mark.slow),
        pytest.param((1, 2, 3), 3, "normal_mixture", 1.5, marks=pytest.mark.slow),
    ],
)
def test_what_is_drawn_at_a_temperature_is_the_conditional_of_the_tempered_model(shape, Q, head, temperature):
    """Its pictures come from drawing at that temperature: their probabilities multiplied along the pixels."""
    case = Case("gated", shape, Q, head)
    model, n = case.conditional(""), 3000
    known = np.zeros(shape[:2], bool)
    known[0, -1] = True
    pictures, picture = case.every_image(), model.sample(1, rng=4)[0]
    parameters = model.predict(pictures)
    log_p = np.zeros(len(pictures))
    for r, c, channel in np.ndindex(shape):
        here = pictures[:, r, c]
        log_p += model.head.log_prob_of(parameters[r, c], here, channel, here[:, channel, None], temperature)[:, 0]
    np.testing.assert_allclose(np.exp(log_p).sum(), 1, rtol=1e-10)
    agree = (pictures[:, known] == picture[known]).all(axis=(1, 2))
    p = np.exp(log_p[agree]) / np.exp(log_p[agree]).sum()
    tiled = np.repeat(picture[None], n, axis=0)
    found = model.complete(tiled, known, rng=0, particles=100, temperature=temperature)
    counts = np.array([(found == one).all(axis=(1, 2, 3)).sum() for one in pictures[agree]])
    rare = n * p < 5
    cells, expected = ([*x[~rare], x[rare].sum()] for x in (counts, n * p))
    expected = np.array(expected) + 1e-9
    assert counts.sum() == n and chisquare(cells, expected * (n / expected.sum())).pvalue > 1e-3


def test_replacing_keeps_weights_in_the_mean():
    """Each particle comes back as often as its weight says, K times that in the mean, within 1 of it each time."""
    rng, K = np.random.default_rng(0), 8
    shares = rng.dirichlet(np.ones(K) / 2, 2000)
    shares[:] = shares[0]
    at = (np.arange(K) + rng.random((2000, 1))) / K
    counts = (particles._where(shares, at)[:, :, None] == np.arange(K)).sum(axis=1)
    assert (np.abs(counts - K * shares) < 1).all()
    np.testing.assert_allclose(counts.mean(axis=0), K * shares[0], atol=0.06)


def test_replaced_particles_take_all_that_is_kept_of_them_along(monkeypatch):
    """Where they are replaced at every known sub-pixel, cached and naive still agree."""
    replaced, draw = [], particles.Particles.draw

    def watched(self, *arguments):
        levels = draw(self, *arguments)
        replaced.append(self.moved is not None)
        return levels

    monkeypatch.setattr(particles, "FEW", 2.0)
    monkeypatch.setattr(particles.Particles, "draw", watched)
    for turn in range(len(KINDS)):
        model, images, known, condition = task(turn, N=2)
        options = {"rng": 0, "particles": 5}
        wanted = model.complete(images, known, condition, method="naive", **options)
        np.testing.assert_array_equal(model.complete(images, known, condition, method="cached", **options), wanted)
    assert sum(replaced) > len(replaced) / 5


def test_known_pixels_that_no_particle_can_explain():
    """Weights of minus infinity: the particles count alike, and the picture is complete."""
    model, images, known, _ = task(0)

    class Impossible(type(model.head)):
        def log_prob_of(self, parameters, pixel, channel, levels, temperature=1.0):
            return np.full((len(parameters), levels.shape[1]), -np.inf)

    model.head = Impossible(1, 2, 1)
    found = model.complete(images, known, model.conditions.random(4, np.random.default_rng(0)), rng=0, particles=3)
    np.testing.assert_array_equal(found[known], images[known])


def test_bad_input():
    model, images, known, condition = task(0)
    for wrong in (0, -1, 1.5, 1025, "many", None, True):
        with pytest.raises(ValueError, match=r"^particles: got .*, wanted a whole number in 1\.\.1024"):
            model.complete(images, known, condition, particles=wrong)
    with pytest.raises(ValueError, match=r"^temperature: got 0 with particles=4, wanted more than 0"):
        model.complete(images, known, condition, particles=4, temperature=0)
