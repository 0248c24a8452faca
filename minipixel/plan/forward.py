"""The forward pass: instructions that compute each value, group after group."""

from typing import Any

import numpy as np

from minipixel.draws import threshold_of
from minipixel.ops.channels import EPSILON
from minipixel.plan.code import Code
from minipixel.plan.groups import Places
from minipixel.plan.memory import Buffer
from minipixel.plan.value import Rows, Value, is_identity, looks_up

THIN = 8
"""A map of fewer channels has its taps laid side by side, for one product; of others each tap is a product."""


class Forward:
    """Emits the instructions of values, and notes the places of their weights for the backward pass."""

    def __init__(self, code: Code, places: Places) -> None:
        self.code, self.places, self.leaves = code, places, code.leaves
        self.bias: dict[Value, tuple[int, int]] = {}
        self.slope: dict[Value, tuple[int, int]] = {}
        self.products: dict[Value, list[tuple[Any, int]]] = {}  # with the place of the weight
        self.own: dict[Value, tuple[int, int, int]] = {}  # of scans: place of the weight, runs of states and of cells
        self.states: dict[Value, list[Any]] = {}  # of scans: places of what h and c start from, None for zeros
        self.factors: dict[Value, Buffer] = {}

    def group(self, values: list[Value]) -> None:
        """All values of a group."""
        for value in values:
            if value.kind == "scan":
                self._start_states(value)
        self.code.end_group(False)
        for value in values:
            if value.kind in ("sum", "scan"):
                self._sum(value)
            else:
                self.pointwise(value, self.places.at[value], self.places.at, 0)
        self.code.end_group(False)

    # --- sums ---------------------------------------------------------------------------------------------------------

    def _sum(self, value: Value) -> None:
        y, K = self.places.at[value], value.K
        if value.kind == "scan":
            y, K = self.places.gates[value][0], 4 * K
        if value.biases:
            self.bias[value] = self.leaves.put_repeated(value.biases, K)
        self.products[value] = [(product, self.leaves.put(product[2])) for product in value.products]
        self.sum(value, y, self.places.at, 0)
        if value.kind == "scan":
            self._cells(value)

    def sum(self, value: Value, y: Buffer, where: Any, ahead: int) -> None:
        """A sum, in the forward pass or computed again; `where` has the places of the values that it reads."""
        rows, bias = value.rows, {}
        if value.biases:
            bias = {"W": self.bias[value][0], "L": self.bias[value][1]}

        def emit(name: str, x: Any, y: Buffer, **numbers: Any) -> None:
            self.code.emit(name, rows, x, y, LEAD=ahead, **numbers)

        def move(source: Value, table: Any, add: int) -> None:
            if is_identity(table) and source.rows is rows:
                emit("ADDROW" if add else "PART", where[source], y, X=0)
            else:
                emit("MOVE", where[source], y, RUNS=self.code.runs_of(source, table, value), FLAG=add)

        def multiply(product: Any, at: int, sets: bool) -> None:
            source, table, weight = product
            if self.is_plain(value, product):
                emit("MATMUL", where[source], y, W=at, FLAG=int(not sets))
                return
            if looks_up(product):
                emit("LOOKUP", where[source], y, **self.looking_up(value, product, at))
                return
            self.code.needs_room(rows, source.K, y.K, len(weight[1]))
            name, runs = "LAID" if source.K < THIN else "TAPS", self.code.runs_of(source, table, value)
            emit(name, where[source], y, W=at, RUNS=runs, T=len(weight[1]))

        products, maps = list(self.products[value]), list(value.maps)
        plain = bool(products) and self.is_plain(value, products[0][0])
        if value.rectified and len(products) == 1 and not maps and plain and bias:
            multiply(*products[0], True)
            emit("BIASRELU", None, y, **bias)
            return
        own = next((m for m in maps if is_identity(m[1]) and m[0].rows is rows), None)
        everywhere = next((m for m in maps if (m[1] >= 0).all()), None)
        if own and bias:
            emit("ADDBIAS", where[own[0]], y, **bias)
            maps.remove(own)
        elif bias:
            emit("FILL", None, y, **bias)
        elif plain and not own:
            multiply(*products.pop(0), True)
        elif everywhere:
            move(everywhere[0], everywhere[1], 0)
            maps.remove(everywhere)
        else:
            emit("ZERO", None, y)
        for source, table in maps:
            move(source, table, 1)
        for product in products:
            multiply(*product, False)
        if value.rectified:
            emit("RELU", y, y)

    def is_plain(self, value: Value, product: Any) -> bool:
        """Whether a product reads each slot's own pixel, so that it is one product a row."""
        source, table, _ = product
        return is_identity(table) and source.rows is value.rows and source.K >= THIN and not looks_up(product)

    def looking_up(self, value: Value, product: Any, at: int) -> dict[str, int]:
        """The numbers of an instruction that looks up rows of a weight: a row for each code that a pixel reads."""
        source, table, (_, index) = product
        T, rows, width = index.shape
        numbers = {"W": at, "T": T, "L": rows // source.K, "X": width if value.parts else 0}
        return numbers | {"RUNS": self.code.runs_of(source, table, value)}

    # --- scans --------------------------------------------------------------------------------------------------------

    def _start_states(self, value: Value) -> None:
        """The slots from which h and c start; their gates and c are kept for the way back."""
        rows, K = value.rows, value.K
        gates, c = Buffer(rows, 4 * K), Buffer(rows, K, 0, rows.width)
        self.places.gates[value] = gates, c
        self.states[value] = []
        behind = behind_all(rows)
        for buffer, bias in zip((self.places.at[value], c), value.own.start, strict=True):
            if bias is None:
                self.code.emit("ZERO", behind, None, buffer)
                self.states[value].append(None)
            else:
                place = self.leaves.put_repeated([bias], K)
                self.code.emit("FILL", behind, None, buffer, W=place[0], L=place[1])
                self.states[value].append(place)

    def _cells(self, value: Value) -> None:
        (gates, c), own = self.places.gates[value], value.own
        h, at = self.places.at[value], self.leaves.put(own.weight)
        runs, above = self.code.runs_of(value, own.table, value), self._above(value)
        self.own[value] = at, runs, above
        self.code.together = True  # a step reads the states of the one before: two instructions that go row by row
        self.code.emit("TAPS", value.rows, h, gates, W=at, RUNS=runs, T=len(own.weight[1]))
        self.code.emit("CELLS", value.rows, gates, c, X=h, RUNS=above)
        self.code.together = False
        if self.code.whole:
            self.code.end_group(False)

    def _above(self, value: Value) -> int:
        """Runs of cells and of those that they follow: in place of a tap, the column of the first."""
        rows, above, place = value.rows, value.own.above, len(self.code.at)
        for r in range(rows.steps):
            self.code.at.append(len(self.code.runs))
            first, last = int(rows.start[r]), int(rows.start[r + 1])
            n = first
            while n < last:
                q, m = int(above[n]), n + 1
                while m < last and above[m] == (q if q == rows.slots else q + m - n):
                    m += 1
                step = -1 if q == rows.slots else r - 1
                self.code.runs.append((int(rows.columns[r]) + n - first, n - first, 1, step, 0, q, 1, m - n))
                n = m
        self.code.at.append(len(self.code.runs))
        return place

    # --- pointwise ----------------------------------------------------------------------------------------------------

    def pointwise(self, value: Value, y: Buffer, where: Any, ahead: int, again: bool = False) -> None:
        """A pointwise value, in the forward pass or computed again; `where` has the places of its inputs."""
        emit, rows, kind, name = self.code.emit, value.rows, value.kind, value.kind.upper()
        inputs = [where[source] for source in value.inputs]
        if kind == "concat":
            at = 0
            for x in inputs:
                emit("PART", rows, x, y, X=at, LEAD=ahead, FLAG=1)
                at += x.K
        elif kind in ("prelu", "scale"):
            if not again:
                self.slope[value] = self.leaves.put_repeated([value.weight], value.K)
            emit(name, rows, inputs[0], y, W=self.slope[value][0], L=self.slope[value][1], LEAD=ahead)
        elif kind in ("dropout", "power"):
            if not again:
                self.slope[value] = self._number(value), 0
            emit(name, rows, inputs[0], y, W=self.slope[value][0], LEAD=ahead, **dropped(value))
        elif kind in ("softmax", "layer_norm"):
            if not again:
                self.slope[value] = self._number(value) if kind == "layer_norm" else 0, value.static.get("colours", 1)
            emit(name, rows, inputs[0], y, W=self.slope[value][0], L=self.slope[value][1], LEAD=ahead)
        elif kind == "multiply":
            emit(name, rows, inputs[0], y, inputs[1], LEAD=ahead)
        elif kind == "gate":
            if value in self.places.in_place and again:
                emit("FACTORS", rows, inputs[0], y, LEAD=ahead)
                return
            factors = inputs[0]
            if value not in self.places.in_place:
                factors = self.code.buffer(rows, factors.K, 1 + ahead)
                emit("PART", rows, inputs[0], factors, X=0, LEAD=ahead)
                self.factors[value] = factors
            emit(name, rows, factors, y, LEAD=ahead)
        else:
            emit(name, rows, inputs[0], y, LEAD=ahead)

    def _number(self, value: Value) -> int:
        """The place of a number that an op is given: what dropout multiplies by, an exponent, an epsilon."""
        static = value.static
        if value.kind == "dropout":
            number = 1 / (1 - static["rate"])
        else:
            number = static["exponent"] if value.kind == "power" else static.get("epsilon", EPSILON)
        return self.leaves.put(self.leaves.constant(np.full((1, 1, 1), number)))


def dropped(value: Value) -> dict[str, int]:
    """Which layer draws what a dropout keeps, and from which number on."""
    keep = value.static.get("keep")
    return {} if keep is None else {"X": keep.layer, "T": threshold_of(keep.rate)}


def behind_all(rows: Rows) -> Rows:
    """The slots of start states, as a single step."""
    return Rows(np.array([rows.slots, rows.slots + rows.width]), np.zeros(1, int))
