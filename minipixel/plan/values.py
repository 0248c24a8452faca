"""A traced model as values: sums, pointwise values and scans, each computed one row of pixels after another.

Everything that is only added up is one value, a `sum`: biases, products with weights, other maps. A sum with a single
reader is computed where it is read, even if ops that move pixels are between: a residual block's `x + widen(...)` is
one value, and the input of an LSTM is added directly to its gates, even if it is skewed or mirrored. A rectifier of a
sum with no other reader is computed in place.

Pixels are in `slots`, in the order in which they are computed: the pixels of a map row by row, the cells of a scan step
by step. A reader of a map has a table (S, T) with the slot of the map that each of its S slots reads through each of T
taps, -1 for none.
"""

from typing import Any

import numpy as np

from minipixel.ops import OPS
from minipixel.ops.local import START, Whole
from minipixel.plan.value import (
    INPUTS,
    OTHER_WIDTH,
    POINTWISE,
    Rows,
    Scan,
    Value,
    gate_order,
    is_identity,
)
from minipixel.plan.weights import Leaves, UnplannedError


class Values:
    """The values of a trace, each after those that it reads; `of` has the value of a node.

    `together` is how many pixels a step should have at least, where several rows of a map may form a step.
    """

    def __init__(self, trace: Any, together: int) -> None:
        self.trace, self.together = trace, together
        self.leaves, self.values, self.of = Leaves(trace.condition), [], {}  # type: ignore[var-annotated]
        self._rows: dict[Any, Rows] = {}
        self._uses: dict[Any, int] = {}
        self._codes: dict[Any, tuple[Value, np.ndarray]] = {}  # of one-hot nodes: whose codes, and where they stand
        self._scanned = {node.size for node in trace.nodes if node.own is not None and node.own.inside.all()}
        for node in trace.nodes:
            for source, _ in node.reads:
                self._uses[source] = self._uses.get(source, 0) + 1
        output = trace.output
        self._uses[output.node] = self._uses.get(output.node, 0) + 1
        for node in trace.nodes:
            if node.local is None:
                learns = node.constant and self.leaves.learns(node.tensor)
                self.of[node] = self._append(Value("input", node.K, self.rows(node), node.name, learns))
            else:
                self.of[node] = self._value(node)
        self.out = self.of[output.node]
        self.out_slots = self.seen(output.node, output.index)
        self._drop_unread()
        of_image = {id(self.of[trace.image])}
        for value in self.values:
            if any(id(source) in of_image for source, _ in value.sources()):
                of_image.add(id(value))
        self.values.sort(key=lambda value: id(value) in of_image)  # first what comes of the condition alone
        self.values = _late(self.values)
        for number, value in enumerate(self.values):
            value.number = number
        for value in self.values:
            for source, table in value.sources():
                source.readers.append((value, table))
            if value.own is not None:
                value.readers.append((value, value.own.table))

    # --- where pixels stand -------------------------------------------------------------------------------------------

    def rows(self, node: Any) -> Rows:
        """The steps of a node's values."""
        (H, W), own = node.size, node.own
        key = (H, W, None if own is None or own.inside.all() else own.inside.tobytes())
        if key not in self._rows:
            if key[2] is None:
                some = W * (1 if (H, W) in self._scanned else max(1, self.together // max(1, W)))
                start = np.array([*range(0, H * W, max(1, some)), H * W])
                columns = np.zeros(len(start) - 1, int)
            else:
                inside = own.inside.reshape(H, W)
                start, columns = np.concatenate([[0], np.cumsum(inside.sum(axis=1))]), inside.argmax(axis=1)
            self._rows[key] = Rows(start, columns)
        return self._rows[key]

    @staticmethod
    def slots(node: Any) -> np.ndarray:
        """The slot of each pixel of a node; -1 for one that a scan does not compute."""
        if node.own is None:
            return np.arange(node.pixels)
        return np.where(node.own.inside, np.cumsum(node.own.inside) - 1, -1)

    def table(self, node: Any, source: Any, look: Any) -> np.ndarray:
        """The slots of the source that each slot of the node reads: (S, T)."""
        return self.seen(source, look.index if node.own is None else look.index[node.own.inside])

    def seen(self, source: Any, index: np.ndarray) -> np.ndarray:
        """The slots of the source at pixels, or at START: that is zero, or the first of those that hold h0."""
        found = np.where(index >= 0, self.slots(source)[np.maximum(index, 0)], -1)
        started = source.own is not None and source.tensor.inputs[2] is not None
        return np.where(index == START, int(source.own.inside.sum()), found) if started else found

    # --- one node -----------------------------------------------------------------------------------------------------

    def _append(self, value: Value) -> Value:
        self.values.append(value)
        return value

    def _value(self, node: Any) -> Value:
        op, static = node.tensor.call
        kind, looks = node.local.kind, [(source, look, self.table(node, source, look)) for source, look in node.reads]
        if op is not OPS.get(op.__name__):
            raise UnplannedError(f"{op.__name__}, an op of your own, in {node.name}")
        given = zip(node.tensor.inputs, node.local.inputs, strict=True)
        wholes = [(tensor, whole) for tensor, whole in given if isinstance(whole, Whole)]
        value = Value("sum", node.K, self.rows(node), node.name, True)
        if kind == "one_hot":
            return self._one_hot(node, *looks[0])
        if kind != "linear" and any(source in self._codes for source, _, _ in looks):
            raise UnplannedError(f"{kind} of one-hot levels in {node.name}")
        if kind == "linear":
            (source, _, table), ((tensor, whole), (bias, _)) = looks[0], wholes
            if table.shape[1]:  # a mask may leave no tap open
                weight = self.leaves.weight(tensor, whole, table.shape[1], source.K)
                found, at = self._codes.get(source, (self.of[source], None))
                table = table if at is None else np.where(table >= 0, at[table], -1)
                value.products.append((found, table, weight))
            if bias is not None:
                value.biases.append(self.leaves.bias(bias, node.K))
        elif kind == "embedding":
            (source, _, table), ((tensor, _),) = looks[0], wholes
            self._assert_codes(node, source, table)
            C, Q, _ = tensor.shape
            value.products.append((self.of[source], table, self.leaves.weight(tensor, Whole(), 1, C * Q)))
            value.parts = C > 1
        elif kind == "add":
            for source, _, table in looks:
                self._add(value, source, table)
            value.biases += [self.leaves.bias(tensor, node.K) for tensor, _ in wholes]
        elif kind == "lstm_scan":
            value.kind = "scan"
            self._scan(value, node, looks[0], wholes)
        else:
            return self._pointwise(node, value, kind, looks, wholes, static)
        value.learns = value.kind == "scan" or self._learns(value)
        return self._append(value)

    def _one_hot(self, node: Any, source: Any, _: Any, table: np.ndarray) -> Value:
        """One-hot levels, which are never stored: a product with a weight looks up rows of the weight."""
        self._assert_codes(node, source, table)
        self._codes[node] = self.of[source], table[:, 0]
        return self.of[source]

    def _assert_codes(self, node: Any, source: Any, table: np.ndarray) -> None:
        """UnplannedError unless a node reads codes of the image: what an op has computed need not be a whole number."""
        if source is not self.trace.image or (table < 0).any():
            raise UnplannedError(f"codes that are not the image's in {node.name}")

    def _learns(self, value: Value) -> bool:
        weights = [weight for _, _, weight in value.products] + value.biases
        weights += [] if value.weight is None else [value.weight]
        return any(self.leaves.is_trained(leaf) for leaf, _ in weights) or any(s.learns for s, _ in value.sources())

    def _add(self, value: Value, source: Any, table: np.ndarray) -> None:
        """Add a term to a sum: the source's slots at `table`; a single channel is added to all channels."""
        if source.K != value.K:
            ones = self.leaves.constant(np.ones((1, 1, value.K)))
            value.products.append((self.of[source], table, ones))
        elif not self._absorb(value, source, table):
            value.maps.append((self.of[source], table))

    def _absorb(self, value: Value, source: Any, table: np.ndarray) -> bool:
        """Compute a sum with a single reader where it is read, through `table`, which may move its pixels."""
        other = self.of[source]
        alone = self._uses[source] == 1 and other.kind == "sum" and not other.rectified and not other.parts
        repeated = len(table) > other.rows.slots and other.products  # what is told all pixels alike is computed once
        if not alone or repeated or (other.biases and (table < 0).any()):
            return False
        move = table[:, 0]
        value.products += [(s, np.where(move[:, None] >= 0, t[move], -1), w) for s, t, w in other.products]
        value.maps += [(s, np.where(move[:, None] >= 0, t[move], -1)) for s, t in other.maps]
        value.biases += other.biases
        self.values.remove(other)
        return True

    def _pointwise(self, node: Any, value: Value, kind: str, looks: Any, wholes: Any, static: Any) -> Value:
        if kind == "multiply" and wholes:
            kind = "scale"
        if kind not in POINTWISE or (len(looks), len(wholes)) != INPUTS.get(kind, (1, 0)):
            raise UnplannedError(f"{kind} as it stands in {node.name}")
        value.kind, value.static = kind, static
        if kind == "layer_norm":
            return self._layer_norm(node, value, looks[0], wholes)
        for source, _, table in looks:
            value.inputs.append(self._moved(node, source, table, source.K if kind in OTHER_WIDTH else node.K))
        if wholes:
            value.weight = self.leaves.bias(wholes[0][0], node.K)
        x = value.inputs[0]
        if kind == "relu" and x.kind == "sum" and not x.rectified and (self._uses[looks[0][0]] == 1 or x.moves):
            x.rectified = True
            return x
        value.learns = self._learns(value)
        return self._append(value)

    def _layer_norm(self, node: Any, value: Value, look: Any, wholes: Any) -> Value:
        """A normalised map, times a gain, plus a bias: up to three values."""
        source, _, table = look
        value.inputs.append(self._moved(node, source, table, node.K))
        value.learns = self._learns(value)
        self._append(value)
        for kind, (tensor, _) in zip(("scale", "sum"), wholes, strict=True):
            if tensor is None:
                continue
            before, value = value, Value(kind, node.K, self.rows(node), node.name)
            weight = self.leaves.bias(tensor, node.K)
            if kind == "scale":
                value.inputs, value.weight = [before], weight
            else:
                value.maps, value.biases = [(before, np.arange(before.rows.slots)[:, None])], [weight]
            value.learns = self._learns(value)
            self._append(value)
        return value

    def _moved(self, node: Any, source: Any, table: np.ndarray, K: int) -> Value:
        """The input of a pointwise value: the source, or a copy with moved pixels or with its one channel repeated."""
        if is_identity(table) and self.of[source].rows is self.rows(node) and source.K == K:
            return self.of[source]
        copy = Value("sum", K, self.rows(node), node.name)
        copy.moves = True
        self._add(copy, source, table)
        copy.learns = self._learns(copy)
        return self._append(copy)

    def _scan(self, value: Value, node: Any, z: Any, wholes: Any) -> None:
        """An LSTM: inputs of its gates are added in place; cells of more than LANES channels need another order."""
        (tensor, whole), *start = wholes
        source, _, table = z
        K, order = node.K, gate_order(node.K)
        if not self._absorb(value, source, table):
            value.maps.append((self.of[source], table))
        if (order != np.arange(4 * K)).any():
            eye = self.leaves.constant(np.eye(4 * K)[None])
            value.products += [(s, t, eye) for s, t in value.maps]
            value.maps = []
            value.products = [(s, t, (leaf, index[..., order])) for s, t, (leaf, index) in value.products]
            value.biases = [(leaf, index[order]) for leaf, index in value.biases]
        inside, slots, P = node.own.inside, self.slots(node), int(node.own.inside.sum())
        started = [tensor is not None for tensor, _ in start]

        def place(index: np.ndarray, from_start: bool) -> np.ndarray:
            """Slots of states; the start state stands from P on, once for each column, -1 where nobody reads it."""
            found = np.where(index >= 0, slots[np.maximum(index, 0)], -1)
            return np.where((index == START) & from_start, P, found)[inside]

        own = place(node.own.index, started[0])
        leaf, index = self.leaves.weight(tensor, whole, own.shape[1], K)
        above = place(node.own.above, True)
        states = [None if tensor is None else self.leaves.bias(tensor, K) for tensor, _ in start]
        value.own = Scan(own, (leaf, index[..., order]), above, states)

    def _drop_unread(self) -> None:
        """Leave out values that the output does not depend on."""
        needed, stack = {id(self.out)}, [self.out]
        while stack:
            for source, _ in stack.pop().sources():
                if id(source) not in needed:
                    needed.add(id(source))
                    stack.append(source)
        self.values = [value for value in self.values if id(value) in needed or value.kind == "input"]


def _late(values: list[Value]) -> list[Value]:
    """The values with every pointwise one right before its first reader, so that it need not be stored for long."""
    late: list[Value] = []
    for value in reversed(values):
        place = 0
        if value.kind in POINTWISE:
            place = next((n for n, other in enumerate(late) if any(s is value for s, _ in other.sources())), 0)
        late.insert(place, value)
    return late
