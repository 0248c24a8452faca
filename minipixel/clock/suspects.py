"""Suspects, when the proof fails: layers which, if they were built otherwise, would make the whole model causal.

A layer can be mended in three ways. By a mask, its late reads are removed, at all pixels alike. By a shift, it reads a
map that is moved by a pixel. By a cut, other rows or columns are cut off from a map that is larger than needed. Masks
are tried on each layer that every chain of late reads passes, and on all layers of a kind at once, since a class
without its shift makes the same mistake in each of its layers.

A masked layer must still read through each of its inputs. If no such mend is convincing, it must read through one of
them at least; or through none, if everything that it reads too late is ahead, as for a kernel that was flipped.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.clock.late import Read, late_sources
from minipixel.clock.mend import Losses, causal, inputs, moved, without
from minipixel.clock.times import Clock
from minipixel.clock.trace import Node
from minipixel.ops.local import Look

SHIFTS = ((1, 0), (0, 1))
"""A map moved by a pixel: down, or to the right."""


@dataclass
class Suspect:
    """Nodes, one or all of a kind, whose change would make the model causal, each with its late reads.

    `mend` has the nodes that replace them. `loss` is how many legal dependencies, on up to TRACKED sub-pixels, the
    model would lose. `ahead` says whether a removed read is of a pixel that is drawn later, and `keeps` whether
    something is still read through each input.
    """

    reads: dict[Node, list[Read]]
    mend: dict[Node, Node]
    loss: int
    ahead: bool
    keeps: bool = True

    @property
    def name(self) -> str:
        """The layer and the op; for a kind of layers there is a star in place of their numbers."""
        return self._shared(next(iter(self.reads)).name)

    @property
    def layer(self) -> str:
        """The layer alone, or the kind of layers."""
        return self._shared(next(iter(self.reads)).layer)

    def _shared(self, name: str) -> str:
        return name if len(self.reads) == 1 else _kind(name)

    @property
    def convincing(self) -> bool:
        """Whether it is likely that the author meant it otherwise."""
        return self.loss == 0 or self.ahead

    @property
    def cost(self) -> tuple[bool, int]:
        """The loss of the output; suspects that are not convincing come last."""
        return not self.convincing, self.loss

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """The key by which suspects are sorted, the best first."""
        return *self.cost, not self.ahead


def candidates(losses: Losses, late: dict[Node, list[Read]]) -> list[Suspect]:
    """All masks and cuts that would make the model causal; kinds of nodes only if no single node is convincing."""
    kinds: dict[str, list[Node]] = {}
    for node in late:
        kinds.setdefault(_kind(node.name), []).append(node)
    single = [[node] for node in late if _passed_by_all(losses.clock, late, node)]
    several = [nodes for nodes in kinds.values() if len(nodes) > 1]
    turned = [[node] for (node,) in single if node.weighted and _all_ahead(losses.clock, node, late[node])]
    found: list[Suspect] = []
    for alike, enough in ((single, np.all), (several, np.all), (single, np.any), (several, np.any), (turned, _nothing)):
        if not any(suspect.convincing for suspect in found):
            found += [suspect for nodes in alike if (suspect := _mended(losses, late, nodes, enough))]
    return found + [cut for (node,) in single for cut in _cut_elsewhere(losses, late, node)]


def shifted(losses: Losses, late: list[Read], node: Node) -> list[Suspect]:
    """A layer as a suspect, if the model would be causal with one of the layer's input maps shifted by a pixel."""
    found = []
    for source in late_sources(node, late) if node.weighted else []:
        for by in SHIFTS:
            mend = {node: moved(node, {source}, *by)}
            if causal(losses.clock, mend):
                found.append(Suspect({node: late}, mend, losses.at_output(mend), False))
    return found


def _kind(name: str) -> str:
    """The name of a node without the numbers of layers, which nodes of a kind share."""
    return re.sub(r"(?<=\.)\d+", "*", name)


def _passed_by_all(clock: Clock, late: dict[Node, list[Read]], node: Node) -> bool:
    """Whether every chain of late reads, from the image to the output, passes a node."""
    reached = {clock.trace.image}
    for reader in late:
        if reader is not node and not reached.isdisjoint(late_sources(reader, late[reader])):
            reached.add(reader)
    return clock.output.node not in reached


def _mended(
    losses: Losses, late: dict[Node, list[Read]], nodes: list[Node], enough: Callable[..., Any]
) -> Suspect | None:
    """The nodes as a suspect, if the model becomes causal when their late reads are removed, the latest first.

    `enough` says through which of its inputs a channel must still read.
    """
    clock = losses.clock
    mend: dict[Node, Node] = {node: node for node in nodes}
    shut: dict[Node, list[Read]] = {node: [] for node in nodes}
    taps = dict.fromkeys((read.i, read.t) for node in nodes for read in late[node])
    for tap in taps:
        so_far = dict(mend)
        for node in nodes:
            for read in (read for read in late[node] if (read.i, read.t) == tap):
                mended, open_ = without(mend[node], read), inputs(node)
                if (enough(inputs(mended), axis=0, where=open_) >= open_.any(axis=0)).all():
                    mend[node] = mended
                    shut[node].append(read)
        if mend != so_far and causal(clock, mend):
            ahead = any(_looks_ahead(clock, node, read) for node in nodes for read in shut[node])
            reads = {node: shut[node] for node in nodes if shut[node]}
            return Suspect(reads, mend, losses.at_output(mend), ahead, enough is np.all)
    return None


def _cut_elsewhere(losses: Losses, late: dict[Node, list[Read]], node: Node) -> list[Suspect]:
    """A node as a suspect, if the model would be causal with other rows or columns cut off from its map."""
    cuts = [reader for reader in losses.due if any(read[0] is node and _is_cut(reader, *read) for read in reader.reads)]
    found = []
    for by in SHIFTS:
        mend = {reader: moved(reader, {node}, *by) for reader in cuts}
        if mend and causal(losses.clock, mend):
            found.append(Suspect({node: late[node]}, mend, losses.at_output(mend), False))
    return found


def _is_cut(node: Node, source: Node, look: Look) -> bool:
    """Whether a node reads a part of a map, each pixel its own."""
    (H, W), width = node.size, source.size[1]
    part = np.arange(H)[:, None] * width + np.arange(W)
    return node.pixels < source.pixels and bool((look.index - look.index[0] == part.reshape(-1, 1)).all())


def _nothing(open_: np.ndarray, **_: Any) -> np.ndarray:
    """No input must still be read."""
    return np.ones(open_.shape[1], bool)


def _all_ahead(clock: Clock, node: Node, late: list[Read]) -> bool:
    """Whether everything that a node reads too late is ahead."""
    return all(_looks_ahead(clock, node, read) for read in late)


def _looks_ahead(clock: Clock, node: Node, read: Read) -> bool:
    """Whether a read is of a pixel that is drawn later, or of the grey image at its own pixel, if maps are comparable.

    For a state of a scan: whether it knows more than the input at the cell itself.
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
