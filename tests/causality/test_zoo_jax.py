"""Models of JAX and flax that strangers might write: the right verdict, no raw traceback, the right cause.

What is true of each is found out here by brute force: each sub-pixel of an image is changed, one at a time.
"""

import contextlib
import functools
from dataclasses import dataclass

import numpy as np
import pytest

pytest.importorskip("jax", reason="these models need JAX: pip install 'minipixel[jax]'")
pytest.importorskip("flax", reason="these models need flax: pip install 'minipixel[jax]'")

import jax
from causality.zoo import jax_models as zoo

BY_NAME = {animal.name: animal for animal in zoo.ZOO}


@pytest.fixture(autouse=True)
def quickly_compiled(request):
    """XLA leaves out what it does for speed: most of the time would go into that. Slow tests do without."""
    slow = request.node.get_closest_marker("slow")
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", not slow)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@functools.cache
def report(name):
    """What minipixel says of it, asked in the natural way."""
    return BY_NAME[name].check(BY_NAME[name].make())


@pytest.mark.parametrize("name", BY_NAME)
def test_the_verdict_is_right(name):
    animal = BY_NAME[name]
    assert report(name).ok == animal.causal, str(report(name))
    assert bool(report(name).batch_statistics) == animal.batch_statistics
    assert report(name).undecided == animal.undecided


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_the_verdict_is_right_of_optimised_code(name):
    animal = BY_NAME[name]
    assert animal.check(animal.make()).ok == animal.causal


def test_the_cause_is_named():
    leaky = [animal for animal in zoo.ZOO if animal.cause]
    unnamed = [
        f"{animal.name}: {report(animal.name).why}" for animal in leaky if animal.cause not in report(animal.name).why
    ]
    assert len(unnamed) <= len(leaky) / 10, "\n".join(unnamed)


@dataclass(frozen=True)
class Fed:
    """What the function is fed: the shape of an image, the numbers in it, how many at a time; what of it is one place.

    A place is what is drawn at once: the first axis of an output (S, ...) belongs to S of them.
    """

    shape: tuple
    dtype: str = "float32"
    levels: int | None = None
    images: int = 2
    places: int = 20
    channels_first: bool = False
    tolerance: float = 0.0

    def draw(self, rng):
        shape = (self.images, *self.shape)
        drawn = rng.uniform(-1, 1, shape) if self.levels is None else rng.integers(self.levels, size=shape)
        return drawn.astype(self.dtype)

    def by_place(self, numbers):
        """(N, ...) -> (N, places, ...), in raster order."""
        numbers = np.asarray(numbers).astype(np.float64)
        if self.channels_first:
            numbers = np.moveaxis(numbers, 1, -1)
        return numbers.reshape(len(numbers), self.places, -1)


FED = {
    zoo.grey: Fed((4, 5, 1)),
    zoo.grey_first: Fed((1, 4, 5), channels_first=True),
    zoo.grey_double: Fed((4, 5, 1), "float64"),
    zoo.grey_half: Fed((4, 5, 1), "float16"),
    zoo.grey_of_four: Fed((4, 5, 1), images=4),
    zoo.grey_tolerant: Fed((4, 5, 1), tolerance=1e-5),
    zoo.codes: Fed((4, 5), "int32", 4),
    zoo.colour: Fed((3, 4, 3), places=36),
    zoo.wide: Fed((3, 5, 3), places=45),
    zoo.mixture: Fed((3, 4, 3), places=12),
    zoo.vector: Fed((9,), places=9),
    zoo.sequence: Fed((9,), "int32", 4, places=9),
}


def dependencies(function, fed, trials=3):
    """What each place sees, (places, places), and whether an image sees another one: a place at a time is changed."""
    rng = np.random.default_rng(0)
    found, strangers = np.zeros((fed.places, fed.places)), False
    for _ in range(trials):
        images = fed.draw(rng)
        before = fed.by_place(function(jax.numpy.asarray(images)))
        for place in range(fed.places):
            changed = images.copy()
            one = fed.by_place(changed)[0]
            one[place] = 3 * np.sign(one[place]) - one[place] if fed.levels is None else (one[place] + 2) % fed.levels
            first = one.reshape(*fed.shape[1:], 1).transpose(2, 0, 1) if fed.channels_first else one.reshape(fed.shape)
            changed[0] = first.astype(fed.dtype)
            moved = np.abs(fed.by_place(function(jax.numpy.asarray(changed))) - before).max(axis=-1)
            found[:, place] = np.maximum(found[:, place], moved[0])
            strangers |= bool(moved[1:].any())
    return found > fed.tolerance * found.max(), strangers


@pytest.mark.parametrize("name", BY_NAME)
def test_what_the_zoo_says_is_true(name):
    animal = BY_NAME[name]
    double = jax.enable_x64(True) if animal.check is zoo.grey_double else contextlib.nullcontext()
    with double:
        found, strangers = dependencies(zoo.AWAKE.get(name, animal.make)(), FED[animal.check])
    assert np.tril(found, -1).any(), "what sees nothing shows nothing"
    assert animal.causal == (not np.triu(found).any() and not strangers)
    assert strangers == (animal.cause == "batch")


@pytest.mark.parametrize("name", zoo.AWAKE)
def test_what_sleeps_shows_nothing(name):
    animal = BY_NAME[name]
    found, _ = dependencies(animal.make(), FED[animal.check])
    assert animal.causal or not np.triu(found).any()
