"""Loops over numbers that lie side by side in a flat array. Parts of compiled kernels.

They begin at a place, which is counted unsigned: a signed one costs a test that keeps loops from being vectorised. It
is a place, not a slice: making a slice and letting go of it takes longer than a short loop.
"""

import numpy as np

from minipixel.kernels.jit import inline, jit

U = np.uint64
ZERO = np.float32(0)  # beside float64 it is float64, too


@inline
def flat(x):
    """The numbers of an array, one after another."""
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
def rectify(x, x0, y, y0, n):
    """y = max(x, 0), n numbers; x and y may be the same."""
    a, b = U(x0), U(y0)
    for i in range(U(n)):
        y[b + i] = max(x[a + i], ZERO)
