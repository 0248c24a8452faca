"""Memory that workers use again and again.

The operating system gives large blocks of memory page by page, clears and maps each page when it is first used, and
takes blocks back when they are freed. For feature maps this takes as much time as the arithmetic on them. So workers
keep the blocks that they have freed. An array from here is an ordinary array; when nothing refers to it any more, its
block is free for the next array of that size, in any thread of the arena (one worker may begin a sum of gradients that
another one ends). All memory is given back when the workers end.
"""

import contextlib
import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

SMALL = 2**16
"""Arrays of fewer bytes than this come from NumPy, which reuses small blocks by itself."""

LINE = 64
"""The bytes of a cache line."""

_local = threading.local()


class _Block:
    """Memory of a fixed size, from the start of a cache line on."""

    __slots__ = ("address", "memory")

    def __init__(self, size: int) -> None:
        self.memory = np.empty(size + LINE, np.uint8)
        self.address = -(-self.memory.ctypes.data // LINE) * LINE


class _Lease:
    """What an array from the arena stands on: returns the block when the array, and all views of it, are gone."""

    __slots__ = ("__array_interface__", "_block", "_free")

    def __init__(self, block: "_Block", free: list["_Block"], shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._block, self._free = block, free
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (block.address, False)}

    def __del__(self) -> None:
        self._free.append(self._block)


Blocks = dict[int, list["_Block"]]
"""The free blocks of an arena, by their size in bytes."""


def join_arena(blocks: Blocks) -> None:
    """From now on this thread takes memory from that arena."""
    _local.blocks = blocks


@contextlib.contextmanager
def arena() -> Iterator[Blocks]:
    """Within this block this thread keeps what it lets go of, and so do those that join; after it nothing is kept."""
    before = getattr(_local, "blocks", None)
    _local.blocks = {}
    try:
        yield _local.blocks
    finally:
        _local.blocks = before


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array that holds anything, as `np.empty`; from the arena of this thread if it has one."""
    blocks, dtype = getattr(_local, "blocks", None), np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if blocks is None or size < SMALL:
        return np.empty(shape, dtype)
    size = _rounded(size)
    free = blocks.setdefault(size, [])
    try:
        block = free.pop()  # one step, so that no other thread takes the same
    except IndexError:
        block = _Block(size)
    return np.asarray(_Lease(block, free, shape, dtype))


def _rounded(size: int) -> int:
    """A size that is a little larger, so that arrays of nearly one size take turns in the same blocks.

    It has five leading bits at most. The operating system gives no page for what is never written to.
    """
    unit = 1 << max(0, size.bit_length() - 5)
    return -(-size // unit) * unit


def copied_for_now(array: np.ndarray) -> np.ndarray:
    """A copy that is let go of soon: in the largest free block, one that was for feature maps, say."""
    blocks: Blocks = getattr(_local, "blocks", None) or {}
    for size in sorted(list(blocks), reverse=True):
        if size >= array.nbytes and blocks[size]:
            there = empty((size,), np.uint8)[: array.nbytes].view(array.dtype).reshape(array.shape)
            there[...] = array
            return there
    return array.copy()


def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array of zeros, from the same memory."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def added(a: Any, b: Any) -> Any:
    """a + b; of two host arrays of one dtype, in the same memory."""
    alike = type(a) is type(b) is np.ndarray and a.dtype == b.dtype and a.shape == b.shape
    return np.add(a, b, out=empty(a.shape, a.dtype)) if alike else a + b
