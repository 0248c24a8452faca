"""A model's forward pass as a list of nodes, each of which says which pixels of which other nodes it reads.

The pass is run once, on one image of zeros, and the tape is kept: every op on it tells, by its `local`, what it does at
a single pixel. Ops that only move pixels leave no node behind: whoever reads through a shift, a mirror or a skew reads
the map below it, by another index.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minipixel import kernels
from minipixel.ops.local import START, ZERO, Look, Own
from minipixel.tensor import Tensor, inputs_first


@dataclass(eq=False)
class Node:
    """One op of the graph, at all its P pixels; or the image; or a constant, which no pixel of the image reaches.

    `tensor` is the op's value on the tape, which knows its inputs; `local` its Local, None for image and constants.
    `reads` has, for each map the op reads, in the order of its Looks: the node read, the Look into its pixels. `layer`
    is the dotted path of the layer whose weights it uses, or which it follows.
    """

    name: str
    layer: str
    size: tuple[int, int]
    K: int
    tensor: Any
    constant: bool = False
    weighted: bool = False
    local: Any = None
    reads: list[tuple["Node", Look]] = field(default_factory=list)

    @property
    def pixels(self) -> int:
        """How many pixels it has, P."""
        return self.size[0] * self.size[1]

    @property
    def own(self) -> Own | None:
        """How it reads its own states, if it is a scan."""
        return None if self.local is None else self.local.own

    def __repr__(self) -> str:
        return f"Node({self.name}, {self.size[0]}x{self.size[1]}x{self.K}{', constant' if self.constant else ''})"


@dataclass(frozen=True)
class Place:
    """Where the pixels of a traced map stand: pixel p of it is pixel `index[p]` of `node`, or ZERO, or START."""

    node: Node
    index: np.ndarray


class Trace:
    """The graph of a model: `nodes`, each after those that it reads, the `image` first.

    `output` is a Place, since the model may end in an op that moves pixels. `condition` is the Tensor that stands for
    the condition, None if the model takes none.
    """

    def __init__(self, model: Any) -> None:
        H, W, C = model.image_shape
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        rng = np.random.default_rng(0)
        x = Tensor(model.xp.zeros((H, W, 1, C), model.dtype))
        condition = model.condition_map(model.conditions.random(1, rng))
        self.condition = None if condition is None else Tensor(condition)
        with kernels.as_written():
            output = model.forward(x, self.condition)

        self.image = Node("the image", "the image", (H, W), C, x)
        self.nodes = [self.image]
        self._places: dict[int, Place] = {id(x): Place(self.image, np.arange(H * W))}
        self._layers: dict[int, str] = {}
        for tensor in inputs_first(output):
            self._layers[id(tensor)] = self._layer(tensor, names)
            if tensor.call is not None and any(id(source) in self._places for source in tensor.inputs):
                self._places[id(tensor)] = self._place(tensor)
        if id(output) not in self._places:
            raise ValueError(f"clock: got a {type(model).__name__} whose output does not depend on the image at all")
        self.output = self._places[id(output)]
        for node in self.nodes:
            _forget(node)

    def __repr__(self) -> str:
        return f"Trace({len(self.nodes)} nodes, from {self.image!r} to {self.output.node!r})"

    def _layer(self, tensor: Tensor, names: dict[int, str]) -> str:
        """The layer whose weights an op uses, as a dotted path; or the layer it comes after; "" for constants."""
        if id(tensor) in names:
            return names[id(tensor)].rpartition(".")[0] or names[id(tensor)]
        layers = [self._layers[id(source)] for source in tensor.inputs if isinstance(source, Tensor)]
        own = [layer for layer, source in zip(layers, _tensors(tensor), strict=True) if source.vjp is None]
        return next((layer for layer in (*own, *reversed(layers)) if layer), "")

    def _place(self, tensor: Tensor) -> Place:
        """The node of an op that the image reaches; for one that moves pixels, where these come from."""
        assert tensor.call is not None
        op, static = tensor.call
        if op.local is None:
            raise ValueError(
                f"clock: got op {op.__name__} on the way from image to output, wanted one that says what it reads at a "
                "pixel; give it @op(local=...), see minipixel/ops/local.py"
            )
        arrays = [source.data if isinstance(source, Tensor) else source for source in tensor.inputs]
        local = op.local(op.arrays, *arrays, **static)
        H, W = local.size
        reads = [
            self._through(source, look)
            for source, look in zip(tensor.inputs, local.inputs, strict=True)
            if isinstance(look, Look)
        ]
        if local.kind == "move":
            ((node, look),) = reads
            return Place(node, look.index[:, 0])
        weighted = any(source.vjp is None and self._layers[id(source)] for source in _tensors(tensor))
        layer = self._layers[id(tensor)]
        name = f"{layer} ({op.__name__})" if weighted else f"{op.__name__} after {layer or 'the image'}"
        node = Node(name, layer, local.size, tensor.shape[-1], tensor, weighted=weighted, local=local, reads=reads)
        self.nodes.append(node)
        inside = np.arange(H * W) if local.own is None else np.where(local.own.inside, np.arange(H * W), START)
        return Place(node, inside)

    def _through(self, source: Any, look: Look) -> tuple[Node, Look]:
        """The node that an op's Look ends in, if need be through ops that move pixels, and the Look into that node."""
        if id(source) not in self._places:
            H, W, _, K = source.shape
            constant = source if isinstance(source, Tensor) else Tensor(source)
            node = Node("a constant", "", (H, W), K, constant, constant=True)
            self.nodes.append(node)
            self._places[id(source)] = Place(node, np.arange(H * W))
        place = self._places[id(source)]
        index = np.where(look.index >= 0, place.index[look.index], ZERO)
        return place.node, Look(index, look.channels)


def _tensors(tensor: Tensor) -> list[Tensor]:
    return [source for source in tensor.inputs if isinstance(source, Tensor)]


def _forget(node: Node) -> None:
    """Let go of what the tape keeps for a backward pass that will not come: a trace is kept as long as its model."""
    if node.tensor is not None and node.tensor.vjp is not None and not node.constant:
        node.tensor.data, node.tensor.vjp = None, _forgotten


def _forgotten(gradient: Any) -> Any:
    raise ValueError("backward: this graph was traced by the clock; run the forward pass again")
