"""A residual layer of PixelCNN++, forward and backward in one call each.

Row by row: its two kernels look up and never down, so of what stands before them the last few rows are enough. These
stay in the cache, and are bent again for the way back, which takes less time than to fetch them from memory. Kept are
what the first convolution gives and what goes into the gate.
"""

import numpy as np

from minipixel.arena import empty
from minipixel.kernels.blas import constants, gemm
from minipixel.kernels.convolution import seen, turned
from minipixel.kernels.elu import bend, unbend
from minipixel.kernels.functions import ONE, sigmoid
from minipixel.kernels.jit import jit
from minipixel.kernels.rows import ZERO, U, add_to_sums, fill, fold, wide_zeros, widened
from minipixel.kernels.taps import open_part
from minipixel.kernels.weights import weight_norm


def gated_residual(x, skip, *layers, centre, keep, rate):
    """The override of PixelCNN++'s GatedResidual with concat_elu, without a condition.

    `layers` are v, gain and bias of both convolutions and of the 1x1 of the skip, which is None where there is none,
    as is a gain where v is the weight itself. `keep(shape)` draws what dropout keeps of a map; None keeps all.
    """
    (H, W, N, F), told = x.shape, skip is not None
    wide, kept_shape = (W, N, 2 * F), (H, W, N, 2 * F if keep else 0)
    vs, gains, biases = layers[::3], layers[1::3], layers[2::3]
    if not told:
        vs, gains, biases = (*vs, np.empty((0, F), x.dtype)), (*gains, None), (*biases, np.zeros(F, x.dtype))
    normed = [(v, None) if gain is None else weight_norm(v, gain) for v, gain in zip(vs, gains, strict=True)]
    taps, first, spread_first = open_part(normed[0][0], None, centre)
    _, second, spread_second = open_part(normed[1][0], None, centre)
    if max(taps)[0] > 0:  # the way back relies on no row below being read
        return None
    rows, taps = 1 - min(taps)[0], np.asarray(taps, np.int64)
    x, skip = np.ascontiguousarray(x), np.ascontiguousarray(skip) if told else np.empty((H, W, N, 0), x.dtype)
    kept, scale = (
        keep(kept_shape).view(np.uint8) if keep else np.empty(kept_shape, np.uint8),
        x.dtype.type(1 / (1 - rate)),
    )
    h, ab, y = empty((H, W, N, F), x.dtype), empty((H, *wide), x.dtype), empty(x.shape, x.dtype)
    bent, dropped, bent_skip = (
        empty(shape, x.dtype) for shape in ((rows, *wide), (rows, *wide), (W, N, 2 * skip.shape[3]))
    )
    weights = first, second, normed[2][0], biases[0] + biases[2], biases[1]
    _forward(x, skip, kept, scale, *weights, taps, bent, dropped, bent_skip, h, ab, y)

    def vjp(g):
        x_g, skip_g = empty(x.shape, x.dtype), empty(skip.shape, x.dtype)
        rooms = [empty((rows, *wide), x.dtype) for _ in range(4)]
        rooms += [empty(shape, x.dtype) for shape in ((W, N, 2 * skip.shape[3]), (W, N, F), wide)]
        back, found = [turned(weight) for weight in weights[:3]], [np.zeros_like(weight) for weight in weights]
        _backward(np.ascontiguousarray(g), x, skip, kept, scale, h, ab, *back, taps, *rooms, x_g, skip_g, *found)
        weights_g = spread_first(found[0]), spread_second(found[1]), found[2]
        of_layers = []
        for (_, of_weight), weight_g, bias_g in zip(normed, weights_g, (*found[3:], found[3]), strict=True):
            of_layers += [*(of_weight(weight_g) if of_weight else (weight_g, None)), bias_g]
        return x_g, skip_g, *of_layers[: len(layers)]

    return y, vjp


@jit
def _forward(
    x, skip, kept, scale, first, second, told, first_bias, second_bias, taps, bent, dropped, bent_skip, h, ab, y
):
    H, W, N, F = x.shape
    rows, L, R, blas = len(bent), skip.shape[3], W * N, constants(x)
    wide = R * 2 * F
    x, skip, kept, h, ab, y = _flat(x), _flat(skip), _flat(kept), _flat(h), _flat(ab), _flat(y)
    first, second, told, first_bias, second_bias = (
        _flat(first),
        _flat(second),
        _flat(told),
        widened(first_bias),
        widened(second_bias),
    )
    bent, dropped, bent_skip = _flat(bent), _flat(dropped), _flat(bent_skip)
    for r in range(H):
        row, place = r * R * F, (r % rows) * wide
        bend(x, row, R, F, bent, place)
        fill(h, row, first_bias, R * F)
        _look(r, bent, rows, first, taps, H, W, N, 2 * F, F, h, row, blas)
        if L > 0:
            bend(skip, r * R * L, R, L, bent_skip, 0)
            gemm(R, F, 2 * L, bent_skip, 0, False, told, 0, False, h, row, True, blas)
        bend(h, row, R, F, dropped, place)
        _drop(dropped, place, kept, r * wide, scale, wide)
        fill(ab, r * wide, second_bias, wide)
        _look(r, dropped, rows, second, taps, H, W, N, 2 * F, 2 * F, ab, r * wide, blas)
        _gate(x, row, ab, r * wide, R, F, y)


@jit
def _backward(
    g, x, skip, kept, scale, h, ab, first, second, told, taps, bent, dropped, bent_g, dropped_g, bent_skip, h_g, ab_g,
    x_g, skip_g, first_g, second_g, told_g, first_s, second_s,
):  # fmt: skip
    """From the last row to the first, so that a row has all its gradients when it is reached.

    The three weights are `turned`.
    """
    H, W, N, F = x.shape
    rows, L, R, blas = len(bent), skip.shape[3], W * N, constants(x)
    wide = R * 2 * F
    g, x, skip, kept, h, ab, x_g, skip_g = (
        _flat(g),
        _flat(x),
        _flat(skip),
        _flat(kept),
        _flat(h),
        _flat(ab),
        _flat(x_g),
        _flat(skip_g),
    )
    first, second, told, first_g, second_g, told_g = (
        _flat(first),
        _flat(second),
        _flat(told),
        _flat(first_g),
        _flat(second_g),
        _flat(told_g),
    )
    bent, dropped, bent_g, dropped_g = _flat(bent), _flat(dropped), _flat(bent_g), _flat(dropped_g)
    bent_skip, h_g, ab_g = _flat(bent_skip), _flat(h_g), _flat(ab_g)
    first_sums, second_sums = wide_zeros(first_s), wide_zeros(second_s)
    for r in range(H - 1, -1, -1):
        row, place = r * R * F, (r % rows) * wide
        for q in range(r if r == H - 1 else r - rows + 1, r - rows, -1):  # those that are met for the first time
            if q >= 0:
                there = (q % rows) * wide
                bend(x, q * R * F, R, F, bent, there)
                bend(h, q * R * F, R, F, dropped, there)
                _drop(dropped, there, kept, q * wide, scale, wide)
                bent_g[there : there + wide] = 0
                dropped_g[there : there + wide] = 0
        _gate_back(g, row, ab, r * wide, R, F, ab_g)
        add_to_sums(ab_g, 0, second_sums, wide)
        _look_weight_back(r, dropped, rows, ab_g, taps, H, W, N, 2 * F, 2 * F, second_g, blas)
        _look_back(r, ab_g, second, taps, H, W, N, 2 * F, 2 * F, dropped_g, rows, blas)
        _drop(dropped_g, place, kept, r * wide, scale, wide)
        unbend(dropped_g, place, h, row, R, F, h_g, 0)
        add_to_sums(h_g, 0, first_sums, R * F)
        if L > 0:
            bend(skip, r * R * L, R, L, bent_skip, 0)
            gemm(2 * L, F, R, bent_skip, 0, True, h_g, 0, False, told_g, 0, True, blas)
            gemm(R, 2 * L, F, h_g, 0, False, told, 0, False, bent_skip, 0, False, blas)
            unbend(bent_skip, 0, skip, r * R * L, R, L, skip_g, r * R * L)
        _look_weight_back(r, bent, rows, h_g, taps, H, W, N, 2 * F, F, first_g, blas)
        _look_back(r, h_g, first, taps, H, W, N, 2 * F, F, bent_g, rows, blas)
        unbend(bent_g, place, x, row, R, F, x_g, row)
        for i in range(U(row), U(row + R * F)):
            x_g[i] += g[i]
    fold(first_sums, first_s)
    fold(second_sums, second_s)


@jit
def _flat(x):
    return x.reshape(x.size)


# --- elementwise ------------------------------------------------------------------------------------------------------


@jit
def _drop(x, x0, kept, kept_0, scale, n):
    """n numbers, in place: enlarged where they are kept, 0 elsewhere."""
    if len(kept) > 0:
        x0, kept_0 = U(x0), U(kept_0)
        for i in range(U(n)):
            x[x0 + i] = x[x0 + i] * scale if kept[kept_0 + i] else ZERO


@jit
def _gate(x, x0, ab, ab0, R, F, y):
    """y = x + a sigmoid(b), R rows of F numbers; y from the same place as x."""
    x0, ab0, F = U(x0), U(ab0), U(F)
    for r in range(U(R)):
        i, a = x0 + r * F, ab0 + (r + r) * F
        for k in range(F):
            y[i + k] = x[i + k] + ab[a + k] * sigmoid(ab[a + F + k])


@jit
def _gate_back(g, g0, ab, ab0, R, F, ab_g):
    """Back through a sigmoid(b), to the start of ab_g."""
    g0, ab0, F = U(g0), U(ab0), U(F)
    for r in range(U(R)):
        i, a, o = g0 + r * F, ab0 + (r + r) * F, (r + r) * F
        for k in range(F):
            s = sigmoid(ab[a + F + k])
            ab_g[o + k] = g[i + k] * s
            ab_g[o + F + k] = g[i + k] * ab[a + k] * s * (ONE - s)


# --- through taps that read the last few rows -------------------------------------------------------------------------


@jit
def _span(r, tap, rows, H, W, N):
    """Where a tap reads from row r: its first pixel there, among the rows kept, the first here, and how many."""
    q, (c, count) = r + tap[0], seen(W, tap[1])
    return ((q % rows) * W + c + tap[1]) * N, c * N, count * N if 0 <= q < H else 0


@jit
def _look(r, x, rows, weight, taps, H, W, N, K_in, K_out, y, y0, blas):
    """What all taps see from row r, through their weights, is added to y, from y0 on."""
    for t in range(len(taps)):
        there, here, count = _span(r, taps[t], rows, H, W, N)
        if count > 0:
            gemm(
                count,
                K_out,
                K_in,
                x,
                there * K_in,
                False,
                weight,
                t * K_in * K_out,
                False,
                y,
                y0 + here * K_out,
                True,
                blas,
            )


@jit
def _look_back(r, g, weight, taps, H, W, N, K_in, K_out, x_g, rows, blas):
    """The gradient of row r goes back through every tap, of `turned` weights, to what it saw, and is added there."""
    for t in range(len(taps)):
        there, here, count = _span(r, taps[t], rows, H, W, N)
        if count > 0:
            gemm(
                count,
                K_in,
                K_out,
                g,
                here * K_out,
                False,
                weight,
                t * K_in * K_out,
                False,
                x_g,
                there * K_in,
                True,
                blas,
            )


@jit
def _look_weight_back(r, x, rows, g, taps, H, W, N, K_in, K_out, weight_g, blas):
    """What each tap saw from row r times the row's gradient is added to the gradient of its weight."""
    for t in range(len(taps)):
        there, here, count = _span(r, taps[t], rows, H, W, N)
        if count > 0:
            gemm(
                K_in,
                K_out,
                count,
                x,
                there * K_in,
                True,
                g,
                here * K_out,
                False,
                weight_g,
                t * K_in * K_out,
                True,
                blas,
            )
