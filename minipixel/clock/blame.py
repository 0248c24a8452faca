"""Where the future leaks in, when the proof fails.

A leak is a chain of reads, from a sub-pixel to parameters that draw it or an earlier one. Every read of the chain comes
too late for what is drawn at its end, so the chain alone does not say which of them is the mistake. But a mistake can
be mended where it was made. So take each layer that every chain passes, or all layers of a kind (a class without its
shift makes the same mistake in each), shut late reads of it, at all pixels alike as a mask would, and see whether the
whole model is then causal.

Whatever comes before or after a mistake could hide it too, by not reading what it ought to. So a layer has to go on
reading through each of its inputs, and those are the suspects by which the outputs lose the least of what they may
know; where all lose something, a read that looks ahead accuses more than one that looks back. Mostly there is one.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from minipixel.clock.times import Clock, distinct_columns, walk
from minipixel.clock.trace import Node
from minipixel.errors import CausalityError
from minipixel.ops.local import ZERO, Look

NEVER = np.iinfo(np.int64).max
TRACKED = 1024
"""How many sub-pixels, spread over the image, are followed to the output to see which suspects lose the least."""
COLOURS = {1: ("",), 3: (" red", " green", " blue")}


@dataclass
class Read:
    """One tap of a node that reads too late: its tap `t` of input `i`, or of its own states where `i` is None.

    `pairs`, boolean (K_in, K_out), are the channels between which it does; `at` is a pixel where it does, `there` the
    pixel that it reads, `late` by how many steps at the worst.
    """

    i: int | None
    t: int
    pairs: np.ndarray
    at: int
    there: int
    late: int


@dataclass
class Suspect:
    """Nodes that would make the model causal by not making some reads: a single one, or all of a kind.

    `share` is how many of their reads that would be; `loss` how many of its rightful dependencies the model would lose,
    of those on up to TRACKED sub-pixels; `ahead` whether one of the reads looks at a pixel that is drawn later.
    """

    reads: dict[Node, list[Read]]
    share: float
    loss: int
    ahead: bool

    @property
    def name(self) -> str:
        """The layer, or the kind of layers with a star for their numbers, and the op."""
        first = next(iter(self.reads)).name
        return first if len(self.reads) == 1 else _kind(first)


def prove(clock: Clock, name: str) -> None:
    """Raise CausalityError unless the proof holds, with the layers in which the mistake must lie."""
    late = clock.late()
    if not late.any():
        return
    p, k = (int(i) for i in np.argwhere(late)[0])
    output = clock.output.node
    ready = clock.ready[output].at(clock.output.index)[p, clock.ready[output].of[k]]
    read = int(np.flatnonzero(clock.times.ravel() == ready - 1)[0])
    drawn = p * clock.times.shape[1] + int(clock.groups[k])
    itself = " itself" if read == drawn else ", which is drawn later"
    raise CausalityError(
        f"{name}: sub-pixel {_sub_pixel(clock, drawn)} is drawn from parameters that know {_sub_pixel(clock, read)}"
        f"{itself}; {_accusation(clock)}"
    )


def _accusation(clock: Clock) -> str:
    found = suspects(clock)
    if not found:
        return "no single layer explains it: look for several masks, shifts or crops that let the future in"
    node, reads = next(iter(found[0].reads.items()))
    read = min(reads, key=lambda read: read.at)
    source = node if read.i is None else node.reads[read.i][0]
    return (
        f"the future comes in at {' or '.join(suspect.name for suspect in found)}: at "
        f"{divmod(read.at, node.size[1])} it reads {divmod(read.there, source.size[1])} of "
        f"{'its own states' if read.i is None else source.name}; look at its mask, its taps, and the shifts around it"
    )


def _sub_pixel(clock: Clock, place: int) -> str:
    """A sub-pixel, given by its place in raster order, in words: "(3, 5) green"."""
    C = clock.times.shape[1]
    return f"{divmod(place // C, clock.trace.image.size[1])}{COLOURS[C][place % C]}"


def suspects(clock: Clock) -> list[Suspect]:
    """The layers in which a mistake must lie, if it is one mistake; those that would shut the smallest share first."""
    deadline = deadlines(clock)
    reads = {node: late_reads(clock, node, deadline[node]) for node in deadline}
    late = {node: found for node, found in reads.items() if found}
    found = [s for node in late if _passed_by_all(clock, late, node) and (s := _mended(clock, late, [node]))]
    if not any(suspect.ahead or suspect.loss == 0 for suspect in found):
        kinds: dict[str, list[Node]] = {}
        for node in late:
            kinds.setdefault(_kind(node.name), []).append(node)
        several = [nodes for nodes in kinds.values() if len(nodes) > 1]
        found += [suspect for nodes in several if (suspect := _mended(clock, late, nodes))]
    if all(suspect.loss > 0 for suspect in found):
        found = [suspect for suspect in found if suspect.ahead] or found
    least = min((suspect.loss for suspect in found), default=0)
    return sorted((suspect for suspect in found if suspect.loss == least), key=lambda suspect: suspect.share)


def _kind(name: str) -> str:
    """The name of a node without the numbers of layers in it: what several may share."""
    return re.sub(r"(?<=\.)\d+", "*", name)


def deadlines(clock: Clock) -> dict[Node, np.ndarray]:
    """When each value must be known, for what is drawn from it: (P, K) for each computed node; NEVER if nothing is."""
    due = {node: np.full((node.pixels, node.K), NEVER) for node in clock.trace.nodes}
    output, index = clock.output.node, clock.output.index
    np.minimum.at(due[output], index[index >= 0], clock.times[:, clock.groups][index >= 0])
    for node in reversed(clock.trace.nodes):
        if node.own is not None:
            for r in range(node.own.rows[-1], 0, -1):
                here = node.own.rows == r
                soonest = due[node][here].min(axis=1, keepdims=True)
                for there in node.own.index[here].T:
                    np.minimum.at(due[node], there[there >= 0], soonest[there >= 0])
        for source, look in node.reads:
            patterns, of = distinct_columns(look.channels.T)  # which outputs each of the T * K_in numbers reaches
            asked = np.stack([due[node][:, reached].min(axis=1, initial=NEVER) for reached in patterns.T], axis=1)
            for t, there in enumerate(look.index.T):
                by_channel = asked[:, of.reshape(-1, source.K)[t]]
                np.minimum.at(due[source], there[there >= 0], by_channel[there >= 0])
    return {node: due[node] for node in clock.trace.nodes if node.reads}


def late_reads(clock: Clock, node: Node, deadline: np.ndarray) -> list[Read]:
    """The reads of a node by which it learns something too late for what is drawn from it, the latest first."""
    taps: list[tuple[int | None, int, np.ndarray, Node, np.ndarray]] = []
    for i, (source, look) in enumerate(node.reads):
        channels = look.channels.reshape(-1, source.K, node.K)
        taps += [(i, t, look.index[:, t], source, channels[t]) for t in range(len(channels))]
    if node.own is not None:
        every = np.ones((node.K, node.K), bool)
        taps += [(None, t, index, node, every) for t, index in enumerate(node.own.index.T)]
    found = []
    for position, tap, index, source, channels in taps:
        known = clock.ready[source]
        ready, by_deadline = known.at(index), distinct_columns(deadline)
        pairs, worst = np.zeros_like(channels), (0, 0)
        for g, ready_g in enumerate(ready.T):
            for d, due in enumerate(by_deadline[0].T):
                involved = channels & np.outer(known.of == g, by_deadline[1] == d)
                lateness = np.where((due < NEVER) & (index >= 0), ready_g - due, 0)
                if involved.any() and lateness.max() > 0:
                    pairs |= involved
                    worst = max(worst, (int(lateness.max()), -int(np.flatnonzero(lateness > 0)[0])))
        if pairs.any():
            at = -worst[1]
            found.append(Read(position, tap, pairs, at, int(index[at]), worst[0]))
    return sorted(found, key=lambda read: -read.late)


def _passed_by_all(clock: Clock, late: dict[Node, list[Read]], node: Node) -> bool:
    """Whether every chain of late reads, from the image to the output, passes a node."""
    reached = {clock.trace.image}
    for reader in late:
        sources = {reader.reads[read.i][0] for read in late[reader] if read.i is not None}
        if reader is not node and sources & reached:
            reached.add(reader)
    return clock.output.node not in reached


def _mended(clock: Clock, late: dict[Node, list[Read]], nodes: list[Node]) -> Suspect | None:
    """The suspect that nodes are, if some of their late reads, shut from the latest on, make the model causal."""
    mended = {node: node for node in nodes}
    shut: dict[Node, list[Read]] = {node: [] for node in nodes}
    taps = dict.fromkeys((read.i, read.t) for node in nodes for read in late[node])
    for tap in taps:
        for node in nodes:
            for read in late[node]:
                without = _without(mended[node], read)
                if (read.i, read.t) == tap and _reads_something(node, without):
                    mended[node] = without
                    shut[node].append(read)
        ready = walk(clock.trace, clock.times + 1, np.maximum, mended)[clock.output.node]
        if (ready.at(clock.output.index)[:, ready.of] <= clock.times[:, clock.groups]).all():
            every = sum(look.channels.sum() for node in nodes for _, look in node.reads)
            every += sum(node.own.index.shape[1] * node.K**2 for node in nodes if node.own is not None)
            share = sum(read.pairs.sum() for reads in shut.values() for read in reads) / every
            loss = int((_rightful(clock, {}) & ~_rightful(clock, mended)).sum())
            ahead = any(_looks_ahead(clock, node, read) for node in nodes for read in shut[node])
            return Suspect(shut, float(share), loss, ahead)
    return None


def _looks_ahead(clock: Clock, node: Node, read: Read) -> bool:
    """Whether a read looks at a pixel that is drawn later, or the grey image at its own; where maps can be compared.

    Of the states of a scan: whether the one read knows more than what the input says at the cell itself.
    """
    if read.i is None:
        source, look = node.reads[0]
        of_input = clock.ready[source].at(look.index[read.at]).max()
        return bool(clock.ready[node].at(np.array([read.there])).max() > of_input)
    if node.reads[read.i][0].size != node.size:
        return False
    image = clock.trace.image
    place = clock.times.max(axis=1) if node.size == image.size else np.arange(node.pixels)
    itself = node.reads[read.i][0] is image and image.K == 1 and read.there == read.at
    return bool(place[read.there] > place[read.at]) or itself


def _rightful(clock: Clock, instead: dict[Node, Node]) -> np.ndarray:
    """Which parameters know which of the tracked sub-pixels, of those that they may know: boolean (P, K, tracked)."""
    times = clock.times
    tracked = np.unique(np.linspace(0, times.size - 1, TRACKED).astype(int))
    itself = np.arange(times.size)[:, None] == tracked
    sets = np.packbits(itself, axis=1).reshape(*times.shape, -1)
    known = walk(clock.trace, sets, np.bitwise_or, instead)[clock.output.node]
    knows = np.unpackbits(known.at(clock.output.index), axis=2, count=len(tracked)).astype(bool)[:, known.of]
    return knows & (times.ravel()[tracked] < times[:, clock.groups][:, :, None])


def _without(node: Node, read: Read) -> Node:
    """The same node, had it not that read: a mask shut there."""
    if read.i is None:
        index = node.own.index.copy()  # type: ignore[union-attr]
        index[:, read.t] = ZERO
        return replace(node, local=replace(node.local, own=replace(node.own, index=index)))  # type: ignore[type-var]
    looks = list(node.reads)
    source, look = looks[read.i]
    channels = look.channels.reshape(-1, *read.pairs.shape).copy()
    channels[read.t] &= ~read.pairs
    looks[read.i] = source, Look(look.index, channels.reshape(look.channels.shape))
    return replace(node, reads=looks)


def _reads_something(before: Node, after: Node) -> bool:
    """Whether every channel still reads something through each input, and a scan something of its own states."""
    inputs = all(
        (new.channels.any(axis=0) == old.channels.any(axis=0)).all()
        for (_, old), (_, new) in zip(before.reads, after.reads, strict=True)
    )
    return inputs and (after.own is None or bool((after.own.index[before.own.index >= 0] >= 0).any()))  # type: ignore[union-attr]
