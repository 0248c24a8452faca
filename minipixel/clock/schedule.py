"""The sampling schedule: which values are computed at which moment, and where they are stored.

A value may be computed at any moment between the one at which it is known and the one at which it is read. So values
wait, and many are computed at once: going from the output back to the image, each map gets the fewest moments that
serve all its values (a row that is read as a whole waits until it is complete). Every value is computed once, and a
value that nothing reads is never computed.

No map is stored as a whole. Its values use the slots of a ring in turn, and the ring is as long as a value is needed at
most: a few rows of a convolution's input, one pixel of most other maps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.clock.times import Clock, classes_read
from minipixel.clock.trace import Node

NEVER = np.iinfo(np.int64).max
ZERO_SLOT, START_SLOT, RING = 0, 1, 2
"""The first slots of every map hold the pixel beyond the border and the start state; the ring comes after."""


@dataclass(eq=False)
class Unit:
    """The channels of a node that are known at the same time, and the pixels at which they are computed, in order.

    `columns` (k,) are the channels, a slice if all; `pixels` (P,) are the pixels, and `to` (P,) the slots that they are
    written to. `inputs` has, for each map that the node reads, the slots that are read, (P, T), and which of the
    T * K_in numbers there these channels depend on, a slice if all. A scan has `own` and `above`, slots (P, T) and (P,)
    of its own states.
    """

    node: Node
    columns: Any
    pixels: np.ndarray
    to: np.ndarray
    inputs: list[tuple[Node, np.ndarray, Any]]
    own: Any = None
    above: Any = None


@dataclass
class Schedule:
    """What is computed and drawn at each of `moments` moments.

    Each row of `steps`, integers (S, 4), is a moment, a unit, and its first and last pixel (last excluded) that are
    computed then; rows are in order. Each row of `draws`, integers (D, 4), is a moment, a pixel, its channel, and the
    slot of the output from which that is drawn, after all steps of the moment. `slots[node]` is how many slots a map
    has.
    """

    units: list[Unit]
    steps: np.ndarray
    draws: np.ndarray
    slots: dict[Node, int]
    moments: int


def schedule(clock: Clock) -> Schedule:
    """The schedule of a clock whose proof holds."""
    moment = _moments(clock)
    drawn = clock.times.ravel()
    slot = {clock.trace.image: np.arange(clock.trace.image.pixels) + RING}
    sizes = {clock.trace.image: clock.trace.image.pixels + RING}
    lasts = _last_reads(clock, moment)
    for node in clock.trace.nodes:
        if node.constant:
            slot[node], sizes[node] = np.arange(node.pixels) + RING, node.pixels + RING
        elif node is not clock.trace.image:
            slot[node], length = _ring(moment[node], lasts[node])
            sizes[node] = length + RING
    units: list[Unit] = []
    steps = []
    for rank, node in enumerate(clock.trace.nodes):
        for g in range(moment[node].shape[1] if node in moment else 0):
            unit, when, row = _unit(clock, node, g, moment[node][:, g], slot)
            if unit is not None:
                steps.append(_steps(when, row, rank, len(units)))
                units.append(unit)
    everything = np.concatenate(steps)
    everything = everything[np.lexsort(everything[:, [3, 2, 1, 0]].T)]  # by moment, then node, row, class
    C = clock.times.shape[1]
    order = np.argsort(drawn, kind="stable")
    output, index = clock.output.node, clock.output.index
    draws = np.stack([drawn[order], order // C, order % C, _slots(slot[output], index)[order // C]], axis=1)
    return Schedule(units, everything[:, [0, 3, 4, 5]], draws, sizes, int(drawn.max()) + 1)


def _moments(clock: Clock) -> dict[Node, np.ndarray]:
    """When each value is computed: (P, G) for each computed node; NEVER for values that nothing reads."""
    due = {node: np.full(known.values.shape, NEVER) for node, known in clock.ready.items()}
    output, index = clock.output.node, clock.output.index
    for channel, group in enumerate(clock.groups):
        _ask(due[output][:, clock.ready[output].of[channel]], index, clock.times[:, group])
    chosen: dict[Node, np.ndarray] = {}
    for node in reversed(clock.trace.nodes):
        if node is clock.trace.image or node.constant:
            continue
        known, own = clock.ready[node], node.own
        if own is not None:
            for r in range(own.rows[-1], 0, -1):
                here = own.rows == r
                soonest = due[node][here].min(axis=1)
                for asked in due[node].T:
                    _ask(asked, own.states[here], soonest[:, None])
        # All classes share their moments: what is known no later is computed no later, as the states of a scan need.
        chosen[node] = fewest(known.values.ravel(), due[node].ravel()).reshape(due[node].shape)
        for source, look in node.reads:
            reads = classes_read(look.channels, clock.ready[source].of).reshape(look.index.shape[1], -1, node.K)
            for g, when in enumerate(chosen[node].T):
                for t, source_class in np.argwhere(reads[:, :, known.of == g].any(axis=2)):
                    _ask(due[source][:, source_class], look.index[:, t], when)
    return chosen


def _ask(due: np.ndarray, index: np.ndarray, when: np.ndarray) -> None:
    """Lower `due` (P,) so that the pixels `index` are known at `when`, when they are read."""
    inside = index >= 0
    np.minimum.at(due, index[inside], np.broadcast_to(when, index.shape)[inside])


def fewest(ready: np.ndarray, due: np.ndarray) -> np.ndarray:
    """A moment in each interval from `ready` to `due`, as few different ones as possible; NEVER where `due` is."""
    order = np.argsort(ready, kind="stable")
    soonest = np.minimum.accumulate(due[order][::-1])[::-1]  # of this and all that are ready later
    moments, start = [], 0
    while start < len(order) and soonest[start] < NEVER:
        moments.append(soonest[start])
        start = np.searchsorted(ready[order], moments[-1], side="right")
    points = np.array([*moments, NEVER])
    return np.where(due < NEVER, points[np.searchsorted(points, ready)], NEVER)


def _last_reads(clock: Clock, moment: dict[Node, np.ndarray]) -> dict[Node, np.ndarray]:
    """When each pixel of a node is read for the last time: (P,), -1 where never."""
    last = {node: np.full(node.pixels, -1) for node in clock.trace.nodes}

    def read(node: Node, index: np.ndarray, when: np.ndarray) -> None:
        inside = (index >= 0) & (when < NEVER)
        np.maximum.at(last[node], index[inside], np.broadcast_to(when, index.shape)[inside])

    read(clock.output.node, clock.output.index, clock.times.max(axis=1))
    for node, moments in moment.items():
        for when in moments.T:
            for source, look in node.reads:
                read(source, look.index, np.broadcast_to(when[:, None], look.index.shape))
            own = node.own
            if own is not None:
                read(node, own.index, np.broadcast_to(when[:, None], own.index.shape))
                read(node, own.above, when)
    return last


def _ring(moments: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, int]:
    """The slot of each pixel, and the length of the ring; a slot is used again after the last read of its value."""
    birth = moments.min(axis=1)
    order = np.argsort(birth, kind="stable")
    order = order[birth[order] < NEVER]
    born = birth[order]
    length = int(np.max(np.searchsorted(born, last[order], side="right") - np.arange(len(order)), initial=1))
    slot = np.full(len(birth), ZERO_SLOT)
    slot[order] = np.arange(len(order)) % length + RING
    return slot, length


def _slots(slot: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Pixels as slots; ZERO and START, which are -1 and -2, as the slots set aside for them."""
    return np.where(index >= 0, slot[np.maximum(index, 0)], -1 - index)


def _unit(clock: Clock, node: Node, g: int, when: np.ndarray, slot: dict[Node, np.ndarray]) -> Any:
    """A Unit for a class of channels, with its pixels' moments and rows; None three times if nothing reads it."""
    own = node.own
    row = np.zeros(node.pixels, int) if own is None else own.rows
    inside = when < NEVER if own is None else own.inside & (when < NEVER)
    pixels = np.lexsort((row, when))
    pixels = pixels[inside[pixels]]
    if not len(pixels):
        return None, None, None
    columns = np.flatnonzero(clock.ready[node].of == g)
    inputs = []
    for source, look in node.reads:
        rows = look.channels[:, columns].any(axis=1)
        picked = slice(None) if rows.all() else np.flatnonzero(rows)
        inputs.append((source, _slots(slot[source], look.index[pixels]), picked))
    states = [] if own is None else [_slots(slot[node], index[pixels]) for index in (own.index, own.above)]
    return (
        Unit(node, slice(None) if len(columns) == node.K else columns, pixels, slot[node][pixels], inputs, *states),
        when[pixels],
        row[pixels],
    )


def _steps(when: np.ndarray, row: np.ndarray, rank: int, unit: int) -> np.ndarray:
    """Runs of a unit's pixels that are computed at once, as rows: moment, rank of the node, row, unit, first, last."""
    first = np.flatnonzero(np.r_[True, (np.diff(when) != 0) | (np.diff(row) != 0)])
    last = np.r_[first[1:], len(when)]
    return np.stack(
        [when[first], np.full_like(first, rank), row[first], np.full_like(first, unit), first, last], axis=1
    )
