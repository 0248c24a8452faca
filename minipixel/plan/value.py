"""One value of a traced model: a sum, a function of one pixel, or a scan; and the order in which its pixels come."""

import math
from typing import Any

import numpy as np

from minipixel.kernels.opcodes import LANES

POINTWISE = {
    *("dropout", "relu", "prelu", "elu", "concat_elu", "gate", "linear_gate", "tanh", "sigmoid", "exp", "log"),
    *("power", "scale", "multiply", "concat", "gelu", "softmax", "layer_norm"),
}
OTHER_WIDTH = {"concat_elu", "gate", "linear_gate", "concat"}
INPUTS = {"concat": (2, 0), "multiply": (2, 0), "scale": (1, 1), "prelu": (1, 1), "layer_norm": (1, 2)}
"""How many maps, and how many arrays without pixels, a pointwise op reads, unless it is one map alone."""

READS_X = {
    *("prelu", "elu", "concat_elu", "linear_gate", "gate", "scale", "multiply", "log", "power", "gelu", "layer_norm"),
}
READS_Y = {"relu", "tanh", "sigmoid", "exp", "softmax"}
"""What the way back needs of a pointwise value: what it read (READS_X), what it computed (READS_Y), or neither."""


class Rows:
    """The steps of a map: step r has the slots from `start[r]` to `start[r + 1]`, the last excluded.

    `columns[r]` is the column of its first slot, and `row_of[s]` is the step of slot s.
    """

    def __init__(self, start: np.ndarray, columns: np.ndarray) -> None:
        self.start, self.columns, self.steps = start, columns, len(start) - 1
        self.width, self.slots = int(np.diff(start).max(initial=0)), int(start[-1])
        self.row_of = np.repeat(np.arange(self.steps), np.diff(start))


class Value:
    """One value: the terms of its sum or the inputs of its function, and properties that the following files set.

    `products` are (source, table, weight), `maps` are (source, table), and `biases` are weights, which are (leaf,
    index): see weights.py. If the source has codes, a product looks up rows of its weight (see looks_up); with `parts`
    each of these rows is only the part of the value for the code's channel. A pointwise value reads its `inputs` at its
    own slots, and `weight` is its slope or factor. `learns` says whether the backward pass needs its gradient.
    """

    def __init__(self, kind: str, K: int, rows: Rows, name: str = "", learns: bool = False) -> None:
        self.kind, self.K, self.rows, self.name, self.learns = kind, K, rows, name, learns
        self.products: list[Any] = []
        self.maps: list[Any] = []
        self.biases: list[Any] = []
        self.inputs: list[Value] = []
        self.weight: Any = None
        self.static: dict[str, Any] = {}
        self.rectified = self.moves = self.parts = False
        self.readers: list[tuple[Value, Any]] = []  # each with its table, None for its own slot
        self.number = self.group = -1
        self.own: Any = None  # of scans: how they read their own states

    def sources(self) -> list[tuple["Value", Any]]:
        """All values that it reads, each with its table."""
        return [*[(s, t) for s, t, _ in self.products], *self.maps, *[(source, None) for source in self.inputs]]

    def __repr__(self) -> str:
        return f"{self.kind}{' relu' * self.rectified}({self.K}) {self.name}"


class Scan:
    """How a scan reads its own states: `table` and `weight` for those it multiplies, `above` for the cell state.

    Start states have slots of their own, behind all others; `start` has the weights of h and of c, None for zeros.
    """

    def __init__(self, table: np.ndarray, weight: Any, above: np.ndarray, start: list[Any]) -> None:
        self.table, self.weight, self.above, self.start = table, weight, above, start


def looks_up(product: Any) -> bool:
    """Whether a product is one with one-hot codes: its weight (T, C*Q, K_out) has a row for each of Q codes."""
    source, _, (_, index) = product
    return index.shape[1] != source.K


def gate_order(K: int) -> np.ndarray:
    """The index in [o, f, i, g] (4K,) of each number of a cell, which has LANES numbers of each gate in turn."""
    gates = np.arange(4 * K).reshape(4, K)
    return np.concatenate([gates[:, k : k + LANES].ravel() for k in range(0, K, LANES)])


def is_identity(table: Any) -> bool:
    """Whether each slot reads only the slot of its own number."""
    return table is None or (table.shape[1] == 1 and np.array_equal(table[:, 0], np.arange(len(table))))


def span(source: Value, table: Any, reader: Value) -> tuple[int, int]:
    """The least and the largest row offset at which a reader reads a source; (0, 0) if it reads its own pixel."""
    if table is None:
        return 0, 0
    if source.rows is not reader.rows:
        return -math.inf, math.inf  # type: ignore[return-value]
    seen = (table >= 0) & (table < source.rows.slots)
    apart = (source.rows.row_of[np.where(seen, table, 0)] - reader.rows.row_of[:, None])[seen]
    return (int(apart.min()), int(apart.max())) if apart.size else (0, 0)
