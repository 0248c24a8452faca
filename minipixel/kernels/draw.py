"""Drawing a level from the parameters of a head, given a uniform number: what heads/ say, for the compiled sampler."""

import math

import numpy as np

from minipixel.kernels.jit import inline, jit
from minipixel.kernels.units import BERNOULLI, CATEGORICAL, LOGISTIC

TIE = 1e-12  # as in heads/base.py
FLOOR = -7.0  # as LOG_SCALE_FLOOR of ops/mixture.py
LEAST_WIDTH = 8 * 2.2250738585072014e-308  # of a bin, as in ops/mixture.py


@jit
def draw(parameters, pixel, channel, u, head, scores):
    """The level whose slice of the CDF holds u, given the parameters (P, ...) and the earlier channels of a pixel.

    At temperature 0 the likeliest one, the lowest on ties. -1 where NaN or infinite numbers make no distribution.
    `scores` is room for Q + M numbers.
    """
    code, Q, M, temperature = head
    if temperature == 0:
        if code == BERNOULLI:
            logit = np.float64(parameters[channel])
            return int(logit > TIE) if abs(logit) < np.inf else -1
        if code == CATEGORICAL:
            logits = parameters[channel * Q : channel * Q + Q]
            highest = np.float64(logits.max())
            return _first_from(logits, highest - TIE) if abs(highest) < np.inf else -1
        mass = scores[M : M + Q]
        if not _bin_masses(parameters, pixel, channel, (code, Q, M, 1.0), scores, mass) < np.inf:
            return -1
        return _first_from(mass, mass.max() * (1 - TIE * max(1.0, Q / 256)))
    if code == BERNOULLI:
        logit = np.float64(parameters[channel]) / temperature
        if not abs(logit) < np.inf:
            return -1
        return int(u >= math.exp(-max(logit, 0.0) - math.log1p(math.exp(-abs(logit)))))
    if code == CATEGORICAL:
        return _of_logits(parameters[channel * Q : channel * Q + Q], u, temperature, scores)
    return _of_mixture(parameters, pixel, channel, u, head, scores)


@jit
def _of_logits(logits, u, temperature, weights):
    """How many levels have their whole slice of the CDF below u: (Q,) -> 0..Q-1."""
    Q = len(logits)
    highest, total = np.float64(logits.max()), 0.0
    for q in range(Q):
        weights[q] = math.exp((np.float64(logits[q]) - highest) / temperature)
        total += weights[q]
    if not total < np.inf:  # NaN, too; math.isfinite takes the difference of a sum from itself, which may become 0
        return -1
    level, edge = 0, weights[0]
    while level < Q - 1 and edge <= u * total:
        level += 1
        edge += weights[level]
    return level


@jit
def _of_mixture(parameters, pixel, channel, u, head, weights):
    """How many bins end below u, in the CDF of a mixture given the earlier channels of the pixel."""
    _, Q, _, _ = head
    total = _weigh(parameters, pixel, channel, head, weights)
    if not total < np.inf:
        return -1
    level, step = 0, 1
    while 2 * step < Q:
        step *= 2
    while step > 0:  # the bits of the level, from the highest down
        if level + step < Q and _below(parameters, pixel, channel, level + step, head, weights) <= u * total:
            level += step
        step //= 2
    return level


@jit
def _bin_masses(parameters, pixel, channel, head, weights, mass):
    """The mass in each bin of a mixture given the earlier channels of the pixel, times a common factor, to `mass`.

    Returns the sum of them; NaN where there is no distribution.
    """
    total = _weigh(parameters, pixel, channel, head, weights)
    Q, so_far = head[1], 0.0
    for level in range(Q):
        upto = _below(parameters, pixel, channel, level + 1, head, weights) if level + 1 < Q else total
        mass[level] = upto - so_far
        so_far = upto
    return total


@jit
def _first_from(numbers, least):
    """The place of the first number that is at least `least`."""
    for i in range(len(numbers)):
        if numbers[i] >= least:
            return i
    return 0


@jit
def _below(parameters, pixel, channel, level, head, weights):
    """The mass below the lower edge of a level's bin, times a common factor."""
    code, Q, M, _ = head
    edge, below = (2 * level - 1) / (Q - 1) - 1, 0.0
    for m in range(M):
        mean, precision = _component(parameters, pixel, channel, m, head)
        z = (edge - mean) * precision
        below += weights[m] * (_expit(z) if code == LOGISTIC else 0.5 * math.erfc(-z * math.sqrt(0.5)))
    return below


@jit
def _weigh(parameters, pixel, channel, head, weights):
    """How much each component counts, given the earlier channels of the pixel, to `weights`; and the sum of these.

    The sum is NaN where NaN or infinite numbers make no distribution.
    """
    _, Q, M, temperature = head
    unit, highest, largest = 2.0 / (Q - 1), -np.inf, np.float64(parameters[:M].max())
    for m in range(M):
        mean, precision = _component(parameters, pixel, channel, m, head)
        if not abs(mean * precision) < np.inf:
            return np.nan
        weights[m] = (np.float64(parameters[m]) - largest) / temperature
        for earlier in range(channel):
            mean, precision = _component(parameters, pixel, earlier, m, head)
            x = pixel[earlier]
            weights[m] += _logistic_log_mass((x * unit - 1 - mean) * precision, unit * precision, x == 0, x == Q - 1)
        highest = max(highest, weights[m])
    total = 0.0
    for m in range(M):
        weights[m] = math.exp(weights[m] - highest)
        total += weights[m]
    return total


@jit
def _component(parameters, pixel, channel, m, head):
    """The mean, moved by the earlier channels of the pixel, and 1 / scale of component m: see ops/mixture.py."""
    _, Q, M, temperature = head
    C, unit = len(pixel), 2.0 / (Q - 1)
    mean = np.float64(parameters[(1 + channel) * M + m])
    first = 1 + 2 * C + channel * (channel - 1) // 2  # of the rows by which this channel follows those before it
    for earlier in range(channel):
        mean += math.tanh(np.float64(parameters[(first + earlier) * M + m])) * (pixel[earlier] * unit - 1)
    log_scale = np.float64(parameters[(1 + C + channel) * M + m])
    floor = FLOOR if Q <= 256 else FLOOR - math.log((Q - 1) / 255)  # as log_scale_floor of ops/mixture.py
    return mean, math.exp(-max(log_scale, floor)) / temperature


@jit
def _logistic_log_mass(m, d, lowest, highest):
    """The log of the mass of a bin d wide around m, or of a tail: see ops/mixture.py."""
    d = max(d, LEAST_WIDTH)
    inside = 0.0 if lowest or highest else math.log(-math.expm1(-d))
    return inside + (0.0 if highest else _log_expit(m + d / 2)) + (0.0 if lowest else _log_expit(d / 2 - m))


@inline
def _expit(z):
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


@inline
def _log_expit(z):
    return min(z, 0.0) - math.log1p(math.exp(-abs(z)))
