"""The places of weights: from a model's parameters to one flat array that the walker reads, and back.

A `leaf` is a Tensor that depends on no pixel: a parameter, a result of ops on parameters (a weight-normalised kernel),
or a constant. Masks, open taps, the order of gates and repeated biases are all described by one array of indices, which
says which number of a leaf, counted from 1, is at which place; 0 means that a mask shuts it. To find this array, an
op's own `shaped` is run on 1, 2, 3 ... The same array, used backwards, brings gradients back to the leaves. Leaves are
packed once per step, for all shards.
"""

import math
from typing import Any

import numpy as np

from minipixel.arena import zeros
from minipixel.nn.module import Parameter
from minipixel.tensor import Tensor, gradients, inputs_first

WIDE = 128
"""A bias is repeated to this many numbers, or up to K - 1 more: see kernels/rows.py."""
LINE = 16
"""What stands in the flat array begins at a multiple of this."""


class UnplannedError(Exception):
    """A model does something that the plan has no opcode for; it then runs as it is written."""


class Leaves:
    """The leaves of a trace, and their places in the flat array of weights, which has `size` numbers."""

    def __init__(self, condition: Any) -> None:
        self.condition, self.size = condition, 0
        self.tensors: list[Any] = []
        self._of: dict[int, int] = {}
        self.entries: list[tuple[int, int, np.ndarray, int]] = []  # place, leaf, numbers; the period of a repeated bias
        self.turned: list[tuple[int, int, tuple[int, ...]]] = []

    def number(self, tensor: Any) -> int:
        """The number of a leaf."""
        if id(tensor) not in self._of:
            if isinstance(tensor, Tensor) and any(x is self.condition for x in inputs_first(tensor)):
                raise UnplannedError("a weight that is made from the condition")
            self._of[id(tensor)] = len(self.tensors)
            self.tensors.append(tensor)
        return self._of[id(tensor)]

    def learns(self, tensor: Any) -> bool:
        """Whether a leaf is a parameter, or computed from one."""
        return isinstance(tensor, Tensor) and any(isinstance(x, Parameter) for x in inputs_first(tensor))

    def is_trained(self, leaf: int) -> bool:
        """The same for a leaf given by its number."""
        return self.learns(self.tensors[leaf])

    def weight(self, tensor: Any, whole: Any, T: int, K_in: int) -> tuple[int, np.ndarray]:
        """A leaf in the form that an op uses: which of its numbers are at which places of (T, K_in, K_out)."""
        numbers = np.arange(1, 1 + math.prod(tensor.shape), dtype=np.int32).reshape(tensor.shape)
        return self.number(tensor), np.asarray(whole.shaped(numbers)).reshape(T, K_in, tensor.shape[-1])

    def bias(self, tensor: Any, K: int) -> tuple[int, np.ndarray]:
        """A leaf that is the same for all pixels and images: which of its numbers each of K channels has."""
        shape = getattr(tensor, "shape", ())
        if math.prod(shape[:-1]) != 1 or (shape and shape[-1] not in (1, K)):
            raise UnplannedError(f"an array of shape {tuple(shape)} beside a map")
        numbers = np.arange(1, 1 + math.prod(shape), dtype=np.int32)
        return self.number(tensor), np.broadcast_to(numbers.reshape(-1), (K,))

    def constant(self, array: np.ndarray) -> tuple[int, np.ndarray]:
        """A constant array as a weight."""
        numbers = np.arange(1, 1 + array.size, dtype=np.int32).reshape(array.shape)
        return self.number(array), numbers

    # --- places -------------------------------------------------------------------------------------------------------

    def room(self, n: int) -> int:
        """The place of n more numbers."""
        at, self.size = self.size, -(-(self.size + n) // LINE) * LINE
        return at

    def put(self, weight: tuple[int, np.ndarray]) -> int:
        """The place of a weight (T, K_in, K_out), and of its gradient."""
        leaf, index = weight
        at = self.room(index.size)
        self.entries.append((at, leaf, index.ravel(), 0))
        return at

    def put_repeated(self, biases: list[tuple[int, np.ndarray]], K: int) -> tuple[int, int]:
        """The place of a sum of biases, repeated so that loops over it are long, and its length."""
        length = -(-WIDE // K) * K
        at = self.room(length)
        self.entries += [(at, leaf, np.resize(index, length), K) for leaf, index in biases]
        return at, length

    def put_turned(self, weight: tuple[int, np.ndarray], at: int) -> int:
        """The place, counted from behind all that have gradients, of the weight at `at` as (T, K_out, K_in)."""
        place = sum(math.prod(shape) for _, _, shape in self.turned)
        self.turned.append((place, at, weight[1].shape))
        return place


def computed(leaves: list[Any]) -> list[Any]:
    """The present leaves, computed again by their ops, with history if that is recorded."""
    again: dict[int, Any] = {}

    def evaluate(x: Any) -> Any:
        if not isinstance(x, Tensor) or x.call is None:
            return x
        if id(x) not in again:
            op, static = x.call
            again[id(x)] = op(*[evaluate(y) for y in x.inputs], **static)
        return again[id(x)]

    return [evaluate(leaf) for leaf in leaves]


class Packer:
    """Gathers the numbers of a table's leaves for the walker, and scatters gradients back.

    `inputs` are trained maps; their gradients, each of one image's size, come after those of weights.
    """

    def __init__(self, leaves: Leaves, inputs: list[Any]) -> None:
        self.leaves = leaves.tensors
        self.trained = [leaves.learns(tensor) for tensor in [*leaves.tensors, *inputs]]
        self.trains = any(self.trained)
        self.size, self.turned = leaves.size, leaves.turned
        self.all = self.size + sum(math.prod(shape) for _, _, shape in self.turned)
        self.input_sizes = [math.prod(tensor.shape) for tensor in inputs]
        self.all_gradients = self.size + sum(self.input_sizes)
        self.parts: list[list[_Part]] = [[] for _ in leaves.tensors]
        for at, leaf, index, period in leaves.entries:
            self.parts[leaf].append(_Part(at, index, period))

    def pack(self, tensors: list[Any], dtype: Any) -> np.ndarray:
        """All weights in their places: (all,), with each weight whose gradient is read turned behind them."""
        packed = zeros((self.all,), dtype)
        for tensor, parts in zip(tensors, self.parts, strict=True):
            numbers = np.ravel(tensor.data if isinstance(tensor, Tensor) else tensor)
            for part in parts:
                part.give(numbers, packed)
        for place, at, (T, K_in, K_out) in self.turned:
            there = self.size + place
            weight = packed[at : at + T * K_in * K_out].reshape(T, K_in, K_out)
            packed[there : there + weight.size].reshape(T, K_out, K_in)[...] = weight.swapaxes(1, 2)
        return packed

    def unpack(self, tensors: list[Any], packed_g: np.ndarray) -> list[Any]:
        """The gradient of each leaf and of each trained input, from the packed gradients; None for a constant.

        They may be views of `packed_g`.
        """
        found: list[Any] = []
        for tensor, parts, trained in zip(tensors, self.parts, self.trained, strict=False):
            if not trained:
                found.append(np.zeros_like(tensor.data) if isinstance(tensor, Tensor) else None)
            elif len(parts) == 1 and parts[0].is_all_of(tensor):
                found.append(packed_g[parts[0].at :][: tensor.data.size].reshape(tensor.shape))
            else:
                g = np.zeros(tensor.data.size, packed_g.dtype)
                for part in parts:
                    part.take(g, packed_g)
                found.append(g.reshape(tensor.shape))
        at = self.size
        for tensor, size in zip(tensors[len(self.parts) :], self.input_sizes, strict=True):
            found.append(packed_g[at : at + size].reshape(tensor.shape))
            at += size
        return found

    def home(self, tensors: list[Any], parts: list[Any], parameters: list[Any]) -> list[Any]:
        """The gradients of parameters, from `parts`, those of the leaves computed from them; None where none are."""
        place = {id(parameter): i for i, parameter in enumerate(parameters)}
        found: list[Any] = [None] * len(parameters)
        for tensor, g in zip(tensors, parts, strict=True):
            if g is None:
                continue
            direct = id(tensor) in place
            for i, part in [(place[id(tensor)], g)] if direct else enumerate(gradients(tensor, parameters, g)):
                if part is not None:
                    found[i] = part if found[i] is None else found[i] + part
        return found


class _Part:
    """The places of a leaf's numbers, from `at` on: place i has number `index[i]`, counted from 1; 0 means none.

    The numbers of a bias are repeated there, with `period` numbers each time.
    """

    def __init__(self, at: int, index: np.ndarray, period: int) -> None:
        self.at, self.period, self.length = at, period, len(index)
        self.first = int(index[0]) - 1 if len(index) else 0
        whole = not period and self.first >= 0 and np.array_equal(index, index[:1] + np.arange(len(index)))
        opened = None if whole else np.flatnonzero(index)
        self.places = None if opened is None else opened + at
        self.numbers = None if opened is None else index[opened].astype(np.int64) - 1
        self.unique = self.numbers is None or len(np.unique(self.numbers)) == len(self.numbers)

    def all_places(self) -> tuple[np.ndarray, np.ndarray]:
        """All places that have a number of the leaf, and which numbers these are, counted from 0."""
        if self.places is None:
            return self.at + np.arange(self.length), self.first + np.arange(self.length)
        assert self.numbers is not None
        return self.places, self.numbers

    def is_all_of(self, tensor: Any) -> bool:
        """Whether it is the whole leaf, in its own order."""
        return self.places is None and self.first == 0 and self.length == tensor.data.size

    def give(self, numbers: np.ndarray, packed: np.ndarray) -> None:
        """Put the leaf's numbers into their places; what is put into one place adds up."""
        if self.places is None:
            packed[self.at : self.at + self.length] = numbers[self.first : self.first + self.length]
        elif self.period:
            packed[self.at : self.at + self.length] += numbers[self.numbers]
        else:
            packed[self.places] = numbers[self.numbers]

    def take(self, g: np.ndarray, packed_g: np.ndarray) -> None:
        """Add the gradients in these places to those of the leaf."""
        if self.places is None:
            g[self.first : self.first + self.length] += packed_g[self.at : self.at + self.length]
        elif self.period:
            assert self.numbers is not None
            sums = packed_g[self.at : self.at + self.length].reshape(-1, self.period).sum(axis=0)
            np.add.at(g, self.numbers[: self.period], sums)
        elif self.unique:
            g[self.numbers] += packed_g[self.places]
        else:
            assert self.numbers is not None
            np.add.at(g, self.numbers, packed_g[self.places])
