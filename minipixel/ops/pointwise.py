"""Ops that compute every element, or every pixel, by itself: sums, products, activations, dropout."""

import math
from dataclasses import replace

import numpy as np

from minipixel.arena import added
from minipixel.backend import array_module
from minipixel.draws import Kept
from minipixel.ops.local import doubled, each, halves, pointwise, side_by_side
from minipixel.tensor import op

GELU_LINEAR = 2 * (2 / math.pi) ** 0.5
GELU_CUBIC = GELU_LINEAR * 0.044715
GELU_BOUND = 20.0
"""Beyond it the sigmoid in gelu is 0 or 1 to the last digit, and a cube of x might be beyond all numbers."""


@op(local=pointwise(each))
def add(x, y):
    """x + y; shapes broadcast as in NumPy."""

    def vjp(g):
        return lambda: _sum_to(g, x), lambda: _sum_to(g, y)

    return added(x, y), vjp


@op(local=pointwise(each))
def multiply(x, y):
    """x * y; shapes broadcast as in NumPy."""

    def vjp(g):
        return lambda: _sum_to(g * y, x), lambda: _sum_to(g * x, y)

    return x * y, vjp


@op(local=pointwise(each))
def power(x, *, exponent):
    """x ** exponent, for a fixed number as the exponent."""

    def vjp(g):
        return (g * exponent * x ** (exponent - 1),)

    return x**exponent, vjp


@op(local=pointwise(each))
def exp(x):
    """e ** x."""
    y = array_module(x).exp(x)

    def vjp(g):
        return (g * y,)

    return y, vjp


@op(local=pointwise(each))
def log(x):
    """The natural logarithm, of x > 0."""

    def vjp(g):
        return (g / x,)

    return array_module(x).log(x), vjp


@op(local=pointwise(each))
def tanh(x):
    """The hyperbolic tangent."""
    y = array_module(x).tanh(x)

    def vjp(g):
        return (g * (1 - y * y),)

    return y, vjp


@op(local=pointwise(each))
def sigmoid(x):
    """1 / (1 + e ** -x), without overflow on either side."""
    xp = array_module(x)
    # no exponent is positive; and a minimum takes a tenth of the time of a choice by `where`
    y = xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(xp.minimum(x, -x)))

    def vjp(g):
        return (g * y * (1 - y),)

    return y, vjp


@op(local=pointwise(halves))
def gate(x):
    """tanh(a) * sigmoid(b) with x = [a, b] along the channels: (..., 2K) -> (..., K).

    Source: van den Oord et al. 2016, arXiv:1606.05328, equation 2.
    """
    xp = array_module(x)
    if x.shape[-1] % 2:
        raise ValueError(f"gate: got {x.shape[-1]} channels, wanted an even number: those of a, then as many of b")
    a, b = xp.split(x, 2, axis=-1)
    (t, tanh_vjp), (s, sigmoid_vjp) = tanh.arrays(a), sigmoid.arrays(b)

    def vjp(g):
        return (xp.concatenate([*tanh_vjp(g * s), *sigmoid_vjp(g * t)], axis=-1),)

    return t * s, vjp


@op(local=pointwise(each))
def relu(x):
    """max(x, 0); the gradient at 0 is 0."""

    def vjp(g):
        return (g * (x > 0),)

    return array_module(x).maximum(x, 0), vjp


@op(local=pointwise(each), shapes="... K; K")
def prelu(x, slope):
    """x where it is positive, slope * x elsewhere: (..., K), (K,) -> (..., K); at 0 the gradient is the slope."""
    xp = array_module(x, slope)
    positive = x.real > 0

    def vjp(g):
        return (
            lambda: g * xp.where(positive, 1, slope),
            lambda: xp.where(positive, 0, g * x).reshape(-1, len(slope)).sum(axis=0),
        )

    return xp.where(positive, x, slope * x), vjp


@op(local=pointwise(each))
def elu(x):
    """x where it is positive, e ** x - 1 elsewhere: smooth at 0, bounded below by -1 (1511.07289, equation 15)."""
    xp = array_module(x)
    bent = xp.expm1(xp.minimum(x, 0))  # 0 where x is positive

    def vjp(g):
        return (g * (bent + 1),)

    return xp.maximum(x, 0) + bent, vjp


@op(local=pointwise(each))
def gelu(x):
    """x times the probability that a standard normal lies below it, in the tanh form: 0.5 x (1 + tanh(c (x + a x**3))).

    c = sqrt(2 / pi) and a = 0.044715, as `gelu(approximate="tanh")` of PyTorch, and the default of JAX. It differs by
    less than 5e-4 from the form with erf, a function that NumPy lacks.
    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
    """
    xp = array_module(x)
    near = xp.maximum(xp.minimum(x, GELU_BOUND), -GELU_BOUND)
    square = near * near
    s = sigmoid.arrays(near * (GELU_LINEAR + GELU_CUBIC * square))[0]  # (1 + tanh(v)) / 2 is sigmoid(2 v)

    def vjp(g):
        return (g * (s + near * s * (1 - s) * (GELU_LINEAR + 3 * GELU_CUBIC * square)),)

    return x * s, vjp


@op(local=pointwise(doubled))
def concat_elu(x):
    """elu(x) and elu(-x) side by side, so that both signs keep their information: (..., K) -> (..., 2K).

    Source: Salimans et al. 2017, arXiv:1701.05517, after Shang et al. 2016, arXiv:1603.05201, section 2.2.
    """
    xp = array_module(x)
    (above, above_vjp), (below, below_vjp) = elu.arrays(x), elu.arrays(-x)

    def vjp(g):
        g_above, g_below = xp.split(g, 2, axis=-1)
        return (above_vjp(g_above)[0] - below_vjp(g_below)[0],)

    return xp.concatenate([above, below], axis=-1), vjp


@op(local=pointwise(halves))
def linear_gate(x):
    """a * sigmoid(b) with x = [a, b] along the channels: (..., 2K) -> (..., K).

    This is the gated linear unit of Dauphin et al. 2016, arXiv:1612.08083, equation 1, which PixelCNN++ has in its
    residual layers.
    """
    xp = array_module(x)
    if x.shape[-1] % 2:
        raise ValueError(f"linear_gate: got {x.shape[-1]} channels, wanted an even number: those of a, then of b")
    a, b = xp.split(x, 2, axis=-1)
    s, sigmoid_vjp = sigmoid.arrays(b)

    def vjp(g):
        return (xp.concatenate([g * s, *sigmoid_vjp(g * a)], axis=-1),)

    return a * s, vjp


@op(local=pointwise(side_by_side))
def concat(x, y):
    """Two maps side by side, channel after channel: (..., K), (..., L) -> (..., K+L)."""
    K = x.shape[-1]

    def vjp(g):
        return g[..., :K], g[..., K:]

    return array_module(x, y).concatenate([x, y], axis=-1), vjp


def _keeping(function, x, *, keep, rate):
    """The `local` of dropout in a traced pass: pointwise, with all numbers kept. None for a `keep` that is not traced.

    A `keep` that was drawn for a whole map belongs to its pixels and images only; while an image is drawn, dropout is
    off.
    """
    if not isinstance(keep, Kept):
        return None
    local = pointwise(each)(function, x, keep=keep, rate=rate)
    return replace(local, compute=lambda x: function(x, keep=np.ones(x.shape, bool), rate=rate)[0])


@op(local=_keeping)
def dropout(x, *, keep, rate):
    """x / (1 - rate) where `keep`, 0 elsewhere: any shape -> that shape.

    `keep`, boolean and of the shape of x, is drawn by the caller, True with probability 1 - rate; so the op itself is
    not random. The mean of its value over all draws is x.
    """
    if keep.shape != x.shape:
        raise ValueError(f"dropout: got a keep of shape {keep.shape}, wanted {x.shape}, the shape of x")
    xp = array_module(x)
    scale = xp.asarray(keep).astype(x.real.dtype) / (1 - rate)

    def vjp(g):
        return (g * scale,)

    return x * scale, vjp


def _sum_to(gradient, x):
    """Undo a broadcast: sum the gradient over the axes along which x was repeated."""
    shape = getattr(x, "shape", ())
    added = tuple(range(gradient.ndim - len(shape)))
    if added:
        gradient = gradient.sum(axis=added)
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] > 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient
