"""No parameters are too large or too small: every head gives probabilities for all numbers that a network may end in.

The one table is HEADS; every head is tried as written and compiled, in float32 and in float64, on parameters of any
size between 1e-30 and 1e30 and either sign, and on logits that all lie far from zero.
"""

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minipixel import kernels
from minipixel.heads import HEADS, make_head
from minipixel.tensor import Tensor, gradients

BODIES = {"as written": kernels.as_written, "compiled": contextlib.nullcontext}
CASES = [(name, C) for name in HEADS for C in (1, 3, 2, 4)]
cases = pytest.mark.parametrize(("name", "C"), CASES)
bodies = pytest.mark.parametrize("body", BODIES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

n, M = 40, 3


def all_pixels(C, Q):
    """Every colour of a pixel: (Q ** C, C)."""
    return np.array(list(itertools.product(range(Q), repeat=C)))


def log_probs(head, values, images, dtype):
    """log p of every colour of every pixel, and the gradients of their sum: (n, P), (K, C) -> (K, n, C), (K, n, P)."""
    tiled = Tensor(np.ascontiguousarray(np.broadcast_to(values, (len(images), *values.shape)), dtype))
    log_p = head.log_prob(
        tiled, np.ascontiguousarray(np.broadcast_to(images[:, None], (*tiled.shape[:2], images.shape[1])))
    )
    (gradient,) = gradients(log_p, [tiled], np.ones(log_p.shape, dtype))
    return log_p.data, gradient


def of_any_size(seed, shape):
    """Numbers of either sign from 1e-30 to 1e30, zero among them, exactly as float32 has them."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-30, 30, shape) * rng.choice([-1, 1, 1, -1, 0], shape)
    at_end = rng.random(shape) < 0.2
    sizes[at_end] = rng.choice([-1e30, 1e30, 1e-30, -1e-30], at_end.sum())
    moderate = rng.random(shape) < 0.4
    sizes[moderate] = rng.standard_normal(moderate.sum()) * 3
    return sizes.astype(np.float32)


@bodies
@dtypes
@cases
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_parameters_of_any_size(body, dtype, name, C, seed):
    """Finite log p, none above 0, that sum to 1 over all colours of a pixel; finite gradients; warnings are errors."""
    Q = 2 if name == "bernoulli" else 4
    head, images = make_head(name, C, Q, M), all_pixels(C, Q)
    values = of_any_size(seed, (n, len(head.groups)))
    with BODIES[body]():
        log_p, gradient = log_probs(head, values, images, dtype)
    eps = float(np.finfo(dtype).eps)
    assert log_p.dtype == gradient.dtype == dtype
    assert np.isfinite(log_p).all() and log_p.max() <= 8 * eps
    assert np.isfinite(gradient).all()
    sums = np.exp(log_p.sum(axis=-1, dtype=np.float64)).sum(axis=0)
    np.testing.assert_allclose(sums, 1, rtol=0, atol={"float64": 1e-12, "float32": 2000 * eps}[dtype])


@bodies
@cases
@pytest.mark.parametrize("shift", [-1e30, -1e10, -1e6, 1e6, 1e10])
def test_float32_against_float64_far_from_zero(body, name, C, shift):
    """What logits have in common, however large, changes no probability: float32 has that of float64."""
    Q = 2 if name == "bernoulli" else 4
    head, images = make_head(name, C, Q, M), all_pixels(C, Q)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((n, len(head.groups))).astype(np.float32)
    logits = {"bernoulli": 0, "categorical": len(head.groups)}.get(name, M)
    values[:, :logits] = values[:, :logits] * abs(shift) * 2e-7 + shift  # steps of float32, there
    with BODIES[body]():
        (single, gradient), (double, wanted) = (
            log_probs(head, values, images, dtype) for dtype in ("float32", "float64")
        )
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-4)


@bodies
@cases
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_float32_against_float64(body, name, C, seed):
    """Of parameters of any size float32 has the log-probabilities of float64, as far as its digits go.

    Which component a later colour follows is told by how well each foretold the earlier ones: no longer by float32
    where that was hundreds of nats for all of them.
    """
    Q = 2 if name == "bernoulli" else 4
    head, images = make_head(name, C, Q, M), all_pixels(C, Q)
    values = of_any_size(seed, (n, len(head.groups)))
    if "mixture" in name:  # where a scale is beyond float32, so is how narrow a bin is in its units
        log_scales = values[:, (1 + C) * M : (1 + 2 * C) * M]
        np.minimum(log_scales, 60, out=log_scales)
    with BODIES[body]():
        single, double = (log_probs(head, values, images, dtype)[0] for dtype in ("float32", "float64"))
    cut = np.sqrt(np.finfo(np.float32).max) / 8  # further out the tails of normals are beyond float32
    before = np.concatenate([np.zeros_like(double[..., :1]), double.cumsum(axis=-1)[..., :-1]], axis=-1)
    told = before > -100
    assert told.mean() > 0.3
    np.testing.assert_allclose(np.clip(single, -cut, 0)[told], np.clip(double, -cut, 0)[told], rtol=1e-3, atol=2e-3)


@bodies
@dtypes
@cases
def test_what_is_no_number_stays_none(body, dtype, name, C):
    """A NaN among the parameters of a sub-pixel is NaN in its log-probability, and in no other pixel's."""
    Q = 2 if name == "bernoulli" else 4
    head, images = make_head(name, C, Q, M), all_pixels(C, Q)
    P = len(head.groups)
    values = np.random.default_rng(0).standard_normal((2 * P, P)).astype(np.float32)
    values[np.arange(P), np.arange(P)] = np.nan  # a pixel for each parameter
    with BODIES[body]():
        log_p, _ = log_probs(head, values, images, dtype)
    joint = log_p.sum(axis=-1)
    assert np.isnan(joint[:, :P]).all()
    assert np.isfinite(joint[:, P:]).all()
