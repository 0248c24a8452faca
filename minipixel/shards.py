"""A batch is cut into shards of a fixed number of images, and worker threads take them one by one.

The cut depends on the batch and the model alone, results come back in shard order, and sums are taken along a tree of
one shape, so all of them are the same to the bit for any number of workers. NumPy, BLAS and Numba release the GIL. What
holds in a thread while it computes (computing.py) holds in every worker, and in the calling thread for as long as there
are some.
"""

import contextlib
import contextvars
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from minipixel.arena import Blocks, arena, join_arena
from minipixel.computing import Block, computing
from minipixel.shown import short

T = TypeVar("T")

_local = threading.local()


class Tree:
    """The sum of S values along a binary tree whose shape is a function of S alone; threads put them in, in any order.

    Leaf i is value i, and node i of a level is the sum of nodes 2i and 2i + 1 of the level below; an odd one at the end
    goes up as it is. `add(left, right)` may give back either of the two, changed. Whoever comes second to a pair adds
    it up, so that no more than about log2(S) sums wait for a sibling beside those that threads work on. The last one
    leaves the sum of all in `root`.
    """

    root: Any

    def __init__(self, S: int, add: Callable[[Any, Any], Any]) -> None:
        self._S, self._add = S, add
        self._waiting: dict[tuple[int, int], Any] = {}  # by level and place
        self._lock = threading.Lock()

    def put(self, i: int, value: Any) -> None:
        """Put value i in, once, and add up whatever pairs that completes."""
        level, width = 0, self._S
        while width > 1:
            sibling = i ^ 1
            if sibling < width:
                with self._lock:
                    if (level, sibling) not in self._waiting:
                        self._waiting[level, i] = value
                        return
                    other = self._waiting.pop((level, sibling))
                value = self._add(value, other) if i < sibling else self._add(other, value)
            level, i, width = level + 1, i // 2, -(-width // 2)
        self.root = value


class Workers:
    """Threads that work on shards; use it in a `with` block."""

    def __init__(self, count: int | None = None, *, block: Block = computing) -> None:
        """`count`: how many threads; None means as many as those that this is asked within, or else one a core.

        `block` is what a thread works in: `computing`, or less for functions that are not this library's.
        """
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(
                f"workers: got {short(count)}, wanted a number of threads, 1 or more, or None for one a core"
            )
        self.count = count or getattr(_local, "count", None) or _usable_cores()
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

    def map(self, function: Callable[[slice], T], N: int, size: int) -> Iterator[T]:
        """`function(shard)` for every shard of N images, `size` a shard (the last may be smaller), in shard order."""
        if size >= N:  # a thread for a single shard would only take its time to start
            return iter([function(slice(0, N))])
        return self._pool.map(self._block(function), self.parts(N, size))

    def sum(self, function: Callable[[slice], T], N: int, size: int, add: Callable[[T, T], T]) -> T:
        """The sum of `function(shard)` over the same shards, along their `Tree`."""
        tree = Tree(len(self.parts(N, size)), add)

        def leaf(part: slice) -> None:
            tree.put(part.start // size, function(part))

        for _ in self.map(leaf, N, size):
            pass
        return tree.root

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


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
