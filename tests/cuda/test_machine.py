"""The samplers' machine on a GPU, played by the stand-in: it draws the images that the host draws, by one kernel."""

import shutil

import numpy as np
import pytest
from model_table import SMALL, Case

import minipixel as mp
from minipixel import kernels, stand_in
from minipixel.sampling import on_gpu
from minipixel.sampling.naive import Naive

pytestmark = [
    pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler to build the kernels"),
    pytest.mark.skipif(not kernels.numba_enabled(), reason="Numba is missing, or switched off: there is no machine"),
]
HEADS = {"bernoulli": (1, 2), "categorical": (3, 4), "logistic_mixture": (3, 5), "normal_mixture": (1, 6)}
"""By head: the channels of an image, and its levels."""


def case(name, head, variant=""):
    C, Q = HEADS[head]
    return Case(name, (4, 5, C), Q, head, variant)


@pytest.fixture(autouse=True)
def _gpu():
    with stand_in.installed():
        yield


def assert_draws_the_same(model, condition=None, method="cached", **options):
    """By one launch of the kernel; and so with real threads in its block."""
    wanted = model.sample(5, condition, rng=3, method=method, **options)
    model.to("cuda")
    with stand_in.counted() as counts:
        found = model.sample(5, condition, rng=3, method=method, **options)
    np.testing.assert_array_equal(found, wanted)
    assert 1 <= counts.launches <= 24 and counts.to_host.copies <= 2 + len(list(model.named_arrays()))
    with stand_in.threads_in_a_block(4):
        np.testing.assert_array_equal(model.sample(5, condition, rng=3, method=method, **options), wanted)
    model.to("cpu")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", SMALL)
def test_every_model_and_head(name, head):
    model = case(name, head).conditional("")
    for temperature in (1.0, 0.0, 0.6):
        assert_draws_the_same(model, temperature=temperature)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("pixelcnn", "prelu"),
        ("pixelcnn", "of-one-hot"),
        ("gated", "of-embeddings"),
        ("row-lstm", "from-learned-states"),
        ("diagonal-bilstm", "both-from-learned-states"),
        ("pixelcnnpp", "plain-weights"),
    ],
)
def test_variants_and_conditions(name, variant):
    model = case(name, "categorical", variant).conditional("class and map")
    assert_draws_the_same(model, model.conditions.random(5, np.random.default_rng(0)))


@pytest.mark.parametrize("name", ["pixelcnn", "row-lstm"])
def test_slanted_lines(name):
    assert_draws_the_same(case(name, "bernoulli").conditional(""), method="wavefront")


@pytest.mark.parametrize("what", ["memory", "threads"])
@pytest.mark.parametrize("name", ["diagonal-bilstm", "pixelcnnpp"])
def test_a_sanitizer_finds_nothing(name, what):
    model = case(name, "logistic_mixture").conditional("class").to("cuda")
    with stand_in.examined(what):
        model.sample(2, np.array([0, 1]), rng=0, method="cached")


def test_known_pixels_stay():
    model = case("gated", "categorical").conditional("")
    rng = np.random.default_rng(0)
    images, known = rng.integers(0, model.levels, (3, *model.image_shape)), rng.random((3, 4, 5)) < 0.5
    wanted = model.complete(images, known, rng=1, method="cached")
    found = model.to("cuda").complete(images, known, rng=1, method="cached")
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(found[known], images[known])


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_no_distribution_is_refused(head, number, monkeypatch):
    model = case("pixelcnn", head).conditional("")
    monkeypatch.setattr(mp.models.PixelCNN, "check_finite", lambda self: None)
    *_, last = model.parameters()
    last.data = np.full_like(last.data, number)
    with pytest.raises(ValueError, match="distribution") as on_host, np.errstate(all="ignore"):
        model.sample(2, rng=0, method="cached")
    with pytest.raises(ValueError, match="distribution") as there:
        model.to("cuda").sample(2, rng=0, method="cached")
    assert str(there.value) == str(on_host.value)


def test_what_the_machine_does_not_draw_stays_on_the_host():
    model = Case("pixelcnn", (3, 3, 3), 4, "normal_mixture").conditional("").to("cuda")
    found = model.sample(2, rng=0, method="cached")
    np.testing.assert_array_equal(found, model.sample(2, rng=0, method="naive"))
    naive = Naive(model)
    assert on_gpu(naive, model.xp) is naive
