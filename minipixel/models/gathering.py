"""Long work on many images, shard by shard: with a bar where it is slow and somebody looks, and an end by Ctrl-C.

Shards count what they have done (progress.py). Ctrl-C ends those at hand when next they count, at the latest when they
are done, and none of those that wait is begun; threads and settings are put back.
"""

from collections.abc import Callable

import numpy as np

from minipixel.errors import InterruptedDrawing
from minipixel.progress import shown
from minipixel.shards import Workers


def gathered(shard: Callable[[slice], np.ndarray], N: int, size: int) -> np.ndarray:
    """The arrays of all shards of N images, one after the other."""
    done: list[np.ndarray] = []
    _gather(done, shard, N, size)
    return np.concatenate(done)


def drawn(shard: Callable[[slice], np.ndarray], N: int, size: int) -> np.ndarray:
    """The same of images that are drawn: after Ctrl-C the InterruptedDrawing has those that are done."""
    done: list[np.ndarray] = []
    try:
        _gather(done, shard, N, size)
    except KeyboardInterrupt:
        raise InterruptedDrawing(done) from None
    return np.concatenate(done)


def _gather(done: list[np.ndarray], shard: Callable[[slice], np.ndarray], N: int, size: int) -> None:
    with shown(N, " images") as work, Workers() as workers, work.stopped_by_interrupt():
        for array in workers.map(shard, N, size):
            done += [array]
