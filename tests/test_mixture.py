"""Discretized mixtures: exact in every bin and tail, against 200 digits, PyTorch, and every level there is."""

import itertools
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minipixel import Tensor, kernels, ops
from minipixel.heads import make_head
from minipixel.ops import mixture
from minipixel.ops.mixture import log_scale_floor
from minipixel.tensor import gradients

OPS = {"logistic_mixture": ops.logistic_mixture_log_prob, "normal_mixture": ops.normal_mixture_log_prob}
heads = pytest.mark.parametrize("name", list(OPS))


def grey_parameters(n, M, means, log_scales, seed=0):
    """Random rows of logits, means and log-scales in the given ranges, their ends among them: (n, 3 * M)."""
    rng = np.random.default_rng(seed)
    values = [rng.standard_normal((n, M)) * 3, rng.uniform(*means, (n, M)), rng.uniform(*log_scales, (n, M))]
    for part, ends in zip(values[1:], (means, log_scales), strict=True):
        at_end = rng.random((n, M)) < 0.2
        part[at_end] = rng.choice(ends, at_end.sum())
    return np.concatenate(values, axis=1)


@heads
@pytest.mark.parametrize("M", [1, 5, 100])
def test_all_levels_sum_to_one(name, M):
    n = 200 if M < 100 else 20
    values = grey_parameters(n, M, (-3, 3), (-7, 7))
    images = np.broadcast_to(np.arange(256)[:, None, None], (256, n, 1))
    p = np.exp(OPS[name](np.broadcast_to(values, (256, *values.shape)), images=images, levels=256))
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=0, atol=1e-12)


@heads
def test_all_of_65536_levels_sum_to_one(name):
    """Down to the floor, which is as many bins wide as that of 256 levels."""
    Q = 65536
    values = grey_parameters(4, 3, (-1.1, 1.1), (log_scale_floor(Q) - 1, 2))
    p = np.exp(OPS[name](np.broadcast_to(values, (Q, *values.shape)), images=np.mgrid[:Q, :4][0][..., None], levels=Q))
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=0, atol=1e-12)
    assert np.exp(log_scale_floor(Q)) * (Q - 1) == pytest.approx(np.exp(-7) * 255)


@heads
@pytest.mark.parametrize("log_scale", [-1e4, -7.0, 0.0, 40.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_levels_sum_to_one_at_any_scale(name, log_scale, dtype):
    """A scale beyond all numbers leaves half of the mass in each tail, and the bins between finite."""
    values = np.tile(np.array([0.0, 0.1, log_scale], dtype), (256, 1))
    log_p = OPS[name](values, images=np.arange(256)[:, None], levels=256)
    assert np.isfinite(log_p).all() and log_p.dtype == dtype
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-12 if dtype == np.float64 else 1e-4)


@heads
@settings(max_examples=25, deadline=None)
@given(C=st.integers(1, 8), Q=st.integers(2, 6), M=st.integers(1, 4), scale=st.floats(0.1, 5), seed=st.integers(0, 999))
def test_all_values_of_a_pixel_sum_to_one(name, C, Q, M, scale, seed):
    """The joint over all Q ** C values of its channels, as many as there is time for, and each channel's conditional.

    As written and compiled; the two agree.
    """
    assume(Q**C <= 1024)
    n = 10
    values = scale * np.random.default_rng(seed).uniform(-1, 1, (n, mixture.rows_of(C) * M))
    pixels = np.array(list(itertools.product(range(Q), repeat=C)))
    images = np.broadcast_to(pixels[:, None], (Q**C, n, C))
    tiled = np.broadcast_to(values, (Q**C, *values.shape))
    log_p = OPS[name](tiled, images=images, levels=Q)
    np.testing.assert_allclose(np.exp(log_p.sum(axis=-1)).sum(axis=0), 1, rtol=0, atol=1e-12)
    table = np.exp(log_p).reshape(*[Q] * C, n, C)
    for channel in range(C):
        of_channel = table[(..., *[slice(None)] * (channel + 1), *[0] * (C - 1 - channel), slice(None), channel)]
        np.testing.assert_allclose(of_channel.sum(axis=channel), 1, rtol=0, atol=1e-12)
    with kernels.as_written():
        np.testing.assert_allclose(OPS[name](tiled, images=images, levels=Q), log_p, rtol=1e-11, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(C=st.integers(1, 64), seed=st.integers(0, 999))
def test_means_follow_earlier_channels_as_in_tfp(C, seed):
    """The loop of tfp.distributions.PixelCNN, its order of coefficients; ours pass a tanh, which theirs do not."""
    Q, M, rng = 11, 2, np.random.default_rng(seed)
    rows = rng.standard_normal((mixture.rows_of(C), M))
    pixel = rng.integers(0, Q, C)
    logits, means, log_scales, coefficients = mixture.mixture_parts(rows.reshape(1, -1), pixel[None], Q)
    x, count = pixel * 2 / (Q - 1) - 1, 0
    wanted, theirs = rows[1 : 1 + C].copy(), np.tanh(rows[1 + 2 * C :])
    for i in range(C):
        for j in range(i):
            wanted[i] += theirs[count] * x[j]
            count += 1
    assert count == len(theirs) == C * (C - 1) // 2 and coefficients.shape == (1, count, M)
    np.testing.assert_allclose(means[0], wanted, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(logits[0], rows[0])
    np.testing.assert_array_equal(log_scales[0], rows[1 + C : 1 + 2 * C])


@heads
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("C", [1, 3, 4])
@pytest.mark.parametrize("n", [10**5, pytest.param(10**6, marks=pytest.mark.slow)])
def test_never_nan(name, dtype, C, n):
    """n sub-pixels: means to +-100, log-scales to +-50, all levels and the edges; warnings are errors here."""
    n = n // C
    rng = np.random.default_rng(C)
    means, log_scales = (grey_parameters(n, C, (-r, r), (-r, r), seed=r)[:, -C:] for r in (100, 50))
    rows = [rng.standard_normal((n, 1)) * 100, means, log_scales]
    rows += [rng.standard_normal((n, C * (C - 1) // 2)) * 20]
    images = rng.choice([0, 1, 127, 254, 255], (n, C)).astype(np.uint8)
    images[: n // 2] = rng.integers(0, 256, (n // 2, C))
    values = Tensor(np.concatenate(rows, axis=1).astype(dtype))  # M = 1
    log_p = OPS[name](values, images=images, levels=256)
    (gradient,) = gradients(log_p, [values], np.ones(log_p.shape, dtype))
    assert np.isfinite(log_p.data).all() and np.isfinite(gradient).all()
    assert log_p.data.max() <= 8 * np.finfo(dtype).eps


def phi(z):
    """exp(-z * z / 2), to the digits of the context."""
    return (-z * z / 2).exp()


def area(a, b):
    """The area under phi from b to a, by the power series of its integral, term by term until they vanish."""
    total, power, n = Decimal(0), (a, b), 0
    while True:
        term = (power[0] - power[1]) / (2 * n + 1)
        total += term
        n += 1
        power = (-power[0] * a * a / (2 * n), -power[1] * b * b / (2 * n))
        if n > 10 and max(abs(power[0]), abs(power[1])) < Decimal(10) ** -190:
            return total


def exact_mass(name, a, b):
    """log mass and its slopes in m and log d, straight from the definition, which costs digits: so we bring 200."""
    m, d = (a + b) / 2, a - b
    if name == "logistic_mixture":
        cdf = [1 / (1 + (-z).exp()) for z in (a, b)]
        mass, densities = cdf[0] - cdf[1], [F * (1 - F) for F in cdf]
    else:
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
        mass, densities = area(a, b) / (2 * pi).sqrt(), [phi(z) / (2 * pi).sqrt() for z in (a, b)]
    by_m = (densities[0] - densities[1]) / mass
    by_log_d = d * (densities[0] + densities[1]) / (2 * mass)
    assert m + d / 2 == a
    return [float(v) for v in (mass.ln(), by_m, by_log_d)]


@heads
def test_against_two_hundred_digits(name):
    """Widths from 1e-12 to 12 at centres to +-12, so both sides of where a narrow bin becomes a wide one."""
    rng = np.random.default_rng(0)
    m = rng.uniform(-12, 12, 300)
    d = np.concatenate([10.0 ** rng.uniform(-12, 1, 200), rng.uniform(0.02, 1.2, 100)])
    none = np.zeros(300, bool)
    log_mass, slopes = {
        "logistic_mixture": mixture.logistic_log_mass,
        "normal_mixture": mixture.normal_log_mass,
    }[name](m, d, none, none)
    with localcontext(prec=200):
        halves = [(Decimal(float(x)), Decimal(float(width)) / 2) for x, width in zip(m, d, strict=True)]
        wanted = np.array([exact_mass(name, x + half, x - half) for x, half in halves])
    for found, right in zip([log_mass, *slopes()], wanted.T, strict=True):
        np.testing.assert_allclose(found, right, rtol=2e-13, atol=2e-14)


@heads
def test_tails(name):
    """The lowest bin has all that lies below its upper edge, the highest all above its lower one."""
    from scipy.special import log_expit, log_ndtr

    log_cdf = {"logistic_mixture": log_expit, "normal_mixture": log_ndtr}[name]
    mean, log_scale = np.random.default_rng(0).uniform(-2, 2, (2, 500))
    values = np.stack([np.zeros(500), mean, log_scale], axis=1)
    lowest, highest = (OPS[name](values, images=np.full((500, 1), q), levels=9)[:, 0] for q in (0, 8))
    np.testing.assert_allclose(lowest, log_cdf((-1 + 1 / 8 - mean) / np.exp(log_scale)), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(highest, log_cdf((mean - 1 + 1 / 8) / np.exp(log_scale)), rtol=1e-12, atol=1e-14)


@heads
def test_the_floor(name):
    """Below -7 the value stays, and the log-scale gets no gradient; the mean still does. Of many levels it is lower."""
    for levels, floor in ((256, -7.0), (65536, log_scale_floor(65536))):
        check_floor(name, levels, floor)


def check_floor(name, levels, floor):
    values = np.array([[0.0, 0.53, log_scale] for log_scale in (floor, floor - 0.5, -60.0)])
    parameters = Tensor(values)
    log_p = OPS[name](parameters, images=np.full((3, 1), int(0.749 * levels)), levels=levels)
    (gradient,) = gradients(log_p, [parameters], np.ones((3, 1)))
    assert np.ptp(log_p.data) == 0 and (gradient[:, 2] == 0).all() and (gradient[:, 1] != 0).all()


@heads
def test_many_components_that_are_the_same_are_one(name):
    one = grey_parameters(50, 1, (-2, 2), (-5, 2))
    images = np.arange(50)[:, None] * 5
    wanted = OPS[name](one, images=images, levels=256)
    np.testing.assert_allclose(OPS[name](np.repeat(one, 1000, axis=1), images=images, levels=256), wanted)


@pytest.mark.parametrize("C", [1, 2, 3, 4])
def test_the_same_in_pytorch(C):
    """As its users write it, where a difference of sigmoids still has its digits: values and gradients to 1e-10."""
    from torch_parity import torch

    Q, M, n = 16, 3, 400
    rng = np.random.default_rng(0)
    rows = {"logits": 1, "means": C, "log_scales": C, "coefficients": C * (C - 1) // 2}
    low = {"logits": -2, "means": -0.8, "log_scales": -1.2, "coefficients": -1}
    values = np.concatenate([rng.uniform(low[k], low[k] + 1.6, (n, rows[k], M)) for k in rows], axis=1)
    images = rng.integers(0, Q, (n, C))

    parameters = torch.tensor(values, requires_grad=True)
    logits, means, log_scales, coefficients = parameters.split(list(rows.values()), dim=1)
    x = torch.tensor(images * (2 / (Q - 1)) - 1)[..., None]
    c, moved = iter(torch.tanh(coefficients).unbind(dim=1)), list(means.unbind(dim=1))
    for later in range(C):
        for earlier in range(later):
            moved[later] = moved[later] + next(c) * x[:, earlier]
    means = torch.stack(moved, dim=1)
    upper, lower = (torch.sigmoid((x + side / (Q - 1) - means) * torch.exp(-log_scales)) for side in (1, -1))
    mass = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    assert mass.min() > 1e-5
    theirs = torch.logsumexp(torch.log_softmax(logits[:, 0], dim=-1) + torch.log(mass).sum(dim=1), dim=-1)
    theirs.sum().backward()

    ours = Tensor(values.reshape(n, -1))
    log_p = ops.logistic_mixture_log_prob(ours, images=images, levels=Q)
    (gradient,) = gradients(log_p, [ours], np.ones(log_p.shape))
    np.testing.assert_allclose(log_p.data.sum(axis=-1), theirs.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(gradient.reshape(values.shape), parameters.grad.numpy(), rtol=1e-10, atol=1e-10)


@heads
@pytest.mark.parametrize(("C", "Q"), [(3, 3), (2, 5), (4, 2)])
def test_draws_follow_the_joint(name, C, Q):
    """Chi-square of 20,000 pixels, channel after channel, against the probabilities of all values of a pixel."""
    from scipy.stats import chisquare

    n = 20_000
    head, rng = make_head(name, C, Q, 2), np.random.default_rng(0)
    values = np.tile(rng.uniform(-1, 1, len(head.groups)), (n, 1))
    pixel = np.zeros((n, C), np.uint8)
    for channel in range(C):
        pixel[:, channel] = head.draw(values, pixel, channel, rng.random(n), 1.0)
    pixels = np.array(list(itertools.product(range(Q), repeat=C)))
    p = np.exp(head.log_prob(values[: Q**C], pixels).sum(axis=-1))
    assert p.min() * n > 5
    drawn = np.bincount(pixel @ Q ** np.arange(C)[::-1], minlength=Q**C)
    assert chisquare(drawn, p * n / p.sum()).pvalue > 1e-3


@heads
def test_temperature(name):
    """It divides the mixture logits and multiplies the scales, for the evidence of earlier channels too."""
    head, rng = make_head(name, 3, 64, 4), np.random.default_rng(0)
    values = rng.uniform(-2, 2, (2000, 40))
    tempered = values.reshape(-1, 10, 4).copy()
    tempered[:, 0] /= 0.4
    tempered[:, 4:7] += np.log(0.4)
    pixel, uniforms = rng.integers(0, 64, (2000, 3)), rng.random(2000)
    for channel in range(3):
        wanted = head.draw(tempered.reshape(2000, -1), pixel, channel, uniforms, 1.0)
        np.testing.assert_array_equal(head.draw(values, pixel, channel, uniforms, 0.4), wanted)


@heads
def test_a_narrow_component_draws_its_level(name):
    """A mean on level q at the smallest scale draws q for every uniform that is not within a hair of 0 or 1."""
    q = np.arange(256)
    values = np.stack([np.zeros(256), q / 255 * 2 - 1, np.full(256, -9.0)], axis=1)
    for u in (0.02, 0.5, 0.98):
        drawn = make_head(name, 1, 256, 1).draw(values, np.zeros((256, 1), np.uint8), 0, np.full(256, u), 1.0)
        np.testing.assert_array_equal(drawn, q)
