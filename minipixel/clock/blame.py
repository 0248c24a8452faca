"""The layer with the mistake, when the proof of causality fails.

A leak is a chain of reads, from a sub-pixel to parameters that draw it or an earlier one. Every read of the chain comes
too late for what is drawn at its end, so the chain alone does not show which read is the mistake. So each layer is
changed in turn, by a mask, a shift or another cut (see suspects.py), to see whether the whole model would then be
causal. A layer for which that is so is a suspect.

Layers before or after the mistake could also stop the leak, by not reading something that they should read. But then
something is lost that could have been known in time. The best suspects are those by which the outputs lose nothing, and
those that look ahead; of these, the ones that lose the least. Beside a mask, a shift is a suspect if it costs the
output less; or if it costs as much, comes after the mask, and other values lose no more: the output of one layer may be
right, and only the shift after it be missing.

Several suspects may be left, since outputs know most things in more than one way. Then the losses of other values are
compared, and the change by which they lose less is the better one. First this is done where nothing came too late,
since neither the mistake nor its repair should show there; then everywhere from where both could stop the leak. If
other layers read a suspect's output in time, and only one layer reads it too late, that layer is a suspect as well.
"""

import numpy as np

from minipixel.clock.late import NEVER, Read, deadlines, late_reads, late_sources
from minipixel.clock.mend import Losses, before
from minipixel.clock.suspects import Suspect, candidates, shifted
from minipixel.clock.times import Clock
from minipixel.clock.trace import Node
from minipixel.errors import CausalityError
from minipixel.shown import of_channel


def prove(clock: Clock, name: str) -> None:
    """Raise CausalityError if the proof fails; the message names the layers in which the mistake must be."""
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
    return f"{divmod(place // C, clock.trace.image.size[1])}{of_channel(place % C, C)}"


def suspects(clock: Clock) -> list[Suspect]:
    """The layers in which the mistake must be, if there is only one mistake, in the order of the forward pass."""
    deadline = deadlines(clock)
    reads = {node: late_reads(clock, node, deadline[node]) for node in deadline}
    late = {node: found for node, found in reads.items() if found}
    losses = Losses(clock, deadline, late)
    found = candidates(losses, late)
    best = min((suspect.rank for suspect in found), default=None)
    found = [suspect for suspect in found if suspect.rank == best]
    found += [shift for node in late for shift in shifted(losses, late[node], node) if _as_good(losses, shift, found)]
    cheapest = min((suspect.cost for suspect in found), default=None)
    found = [suspect for suspect in found if suspect.cost == cheapest]
    for late_too in (False, True):
        found = _least(losses, found, late_too)
    found += [reader for suspect in found for reader in _one_too_late(losses, late, suspect)]
    found.sort(key=lambda suspect: list(reads).index(next(iter(suspect.reads))))
    return list({suspect.layer: suspect for suspect in reversed(found)}.values())[::-1]  # the first of each layer


def _least(losses: Losses, found: list[Suspect], late_too: bool) -> list[Suspect]:
    """The suspects without those that lose everything that another one loses, and more."""
    kept = [suspect for suspect in found if suspect.keeps]
    worse = [suspect for suspect in kept if any(losses.fewer(other.mend, suspect.mend, late_too) for other in kept)]
    return [suspect for suspect in found if suspect not in worse]


def _one_too_late(losses: Losses, late: dict[Node, list[Read]], suspect: Suspect) -> list[Suspect]:
    """The layer that reads a suspect's output too late, if it is the only one, and others read it in time."""
    found = []
    for node in suspect.reads:
        used = [reader for reader in losses.due if (losses.due[reader] < NEVER).any()]
        readers = [reader for reader in used if any(source is node for source, _ in reader.reads)]
        too_late = [reader for reader in readers if node in late_sources(reader, late.get(reader, []))]
        if len(too_late) == 1 < len(readers):
            found.append(Suspect({too_late[0]: late[too_late[0]]}, suspect.mend, suspect.loss, False))
    return found


def _as_good(losses: Losses, shift: Suspect, found: list[Suspect]) -> bool:
    """Whether a shift costs the output less than the suspects found; or as much, and other values no more than a mask.

    That mask is of an earlier layer, whose output may be right, with only the shift after it missing.
    """
    if all(shift.cost < suspect.cost for suspect in found):
        return shift.convincing
    earlier = before(shift.reads)
    masks = [suspect.mend for suspect in found if suspect.keeps and earlier.issuperset(suspect.reads)]
    return shift.cost == found[0].cost and any(
        losses.fewer(shift.mend, mask, late_too=False) or losses.no_more(shift.mend, mask, late_too=True)
        for mask in masks
    )
