"""The table of ops in ONNX, with a row for each op.

A row is a function of the graph, the node of the trace, and the op's inputs, in their order. A map is given as the name
of the pixels that the op gathers from it, (N, P, T * K), so that a row need not deal with shifts, strides and masks.
Any other input is given as an array, masked and in the form in which the op computes at a pixel, or as None. The row
returns the name of a value (N, P, K).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel import ops
from minipixel.clock.trace import Node
from minipixel.interop.onnx_graph import Graph
from minipixel.ops.channels import EPSILON
from minipixel.ops.pointwise import GELU_CUBIC, GELU_LINEAR

Row = Callable[..., str]


def _as(kind: str) -> Row:
    """A row for an op that ONNX has, too."""
    return lambda graph, node, x: graph.add(kind, x)


def _each(kind: str) -> Row:
    """A row for an op of two inputs that ONNX has, too, and that are broadcast as in NumPy."""

    def row(graph: Graph, node: Node, x: Any, y: Any) -> str:
        return graph.add(kind, *[value if isinstance(value, str) else _along(graph, value) for value in (x, y)])

    return row


def _along(graph: Graph, array: Any) -> str:
    """Add a number, or one number per channel, that is combined with a map."""
    if any(size != 1 for size in np.shape(array)[:-1]):
        raise ValueError(
            f"to_onnx: got an array of shape {np.shape(array)} beside a map, wanted one along its channels"
        )
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


def _gelu(graph: Graph, node: Node, x: str) -> str:
    square = graph.add("Mul", graph.constant(GELU_CUBIC), graph.add("Mul", x, x))
    inner = graph.add("Mul", x, graph.add("Add", graph.constant(GELU_LINEAR), square))
    return graph.add("Mul", x, graph.add("Sigmoid", inner))


def _colours_apart(graph: Graph, node: Node, x: str) -> tuple[str, Callable[[str], str]]:
    """The channels of a map as (N, P, K / C, C), so that those of a colour stand along one axis, and the way back."""
    colours = node.tensor.call[1].get("colours", 1)
    apart = graph.reshape(x, 0, node.pixels, node.K // colours, colours)
    return apart, lambda y: graph.reshape(y, 0, node.pixels, node.K)


def _softmax(graph: Graph, node: Node, x: str) -> str:
    apart, together = _colours_apart(graph, node, x)
    return together(graph.add("Softmax", apart, axis=2))


def _layer_norm(graph: Graph, node: Node, x: str, gain: Any, bias: Any) -> str:
    apart, together = _colours_apart(graph, node, x)
    centred = graph.add("Sub", apart, graph.add("ReduceMean", apart, axes=[2]))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[2])
    epsilon = graph.constant(node.tensor.call[1].get("epsilon", EPSILON))
    y = together(graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, epsilon))))
    for kind, array in (("Mul", gain), ("Add", bias)):
        y = y if array is None else graph.add(kind, y, graph.constant(array))
    return y


def _concat(graph: Graph, node: Node, x: str, y: str) -> str:
    return graph.add("Concat", x, y, axis=2)


def _one_hot(graph: Graph, node: Node, x: str) -> str:
    codes = graph.add("Cast", x, to=_int64())
    depth, numbers = graph.constant(node.tensor.call[1]["levels"], np.int64), graph.constant([0, 1])
    return graph.reshape(graph.add("OneHot", codes, depth, numbers), 0, node.pixels, node.K)


def _embedding(graph: Graph, node: Node, x: str, rows: Any) -> str:
    """Stack the tables of all channels, (Q, C*E), and look up the row of each code in its table."""
    C, Q, E = node.tensor.inputs[1].shape
    table = np.asarray(rows).reshape(Q, C, E).transpose(1, 0, 2).reshape(C * Q, E)
    codes = graph.add("Add", graph.add("Cast", x, to=_int64()), graph.constant(Q * np.arange(C), np.int64))
    return graph.reshape(graph.add("Gather", graph.constant(table), codes, axis=0), 0, node.pixels, node.K)


def _int64() -> int:
    from onnx import TensorProto

    return TensorProto.INT64


def _lstm_scan(graph: Graph, node: Node, z: str, weight: Any, h0: Any, c0: Any) -> str:
    """ONNX's Scan over the rows of the map; it passes on the states h and c of a row, (N, W, K) each."""
    (H, W), K, static = node.local.size, node.K, node.tensor.call[1]
    starts = [np.zeros(K) if state is None else state for state in (h0, c0)]
    graph.starts[node] = starts[0]
    first = [graph.of_every_image(graph.constant(np.tile(state, (1, W, 1))), 1, W, K) for state in starts]
    rows = [graph.reshape(z, 0, H, W, 4 * K)]
    if static.get("spans") is not None:
        assert node.own is not None
        rows.append(graph.constant(node.own.inside.reshape(H, W, 1), bool))
    body = _one_row(graph, node, weight, starts, static["taps"], len(rows) == 2)
    axes = {"scan_input_axes": [1, 0][: len(rows)], "scan_output_axes": [1]}
    states = graph.add("Scan", *first, *rows, outputs=3, body=body, num_scan_inputs=len(rows), **axes)[2]
    return graph.reshape(states, 0, H * W, K)


def _one_row(graph: Graph, node: Node, weight: Any, starts: Any, taps: Any, some_outside: bool) -> Any:
    """The graph that Scan runs: h, c, a row of z and, if some lie outside, which cells lie inside -> h, c, and h."""
    from onnx import TensorProto, helper

    W, K = node.local.size[1], node.K
    left, right = max(0, -min(taps)), max(0, *taps)
    outer, graph.nodes = graph.nodes, []
    h, c, z, inside = (graph.name(of) for of in ("h", "c", "z", "inside"))
    margins = graph.add("Pad", h, graph.constant([0, left, 0, 0, right, 0], np.int64))
    index = graph.constant(left + np.arange(W)[:, None] + np.array(taps), np.int64)
    seen = graph.reshape(graph.add("Gather", margins, index, axis=1), 0, W, len(taps) * K)
    gates = graph.add("Add", z, graph.add("MatMul", seen, graph.constant(weight)))
    o, f, i, g = graph.add("Split", gates, graph.constant([K] * 4, np.int64), outputs=4, axis=2)
    kept = graph.add("Mul", graph.add("Sigmoid", f), c)
    new_c = graph.add("Add", kept, graph.add("Mul", graph.add("Sigmoid", i), graph.add("Tanh", g)))
    new_h = graph.add("Mul", graph.add("Sigmoid", o), graph.add("Tanh", new_c))
    if some_outside:  # those hold the start state
        new_h, new_c = (
            graph.add("Where", inside, new, graph.constant(start))
            for new, start in zip((new_h, new_c), starts, strict=True)
        )
    made = new_h, new_c, graph.add("Identity", new_h)
    body, graph.nodes = graph.nodes, outer

    def real(name: str, k: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", W, k])

    inputs = [real(h, K), real(c, K), real(z, 4 * K)]
    if some_outside:
        inputs.append(helper.make_tensor_value_info(inside, TensorProto.BOOL, [W, 1]))
    return helper.make_graph(body, f"a row of {node.name}", inputs, [real(name, K) for name in made])


# The one table: of every op that may stand on the way from image to parameters. An op of one's own may be added.
ROWS: dict[Any, Row] = {
    ops.linear: _product,
    ops.conv2d: _product,
    ops.transposed_conv2d: _product,
    ops.lstm_scan: _lstm_scan,
    ops.one_hot: _one_hot,
    ops.embedding: _embedding,
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
    ops.gelu: _gelu,
    ops.softmax: _softmax,
    ops.layer_norm: _layer_norm,
    ops.gate: _gate,
    ops.linear_gate: _linear_gate,
    ops.concat: _concat,
}
