"""The recurrence over a map: an LSTM whose states depend on its own earlier states, row after row."""

import numpy as np

from minipixel.backend import array_module
from minipixel.ops.local import START, ZERO, Local, Look, Own, Whole
from minipixel.tensor import op


def lstm_cell(pre_activation, c):
    """One step: pre-activations [o, f, i, g] (..., 4K), cell states c (..., K) -> new h, new c, gates (..., 4K)."""
    xp = array_module(pre_activation)
    s, rest = _stretch(pre_activation)
    gates = s * xp.tanh(s * pre_activation) + rest
    o, f, i, g = xp.split(gates, 4, axis=-1)
    c = f * c + i * g
    return o * xp.tanh(c), c, gates


def _stretch(gates):
    """s and 1 - s, with which all four gates are s * tanh(s * x) + 1 - s, as sigmoid(x) = (1 + tanh(x / 2)) / 2."""
    xp = array_module(gates)
    s = xp.repeat(xp.asarray([0.5, 0.5, 0.5, 1.0], gates.real.dtype), gates.shape[-1] // 4)
    return s, 1 - s


@op(shapes="H W N 4K; T K 4K; K; K")
def lstm_scan(z, weight, h0, c0, *, taps, spans=None):
    """An LSTM down the rows of a map: (H, W, N, 4K), (T, K, 4K), (K,) or None, (K,) or None -> states h (H, W, N, K).

    Each row is a step of time. The pre-activations [o, f, i, g] of a cell are z, computed from the input, plus the
    states h of the T cells at column offsets `taps` in the row before, each times its own (K, 4K) of `weight`. Then,
    channel by channel,

        c[r] = sigmoid(f) c[r-1] + sigmoid(i) tanh(g),    h[r] = sigmoid(o) tanh(c[r]).

    Left and right of the map h is zero. Above the first row are the start states h0 and c0; None stands for zeros.
    `spans`, a pair (first, last) for each row, last excluded, says which of its cells are computed; the others have the
    start states. By default all cells are computed. Raises ValueError for another number of taps or spans.
    Source: van den Oord et al. 2016, arXiv:1601.06759, equation 3.
    """
    xp = array_module(z, weight)
    H, W, N, _ = z.shape
    if len(taps) != len(weight) or len(spans or [None] * H) != H:
        raise ValueError(
            f"lstm_scan: got {len(taps)} taps and {'no' if spans is None else len(spans)} spans, wanted one tap for "
            f"each of the {len(weight)} weights and one span for each of the {H} rows"
        )
    K = weight.shape[1]
    dtype = xp.result_type(z, weight)
    spans = [(0, W)] * H if spans is None else spans
    left, right = max(0, -min(taps)), max(0, *taps)
    inner = slice(left, left + W)

    # Row r + 1 holds what step r leaves behind, row 0 what it starts from. The margins of h stay zero: a tap is then
    # a plain slice, moved by its offset.
    h = xp.zeros((H + 1, left + W + right, N, K), dtype)
    c = xp.zeros((H + 1, W, N, K), dtype)
    if h0 is not None:
        h[:, inner] += h0
    if c0 is not None:
        c += c0
    gates = xp.zeros(z.shape, dtype)
    blocks = [(..., slice(k * K, (k + 1) * K)) for k in range(4)]

    for r, (first, last) in enumerate(spans):
        here, around = slice(first, last), [slice(left + first + tap, left + last + tap) for tap in taps]
        pre_activation = z[r, here].reshape(-1, 4 * K)
        for t, there in enumerate(around):
            pre_activation = pre_activation + h[r, there].reshape(-1, K) @ weight[t]
        own_h = h[r + 1, left + first : left + last]
        own_h[...], c[r + 1, here], gates[r, here] = lstm_cell(pre_activation.reshape(-1, N, 4 * K), c[r, here])

    def vjp(states_g):
        """Back through time. Row r + 1 of h_g and c_g collects the gradient of the states that step r returned."""
        z_g, weight_g, h_g, c_g = xp.zeros_like(gates), xp.zeros_like(weight), xp.zeros_like(h), xp.zeros_like(c)
        h_g[1:, inner] = states_g
        s, rest = _stretch(gates)
        square = s * s
        for r in reversed(range(H)):
            first, last = spans[r]
            here, around = slice(first, last), [slice(left + first + tap, left + last + tap) for tap in taps]
            o, f, i, g = (gates[r, here][block] for block in blocks)
            tanh_c = xp.tanh(c[r + 1, here])
            own_h = h_g[r + 1, left + first : left + last]
            own_c = c_g[r + 1, here] + own_h * o * (1 - tanh_c * tanh_c)
            gates_g = xp.concatenate([own_h * tanh_c, own_c * c[r, here], own_c * g, own_c * i], axis=-1)
            slope = square - (gates[r, here] - rest) ** 2  # of s * tanh(s * x) + 1 - s, told from its value
            z_g[r, here] = gates_g * slope
            flat_z_g = z_g[r, here].reshape(-1, 4 * K)
            c_g[r, here] += own_c * f
            for t, there in enumerate(around):
                weight_g[t] += h[r, there].reshape(-1, K).T @ flat_z_g
                h_g[r, there] += (flat_z_g @ weight[t].T).reshape(-1, N, K)
            own_h[...] = 0  # this cell has passed on what was asked of it; in the end the start state's share is left
            c_g[r + 1, here] = 0
        return z_g, weight_g, lambda: h_g[:, inner].sum(axis=(0, 1, 2)), lambda: c_g.sum(axis=(0, 1, 2))

    return h[1:, inner], vjp


def diagonal_spans(H, W):
    """The rows of a map (H, W) that have a pixel on each diagonal: the `spans` of a skewed map, H+W-1 pairs."""
    return [(max(0, d - W + 1), min(H, d + 1)) for d in range(H + W - 1)]


def _local(function, z, weight, h0, c0, *, taps, spans=None):
    """A cell reads z at its own pixel, and states in the row before, where the start state stands above the first."""
    (H, W), (T, K, _) = z.shape[:2], weight.shape
    spans = [(0, W)] * H if spans is None else spans
    inside = np.zeros((H, W), bool)
    for r, (first, last) in enumerate(spans):
        inside[r, first:last] = True
    numbers = np.where(inside, np.arange(H * W).reshape(H, W), START)
    before = np.concatenate([np.full((1, W), START), numbers[:-1]])
    left, right = max(0, -min(taps)), max(0, *taps)
    before = np.pad(before, [(0, 0), (left, right)], constant_values=ZERO)
    around = [before[:, left + tap : left + tap + W].ravel() for tap in taps]
    above = before[:, left : left + W].ravel()
    own = Own(np.stack(around, axis=-1), above, np.repeat(np.arange(H), W), inside.ravel())

    def compute(z, weight, h0, c0, own_h, own_c):
        return lstm_cell(z + own_h @ weight, own_c)[:2]

    of_unit = np.tile(np.eye(K, dtype=bool), (4, 1))
    start = [Whole(() if state is None else ("out",)) for state in (h0, c0)]
    inputs = (
        Look(np.arange(H * W)[:, None], of_unit),
        Whole(("", "in"), lambda weight: weight.reshape(T * K, 4 * K)),
        *start,
    )
    return Local("lstm_scan", (H, W), inputs, compute, own)


lstm_scan.local = _local
