"""Sums over the shards of several ranks, along the tree that a single process uses, and so to the same bits.

A rank has added up its own shards as far as the tree goes. Each array that is left is cut into a slice per rank: a rank
gets its slice of every sum that waits on any rank, finishes the tree with these, and sends its slice of the result to
all. So every number is added up once, in one place and in one order, and a rank sends and receives about twice the size
of the result, whatever the number of ranks.
"""

from collections.abc import Sequence

import numpy as np

from minipixel.arena import empty
from minipixel.messages import Ranks
from minipixel.tree import Tree, added, nodes

ALIGNED = 16
"""Slices begin at multiples of so many numbers, a cache line or more."""

PIECE = 2**26
"""The most bytes of one array that are on their way at a time."""


def summed(ranks: Ranks, where: str, tree: Tree, S: int) -> list[np.ndarray]:
    """The sums at the root of a tree of S values, lists of arrays, of which each rank has put in its `share`."""
    ranks.exchange(where)  # whoever failed in its shards says so here
    own = list(tree.sums.values())
    kinds = [(array.dtype.str, array.shape) for array in own[0]] if own else None
    if ranks.size > S:  # some ranks have had no shard, and do not know what is summed
        kinds = ranks.from_first(where, kinds)
    assert kinds is not None
    with ranks.whole():
        results = [empty(shape, kind) for kind, shape in kinds]
        rounds = max(-(-array.nbytes // PIECE) for array in results)
        for k in range(rounds):
            _sum_slices(ranks, where, [_part(value, k, rounds) for value in own], _part(results, k, rounds), S)
    return results


def _sum_slices(ranks: Ranks, where: str, own: list[list[np.ndarray]], into: list[np.ndarray], S: int) -> None:
    """Write the sums of one piece of each array, all of them flat, into `into`."""
    cuts = [_cuts(len(array), ranks.size) for array in into]

    def slices(arrays: list[np.ndarray], rank: int) -> list[np.ndarray]:
        return [array[cut[rank] : cut[rank + 1]] for array, cut in zip(arrays, cuts, strict=True)]

    widths = [sum(part.nbytes for part in slices(into, rank)) for rank in range(ranks.size)]
    names = [nodes(S, ranks.share(S, rank)) for rank in range(ranks.size)]
    sent = _joined([part for rank in range(ranks.size) for value in own for part in slices(value, rank)])
    width, count = widths[ranks.rank], sum(map(len, names))
    received = empty((count, width), np.uint8)
    ranks.wait(
        ranks.comm.Ialltoallv(
            [sent, [len(own) * each for each in widths]], [received, [len(some) * width for some in names]]
        ),
        where,
    )
    tree, like = Tree(S, added), slices(into, ranks.rank)
    for (level, place), content in zip((name for some in names for name in some), received, strict=True):
        tree.put(place, _split(content, like), level)
    total = empty((sum(widths),), np.uint8)
    ranks.wait(ranks.comm.Iallgatherv(_joined(tree.root), [total, widths]), where)
    starts = np.cumsum([0, *widths])
    for rank in range(ranks.size):
        parts = slices(into, rank)
        for part, result in zip(parts, _split(total[starts[rank] : starts[rank + 1]], parts), strict=True):
            part[...] = result


def _cuts(n: int, size: int) -> list[int]:
    """Where the slices of n numbers begin, and the end."""
    blocks = -(-n // ALIGNED)
    return [min(n, blocks * rank // size * ALIGNED) for rank in range(size + 1)]


def _part(arrays: list[np.ndarray], k: int, rounds: int) -> list[np.ndarray]:
    """Part k of so many of each array, flat."""
    flat = [array.reshape(-1) for array in arrays]
    return [array[len(array) * k // rounds : len(array) * (k + 1) // rounds] for array in flat]


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """The bytes of flat arrays, one after another."""
    parts = [array.view(np.uint8) for array in arrays]
    return np.concatenate([np.empty(0, np.uint8), *parts], out=empty((sum(map(len, parts)),), np.uint8))


def _split(content: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays in such bytes."""
    ends = np.cumsum([0, *(array.nbytes for array in like)])
    parts = zip(like, ends, ends[1:], strict=False)
    return [content[start:end].view(array.dtype) for array, start, end in parts]
