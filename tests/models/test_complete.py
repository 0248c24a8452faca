"""Completion: what is known stays, the rest is drawn from it in the model's own order."""

import numpy as np
import pytest
from model_table import CASES, Case

import minipixel as mp

cases = pytest.mark.parametrize(
    "case", [case for case in CASES if case.variant or case.shape[0] > 1], ids=lambda c: c.id
)


def half_known(case, n, seed=0):
    """Images that are drawn at random, and which of their pixels are known: about half, others in each image."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, case.levels, (n, *case.shape)).astype(np.uint8)
    return images, rng.random((n, *case.shape[:2])) < 0.5


@cases
def test_known_pixels_stay_and_the_others_say_nothing(case):
    model = case.model()
    images, known = half_known(case, 30)
    completed = model.complete(images, known, rng=1)
    assert completed.dtype == np.uint8 and completed.shape == images.shape
    np.testing.assert_array_equal(completed[known], images[known])
    scrambled = np.where(known[..., None], images, case.levels - 1 - images)
    np.testing.assert_array_equal(model.complete(scrambled, known, rng=1), completed)
    np.testing.assert_array_equal(model.complete(images[:4], known[:4], rng=1), completed[:4])
    assert (completed[~known] != images[~known]).any()


@cases
def test_all_known_and_nothing_known(case):
    model = case.model()
    images, _ = half_known(case, 6)
    H, W, _ = case.shape
    np.testing.assert_array_equal(model.complete(images, np.ones((H, W), bool)), images)
    np.testing.assert_array_equal(model.complete(images, np.zeros((H, W), bool), rng=3), model.sample(6, rng=3))


@pytest.mark.parametrize(
    "case",
    [
        Case("pixelcnn", (2, 3, 1), 2, "bernoulli"),
        Case("pixelcnnpp", (2, 2, 1), 3, "logistic_mixture"),
        Case("multi-scale", (3, 2, 1), 2, "bernoulli"),
        Case("multi-scale", (1, 3, 3), 2, "categorical"),
    ],
    ids=lambda case: case.id,
)
def test_what_is_drawn_follows_the_conditional_probabilities(case):
    """If the first pixels in line are known, completions are draws from p(rest | those): 4,000 against exact shares."""
    model, every = case.model(rng=2), case.every_image()
    mp.fit(model, every[::2], epochs=2, batch_size=8, optimizer=mp.optim.Adam(0.02), progress=False)
    first = model.order[..., 0] < 2 * case.shape[2]  # two pixels, in the model's order
    image = every[len(every) // 3]
    drawn = model.complete(np.repeat(image[None], 4000, axis=0), first, rng=0)
    possible = (every[:, first] == image[first]).all(axis=(1, 2))
    shares = np.exp(model.log_prob(every[possible]))
    shares /= shares.sum()
    counts = [(drawn == other).all(axis=(1, 2, 3)).sum() for other in every[possible]]
    assert sum(counts) == 4000
    error = np.sqrt(shares * (1 - shares) / 4000)
    assert (np.abs(np.array(counts) / 4000 - shares) < 5 * error + 1e-3).all()


def test_only_earlier_pixels_steer_a_drawn_one():
    """A known last pixel changes nothing before it; in a model of several scales the same pixel may come early."""
    for name, steers in (("pixelcnn", False), ("multi-scale", True)):
        case = Case(name, (3, 3, 1), 2, "bernoulli")
        model, every = case.model(), case.every_image()
        alike = every[(every[:, 1, 1] == every[:, 2, 2])[:, 0]]  # so that one pixel tells of the other
        mp.fit(model, alike, epochs=8, batch_size=16, optimizer=mp.optim.Adam(0.02), progress=False)
        known = np.zeros((3, 3), bool)
        known[2, 2] = True
        light, dark = (np.full((200, 3, 3, 1), level) for level in (1, 0))
        completions = [model.complete(images, known, rng=0)[:, ~known] for images in (light, dark)]
        assert (completions[0] != completions[1]).any() == steers


def test_under_a_condition():
    case = Case("gated", (2, 3, 1), 2, "bernoulli")
    model, known = case.model(num_classes=2), np.array([[True, False, False], [False, False, True]])
    both = np.stack([np.zeros(case.shape, np.uint8), np.ones(case.shape, np.uint8)])
    labels = np.arange(64) % 2
    mp.fit(model, both[labels], labels, epochs=40, batch_size=16, optimizer=mp.optim.Adam(0.02), progress=False)
    np.testing.assert_array_equal(model.complete(both, known, np.arange(2), rng=0), both)
    with pytest.raises(ValueError, match="condition: got None, wanted 2 labels"):
        model.complete(both, known)


@pytest.mark.parametrize(
    ("known", "match"),
    [
        (
            np.ones((2, 3)),
            r"known: got float64 of shape \(2, 3\), wanted True and False of shape \(2, 3\) or \(4, 2, 3\)",
        ),
        (np.ones((3, 2), bool), r"known: got bool of shape \(3, 2\)"),
        (np.ones((5, 2, 3), bool), r"known: got bool of shape \(5, 2, 3\)"),
        (np.ones((4, 2, 3, 1), bool), r"known: got bool of shape \(4, 2, 3, 1\)"),
        (None, r"known: got None, wanted an array"),
    ],
)
def test_bad_masks(known, match):
    model = Case("pixelcnn", (2, 3, 1), 2, "bernoulli").model()
    with pytest.raises(ValueError, match=match) as error:
        model.complete(np.zeros((4, 2, 3, 1), np.uint8), known)
    assert "\n" not in str(error.value)
