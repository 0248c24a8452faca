"""Deadlines: when each value must be known, found backwards from the output, and the reads that come too late.

The clock says when a value is known, and its deadline says when it must be known. In a causal model every value is
known in time. Where the proof fails, the reads by which a value depends on something after its deadline are the trail
of the leak.
"""

from dataclasses import dataclass

import numpy as np

from minipixel.clock.times import Clock, distinct_columns
from minipixel.clock.trace import Node

NEVER = np.iinfo(np.int64).max


@dataclass
class Read:
    """A tap of a node that reads too late: tap `t` of input `i`, or of the node's own states if `i` is None.

    `pairs`, boolean (K_in, K_out), are the channels between which it reads too late. `at` is an output pixel with such
    a read, `there` the pixel that it reads, and `late` by how many steps it comes too late at most.
    """

    i: int | None
    t: int
    pairs: np.ndarray
    at: int
    there: int
    late: int


def deadlines(clock: Clock) -> dict[Node, np.ndarray]:
    """When each value must be known for what is drawn from it: (P, K) for each computed node; NEVER if nothing is."""
    due = {node: np.full((node.pixels, node.K), NEVER) for node in clock.trace.nodes}
    output, index = clock.output.node, clock.output.index
    np.minimum.at(due[output], index[index >= 0], clock.times[:, clock.groups][index >= 0])
    for node in reversed(clock.trace.nodes):
        if node.own is not None:
            for r in range(node.own.rows[-1], 0, -1):
                here = node.own.rows == r
                soonest = due[node][here].min(axis=1, keepdims=True)
                for there in node.own.states[here].T:
                    np.minimum.at(due[node], there[there >= 0], soonest[there >= 0])
        for source, look in node.reads:
            patterns, of = distinct_columns(look.channels.T)  # which outputs each of the T * K_in numbers reaches
            asked = np.stack([due[node][:, reached].min(axis=1, initial=NEVER) for reached in patterns.T], axis=1)
            for t, there in enumerate(look.index.T):
                by_channel = asked[:, of.reshape(-1, source.K)[t]]
                np.minimum.at(due[source], there[there >= 0], by_channel[there >= 0])
    return {node: due[node] for node in clock.trace.nodes if node.reads}


def late_reads(clock: Clock, node: Node, deadline: np.ndarray) -> list[Read]:
    """The reads of a node that come too late for what is drawn from it, the latest first."""
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


def late_sources(node: Node, reads: list[Read]) -> list[Node]:
    """The nodes, each once, that some reads of a node read too late; its own states are left out."""
    return list(dict.fromkeys(node.reads[read.i][0] for read in reads if read.i is not None))
