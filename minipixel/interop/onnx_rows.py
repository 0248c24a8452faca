"""What an op is in ONNX: a row for each.

A row is a function of the graph, the node of the trace, and the op's inputs, in their order: a map as the name of what
the op gathers of it, (N, P, T * K) (so that a shift, a stride, a mask are none of its business), and anything else as
an array, masked and in the form in which the op computes at a pixel, or None. It returns the name of a value (N, P, K).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.clock.trace import Node
from minipixel.interop.onnx_graph import Graph

Row = Callable[..., str]


def _as(kind: str) -> Row:
    """An ONNX operator that is the same."""
    return lambda graph, node, x: graph.add(kind, x)


def _each(kind: str) -> Row:
    """An ONNX operator of two inputs that are spread over each other as in NumPy."""

    def row(graph: Graph, node: Node, x: Any, y: Any) -> str:
        return graph.add(kind, *[value if isinstance(value, str) else _along(graph, value) for value in (x, y)])

    return row


def _along(graph: Graph, array: Any) -> str:
    """A number, or one a channel, beside a map."""
    if any(size != 1 for size in np.shape(array)[:-1]):
        raise ValueError(f"to_onnx: got an array of shape {np.shape(array)} beside a map, wanted one along its channels")
    return graph.constant(np.ravel(array))


def _product(graph: Graph, node: Node, x: str, weight: Any, bias: Any) -> str:
    y = graph.add("MatMul", x, graph.constant(weight))
    return y if bias is None else graph.add("Add", y, graph.constant(bias))


def _power(graph: Graph, node: Node, x: str) -> str:
    return graph.add("Pow", x, graph.constant(node.tensor.call[1]["exponent"]))


def _prelu(graph: Graph, node: Node, x: str, slope: Any) -> str:
    return graph.add("PRelu", x, graph.constant(slope))


def _halves(graph: Graph, node: Node, x: str) -> Any:
    return graph.add("Split", x, graph.constant([node.K, node.K], np.int64), outputs=2, axis=2)


def _gate(graph: Graph, node: Node, x: str) -> str:
    a, b = _halves(graph, node, x)
    return graph.add("Mul", graph.add("Tanh", a), graph.add("Sigmoid", b))


def _linear_gate(graph: Graph, node: Node, x: str) -> str:
    a, b = _halves(graph, node, x)
    return graph.add("Mul", a, graph.add("Sigmoid", b))


def _concat_elu(graph: Graph, node: Node, x: str) -> str:
    return graph.add("Concat", graph.add("Elu", x), graph.add("Elu", graph.add("Neg", x)), axis=2)


def _concat(graph: Graph, node: Node, x: str, y: str) -> str:
    return graph.add("Concat", x, y, axis=2)


def _lstm_scan(graph: Graph, node: Node, z: str, weight: Any, h0: Any, c0: Any) -> str:
    """Scan, row after row of the map, whose states h and c are those of a row: (N, W, K) each."""
    from onnx import TensorProto, helper

    (H, W), K, static = node.local.size, node.K, node.tensor.call[1]
    taps = static["taps"]
    left, right = max(0, -min(taps)), max(0, *taps)
    starts = [np.zeros(K) if state is None else state for state in (h0, c0)]
    graph.starts[node] = starts[0]
    first = [graph.of_every_image(graph.constant(np.tile(state, (1, W, 1))), 1, W, K) for state in starts]
    rows = [graph.reshape(z, 0, H, W, 4 * K)]

    before, graph.nodes = graph.nodes, []
    names = [graph._name(name) for name in ("h", "c", "z", "inside")]
    h, c, z_of_row, inside = names
    around = graph.add("Pad", h, graph.constant([0, left, 0, 0, right, 0], np.int64))
    index = left + np.arange(W)[:, None] + np.array(taps)
    told = graph.reshape(graph.add("Gather", around, graph.constant(index, np.int64), axis=1), 0, W, len(taps) * K)
    gates = graph.add("Add", z_of_row, graph.add("MatMul", told, graph.constant(weight)))
    o, f, i, g = graph.add("Split", gates, graph.constant([K] * 4, np.int64), outputs=4, axis=2)
    kept = graph.add("Mul", graph.add("Sigmoid", f), c)
    new_c = graph.add("Add", kept, graph.add("Mul", graph.add("Sigmoid", i), graph.add("Tanh", g)))
    new_h = graph.add("Mul", graph.add("Sigmoid", o), graph.add("Tanh", new_c))
    if static.get("spans") is not None:  # what lies outside holds the start state
        new_h, new_c = (graph.add("Where", inside, new, graph.constant(s)) for new, s in zip((new_h, new_c), starts))
    out = graph.add("Identity", new_h)
    body, graph.nodes = graph.nodes, before

    state, row = ["N", W, K], ["N", W, 4 * K]
    real, logical = TensorProto.FLOAT, TensorProto.BOOL
    inputs = [(h, real, state), (c, real, state), (z_of_row, real, row)]
    if static.get("spans") is not None:
        inputs.append((inside, logical, [W, 1]))
        rows.append(graph.constant(node.own.inside.reshape(H, W, 1), bool))  # type: ignore[union-attr]
    outputs = [(name, real, state) for name in (new_h, new_c, out)]
    of_row = helper.make_graph(
        body, f"a row of {node.name}", *[[helper.make_tensor_value_info(*of) for of in all_] for all_ in (inputs, outputs)]
    )
    _, _, states = graph.add(
        *("Scan", *first, *rows),
        **{"outputs": 3, "body": of_row, "num_scan_inputs": len(rows), "scan_output_axes": [1]},
        scan_input_axes=[1, 0][: len(rows)],
    )
    return graph.reshape(states, 0, H * W, K)


# The one table: of every op that may stand on the way from image to parameters. An op of one's own may be added.
ROWS: dict[Any, Row] = {
    ops.linear: _product,
    ops.conv2d: _product,
    ops.transposed_conv2d: _product,
    ops.lstm_scan: _lstm_scan,
    ops.add: _each("Add"),
    ops.overlay: _each("Add"),  # each map shows zeros where the other has its pixels
    ops.multiply: _each("Mul"),
    ops.power: _power,
    ops.exp: _as("Exp"),
    ops.log: _as("Log"),
    ops.tanh: _as("Tanh"),
    ops.sigmoid: _as("Sigmoid"),
    ops.relu: _as("Relu"),
    ops.prelu: _prelu,
    ops.elu: _as("Elu"),
    ops.concat_elu: _concat_elu,
    ops.gate: _gate,
    ops.linear_gate: _linear_gate,
    ops.concat: _concat,
}
