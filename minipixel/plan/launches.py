"""From the instructions of a table to launches on a GPU: map by map, each instruction over all of its rows at once.

A product with taps lays what each pixel reads side by side and is one matrix product; its adjoint is one product and a
sum over the readers of each pixel, in one order. A scan is one kernel, in which each image has a block.
"""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from minipixel.kernels import opcodes as op
from minipixel.kernels.cuda import MOST_THREADS, THREADS, Kernels, Launch
from minipixel.plan.table import Table

NAMES = {number: name for name, number in op.OPCODES.items()}
LANES, PARTS, MOST = 256, 256, 2**26
"""Sums of columns are taken in up to PARTS parts of LANES numbers; what is gathered from a table, in MOST numbers."""

OF_ONE_MAP = {
    **{"ADDBIAS": "add_bias", "BIASRELU": "bias_relu", "ADDROW": "add_row", "RELU": "relu", "PRELU": "prelu"},
    **{"ELU": "elu", "TANH": "tanh_", "SIGMOID": "sigmoid_", "EXP": "exp_", "LOG": "log_", "POWER": "power"},
    **{"SCALE": "scale", "GELU": "gelu"},
}
IN_PLACE = {f"{name}_X" for name in ("RELU", "PRELU", "ELU", "TANH", "SIGMOID", "EXP", "LOG", "POWER", "SCALE", "GELU")}
SUMMED = {"SUMS": 0, "RELU_X": 0, "PRELU_X": 1, "SCALE_X": 2}
TAPS = ("TAPS", "LAID", "TAPS_W", "LAID_W", "TAPS_X")


class Places:
    """The places that a table's runs of pixels stand for, as arrays; the same for any number of images.

    The table must be one of whole maps.
    """

    def __init__(self, table: Table, xp: Any) -> None:
        self.table, self.xp = table, xp
        self._known: dict[Any, Any] = {}

    def upload(self, array: np.ndarray) -> Any:
        """An array of places on the device."""
        return self.xp.asarray(np.ascontiguousarray(array, np.int32))

    def runs(self, line: np.ndarray, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each run of pixels with the slots that read it."""
        table, first = self.table, line[op.RUNS]
        for r in range(steps):
            start = table.starts[line[op.STARTS] + r]
            for run in table.runs[table.at[first + r] : table.at[first + r + 1]]:
                yield run, start + run[op.OUT] + np.arange(run[op.COUNT]) * run[op.OUT_STEP]

    def seen(self, line: np.ndarray, steps: int) -> np.ndarray:
        """The slot that each slot reads through each tap, -1 for none: (S, T)."""
        key = "seen", int(line[op.RUNS]), int(line[op.T])
        if key not in self._known:
            S, taps = int(self.table.starts[line[op.STARTS] + steps]), max(1, int(line[op.T]))
            seen = np.full((S, taps), -1)
            for run, slots in self.runs(line, steps):
                seen[slots, run[op.TAP]] = run[op.IN_SLOT] + np.arange(run[op.COUNT]) * run[op.IN_STEP]
            self._known[key] = seen
        return self._known[key]

    def cells(self, line: np.ndarray, steps: int) -> tuple[Any, Any]:
        """Of each cell of a scan: the slot of the cell state before it, and its column."""
        key = "cells", int(line[op.RUNS])
        if key not in self._known:
            S = int(self.table.starts[line[op.STARTS] + steps])
            before, column = np.zeros(S, int), np.zeros(S, int)
            for run, slots in self.runs(line, steps):
                before[slots] = run[op.IN_SLOT] + np.arange(run[op.COUNT])
                column[slots] = run[op.TAP] + np.arange(run[op.COUNT])
            self._known[key] = self.upload(before), self.upload(column)
        return self._known[key]

    def uploaded(self, seen: np.ndarray) -> Any:
        """The same places on the device, once for all instructions that have them."""
        key = "device", seen.shape, seen.tobytes()
        if key not in self._known:
            self._known[key] = self.upload(seen)
        return self._known[key]

    def readers(self, seen: np.ndarray) -> tuple[Any, Any, int]:
        """The readers of each slot as slot * T + tap, where those of each begin, and how many slots are read."""
        key = "readers", seen.shape, seen.tobytes()
        if key not in self._known:
            flat = seen.ravel()
            order = np.argsort(flat, kind="stable")
            order = order[np.count_nonzero(flat < 0) :]
            slots = int(flat.max(initial=-1)) + 1
            start = np.searchsorted(flat[order], np.arange(slots + 1))
            self._known[key] = self.upload(start), self.upload(order), slots
        return self._known[key]


class Launches:
    """The launches of a table's passes for N images, on given memory: `work`, `weights`, `grads` and `draw`."""

    def __init__(
        self, places: Places, kernels: Kernels, N: int, work: Any, weights: Any, grads: Any, draw: Any
    ) -> None:
        self.places, self.table, self.kernels, self.N = places, places.table, kernels, N
        self.work, self.weights, self.grads, self.draw = work, weights, grads, draw
        packer = self.table.packer
        self._stored = {packer.size + place: at for place, at, _ in packer.turned}
        self._scratch = kernels.xp.empty(max((n for n in map(self._room, self._lines())), default=0), kernels.dtype)
        self.forward = [launch for group in self.table.forward for launch in self._group(group)]
        back = [launch for group in self.table.back for launch in self._group(group)]
        self.back = [kernels.each("zero", grads.size, grads, grads.size), *back] if back else []

    def _lines(self) -> Iterator[tuple[np.ndarray, int]]:
        for first, last, steps, *_ in (*self.table.forward, *self.table.back):
            for line in self.table.rows[first:last]:
                yield line, int(steps)

    def _group(self, group: np.ndarray) -> Iterator[Launch]:
        first, last, steps = map(int, group[:3])
        lines = {NAMES[line[op.OP]]: line for line in self.table.rows[first:last]}
        if "CELLS" in lines:
            yield self._cells(lines["TAPS"], lines["CELLS"], steps)
        elif "CELLS_X" in lines:
            yield from self._cells_x(lines, steps)
        else:
            for line in self.table.rows[first:last]:
                yield from _One(self, line, steps).launches()

    def _room(self, of: tuple[np.ndarray, int]) -> int:
        """How many numbers an instruction needs beside its maps."""
        return _One(self, *of).room

    # --- scans --------------------------------------------------------------------------------------------------------

    def _cells(self, taps: np.ndarray, line: np.ndarray, steps: int) -> Launch:
        one = _One(self, line, steps)
        above, _ = self.places.cells(line, steps)
        seen, K = self.places.seen(taps, steps), one.K("B")
        weight = self.weights[taps[op.W] :]
        states = self.work[line[op.X] * self.N :]
        return self.kernels.blocks(
            *("scan", self.N, one.whole("A"), one.whole("B"), states, weight, self.places.uploaded(seen), above),
            *(one.starts, steps, seen.shape[1], self.N, K),
            threads=MOST_THREADS,
        )

    def _cells_x(self, lines: dict[str, np.ndarray], steps: int) -> Iterator[Launch]:
        line = lines["CELLS_X"]
        one, back, N = _One(self, line, steps), lines["TAPS_X"], self.N
        above, column = self.places.cells(line, steps)
        seen, K, P = self.places.seen(back, steps), one.K("B"), one.stop
        start, readers, slots = self.places.readers(seen)
        to_start, columns = self._scratch[: P * N * K], self.work[line[op.X] * N :]
        if slots <= P:  # nobody reads a start state; and the last states may have no reader
            start, slots = self._as_long(start, slots, P), P
        yield self.kernels.blocks(
            *("scan_x", N, one.whole("A"), one.whole("B"), one.whole("C"), one.whole("D"), columns, to_start),
            *(self.weights[back[op.W] :], start, readers, above, column, one.starts, steps, seen.shape[1], N, K, P),
            slots,
            threads=MOST_THREADS,
        )
        if line[op.FLAG]:
            yield from one.sums(to_start, to_start, K, 0)
        if "TAPS_W" in lines:
            yield from _One(self, lines["TAPS_W"], steps).launches()

    def _as_long(self, start: Any, slots: int, P: int) -> Any:
        xp = self.kernels.xp
        return xp.concatenate([start, xp.repeat(start[-1:], P - slots)]) if slots < P else start


class _One:
    """One instruction over all of its rows: slots from `start` to `stop`."""

    def __init__(self, of: Launches, line: np.ndarray, steps: int) -> None:
        self.of, self.line, self.steps, self.kernels, self.N = of, line, steps, of.kernels, of.N
        starts = of.table.starts[line[op.STARTS] : line[op.STARTS] + steps + 1]
        self.start, self.stop = int(starts[0]), int(starts[-1])
        self.rows = (self.stop - self.start) * self.N
        self.name = NAMES[line[op.OP]]
        self.flag, self.L, self.X, self.T = (int(line[column]) for column in (op.FLAG, op.L, op.X, op.T))

    @cached_property
    def starts(self) -> Any:
        """Where each step begins, on the device."""
        at = self.line[op.STARTS]
        return self.of.places.uploaded(self.of.table.starts[at : at + self.steps + 1])

    # --- operands -----------------------------------------------------------------------------------------------------

    def K(self, letter: str) -> int:  # noqa: N802 - the letter of the papers
        """The channels of an operand."""
        return int(self.line[getattr(op, letter) + 3])

    def whole(self, letter: str) -> Any:
        """All that stands from an operand's place on."""
        base, ring = self.line[getattr(op, letter) :][:2]
        assert ring == 0, "a table for a device has whole maps"
        return self.of.work[base * self.N :]

    def here(self, letter: str) -> Any:
        """An operand's slots, as one row of numbers."""
        K = self.K(letter) * self.N
        return self.whole(letter)[self.start * K : self.stop * K]

    def matrix(self, letter: str) -> Any:
        """The same as a matrix: a row for each slot and image."""
        return self.here(letter).reshape(self.rows, self.K(letter))

    def weight(self, *shape: int, of: Any = None, at: int | None = None) -> Any:
        """The instruction's weight, or its gradient."""
        at = int(self.line[op.W]) if at is None else at
        n = math.prod(shape) if shape else None
        flat = (self.of.weights if of is None else of)[at : None if n is None else at + n]
        return flat.reshape(shape) if shape else flat

    @property
    def room(self) -> int:
        """How many numbers it needs beside its maps."""
        if self.name in TAPS:
            return self.rows * max(1, self.T) * self.K("A")
        if self.name == "LOOKUP_W":
            return self._parts * self._codes_size
        if self.name == "CELLS_X":
            return self.rows * self.K("B") + self._sums_size(self.K("B"))
        return self._sums_size(self.K("B") or self.K("A"))

    # --- launches -----------------------------------------------------------------------------------------------------

    def launches(self) -> Iterator[Launch]:
        """What is to be launched for it, in this order."""
        each, name, K = self.kernels.each, self.name, self.K("A") or self.K("B")
        n = self.rows * K
        if name == "ZERO":
            yield each("zero", n, self.here("B"), n)
        elif name == "FILL":
            yield each("fill", n, self.here("B"), self.weight(), n, K)
        elif name in OF_ONE_MAP:
            x = self.here("A" if self.K("A") else "B")
            yield each(OF_ONE_MAP[name], n, x, self.here("B"), self.weight(), n, K)
        elif name in IN_PLACE:
            if name in SUMMED and name != "RELU_X":
                yield from self.sums(self.here("A"), self.here("B"), K, SUMMED[name])
            yield each(name.lower(), n, self.here("A"), self.here("B"), self.weight(), n, K)
            if name == "RELU_X" and self.L:
                yield from self.sums(self.here("A"), self.here("B"), K, 0)
        elif name == "SUMS":
            yield from self.sums(self.here("B"), self.here("B"), K, 0)
        elif name == "MULTIPLY":
            yield each("multiply", n, self.here("A"), self.here("C"), self.here("B"), n)
        elif name in ("SOFTMAX", "LAYER_NORM", "SOFTMAX_X", "LAYER_NORM_X"):
            yield each(
                *(name.lower(), self.rows * self.L, self.here("A"), self.here("B"), self.weight()),
                *(self.rows, K, self.L),
            )
        else:
            yield from getattr(self, f"_{name.lower()}")()

    def _halves(self) -> Iterator[Launch]:
        K = self.K("A") if self.name == "CONCAT_ELU" else self.K("B")
        yield self.kernels.each(self.name.lower(), self.rows * K, self.here("A"), self.here("B"), self.rows, K)

    _concat_elu = _gate = _linear_gate = _factors = _halves

    def _halves_x(self) -> Iterator[Launch]:
        K = self.K("B") if self.name == "CONCAT_ELU_X" else self.K("A")
        maps = (self.here(letter) for letter in "ABC")
        yield self.kernels.each(self.name.lower(), self.rows * K, *maps, self.rows, K)

    _concat_elu_x = _gate_x = _linear_gate_x = _halves_x

    def _part(self) -> Iterator[Launch]:
        K = self.K("A")
        maps = self.here("A"), self.here("B")
        yield self.kernels.each("part", self.rows * K, *maps, self.rows, K, self.K("B"), self.X)

    def _part_x(self) -> Iterator[Launch]:
        K, numbers = self.K("B"), (self.K("A"), self.X, self.flag)
        yield self.kernels.each("part_x", self.rows * K, self.here("A"), self.here("B"), self.rows, K, *numbers)

    def _dropout(self) -> Iterator[Launch]:
        K, pixels = self.K("A"), self.stop
        assert self.start == 0
        yield self.kernels.each(
            *("dropout", self.rows * -(-K // 8), self.here("A"), self.here("B"), self.weight(), self.of.draw),
            *(pixels, self.N, K, np.uint32(self.X), self.T),
        )

    # --- products -----------------------------------------------------------------------------------------------------

    def _matmul(self) -> Iterator[Launch]:
        weight = self.weight(self.K("A"), self.K("B"))
        yield self.kernels.product(self.matrix("A"), weight, self.matrix("B"), adds=bool(self.flag))

    def _matmul_w(self) -> Iterator[Launch]:
        weight_g = self.weight(self.K("A"), self.K("B"), of=self.of.grads)
        yield self.kernels.product(self.matrix("A"), self.matrix("B"), weight_g, turned="TN", adds=True)

    @cached_property
    def _seen(self) -> np.ndarray:
        return self.of.places.seen(self.line, self.steps)

    @property
    def _columns(self) -> Any:
        """Room for what each pixel reads, side by side: a row for each slot and image."""
        width = self._seen.shape[1] * self.K("A")
        return self.of._scratch[: self.rows * width].reshape(self.rows, width)

    def _lay(self) -> Iterator[Launch]:
        columns, (S, T) = self._columns, self._seen.shape
        table = self.of.places.uploaded(self._seen)
        yield self.kernels.each("lay", columns.size, self.whole("A"), table, columns, S, self.N, T, self.K("A"))

    def _taps(self) -> Iterator[Launch]:
        yield from self._lay()
        weight = self.weight(self._columns.shape[1], self.K("B"))
        yield self.kernels.product(self._columns, weight, self.matrix("B"), adds=True)

    def _taps_w(self) -> Iterator[Launch]:
        yield from self._lay()
        weight_g = self.weight(self._columns.shape[1], self.K("B"), of=self.of.grads)
        yield self.kernels.product(self._columns, self.matrix("B"), weight_g, turned="TN", adds=True)

    _laid, _laid_w = _taps, _taps_w

    def _taps_x(self) -> Iterator[Launch]:
        weight = self.weight(self._columns.shape[1], self.K("B"), at=self.of._stored[int(self.line[op.W])])
        yield self.kernels.product(self.matrix("B"), weight, self._columns, turned="NT")
        yield from self._unlay(self._columns)

    def _unlay(self, columns: Any) -> Iterator[Launch]:
        """Add what stands side by side to what it was read from."""
        start, readers, slots = self.of.places.readers(self._seen)
        K, T = self.K("A"), self._seen.shape[1]
        n = slots * self.N * K
        yield self.kernels.each("unlay", n, columns, start, readers, self.whole("A"), slots, self.N, T, K)

    def _move(self) -> Iterator[Launch]:
        K, table = self.K("A"), self.of.places.uploaded(self._seen)
        S = self._seen.shape[0]
        maps = self.whole("A"), table, self.whole("B")
        yield self.kernels.each("move", S * self.N * K, *maps, S, self.N, K, self.flag)

    def _move_x(self) -> Iterator[Launch]:
        yield from self._unlay(self.here("B"))

    # --- codes --------------------------------------------------------------------------------------------------------

    @property
    def _codes(self) -> tuple[int, ...]:
        """The taps, channels and levels of what is looked up, the step between the parts of channels, their width."""
        return self.T, self.K("A"), self.L, self.X, self.X or self.K("B")

    @property
    def _codes_size(self) -> int:
        T, C, Q, _, width = self._codes
        return T * C * Q * width

    @property
    def _parts(self) -> int:
        return max(1, min(64, MOST // self._codes_size, self.rows))

    def _lookup(self) -> Iterator[Launch]:
        table = self.of.places.uploaded(self._seen)
        maps = self.whole("A"), table, self.weight(), self.here("B")
        yield self.kernels.each("look_up", self.rows * self.K("B"), *maps, self.stop, self.N, *self._codes)

    def _lookup_w(self) -> Iterator[Launch]:
        (T, C, *_), size, parts = self._codes, self._codes_size, self._parts
        partial, table = self.of._scratch[: parts * size], self.of.places.uploaded(self._seen)
        maps = self.whole("A"), table, self.here("B"), partial
        yield self.kernels.blocks("look_up_w", parts * T * C, *maps, self.stop, self.N, *self._codes, parts)
        yield self.kernels.each("add_parts", size, partial, self.weight(of=self.of.grads), parts, size)

    # --- sums over pixels and images ----------------------------------------------------------------------------------

    def _sums_size(self, K: int) -> int:
        lanes, blocks = self._cut(K)
        return lanes * blocks * K

    def _cut(self, K: int) -> tuple[int, int]:
        """How many rows are added up side by side, and in how many blocks."""
        lanes = max(1, LANES // max(1, K))
        return lanes, max(1, min(PARTS, self.rows // (16 * lanes)))

    def sums(self, g: Any, x: Any, K: int, of: int) -> Iterator[Launch]:
        """Add the sums of the columns of g to the gradient of the instruction's weight; see sums.cu."""
        lanes, blocks = self._cut(K)
        size = lanes * blocks * K
        partial = self.of._scratch[len(self.of._scratch) - size :]
        yield self.kernels.blocks("column_sums", blocks, g, x, partial, self.rows, K, lanes, blocks, of)
        at = self.weight(K, of=self.of.grads)
        yield self.kernels.blocks("add_column", K, partial, at, lanes * blocks, K, shared=THREADS)
