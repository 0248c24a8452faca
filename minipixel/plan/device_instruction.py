"""One instruction of a table on a GPU: what is launched for it, over all of its rows at once.

A product with taps lays what each pixel reads side by side and is one matrix product; its adjoint is one product and a
sum over the readers of each pixel, in one order.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minipixel.kernels import opcodes as op
from minipixel.kernels.cuda import THREADS, Kernels, Launch
from minipixel.plan.device_places import Places

NAMES = {number: name for name, number in op.OPCODES.items()}
LANES, PARTS, MOST = 256, 256, 2**26
"""Sums of columns are taken in up to PARTS parts of LANES numbers; what is gathered from a table, in MOST numbers."""

OF_ONE_MAP = {
    **{"ADDBIAS": "add_bias", "BIASRELU": "bias_relu", "ADDROW": "add_row", "RELU": "relu", "PRELU": "prelu"},
    **{"ELU": "elu", "TANH": "tanh_", "SIGMOID": "sigmoid_", "EXP": "exp_", "LOG": "log_", "POWER": "power"},
    **{"SCALE": "scale", "GELU": "gelu"},
}
IN_PLACE = {f"{name}_X" for name in ("RELU", "PRELU", "ELU", "TANH", "SIGMOID", "EXP", "LOG", "POWER", "SCALE", "GELU")}
OF_WEIGHT = {"PRELU_X": 1, "SCALE_X": 2}
"""What column_sums takes for the gradient of a slope, and of a factor."""
TAPS = ("TAPS", "LAID", "TAPS_W", "LAID_W", "TAPS_X")


@dataclass(eq=False)
class Memory:
    """What the launches of a table work on, for N images; `scratch` is room that each of them may use."""

    N: int
    work: Any
    weights: Any
    grads: Any
    draw: Any
    stored: dict[int, int]  # of a weight that stands there turned: where it stands as it is
    scratch: Any = None


class OnGPU:
    """An instruction, a row of the table, over all of its steps: slots from `start` to `stop`."""

    def __init__(self, line: np.ndarray, steps: int, places: Places, kernels: Kernels, memory: Memory) -> None:
        self.line, self.steps, self.places, self.kernels, self.memory = line, steps, places, kernels, memory
        self.N = memory.N
        starts = places.table.starts[line[op.STARTS] : line[op.STARTS] + steps + 1]
        self.start, self.stop = int(starts[0]), int(starts[-1])
        self.rows = (self.stop - self.start) * self.N
        self.name = NAMES[line[op.OP]]
        self.flag, self.L, self.X, self.T = (int(line[column]) for column in (op.FLAG, op.L, op.X, op.T))

    @cached_property
    def starts(self) -> Any:
        """Where each step begins, on the device."""
        at = self.line[op.STARTS]
        return self.places.uploaded(self.places.table.starts[at : at + self.steps + 1])

    # --- operands -----------------------------------------------------------------------------------------------------

    def K(self, letter: str) -> int:  # noqa: N802 - the letter of the papers
        """The channels of an operand."""
        return int(self.line[getattr(op, letter) + 3])

    def whole(self, letter: str) -> Any:
        """All that stands from an operand's place on."""
        base, ring = self.line[getattr(op, letter) :][:2]
        assert ring == 0, "a table for a device has whole maps"
        return self.memory.work[base * self.N :]

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
        flat = (self.memory.weights if of is None else of)[at : None if n is None else at + n]
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
            if name in OF_WEIGHT:  # before the gradient in A is changed
                yield from self.sums(self.here("A"), self.here("B"), K, OF_WEIGHT[name])
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
            *("dropout", self.rows * -(-K // 8), self.here("A"), self.here("B"), self.weight(), self.memory.draw),
            *(pixels, self.N, K, np.uint32(self.X), self.T),
        )

    # --- products -----------------------------------------------------------------------------------------------------

    def _matmul(self) -> Iterator[Launch]:
        weight = self.weight(self.K("A"), self.K("B"))
        yield self.kernels.product(self.matrix("A"), weight, self.matrix("B"), adds=bool(self.flag))

    def _matmul_w(self) -> Iterator[Launch]:
        weight_g = self.weight(self.K("A"), self.K("B"), of=self.memory.grads)
        yield self.kernels.product(self.matrix("A"), self.matrix("B"), weight_g, turned="TN", adds=True)

    @cached_property
    def seen(self) -> np.ndarray:
        """The slot that each slot reads through each tap, -1 for none: (S, T)."""
        return self.places.seen(self.line, self.steps)

    @property
    def _columns(self) -> Any:
        """Room for what each pixel reads, side by side: a row for each slot and image."""
        width = self.seen.shape[1] * self.K("A")
        return self.memory.scratch[: self.rows * width].reshape(self.rows, width)

    def _lay(self) -> Iterator[Launch]:
        columns, (S, T) = self._columns, self.seen.shape
        table = self.places.uploaded(self.seen)
        yield self.kernels.each("lay", columns.size, self.whole("A"), table, columns, S, self.N, T, self.K("A"))

    def _taps(self) -> Iterator[Launch]:
        yield from self._lay()
        weight = self.weight(self._columns.shape[1], self.K("B"))
        yield self.kernels.product(self._columns, weight, self.matrix("B"), adds=True)

    def _taps_w(self) -> Iterator[Launch]:
        yield from self._lay()
        weight_g = self.weight(self._columns.shape[1], self.K("B"), of=self.memory.grads)
        yield self.kernels.product(self._columns, self.matrix("B"), weight_g, turned="TN", adds=True)

    _laid, _laid_w = _taps, _taps_w

    def _taps_x(self) -> Iterator[Launch]:
        weight = self.weight(self._columns.shape[1], self.K("B"), at=self.memory.stored[int(self.line[op.W])])
        yield self.kernels.product(self.matrix("B"), weight, self._columns, turned="NT")
        yield from self._unlay(self._columns)

    def _unlay(self, columns: Any) -> Iterator[Launch]:
        """Add what stands side by side to what it was read from."""
        start, readers, slots = self.places.readers(self.seen)
        K, T = self.K("A"), self.seen.shape[1]
        n = slots * self.N * K
        yield self.kernels.each("unlay", n, columns, start, readers, self.whole("A"), slots, self.N, T, K)

    def _move(self) -> Iterator[Launch]:
        K, table = self.K("A"), self.places.uploaded(self.seen)
        S = self.seen.shape[0]
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
        table = self.places.uploaded(self.seen)
        maps = self.whole("A"), table, self.weight(), self.here("B")
        yield self.kernels.each("look_up", self.rows * self.K("B"), *maps, self.stop, self.N, *self._codes)

    def _lookup_w(self) -> Iterator[Launch]:
        (T, C, *_), size, parts = self._codes, self._codes_size, self._parts
        partial, table = self.memory.scratch[: parts * size], self.places.uploaded(self.seen)
        maps = self.whole("A"), table, self.here("B"), partial
        yield self.kernels.blocks("look_up_w", parts * T * C, *maps, self.stop, self.N, *self._codes, parts)
        yield self.kernels.each("add_parts", size, partial, self.weight(of=self.memory.grads), parts, size)

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
        partial = self.memory.scratch[len(self.memory.scratch) - size :]
        yield self.kernels.blocks("column_sums", blocks, g, x, partial, self.rows, K, lanes, blocks, of)
        at = self.weight(K, of=self.memory.grads)
        yield self.kernels.blocks("add_column", K, partial, at, lanes * blocks, K, shared=THREADS)
