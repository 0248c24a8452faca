"""Ten points for mixture_likelihood.py: its logarithms, its bins, its mixture, and its colours."""

import itertools

import numpy as np
import pytest
from grading import Part
from scipy.special import expit, log_expit, logsumexp

LOG_SIGMOID = Part("log_sigmoid", "16", "The logarithm, exactly")
EDGES = Part("bin_edges", "16", "The logarithm, exactly")
MASS = Part("log_mass", "16", "The logarithm, exactly")
MIXTURE = Part("mixture_log_prob", "16", "A few curves, mixed")
COLOUR = Part("colour_log_prob", "16", "Three colours, one choice of component")
Q = 8


def bin_edges(levels, means, log_scales, half=1 / (Q - 1), closed=False):
    """The lower and upper edges of bins; the last arguments are there for usual mistakes."""
    x = 2 * levels[:, None] / (Q - 1) - 1
    lower, upper = ((x + side - means) * np.exp(-log_scales) for side in (-half, half))
    if not closed:
        lower[levels == 0] = -np.inf
        upper[levels == Q - 1] = np.inf
    return lower, upper


def log_mass(lower, upper):
    return np.log(-np.expm1(lower - upper)) + log_expit(upper) + log_expit(-lower)


def colour_each(pixels, parameters, squeeze=np.tanh, order=(0, 1, 2), shown=lambda x, means: x):
    """The log-probability of each colour in each component: (N, 3, M); the last arguments are usual mistakes."""
    means = parameters[:, 1:4].copy()
    c = squeeze(parameters[:, 7:10])[:, list(order)]
    x = shown(2 * pixels[:, :, None] / (Q - 1) - 1, parameters[:, 1:4])
    means[:, 1] += c[:, 0] * x[:, 0]
    means[:, 2] += c[:, 1] * x[:, 0] + c[:, 2] * x[:, 1]
    edges = [bin_edges(pixels[:, k], means[:, k], parameters[:, 4 + k]) for k in range(3)]
    return np.stack([log_mass(*edge) for edge in edges], axis=1)


def mixed(logits, each):
    return logsumexp(logits + each, axis=-1) - logsumexp(logits, axis=-1)


@pytest.mark.points(1)
def test_the_log_sigmoid(homework):
    z = np.array([-np.inf, -800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0, np.inf])
    with np.errstate(all="ignore"):
        plain = np.log(1 / (1 + np.exp(-z)))
        other = z - np.log(1 + np.exp(z))
    mistakes = {
        "The exponential overflows, or its result underflows, for a z that is far from 0": [
            plain,
            -np.log1p(np.exp(-z)),
            other,
        ],
        "This is the sigmoid, wanted its logarithm": expit(z),
        "The sign of z is wrong": log_expit(-z),
    }
    LOG_SIGMOID.same(LOG_SIGMOID.of(homework)(z), log_expit(z), mistakes, f"The logarithm is wrong for one of z = {z}")


@pytest.mark.points(2)
def test_the_edges_of_the_bins(homework):
    rng = np.random.default_rng(0)
    levels = np.arange(Q)
    means, log_scales = rng.normal(size=(2, Q, 3))
    result = EDGES.pair(EDGES.of(homework)(levels, means, log_scales, Q), "the lower edges and the upper edges")
    got = np.stack([EDGES.array(edges, means.shape) for edges in result])
    right = np.stack(bin_edges(levels, means, log_scales))
    scales = np.exp(log_scales)
    x = (2 * levels / (Q - 1) - 1)[:, None]
    mistakes = {
        "The lowest and the highest bin end at their outer edges: all that lies beyond belongs to them": np.stack(
            bin_edges(levels, means, log_scales, closed=True)
        ),
        "The bins are too narrow: half a bin is 1 / (Q - 1), since neighbours stand 2 / (Q - 1) apart": [
            np.stack(bin_edges(levels, means, log_scales, half, closed))
            for half in (1 / Q, 0.5 / (Q - 1), 0.5 / Q)
            for closed in (False, True)
        ],
        "The bins overlap: half a bin is 1 / (Q - 1)": np.stack(bin_edges(levels, means, log_scales, 2 / (Q - 1))),
        "The log-scale is taken for the scale: its exponential is missing": [
            (x + np.array([-1, 1])[:, None, None] / (Q - 1) - means) / log_scales,
            np.where(np.isinf(right), right, (x + np.array([-1, 1])[:, None, None] / (Q - 1) - means) / log_scales),
        ],
        "The distance is multiplied by the scale, wanted divided": right * scales**2,
        "The edges are exchanged: wanted the lower ones first": right[::-1],
    }
    otherwise = "An edge is wrong (the first number of the place is 0 for the lower edges, 1 for the upper ones)"
    EDGES.same(got, right, mistakes, otherwise)


@pytest.mark.points(2)
def test_the_mass_of_a_bin(homework):
    lower = np.array([-1.0, -np.inf, 0.3, -45.0, 38.0, 600.0, 0.0])
    upper = np.array([0.5, 0.5, np.inf, -44.0, 39.0, 608.0, 1e-14])
    right = log_mass(lower, upper)
    with np.errstate(all="ignore"):
        mass = expit(upper) - expit(lower)
        plain = np.log(mass)
    floors = [np.log(np.maximum(mass, floor)) for floor in (1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-16, 1e-30, 1e-300)]
    added = [np.log(mass + floor) for floor in (1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-16)]
    mistakes = {
        "The logarithm of a difference underflows: far out both sigmoids are rounded to the same number": plain,
        "The difference is clipped, so that far out its logarithm is a constant and has no slope": floors + added,
        "The width of a narrow bin loses its digits: 1 - exp(-d) is -expm1(-d)": log_mass(lower, upper)
        + np.log((1 - np.exp(lower - upper)) / -np.expm1(lower - upper)),
        "The sign is wrong: this is -log": -right,
        "This is the mass, wanted its logarithm": mass,
    }
    got = MASS.array(MASS.of(homework)(lower, upper), right.shape, nan=True)
    places = [f"from {a:g} to {b:g}" for a, b in zip(lower, upper, strict=True)]
    worst = next((place for place, a, b in zip(places, got, right, strict=True) if not np.isclose(a, b)), "")
    MASS.same(got, right, mistakes, f"The logarithm of the mass {worst} is wrong")


@pytest.mark.points(2)
def test_the_mixture(homework):
    rng = np.random.default_rng(1)
    levels = np.arange(Q)
    logits, means, log_scales = (np.tile(row, (Q, 1)) for row in rng.normal(size=(3, 3)))
    each = log_mass(*bin_edges(levels, means, log_scales))
    right = mixed(logits, each)
    weights = np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))
    mistakes = {
        "The logits are not normalised: divide their exponentials by the sum of these": logsumexp(
            logits + each, axis=-1
        ),
        "The logarithms are mixed, wanted the probabilities: a mixture is a sum of w * P": (weights * each).sum(
            axis=-1
        ),
        "The probabilities of the components are multiplied, wanted added": each.sum(axis=-1),
        "The components all have the same weight: the logits are forgotten": mixed(0 * logits, each),
        "The logits are taken for the weights: the softmax is missing": np.log(
            np.abs((logits * np.exp(each)).sum(axis=-1))
        ),
        "The lowest and the highest bin end at their outer edges: all that lies beyond belongs to them": mixed(
            logits, log_mass(*bin_edges(levels, means, log_scales, closed=True))
        ),
    }
    theirs = MIXTURE.of(homework)
    got = MIXTURE.array(theirs(levels, logits, means, log_scales, Q), right.shape)
    MIXTURE.same(got, right, mistakes, "The log-probability of a level is wrong")
    MIXTURE.sums_to_1(got, "levels")
    large = theirs(levels, logits + 1000, means, log_scales, Q)
    MIXTURE.same(large, right, {}, "The softmax overflows: take the largest value out of it before the exponential")
    far = theirs(levels, logits, means + 1, 0 * log_scales - 7, Q)
    wanted = mixed(logits, log_mass(*bin_edges(levels, means + 1, 0 * log_scales - 7)))
    MIXTURE.same(far, wanted, {}, "The sum underflows far from the mean: take the largest value out of it first")


@pytest.mark.points(3)
def test_three_colours(homework):
    rng = np.random.default_rng(2)
    pixels = np.array(list(itertools.product(range(Q), repeat=3)))
    parameters = np.tile(rng.normal(size=(10, 3)), (len(pixels), 1, 1))
    logits = parameters[:, 0]
    each = colour_each(pixels, parameters)
    together = each.sum(axis=1)
    right = mixed(logits, together)

    def wrong(**mistake):
        return mixed(logits, colour_each(pixels, parameters, **mistake).sum(axis=1))

    mistakes = {
        "Each colour chooses a component of its own, wanted one choice for all three": sum(
            mixed(logits, each[:, k]) for k in range(3)
        ),
        "The coefficients are not squeezed: their tanh is missing": wrong(squeeze=lambda c: c),
        "The coefficients are forgotten: no mean follows the earlier colours": wrong(squeeze=np.zeros_like),
        "c1 and c2 are exchanged: blue follows red by c1, and green by c2": wrong(order=(0, 2, 1)),
        "The coefficients are in the wrong order: green follows red by c0": [
            wrong(order=order) for order in ((1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
        ],
        "The means follow the levels 0 to Q - 1, wanted their places from -1 to 1": wrong(
            shown=lambda x, means: (x + 1) * (Q - 1) / 2
        ),
        "The means follow the means of the earlier colours, wanted the colours that the pixel shows": wrong(
            shown=lambda x, means: means
        ),
        "The logits are not normalised: divide their exponentials by the sum of these": logsumexp(
            logits + together, axis=-1
        ),
    }
    got = COLOUR.array(COLOUR.of(homework)(pixels, parameters, Q), right.shape)
    COLOUR.same(got, right, mistakes, "The log-probability of a pixel is wrong")
    COLOUR.sums_to_1(got, "pixels of three colours")
