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
from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.clock.late import NEVER, Read, deadlines, late_reads
from minipixel.clock.mend import Losses, before, causal, inputs, moved, without
from minipixel.clock.times import Clock
from minipixel.clock.trace import Node
from minipixel.errors import CausalityError
from minipixel.ops.local import Look

COLOURS = {1: ("",), 3: (" red", " green", " blue")}


@dataclass
class Suspect:
    """Nodes that would make the model causal by not making some reads: a single one, or all of a kind.

    `loss` is how many of its rightful dependencies the model would lose, of those on up to TRACKED sub-pixels; `ahead`
    whether one of the reads looks at a pixel that is drawn later.
    """

    reads: dict[Node, list[Read]]
    mend: dict[Node, Node]
    loss: int
    ahead: bool
    keeps: bool = True

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
    losses = Losses(clock, deadline, late)
    found = _candidates(losses, late)
    best = min((suspect.rank for suspect in found), default=None)
    found = [suspect for suspect in found if suspect.rank == best]
    found += [shift for node in late for shift in _shifted(losses, late, node) if _as_good(losses, shift, found)]
    for late_too in (False, True):
        found = _least(losses, found, late_too)
    found.sort(key=lambda suspect: list(reads).index(next(iter(suspect.reads))))
    return list({suspect.layer: suspect for suspect in reversed(found)}.values())[::-1]  # the first of each layer


def _least(losses: Losses, found: list[Suspect], late_too: bool) -> list[Suspect]:
    """The suspects but for those that lose all that another does, and more; where all inputs are read on."""
    kept = [suspect for suspect in found if suspect.keeps]
    worse = [suspect for suspect in kept if any(losses.fewer(other.mend, suspect.mend, late_too) for other in kept)]
    return [suspect for suspect in found if suspect not in worse]


def _as_good(losses: Losses, shift: Suspect, found: list[Suspect]) -> bool:
    """Whether a shift costs the output less than what was found, or as much, and the values no more than a mask would.

    That mask is of a layer further up: its mistake may be that what it says goes on without a shift.
    """
    if all(shift.rank[:2] < suspect.rank[:2] for suspect in found):
        return shift.convincing
    earlier = before(shift.reads)
    masks = [suspect.mend for suspect in found if suspect.keeps and earlier.issuperset(suspect.reads)]
    return shift.rank[:2] == found[0].rank[:2] and any(
        losses.fewer(shift.mend, mask, late_too=False) or losses.no_more(shift.mend, mask, late_too=True)
        for mask in masks
    )


def _shifted(losses: Losses, late: dict[Node, list[Read]], node: Node) -> list[Suspect]:
    """A layer as a suspect, if all would be well had one of the maps that it reads been shifted by a pixel."""
    found = []
    for source in {node.reads[read.i][0]: None for read in late[node] if node.weighted and read.i is not None}:
        for by in ((1, 0), (0, 1)):
            mend = {node: moved(node, {source}, *by)}
            if causal(losses.clock, mend):
                found.append(Suspect({node: late[node]}, mend, losses.at_output(mend), False))
    return found


def _candidates(losses: Losses, late: dict[Node, list[Read]]) -> list[Suspect]:
    """All that would make the model causal: single nodes, or kinds of nodes where no single one is convincing."""
    kinds: dict[str, list[Node]] = {}
    for node in late:
        kinds.setdefault(_kind(node.name), []).append(node)
    single = [[node] for node in late if _passed_by_all(losses.clock, late, node)]
    several = [nodes for nodes in kinds.values() if len(nodes) > 1]
    blind = [[node] for (node,) in single if node.weighted and all(_looks_ahead(losses.clock, node, read) for read in late[node])]
    found: list[Suspect] = []
    for alike, enough in ((single, np.all), (several, np.all), (single, np.any), (several, np.any), (blind, _every)):
        if not any(suspect.convincing for suspect in found):
            found += [suspect for nodes in alike if (suspect := _mended(losses, late, nodes, enough))]
    return found + [cut for (node,) in single for cut in _cut_elsewhere(losses, late, node)]


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
    losses: Losses, late: dict[Node, list[Read]], nodes: list[Node], enough: Callable[..., Any]
) -> Suspect | None:
    """The suspect that nodes are, if some of their late reads, shut from the latest on, make the model causal.

    `enough` says which of the inputs through which a channel reads something it has to go on reading.
    """
    clock = losses.clock
    mend: dict[Node, Node] = {node: node for node in nodes}
    shut: dict[Node, list[Read]] = {node: [] for node in nodes}
    taps = dict.fromkeys((read.i, read.t) for node in nodes for read in late[node])
    for tap in taps:
        before = dict(mend)
        for node in nodes:
            for read in (read for read in late[node] if (read.i, read.t) == tap):
                mended, open_ = without(mend[node], read), inputs(node)
                if (enough(inputs(mended), axis=0, where=open_) >= open_.any(axis=0)).all():
                    mend[node] = mended
                    shut[node].append(read)
        if mend != before and causal(clock, mend):
            ahead = any(_looks_ahead(clock, node, read) for node in nodes for read in shut[node])
            return Suspect({node: shut[node] for node in nodes if shut[node]}, mend, losses.at_output(mend), ahead, enough is np.all)
    return None


def _cut_elsewhere(losses: Losses, late: dict[Node, list[Read]], node: Node) -> list[Suspect]:
    """A node as a suspect, if all would be well had other rows or columns been cut off from its map."""
    cuts = [reader for reader in losses.due if any(read[0] is node and _is_cut(reader, *read) for read in reader.reads)]
    found = []
    for by in ((1, 0), (0, 1)):
        mend = {reader: moved(reader, {node}, *by) for reader in cuts}
        if mend and causal(losses.clock, mend):
            found.append(Suspect({node: late[node]}, mend, losses.at_output(mend), False))
    return found


def _is_cut(node: Node, source: Node, look: Look) -> bool:
    """Whether a node reads a part of a map, each pixel its own."""
    (H, W), width = node.size, source.size[1]
    part = np.arange(H)[:, None] * width + np.arange(W)
    return node.pixels < source.pixels and bool((look.index - look.index[0] == part.reshape(-1, 1)).all())


def _every(open_: np.ndarray, **_: Any) -> np.ndarray:
    """No input has to be read on."""
    return np.ones(open_.shape[1], bool)


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
    stride = _stride(node)  # pixel (r, c) of the smaller map stands at (stride * r, stride * c)
    of_source, of_node = (stride, 1) if source.pixels < node.pixels else (1, stride)
    there, at = divmod(read.there, source.size[1]), divmod(read.at, node.size[1])
    return stride > 1 and [of_source * x for x in there] > [of_node * x for x in at]


def _stride(node: Node) -> int:
    return node.tensor.call[1].get("stride", 1)
