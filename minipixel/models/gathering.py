"""Long work on many images, shard by shard, with a progress bar where it takes long, and a clean end by Ctrl-C.

Shards report how far they are (progress.py). After Ctrl-C the shards at hand end at their next report, or at the latest
when they are done; no other shard is begun, and threads and settings are put back.
"""

from collections.abc import Callable
from itertools import takewhile

import numpy as np

from minipixel.errors import InterruptedDrawing
from minipixel.progress import shown
from minipixel.shards import Workers


def gathered(shard: Callable[[slice], np.ndarray], N: int, size: int) -> np.ndarray:
    """The arrays of all shards of N images, one after the other."""
    done: dict[int, np.ndarray] = {}
    _gather(done, shard, N, size)
    return np.concatenate([done[start] for start in sorted(done)])


def drawn(shard: Callable[[slice], np.ndarray], N: int, size: int) -> np.ndarray:
    """The same for images that are drawn. Ctrl-C raises InterruptedDrawing, with the first images that are finished."""
    done: dict[int, np.ndarray] = {}
    try:
        _gather(done, shard, N, size)
    except KeyboardInterrupt:
        raise InterruptedDrawing([done[start] for start in takewhile(done.__contains__, range(0, N, size))]) from None
    return np.concatenate([done[start] for start in sorted(done)])


def _gather(done: dict[int, np.ndarray], shard: Callable[[slice], np.ndarray], N: int, size: int) -> None:
    """Put the array of each shard into `done`, by its first image."""
    with shown(N, " images") as work, work.stopped_by_interrupt(), Workers() as workers:

        def keep(part: slice) -> None:
            work.advance(0)
            done[part.start] = shard(part)

        try:
            for _ in workers.map(keep, N, size):
                pass
        except KeyboardInterrupt:  # of one thread, or by somebody else's handler
            work.stop()
            raise
