"""A batch is cut into shards of a fixed number of images, and worker threads take them one by one.

The cut depends on the batch and the model alone, results come back in shard order, and sums are taken along a tree of
one shape (tree.py), so all of them are the same to the bit for any number of workers, and of processes (ranks.py).
NumPy, BLAS and Numba release the GIL. What holds in a thread while it computes (computing.py) holds in every worker,
and in the calling thread for as long as there are some.
"""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from minipixel import ranks as processes
from minipixel.arena import Blocks, arena, join_arena
from minipixel.backend import beside, to_cpu
from minipixel.computing import Block, computing
from minipixel.ranks import ALONE, Ranks, now, sharing
from minipixel.shown import short
from minipixel.slices import summed
from minipixel.tree import Tree, added

T = TypeVar("T")

_local = threading.local()


class Workers:
    """Threads that work on shards, which other ranks may share; use it in a `with` block."""

    def __init__(
        self,
        count: int | None = None,
        *,
        block: Block = computing,
        ranks: Ranks | None = None,
        device: str = "cpu",
    ) -> None:
        """`count`: how many threads; None means as many as those that this is asked within, or else one per core.

        `block` is what a thread works in: `computing`, or less for functions that are not this library's. `ranks` share
        the shards out; None means those that this is asked within. On the `device` "cuda" the calling thread computes
        all shards, one after the other, whatever the `count`: it is a thread that has a current GPU.
        """
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(
                f"workers: got {short(count)}, wanted a number of threads, 1 or more, or None for one per core"
            )
        self.ranks = now() if ranks is None else ranks
        self.count = count or getattr(_local, "count", None) or processes.cores()
        self.here = device == "cuda"
        self._block = block

    def __enter__(self) -> "Workers":
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._block)
            settings = contextvars.copy_context()  # NumPy keeps there what an overflow or a division by 0 is to do
            blocks = stack.enter_context(arena())  # the calling thread's, too: it takes single shards itself
            self._pool = ThreadPoolExecutor(self.count, "minipixel", _start, (settings, blocks))
            stack.callback(self._pool.shutdown, cancel_futures=True)
            stack.enter_context(_workers_within(self.count))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def each(self, function: Callable[[slice], T], parts: Sequence[slice]) -> Iterator[T]:
        """`function(shard)` for these shards, in their order, on this rank."""
        if self.here:
            return (_alone(function, part) for part in parts)
        if len(parts) < 2:  # a thread for a single shard would only take its time to start
            return iter([_alone(function, part) for part in parts])
        return self._pool.map(self._block(function), parts)

    def map(self, function: Callable[[slice], np.ndarray], N: int, size: int) -> Iterator[np.ndarray]:
        """The array `function(shard)` of every shard of N images, `size` per shard (the last may be smaller), in order.

        Each rank computes its share of them, and all have all.
        """
        results = self.each(function, self._own(N, size))
        return results if self.ranks.size == 1 else iter(self.ranks.arrays("shards", list(results)))

    def sum(self, function: Callable[[slice], list[Any]], N: int, size: int) -> list[Any]:
        """The sum of `function(shard)`, a list of arrays, over shards of that size, along their `Tree`.

        On a GPU a shard is smaller where there are more ranks than shards, so that each of them has one; and what ranks
        send to each other goes through the memory of the host, since mpi4py does not say whether MPI reads a GPU's.
        """
        size = self.shard(N, size)
        S = max(1, len(self.parts(N, size)))
        tree, like = Tree(S, added), list[Any]()

        def leaf(part: slice) -> None:
            found = function(part)
            like[:] = found
            tree.put(part.start // size, found if self.ranks.size == 1 else [to_cpu(array) for array in found])

        for _ in self.each(leaf, self._own(N, size)):
            pass
        if self.ranks.size == 1:
            return tree.root
        total = summed(self.ranks, "shards", tree, S)
        return [beside(array, own) for array, own in zip(total, like or total, strict=True)]

    def shard(self, N: int, size: int) -> int:
        """How many of N images a shard has in `sum`: so many, but on a GPU no more than a rank's share of them."""
        return min(size, max(1, -(-N // self.ranks.size))) if self.here else size

    def own(self, N: int, size: int) -> int:
        """How many of N images are in this rank's share of the shards."""
        return sum(part.stop - part.start for part in self._own(N, size))

    def _own(self, N: int, size: int) -> list[slice]:
        parts = self.parts(N, size) or [slice(0, 0)]  # of no images, too, there is a result, which has their shape
        return [parts[i] for i in self.ranks.share(len(parts))]

    @staticmethod
    def parts(N: int, size: int) -> list[slice]:
        """The shards of N images."""
        return [slice(start, min(start + size, N)) for start in range(0, N, size)]


def rows(condition: Any, part: Any) -> Any:
    """The conditions of some of the images, a slice or places; None stays None, and a pair one."""
    if isinstance(condition, tuple):
        return tuple(rows(each, part) for each in condition)
    return None if condition is None else condition[part]


def _start(settings: contextvars.Context, blocks: Blocks) -> None:
    """What a worker thread does first: it takes over the settings, and the arena, of the thread that started it."""
    join_arena(blocks)
    _local.count = 1  # its shard is its own work: nothing within may start others
    for variable, value in settings.items():
        variable.set(value)


@contextlib.contextmanager
def _workers_within(count: int) -> Iterator[None]:
    """Within this block, `Workers()` in this thread means so many."""
    before = getattr(_local, "count", None)
    _local.count = count
    try:
        yield
    finally:
        _local.count = before


def _alone(function: Callable[[slice], T], part: slice) -> T:
    """`function(part)` in this thread; as in a worker thread, nothing within is shared out."""
    with sharing(ALONE):
        return function(part)
