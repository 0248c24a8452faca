"""A batch is cut into shards of a fixed number of images, and worker threads take them one by one.

The cut depends on the batch and the model alone, and results come back in shard order, so whatever is summed from them
is the same to the bit for any number of workers. NumPy, BLAS and Numba release the GIL; BLAS is held to one thread a
worker, since the shards already keep every core busy.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from minipixel.arena import arena, open_arena
from minipixel.shown import short

T = TypeVar("T")


class Workers:
    """Threads that work on shards; use it in a `with` block, which also holds BLAS to one thread a worker."""

    def __init__(self, count: int | None = None) -> None:
        """`count`: how many threads; None means one for each core that this process may use."""
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(
                f"workers: got {short(count)}, wanted a number of threads, 1 or more, or None for one a core"
            )
        self.count = count or _usable_cores()

    def __enter__(self) -> "Workers":
        self._blas = _blas_libraries(len(sys.modules)).limit(limits=1, user_api="blas")
        self._pool = ThreadPoolExecutor(self.count, "minipixel", initializer=open_arena)
        self._own_arena = arena()  # for single shards, which the calling thread takes itself
        self._own_arena.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._own_arena.__exit__(None, None, None)
        self._pool.shutdown(cancel_futures=True)
        self._blas.restore_original_limits()

    def map(self, function: Callable[[slice], T], N: int, size: int) -> Iterator[T]:
        """`function(shard)` for every shard of N images, `size` a shard (the last may be smaller), in shard order."""
        if size >= N:  # a thread for a single shard would only take its time to start
            return iter([function(slice(0, N))])
        return self._pool.map(function, self.parts(N, size))

    @staticmethod
    def parts(N: int, size: int) -> list[slice]:
        """The shards of N images."""
        return [slice(start, min(start + size, N)) for start in range(0, N, size)]


@functools.lru_cache(maxsize=1)
def _blas_libraries(modules: int) -> Any:
    """The BLAS libraries of this process. Looking takes long: again only when the number of `modules` has changed."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
