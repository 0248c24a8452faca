"""Mends: what a model would depend on if a node had been built otherwise, without some reads, or with a shifted map.

A mend removes what came too late, and often also something that came in time. The less it removes of that, the more
likely it is what the author meant. A sub-pixel is known in time if it is drawn before the deadline of the value that
depends on it, so losses can be counted at the output, or at every value of the model.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from minipixel.clock.late import NEVER, Read
from minipixel.clock.times import Clock, Known, walk
from minipixel.clock.trace import Node
from minipixel.ops.local import ZERO, Look

TRACKED = 1024
"""How many sub-pixels, spread over the image, are followed through the model to see what a mend loses."""

Instead = Mapping[Node, Node]
"""The nodes that a mend puts in the place of others."""


class Losses:
    """What the values of a model would lose, by a mend, of what they know in time.

    `due` is when each value must be known, `late` has the nodes with values that know something too late.
    """

    def __init__(self, clock: Clock, due: dict[Node, np.ndarray], late: Collection[Node]) -> None:
        self.clock, self.due, self.late = clock, due, set(late)
        times = clock.times
        self.tracked = np.unique(np.linspace(0, times.size - 1, TRACKED).astype(int))
        self.drawn = times.ravel()[self.tracked]
        itself = np.arange(times.size)[:, None] == self.tracked
        self.sets = np.packbits(itself, axis=1).reshape(*times.shape, -1)
        self.known = self._known({})
        self.at_best = self._at_output(self.known)
        self.kept: dict[tuple[Node, ...], dict[Node, Known]] = {}

    def _known(self, mend: Instead) -> dict[Node, Known]:
        """The tracked sub-pixels that each value depends on, as bits."""
        return walk(self.clock.trace, self.sets, np.bitwise_or, mend)

    def _kept(self, mend: Instead) -> dict[Node, Known]:
        """The same for a mend that is compared with others; the result is stored."""
        key = tuple(mend.values())
        if key not in self.kept:
            self.kept[key] = self._known(mend)
        return self.kept[key]

    def _in_time(self, deadline: np.ndarray) -> np.ndarray:
        """Which of the tracked sub-pixels are drawn before a deadline, as bits: (...) -> (..., bytes)."""
        return np.packbits((self.drawn < deadline[..., None]) & (deadline < NEVER)[..., None], axis=-1)

    def _at_output(self, known: dict[Node, Known]) -> np.ndarray:
        """The tracked sub-pixels that parameters of a colour know and may know: bits (P, colours, bytes)."""
        output, groups = self.clock.output, self.clock.groups
        knows, colours = known[output.node], np.unique(groups)
        of_class = knows.at(output.index)
        of_colour = [np.bitwise_or.reduce(of_class[:, np.unique(knows.of[groups == k])], axis=1) for k in colours]
        return np.stack(of_colour, axis=1) & self._in_time(self.clock.times[:, colours])

    def at_output(self, mend: Instead) -> int:
        """How many legal dependencies of the output a mend would remove."""
        return int(np.bitwise_count(self.at_best & ~self._at_output(self._known(mend))).sum())

    def no_more(self, mend: Instead, other: Instead, late_too: bool) -> bool:
        """Whether a mend loses nothing that another does not lose at the same value.

        Values that come too late are compared only if `late_too`, and not those before one of the two mends, from which
        a mend at that place must remove something.
        """
        ours, theirs = self._kept(mend), self._kept(other)
        left_out = self.late & (before(mend) | before(other)) if late_too else self.late
        for node in (node for node in self.due if node not in left_out):
            known, due = [self.known[node], ours[node], theirs[node]], self.due[node]
            alike = {(*(one.of[k] for one in known), due[:, k].tobytes()): k for k in range(node.K)}
            for k in alike.values():
                knew, keeps, kept = (one.values[:, one.of[k]] for one in known)
                if (knew & ~keeps & kept & self._in_time(due[:, k])).any():
                    return False
        return True

    def fewer(self, mend: Instead, other: Instead, late_too: bool) -> bool:
        """Whether it loses no more than the other, and the other loses more than it."""
        return self.no_more(mend, other, late_too) and not self.no_more(other, mend, late_too)


def before(nodes: Iterable[Node]) -> set[Node]:
    """All nodes that some read, directly or through others."""
    found: set[Node] = set()
    ahead = list(nodes)
    while ahead:
        sources = {source for source, _ in ahead.pop().reads} - found
        found |= sources
        ahead += sources
    return found


def causal(clock: Clock, mend: Instead) -> bool:
    """Whether the model would be causal after a mend."""
    ready = walk(clock.trace, clock.times + 1, np.maximum, mend)[clock.output.node]
    return bool((ready.at(clock.output.index)[:, ready.of] <= clock.times[:, clock.groups]).all())


def without(node: Node, read: Read) -> Node:
    """The same node without that read, as if a mask were shut there."""
    if read.i is None:
        own = node.local.own
        index, above = own.index.copy(), np.where(own.above == own.index[:, read.t], ZERO, own.above)
        index[:, read.t] = ZERO
        return replace(node, local=replace(node.local, own=replace(own, index=index, above=above)))
    looks = list(node.reads)
    source, look = looks[read.i]
    channels = look.channels.reshape(-1, *read.pairs.shape).copy()
    channels[read.t] &= ~read.pairs
    looks[read.i] = source, Look(look.index, channels.reshape(look.channels.shape))
    return replace(node, reads=looks)


def moved(node: Node, sources: Collection[Node], down: int, right: int) -> Node:
    """The same node reading shifted maps: at each pixel the value from above, or from the left."""
    looks = []
    for there, look in node.reads:
        if there in sources:
            row, column = np.divmod(look.index, there.size[1])
            inside = (look.index >= 0) & (row >= down) & (column >= right)
            index = np.where(inside, look.index - down * there.size[1] - right, np.minimum(look.index, ZERO))
            look = Look(index, look.channels)
        looks.append((there, look))
    return replace(node, reads=looks)


def inputs(node: Node) -> np.ndarray:
    """The inputs (its own states last) through which each channel reads something: boolean (inputs, K)."""
    read = [look.channels.any(axis=0) for _, look in node.reads]
    return np.stack(read if node.own is None else [*read, np.full(node.K, (node.own.index >= 0).any())])
