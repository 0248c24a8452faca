"""The meaning of a table's instructions in plain NumPy: the short and slow definition of the compiled walker.

It runs the same table over the same memory. `work` holds all maps as (slots, N, K), `weights` all weights in their
places, `grads` their gradients. A row of pixels of an operand is a view (pixels, N, K) of `work`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.draws import sixteen_bits
from minipixel.kernels import opcodes as op
from minipixel.ops import channels, pointwise
from minipixel.ops.scan import lstm_cell
from minipixel.plan.value import gate_order

NAMES = {number: name for name, number in op.OPCODES.items()}


def walk(
    table: np.ndarray,
    groups: np.ndarray,
    starts: np.ndarray,
    runs: np.ndarray,
    at: np.ndarray,
    rooms: np.ndarray,
    work: np.ndarray,
    weights: np.ndarray,
    grads: np.ndarray,
    N: int,
    draw: tuple[Any, int],
) -> None:
    """All groups, one after another: each goes through its rows, down or, on the way back, up."""
    with np.errstate(all="ignore"):
        for first, last, steps, lead, back in groups:
            for k in range(steps + lead):
                r = steps - 1 + lead - k if back else k
                for line in table[first:last]:
                    row = r - line[op.LEAD]
                    if 0 <= row < steps:
                        bounds = starts[line[op.STARTS] + row : line[op.STARTS] + row + 2]
                        _Row(line, row, bounds, (runs, at), work, weights, grads, N, draw).run()


class _Row:
    """One instruction at one row: slots from `start` to `stop`, and the runs of pixels that its taps read."""

    def __init__(self, line, row, bounds, runs, work, weights, grads, N, draw):
        self.line, self.row, self.all_runs, self.N, self.draw = line, row, runs, N, draw
        self.start, self.stop = map(int, bounds)
        self.work, self.weights, self.grads = work, weights, grads
        self.flag, self.name = bool(line[op.FLAG]), NAMES[line[op.OP]]
        self.K = {letter: int(line[getattr(op, letter) + 3]) for letter in "ABCD"}

    @property
    def runs(self) -> np.ndarray:
        """The runs of pixels that its taps read in this row."""
        runs, at = self.all_runs
        first = self.line[op.RUNS] + self.row
        return runs[at[first] : at[first + 1]]

    def run(self) -> None:
        """Compute it."""
        if self.name in READS:
            self.here("B")[...] = READS[self.name](self)
        else:
            DOES[self.name](self)

    # --- operands -----------------------------------------------------------------------------------------------------

    def here(self, letter: str) -> np.ndarray:
        """The row of an operand: a view (pixels, N, K)."""
        _, ring, width, _ = self.line[getattr(op, letter) :][:4]
        first = (self.row % ring) * width if ring else self.start
        return self.map(letter)[first : first + self.stop - self.start]

    def map(self, letter: str) -> np.ndarray:
        """All that stands from an operand's place on, as its pixels: (slots, N, K)."""
        base, _, _, K = self.line[getattr(op, letter) :][:4]
        return _pixels(self.work, base, self.N, K)

    def seen(self, letter: str, run: np.ndarray) -> np.ndarray:
        """The places in `map` of the pixels that a run reads."""
        _, ring, width, _ = self.line[getattr(op, letter) :][:4]
        first = (run[op.IN_ROW] % ring) * width + run[op.IN] if ring else run[op.IN_SLOT]
        return first + np.arange(run[op.COUNT]) * run[op.IN_STEP]

    @staticmethod
    def readers(run: np.ndarray) -> np.ndarray:
        """The places in its row of the pixels that a run is read by."""
        return run[op.OUT] + np.arange(run[op.COUNT]) * run[op.OUT_STEP]

    def weight(self, shape: tuple[int, ...], of: np.ndarray | None = None) -> np.ndarray:
        """The instruction's weight, or its gradient."""
        at, n = self.line[op.W], int(np.prod(shape))
        return (self.weights if of is None else of)[at : at + n].reshape(shape)

    def channels(self, K: int, of: np.ndarray | None = None) -> np.ndarray:
        """A bias, a slope or a factor, which stands there over and over again: (K,)."""
        return self.weight((K,), of)

    def taps(self, letters: str = "AB") -> tuple[np.ndarray, np.ndarray | None]:
        """The weight of all taps (T, K_in, K_out), and its gradient."""
        shape = (int(self.line[op.T]) or 1, self.K["A"], self.K["B"])
        return self.weight(shape), self.weight(shape, self.grads) if self.name.endswith("_W") else None

    def cell(self, gates: np.ndarray) -> np.ndarray:
        """Gates in the order of the definition: [o, f, i, g]."""
        return gates[..., np.argsort(gate_order(gates.shape[-1] // 4))]


def _pixels(work: np.ndarray, base: int, N: int, K: int) -> np.ndarray:
    flat = work[base * N :]
    return flat[: len(flat) // (N * K) * (N * K)].reshape(-1, N, K)


# --- what an instruction writes to its row of B -----------------------------------------------------------------------


def _function(name: str) -> Callable[[_Row], Any]:
    """A pointwise op of one map: its own definition."""
    return lambda row: getattr(pointwise, name).arrays(row.here("A"))[0]


def _part(row: _Row) -> np.ndarray:
    y, x = row.here("B").copy(), row.here("A")
    y[..., row.line[op.X] : row.line[op.X] + row.K["A"]] = x
    return y


def _dropout(row: _Row) -> np.ndarray:
    (key, first), K = row.draw, row.K["A"]
    bits = sixteen_bits(row.stop, row.N, K, first=first, layer=int(row.line[op.X]), key=key)[row.start :]
    return np.where(bits >= row.line[op.T], row.here("A") * row.weight((1,)), 0)


def _normalised(row: _Row, x: np.ndarray) -> Any:
    """layer_norm without gain and bias: its value, its vjp."""
    return channels.layer_norm.arrays(x, None, None, colours=row.line[op.L], epsilon=row.weight((1,)))


READS: dict[str, Callable[[_Row], Any]] = {
    "ZERO": lambda row: 0,
    "FILL": lambda row: row.channels(row.K["B"]),
    "ADDBIAS": lambda row: row.here("A") + row.channels(row.K["B"]),
    "BIASRELU": lambda row: np.maximum(row.here("B") + row.channels(row.K["B"]), 0),
    "ADDROW": lambda row: row.here("B") + row.here("A"),
    "MATMUL": lambda row: (row.here("B") if row.flag else 0) + row.here("A") @ row.weight((row.K["A"], row.K["B"])),
    **{name.upper(): _function(name) for name in ("relu", "elu", "concat_elu", "linear_gate", "tanh", "sigmoid")},
    **{name.upper(): _function(name) for name in ("exp", "log", "gelu")},
    "SOFTMAX": lambda row: channels.softmax.arrays(row.here("A"), colours=row.line[op.L])[0],
    "LAYER_NORM": lambda row: _normalised(row, row.here("A"))[0],
    "PRELU": lambda row: pointwise.prelu.arrays(row.here("A"), row.channels(row.K["A"]))[0],
    "SCALE": lambda row: row.here("A") * row.channels(row.K["A"]),
    "POWER": lambda row: row.here("A") ** row.weight((1,)),
    "MULTIPLY": lambda row: row.here("A") * row.here("C"),
    "FACTORS": lambda row: np.multiply(*np.split(row.here("A"), 2, axis=-1)),
    "PART": _part,
    "DROPOUT": _dropout,
}


# --- what else instructions do ----------------------------------------------------------------------------------------


def _gate(row: _Row) -> None:
    x, K = row.here("A"), row.K["B"]
    x[..., :K], x[..., K:] = np.tanh(x[..., :K]), pointwise.sigmoid.arrays(x[..., K:])[0]
    row.here("B")[...] = x[..., :K] * x[..., K:]


def _gate_x(row: _Row) -> None:
    g, (t, s) = row.here("A"), np.split(row.here("B"), 2, axis=-1)
    row.here("C")[...] = np.concatenate([g * s * (1 - t * t), g * t * s * (1 - s)], axis=-1)


def _back_through(name: str) -> Callable[[_Row], None]:
    """The vjp of an op of one map: A the gradient, B what it read, C where it goes, or A where that has one width."""

    def run(row: _Row) -> None:
        target = row.here("C") if row.K["C"] else row.here("A")
        target[...] = getattr(pointwise, name).arrays(row.here("B"))[1](row.here("A").copy())[0]

    return run


def _times(slope: Callable[[_Row, np.ndarray], Any]) -> Callable[[_Row], None]:
    """The gradient in A times a slope, which is told from B."""

    def run(row: _Row) -> None:
        row.here("A")[...] *= slope(row, row.here("B"))

    return run


def _softmax_x(row: _Row) -> None:
    g, y = (row.here(letter).reshape(row.stop - row.start, row.N, -1, row.line[op.L]) for letter in "AB")
    g[...] = y * (g - (g * y).sum(axis=-2, keepdims=True))


def _layer_norm_x(row: _Row) -> None:
    row.here("A")[...] = _normalised(row, row.here("B"))[1](row.here("A").copy())[0]()


def _relu_x(row: _Row) -> None:
    row.here("A")[...] *= row.here("B") > 0
    if row.line[op.L]:
        row.channels(row.K["A"], row.grads)[...] += row.here("A").sum(axis=(0, 1))


def _of_weight(name: str) -> Callable[[_Row], None]:
    """The way back through a slope or a factor, to map and weight."""

    def run(row: _Row) -> None:
        function = {"prelu": pointwise.prelu, "scale": pointwise.multiply}[name].arrays
        _, vjp = function(row.here("B"), row.channels(row.K["A"]))
        g, weight_g = (part() if callable(part) else part for part in vjp(row.here("A").copy()))
        row.here("A")[...] = g
        row.channels(row.K["A"], row.grads)[...] += weight_g

    return run


def _sums(row: _Row) -> None:
    row.channels(row.K["B"], row.grads)[...] += row.here("B").sum(axis=(0, 1))


def _part_x(row: _Row) -> None:
    x = int(row.line[op.X])
    part = row.here("A")[..., x : x + row.K["B"]]
    row.here("B")[...] = part + (row.here("B") if row.flag else 0)


def _move(row: _Row) -> None:
    for run in row.runs:
        there, here = row.map("A")[row.seen("A", run)], row.readers(run)
        row.here("B")[here] = there + (row.here("B")[here] if row.flag else 0)


def _move_x(row: _Row) -> None:
    for run in row.runs:
        np.add.at(row.map("A"), row.seen("A", run), row.here("B")[row.readers(run)])


def _taps(row: _Row) -> None:
    weight, _ = row.taps()
    for run in row.runs:
        row.here("B")[row.readers(run)] += row.map("A")[row.seen("A", run)] @ weight[run[op.TAP]]


def _taps_w(row: _Row) -> None:
    _, weight_g = row.taps()
    assert weight_g is not None
    for run in row.runs:
        x, g = row.map("A")[row.seen("A", run)], row.here("B")[row.readers(run)]
        weight_g[run[op.TAP]] += np.einsum("pnk,pnl->kl", x, g)


def _taps_x(row: _Row) -> None:
    for run in row.runs:  # the weight stands there turned: (T, K_out, K_in)
        size = row.K["A"] * row.K["B"]
        at = int(row.line[op.W] + run[op.TAP] * size)
        turned = row.weights[at : at + size].reshape(row.K["B"], row.K["A"])
        np.add.at(row.map("A"), row.seen("A", run), row.here("B")[row.readers(run)] @ turned)


def _look_up(row: _Row) -> None:
    """A row of the weight for each code of a pixel: added to all of B, or to the part of its channel."""
    C, Q, step = row.K["A"], int(row.line[op.L]), int(row.line[op.X])
    width = step or row.K["B"]
    back = row.name.endswith("_W")
    weight = row.weight((int(row.line[op.T]), C, Q, width), row.grads if back else None)
    for run in row.runs:
        codes, readers = row.map("A")[row.seen("A", run)].astype(int), row.readers(run)
        for c in range(C):
            y, part = row.here("B"), slice(c * step, c * step + width)
            if back:
                np.add.at(weight[run[op.TAP], c], codes[..., c], y[readers][..., part])
            else:
                y[readers, :, part] += weight[run[op.TAP], c][codes[..., c]]


def _matmul_w(row: _Row) -> None:
    row.weight((row.K["A"], row.K["B"]), row.grads)[...] += np.einsum("pnk,pnl->kl", row.here("A"), row.here("B"))


def _states(row: _Row, run: np.ndarray) -> tuple[slice, slice, slice]:
    """Of a run of cells: their places in the row, in the scan, and those of the cells that they follow."""
    first, count, before = int(run[op.OUT]), int(run[op.COUNT]), int(run[op.IN_SLOT])
    here = row.start + first
    return slice(first, first + count), slice(here, here + count), slice(before, before + count)


def _cells(row: _Row) -> None:
    c, h = row.map("B"), _pixels(row.work, row.line[op.X], row.N, row.K["B"])
    for run in row.runs:
        places, here, before = _states(row, run)
        h[here], c[here], gates = lstm_cell(row.cell(row.here("A")[places]), c[before])
        row.here("A")[places] = gates[..., gate_order(row.K["B"])]


def _cells_x(row: _Row) -> None:
    c, all_c_g = row.map("B"), _pixels(row.work, row.line[op.X], row.N, row.K["B"])
    for run in row.runs:
        places, here, before = _states(row, run)
        o, f, i, g = np.split(row.cell(row.here("A")[places]), 4, axis=-1)
        h_g, t, column = row.here("D")[places], np.tanh(c[here]), int(run[op.TAP])
        c_g = all_c_g[column : column + run[op.COUNT]]
        to_c = c_g + h_g * o * (1 - t * t)
        gates_g = [
            h_g * t * o * (1 - o),
            to_c * c[before] * f * (1 - f),
            to_c * g * i * (1 - i),
            to_c * i * (1 - g * g),
        ]
        row.here("C")[places] = np.concatenate(gates_g, axis=-1)[..., gate_order(row.K["B"])]
        c_g[...] = to_c * f
        if run[op.IN_ROW] < 0:  # they follow the start state
            if row.flag:
                row.channels(row.K["B"], row.grads)[...] += c_g.sum(axis=(0, 1))
            c_g[...] = 0


DOES: dict[str, Callable[[_Row], None]] = {
    **{"GATE": _gate, "GATE_X": _gate_x, "RELU_X": _relu_x, "SUMS": _sums, "PART_X": _part_x},
    **{f"{name.upper()}_X": _back_through(name) for name in ("elu", "concat_elu", "linear_gate", "gelu")},
    **{"SOFTMAX_X": _softmax_x, "LAYER_NORM_X": _layer_norm_x},
    **{"TANH_X": _times(lambda row, y: 1 - y * y), "SIGMOID_X": _times(lambda row, y: y * (1 - y))},
    **{"EXP_X": _times(lambda row, y: y), "LOG_X": _times(lambda row, x: 1 / x)},
    "POWER_X": _times(lambda row, x: row.weight((1,)) * x ** (row.weight((1,)) - 1)),
    **{"PRELU_X": _of_weight("prelu"), "SCALE_X": _of_weight("scale")},
    **{"MOVE": _move, "MOVE_X": _move_x, "TAPS": _taps, "LAID": _taps, "TAPS_W": _taps_w, "LAID_W": _taps_w},
    **{"LOOKUP": _look_up, "LOOKUP_W": _look_up},
    **{"TAPS_X": _taps_x, "MATMUL_W": _matmul_w, "CELLS": _cells, "CELLS_X": _cells_x},
}
