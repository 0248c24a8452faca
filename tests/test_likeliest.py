"""Temperature 0: each sub-pixel takes its likeliest level given those before it, the lowest of several that tie."""

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case
from quick import every
from test_sampling import Flipped

import minipixel as mp
from minipixel.heads import HEADS, make_head
from minipixel.heads.base import TIE

KINDS_OF_IMAGE = [
    *[((3, 3, 1), 2, "bernoulli"), ((2, 2, 3), 2, "bernoulli"), ((2, 3, 1), 5, "categorical")],
    *[((2, 2, 3), 3, "categorical"), ((2, 3, 1), 2, "logistic_mixture"), ((1, 2, 3), 6, "logistic_mixture")],
    *[((2, 2, 1), 256, "logistic_mixture"), ((2, 3, 1), 4, "normal_mixture"), ((1, 2, 3), 7, "normal_mixture")],
]


def likeliest(model, images, known, condition):
    """Greedily, by scoring every level of every sub-pixel in the model's order: integers (N, H, W, C)."""
    images = np.where(known[..., None], images, 0)
    for place in np.argsort(model.order, axis=None):
        r, c, channel = np.unravel_index(place, model.order.shape)
        scores = []
        for level in range(model.levels):
            tried = images.copy()
            tried[:, r, c, channel] = level
            scores.append(model.log_prob_map(tried, condition)[:, r, c, channel])
        scores = np.stack(scores, axis=1)
        best = (scores >= scores.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
        images[:, r, c, channel] = np.where(known[:, r, c], images[:, r, c, channel], best)
    return images


@pytest.mark.parametrize("turn", every(3, range(len(KINDS))), ids=lambda turn: "-".join(filter(None, KINDS[turn])))
def test_every_level_scored_gives_the_same(turn):
    """Every kind of model with two heads, one of its conditions, all methods; drawn from nothing, and completed."""
    for j in (turn, turn + 4):
        name, variant = KINDS[turn]
        shape, Q, head = KINDS_OF_IMAGE[j % len(KINDS_OF_IMAGE)]
        if variant == "3-scales" and max(shape[:2]) < 3:
            shape = (1, 3, shape[2])
        model = Case(name, shape, Q, head, variant).conditional(CONDITIONS[j % len(CONDITIONS)])
        rng = np.random.default_rng(j)
        condition, nowhere = model.conditions.random(3, rng), np.zeros((3, *shape[:2]), bool)
        wanted = likeliest(model, np.zeros((3, *shape), int), nowhere, condition)
        known, images = rng.random((3, *shape[:2])) < 0.4, rng.integers(0, Q, (3, *shape))
        completed = likeliest(model, images, known, condition)
        for method in ("naive", "cached", "auto"):
            options = {"rng": None, "temperature": 0, "method": method}
            np.testing.assert_array_equal(model.sample(3, condition, **options), wanted, err_msg=method)
            np.testing.assert_array_equal(model.complete(images, known, condition, **options), completed)


def rows(head, C, *components):
    """The parameters of a mixture, one pixel: components of a logit, a mean for all colours and a log-scale."""
    logits, means, log_scales = np.array(components, float).T
    parts = [logits, *[means] * C, *[log_scales] * C, *[0 * logits] * (C * (C - 1) // 2)]
    return np.concatenate(parts)[None]


TIES = [  # Q, components, the level: what lies as far from both of two levels goes to the lower
    *[(256, [(0, 0, -4)], 127), (4, [(0, 0, -1)], 1), (256, [(0, 1 / 255, -5)], 128), (2, [(0, 0, 0)], 0)],
    *[(256, [(0, 0, 30)], 0), (6, [(0, -0.6, -3), (0, 0.6, -3)], 1), (5, [(1, 0.5, -2), (1, -0.5, -2)], 1)],
    *[(256, [(0, -9, -7)], 0), (256, [(0, 9, -7)], 255), (256, [(0, 11 / 255 - 1, -5)], 5), (3, [(0, 0, 0.4)], 0)],
    *[(1000, [(0, -9, -7)], 0)],
    # each level is scored, which takes seconds
    pytest.param(65536, [(0, 0, -10)], 32767, marks=pytest.mark.slow),
    pytest.param(65536, [(0, 1 / 65535, -11)], 32768, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("Q", "components", "level"), TIES)
@pytest.mark.parametrize("name", ["logistic_mixture", "normal_mixture"])
def test_mixtures_that_tie(name, Q, components, level):
    """And the next number up or down decides."""
    head = make_head(name, 1, Q, len(components))
    parameters, pixel, u = rows(head, 1, *components), np.zeros((1, 1), np.uint8), np.full(1, 0.9)
    assert head.draw(parameters, pixel, 0, u, 0.0) == level == drawn_in_the_loop(name, Q, parameters, pixel, 0)
    for nearer in (-1e-6, 1e-6):
        moved = rows(head, 1, *[(logit, mean + nearer, s) for logit, mean, s in components])
        scores = [head.log_prob(mp.Tensor(moved[None, None]), np.full((1, 1, 1, 1), q)).data.item() for q in range(Q)]
        found = head.draw(moved, pixel, 0, u, 0.0)
        assert scores[int(found[0])] >= max(scores) - 1e-9
        assert found == drawn_in_the_loop(name, Q, moved, pixel, 0)


@pytest.mark.parametrize(
    ("name", "Q", "parameters", "level"),
    [
        *[("bernoulli", 2, [0.0], 0), ("bernoulli", 2, [1e-13], 0), ("bernoulli", 2, [1e-11], 1)],
        *[("bernoulli", 2, [-3.0], 0), ("bernoulli", 2, [800.0], 1), ("categorical", 3, [1.0, 1.0, 1.0], 0)],
        *[("categorical", 4, [0.0, 2.0, 1.0, 2.0], 1), ("categorical", 2, [-900.0, 900.0], 1)],
        *[("categorical", 3, [0.3, 0.1 + 0.2, 0.0], 0), ("categorical", 3, [0.0, 0.1 + 0.2, 0.3], 1)],
    ],
)
def test_logits_that_tie(name, Q, parameters, level):
    pixel, parameters = np.zeros((1, 1), np.uint8), np.array([parameters])
    found = make_head(name, 1, Q).draw(parameters, pixel, 0, np.full(1, 0.999), 0)
    assert found == level == drawn_in_the_loop(name, Q, parameters, pixel, 0)


def drawn_in_the_loop(name, Q, parameters, pixel, channel):
    """The same by the compiled loop; where there is no Numba, its Python."""
    from minipixel.kernels import numba_enabled

    if not numba_enabled():
        return make_head(name, pixel.shape[1], Q, 1).draw(parameters, pixel, channel, np.zeros(1), 0.0)
    from minipixel.kernels import draw, units

    M = parameters.shape[1] // 3 if "mixture" in name else 1
    head = units.HEADS.index(name), Q, M, 0.0
    return draw.draw(parameters[0], pixel[0], channel, 0.5, head, np.empty(Q + M))


def test_a_head_of_ones_own():
    """It is asked at temperature 0, as at any other."""
    model = Case("pixelcnn", (3, 4, 1), 2, "bernoulli").conditional("")
    plain = model.sample(1, temperature=0)
    model.head = Flipped(1, 2, 1)
    found = [model.sample(1, temperature=0, method=method) for method in ("naive", "cached", "auto")]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert plain.shape == found[0].shape


def test_all_heads_are_here():
    assert {head for _, _, head in KINDS_OF_IMAGE} == set(HEADS)
