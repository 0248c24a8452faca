"""A table under construction: instructions, the groups in which they run, and runs of pixels."""

from typing import Any

import numpy as np

from minipixel.kernels import opcodes
from minipixel.plan.memory import Buffer
from minipixel.plan.value import Rows, Value
from minipixel.plan.weights import Leaves

OPERANDS = ("A", "B", "C", "D")


class Instruction:
    """One row of a future table: an opcode, the steps it goes through, up to four buffers, and numbers by column."""

    def __init__(self, name: str, rows: Rows, buffers: Any, numbers: dict[str, Any]) -> None:
        self.op, self.rows, self.buffers, self.numbers = opcodes.OPCODES[name], rows, buffers, numbers
        self.name = name

    def touched(self) -> list[Buffer]:
        """All buffers that it reads or writes."""
        named = [number for number in self.numbers.values() if isinstance(number, Buffer)]
        return [buffer for buffer in (*self.buffers, *named) if buffer is not None]


class Code:
    """Instructions in the order in which they run, in groups, row by row or, with `whole`, map after map.

    A group is (first, last, steps, lead, back): the instructions from `first` to `last`, the last excluded, which go
    through their rows together; with `back`, in a backward pass, from the last row up.
    """

    def __init__(self, leaves: Leaves, whole: bool = False) -> None:
        self.leaves, self.whole, self.back = leaves, whole, False
        self.code: list[Instruction] = []
        self.groups: list[tuple[int, int, int, int, bool]] = []
        self.starts_of: dict[int, int] = {}
        self.starts: list[int] = []
        self.runs: list[tuple[int, ...]] = []
        self.at: list[int] = []
        self.rooms = [1, 1, 1]  # for pixels gathered, for products to be scattered, for taps laid side by side
        self._runs_of: dict[Any, int] = {}
        self._open: list[Instruction] = []
        self._zeros: list[Buffer] = []
        self.together = False  # while it is, instructions go row by row together in any case

    def buffer(self, rows: Rows, K: int, ring: int = 0, extra: int = 0) -> Buffer:
        """Room for a map, or for a few of its rows where these go together."""
        return Buffer(rows, K, 0 if self.whole else ring, extra)

    def emit(self, name: str, rows: Rows, a: Any = None, b: Any = None, c: Any = None, d: Any = None, **numbers: Any):
        """One more instruction of the group at hand."""
        if self.whole:
            numbers["LEAD"] = 0
        self._open.append(Instruction(name, rows, (a, b, c, d), numbers))
        if self.whole and not self.together:
            self.end_group(self.back)

    def zero_first(self, buffer: Buffer) -> None:
        """Fill a map with zeros before the group at hand begins."""
        self._zeros.append(buffer)

    def end_group(self, back: bool) -> None:
        """Close a group; each buffer is alive as long as the groups that use it.

        But a buffer of one row, which is written and read within a step, may be reused in the same step.
        """
        for buffer in self._zeros:
            all_of_it = Rows(np.array([0, buffer.pixels]), np.zeros(1, int))
            self._flush([Instruction("ZERO", all_of_it, (None, buffer, None, None), {})], False)
        self._zeros = []
        if self._open:
            self._flush(self._open, back)
        self._open = []

    def _flush(self, group: list[Instruction], back: bool) -> None:
        first = len(self.code)
        self.code += group
        last = len(self.code) - 1
        lead = max(instruction.numbers.get("LEAD", 0) for instruction in group)
        self.groups.append((first, last + 1, group[0].rows.steps, lead, back))
        for n, instruction in enumerate(group):
            for buffer in instruction.touched():
                one_row = buffer.ring == 1 and not self.whole
                buffer.lives(*((first + n, first + n) if one_row else (first, last)))

    # --- runs of pixels -----------------------------------------------------------------------------------------------

    def runs_of(self, source: Value, table: np.ndarray, reader: Value) -> int:
        """The place of the runs of evenly spaced pixels, by row and by tap, in which a reader reads a source."""
        key = table.tobytes(), id(source.rows), id(reader.rows)
        if key not in self._runs_of:
            rows, seen, at = reader.rows, source.rows, []
            known: dict[bytes, list[tuple[int, ...]]] = {}
            step_of = np.append(seen.row_of, np.full(seen.width + 1, seen.steps))  # start states: a step of their own
            for r in range(rows.steps):
                at.append(len(self.runs))
                part = table[rows.start[r] : rows.start[r + 1]]
                sees = part >= 0
                steps = np.where(sees, step_of[part], -1)
                first = int(steps[sees].min()) if sees.any() else 0
                shift = int(seen.start[first])
                near = np.where(sees, part - shift, NOTHING)
                pattern = near.tobytes() + np.where(sees, steps - first, -1).tobytes()
                if pattern not in known:
                    known[pattern] = _cut(near, steps, source.rows is reader.rows)
                for tap, out, out_step, q, in_step, count in known[pattern]:
                    step = int(step_of[q + shift])
                    there = q + shift - int(seen.start[step])
                    self.runs.append((tap, out, out_step, step, there, q + shift, in_step, count))
            at.append(len(self.runs))
            self._runs_of[key] = len(self.at)
            self.at += at
        return self._runs_of[key]

    def needs_room(self, reader: Rows, K_in: int, K_out: int, taps: int = 1) -> None:
        """Make sure of memory for a row of pixels that are gathered, scattered, or laid side by side."""
        wanted = reader.width * K_in, reader.width * K_out, reader.width * K_in * taps
        self.rooms = [max(a, b) for a, b in zip(self.rooms, wanted, strict=True)]


NOTHING = -(1 << 40)
"""Stands for no pixel, in a table of places from some place on."""


def _cut(part: np.ndarray, steps: np.ndarray, one_map: bool) -> list[tuple[int, ...]]:
    """The runs of a row: (tap, first, step, first pixel seen, step there, count), each as long as it can be.

    One that sees neighbours ends where a step of their map does, since the next step may stand elsewhere.
    """
    runs: list[tuple[int, ...]] = []
    for tap in range(part.shape[1]):
        places = np.flatnonzero(part[:, tap] != NOTHING)
        there, rows = part[places, tap], steps[places, tap]
        out_steps, in_steps, leaves = np.diff(places), np.diff(there), np.diff(rows) != 0
        n = 0
        while n < len(places):
            m = n + 1
            if m < len(places):
                ends = (out_steps[n:] != out_steps[n]) | (in_steps[n:] != in_steps[n])
                if one_map or in_steps[n] == 1:
                    ends |= leaves[n:]
                m = n + 1 + (int(ends.argmax()) if ends.any() else len(ends))
            by = (int(out_steps[n]), int(in_steps[n])) if m > n + 1 else (1, 1)
            runs.append((tap, int(places[n]), by[0], int(there[n]), by[1], m - n))
            n = m
    return runs
