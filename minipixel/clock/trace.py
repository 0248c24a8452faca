"""The trace: a model's forward pass as a list of nodes, each of which has the pixels of other nodes that it reads.

The pass is run once (see passes.py), and its graph is stored: every op says, by its `local`, what it does at a single
pixel. Ops that only move pixels have no nodes: a node that reads through a shift, a mirror or a skew reads the map
before it, by another index.

A trace relies on two things: an op reads what its `local` says, and the constants of the model are the same as before.
`holds` checks the latter again for the model as it is now.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minipixel.clock.passes import READING, DifferenceError, Pass
from minipixel.errors import TraceError
from minipixel.ops.local import START, ZERO, Look, Own
from minipixel.tensor import Tensor, inputs_first


@dataclass(eq=False)
class Node:
    """One op of the graph at all its P pixels; or the image; or a constant, which does not depend on the image.

    `tensor` is the op's result, a Tensor with its inputs; `local` is its Local, None for image and constants. `reads`
    has, for each map that the op reads, in the order of its Looks, the node that is read and the Look into its pixels.
    `layer` is the dotted path of the layer whose weights it uses, or which it follows.
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
    """The places of a traced map's pixels: its pixel p is pixel `index[p]` of `node`, or ZERO, or START."""

    node: Node
    index: np.ndarray


class Trace:
    """The graph of a model: `nodes`, each after those that it reads, the `image` first.

    `output` is a Place, since the model may end in an op that moves pixels; `size` (h, w) is the size of the output,
    and `tensor` its Tensor. `condition` is the Tensor of the condition, or None if the model takes none. Everything
    that does not depend on the image is a constant, also what is computed from the condition; but with `with_condition`
    the condition is a node of its own. With `dropping` it is the graph of a pass in training, in which the `keep` of a
    dropout is a Kept. Raises TraceError if the forward pass cannot be traced.
    """

    def __init__(self, model: Any, dropping: bool = False, *, with_condition: bool = False) -> None:
        H, W, C = model.image_shape
        self._pass = first = Pass(model, dropping=dropping)
        if with_condition and (kept := first.kept()):
            raise TraceError(
                f"clock: got a forward pass that leaves {kept} stored, wanted one that stores no Tensors; "
                "look at it within mp.kernels.as_written()"
            )
        if with_condition and first.cut_off:
            raise TraceError(
                f"clock: got {first.cut_off} within no_grad, or on the data of a Tensor, wanted a way back through it; "
                "freeze a weight by a plain array in its place"
            )
        _assert_alike_in_every_pass(first)
        self.condition = first.condition
        self.image = Node("the image", "the image", (H, W), C, first.image)
        self.nodes = [self.image]
        self._places: dict[int, Place] = {id(first.image): Place(self.image, np.arange(H * W))}
        if with_condition and first.condition is not None:
            h, w, _, K = first.condition.shape
            told = Node("the condition", "the condition", (h, w), K, first.condition)
            self.nodes.append(told)
            self._places[id(first.condition)] = Place(told, np.arange(h * w))
        output = first.image if first.output is None else first.output.tensor
        for tensor in inputs_first(output):
            if tensor.call is not None and any(id(source) in self._places for source in tensor.inputs):
                self._places[id(tensor)] = self._place(tensor)
        if first.output is None or id(output) not in self._places:
            raise TraceError(f"clock: got a {type(model).__name__} whose output does not depend on the image at all")
        self.output, self.tensor = self._places[id(output)], output
        self.size = output.shape[0], output.shape[1]
        first.forget()

    def __repr__(self) -> str:
        return f"Trace({len(self.nodes)} nodes, from {self.image!r} to {self.output.node!r})"

    def holds(self, model: Any) -> bool:
        """Whether it is still the trace of that model: of its layers, its masks and all its other constants.

        This takes as long as calling the ops without their arithmetic.
        """
        try:
            Pass(model, self._pass, image=1, condition=1, N=2)
        except TraceError:
            return False
        return True

    def _place(self, tensor: Tensor) -> Place:
        """The node of an op that depends on the image; for an op that moves pixels, the place where they come from."""
        assert tensor.call is not None
        op, static = tensor.call
        made = self._pass.values[id(tensor)]
        known = self._pass.values
        arrays = [known[id(source)].array if isinstance(source, Tensor) else source for source in tensor.inputs]
        local = op.local and op.local(op.arrays, *arrays, **static)
        if local is None:
            raise TraceError(
                f"clock: got op {made.name} on the way from image to output, wanted one that says what it reads at a "
                "pixel; give it @op(local=...), see minipixel/ops/local.py"
            )
        H, W = local.size
        reads = [
            self._through(source, look)
            for source, look in zip(tensor.inputs, local.inputs, strict=True)
            if isinstance(look, Look)
        ]
        if local.kind == "move":
            ((node, look),) = reads
            return Place(node, look.index[:, 0])
        node = Node(
            *(made.name, made.layer, local.size, tensor.shape[-1], tensor),
            weighted=made.weighted,
            local=local,
            reads=reads,
        )
        self.nodes.append(node)
        inside = np.arange(H * W) if local.own is None else np.where(local.own.inside, np.arange(H * W), START)
        return Place(node, inside)

    def _through(self, source: Any, look: Look) -> tuple[Node, Look]:
        """The node that an op reads, through ops that only move pixels, and the Look into that node."""
        if id(source) not in self._places:
            H, W, _, K = source.shape
            constant = source if isinstance(source, Tensor) else Tensor(source)
            node = Node("a constant", "", (H, W), K, constant, constant=True)
            self.nodes.append(node)
            self._places[id(source)] = Place(node, np.arange(H * W))
        place = self._places[id(source)]
        index = np.where(look.index >= 0, place.index[look.index], ZERO)
        return place.node, Look(index, look.channels)


CHANGES: dict[str, dict[str, Any]] = {
    "from pass to pass, though nothing else changes": {},
    "with the image": {"image": 1},
    "with the condition": {"condition": 1},
    "with the weights": {"other_weights": True},
    "with the number of images": {"N": 2},
}
"""What can be different in another pass. A model must not notice but by what it reads on the tape."""

FIXED = "make it once, outside forward, and keep it"


def _assert_alike_in_every_pass(first: Pass) -> None:
    """Raise TraceError unless a pass on other images and conditions, on more of them and on other weights is the same.

    The second pass uses the model as the first one left it, so a model that counts passes, or stores something for the
    next one, is noticed.
    """
    try:
        Pass(first.twin, first, image=1, condition=1, other_weights=True)
        Pass(first.twin, first, N=2)
    except DifferenceError as difference:
        found = [change for change, options in CHANGES.items() if _differs(first, options)]
        change = found[0] if found else "with image, condition and weights together"
        way_out = FIXED if change == next(iter(CHANGES)) else READING
        raise TraceError(
            f"clock: got {difference}: it changes {change}, wanted the same in every pass; {way_out}"
        ) from None


def _differs(first: Pass, options: dict[str, Any]) -> bool:
    try:
        Pass(first.twin, first, **options)
    except TraceError:
        return True
    return False
