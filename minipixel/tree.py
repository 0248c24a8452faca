"""The order in which sums over shards are taken: a binary tree whose shape is a function of their number alone."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

Node = tuple[int, int]
"""A node of the tree: its level, 0 for the values themselves, and its place in that level."""


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
        self._waiting: dict[Node, Any] = {}
        self._lock = threading.Lock()

    def put(self, i: int, value: Any, level: int = 0) -> None:
        """Put value i in, once, and add up whatever pairs that completes; above level 0 it is a sum already."""
        width = -(-self._S >> level)
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

    @property
    def sums(self) -> dict[Node, Any]:
        """What was put in so far, added up as far as it goes: the root if that is all, else what waits for the rest."""
        if hasattr(self, "root"):
            return {((self._S - 1).bit_length(), 0): self.root}
        return dict(sorted(self._waiting.items(), key=lambda item: item[0][1] << item[0][0]))


def nodes(S: int, leaves: Iterable[int]) -> list[Node]:
    """The nodes that some of S leaves, once they are added up as far as it goes, leave behind: see `Tree.sums`."""
    tree = Tree(S, lambda left, right: None)
    for i in leaves:
        tree.put(i, None)
    return list(tree.sums)


def added(a: list[Any], b: list[Any]) -> list[Any]:
    """a + b of two lists of arrays, in the place of a."""
    for x, y in zip(a, b, strict=True):
        x += y
    return a
