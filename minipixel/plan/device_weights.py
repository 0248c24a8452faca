"""The weights of a table on a device: the same places as in weights.py, filled and emptied without the host.

All numbers stand in one array: first those of the `sources`, which are weights and what ops make of weights; then those
of weight-normalised kernels, each computed from two sources by one launch for all of them; then constants. Lists of
places, made once, say which numbers the table reads where, and where their gradients come from.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.kernels.cuda import THREADS, Kernels
from minipixel.nn.module import Parameter
from minipixel.ops.weights import TINY
from minipixel.plan.table import Table
from minipixel.tensor import Tensor

CONSTANT = (np.ndarray, np.generic, float, int)
"""A leaf of one of these kinds is no weight, and is copied to the device once."""


class DeviceWeights:
    """Where the numbers of a table's leaves stand on a device, and their ways to the table's places and back."""

    def __init__(self, table: Table, kernels: Kernels, upload: Callable[[np.ndarray], Any]) -> None:
        self.kernels, packer = kernels, table.packer
        leaves = packer.leaves
        self.sources: list[Any] = []
        first: dict[int, int] = {}
        sources_of: dict[int, list[int]] = {}
        at = 0
        normed = [i for i, leaf in enumerate(leaves) if _is_normed(leaf)]
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, CONSTANT):
                first[i] = at
                for source in leaf.inputs if i in normed else [leaf]:
                    sources_of.setdefault(i, []).append(at)
                    self.sources.append(source)
                    at += math.prod(source.shape)
        self.of_sources = at
        for i in normed:
            first[i] = at
            at += math.prod(leaves[i].shape)
        self.trained = at
        constants = []
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, CONSTANT):
                first[i] = at
                constants.append(np.ravel(leaf))
                at += constants[-1].size
        channels: list[tuple[int, ...]] = []
        for i in normed:
            mask, K = leaves[i].call[1].get("mask"), leaves[i].shape[-1]
            rows = math.prod(leaves[i].shape) // K
            channels += [(*sources_of[i], first[i], at if mask is not None else -1, rows, K, k) for k in range(K)]
            if mask is not None:
                constants.append(np.ravel(mask))
                at += constants[-1].size
        xp, dtype = kernels.xp, kernels.dtype
        self._channels = upload(np.array(channels, np.int32).reshape(-1, 7))
        self._blank = xp.empty(self.trained - self.of_sources, dtype)
        self._constants = xp.asarray(np.concatenate([np.empty(0), *constants]).astype(dtype))
        self._tiny = np.dtype(dtype).type(TINY)
        self._pack, self._unpack = _lists_of(packer, first, self.trained, upload)

    def numbers(self, sources: list[Any]) -> Any:
        """All numbers, from the present sources: Tensors or arrays on the device."""
        arrays = [getattr(source, "data", source) if isinstance(source, Tensor) else source for source in sources]
        xp = self.kernels.xp
        numbers = xp.concatenate([*(xp.asarray(array).ravel() for array in arrays), self._blank, self._constants])
        if len(self._channels):
            n = len(self._channels)
            self.kernels.blocks("normalise", n, numbers, self._channels, n, self._tiny, shared=THREADS)()
        return numbers

    def pack(self, numbers: Any, weights: Any) -> None:
        """Write the numbers into their places in the table's weights."""
        self.kernels.each("gather", weights.size, numbers, *self._pack, weights, weights.size)()

    def gradients(self, numbers: Any, grads: Any) -> Any:
        """The gradients of all sources, one after another, from those of the table's weights."""
        found = self.kernels.xp.empty(self.trained, grads.dtype)
        self.kernels.each("gather", found.size, grads, *self._unpack, found, found.size)()
        if len(self._channels):
            n = len(self._channels)
            self.kernels.blocks("normalise_x", n, numbers, found, self._channels, n, self._tiny, shared=THREADS)()
        return found[: self.of_sources]

    def parts(self, flat: Any) -> list[Any]:
        """The gradient of each source, a view of `flat`; None for a weight that is frozen."""
        found, at = [], 0
        for source in self.sources:
            size = math.prod(source.shape)
            found.append(flat[at : at + size].reshape(source.shape) if isinstance(source, Tensor) else None)
            at += size
        return found


def _is_normed(leaf: Any) -> bool:
    """Whether a leaf is the weight_norm of two parameters, as they are."""
    named = isinstance(leaf, Tensor) and leaf.call is not None and leaf.call[0].__name__ == "weight_norm"
    return named and all(isinstance(x, Parameter) for x in leaf.inputs)


def _lists_of(packer: Any, first: dict[int, int], trained: int, upload: Any) -> tuple[Any, Any]:
    """For each place of the table's weights its numbers, and for each trained number the places of its gradient.

    A bias is repeated in the weights, but its gradient stands in the first of its places alone.
    """
    at, of, once = ([np.empty(0, int)] for _ in range(3))
    for leaf, parts in enumerate(packer.parts):
        for part in parts:
            places, numbers = part.all_places()
            at.append(places)
            of.append(numbers + first[leaf])
            once.append((places < part.at + part.period) if part.period else np.ones(len(places), int))
    places, numbers, counts = (np.concatenate(each).astype(int) for each in (at, of, once))
    back = (counts > 0) & (numbers < trained)
    start, source = lists(places, numbers, packer.size)
    turned = [
        there + np.arange(math.prod(shape)).reshape(shape).swapaxes(1, 2).ravel() for _, there, shape in packer.turned
    ]
    order = np.concatenate([np.arange(packer.size), *turned])
    sizes = np.diff(start)[order]
    ends = np.cumsum([0, *sizes])
    chosen = np.repeat(start[order] - ends[:-1], sizes) + np.arange(ends[-1])
    home = lists(numbers[back], places[back], trained)
    return (upload(ends), upload(source[chosen])), (upload(home[0]), upload(home[1]))


def lists(of: np.ndarray, what: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What belongs to each of n: where its list begins, and where the last one ends, (n + 1,); and all lists."""
    order = np.argsort(of, kind="stable")
    return np.searchsorted(of[order], np.arange(n + 1)), what[order]
