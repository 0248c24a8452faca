"""Homework: the likelihood of a mixture of logistics, exact for every level and every scale.

It belongs to lesson 16 (logistic mixtures). Fill in each function that raises NotImplementedError, about 30 lines in
all, in NumPy alone. Keep all names, arguments and shapes, since the tests call them.

A pixel is one of Q levels, 0 to Q - 1. Level q stands at x = 2 q / (Q - 1) - 1, on the line from -1 to 1, and its bin
reaches halfway to the levels beside it. N is a number of pixels, and M a number of components.
"""

import numpy as np


def log_sigmoid(z):
    """log(1 / (1 + exp(-z))), without overflow for any z, infinities included: (...) -> (...)."""
    raise NotImplementedError


def bin_edges(levels, means, log_scales, Q):
    """The lower and the upper edges of the bins of some levels: (N,), (N, M), (N, M) -> (N, M), (N, M).

    An edge is given by its distance from the mean, in units of the scale. The lowest bin reaches down to minus
    infinity, and the highest up to infinity.
    """
    raise NotImplementedError


def log_mass(lower, upper):
    """log(sigmoid(upper) - sigmoid(lower)) for lower < upper, to full precision: (...), (...) -> (...).

    Either edge may be infinite. Far out, where both sigmoids are rounded to the same number, the result stays exact.
    """
    raise NotImplementedError


def mixture_log_prob(levels, logits, means, log_scales, Q):
    """The log-probability of the level of each pixel, in nats: (N,), then three times (N, M) -> (N,).

    The weights of the components are the softmax of the logits, which may be as large as 1000.
    """
    raise NotImplementedError


def colour_log_prob(pixels, parameters, Q):
    """The log-probability of pixels in colour, in nats: (N, 3), (N, 10, M) -> (N,).

    A pixel chooses one component for all its colours. The ten rows of its parameters are the logits, the means of red,
    green and blue, the three log-scales, and three coefficients c0, c1 and c2, before the tanh. With x_R and x_G for
    the places of red and green on the line, tanh(c0) x_R is added to the mean of green, and tanh(c1) x_R +
    tanh(c2) x_G to the mean of blue.
    """
    raise NotImplementedError
