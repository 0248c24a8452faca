"""Loops over the rows of a matrix, as every layer needs them: bias, rectifier, sums. Parts of compiled kernels.

A matrix stands in a flat array, row after row of K numbers, from a place on. Places are counted unsigned: a signed one
costs a test that keeps loops from being vectorised. They are places, not slices: making a slice and letting go of it
takes longer than a short loop.

A loop over the K numbers of one row is too short to be vectorised well. So what belongs to the channels, a bias or the
sums over all rows, is `widened`: repeated for several rows, which are then one longer row.
"""

import numpy as np

from minipixel.kernels.jit import inline, jit

U = np.uint64
ZERO = np.float32(0)  # beside float64 it is float64, too
WIDE = 128
"""A widened row has this many numbers, or up to K - 1 more."""


@inline
def flat(x):
    """The numbers of an array, one after another. As a call of its own it made a step of Row LSTM 8 % longer."""
    return x.reshape(x.size)


@jit
def copy(source, there, target, here, n):
    """n numbers, from one place to another."""
    a, b = U(there), U(here)
    for i in range(U(n)):
        target[b + i] = source[a + i]


@jit
def add_to(source, there, target, here, n):
    """n numbers, added to those in another place."""
    a, b = U(there), U(here)
    for i in range(U(n)):
        target[b + i] += source[a + i]


@jit
def widened(channels):
    """K numbers, over and over again."""
    K = len(channels)
    wide = np.empty(-(-WIDE // max(1, K)) * K, channels.dtype)
    for i in range(len(wide)):
        wide[i] = channels[i % K]
    return wide


@jit
def wide_zeros(channels):
    """Room for the sums of K channels."""
    return np.zeros_like(widened(channels))


@jit
def fold(wide, sums):
    """Add widened sums to those of the K channels."""
    for i in range(len(wide)):
        sums[i % len(sums)] += wide[i]


@jit
def fill(y, y0, bias, n):
    """y = bias, for all rows of n numbers in all; the bias is widened."""
    L = U(len(bias))
    for o in range(U(y0), U(y0 + n), L):
        for k in range(min(L, U(y0 + n) - o)):
            y[o + k] = bias[k]


@jit
def add_bias(x, x0, y, y0, bias, n):
    """y = x + bias, for all rows of n numbers in all; the bias is widened."""
    L = U(len(bias))
    for o in range(U(0), U(n), L):
        a, b = U(x0) + o, U(y0) + o
        for k in range(min(L, U(n) - o)):
            y[b + k] = x[a + k] + bias[k]


@jit
def bias_and_rectify(y, y0, bias, n):
    """y = max(y + bias, 0), for all rows of n numbers in all; the bias is widened."""
    L = U(len(bias))
    for o in range(U(y0), U(y0 + n), L):
        for k in range(min(L, U(y0 + n) - o)):
            y[o + k] = max(y[o + k] + bias[k], ZERO)


@jit
def add_to_sums(g, g0, sums, n):
    """Add rows of n numbers in all to the sums of their channels, which are widened."""
    L = U(len(sums))
    for o in range(U(g0), U(g0 + n), L):
        for k in range(min(L, U(g0 + n) - o)):
            sums[k] += g[o + k]


@jit
def rectify(x, x0, y, y0, n):
    """y = max(x, 0), n numbers; x and y may be the same."""
    a, b = U(x0), U(y0)
    for i in range(U(n)):
        y[b + i] = max(x[a + i], ZERO)


@jit
def through_rectifier(g, g0, y, y0, sums, n):
    """Back through y = max(x, 0), n numbers, in place: g stays where y is positive; the widened sums get what stays."""
    L = U(len(sums))
    for o in range(U(0), U(n), L):
        a, b = U(g0) + o, U(y0) + o
        for k in range(min(L, U(n) - o)):
            kept = g[a + k] if y[b + k] > ZERO else ZERO
            g[a + k] = kept
            sums[k] += kept
