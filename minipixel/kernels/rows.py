"""Loops over the rows of a matrix, as every layer needs them: bias, rectifier, sums. Parts of compiled kernels.

A matrix stands in a flat array, row after row of K numbers, from a place on. Places are counted unsigned: a signed one
costs a test that keeps loops from being vectorised. They are places, not slices: making a slice and letting go of it
takes longer than a short loop.
"""

import numpy as np

from minipixel.kernels.jit import jit

U = np.uint64
ZERO = np.float32(0)  # beside float64 it is float64, too


@jit
def fill_rows(y, y0, bias, R, K):
    """Each of R rows gets the same K numbers."""
    for i in range(U(R)):
        o = U(y0) + i * U(K)
        for k in range(U(K)):
            y[o + k] = bias[k]


@jit
def add_to_sums(g, g0, sums, R, K):
    """Add R rows to K sums, one a channel."""
    for i in range(U(R)):
        o = U(g0) + i * U(K)
        for k in range(U(K)):
            sums[k] += g[o + k]


@jit
def rectify(x, x0, y, y0, n):
    """y = max(x, 0), n numbers; x and y may be the same."""
    a, b = U(x0), U(y0)
    for i in range(U(n)):
        y[b + i] = max(x[a + i], ZERO)


@jit
def through_rectifier(g, g0, y, y0, sums, R, K):
    """Back through y = max(x, 0), R rows in place: g stays where y is positive; what stays is added to K sums."""
    for i in range(U(R)):
        o, p = U(g0) + i * U(K), U(y0) + i * U(K)
        for k in range(U(K)):
            kept = g[o + k] if y[p + k] > ZERO else ZERO
            g[o + k] = kept
            sums[k] += kept
