"""What a model would know, had a node of it been built otherwise: with some reads shut, or with a map moved by a pixel.

A mend takes something away: what came too late, and mostly some of what came in time as well. The less it takes of
that, the more likely it is what was meant. Known in time is what is drawn before the deadline of the value that knows
it, so losses can be told at the output, or at every value of the model.
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
    """What the values of a model would lose of what they know in time.

    `due` is when each has to be known, `late` the nodes with values that know something too late.
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
        """Which of the tracked sub-pixels each value knows, as bits."""
        return walk(self.clock.trace, self.sets, np.bitwise_or, mend)

    def _kept(self, mend: Instead) -> dict[Node, Known]:
        """The same after a mend that is compared with others, worked out once."""
        key = tuple(mend.values())
        if key not in self.kept:
            self.kept[key] = self._known(mend)
        return self.kept[key]

    def _in_time(self, deadline: np.ndarray) -> np.ndarray:
        """Which of the tracked sub-pixels are drawn before a deadline, as bits: (...) -> (..., bytes)."""
        return np.packbits((self.drawn < deadline[..., None]) & (deadline < NEVER)[..., None], axis=-1)

    def _at_output(self, known: dict[Node, Known]) -> np.ndarray:
        """Which of the tracked sub-pixels the parameters of a colour know, and may know: bits (P, colours, bytes)."""
        output, groups = self.clock.output, self.clock.groups
        knows, colours = known[output.node], np.unique(groups)
        of_class = knows.at(output.index)
        of_colour = [np.bitwise_or.reduce(of_class[:, np.unique(knows.of[groups == k])], axis=1) for k in colours]
        return np.stack(of_colour, axis=1) & self._in_time(self.clock.times[:, colours])

    def at_output(self, mend: Instead) -> int:
        """How many of the dependencies that the output rightfully has a mend would cost it."""
        return int(np.bitwise_count(self.at_best & ~self._at_output(self._known(mend))).sum())

    def no_more(self, mend: Instead, other: Instead, late_too: bool) -> bool:
        """Whether a mend loses nothing that another does not lose at the same value.

        Values that come too late are asked only if `late_too`, and not those before one of the two: who mends there has
        to take something from them.
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
        """Whether it loses no more, and the other does."""
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
    """Whether the model would be causal."""
    ready = walk(clock.trace, clock.times + 1, np.maximum, mend)[clock.output.node]
    return bool((ready.at(clock.output.index)[:, ready.of] <= clock.times[:, clock.groups]).all())


def without(node: Node, read: Read) -> Node:
    """The same node, had it not that read: a mask shut there."""
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
    """The same node, if it read some maps moved by some pixels: at each pixel what stands above, or to the left."""
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
    """Through which of its inputs, its own states the last, each channel reads something: boolean (inputs, K)."""
    read = [look.channels.any(axis=0) for _, look in node.reads]
    return np.stack(read if node.own is None else [*read, np.full(node.K, (node.own.index >= 0).any())])
