"""Fusion groups: which values go through their rows together, what is stored of each, and what is computed again.

Neighbouring values with the same rows form a group, as long as none reads a row below its own in another: then one row
of all of them can be computed before the next row, while their results are still in the cache. A value that only its
group reads needs no whole map. In the backward pass pointwise values are rematerialised, that is computed again from
their inputs just before they are needed, which takes less time than fetching them from memory. The same is done with
sums that read only their own pixel and take few multiplications; this halves the maps that a tower of residual blocks
stores.
"""

from typing import Any

from minipixel.plan.code import Code
from minipixel.plan.memory import Buffer
from minipixel.plan.value import POINTWISE, READS_X, READS_Y, Value, is_identity, looks_up, span
from minipixel.plan.values import Values

BUDGET = 2**17
"""How many numbers the weights of a group may have, so that they stay in the second cache from row to row."""


def cut(values: list[Value]) -> list[list[Value]]:
    """The groups of values; each value gets the number of its group, except inputs."""
    groups: list[list[Value]] = []
    weights = 0
    for value in values:
        if value.kind == "input":
            continue
        read_whole = [product for product in value.products if not looks_up(product)]
        own, last = sum(index.size for _, _, (_, index) in read_whole), groups[-1] if groups else []
        fits = last and last[0].rows is value.rows and weights + own <= BUDGET
        if not fits or not all(_goes_with(value, source, table, last) for source, table in value.sources()):
            groups.append(_taken_along(value, last))
            weights = 0
        groups[-1].append(value)
        weights += own
    groups = [group for group in groups if group]
    for number, group in enumerate(groups):
        for value in group:
            value.group = number
    return groups


def _taken_along(value: Value, group: list[Value]) -> list[Value]:
    """Pointwise values that a value is the first to read leave the last group with it: no map of them is stored.

    Not those of which it reads a row below its own.
    """
    taken: list[Value] = []
    stack = [source for source, table in value.sources() if span(source, table, value)[1] <= 0]
    while stack:
        source = stack.pop()
        alone = source.kind in POINTWISE and source.rows is value.rows and source in group and source not in taken
        if alone and not any(reader in group and reader not in taken for reader, _ in source.readers):
            taken.append(source)
            stack += source.inputs
    for source in taken:
        group.remove(source)
    return sorted(taken, key=lambda source: source.number)


def _goes_with(value: Value, source: Value, table: Any, group: list[Value]) -> bool:
    """Whether a value may join a group as a reader of that source.

    It must not read a row below its own of it. And where others in the group read it, too, gradients have to be added
    to it in one order, whether all rows of one reader come first or all readers of one row: so that the bits are the
    same row by row and map by map.
    """
    lowest = span(source, table, value)[1]
    others = [span(source, t, reader)[0] for reader, t in source.readers if reader in group]
    return (source not in group or lowest <= 0) and not (source.learns and any(lowest > other for other in others))


class Places:
    """The place of each value in the forward pass and, with `back`, in the backward pass.

    `at` has the buffer of each value, and `again` that of a value that is computed again, as many rows `ahead` of its
    own as its readers look up. `gradient_ring` is how many rows of its gradient are needed at once, 0 for all.
    """

    def __init__(self, code: Code, values: Values, back: bool) -> None:
        self.at: dict[Value, Buffer] = {}
        self.again: dict[Value, Buffer] = {}
        self.ahead: dict[Value, int] = {}
        self.gradient_ring: dict[Value, int] = {}
        self.in_place: set[Value] = set()  # gates whose factors stand where their input stood
        self.gates: dict[Value, tuple[Buffer, Buffer]] = {}  # of scans: their gates, and c
        above, outside = {}, {}
        for value in values.values:
            spans = [span(value, t, reader)[0] for reader, t in value.readers if reader.group == value.group]
            above[value] = -int(min([0, *spans]))
            outside[value] = value is values.out or any(reader.group != value.group for reader, _ in value.readers)
            if value.kind == "gate" and (x := value.inputs[0]).kind == "sum" and _only(x, value):
                self.in_place.add(value)
        asked: set[Value] = set()
        self.computed_again: set[Value] = set()
        overwritten = {value.inputs[0] for value in self.in_place}
        standing: set[Value] = set()  # what sums that are computed again are computed from
        for value in reversed(values.values):
            needed = back and (value in asked or _needed(value))
            again = value.kind in POINTWISE and all(source.rows is value.rows for source in value.inputs)
            again = needed and again and not outside[value]
            if needed and value.kind == "sum" and value not in standing and value not in overwritten:
                again = _is_cheap(value)
            whole = value.group < 0 or outside[value] or value.kind == "scan" or (needed and not again)
            extra = value.rows.width if value.kind == "scan" else 0
            self.at[value] = code.buffer(value.rows, value.K, 0 if whole else 1 + above[value], extra)
            if again:
                self.computed_again.add(value)
                asked.update(source for source, _ in value.sources())
                if value.kind == "sum":
                    standing |= _stored(value)
            if value.learns and back:
                started = (
                    value.kind == "scan" and value.own.start[0] is not None
                )  # its gradient stands behind all others
                self.gradient_ring[value] = 0 if outside[value] or started else 1 + above[value]
        if back:
            self._compute_again(code, values)
        self._drop_in_place(code, values)

    def _compute_again(self, code: Code, values: Values) -> None:
        self.ahead = dict.fromkeys(values.values, 0)
        for value in reversed(values.values):
            if value.kind in ("sum", "scan"):
                for source, table, _ in value.products:
                    if source in self.computed_again:
                        self.ahead[source] = max(self.ahead[source], -int(span(source, table, value)[0]))
            if value in self.computed_again:
                for source, _ in value.sources():
                    self.ahead[source] = max(self.ahead[source], self.ahead[value])
        for value in self.computed_again:
            self.again[value] = code.buffer(value.rows, value.K, 1 + self.ahead[value])

    def _drop_in_place(self, code: Code, values: Values) -> None:
        """Compute dropout in place, where a rectifier's sign can still be seen afterwards."""
        for value in values.values:
            x = value.inputs[0] if value.kind == "dropout" else None
            if x is None or not _only(x, value) or code.whole:
                continue
            if x.rectified and self.at[x].ring == 0:
                self.at[value] = self.at[x]
                self.computed_again.discard(value)
            elif x.kind in READS_X and x in self.computed_again and value in self.computed_again:
                self.at[x], self.again[x] = self.at[value], self.again[value]

    def standing(self, value: Value) -> Buffer:
        """The place of a value in the backward pass."""
        return self.again[value] if value in self.computed_again else self.at[value]


def _only(x: Value, reader: Value) -> bool:
    return [r for r, _ in x.readers] == [reader] and x.group == reader.group


def _is_cheap(value: Value) -> bool:
    """Whether a sum is computed again: of its own pixel alone, from maps that are stored in any case, in its group.

    With no more than K multiplications per number that takes a few per cent of a step, and saves a map.
    """
    own = all(is_identity(table) and source.rows is value.rows for source, table in value.sources())
    sources = _stored(value)
    stored = all(len(source.readers) > 1 or _needed(source) for source in sources)
    here = all(reader.group == value.group or _only_adds(value, reader) for reader, _ in value.readers)
    return own and stored and here and sum(source.K for source, _, _ in value.products) <= value.K


def _only_adds(value: Value, reader: Value) -> bool:
    """Whether a reader only adds a value, and so does not need it in the backward pass."""
    return reader.kind in ("sum", "scan") and all(source is not value for source, _, _ in reader.products)


def _stored(value: Value) -> set[Value]:
    """What a sum is computed from, by way of pointwise values, which need no map."""
    found, stack = set(), [source for source, _ in value.sources()]
    while stack:
        source = stack.pop()
        stack += source.inputs
        if source.kind not in POINTWISE:
            found.add(source)
    return found


def _needed(value: Value) -> bool:
    """Whether the backward pass reads a value."""
    if value.rectified or value.kind in READS_Y or value.kind == "scan":
        return True
    products = any(source is value for reader, _ in value.readers for source, _, _ in reader.products)
    return products or any(reader.kind in READS_X and value in reader.inputs for reader, _ in value.readers)
