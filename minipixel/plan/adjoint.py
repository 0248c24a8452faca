"""The backward pass: one adjoint for each instruction, from the last row of a group to its first.

The gradient of a value is complete when its row comes, since all its readers stand later in the group, at the same row
or further down. The first reader sets the gradient, if that covers the row, and the others add to it. A gradient that
is not needed any more is passed on in place, so the gradient of a residual stream never leaves its row.
"""

from typing import Any

import numpy as np

from minipixel.plan.code import Code
from minipixel.plan.forward import THIN, Forward, behind_all, dropped
from minipixel.plan.groups import Places
from minipixel.plan.memory import Buffer
from minipixel.plan.value import READS_X, Rows, Value, is_identity, looks_up, span


class Backward:
    """Emits the adjoints of values; `gradient` has the buffer of each value's gradient."""

    def __init__(self, code: Code, places: Places, forward: Forward) -> None:
        self.code, self.places, self.forward, self.leaves = code, places, forward, code.leaves
        self.gradient: dict[Value, Buffer] = {}
        self._passed: set[Value] = set()  # their gradient stands where that of what they read does
        self._given: set[Value] = set()
        self._again: set[Value] = set()  # computed again in this group so far

    def group(self, values: list[Value]) -> None:
        """All values of a group, the last one first."""
        self._again = set()
        for value in values:  # line buffers first: their rows are computed ahead
            if value in self.places.computed_again and self.places.ahead[value]:
                self._once_more(value)
        for value in reversed(values):
            if value in self.gradient:
                self._adjoint(value)
        self.code.end_group(True)
        for value in values:
            if value.kind == "scan" and value in self.gradient and (h0 := self.forward.states[value][0]):
                behind = behind_all(value.rows)
                self.code.emit("SUMS", behind, None, self.gradient[value], W=h0[0], L=h0[1])
        self.code.end_group(True)

    # --- what is read on the way back ---------------------------------------------------------------------------------

    def _standing(self, value: Value) -> Buffer:
        """Where a value stands; computed again, if need be, at this point of the row."""
        if value in self.places.computed_again:
            self._once_more(value)
        return self.places.standing(value)

    def _once_more(self, value: Value) -> None:
        if value in self._again:
            return
        self._again.add(value)
        where = {source: self._standing(source) for source, _ in value.sources()}
        if value.kind == "sum":
            self.forward.sum(value, self.places.again[value], where, self.places.ahead[value])
        else:
            self.forward.pointwise(value, self.places.again[value], where, self.places.ahead[value], True)

    # --- gradients ----------------------------------------------------------------------------------------------------

    def _begins(self, source: Value, reader: Value, covers: bool) -> bool:
        """Make room for the gradient of a source; whether its reader is to set it, being the first."""
        if source in self.gradient:
            return False
        ring = self.places.gradient_ring[source]
        started = source.kind == "scan" and source.own.start[0] is not None
        extra = source.rows.width if started else 0
        g = self.gradient[source] = self.code.buffer(source.rows, source.K, ring, extra)
        if covers and source.rows is reader.rows and g.ring < 2 and not started:
            same = [(r, t) for r, t in source.readers if r.group == reader.group]
            if all(span(source, t, r) == (0, 0) for r, t in same):
                return True
        if g.ring == 1:
            self.code.emit("ZERO", source.rows, None, g)
        else:
            self.code.zero_first(g)
        return False

    def _add(self, value: Value, g: Buffer, source: Value, x: int = 0) -> None:
        """Channels `x` and further of a row of g go to the gradient of a source."""
        sets = self._begins(source, value, True)
        if x == 0 and g.K == source.K and not sets:
            self.code.emit("ADDROW", value.rows, g, self.gradient[source])
        else:
            self.code.emit("PART_X", value.rows, g, self.gradient[source], X=x, FLAG=int(not sets))

    def _adjoint(self, value: Value) -> None:
        emit, g, rows = self.code.emit, self.gradient[value], value.rows
        if value.kind not in ("sum", "scan"):
            self._pointwise(value, g)
        else:
            if value.kind == "scan":
                g = self._cells(value)
            bias = self.forward.bias.get(value)
            if value.rectified:
                sums = {"W": bias[0], "L": bias[1], "FLAG": 1} if bias else {}
                emit("RELU_X", rows, g, self._standing(value), **sums)
            elif bias:
                emit("SUMS", rows, None, g, W=bias[0], L=bias[1])
            for product, at in self.forward.products[value]:
                self._product(value, g, product, at)
            for source, table in value.maps:
                self._map(value, g, source, table)
        if self.gradient[value].ring > 1 and value not in self._passed:
            emit("ZERO", rows, None, self.gradient[value])  # for the row that will take this one's place

    def _product(self, value: Value, g: Buffer, product: Any, at: int) -> None:
        source, table, weight = product
        emit, rows, taps = self.code.emit, value.rows, len(weight[1])
        if looks_up(product):
            if self.leaves.is_trained(weight[0]):
                emit("LOOKUP_W", rows, self._standing(source), g, **self.forward.looking_up(value, product, at))
            return
        x, plain = self._standing(source), self.forward.is_plain(value, product)
        runs = 0 if plain else self.code.runs_of(source, table, value)
        if self.leaves.is_trained(weight[0]):
            if plain:
                emit("MATMUL_W", rows, x, g, W=at)
            else:
                self.code.needs_room(rows, source.K, g.K, taps)
                emit("LAID_W" if source.K < THIN else "TAPS_W", rows, x, g, W=at, RUNS=runs, T=taps)
        if source.learns:
            turned = self.leaves.put_turned(weight, at)
            sets = self._begins(source, value, plain)
            if plain:
                emit("MATMUL", rows, g, self.gradient[source], W=-1 - turned, FLAG=int(not sets))
            else:
                self.code.needs_room(rows, source.K, g.K, taps)
                emit("TAPS_X", rows, self.gradient[source], g, W=-1 - turned, RUNS=runs, T=taps)

    def _map(self, value: Value, g: Buffer, source: Value, table: Any) -> None:
        if not source.learns:
            return
        if not (is_identity(table) and source.rows is value.rows):
            self._begins(source, value, False)
            runs = self.code.runs_of(source, table, value)
            self.code.emit("MOVE_X", value.rows, self.gradient[source], g, RUNS=runs)
        elif g.ring < 2 and self._may_hand_on(value, g, source) and value not in self._given:
            self.gradient[source] = g
            self._given.add(value)
        else:
            self._add(value, g, source)

    def _may_hand_on(self, value: Value, g: Buffer, source: Value) -> bool:
        """Whether a source's gradient, which nobody has added to, may go on where that of its reader stands."""
        alone = g.ring < 2 or len(source.readers) == 1
        return alone and source not in self.gradient and self.places.gradient_ring[source] == 1

    def _pointwise(self, value: Value, g: Buffer) -> None:
        emit, rows, kind = self.code.emit, value.rows, value.kind
        if kind == "concat":
            at = 0
            for source in value.inputs:
                if source.learns:
                    self._add(value, g, source, at)
                at += source.K
            return
        if kind == "multiply":
            for source, other in zip(value.inputs, reversed(value.inputs), strict=True):
                if source.learns:
                    target = self.code.buffer(rows, source.K, 1)
                    emit("MULTIPLY", rows, g, target, self._standing(other))
                    self._add(value, target, source)
            return
        (x,) = value.inputs
        if kind in ("concat_elu", "gate", "linear_gate"):  # from a row of g to a row of another width
            if not x.learns:
                return
            reads = self._factors(value) if kind == "gate" else self._standing(x)
            sets = self._begins(x, value, True)
            target = self.gradient[x] if sets else self.code.buffer(rows, x.K, 1)
            emit(f"{kind.upper()}_X", rows, g, reads, target)
            if not sets:
                emit("ADDROW", rows, target, self.gradient[x])
            return
        numbers = {}
        if kind in ("prelu", "scale", "softmax", "layer_norm"):
            numbers = {"W": self.forward.slope[value][0], "L": self.forward.slope[value][1]}
        elif kind in ("dropout", "power"):
            numbers = {"W": self.forward.slope[value][0]}
        if kind == "dropout":
            emit("DROPOUT", rows, g, g, **numbers, **dropped(value))  # its own adjoint
        else:
            emit(f"{kind.upper()}_X", rows, g, self._standing(x if kind in READS_X else value), **numbers)
        if not x.learns:
            return
        if self._may_hand_on(value, g, x):
            self.gradient[x] = g
            self._passed.add(value)
        else:
            self._add(value, g, x)

    def _factors(self, value: Value) -> Buffer:
        """Both factors of a gate, where it left them, or computed again."""
        if value in self.places.in_place:
            return self.places.at[value.inputs[0]]
        if value not in self._again:
            where = {source: self._standing(source) for source in value.inputs}
            self.forward.pointwise(value, self.code.buffer(value.rows, value.K, 1), where, 0, True)
        return self.forward.factors[value]

    # --- scans --------------------------------------------------------------------------------------------------------

    def _cells(self, value: Value) -> Buffer:
        """From the gradient of the states to that of the gates, one step back at a time; returns a row of it."""
        rows, K, own, g = value.rows, value.K, value.own, self.gradient[value]
        gates, c = self.places.gates[value]
        gates_g = self.code.buffer(rows, 4 * K, 1)
        columns = int((rows.columns + np.diff(rows.start)).max(initial=0))
        c_g = Buffer(Rows(np.array([0, columns]), np.zeros(1, int)), K)
        self.code.zero_first(c_g)
        (at, runs, above), c0 = self.forward.own[value], self.forward.states[value][1]
        sums = {"W": c0[0], "L": c0[1], "FLAG": 1} if c0 else {}
        self.code.together = True
        emit = self.code.emit
        emit("CELLS_X", rows, gates, c, gates_g, g, X=c_g, RUNS=above, **sums)
        T = len(own.weight[1])
        if self.leaves.is_trained(own.weight[0]):
            emit("TAPS_W", rows, self.places.at[value], gates_g, W=at, RUNS=runs, T=T)
        emit("TAPS_X", rows, g, gates_g, W=-1 - self.leaves.put_turned(own.weight, at), RUNS=runs, T=T)
        self.code.together = False
        if self.code.whole:
            self.code.end_group(True)
        return gates_g
