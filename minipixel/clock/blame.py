"""Where the future leaks in, when the proof fails.

A leak is a chain of reads, from a sub-pixel to parameters that draw it or an earlier one. Every read of the chain comes
too late for what is drawn at its end, so the chain alone does not say which of them is the mistake. But a mistake can
be mended where it was made. So take each layer that every chain passes, or all layers of a kind (a class without its
shift makes the same mistake in each), shut late reads of it, at all pixels alike as a mask would, and see whether the
whole model is then causal.

Whatever comes before or after a mistake could hide it too, by not reading what it ought to. So a layer has to go on
reading through each of its inputs (if none that does is convincing, through one of them at least). The best suspects
are those by which the outputs lose nothing of what they may know, and those with a read that looks ahead; of these, the
ones that lose the least. Mostly there is one. If others read in time what a suspect says, and one layer too late, then
that one is a suspect as well.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minipixel.clock.late import NEVER, Read, deadlines, late_reads
from minipixel.clock.times import Clock, walk
from minipixel.clock.trace import Node
from minipixel.errors import CausalityError
from minipixel.ops.local import ZERO, Look

TRACKED = 1024
"""How many sub-pixels, spread over the image, are followed to the output to see which suspects lose the least."""
COLOURS = {1: ("",), 3: (" red", " green", " blue")}


@dataclass
class Suspect:
    """Nodes that would make the model causal by not making some reads: a single one, or all of a kind.

    `loss` is how many of its rightful dependencies the model would lose, of those on up to TRACKED sub-pixels; `ahead`
    whether one of the reads looks at a pixel that is drawn later.
    """

    reads: dict[Node, list[Read]]
    loss: int
    ahead: bool

    @property
    def name(self) -> str:
        """The layer, or the kind of layers with a star for their numbers, and the op."""
        return self._shared(next(iter(self.reads)).name)

    @property
    def layer(self) -> str:
        """The layer alone, or the kind of layers."""
        return self._shared(next(iter(self.reads)).layer)

    def _shared(self, name: str) -> str:
        return name if len(self.reads) == 1 else _kind(name)

    @property
    def convincing(self) -> bool:
        """Whether it was likely meant otherwise."""
        return self.loss == 0 or self.ahead

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The best suspects come first."""
        return not self.convincing, self.loss, not self.ahead


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
    """The layers in which a mistake must lie, if it is one mistake, in the order of the forward pass."""
    deadline = deadlines(clock)
    reads = {node: late_reads(clock, node, deadline[node]) for node in deadline}
    late = {node: found for node, found in reads.items() if found}
    found = _candidates(clock, late)
    best = min((suspect.rank for suspect in found), default=None)
    found = [suspect for suspect in found if suspect.rank == best]
    for node in [node for suspect in found for node in suspect.reads]:
        readers = [r for r in reads if (deadline[r] < NEVER).any() and any(source is node for source, _ in r.reads)]
        too_late = [r for r in readers if any(read.i is not None and r.reads[read.i][0] is node for read in reads[r])]
        if len(too_late) == 1 < len(readers):
            found.append(Suspect({too_late[0]: reads[too_late[0]]}, found[0].loss, False))
    found.sort(key=lambda suspect: list(reads).index(next(iter(suspect.reads))))
    return list({suspect.layer: suspect for suspect in reversed(found)}.values())[::-1]  # the first of each layer


def _candidates(clock: Clock, late: dict[Node, list[Read]]) -> list[Suspect]:
    """All that would make the model causal: single nodes, or kinds of nodes where no single one is convincing."""
    kinds: dict[str, list[Node]] = {}
    for node in late:
        kinds.setdefault(_kind(node.name), []).append(node)
    single = [[node] for node in late if _passed_by_all(clock, late, node)]
    several = [nodes for nodes in kinds.values() if len(nodes) > 1]
    found: list[Suspect] = []
    for enough in (np.all, np.any):
        for alike in (single, several):
            if not any(suspect.convincing for suspect in found):
                found += [suspect for nodes in alike if (suspect := _mended(clock, late, nodes, enough))]
    return found


def _kind(name: str) -> str:
    """The name of a node without the numbers of layers in it: what several may share."""
    return re.sub(r"(?<=\.)\d+", "*", name)


def _passed_by_all(clock: Clock, late: dict[Node, list[Read]], node: Node) -> bool:
    """Whether every chain of late reads, from the image to the output, passes a node."""
    reached = {clock.trace.image}
    for reader in late:
        sources = {reader.reads[read.i][0] for read in late[reader] if read.i is not None}
        if reader is not node and sources & reached:
            reached.add(reader)
    return clock.output.node not in reached


def _mended(
    clock: Clock, late: dict[Node, list[Read]], nodes: list[Node], enough: Callable[..., Any]
) -> Suspect | None:
    """The suspect that nodes are, if some of their late reads, shut from the latest on, make the model causal.

    `enough` says which of the inputs through which a channel reads something it has to go on reading: np.all or np.any.
    """
    mended = {node: node for node in nodes}
    shut: dict[Node, list[Read]] = {node: [] for node in nodes}
    taps = dict.fromkeys((read.i, read.t) for node in nodes for read in late[node])
    for tap in taps:
        before = dict(mended)
        for node in nodes:
            for read in (read for read in late[node] if (read.i, read.t) == tap):
                without, inputs = _without(mended[node], read), _inputs(node)
                if (enough(_inputs(without), axis=0, where=inputs) >= inputs.any(axis=0)).all():
                    mended[node] = without
                    shut[node].append(read)
        if mended == before:
            continue
        ready = walk(clock.trace, clock.times + 1, np.maximum, mended)[clock.output.node]
        if (ready.at(clock.output.index)[:, ready.of] <= clock.times[:, clock.groups]).all():
            loss = int((_rightful(clock, {}) & ~_rightful(clock, mended)).sum())
            ahead = any(_looks_ahead(clock, node, read) for node in nodes for read in shut[node])
            return Suspect({node: shut[node] for node in nodes if shut[node]}, loss, ahead)
    return None


def _looks_ahead(clock: Clock, node: Node, read: Read) -> bool:
    """Whether a read looks at a pixel that is drawn later, or the grey image at its own; where maps can be compared.

    Of the states of a scan: whether the one read knows more than what the input says at the cell itself.
    """
    if read.i is None:
        source, look = node.reads[0]
        of_input = clock.ready[source].at(look.index[read.at]).max()
        return bool(clock.ready[node].at(np.array([read.there])).max() > of_input)
    source, image = node.reads[read.i][0], clock.trace.image
    if source.size == node.size:
        place = clock.times.max(axis=1) if node.size == image.size else np.arange(node.pixels)
        itself = source is image and image.K == 1 and read.there == read.at
        return bool(place[read.there] > place[read.at]) or itself
    stride = node.tensor.call[1].get("stride", 1)  # pixel (r, c) of the smaller map stands at (stride * r, stride * c)
    of_source, of_node = (stride, 1) if source.pixels < node.pixels else (1, stride)
    there, at = divmod(read.there, source.size[1]), divmod(read.at, node.size[1])
    return stride > 1 and [of_source * x for x in there] > [of_node * x for x in at]


def _rightful(clock: Clock, instead: dict[Node, Node]) -> np.ndarray:
    """Which of the tracked sub-pixels the parameters of a colour know and may know: boolean (P, colours, tracked)."""
    times, groups = clock.times, clock.groups
    tracked = np.unique(np.linspace(0, times.size - 1, TRACKED).astype(int))
    itself = np.arange(times.size)[:, None] == tracked
    sets = np.packbits(itself, axis=1).reshape(*times.shape, -1)
    known = walk(clock.trace, sets, np.bitwise_or, instead)[clock.output.node]
    of_class, colours = known.at(clock.output.index), np.unique(groups)
    of_colour = [np.bitwise_or.reduce(of_class[:, np.unique(known.of[groups == k])], axis=1) for k in colours]
    knows = np.unpackbits(np.stack(of_colour, axis=1), axis=2, count=len(tracked)).astype(bool)
    return knows & (times.ravel()[tracked] < times[:, colours][:, :, None])


def _without(node: Node, read: Read) -> Node:
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


def _inputs(node: Node) -> np.ndarray:
    """Through which of its inputs, its own states the last, each channel reads something: boolean (inputs, K)."""
    inputs = [look.channels.any(axis=0) for _, look in node.reads]
    return np.stack(inputs if node.own is None else [*inputs, np.full(node.K, (node.own.index >= 0).any())])
