"""Convolution and 1x1 without laying what pixels read side by side: a product a tap, added up in place.

With pixels first, what a tap sees from a row of pixels is a shifted block of the map, ready for BLAS; and going row by
row, what the taps of a row read and write stays in the cache. A thin map, such as the image, is still laid side by
side, a row at a time, since BLAS is slow at narrow products; so is one that is read with a stride.
"""

import numpy as np

from minipixel.arena import empty, zeros
from minipixel.kernels import winograd
from minipixel.kernels.blas import add_weight_gradient, constants, gemm
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import add_to, add_to_sums, fill, flat, fold, wide_zeros, widened
from minipixel.kernels.taps import masked, open_part, shuts

THIN = 8
"""Maps of fewer channels are laid side by side."""

BLOCK = 1_000_000
"""How many multiply-adds OpenBLAS does at once without copying its matrices first, which is faster."""


def linear(x, weight, bias, *, mask=None):
    """The override of `ops.linear`: 2.5 times faster (benchmarks/compiled.py)."""
    if mask is not None and mask.shape != weight.shape:
        return None  # the definition says what is wrong
    mask = shuts(mask)
    opened, (K_in, K_out) = masked(weight, mask), weight.shape
    y = empty((*x.shape[:-1], K_out), x.dtype)
    _linear(x, opened, np.zeros(K_out, x.dtype) if bias is None else bias, y)

    def vjp(g):
        weight_g, bias_g = np.zeros_like(opened), np.zeros(K_out, x.dtype)
        _linear_weight_back(x, g, weight_g, bias_g)

        def x_back():
            x_g = empty(x.shape, x.dtype)
            _linear(g, turned(opened), np.zeros(K_in, x.dtype), x_g)
            return x_g

        return x_back, masked(weight_g, mask), bias_g

    return y, vjp


def conv2d(x, weight, bias, *, mask=None, dilation=1, stride=1, centre=None):
    """The override of `ops.conv2d`: 5.0 times faster (benchmarks/compiled.py)."""
    if (mask is not None and mask.shape != weight.shape) or dilation < 1 or stride < 1:
        return None  # the definition says what is wrong
    (H, W, N, K_in), K_out = x.shape, weight.shape[-1]
    bias = np.zeros(K_out, x.dtype) if bias is None else bias
    taps, opened, spread = open_part(weight, mask, centre)
    offsets = np.asarray(taps, np.int64).reshape(len(taps), 2) * dilation
    opened = np.ascontiguousarray(opened)
    thin = stride > 1 or K_in < THIN
    if stride == dilation == 1 and winograd.suits(taps, mask, K_in, K_out, W):
        y, back = winograd.rows_of_three(x, opened, bias, taps)

        def vjp_of_rows(g):
            x_g, weight_g, bias_g = back(g)
            return x_g, spread(weight_g), bias_g

        return y, vjp_of_rows
    y = empty((-(-H // stride), -(-W // stride), N, K_out), x.dtype)
    forward = side_by_side if thin else _by_taps
    forward(x, opened, bias, offsets, stride, y)

    def vjp(g):
        weight_g, bias_g = np.zeros_like(opened), np.zeros(K_out, x.dtype)
        (side_by_side_weight_back if thin else _by_taps_weight_back)(x, g, offsets, stride, weight_g, bias_g)

        def x_back():
            x_g = zeros(x.shape, x.dtype)
            _scatter(g, turned(opened), offsets, stride, x_g)
            return x_g

        return x_back, spread(weight_g), bias_g

    return y, vjp


def transposed_conv2d(x, weight, bias, *, size, stride=1, centre=None):
    """The override of `ops.transposed_conv2d`: 1.2 times faster (benchmarks/compiled.py)."""
    (h, w, N, K_in), (H, W), K_out = x.shape, size, weight.shape[-1]
    if (h, w) != (-(-H // stride), -(-W // stride)):
        return None  # the definition says what is wrong
    taps, opened, spread = open_part(weight, None, centre)
    offsets = np.asarray(taps, np.int64).reshape(len(taps), 2)
    opened = np.ascontiguousarray(opened)
    y = empty((H, W, N, K_out), x.dtype)
    y[...] = 0 if bias is None else bias
    _scatter(x, opened, offsets, stride, y)

    def vjp(g):
        weight_g, sums = np.zeros((len(taps), K_out, K_in), x.dtype), np.zeros(K_in, x.dtype)
        side_by_side_weight_back(g, x, offsets, stride, weight_g, sums)
        bias_g = np.zeros(K_out, x.dtype)
        _sums(g, bias_g)

        def x_back():
            x_g = empty(x.shape, x.dtype)
            side_by_side(g, turned(opened), np.zeros(K_in, x.dtype), offsets, stride, x_g)
            return x_g

        return x_back, spread(turned(weight_g)), bias_g

    return y, vjp


def turned(weight):
    """Weights (..., K_in, K_out) as (..., K_out, K_in): BLAS multiplies small matrices faster as they are."""
    return np.ascontiguousarray(weight.swapaxes(-2, -1))


# --- 1x1 --------------------------------------------------------------------------------------------------------------


@jit
def _linear(x, weight, bias, y):
    """y = x w + b, in blocks of rows."""
    K_in, K_out = weight.shape
    blas, block, rows = constants(x), _block(K_in, K_out), y.size // K_out
    x, weight, bias, y = flat(x), flat(weight), widened(bias), flat(y)
    for r in range(0, rows, block):
        R = min(block, rows - r)
        fill(y, r * K_out, bias, R * K_out)
        gemm(R, K_out, K_in, x, r * K_in, False, weight, 0, False, y, r * K_out, True, blas)


@jit
def _linear_weight_back(x, g, weight_g, bias_g):
    """weight_g += x' g and bias_g += the sums of g, in blocks of rows."""
    K_in, K_out = weight_g.shape
    blas, block, rows = constants(g), _block(K_in, K_out), g.size // K_out
    x, g, weight_g, sums = flat(x), flat(g), flat(weight_g), wide_zeros(bias_g)
    for r in range(0, rows, block):
        R = min(block, rows - r)
        add_weight_gradient(R, K_in, K_out, x, r * K_in, g, r * K_out, weight_g, 0, blas)
        add_to_sums(g, r * K_out, sums, R * K_out)
    fold(sums, bias_g)


@jit
def _block(K_in, K_out):
    """How many rows to multiply at once."""
    return max(16, BLOCK // max(1, K_in * K_out))


@jit
def _sums(g, sums):
    """The sums of g, channel by channel."""
    wide = wide_zeros(sums)
    add_to_sums(flat(g), 0, wide, g.size)
    fold(wide, sums)


# --- tap by tap -------------------------------------------------------------------------------------------------------


@jit
def seen(size, shift):
    """Which computed positions read inside a map of `size` when they look `shift` further: the first, and how many."""
    first = max(0, -shift)
    return first, max(0, min(size, size - shift) - first)


@jit
def _run(r, tap, rows, H, W, N):
    """Where a tap reads from row r: its first pixel in the map, its first one here, and how many."""
    q, (c, count) = r + tap[0], seen(W, tap[1])
    return ((q % rows) * W + c + tap[1]) * N, c * N, count * N if 0 <= q < H else 0


# Of a map (H, W, N, K_in) the last `rows` rows may be all that is kept, row r in place of row r - rows; H keeps all.


@jit
def add_taps(r, x, rows, weight, taps, H, W, N, K_in, K_out, y, y0, blas):
    """What all taps see from row r of a map, through their weights, is added to y, from y0 on."""
    for t in range(len(taps)):
        w, (there, here, count) = t * K_in * K_out, _run(r, taps[t], rows, H, W, N)
        if count > 0:
            gemm(count, K_out, K_in, x, there * K_in, False, weight, w, False, y, y0 + here * K_out, True, blas)


@jit
def add_taps_back(r, g, g0, weight, taps, H, W, N, K_in, K_out, x_g, rows, blas):
    """The gradient of row r, from g0 on, goes back through every tap to what it saw, and is added there.

    The weights are `turned`: (T, K_out, K_in).
    """
    for t in range(len(taps)):
        w, (there, here, count) = t * K_in * K_out, _run(r, taps[t], rows, H, W, N)
        if count > 0:
            gemm(count, K_in, K_out, g, g0 + here * K_out, False, weight, w, False, x_g, there * K_in, True, blas)


@jit
def add_taps_weight_back(r, x, rows, g, g0, taps, H, W, N, K_in, K_out, weight_g, blas):
    """What each tap saw from row r times the row's gradient, from g0 on, is added to the gradient of its weight."""
    for t in range(len(taps)):
        w, (there, here, count) = t * K_in * K_out, _run(r, taps[t], rows, H, W, N)
        if count > 0:
            add_weight_gradient(count, K_in, K_out, x, there * K_in, g, g0 + here * K_out, weight_g, w, blas)


@jit
def _by_taps(x, weight, bias, taps, stride, y):
    H, W, N, K_in = x.shape
    K_out, blas = y.shape[3], constants(x)
    x, weight, bias, y = flat(x), flat(weight), widened(bias), flat(y)
    for r in range(H):
        fill(y, r * W * N * K_out, bias, W * N * K_out)
        add_taps(r, x, H, weight, taps, H, W, N, K_in, K_out, y, r * W * N * K_out, blas)


@jit
def _by_taps_weight_back(x, g, taps, stride, weight_g, bias_g):
    H, W, N, K_in = x.shape
    K_out, blas = g.shape[3], constants(x)
    x, g, weight_g, sums = flat(x), flat(g), flat(weight_g), wide_zeros(bias_g)
    for r in range(H):
        add_taps_weight_back(r, x, H, g, r * W * N * K_out, taps, H, W, N, K_in, K_out, weight_g, blas)
        add_to_sums(g, r * W * N * K_out, sums, W * N * K_out)
    fold(sums, bias_g)


# --- side by side -----------------------------------------------------------------------------------------------------


@jit
def lay(r, x, taps, stride, w, columns):
    """What the pixels of row r read, a row for each tap and channel: (H, W, N, K) -> (T, K, w, N)."""
    H, W, N, K = x.shape
    for t in range(len(taps)):
        q = r * stride + taps[t, 0]
        for k in range(K):
            for c in range(w):
                p = c * stride + taps[t, 1]
                if 0 <= q < H and 0 <= p < W:
                    for n in range(np.uint64(N)):
                        columns[t, k, c, n] = x[q, p, n, k]
                else:
                    columns[t, k, c] = 0


@jit
def side_by_side(x, weight, bias, taps, stride, y):
    """y = the convolution of x, whose bias is one for each channel, or for each channel of each image."""
    K, T = x.shape[3], len(taps)
    h, w, N, K_out = y.shape
    columns, blas = np.empty((T, K, w, N), x.dtype), constants(x)
    laid, weight, y, bias = flat(columns), flat(weight), flat(y), widened(bias)
    for r in range(h):
        lay(r, x, taps, stride, w, columns)
        fill(y, r * w * N * K_out, bias, w * N * K_out)
        gemm(w * N, K_out, T * K, laid, 0, True, weight, 0, False, y, r * w * N * K_out, True, blas)


@jit
def side_by_side_weight_back(x, g, taps, stride, weight_g, bias_g):
    """From the gradient of y those of weight and bias, which are added to what stands there."""
    K, T = x.shape[3], len(taps)
    h, w, N, K_out = g.shape
    columns, blas = np.empty((T, K, w, N), x.dtype), constants(x)
    laid, g, weight_g = flat(columns), flat(g), flat(weight_g)
    sums = wide_zeros(bias_g)
    for r in range(h):
        lay(r, x, taps, stride, w, columns)
        gemm(T * K, K_out, w * N, laid, 0, False, g, r * w * N * K_out, False, weight_g, 0, True, blas)
        add_to_sums(g, r * w * N * K_out, sums, w * N * K_out)
    fold(sums, bias_g)


# --- every tap writes -------------------------------------------------------------------------------------------------


@jit
def _scatter(g, weight, taps, stride, x):
    """Each pixel of g (h, w, N, L), through each tap's weight (L, K), is added to x where the tap would read."""
    H, W, N, K = x.shape
    h, w, N, L = g.shape
    blas, room = constants(g), np.empty(w * N * K, g.dtype)
    all_g, weight, all_x = flat(g), flat(weight), flat(x)
    for r in range(h):
        if stride == 1:
            add_taps_back(r, all_g, r * w * N * L, weight, taps, H, W, N, K, L, all_x, H, blas)
            continue
        for t in range(len(taps)):
            q = r * stride + taps[t, 0]
            if 0 <= q < H:
                gemm(w * N, K, L, all_g, r * w * N * L, False, weight, t * K * L, False, room, 0, False, blas)
                for c in range(w):
                    p = c * stride + taps[t, 1]
                    if 0 <= p < W:
                        add_to(room, c * N * K, all_x, (q * W + p) * N * K, N * K)
