"""Long work on many images, shard by shard, with a progress bar where it takes long, and a clean end by Ctrl-C.

Ranks that work together (ranks.py) share out the shards, and each of them gets the arrays of all.
Shards report how far they are (progress.py). After Ctrl-C the shards at hand end at their next report, or at the latest
when they are done; no other shard is begun, and threads and settings are put back.
"""

from collections.abc import Callable
from itertools import takewhile

import numpy as np

from minipixel.backend import explained
from minipixel.errors import InterruptedDrawing
from minipixel.progress import shown
from minipixel.shards import Workers


def gathered(shard: Callable[[slice], np.ndarray], N: int, size: int, device: str = "cpu") -> np.ndarray:
    """The arrays of all shards of N images, one after the other; they are host arrays, computed on that `device`."""
    done: dict[int, np.ndarray] = {}
    _gather(done.__setitem__, shard, N, size, device)
    return np.concatenate([done[start] for start in sorted(done)])


def gathered_into(found: np.ndarray, shard: Callable[[slice], np.ndarray], size: int, device: str) -> None:
    """The same, written into an array (N, ...) as they come, for arrays that are too large to be there twice."""

    def put(start: int, array: np.ndarray) -> None:
        found[start : start + len(array)] = array

    _gather(put, shard, len(found), size, device)


def drawn(shard: Callable[[slice], np.ndarray], N: int, size: int, device: str) -> np.ndarray:
    """The same for images that are drawn. Ctrl-C raises InterruptedDrawing, with the first images that are finished."""
    done: dict[int, np.ndarray] = {}
    try:
        _gather(done.__setitem__, shard, N, size, device)
    except KeyboardInterrupt:
        raise InterruptedDrawing([done[start] for start in takewhile(done.__contains__, range(0, N, size))]) from None
    return np.concatenate([done[start] for start in sorted(done)])


def _gather(
    put: Callable[[int, np.ndarray], None], shard: Callable[[slice], np.ndarray], N: int, size: int, device: str
) -> None:
    """`put` the array of each shard, with its first image; those of this rank as soon as they are done."""
    workers, here = Workers(device=device), set()
    with shown(workers.own(N, size), " images") as work, work.stopped_by_interrupt(), workers:

        def keep(part: slice) -> np.ndarray:
            work.advance(0)
            with explained(part.stop - part.start):
                array = shard(part)
            put(part.start, array)
            here.add(part.start)
            return array

        try:
            for part, array in zip(workers.parts(N, size), workers.map(keep, N, size), strict=False):
                if part.start not in here:
                    put(part.start, array)
        except KeyboardInterrupt:  # of one thread, or by somebody else's handler
            work.stop()
            raise
