"""Log-probabilities of integer sub-pixels under discretized mixtures of a smooth curve.

The Q levels lie evenly on [-1, 1], and the bin of a level reaches 1/(Q-1) to either side. The lowest bin also has the
whole left tail, and the highest the whole right one, so the probabilities of all bins sum to 1. A bin is described by
two numbers in units of the scale: m, the distance of its centre from the mean, and d, its width. Its upper edge is
a = m + d/2, its lower edge b = m - d/2. Source: Salimans et al. 2017, "PixelCNN++", arXiv:1701.05517, sections 2.1 and
2.2. Everything is computed in logarithms and without the paper's threshold, so that a bin of any width, however far
out, has its exact value and gradient.
"""

import math

import numpy as np

from minipixel.backend import array_module, special
from minipixel.tensor import op

LOG_SCALE_FLOOR = -7.0
"""Log-scales below are taken as this, and get no gradient: narrower is all in one bin, even of 256."""


def log_scale_floor(levels):
    """The lowest log-scale for a number of levels; above 256 levels, whose bins are narrower, it is lower."""
    return LOG_SCALE_FLOOR - math.log(max(1.0, (levels - 1) / 255))


LEAST_WIDTH = 8.0
"""A bin is at least so many times as wide, in units of the scale, as the smallest normal number."""

# Six nodes and weights of Gauss and Legendre on [0, 1]: the mean of a function that is nearly straight there.
NODES = [((1 + float(t)) / 2, float(w) / 2) for t, w in zip(*np.polynomial.legendre.leggauss(6), strict=True)]


@op(compiled=True)
def logistic_mixture_log_prob(parameters, *, images, levels):
    """log p of each sub-pixel given those before it: (..., rows * M), integers (..., C) -> (..., C).

    The distribution is a mixture of M logistics. Its parameters are laid out as in `mixture_parts`, in `rows_of(C)`
    rows of M. The sum over the channels is the log of the joint probability of the pixel, in nats.
    """
    return _log_prob(parameters, images, levels, logistic_log_mass)


@op
def normal_mixture_log_prob(parameters, *, images, levels):
    """log p of each sub-pixel given those before it, as `logistic_mixture_log_prob`, for a mixture of M normals."""
    return _log_prob(parameters, images, levels, normal_log_mass)


def rows_of(C):
    """How many rows of M parameters a pixel of C channels has: 3 for grey images, 10 for three colours."""
    return 1 + 2 * C + C * (C - 1) // 2


def mixture_parts(parameters, images, levels):
    """Mixture logits (..., M); means and log-scales of each channel, (..., C, M); coefficients (..., C (C-1) / 2, M).

    Parameters (..., P) are rows of M: one of logits, C of means, C of log-scales, and the coefficients before their
    tanh, in the order c_10, c_20, c_21, c_30 ... of tfp.distributions.PixelCNN. The returned means depend on the values
    x in [-1, 1] of the earlier channels of the pixel: m_1 += c_10 x_0, m_2 += c_20 x_0 + c_21 x_1 ...
    """
    xp = array_module(parameters)
    C = images.shape[-1]
    rows = parameters.reshape(*images.shape[:-1], rows_of(C), -1)
    means, log_scales = rows[..., 1 : 1 + C, :], rows[..., 1 + C : 1 + 2 * C, :]
    c = xp.tanh(rows[..., 1 + 2 * C :, :])
    if C > 1:
        x = _scaled(images[..., None], levels, parameters)
        moved = [xp.zeros_like(c[..., 0, :])]
        for later, of_later in _followed(C):
            moved.append((c[..., of_later, :] * x[..., :later, :]).sum(axis=-2))
        means = means + xp.stack(moved, axis=-2)
    return rows[..., 0, :], means, log_scales, c


def bins(images, levels, means, log_scales, temperature=1.0):
    """m and d of each sub-pixel's bin under each component, masks of the lowest and the highest bin, and 1 / scale.

    Integers (..., C), means and log-scales (..., C, M) -> (..., C, M) twice, (..., C, 1) twice, (..., C, M).
    """
    xp = array_module(means)
    precision = precision_of(log_scales, levels, temperature)
    furthest, least = limits(means.real.dtype)
    m = xp.clip((_scaled(images[..., None], levels, means) - means) * precision, -furthest, furthest)
    d = xp.maximum(2 / (levels - 1) * precision, least)  # of a scale beyond the largest number it would be 0
    return m, d, images[..., None] == 0, images[..., None] == levels - 1, precision


def precision_of(log_scales, levels, temperature=1.0):
    """1 / scale of each component: (..., M) -> (..., M)."""
    xp = array_module(log_scales)
    return xp.exp(-xp.maximum(log_scales, log_scale_floor(levels))) / temperature


def limits(dtype):
    """The largest |m| that is used, so that its square does not overflow, and the smallest width d of a bin."""
    numbers = np.finfo(dtype)
    return math.sqrt(float(numbers.max)) / 4, LEAST_WIDTH * float(numbers.tiny)


def logistic_log_mass(m, d, lowest, highest):
    """log(sigmoid(a) - sigmoid(b)), and a function that returns its slopes in m and in log d.

    The difference is (1 - e ** -d) * sigmoid(a) * sigmoid(-b), so its log is a sum of three logarithms, and nothing is
    subtracted. In a tail the outer edge is at infinity, and the terms with it are 0.
    """
    xp = array_module(m)
    inside = ~(lowest | highest)
    log_below, beyond_upper = _log_sigmoid(m + d / 2)
    log_above, beyond_lower = _log_sigmoid(d / 2 - m)
    log_mass = (
        xp.where(inside, xp.log(-xp.expm1(-d)), 0) + xp.where(highest, 0, log_below) + xp.where(lowest, 0, log_above)
    )

    def slopes():
        by_upper, by_lower = xp.where(highest, 0, beyond_upper), xp.where(lowest, 0, beyond_lower)
        by_width = xp.where(inside, xp.exp(-d) / -xp.expm1(-d), 0)  # of log(1 - e ** -d)
        return by_upper - by_lower, d * (by_width + (by_upper + by_lower) / 2)

    return log_mass, slopes


def normal_log_mass(m, d, lowest, highest):
    """log(Phi(a) - Phi(b)), and a function that returns its slopes in m and in log d.

    The curve is mirrored so that the bin lies on the right, from its near edge e to its far edge f; in a tail f is at
    infinity. For a wide bin the mass beyond f is subtracted from that beyond e. For a narrow bin these two nearly
    cancel; there the density hardly changes, and its mean over six points is exact to the last digit.
    """
    xp = array_module(m)
    tail = lowest | highest
    side = xp.where(lowest | ~highest & (m < 0), -1, 1).astype(m.dtype)
    e, f = side * m - d / 2, xp.where(tail, math.inf, side * m + d / 2)
    drop = xp.where(tail, math.inf, side * m * d)  # density(f) = density(e) * e ** -drop
    left = xp.exp(-drop)
    mills = special(xp).erfcx(e / math.sqrt(2))  # mass beyond e over density at e, times sqrt(2 / pi)
    narrow = d + drop < 1
    kept = xp.where(narrow, 1, 1 - left * (special(xp).erfcx(f / math.sqrt(2)) / mills))
    step = xp.where(narrow, d, 0)
    mean = sum(w * xp.exp(-step * t * (e + step * t / 2)) for t, w in NODES)  # of the density, over that at e
    log_mass = xp.where(
        narrow,
        xp.log(d) + xp.log(mean) - e * e / 2 - math.log(2 * math.pi) / 2,
        special(xp).log_ndtr(-e) + xp.log(kept),
    )

    def slopes():
        density = xp.where(narrow, 1 / (d * mean), math.sqrt(2 / math.pi) / (mills * kept))  # at e, over the mass
        return side * density * xp.expm1(-drop), d / 2 * density * (1 + left)

    return log_mass, slopes


def _log_prob(parameters, images, levels, log_mass_of):
    """log p of each channel given those before it, by Bayes' rule for the weights of the components.

    With l the log-masses of the components and lse the log of a sum of exponentials: log p(R) = lse(pi + l_R),
    log p(G | R) = lse(pi + l_R + l_G) - lse(pi + l_R), and so on.
    """
    xp = array_module(parameters)
    C = images.shape[-1]
    logits, means, log_scales, c = mixture_parts(parameters, images, levels)
    m, d, lowest, highest, precision = bins(images, levels, means, log_scales)
    log_mass, slopes = log_mass_of(m, d, lowest, highest)
    log_posteriors, log_p = [log_normalise(logits)[0]], []
    for channel in range(C):
        log_posterior, log_total = log_normalise(log_posteriors[-1] + log_mass[..., channel, :])
        log_posteriors.append(log_posterior)
        log_p.append(log_total)

    def vjp(g):
        joint_g = xp.zeros(
            (*g.shape[:-1], 1 + C), g.dtype
        )  # of lse(pi + the log masses of the first 0, 1, .. C channels)
        joint_g[..., 1:] += g
        joint_g[..., :-1] -= g
        sums_g = joint_g[..., None] * xp.exp(xp.stack(log_posteriors, axis=-2))
        terms_g = xp.flip(xp.flip(sums_g, axis=-2).cumsum(axis=-2), axis=-2)  # a term is in its sum and all later ones
        mass_g = terms_g[..., 1:, :]
        by_m, by_log_d = slopes()
        means_g = -mass_g * by_m * precision
        log_scales_g = -mass_g * (m * by_m + by_log_d) * (log_scales > log_scale_floor(levels))
        parts = [terms_g[..., :1, :], means_g, log_scales_g]
        x = _scaled(images[..., None], levels, parameters)
        for later, rows in _followed(C):
            parts.append(means_g[..., later : later + 1, :] * x[..., :later, :] * (1 - c[..., rows, :] ** 2))
        return (xp.concatenate(parts, axis=-2).reshape(parameters.shape),)

    return xp.concatenate(log_p, axis=-1), vjp


def log_normalise(scores):
    """Log-weights minus the log of their sum, and that log: (..., M) -> (..., M), (..., 1).

    The highest is subtracted first: far from 0 there would be no digits left for the difference between the log of the
    sum and the highest.
    """
    xp = array_module(scores)
    highest = scores.max(axis=-1, keepdims=True)
    scores = scores - highest
    log_total = xp.log(xp.exp(scores).sum(axis=-1, keepdims=True))
    return scores - log_total, highest + log_total


def _followed(C):
    """For each channel but the first: its number, and the places of its coefficients for the channels before it."""
    return [(later, slice(later * (later - 1) // 2, later * (later + 1) // 2)) for later in range(1, C)]


def _scaled(images, levels, like):
    """Integers 0..Q-1 -> [-1, 1], in the precision of `like`."""
    return images.astype(like.real.dtype) * (2 / (levels - 1)) - 1


def _log_sigmoid(z):
    """log sigmoid(z), and its slope sigmoid(-z), without overflow on either side."""
    xp = array_module(z)
    decay = xp.exp(xp.where(z.real > 0, -z, z))  # at most 1
    return xp.minimum(z, 0) - xp.log1p(decay), xp.where(z.real > 0, decay, 1) / (1 + decay)
