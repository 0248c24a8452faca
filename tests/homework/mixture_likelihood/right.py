"""Homework: the likelihood of a mixture of logistics, exact for every level and every scale.

It belongs to lesson 16 (logistic mixtures). Fill in each function that raises NotImplementedError, about 30 lines in
all, in NumPy alone. Keep all names, arguments and shapes, since the tests call them.

A pixel is one of Q levels, 0 to Q - 1. Level q stands at x = 2 q / (Q - 1) - 1, on the line from -1 to 1, and its bin
reaches halfway to the levels beside it. N is a number of pixels, and M a number of components.
"""

import numpy as np


def log_sum_exp(values):
    largest = values.max(axis=-1)
    return largest + np.log(np.exp(values - largest[:, None]).sum(axis=-1))


def log_sigmoid(z):
    """log(1 / (1 + exp(-z))), without overflow for any z, infinities included: (...) -> (...)."""
    return -np.logaddexp(0, -z)


def bin_edges(levels, means, log_scales, Q):
    """The lower and the upper edges of the bins of some levels: (N,), (N, M), (N, M) -> (N, M), (N, M).

    An edge is given by its distance from the mean, in units of the scale. The lowest bin reaches down to minus
    infinity, and the highest up to infinity.
    """
    x = 2 * levels[:, None] / (Q - 1) - 1
    half = 1 / (Q - 1)
    lower = (x - half - means) / np.exp(log_scales)
    upper = (x + half - means) / np.exp(log_scales)
    lower[levels == 0] = -np.inf
    upper[levels == Q - 1] = np.inf
    return lower, upper


def log_mass(lower, upper):
    """log(sigmoid(upper) - sigmoid(lower)) for lower < upper, to full precision: (...), (...) -> (...).

    Either edge may be infinite. Far out, where both sigmoids are rounded to the same number, the result stays exact.
    """
    width = upper - lower
    return np.log(-np.expm1(-width)) + log_sigmoid(upper) + log_sigmoid(-lower)


def mixture_log_prob(levels, logits, means, log_scales, Q):
    """The log-probability of the level of each pixel, in nats: (N,), then three times (N, M) -> (N,).

    The weights of the components are the softmax of the logits, which may be as large as 1000.
    """
    each = log_mass(*bin_edges(levels, means, log_scales, Q))
    return log_sum_exp(logits + each) - log_sum_exp(logits)


def colour_log_prob(pixels, parameters, Q):
    """The log-probability of pixels in colour, in nats: (N, 3), (N, 10, M) -> (N,).

    A pixel chooses one component for all its colours. The ten rows of its parameters are the logits, the means of red,
    green and blue, the three log-scales, and three coefficients c0, c1 and c2, before the tanh. With x_R and x_G for
    the places of red and green on the line, tanh(c0) x_R is added to the mean of green, and tanh(c1) x_R +
    tanh(c2) x_G to the mean of blue.
    """
    logits = parameters[:, 0]
    means = parameters[:, 1:4].copy()
    log_scales = parameters[:, 4:7]
    c = np.tanh(parameters[:, 7:10])
    x = 2 * pixels / (Q - 1) - 1
    red = x[:, 0, None]
    green = x[:, 1, None]
    means[:, 1] += c[:, 0] * red
    means[:, 2] += c[:, 1] * red + c[:, 2] * green
    each = 0
    for k in range(3):
        each = each + log_mass(*bin_edges(pixels[:, k], means[:, k], log_scales[:, k], Q))
    return log_sum_exp(logits + each) - log_sum_exp(logits)
