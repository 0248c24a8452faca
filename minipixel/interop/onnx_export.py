"""A forward pass as an ONNX file: the ops of a model's trace, one by one."""

import json
import os
from typing import Any

import numpy as np

from minipixel.clock.trace import Node, Trace
from minipixel.files import write_atomically
from minipixel.interop.onnx_graph import IR_VERSION, OPSET, Graph
from minipixel.interop.onnx_rows import ROWS
from minipixel.models import Model
from minipixel.models.host_copy import on_host
from minipixel.ops.local import Look, Whole
from minipixel.sampling.program import evaluator
from minipixel.shown import short
from minipixel.spelling import spelled

LARGEST = 2**31 - 1
"""How many bytes one ONNX file may have."""


@spelled
def to_onnx(model: Model, path: str | os.PathLike[str]) -> None:
    """Write the forward pass of a model as an ONNX file, which takes integer images and returns the head's parameters.

    The inputs are `images`, uint8 (uint16 above 256 levels) (N, H, W, C); for a model with classes also `labels`, int64
    (N,); and for a model with another condition also `condition`, float32 (N, K), (N,) or (N, H, W, K). The output is
    `parameters`, float32 (H, W, N, P), as `predict` returns them. N is free. Everything is computed in float32,
    whatever the model's dtype. The configuration is in the file's metadata, under "minipixel".

    Raises ValueError, with the name of the op, for a model with an op that has no row in `mp.interop.ROWS`; ImportError
    without onnx: pip install "minipixel[onnx]".
    """
    if not isinstance(model, Model):
        raise ValueError(f"model: got {short(model)}, wanted a model of minipixel, as mp.load gives it")
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to_onnx: onnx is missing; pip install "minipixel[onnx]"') from error
    model = on_host(model)
    model.check_finite()
    proto = _proto(model)
    if (size := proto.ByteSize()) > LARGEST:
        raise ValueError(f"{path}: got a graph of {size} bytes, wanted at most {LARGEST}, as ONNX files can have")
    onnx.checker.check_model(proto, full_check=True)
    write_atomically(path, proto.SerializeToString())


def _proto(model: Model) -> Any:
    """The model as an onnx.ModelProto."""
    from onnx import helper

    trace, graph = Trace(model, with_condition=True), Graph()
    evaluate = evaluator(trace, model, None)
    inputs = _inputs(model, trace, graph)
    for node in trace.nodes:
        if node not in graph.values:
            graph.prefix = node.name
            graph.values[node] = _translated(node, graph, evaluate)
    graph.prefix = "the output"
    output, P = trace.output, trace.output.node.K
    H, W = trace.size
    of_pixels = graph.read(output.node, Look(output.index[:, None], np.eye(P, dtype=bool)))
    last = graph.add("Transpose", graph.reshape(of_pixels, 0, H, W, P), perm=[1, 2, 0, 3])
    graph.nodes[-1].output[0] = "parameters"
    assert last not in graph.values.values()
    made = helper.make_graph(
        graph.nodes,
        type(model).__name__,
        inputs,
        [_typed("parameters", np.float32, H, W, "N", P)],
        list(graph.constants.values()),
        doc_string=f"{model.describe()}: integer images -> the parameters of its head, channels last",
    )
    proto = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="minipixel", ir_version=IR_VERSION
    )
    helper.set_model_props(proto, {"minipixel": json.dumps(model.config)})
    return proto


def _translated(node: Node, graph: Graph, evaluate: Any) -> str:
    """Add a node of the trace to the graph, and return its name there. Raises ValueError for an op without a row."""
    if node.constant:
        numbers = np.asarray(evaluate(node.tensor)).transpose(2, 0, 1, 3)  # (1, H, W, K)
        value = graph.constant(numbers.reshape(1, node.pixels, node.K))
        return graph.of_every_image(value, 1, node.pixels, node.K)
    op = node.tensor.call[0]
    row = ROWS.get(op)
    if row is None:
        raise ValueError(
            f"to_onnx: got {node.name}, an op without a row, wanted those of mp.interop.ROWS; give it one: "
            f"mp.interop.ROWS[{op.__name__}] = lambda graph, node, x: graph.add(...), see interop/onnx_rows.py"
        )
    reads = iter(node.reads)
    given = [
        graph.read(*next(reads)) if isinstance(kind, Look) else _shaped(kind, evaluate(source))
        for source, kind in zip(node.tensor.inputs, node.local.inputs, strict=True)
    ]
    return row(graph, node, *given)


def _shaped(kind: Whole, value: Any) -> Any:
    return None if value is None else kind.shaped(value)


def _inputs(model: Model, trace: Trace, graph: Graph) -> list[Any]:
    """The inputs of the graph, and their conversion to the image and the condition that `forward` gets."""
    (H, W, C), conditions = model.image_shape, model.conditions
    graph.prefix = "the image"
    graph.count_images("images")
    levels = graph.add("Cast", graph.reshape("images", 0, H * W, C), to=_type(np.float32))
    if model.inputs == "scaled":
        scaled = graph.add("Mul", levels, graph.constant(2 / (model.levels - 1)))
        levels = graph.add("Add", scaled, graph.constant(-1))
    graph.values[trace.image] = levels
    inputs = [_typed("images", np.uint8 if model.levels <= 256 else np.uint16, "N", H, W, C)]
    if trace.condition is None:
        return inputs

    graph.prefix = "the condition"
    (told,) = [node for node in trace.nodes if node.tensor is trace.condition]
    parts = []
    if conditions.num_classes:
        inputs.append(_typed("labels", np.int64, "N"))
        depth, numbers = graph.constant(conditions.num_classes, np.int64), graph.constant([0, 1])
        hot = graph.reshape(graph.add("OneHot", "labels", depth, numbers), 0, 1, conditions.num_classes)
        parts.append(hot)
    if conditions.shape is not None:
        inputs.append(_typed("condition", np.float32, "N", *conditions.shape))
        K = (1, *conditions.shape)[-1]
        parts.append(graph.reshape("condition", 0, told.pixels if len(conditions.shape) == 3 else 1, K))
    if len(parts) == 2:  # all pixels are told the label alike
        size = graph.constant([1, told.pixels, 1], np.int64)
        parts = [graph.add("Concat", graph.add("Expand", parts[0], size), parts[1], axis=2)]
    graph.values[told] = parts[0]
    return inputs


def _type(dtype: Any) -> int:
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _typed(name: str, dtype: Any, *sizes: Any) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, _type(dtype), sizes)
