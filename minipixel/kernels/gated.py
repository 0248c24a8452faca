"""The gate, and the horizontal half of a gated layer, forward and backward in one call each.

Row by row: all that a row of pixels needs on the way is at hand, in the cache. Of all maps between input and output one
is kept for the way back, the two factors of the gate.
"""

import numpy as np

from minipixel.arena import empty
from minipixel.kernels.blas import add_weight_gradient, constants, gemm
from minipixel.kernels.convolution import add_taps, add_taps_back, add_taps_weight_back, lay, turned
from minipixel.kernels.functions import ONE, sigmoid, tanh
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import U, add_bias, add_to_sums, copy, fill, fold, wide_zeros, widened
from minipixel.kernels.taps import masked, open_part, shuts

BLOCK = 64
"""How many pixels pass the gate at once."""


def gate(x):
    """The override of `ops.gate`: 3.2 times faster (benchmarks/compiled.py)."""
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


def along_the_row(
    h, above, condition, told, look, look_bias, link, link_bias, out, out_bias, *,
    look_mask, link_mask, out_mask, dilation, adds,
):  # fmt: skip
    """The override of `nn.GatedLayer.along_the_row`, where a condition is the same for all pixels of an image.

    A shard of its model is 1.2 times faster with it (benchmarks/compiled.py), a step with two workers 24 % shorter.

    `told` is the weight of the condition, None without one; `adds` whether h is added to what is found. Where it is
    not, h has to be a constant: nothing is sent back to it.
    """
    (H, W, N, _), p = h.shape, len(out)
    taps, opened, spread = open_part(look, look_mask, None)
    if any(dr for dr, _ in taps) or (condition is not None and condition.shape[:2] != (1, 1)):
        return None
    taps = np.asarray(taps, np.int64).reshape(len(taps), 2) * dilation
    link_mask, out_mask = shuts(link_mask), shuts(out_mask)
    weights = np.ascontiguousarray(opened), masked(link, link_mask), masked(out, out_mask)
    bias = look_bias + link_bias
    if condition is not None:  # one for each channel of each image
        condition = condition[0, 0]
        bias = (condition @ told + bias).reshape(-1)
    h, above = np.ascontiguousarray(h), np.ascontiguousarray(above)
    factors, y = empty((H, W, N, 2 * p), h.dtype), empty((H, W, N, p), h.dtype)
    _forward(h, above, *weights, bias, out_bias, taps, adds, factors, y)

    def vjp(g):
        h_g, above_g = empty(h.shape if adds else (0,), h.dtype), empty(above.shape, h.dtype)
        look_g, link_g, out_g = (np.zeros_like(weight) for weight in weights)
        sums, out_sums = np.zeros_like(bias), np.zeros_like(out_bias)
        back = [turned(weight) for weight in weights]
        g = np.ascontiguousarray(g)
        _backward(g, h, above, factors, *back, taps, adds, h_g, above_g, look_g, link_g, out_g, sums, out_sums)
        sums = sums.reshape(-1, 2 * p)
        bias_g = sums.sum(axis=0)
        return (
            *(h_g, above_g),
            *(lambda: (sums @ told.T)[None, None], lambda: condition.T @ sums),
            *(spread(look_g), bias_g, masked(link_g, link_mask), bias_g, masked(out_g, out_mask), out_sums),
        )

    return y, vjp


# --- the gate ---------------------------------------------------------------------------------------------------------


@jit
def _gate(x, factors, y):
    p = x.shape[-1] // 2
    R = y.size // max(1, p)
    x, factors, y = x.reshape(x.size), factors.reshape(x.size), y.reshape(y.size)
    for r in range(0, R, BLOCK):
        count = min(BLOCK, R - r)
        copy(x, r * 2 * p, factors, r * 2 * p, count * 2 * p)
        gate_in_place(factors, r * 2 * p, y, r * p, count, p)


@jit
def _gate_back(g, factors, x_g):
    p = g.shape[-1]
    back_through_gate(
        g.reshape(g.size), 0, factors.reshape(x_g.size), 0, x_g.reshape(x_g.size), 0, g.size // max(1, p), p
    )


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


# --- the horizontal half ----------------------------------------------------------------------------------------------


@jit
def _forward(h, above, look, link, out, bias, out_bias, taps, adds, factors, y):
    """What a row shows before its gate is put where the factors are going to stand."""
    H, W, N, K = h.shape
    T, p, R, blas = len(taps), y.shape[3], W * N, constants(h)
    columns, gated = np.empty((T, K, W, N), h.dtype), np.empty(R * p, h.dtype)
    side_by_side, flat, above = columns.reshape(columns.size), h.reshape(h.size), above.reshape(above.size)
    look, link, out = look.reshape(look.size), link.reshape(link.size), out.reshape(out.size)
    factors, y = factors.reshape(factors.size), y.reshape(y.size)
    bias, out_bias = widened(bias), widened(out_bias)
    for r in range(H):
        wide, thin = r * R * 2 * p, r * R * p
        fill(factors, wide, bias, R * 2 * p)
        if adds:
            add_taps(r, flat, H, look, taps, H, W, N, K, 2 * p, factors, wide, blas)
        else:
            lay(r, h, taps, 1, W, columns)
            gemm(R, 2 * p, T * K, side_by_side, 0, True, look, 0, False, factors, wide, True, blas)
        gemm(R, 2 * p, 2 * p, above, wide, False, link, 0, False, factors, wide, True, blas)
        gate_in_place(factors, wide, gated, 0, R, p)
        if adds:
            add_bias(flat, thin, y, thin, out_bias, R * p)
        else:
            fill(y, thin, out_bias, R * p)
        gemm(R, p, p, gated, 0, False, out, 0, False, y, thin, True, blas)


@jit
def _backward(
    g, h, above, factors, look, link, out, taps, adds, h_g, above_g, look_g, link_g, out_g, sums, out_sums
):  # fmt: skip
    """The three weights are `turned`; gradients of them are not."""
    H, W, N, K = h.shape
    T, p, R, blas = len(taps), g.shape[3], W * N, constants(h)
    columns, gated = np.empty((T, K, W, N), h.dtype), np.empty(R * p, h.dtype)
    side_by_side, flat, above = columns.reshape(columns.size), h.reshape(h.size), above.reshape(above.size)
    look, link, out = look.reshape(look.size), link.reshape(link.size), out.reshape(out.size)
    factors, g = factors.reshape(factors.size), g.reshape(g.size)
    h_g, above_g = h_g.reshape(h_g.size), above_g.reshape(above_g.size)
    look_g, link_g, out_g = look_g.reshape(look_g.size), link_g.reshape(link_g.size), out_g.reshape(out_g.size)
    row_g, gated_g = np.empty(R * 2 * p, h.dtype), np.empty(R * p, h.dtype)
    wide_sums, wide_out_sums = wide_zeros(sums), wide_zeros(out_sums)
    for r in range(H):
        wide, thin = r * R * 2 * p, r * R * p
        add_to_sums(g, thin, wide_out_sums, R * p)
        for i in range(U(R)):
            f, o = U(wide) + i * U(2 * p), i * U(p)
            for k in range(U(p)):
                gated[o + k] = factors[f + k] * factors[f + U(p) + k]
        add_weight_gradient(R, p, p, gated, 0, g, thin, out_g, 0, blas)
        gemm(R, p, p, g, thin, False, out, 0, False, gated_g, 0, False, blas)
        back_through_gate(gated_g, 0, factors, wide, row_g, 0, R, p)
        add_to_sums(row_g, 0, wide_sums, R * 2 * p)
        add_weight_gradient(R, 2 * p, 2 * p, above, wide, row_g, 0, link_g, 0, blas)
        gemm(R, 2 * p, 2 * p, row_g, 0, False, link, 0, False, above_g, wide, False, blas)
        if adds:
            add_taps_weight_back(r, flat, H, row_g, 0, taps, H, W, N, K, 2 * p, look_g, blas)
            copy(g, thin, h_g, thin, R * p)
            add_taps_back(r, row_g, 0, look, taps, H, W, N, K, 2 * p, h_g, H, blas)
        else:
            lay(r, h, taps, 1, W, columns)
            gemm(T * K, 2 * p, R, side_by_side, 0, False, row_g, 0, False, look_g, 0, True, blas)
    fold(wide_sums, sums)
    fold(wide_out_sums, out_sums)
