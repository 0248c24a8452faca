"""Scans of an LSTM, forward and backward in one call each, whatever their route through the map.

A step at a time: what its cells see and read goes straight into the pre-activations of their gates, which become gates
where they stand, and on the way back the gradients of a step's pre-activations are at hand, in the cache, for all that
is asked of them. No map of pre-activations is made, nor a skewed one. Kept for the way back are gates, c and h; tanh(c)
is computed again.
"""

import functools

import numpy as np

from minipixel.arena import empty, zeros
from minipixel.kernels.blas import add_weight_gradient, constants, gemm
from minipixel.kernels.cells import LANES, cells, cells_back
from minipixel.kernels.convolution import turned
from minipixel.kernels.jit import jit
from minipixel.kernels.routes import row_route
from minipixel.kernels.rows import add_to, add_to_sums, copy, fill, flat, fold, wide_zeros, widened


def lstm_scan(z, weight, h0, c0, *, taps, spans=None):
    """The override of `ops.lstm_scan`: 3.0 times faster (benchmarks/compiled.py)."""
    (H, W, N), K = z.shape[:3], weight.shape[1]
    if len(taps) != len(weight) or len(spans or [None] * H) != H:
        return None  # the definition says what is wrong
    z = _stored(z, K)
    route = row_route(H, W, tuple(taps), h0 is not None, None if spans is None else tuple(map(tuple, spans)))
    everywhere = len(route.pixels) == H * W
    scan = Scan(route, N, np.empty((0, 0, 4 * K), z.dtype), weight, h0, c0)
    if everywhere:
        y = scan.forward(z, z).reshape(H, W, N, K)
    else:
        y = empty((H, W, N, K), z.dtype)
        y[...] = 0 if h0 is None else h0
        scan.forward(z, z, y)

    def vjp(g):
        z_g = (empty if everywhere else zeros)(z.shape, z.dtype)
        _, _, weight_g, h0_g, c0_g = scan.backward(g, z, z_g, True)
        if not everywhere:
            outside = np.ones(H * W, bool)
            outside[route.pixels] = False
            h0_g = h0_g + g.reshape(H * W, N, K)[outside].sum(axis=(0, 1))
        return _as_they_were(z_g, K), weight_g, h0_g, c0_g

    return y, vjp


class Scan:
    """One scan, and what it keeps: weights of pixels (S, D, 4K) and of states (T, K, 4K), gates, c and h of all cells.

    After the P cells of c and h comes the start state, again and again.
    """

    def __init__(self, route, N, see, weight, h0, c0):
        P, K = len(route.pixels), weight.shape[1]
        self.route, self.see, self.weight = route, _stored(see, K), _stored(weight, K)
        c, h = (empty((P + route.width, N, K), weight.dtype) for _ in range(2))
        c[P:] = 0 if c0 is None else c0
        h[P:] = 0 if h0 is None else h0
        self.kept = empty((P, N, 4 * K), weight.dtype), c, h

    def forward(self, x, given, y=None, add=False):
        """The states, cell by cell (P, N, K); if there is a map y (H, W, N, K), they are set in it or added to it.

        `given` is what pre-activations start from: a bias (4K,), or a map of them (H, W, N, 4K), as it is stored here.
        """
        gates, _, h = self.kept
        h = h[: len(gates)]
        given = _stored(given, h.shape[-1]) if given.ndim == 1 else given
        into = h if y is None else y
        _forward(x, given, (self.see, self.weight), self.route, self.kept, into, y is not None, add)
        return h

    def backward(self, g, x, x_g, mapped=False):
        """From the gradient of all states (H, W, N, K) those of pixel weights, bias, state weights, h0 and c0.

        That of x is added to x_g; where pre-activations were given, `mapped`, theirs is written there instead.
        """
        K, found = g.shape[-1], [np.zeros_like(self.see), np.zeros(self.see.shape[-1], g.dtype)]
        found += [np.zeros_like(self.weight), np.zeros(K, g.dtype), np.zeros(K, g.dtype)]
        weights = turned(self.see), turned(self.weight)
        _backward(g, x, weights, self.route, self.kept, x_g, tuple(found), mapped)
        return [*[_as_they_were(gates_g, K) for gates_g in found[:3]], *found[3:]]


@functools.cache
def gate_order(K):
    """Where in [o, f, i, g] (4K,) the pre-activations stand as they are stored here: LANES of each, then the next."""
    lanes = int(LANES)
    return np.concatenate([np.arange(4 * K).reshape(4, K)[:, k : k + lanes].ravel() for k in range(0, K, lanes)])


def _stored(gates, K):
    """Numbers (..., 4K) of the four gates in that order."""
    return np.ascontiguousarray(gates if K <= LANES else gates[..., gate_order(K)])


def _as_they_were(stored, K):
    """The way back from `_stored`."""
    if K <= LANES:
        return stored
    gates = empty(stored.shape, stored.dtype)
    gates[..., gate_order(K)] = stored
    return gates


@jit
def _forward(x, given, weights, route, kept, y, place, add):
    (P, N, G), (S, D, _), K = kept[0].shape, weights[0].shape, weights[1].shape[1]
    blas, bias, mapped = constants(x), widened(flat(given)[:G]), given.ndim > 1
    x, given, y = flat(x), flat(given), flat(y)
    see, weight = weights[0].reshape(S * D * G), weights[1].reshape(weights[1].size)
    gates, c, h = kept[0].reshape(P * N * G), kept[1].reshape(kept[1].size), kept[2].reshape(kept[2].size)
    seen = np.empty(route.width * N * D, x.dtype)
    for step in range(len(route.starts) - 1):
        p, count = route.starts[step], route.starts[step + 1] - route.starts[step]
        if mapped:
            _gather(given, route.pixels, p, count, N * G, gates, p * N * G)
        else:
            fill(gates, p * N * G, bias, count * N * G)
        if route.jumps:
            _gather(x, route.pixels, p, count, N * D, seen, 0)
            gemm(count * N, G, D, seen, 0, False, see, 0, False, gates, p * N * G, True, blas)
        for i in range(route.sees_at[step], route.sees_at[step + 1]):
            tap, a, n, q = route.sees[i]
            gemm(n * N, G, D, x, q * N * D, False, see, tap * D * G, False, gates, a * N * G, True, blas)
        for i in range(route.reads_at[step], route.reads_at[step + 1]):
            tap, a, n, q = route.reads[i]
            gemm(n * N, G, K, h, q * N * K, False, weight, tap * K * G, False, gates, a * N * G, True, blas)
        for i in range(route.follows_at[step], route.follows_at[step + 1]):
            _, a, n, q = route.follows[i]
            cells(gates, a * N * G, c, q * N * K, h, a * N * K, n * N, K)
        if place:
            for j in range(p, p + count):
                pixel = route.pixels[j] + route.below
                if add:
                    add_to(h, j * N * K, y, pixel * N * K, N * K)
                else:
                    copy(h, j * N * K, y, pixel * N * K, N * K)


@jit
def _backward(g, x, weights, route, kept, x_g, found, mapped):
    """From the last step to the first. The weights are `turned`.

    Gradients of h are at hand for the cells of this step and of the one before, and, last, for the start state; those
    of c for each column of the scan, where each cell follows the one before it.
    """
    (P, N, G), (S, _, D), K = kept[0].shape, weights[0].shape, weights[1].shape[2]
    blas, row = constants(x), route.width * N * K
    g, x, x_g = flat(g), flat(x), flat(x_g)
    see, weight = weights[0].reshape(S * D * G), weights[1].reshape(weights[1].size)
    gates, c, h = kept[0].reshape(P * N * G), kept[1].reshape(kept[1].size), kept[2].reshape(kept[2].size)
    see_g, weight_g, bias_sums = found[0].reshape(S * D * G), found[2].reshape(weight.size), wide_zeros(found[1])
    h_g, c_g, h0_sums, c0_sums = (
        np.zeros(3 * row, x.dtype),
        np.zeros(row, x.dtype),
        wide_zeros(found[3]),
        wide_zeros(found[4]),
    )
    z_g, seen = np.empty(route.width * N * G, x.dtype), np.empty(route.width * N * D, x.dtype)
    for step in range(len(route.starts) - 2, -1, -1):
        p, count, here, before = (
            route.starts[step],
            route.starts[step + 1] - route.starts[step],
            step % 2 * row,
            (step + 1) % 2 * row,
        )
        h_g[before : before + row] = 0
        for j in range(count):
            add_to(g, (route.pixels[p + j] + route.below) * N * K, h_g, here + j * N * K, N * K)
        for i in range(route.follows_at[step], route.follows_at[step + 1]):
            _, a, n, q = route.follows[i]
            asked, column = here + (a - p) * N * K, (route.columns[step] + a - p) * N * K
            cells_back(
                gates, a * N * G, c, q * N * K, a * N * K, h_g, asked, c_g, column, z_g, (a - p) * N * G, n * N, K
            )
            if q >= P:
                add_to_sums(c_g, column, c0_sums, n * N * K)
                c_g[column : column + n * N * K] = 0
        add_to_sums(z_g, 0, bias_sums, count * N * G)
        for i in range(route.reads_at[step], route.reads_at[step + 1]):
            tap, a, n, q = route.reads[i]
            z, w, there = (
                (a - p) * N * G,
                tap * K * G,
                2 * row if q >= P else before + (q - route.starts[step - 1]) * N * K,
            )
            add_weight_gradient(n * N, K, G, h, q * N * K, z_g, z, weight_g, w, blas)
            gemm(n * N, K, G, z_g, z, False, weight, w, False, h_g, there, True, blas)
        for i in range(route.sees_at[step], route.sees_at[step + 1]):
            tap, a, n, q = route.sees[i]
            z, w, there = (a - p) * N * G, tap * D * G, q * N * D
            add_weight_gradient(n * N, D, G, x, there, z_g, z, see_g, w, blas)
            gemm(n * N, D, G, z_g, z, False, see, w, False, x_g, there, True, blas)
        if route.jumps:
            _gather(x, route.pixels, p, count, N * D, seen, 0)
            add_weight_gradient(count * N, D, G, seen, 0, z_g, 0, see_g, 0, blas)
            gemm(count * N, D, G, z_g, 0, False, see, 0, False, seen, 0, False, blas)
            for j in range(count):
                add_to(seen, j * N * D, x_g, route.pixels[p + j] * N * D, N * D)
        if mapped:
            for j in range(count):
                copy(z_g, j * N * G, x_g, route.pixels[p + j] * N * G, N * G)
    add_to_sums(h_g, 2 * row, h0_sums, row)
    fold(bias_sums, found[1])
    fold(h0_sums, found[3])
    fold(c0_sums, found[4])


@jit
def _gather(source, pixels, p, count, n, target, here):
    """The pixels at `count` cells from p on, n numbers each, one after another."""
    for j in range(count):
        copy(source, pixels[p + j] * n, target, here + j * n, n)
