"""The gate of the Gated PixelCNN. Its two factors are kept for the way back, which is then without tanh."""

import numpy as np

from minipixel.arena import empty
from minipixel.kernels.functions import ONE, sigmoid, tanh
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import U

BLOCK = 64
"""How many pixels pass the gate at once."""


def gate(x):
    """The override of `ops.gate`."""
    p, odd = divmod(x.shape[-1], 2)
    if odd:
        return None  # the definition says what is wrong
    x = np.ascontiguousarray(x)
    factors, y = empty(x.shape, x.dtype), empty((*x.shape[:-1], p), x.dtype)
    _gate(x, factors, y)

    def vjp(g):
        x_g = empty(x.shape, x.dtype)
        _gate_back(np.ascontiguousarray(g), factors, x_g)
        return (x_g,)

    return y, vjp


@jit
def _gate(x, factors, y):
    p = y.shape[-1]
    pixels, x, factors, y = y.size // max(1, p), x.reshape(x.size), factors.reshape(x.size), y.reshape(y.size)
    for i in range(0, pixels, BLOCK):
        gate_rows(x, i * 2 * p, factors, i * 2 * p, y, i * p, min(BLOCK, pixels - i), p)


@jit
def _gate_back(g, factors, x_g):
    p, f = g.shape[-1], factors.reshape(x_g.size)
    back_through_gate(g.reshape(g.size), 0, f, 0, x_g.reshape(x_g.size), 0, g.size // max(1, p), p)


@jit
def gate_rows(x, x0, factors, factors0, y, y0, R, p):
    """y = tanh(a) * sigmoid(b), R rows [a, b] of 2p numbers; the factors are put elsewhere."""
    for i in range(U(R * 2 * p)):
        factors[U(factors0) + i] = x[U(x0) + i]
    gate_in_place(factors, factors0, y, y0, R, p)


@jit
def gate_in_place(x, x0, y, y0, R, p):
    """y = tanh(a) * sigmoid(b), R rows [a, b] of 2p numbers, which give way to the two factors.

    Two arrays that might be one and the same would keep this loop from being vectorised.
    """
    for i in range(U(R)):
        a, o = U(x0) + i * U(2 * p), U(y0) + i * U(p)
        for k in range(U(p)):
            t, s = tanh(x[a + k]), sigmoid(x[a + U(p) + k])
            x[a + k], x[a + U(p) + k] = t, s
            y[o + k] = t * s


@jit
def back_through_gate(g, g0, factors, factors0, x_g, x0, R, p):
    """The gradient of R rows [a, b], by the factors t = tanh(a), whose slope is 1 - t * t, and s, of s * (1 - s)."""
    for i in range(U(R)):
        a, f, o = U(x0) + i * U(2 * p), U(factors0) + i * U(2 * p), U(g0) + i * U(p)
        for k in range(U(p)):
            t, s = factors[f + k], factors[f + U(p) + k]
            to_t = g[o + k] * s
            x_g[a + k], x_g[a + U(p) + k] = to_t * (ONE - t * t), to_t * t * (ONE - s)
