"""The log-probabilities of integer sub-pixels, in one pass each way."""

import numpy as np

from minipixel.arena import empty
from minipixel.kernels.functions import ONE, exp, log, log1p
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, flat


def bernoulli_log_prob(logits, *, images):
    """The override of `ops.bernoulli_log_prob`: 2.8 times faster (benchmarks/compiled.py)."""
    if images.shape != logits.shape:
        return None
    x, ones = logits, np.ascontiguousarray(images == 1)
    log_p = empty(x.shape, x.dtype)
    _bernoulli(x, ones, log_p)

    def vjp(g):
        x_g = empty(x.shape, x.dtype)
        _bernoulli_back(g, x, ones, x_g)
        return (x_g,)

    return log_p, vjp


def categorical_log_prob(logits, *, images):
    """The override of `ops.categorical_log_prob`: 2.3 times faster for 256 levels (benchmarks/compiled.py).

    Kept are a sub-pixel's largest logit, and what its weights sum to.
    """
    Q, rest = divmod(logits.shape[-1], images.shape[-1])
    if rest or images.shape[:-1] != logits.shape[:-1] or images.dtype.kind not in "biu":
        return None
    x, q = logits.reshape(-1, Q), np.ascontiguousarray(images, np.int64).reshape(-1)
    if q.view(np.uint64).max(initial=0) >= Q:  # no such level: nothing to be read there
        return None
    log_p, highest, totals = empty(images.shape, x.dtype), np.empty(len(q), x.dtype), np.empty(len(q), x.dtype)
    _categorical(x, q, log_p.reshape(-1), highest, totals)

    def vjp(g):
        x_g = empty(logits.shape, x.dtype)
        _categorical_back(g.reshape(-1), x, q, highest, totals, x_g.reshape(-1))
        return (x_g,)

    return log_p, vjp


@jit
def _bernoulli(x, ones, log_p):
    x, ones, log_p = flat(x), ones.reshape(x.size), log_p.reshape(x.size)
    for i in range(U(x.size)):
        odds = x[i] if ones[i] else -x[i]
        log_p[i] = min(odds, ZERO) - log1p(exp(-abs(odds)))


@jit
def _bernoulli_back(g, x, ones, x_g):
    g, x, ones, x_g = g.reshape(x.size), flat(x), ones.reshape(x.size), x_g.reshape(x.size)
    for i in range(U(x.size)):
        odds = x[i] if ones[i] else -x[i]
        decay = exp(-abs(odds))
        slope = (decay if odds > ZERO else ONE) / (ONE + decay)
        x_g[i] = g[i] * slope if ones[i] else -g[i] * slope


@jit
def _categorical(x, q, log_p, highest, totals):
    Q, x = U(x.shape[1]), flat(x)
    for i in range(U(len(q))):
        o, largest, total = i * Q, x[i * Q], x.dtype.type(0)
        for j in range(Q):
            largest = max(largest, x[o + j])
        for j in range(Q):
            total += exp(x[o + j] - largest)
        highest[i], totals[i], log_p[i] = largest, total, x[o + U(q[i])] - largest
    for i in range(U(len(q))):  # a loop of its own: in one sum the compiler might put the two small terms last
        log_p[i] -= log(totals[i])


@jit
def _categorical_back(g, x, q, highest, totals, x_g):
    Q, x = U(x.shape[1]), flat(x)
    for i in range(U(len(q))):
        o, scale = i * Q, -g[i] / totals[i]
        for j in range(Q):
            x_g[o + j] = scale * exp(x[o + j] - highest[i])
        x_g[o + U(q[i])] += g[i]
