"""Scans of an LSTM, forward and backward in one call each, whatever their route through the map.

All that the cells of a step read, pixels and states, is laid side by side in a scratch buffer that stays in the cache:
one product with the weights of both gives the pre-activations of all gates, and on the way back two products give all
gradients. No map of pre-activations is made, nor a skewed one. Kept for the way back are gates, c and h; tanh(c) is
computed again.
"""

import functools

import numpy as np

from minipixel.arena import empty, zeros
from minipixel.kernels.blas import constants, gemm
from minipixel.kernels.convolution import turned
from minipixel.kernels.functions import ONE, sigmoid, tanh
from minipixel.kernels.jit import inline, jit
from minipixel.kernels.routes import NOTHING, START, row_route
from minipixel.kernels.rows import U, add_to_sums, fill, fold, wide_zeros, widened

LANES = U(16)
"""Loops over channels go by so many at a time: a number that the compiler knows makes vectors of short loops."""

BLOCK = 500_000
"""How many multiply-adds to do at once, so that what belongs to them stays in the innermost caches."""


def lstm_scan(z, weight, h0, c0, *, taps, spans=None):
    """The override of `ops.lstm_scan`."""
    H, W, N, K = *z.shape[:3], weight.shape[1]
    z = np.ascontiguousarray(z)
    route = row_route(H, W, tuple(taps), None if spans is None else tuple(map(tuple, spans)))
    states = Scan(route, N, weight.reshape(-1, 4 * K), h0, c0)
    if len(route.place) == H * W:
        y = states.forward(z, z).reshape(H, W, N, K)
    else:
        y = empty((H, W, N, K), z.dtype)
        y[...] = 0 if h0 is None else h0
        states.forward(z, z, y)

    def vjp(g):
        g = np.ascontiguousarray(g)
        z_g = (empty if len(route.place) == H * W else zeros)(z.shape, z.dtype)
        weight_g, _, h0_g, c0_g = states.backward(g, z, z_g, False)
        if len(route.place) < H * W:
            outside = np.ones(H * W, bool)
            outside[route.place] = False
            h0_g = h0_g + g.reshape(H * W, N, K)[outside].sum(axis=(0, 1))
        return _as_they_were(z_g, K), weight_g.reshape(weight.shape), h0_g, c0_g

    return y, vjp


@functools.cache
def gate_order(K):
    """Where in [o, f, i, g] (4K,) the pre-activations stand as they are stored here: 16 of each gate, then the next 16.

    So each cell's four lie a fixed number of places apart: without that, no compiler would make vectors of the cells.
    """
    lanes = int(LANES)
    return np.concatenate([np.arange(4 * K).reshape(4, K)[:, k : k + lanes].ravel() for k in range(0, K, lanes)])


def _stored(gates, K):
    """Numbers (..., 4K) of the four gates as they are stored here."""
    return np.ascontiguousarray(gates if K <= LANES else gates[..., gate_order(K)])


def _as_they_were(stored, K):
    """The way back from `_stored`."""
    if K <= LANES:
        return stored
    gates = empty(stored.shape, stored.dtype)
    gates[..., gate_order(K)] = stored
    return gates


class Scan:
    """One scan: what is kept between forward and backward. `weight` (S*K_in + T*K, 4K): of pixels, then of states."""

    def __init__(self, route, N, weight, h0, c0):
        P, K = len(route.place), weight.shape[1] // 4
        self.route, self.weight = route, _stored(weight, K)
        self.gates = empty((P, N, 4 * K), weight.dtype)
        self.h, self.c = (empty((P + 2, N, K), weight.dtype) for _ in range(2))
        for states, start in ((self.h, h0), (self.c, c0)):
            states[NOTHING] = 0
            states[START] = 0 if start is None else start

    def forward(self, x, given, y=None, add=False):
        """The states, cell by cell (P, N, K); set at their places in y (H, W, N, K), or added there.

        `given` is what the pre-activations start from: a bias (4K,), or a map (H, W, N, 4K); then x is not looked at.
        """
        h, given = self.h[:-2], _stored(given, self.h.shape[-1])
        _forward(x, given, self.weight, *self.route, self.gates, self.c, self.h, h if y is None else y, y is not None, add)
        return h

    def backward(self, g, x, x_g, by_taps=True):
        """From the gradient of y (H, W, N, K) those of weight, bias, h0 and c0; that of x is added to x_g.

        Without `by_taps` x_g is the gradient of the map of pre-activations, and set.
        """
        h_g, c_g = zeros(self.h.shape, g.dtype), zeros(self.c.shape, g.dtype)
        weight_g, bias_g = np.zeros_like(self.weight), np.zeros(self.weight.shape[1], g.dtype)
        _backward(
            g, x, turned(self.weight), *self.route, self.gates, self.c, self.h, x_g, h_g, c_g, weight_g, bias_g, by_taps
        )
        weight_g, bias_g = (_as_they_were(found, g.shape[-1]) for found in (weight_g, bias_g))
        return weight_g, bias_g, h_g[START].sum(axis=0), c_g[START].sum(axis=0)


@jit
def _forward(x, given, weight, starts, sees, reads, follows, place, gates, c, h, y, place_it, add):
    P, N, G = gates.shape
    (L, _), K, S, T = weight.shape, G // 4, sees.shape[1], reads.shape[1]
    K_in, block, blas = (L - T * K) // max(1, S), _block(L, G, N), constants(weight)
    bias = widened(given.reshape(given.size)[:G])
    x, given, weight, gates = x.reshape(x.size), given.reshape(given.size), weight.reshape(L * G), gates.reshape(P * N * G)
    cells, c, h, y = P + 2, c.reshape(c.size), h.reshape(h.size), y.reshape(y.size)
    columns = np.empty(min(block, P) * N * L, x.dtype)
    for step in range(len(starts) - 1):
        count = starts[step + 1] - starts[step]
        parts = -(-count // block)
        for part in range(parts):
            p = starts[step] + part * count // parts
            B = starts[step] + (part + 1) * count // parts - p
            for s in range(S):
                _lay(x, K_in, sees, s, p, B, N, columns, s * K_in, L, 0)
            for t in range(T):
                _lay(h, K, reads, t, p, B, N, columns, S * K_in + t * K, L, cells)
            if given.size == G:
                fill(gates, p * N * G, bias, B * N * G)
            else:
                for j in range(B):
                    _copy(given, place[p + j] * N * G, gates, (p + j) * N * G, N * G)
            gemm(B * N, G, L, columns, 0, False, weight, 0, False, gates, p * N * G, True, blas)
            for j in range(B):
                q = follows[p + j]
                _cells(gates, (p + j) * N * G, c, (q if q >= 0 else cells + q) * N * K, h, (p + j) * N * K, N, K)
            if place_it:
                for j in range(B):
                    if add:
                        _add(h, (p + j) * N * K, y, place[p + j] * N * K, N * K)
                    else:
                        _copy(h, (p + j) * N * K, y, place[p + j] * N * K, N * K)


@jit
def _backward(
    g, x, weight, starts, sees, reads, follows, place, gates, c, h, x_g, h_g, c_g, weight_g, bias_g, by_taps
):
    """From the last step to the first. The weight is `turned`: (4K, S*K_in + T*K)."""
    P, N, G = gates.shape
    L, K, S, T = weight.shape[1], G // 4, sees.shape[1], reads.shape[1]
    K_in, block, blas, sums = (L - T * K) // max(1, S), _block(L, G, N), constants(weight), wide_zeros(bias_g)
    g, x, weight, gates = g.reshape(g.size), x.reshape(x.size), weight.reshape(L * G), gates.reshape(P * N * G)
    cells, c, h, x_g = P + 2, c.reshape(c.size), h.reshape(h.size), x_g.reshape(x_g.size)
    h_g, c_g, weight_g = h_g.reshape(h_g.size), c_g.reshape(c_g.size), weight_g.reshape(L * G)
    columns, z_g = np.empty(min(block, P) * N * L, x.dtype), np.empty(min(block, P) * N * G, x.dtype)
    for step in range(len(starts) - 2, -1, -1):
        count = starts[step + 1] - starts[step]
        parts = -(-count // block)
        for part in range(parts):
            p = starts[step] + part * count // parts
            B = starts[step] + (part + 1) * count // parts - p
            for j in range(B):
                q, o = follows[p + j], (p + j) * N * K
                _add(g, place[p + j] * N * K, h_g, o, N * K)
                before = (q if q >= 0 else cells + q) * N * K
                _cells_back(gates, (p + j) * N * G, c, o, before, h_g, c_g, z_g, j * N * G, N, K)
            add_to_sums(z_g, 0, sums, B * N * G)
            for s in range(S):
                _lay(x, K_in, sees, s, p, B, N, columns, s * K_in, L, 0)
            for t in range(T):
                _lay(h, K, reads, t, p, B, N, columns, S * K_in + t * K, L, cells)
            gemm(L, G, B * N, columns, 0, True, z_g, 0, False, weight_g, 0, True, blas)
            gemm(B * N, L, G, z_g, 0, False, weight, 0, False, columns, 0, False, blas)
            for t in range(T):
                _give_back(columns, S * K_in + t * K, L, reads, t, p, B, N, h_g, K, cells)
            if by_taps:
                for s in range(S):
                    _give_back(columns, s * K_in, L, sees, s, p, B, N, x_g, K_in, 0)
            else:
                for j in range(B):
                    _copy(z_g, j * N * G, x_g, place[p + j] * N * G, N * G)
    fold(sums, bias_g)


@jit
def _block(L, G, N):
    """How many cells to compute at once."""
    return max(1, BLOCK // max(1, L * G * N))


# The two loops over cells stand in their functions twice, for 16 channels and for fewer. To write the body once, as a
# function of arrays, makes them 6 times slower: their references are then counted cell by cell.
@jit
def _cells(gates, gates0, c, before, h, here, N, K):
    """N cells: pre-activations become gates, from these and the c before comes the c here, and h."""
    for n in range(U(N)):
        for k in range(U(0), U(K) - U(K) % LANES, LANES):
            o, b, a = U(gates0) + U(4) * (n * U(K) + k), U(before) + n * U(K) + k, U(here) + n * U(K) + k
            for i in range(LANES):
                f, j, g = o + LANES + i, o + LANES + LANES + i, o + LANES + LANES + LANES + i
                gates[o + i], gates[f], gates[j], gates[g], c[a + i], h[a + i] = _cell(
                    gates[o + i], gates[f], gates[j], gates[g], c[b + i]
                )
        k, L = U(K) - U(K) % LANES, U(K) % LANES
        o, b, a = U(gates0) + U(4) * (n * U(K) + k), U(before) + n * U(K) + k, U(here) + n * U(K) + k
        for i in range(L):
            f, j, g = o + L + i, o + L + L + i, o + L + L + L + i
            gates[o + i], gates[f], gates[j], gates[g], c[a + i], h[a + i] = _cell(
                gates[o + i], gates[f], gates[j], gates[g], c[b + i]
            )


@inline
def _cell(o, f, i, g, c):
    o, f, i, g = sigmoid(o), sigmoid(f), sigmoid(i), tanh(g)
    c = f * c + i * g
    return o, f, i, g, c, o * tanh(c)


@jit
def _cells_back(gates, gates0, c, here, before, h_g, c_g, z_g, z0, N, K):
    """The gradients of N cells: those of h and c here become those of the pre-activations and of the c before."""
    for n in range(U(N)):
        for k in range(U(0), U(K) - U(K) % LANES, LANES):
            o, b, a = U(gates0) + U(4) * (n * U(K) + k), U(before) + n * U(K) + k, U(here) + n * U(K) + k
            z = U(z0) + U(4) * (n * U(K) + k)
            for i in range(LANES):
                f, j, g = LANES + i, LANES + LANES + i, LANES + LANES + LANES + i
                z_g[z + i], z_g[z + f], z_g[z + j], z_g[z + g], asked = _cell_back(
                    gates[o + i], gates[o + f], gates[o + j], gates[o + g], c[a + i], c[b + i], h_g[a + i], c_g[a + i]
                )
                c_g[b + i] += asked
        k, L = U(K) - U(K) % LANES, U(K) % LANES
        o, b, a = U(gates0) + U(4) * (n * U(K) + k), U(before) + n * U(K) + k, U(here) + n * U(K) + k
        z = U(z0) + U(4) * (n * U(K) + k)
        for i in range(L):
            f, j, g = L + i, L + L + i, L + L + L + i
            z_g[z + i], z_g[z + f], z_g[z + j], z_g[z + g], asked = _cell_back(
                gates[o + i], gates[o + f], gates[o + j], gates[o + g], c[a + i], c[b + i], h_g[a + i], c_g[a + i]
            )
            c_g[b + i] += asked


@inline
def _cell_back(o, f, i, g, c, c_before, h_g, c_g):
    t = tanh(c)
    c_g = c_g + h_g * o * (ONE - t * t)
    pre = h_g * t * o * (ONE - o), c_g * c_before * f * (ONE - f), c_g * g * i * (ONE - i), c_g * i * (ONE - g * g)
    return pre[0], pre[1], pre[2], pre[3], c_g * f


@jit
def _lay(source, K, table, t, p, B, N, columns, place, L, cells):
    """What B cells from p on read, by column t of a table, goes into rows of length L from a place in the row on.

    NOTHING reads as zeros; of a map of `cells`, it and START are its last two.
    """
    K, rest = U(K), U(K) % LANES
    for j in range(B):
        q = table[p + j, t]
        if q < 0:
            q += cells
        for n in range(U(N)):
            a = U(j * N * L + place) + n * U(L)
            if q < 0:
                for k in range(K):
                    columns[a + k] = 0
                continue
            b = U(q * N) * K + n * K
            for k in range(U(0), K - rest, LANES):
                for lane in range(LANES):
                    columns[a + k + lane] = source[b + k + lane]
            for k in range(K - rest, K):
                columns[a + k] = source[b + k]


@jit
def _give_back(columns, place, L, table, t, p, B, N, target, K, cells):
    """The way back from `_lay`: what stands there is added to what was read."""
    K, rest = U(K), U(K) % LANES
    for j in range(B):
        q = table[p + j, t]
        if q < 0:
            q += cells
        if q < 0:
            continue
        for n in range(U(N)):
            a, b = U(j * N * L + place) + n * U(L), U(q * N) * K + n * K
            for k in range(U(0), K - rest, LANES):
                for lane in range(LANES):
                    target[b + k + lane] += columns[a + k + lane]
            for k in range(K - rest, K):
                target[b + k] += columns[a + k]


@jit
def _copy(source, there, target, here, n):
    a, b = U(there), U(here)
    for i in range(U(n)):
        target[b + i] = source[a + i]


@jit
def _add(source, there, target, here, n):
    a, b = U(there), U(here)
    for i in range(U(n)):
        target[b + i] += source[a + i]
