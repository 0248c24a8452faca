"""An ONNX graph under construction: a traced map (H, W, N, K) is a value (N, P, K) there, with P = H * W pixels."""

from typing import Any

import numpy as np

from minipixel.clock.trace import Node
from minipixel.ops.local import START, ZERO, Look

OPSET, IR_VERSION = 17, 8
"""What is written: the ONNX of 2022, which runtimes read that are not of yesterday."""


class Graph:
    """The nodes and constants of a graph; `values` has the ONNX name of each node of the trace that was translated.

    `add` adds an ONNX node, `constant` an array; both return a name. Equal constants are stored once.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[tuple[Any, ...], Any] = {}
        self.values: dict[Node, str] = {}
        self.starts: dict[Node, np.ndarray] = {}  # of scans: what the pixels hold that START stands for
        self.prefix = ""
        self._count = 0

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add an ONNX operator, and return the name of its output, or several names if it has several outputs."""
        from onnx import helper

        names = [self.name(kind) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=f"{self.prefix}: {names[0]}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        """Add an array, in that dtype, and return its name."""
        from onnx import numpy_helper

        array = np.array(array, dtype, order="C")
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, self.name("constant"))
        return self.constants[key].name

    def reshape(self, x: str, *sizes: int) -> str:
        """x in another shape, where 0 means the size that x has in this axis, such as N."""
        return self.add("Reshape", x, self.constant(sizes, np.int64))

    def of_every_image(self, x: str, *shape: int) -> str:
        """A value that is the same for all images, whose shape has 1 for N, repeated for all images."""
        sizes = self.add("Concat", self._images, self.constant([1] * (len(shape) - 1), np.int64), axis=0)
        return self.add("Expand", x, sizes)

    def count_images(self, images: str) -> None:
        """Take N from the input `images` (N, ...)."""
        one = [self.constant(numbers, np.int64) for numbers in ([0], [1])]
        self._images = self.add("Slice", self.add("Shape", images), *one)

    def read(self, node: Node, look: Look) -> str:
        """The pixels that an op gathers from a map, those of all taps side by side: (N, P, T * K)."""
        x, (P, T) = self.values[node], look.index.shape
        index = look.index
        if T == 1 and np.array_equal(index[:, 0], np.arange(node.pixels)):
            return x
        beyond, pixels = np.array(index), node.pixels
        if (index == ZERO).any():
            x = self.add("Pad", x, self.constant([0, 0, 0, 0, 1, 0], np.int64))
            beyond[index == ZERO], pixels = pixels, pixels + 1
        if (index == START).any():
            start = self.of_every_image(self.constant(self.starts[node].reshape(1, 1, -1)), 1, 1, node.K)
            x, beyond[index == START] = self.add("Concat", x, start, axis=1), pixels
        if T == 1:
            return self.add("Gather", x, self.constant(beyond[:, 0], np.int64), axis=1)
        taps = self.add("Gather", x, self.constant(beyond, np.int64), axis=1)
        return self.reshape(taps, 0, P, T * node.K)

    def name(self, kind: str) -> str:
        """A new name."""
        self._count += 1
        return f"{kind}_{self._count}"
