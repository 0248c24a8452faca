"""Ops that act on every element alone, in one pass each way."""

import numpy as np

from minipixel.arena import empty
from minipixel.kernels.functions import ONE, sigmoid
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, flat


def linear_gate(x):
    """The override of `ops.linear_gate`: 4.4 times faster (benchmarks/compiled.py)."""
    if x.shape[-1] % 2:
        return None  # the definition says what is wrong
    y = empty((*x.shape[:-1], x.shape[-1] // 2), x.dtype)
    _linear_gate(x, y)

    def vjp(g):
        x_g = empty(x.shape, x.dtype)
        _linear_gate_back(g, x, x_g)
        return (x_g,)

    return y, vjp


def dropout(x, *, keep, rate):
    """The override of `ops.dropout`: 1.8 times faster (benchmarks/compiled.py)."""
    if keep.shape != x.shape:
        return None  # the definition says what is wrong
    keep, scale = np.ascontiguousarray(keep), x.dtype.type(1 / (1 - rate))
    y = empty(x.shape, x.dtype)
    _dropout(x, keep, scale, y)

    def vjp(g):
        x_g = empty(x.shape, x.dtype)
        _dropout(g, keep, scale, x_g)
        return (x_g,)

    return y, vjp


@jit
def _linear_gate(x, y):
    K, x, y = U(y.shape[-1]), flat(x), flat(y)
    for o in range(U(0), U(y.size), max(K, U(1))):
        for k in range(K):
            y[o + k] = x[o + o + k] * sigmoid(x[o + o + K + k])


@jit
def _linear_gate_back(g, x, x_g):
    K, g, x, x_g = U(g.shape[-1]), flat(g), flat(x), x_g.reshape(x.size)
    for o in range(U(0), U(g.size), max(K, U(1))):
        for k in range(K):
            s = sigmoid(x[o + o + K + k])
            x_g[o + o + k] = g[o + k] * s
            x_g[o + o + K + k] = g[o + k] * x[o + o + k] * s * (ONE - s)


@jit
def _dropout(x, keep, scale, y):
    x, keep, y = flat(x), keep.reshape(x.size), y.reshape(x.size)
    for i in range(U(x.size)):
        y[i] = x[i] * scale if keep[i] else ZERO
