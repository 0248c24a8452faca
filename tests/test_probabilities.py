"""`probabilities` and `accuracy`: what a model says of every level, by the one method of its head, `log_prob_of`."""

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case
from quick import every
from test_extreme_parameters import all_pixels, of_any_size

import minipixel as mp
from minipixel.heads import HEADS, make_head
from minipixel.models import probabilities as module
from minipixel.tensor import Tensor

ROWS = [((3, 4, 1), 2, "bernoulli"), ((2, 3, 3), 3, "categorical"), ((3, 3, 1), 6, "logistic_mixture")]
ROWS += [((2, 3, 3), 2, "bernoulli"), ((2, 3, 3), 7, "logistic_mixture"), ((2, 3, 3), 9, "normal_mixture")]
ROWS += [((2, 3, 2), 4, "normal_mixture"), ((2, 2, 4), 5, "logistic_mixture"), ((2, 2, 4), 3, "categorical")]
ROWS += [((2, 3, 1), 256, "normal_mixture"), ((1, 3, 3), 256, "logistic_mixture"), ((2, 3, 1), 256, "categorical")]


def task(kind, row, told="", dtype="float64"):
    (name, variant), (shape, Q, head) = kind, row
    if variant == "3-scales" and max(shape[:2]) < 3:
        shape = (1, 3, shape[2])
    model, rng = Case(name, shape, Q, head, variant).conditional(told, dtype=dtype), np.random.default_rng(Q)
    return model, rng.integers(0, Q, (5, *shape)), model.conditions.random(5, rng)


@pytest.mark.parametrize("turn", every(3, range(len(KINDS))), ids=lambda turn: "-".join(filter(None, KINDS[turn])))
def test_they_sum_to_1_and_hold_the_log_prob_map(turn):
    for j, row in enumerate(ROWS):
        model, images, condition = task(KINDS[turn], row, CONDITIONS[(turn + j) % len(CONDITIONS)])
        p = model.probabilities(images, condition)
        assert p.shape == (*images.shape, model.levels) and p.dtype == np.float64
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)
        gathered = np.take_along_axis(p, images[..., None], axis=-1)[..., 0]
        log_p, seen = model.log_prob_map(images, condition), gathered > 1e-300
        assert (log_p[~seen] < -690).all()  # less than numbers can be
        np.testing.assert_allclose(np.log(gathered[seen]), log_p[seen], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_level_tried_says_the_same(row):
    """That is: with the level put into the image, and all earlier sub-pixels as they are."""
    model, images, _ = task(("multi-scale", ""), row)
    p = model.probabilities(images)
    for level in {0, 1, model.levels // 2, model.levels - 1}:
        for place in np.ndindex(images.shape[1:]):
            tried = images.copy()
            tried[(slice(None), *place)] = level
            wanted = model.log_prob_map(tried)[(slice(None), *place)]
            np.testing.assert_allclose(p[(slice(None), *place, level)], np.exp(wanted), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_in_float32(row):
    model, images, _ = task(("gated", ""), row, dtype="float32")
    p = model.probabilities(images)
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)
    gathered = np.take_along_axis(p, images[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(np.log(gathered), model.log_prob_map(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.3, 4.0])
@pytest.mark.parametrize("C", [1, 3, 4])
@pytest.mark.parametrize("name", HEADS)
def test_what_a_head_says_is_what_it_draws(name, C, temperature):
    """The level changes where the uniform passes the sum of the probabilities below, at any temperature."""
    Q, rng = 2 if name == "bernoulli" else 5, np.random.default_rng(0)
    head = make_head(name, C, Q, 3)
    parameters, pixel = rng.standard_normal((30, len(head.groups))), rng.integers(0, Q, (30, C))
    for channel in range(C):
        edges = np.exp(head.log_prob_of(parameters, pixel, channel, np.arange(Q)[None], temperature)).cumsum(axis=1)
        np.testing.assert_allclose(edges[:, -1], 1, rtol=0, atol=1e-12)
        for level in range(Q - 1):
            for past, wanted in ((-1e-9, level), (1e-9, level + 1)):
                u = np.clip(edges[:, level] + past, 0, 1 - 1e-9)
                drawn, apart = head.draw(parameters, pixel, channel, u, temperature), np.diff(edges, axis=1).min(axis=1)
                sure = (apart > 1e-8) & (edges[:, 0] > 1e-8)
                assert sure.any() and (drawn[sure] == wanted).all()


@pytest.mark.parametrize("C", [1, 3, 4])
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("seed", range(5))
def test_parameters_of_any_size(name, C, seed):
    Q = 2 if name == "bernoulli" else 4
    head, pixels = make_head(name, C, Q, 3), all_pixels(C, Q)
    parameters = np.repeat(of_any_size(seed, (10, len(head.groups))), len(pixels), axis=0)
    pixels = np.tile(pixels, (10, 1))
    wanted = head.log_prob(Tensor(parameters[None, None].astype(np.float64)), pixels[None, None]).data[0, 0]
    for channel in range(C):
        log_p = head.log_prob_of(parameters, pixels, channel, np.arange(Q)[None])
        np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1, rtol=0, atol=1e-12)
        gathered = np.take_along_axis(log_p, pixels[:, channel, None], axis=1)[:, 0]
        np.testing.assert_allclose(gathered, wanted[:, channel], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_accuracy_is_how_often_temperature_0_would_draw_the_true_level(row, monkeypatch):
    model, images, _ = task(("pixelcnn", ""), row)
    p = model.probabilities(images)
    likeliest = (p >= p.max(axis=-1, keepdims=True) * (1 - 1e-12)).argmax(axis=-1)
    found = model.accuracy(images)
    assert type(found) is float and found == (likeliest == images).mean()
    drawn = model.sample(3, temperature=0)
    assert model.accuracy(drawn) == 1
    monkeypatch.setattr(module, "AT_ONCE", 3)  # a few pixels, or one, at a time
    assert model.accuracy(images) == found
    np.testing.assert_array_equal(model.probabilities(images), p)


def test_what_would_take_too_much_memory_is_refused(monkeypatch):
    model = mp.models.PixelCNN((4, 4, 1), 2, hidden=4, blocks=1)
    monkeypatch.setattr(module, "MOST_BYTES", 3 * 4 * 4 * 2 * 8)
    images = np.zeros((4, 4, 4, 1), int)
    assert model.probabilities(images[:3]).shape == (3, 4, 4, 1, 2)
    with pytest.raises(ValueError, match=r"^images: got 4, .* wanted at most .*; ask for 3 at a time$"):
        model.probabilities(images)
    monkeypatch.setattr(module, "MOST_BYTES", 5)
    with pytest.raises(ValueError, match=r"ask for log_prob_map or accuracy$"):
        model.probabilities(images)


def test_bad_input():
    model = mp.models.PixelCNN((4, 4, 1), 2, hidden=4, blocks=1)
    for method in (model.probabilities, model.accuracy):
        with pytest.raises(ValueError, match=r"^images: got shape"):
            method(np.zeros((2, 4, 4), int))
        with pytest.raises(ValueError, match=r"^condition: got one"):
            method(np.zeros((2, 4, 4, 1), int), [1, 2])
