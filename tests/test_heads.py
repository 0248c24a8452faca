"""Heads: probabilities that sum to one, and draws that follow them."""

import numpy as np
import pytest

from minipixel import Tensor
from minipixel.heads import HEADS, level_dtype, make_head

CASES = [
    ("bernoulli", 1, 2),
    ("bernoulli", 3, 2),
    ("categorical", 1, 2),
    ("categorical", 1, 256),
    ("categorical", 3, 7),
    ("categorical", 1, 512),
    ("categorical", 1, 4096),
    ("logistic_mixture", 1, 2),
    ("logistic_mixture", 1, 256),
    ("logistic_mixture", 3, 7),
    ("bernoulli", 17, 2),
    ("categorical", 4, 5),
    ("logistic_mixture", 2, 256),
    ("logistic_mixture", 17, 3),
    ("normal_mixture", 4, 5),
    ("normal_mixture", 1, 256),
    ("normal_mixture", 3, 2),
    ("normal_mixture", 3, 7),
    ("logistic_mixture", 1, 65536),
    ("logistic_mixture", 3, 1024),
    ("normal_mixture", 1, 65536),
]
cases = pytest.mark.parametrize(("name", "C", "Q"), CASES)


def few(Q):
    """How many pixels to try, whose levels are all scored."""
    return 50 if Q <= 512 else 3


def parameters(head, n=50, scale=4.0):
    return np.random.default_rng(0).standard_normal((n, len(head.groups))) * scale


def probabilities(head, values, C, Q):
    """p of every level of every channel, given that those before it are 0, from log_prob: (n, P) -> (n, C, Q)."""
    n = len(values)
    levels = np.zeros((C, Q, n, C), int)  # row k, column q: channel k has level q
    for channel in range(C):
        levels[channel, :, :, channel] = np.arange(Q)[:, None]
    tiled = np.broadcast_to(values, (C, Q, *values.shape))
    found = np.exp(head.log_prob(Tensor(tiled), levels).data)  # (C, Q, n, C)
    return np.stack([found[channel, ..., channel].T for channel in range(C)], axis=1)


def test_every_head_is_tried():
    assert {name for name, _, _ in CASES} == set(HEADS)


@cases
def test_probabilities_sum_to_one(name, C, Q):
    head = make_head(name, C, Q)
    for scale in (0.0, 1.0, 300.0):
        p = probabilities(head, parameters(head, few(Q), scale), C, Q)
        np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=0, atol=1e-12)


@cases
def test_a_draw_inverts_the_cdf(name, C, Q):
    """The level drawn is the one whose slice of the CDF holds the uniform, for uniforms across [0, 1)."""
    head, n = make_head(name, C, Q), few(Q)
    values = parameters(head, n)
    edges = probabilities(head, values, C, Q).cumsum(axis=-1)
    for u in (0.0, 1e-12, 0.25, 0.5, 0.999, 1 - 2**-53):
        for channel in range(C):
            drawn = head.draw(values, np.zeros((n, C), level_dtype(Q)), channel, np.full(n, u), 1.0)
            assert drawn.dtype == level_dtype(Q) and drawn.max() < Q
            drawn = drawn.astype(int)
            upper = edges[np.arange(n), channel, drawn]
            lower = np.where(drawn > 0, edges[np.arange(n), channel, drawn - 1], 0)
            assert ((lower <= u + 1e-12) & (u < upper + 1e-12)).all()


@pytest.mark.parametrize(("name", "C", "Q"), [case for case in CASES if "mixture" not in case[0]])
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


def test_groups_of_a_mixture():
    """Shared logits may not see red; green's coefficient is green's, blue's two are blue's."""
    np.testing.assert_array_equal(make_head("normal_mixture", 1, 2, 4).groups, np.zeros(12))
    rows = [0, 0, 1, 2, 0, 1, 2, 1, 2, 2]  # logits, means, log-scales, c0, c1, c2
    np.testing.assert_array_equal(make_head("logistic_mixture", 3, 9, 2).groups, np.repeat(rows, 2))
    rows = [0, *range(4), *range(4), *(1, 2, 2, 3, 3, 3)]  # three coefficients by which the fourth channel follows
    np.testing.assert_array_equal(make_head("logistic_mixture", 4, 9, 2).groups, np.repeat(rows, 2))


@pytest.mark.parametrize("name", list(HEADS))
def test_which_levels_fit(name):
    """The table's word is kept: what fits can be made and drawn from, what does not is refused."""
    most = {"bernoulli": 2, "categorical": 4096}.get(name, 65536)
    assert [Q for Q in (1, 2, most, most + 1) if HEADS[name].fits(Q)] == ([2, 2] if most == 2 else [2, most])
    head = make_head(name, 1, 2)
    assert head.draw(parameters(head), np.zeros((50, 1), np.uint8), 0, np.full(50, 0.5), 1.0).max() < 2


def test_levels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"^head: got 'bernoulli' for 3 levels, wanted 2 at most; use categorical, l"):
        make_head("bernoulli", 1, 3)
    with pytest.raises(
        ValueError, match=r"^head: got 'categorical' for 4097 levels, wanted 4096 at most; use logistic_"
    ):
        make_head(None, 1, 4097)
    with pytest.raises(ValueError, match=r"^head: got 'gaussian', wanted one of bernoulli, .*, normal_mixture$"):
        make_head("gaussian", 1, 2)


def test_the_default():
    assert make_head(None, 1, 2).name == "bernoulli"
    assert make_head(None, 3, 3).name == "categorical"
