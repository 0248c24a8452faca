"""Heads: probabilities that sum to one, and draws that follow them."""

import numpy as np
import pytest

from minipixel import Tensor
from minipixel.heads import HEADS, make_head

CASES = [
    ("bernoulli", 1, 2),
    ("bernoulli", 3, 2),
    ("categorical", 1, 2),
    ("categorical", 1, 256),
    ("categorical", 3, 7),
]
cases = pytest.mark.parametrize(("name", "C", "Q"), CASES)


def parameters(head, n=50, scale=4.0):
    return np.random.default_rng(0).standard_normal((n, len(head.groups))) * scale


def probabilities(head, values, C, Q):
    """p of every level of every channel, from log_prob: (n, P) -> (n, C, Q)."""
    n = len(values)
    levels = np.broadcast_to(np.arange(Q)[:, None, None], (Q, n, C))[None]  # (1, Q, n, C): one level a column
    tiled = np.broadcast_to(values, (1, Q, *values.shape))
    return np.exp(head.log_prob(Tensor(tiled), levels).data)[0].transpose(1, 2, 0)


def test_every_head_is_tried():
    assert {name for name, _, _ in CASES} == set(HEADS)


@cases
def test_probabilities_sum_to_one(name, C, Q):
    head = make_head(name, C, Q)
    for scale in (0.0, 1.0, 300.0):
        p = probabilities(head, parameters(head, scale=scale), C, Q)
        np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-12)


@cases
def test_a_draw_inverts_the_cdf(name, C, Q):
    """The level drawn is the one whose slice of the CDF holds the uniform, for uniforms across [0, 1)."""
    head = make_head(name, C, Q)
    values = parameters(head)
    edges = probabilities(head, values, C, Q).cumsum(axis=-1)
    for u in (0.0, 1e-12, 0.25, 0.5, 0.999, 1 - 2**-53):
        for channel in range(C):
            drawn = head.draw(values, np.zeros((50, C), np.uint8), channel, np.full(50, u), 1.0)
            assert drawn.dtype == np.uint8 and drawn.max() < Q
            drawn = drawn.astype(int)
            upper = edges[np.arange(50), channel, drawn]
            lower = np.where(drawn > 0, edges[np.arange(50), channel, drawn - 1], 0)
            assert ((lower <= u + 1e-12) & (u < upper + 1e-12)).all()


@cases
def test_temperature_divides_the_logits(name, C, Q):
    head = make_head(name, C, Q)
    values, u = parameters(head, 200), np.random.default_rng(1).random(200)
    pixel = np.zeros((200, C), np.uint8)
    np.testing.assert_array_equal(head.draw(values, pixel, 0, u, 2.5), head.draw(values / 2.5, pixel, 0, u, 1.0))


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_extreme_logits_draw_what_is_sure(logit):
    drawn = make_head("bernoulli", 1, 2).draw(np.full((9, 1), logit), None, 0, np.linspace(0, 0.999, 9), 1.0)
    assert (drawn == (logit > 0)).all()
    values = np.zeros((9, 5))
    values[:, 3] = abs(logit)
    assert (make_head("categorical", 1, 5).draw(values, None, 0, np.linspace(0, 0.999, 9), 1.0) == 3).all()


def test_groups_say_which_colour_a_parameter_belongs_to():
    np.testing.assert_array_equal(make_head("bernoulli", 3, 2).groups, [0, 1, 2])
    np.testing.assert_array_equal(make_head("categorical", 3, 2).groups, [0, 0, 1, 1, 2, 2])


def test_the_default():
    assert make_head(None, 1, 2).name == "bernoulli"
    assert make_head(None, 3, 3).name == "categorical"
