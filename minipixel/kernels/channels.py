"""Loops that read all channels of a pixel, or all of one colour: softmax, layer_norm (see ops/channels.py).

R rows of K numbers stand at place a of a flat array; those of a colour stand `colours` apart. Of one colour they stand
side by side, which is said as a constant, so that the compiler makes vectors of them.
"""

import math

import numpy as np

from minipixel.kernels.functions import ONE, exp
from minipixel.kernels.jit import inline, jit
from minipixel.kernels.rows import ZERO, U


@jit
def softmax(x, a, y, b, R, K, colours):
    """Each colour's numbers of each row as shares of 1."""
    a, b, K, colours = U(a), U(b), U(K), U(colours)
    for r in range(U(R)):
        i, o = a + r * K, b + r * K
        if colours == U(1):
            _shares(x, i, y, o, K, U(1))
        else:
            for colour in range(colours):
                _shares(x, i + colour, y, o + colour, K // colours, colours)


@jit
def softmax_back(g, a, y, b, R, K, colours):
    """The way back through it, in place: from the gradient at a, and the shares at b."""
    a, b, K, colours = U(a), U(b), U(K), U(colours)
    for r in range(U(R)):
        i, o = a + r * K, b + r * K
        if colours == U(1):
            _shares_back(g, i, y, o, K, U(1))
        else:
            for colour in range(colours):
                _shares_back(g, i + colour, y, o + colour, K // colours, colours)


@jit
def layer_norm(x, a, y, b, R, K, colours, epsilon):
    """Each colour's numbers of each row with mean 0 and variance 1."""
    a, b, K, colours = U(a), U(b), U(K), U(colours)
    for r in range(U(R)):
        i, o = a + r * K, b + r * K
        if colours == U(1):
            _normalised(x, i, y, o, K, U(1), epsilon)
        else:
            for colour in range(colours):
                _normalised(x, i + colour, y, o + colour, K // colours, colours, epsilon)


@jit
def layer_norm_back(g, a, x, b, R, K, colours, epsilon):
    """The way back through it, in place: from the gradient at a, and what it read at b."""
    a, b, K, colours = U(a), U(b), U(K), U(colours)
    for r in range(U(R)):
        i, o = a + r * K, b + r * K
        if colours == U(1):
            _normalised_back(g, i, x, o, K, U(1), epsilon)
        else:
            for colour in range(colours):
                _normalised_back(g, i + colour, x, o + colour, K // colours, colours, epsilon)


@inline
def _shares(x, a, y, b, n, by):
    most, total = x[a], ZERO
    for k in range(n):
        most = max(most, x[a + k * by])
    for k in range(n):
        y[b + k * by] = exp(x[a + k * by] - most)
    for k in range(n):
        total += y[b + k * by]
    share = ONE / total
    for k in range(n):
        y[b + k * by] *= share


@inline
def _shares_back(g, a, y, b, n, by):
    total = ZERO
    for k in range(n):
        total += g[a + k * by] * y[b + k * by]
    for k in range(n):
        g[a + k * by] = (g[a + k * by] - total) * y[b + k * by]


@inline
def _mean_and_scale(x, a, n, by, epsilon):
    total, squares, count = ZERO, ZERO, np.float32(n)
    for k in range(n):
        total += x[a + k * by]
    mean = total / count
    for k in range(n):
        centred = x[a + k * by] - mean
        squares += centred * centred
    return mean, ONE / math.sqrt(squares / count + epsilon)


@inline
def _normalised(x, a, y, b, n, by, epsilon):
    mean, scale = _mean_and_scale(x, a, n, by, epsilon)
    for k in range(n):
        y[b + k * by] = (x[a + k * by] - mean) * scale


@inline
def _normalised_back(g, a, x, b, n, by, epsilon):
    mean, scale = _mean_and_scale(x, b, n, by, epsilon)
    total, along, count = ZERO, ZERO, np.float32(n)
    for k in range(n):
        total += g[a + k * by]
        along += g[a + k * by] * (x[b + k * by] - mean)
    total, along = total / count, along * scale * scale / count
    for k in range(n):
        g[a + k * by] = (g[a + k * by] - total - (x[b + k * by] - mean) * along) * scale
