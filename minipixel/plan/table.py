"""The table: a model's forward and backward pass as arrays of numbers, for the walker and for the interpreter.

It is built from a trace and does not depend on weights, so it stays right when these are trained or loaded. Places are
counted in numbers per image, so a table can be used for any number of images that need about the same number of rows
together.
"""

from typing import Any

import numpy as np

from minipixel.kernels import opcodes
from minipixel.plan.adjoint import Backward
from minipixel.plan.code import OPERANDS, Code
from minipixel.plan.forward import Forward
from minipixel.plan.groups import Places, cut
from minipixel.plan.memory import Buffer, give_places
from minipixel.plan.values import Values
from minipixel.plan.weights import Packer


class Table:
    """A model's passes as rows of numbers; `forward` and `back` are its groups, (first, last, steps, lead, back).

    `values` says in words what is computed, and `work` how many numbers it takes per image. `inputs` are filled in
    before a pass: (node, Buffer, the Buffer of its gradient if it is trained). `output` and `output_g` are the buffers
    of the output and of its gradient. Pixel p of the output is in slot `out_slots[p]`; if that is -1 it is 0.
    """

    def __init__(self, trace: Any, pixels: int, back: bool = True, whole: bool = False) -> None:
        values = Values(trace, pixels)
        code = Code(values.leaves, whole)
        groups = cut(values.values)
        places = Places(code, values, back)
        forward = Forward(code, places)
        for group in groups:
            forward.group(group)
        turn, there = len(code.groups), len(code.code)
        self.output = places.at[values.out]
        self.output.lives(there - 1, there - 1)
        self.out_slots, self.output_g, adjoint = values.out_slots, None, None
        if back and values.out.learns:
            code.back = True
            adjoint = Backward(code, places, forward)
            self.output_g = adjoint.gradient[values.out] = Buffer(values.out.rows, values.out.K)
            self.output_g.lives(there, there)
            for group in reversed(groups):
                adjoint.group(group)
        self.inputs = []
        for value in values.values:
            if value.kind == "input":
                g = adjoint.gradient.get(value) if adjoint else None
                places.at[value].lives(0, 0)
                if g is not None:
                    g.lives(len(code.code), len(code.code))
                node = next(node for node in trace.nodes if values.of.get(node) is value)
                self.inputs.append((node, places.at[value], g))
        self._lay_out(code, turn)
        self.values = [repr(value) for value in values.values]
        self.packer = Packer(values.leaves, [node.tensor for node, _, g in self.inputs if g is not None])
        for value in values.values:
            value.readers.clear()  # a circle of references would keep all of them until Python looks for such
        self.in_order = np.array_equal(values.out_slots, np.arange(values.out.rows.slots))

    def _lay_out(self, code: Code, turn: int) -> None:
        """Write all numbers into their places."""
        buffers = {id(buffer): buffer for line in code.code for buffer in line.touched()}
        for buffer in (self.output, self.output_g, *[b for _, *two in self.inputs for b in two]):
            if buffer is not None:
                buffers[id(buffer)] = buffer
        room_at, at = [], 0
        for room in code.rooms:
            room_at.append(at)
            at += -(-room // 16) * 16
        self.work = give_places(list(buffers.values()), at)
        self.rooms = np.array(room_at)
        starts: list[int] = []
        starts_at: dict[int, int] = {}
        self.rows = np.zeros((len(code.code), opcodes.COLUMNS), np.int64)
        for line, instruction in zip(self.rows, code.code, strict=True):
            rows = instruction.rows
            if id(rows) not in starts_at:
                starts_at[id(rows)] = len(starts)
                starts += rows.start.tolist()
            line[opcodes.OP], line[opcodes.STARTS] = instruction.op, starts_at[id(rows)]
            for name, number in instruction.numbers.items():
                if name == "W" and number < 0:
                    number = code.leaves.size - 1 - number
                line[getattr(opcodes, name)] = number.base if isinstance(number, Buffer) else number
            for name, buffer in zip(OPERANDS, instruction.buffers, strict=True):
                if buffer is not None:
                    o = getattr(opcodes, name)
                    line[o : o + 4] = buffer.base, buffer.ring, buffer.rows.width, buffer.K
        self.starts, self.at = np.array(starts), np.array([*code.at, 0])
        self.runs = np.array(code.runs, np.int64).reshape(-1, 8)
        self.forward, self.back = np.array(code.groups[:turn]), np.array(code.groups[turn:]).reshape(-1, 5)
        self.code = code.code

    def show(self) -> str:
        """The table as text, group after group, one instruction per line."""
        lines = []
        for title, groups in (("the way there", self.forward), ("the way back", self.back)):
            for first, last, steps, lead, _ in groups:
                ahead = f", up to {lead} rows ahead" if lead else ""
                lines.append(f"{title}, {steps} step{'s' * int(steps != 1)}{ahead}:")
                lines += [f"  {_line(instruction)}" for instruction in self.code[first:last]]
        return "\n".join(lines)

    def __repr__(self) -> str:
        groups = f"{len(self.forward)} group{'s' * int(len(self.forward) != 1)}"
        return f"Table({len(self.rows)} instructions, {groups}, {self.work:,} numbers per image)"


def _line(instruction: Any) -> str:
    """An instruction in words: its name, its buffers with their channels and the rows that are kept, its numbers."""
    kept = {0: "map", 1: "row"}
    operands = [
        f"{letter} {kept.get(buffer.ring, f'{buffer.ring} rows')} of {buffer.K} at {buffer.base}"
        for letter, buffer in zip(OPERANDS, instruction.buffers, strict=True)
        if buffer is not None
    ]
    numbers = [
        f"turned W {-1 - number}" if name == "W" and number < 0 else f"{name} {number}"
        for name, number in instruction.numbers.items()
        if not isinstance(number, Buffer) and (name, number) != ("LEAD", 0)
    ]
    return f"{instruction.name:14}{'; '.join(operands)}{'  | ' if numbers else ''}{', '.join(numbers)}"
