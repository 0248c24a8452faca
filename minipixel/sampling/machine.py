"""The fast executor: a program as flat arrays, which the compiled loop in kernels/machine.py runs.

The loop computes the same as cached.py, step by step; this file only lays out the arrays. A program with an op that the
loop does not have is run by cached.py.
"""

import importlib
from typing import Any

import numpy as np

from minipixel.backend import array_module
from minipixel.clock.schedule import RING, START_SLOT, Unit
from minipixel.clock.trace import Node
from minipixel.heads import HEADS, NormalMixture
from minipixel.heads.base import NO_DISTRIBUTION
from minipixel.kernels import numba_enabled
from minipixel.kernels import units as at
from minipixel.ops import OPS
from minipixel.ops.channels import EPSILON
from minipixel.ops.local import Look
from minipixel.progress import advance
from minipixel.sampling.canvas import Canvas, follow
from minipixel.sampling.program import Program
from minipixel.sampling.sampler import Sampler

SHARD, WIDE_SHARD, ROWS = 8, 256, 128
"""How many images per shard has, and one of images that are to be drawn side by side; and about how many rows of
numbers, pixels times images, are computed at once."""


# How many maps, and how many inputs without pixels, the loop expects of an op. Of those that are not here: one map.
INPUTS = {
    **{"linear": (1, 2), "add": (2, 0), "concat": (2, 0), "prelu": (1, 1), "lstm_scan": (1, 3), "layer_norm": (1, 2)},
    "embedding": (1, 1),
}


def _levels(node: Node) -> int:
    """How many levels a node of one-hot levels has; 1 for any other, whose channels are numbers of their own."""
    one_hot = node.local is not None and node.local.kind == "one_hot"
    return node.tensor.call[1]["levels"] if one_hot else 1


def _width(node: Node) -> int:
    """How many numbers a pixel of a node takes: its channels, or of one-hot levels the codes, 1 for level 0."""
    return node.K // _levels(node)


def _blocks(columns: np.ndarray, Q: int) -> np.ndarray:
    """Channels of one-hot levels as the codes that they belong to: whole blocks of Q, see `_reads_whole_codes`."""
    return columns[::Q] // Q


def _loop() -> Any:
    """The module of the compiled loop: imported when first wanted, since Numba takes its time."""
    return importlib.import_module("minipixel.kernels.machine")


class Tables:
    """A program laid out as arrays of numbers, and where its maps and kept states begin, in numbers per image."""

    def __init__(self, program: Program) -> None:
        self.program, self.schedule = program, program.schedule
        self.base: dict[Node, int] = {}
        self.cells: dict[Node, int] = {}
        self.size = 0
        for node, slots in self.schedule.slots.items():
            has_states = node.own is not None
            for bases in (self.base, self.cells) if has_states else (self.base,):
                bases[node] = self.size
                self.size += slots * _width(node)
        self.width = 1  # of the widest row of numbers
        self._ints: list[np.ndarray] = []
        self._taken = 0
        self.units = np.array([self._row(unit) for unit in self.schedule.units])
        self.ints = np.concatenate(self._ints)
        self.steps = np.concatenate([self.schedule.steps, self._side_by_side()], axis=1)
        moments = np.arange(self.schedule.moments + 1)
        self.step_from = np.searchsorted(self.schedule.steps[:, 0], moments)
        self.draw_from = np.searchsorted(self.schedule.draws[:, 0], moments)

    def _row(self, unit: Unit) -> np.ndarray:
        """What the loop needs to know of a unit; the places of its weights are filled in by `weights`."""
        node = unit.node
        row = np.full(at.ROW, -1)
        source = unit.inputs[0][0]
        kind = "lookup" if node.local.kind == "linear" and _levels(source) > 1 else node.local.kind
        row[at.OP], row[at.BASE], row[at.LEVELS] = at.OPS.index(kind), self.base[node], _levels(source)
        narrowed = not isinstance(unit.columns, slice)
        columns = _blocks(unit.columns, _levels(node)) if narrowed else np.arange(_width(node))
        row[at.K_NODE], row[at.COUNT] = _width(node), len(columns)
        row[at.TO] = self._place(unit.to)
        if narrowed:
            row[at.COLUMNS] = self._place(columns)
        if node.local.kind in ("softmax", "layer_norm"):
            row[at.OF_COLOUR] = node.K // node.tensor.call[1].get("colours", 1)
        widths = [row[at.COUNT]]
        row[at.READS_B + at.READ_T] = 0
        for first, (source, slots, picked) in zip((at.READS_A, at.READS_B), unit.inputs, strict=False):
            T, K = slots.shape[1], _width(source)
            picked = picked if isinstance(picked, slice) else _blocks(picked, _levels(source))
            pick = -1 if isinstance(picked, slice) else self._place(picked)
            widths.append(T * K if isinstance(picked, slice) else len(picked))
            row[first : first + 6] = self.base[source], K, T, self._place(slots), pick, widths[-1]
        if unit.own is not None:
            row[at.CELLS], row[at.OWN], row[at.ABOVE] = (
                self.cells[node],
                self._place(unit.own),
                self._place(unit.above),
            )
            row[at.OWN_T] = unit.own.shape[1]
            widths.append(unit.own.shape[1] * node.K)
        self.width = max(self.width, *widths)
        return row

    def _side_by_side(self) -> np.ndarray:
        """Where the two inputs and the output of each step stand side by side in their maps: (S, 3), -1 where not."""
        steps = self.schedule.steps
        found = np.full((len(steps), 3), -1)
        for u, unit in enumerate(self.schedule.units):
            whole = [
                (source, slots[:, 0]) if slots.shape[1] == 1 and isinstance(picked, slice) else None
                for source, slots, picked in unit.inputs
            ]
            if unit.own is not None:
                whole = [None]  # the loop changes what it reads, so it has to be a copy
            whole += [None] * (2 - len(whole))
            whole.append((unit.node, unit.to) if isinstance(unit.columns, slice) else None)
            of_unit = np.flatnonzero(steps[:, 1] == u)
            first, last = steps[of_unit, 2], steps[of_unit, 3]
            for column, place in enumerate(whole):
                if place is not None:
                    node, slots = place
                    breaks = np.cumsum(np.r_[0, np.diff(slots) != 1])
                    together = breaks[first] == breaks[last - 1]
                    found[of_unit, column] = np.where(together, self.base[node] + slots[first] * _width(node), -1)
        return found

    def _place(self, numbers: np.ndarray) -> int:
        """The place of some numbers in `ints`."""
        self._ints.append(numbers.ravel())
        self._taken += numbers.size
        return self._taken - numbers.size

    def weights(self, evaluate: Any, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """All units' weights, masked and narrowed, in one flat array; and the units' rows with their places in it."""
        rows, parts, taken = self.units.copy(), [np.zeros(0, dtype)], 0
        for row, unit in zip(rows, self.schedule.units, strict=True):
            wholes = self.program.wholes(unit, evaluate)[: 1 if unit.own is not None else None]
            for column, value in zip((at.WEIGHT, at.BIAS), wholes, strict=False):
                if value is not None:
                    row[column] = taken
                    parts.append(np.ravel(value))
                    taken += value.size
            if unit.node.local.kind == "layer_norm":
                row[at.EPSILON] = taken
                parts.append(np.array([unit.node.tensor.call[1].get("epsilon", EPSILON)]))
                taken += 1
        return np.concatenate(parts).astype(dtype), rows


def suits(program: Program, model: Any) -> bool:
    """Whether the compiled loop can run: Numba is on, the weights are on the host, and it knows every op."""
    return (
        numba_enabled()
        and model.xp is np
        and all(_knows(unit.node) and _reads_whole_codes(unit) for unit in program.schedule.units)
    )


def _reads_whole_codes(unit: Unit) -> bool:
    """Whether of one-hot levels it computes, and reads, all or none of each code, and multiplies these by weights."""
    parts = [(unit.node, unit.columns), *[(source, picked) for source, _, picked in unit.inputs]]
    for node, columns in parts:
        Q = _levels(node)
        if Q > 1 and not isinstance(columns, slice):
            blocks = (_blocks(columns, Q)[:, None] * Q + np.arange(Q)).ravel()
            if not np.array_equal(columns, blocks):
                return False
    return unit.node.local.kind == "linear" or all(_levels(source) == 1 for source, _, _ in unit.inputs)


def _knows(node: Node) -> bool:
    """Whether the loop has the op, and it is given what it has there: no op of the same name, no number for a map."""
    kind, inputs = node.local.kind, node.local.inputs
    maps = sum(isinstance(x, Look) for x in inputs)
    return (
        node.tensor.call[0] in OPS.values()
        and kind in at.OPS
        and (maps, len(inputs) - maps) == INPUTS.get(kind, (1, 0))
        and (kind != "add" or all(source.K == node.K for source, _ in node.reads))
    )


class Machine(Sampler):
    """A program's tables with a model's weights."""

    def __init__(self, program: Program, model: Any) -> None:
        program.tables = program.tables or Tables(program)
        self.program, self.model, self.tables = program, model, program.tables
        self.weights, self.units = self.tables.weights(program.evaluator(model, None), model.dtype)
        self.shard_size = program.most_images(model.dtype, SHARD)
        self.wide_shard_size = program.most_images(model.dtype, WIDE_SHARD)

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw all sub-pixels of a canvas that are not fixed."""
        loop, tables, model, N = _loop(), self.tables, self.model, canvas.levels.shape[1]
        chunk = max(1, ROWS // N)
        room = chunk * N * tables.width
        work = np.zeros(tables.size * N + 4 * room, model.dtype)
        self.fill(work, N, condition)
        walked = (
            *(tables.step_from, tables.steps, self.units, tables.ints, self.weights),
            *(work, N, tables.size * N + room * np.arange(4), chunk),
        )
        if type(canvas) is Canvas and draws(model.head):
            scaled = model.as_numbers(np.arange(model.levels))
            parameters = self.program.trace.output.node
            drawn = loop.play(
                *walked,
                *(tables.draw_from, tables.schedule.draws),
                (at.HEADS.index(model.head.name), model.levels, model.mixtures, float(temperature)),
                (canvas.levels, canvas.fixed, canvas.uniforms, scaled, tables.base[self.program.trace.image]),
                (tables.base[parameters], parameters.K),
            )
            if not drawn:
                raise ValueError(NO_DISTRIBUTION)
            advance(canvas.wanted)
        else:
            image = self._map(work, N, self.program.trace.image)
            output = self._map(work, N, self.program.trace.output.node)
            kept = [self._map(work, N, node) for node in tables.base if not node.constant]
            kept += [self._map(work, N, node, kept=True) for node in tables.cells]
            for moment, (_, pixels, channel, slots) in enumerate(self.program.moments):
                loop.walk(moment, moment + 1, *walked)
                levels = canvas.draw(model.head, temperature, output[slots], pixels, channel)
                image[pixels + RING, :, channel] = model.as_numbers(levels)
                if canvas.moved is not None:
                    follow(kept, canvas.moved)
                advance(canvas.wanted / len(self.program.moments))

    def _map(self, work: Any, N: int, node: Node, kept: bool = False) -> Any:
        """A node's map, or a scan's kept states, as it stands in `work`: (slots, N, K)."""
        base = (self.tables.cells if kept else self.tables.base)[node]
        slots, K = self.tables.schedule.slots[node], _width(node)
        return work[base * N : (base + slots * K) * N].reshape(slots, N, K)

    def fill(self, work: Any, N: int, condition: Any) -> None:
        """Write what is known beforehand: constants, and what scans start from."""
        evaluate, put = self.program.evaluator(self.model, condition), array_module(work).asarray
        for node in self.tables.base:
            if node.constant:
                self._map(work, N, node)[RING:] = put(evaluate(node.tensor).reshape(node.pixels, -1, node.K))
        for node in self.tables.cells:
            for kept, start_state in zip((False, True), self.program.inputs(node)[1:], strict=True):
                if start_state is not None:
                    self._map(work, N, node, kept)[START_SLOT] = put(evaluate(start_state))


def draws(head: Any) -> bool:
    """Whether the loop draws from a head itself. Not from normals of several channels, nor from a head of one's own."""
    return type(head) in HEADS.values() and not (isinstance(head, NormalMixture) and len(set(head.groups)) > 1)
