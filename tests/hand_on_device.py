"""Tables made by hand, run as launches on a device: `walk` takes what the walker takes, and needs whole maps."""

from types import SimpleNamespace

import numpy as np

from minipixel.kernels import opcodes as op
from minipixel.kernels.cuda import Kernels
from minipixel.plan.device_instruction import Memory
from minipixel.plan.device_places import Places
from minipixel.plan.launches import Launches

SCANS = {op.CELLS: op.TAPS, op.CELLS_X: op.TAPS_X}
"""A scan is launched together with the product that reads its states; here it has taps that see nothing."""


class HandTable(SimpleNamespace):
    """The parts of a table that launches are made of."""


class Named(Kernels):
    """Kernels that write down the names of those that are asked for."""

    def __init__(self, xp, dtype):
        super().__init__(xp, dtype)
        self.names = set()

    def blocks(self, name, blocks, *arguments, **options):
        self.names.add(name)
        return super().blocks(name, blocks, *arguments, **options)


def walk(table, groups, starts, runs, at, rooms, work, weights, grads, N, draw, *, xp):
    """Run the group of one instruction on a device of that library; returns the names of the kernels launched."""
    ((first, last, steps, *_),) = groups
    line, more, stands = table[first], [], {}
    if line[op.OP] in SCANS:
        taps = line * 0
        taps[[op.OP, op.STARTS, op.T, op.RUNS]] = SCANS[line[op.OP]], line[op.STARTS], 1, len(at)
        table, last = np.concatenate([table[:last], [taps], table[last:]]), last + 1
        at = np.concatenate([at, np.zeros(steps + 1, int)])
    if line[op.OP] == op.TAPS_X:
        shape = int(line[op.T]), int(line[op.A + 3]), int(line[op.B + 3])
        there = int(line[op.W])
        T, K_in, K_out = shape
        stored = weights[there : there + T * K_in * K_out].reshape(T, K_out, K_in).swapaxes(1, 2)
        more, stands = [stored.ravel()], {there: len(weights)}
    hand = HandTable(
        rows=table,
        starts=starts,
        runs=runs,
        at=at,
        forward=np.array([(first, last, steps, 0, False)]),
        back=np.zeros((0, 5), int),
    )
    key, image = draw
    there = [xp.asarray(array) for array in (work, np.concatenate([weights, *more]), grads)]
    drawn = xp.asarray(np.array([*key, image], np.uint32))
    kernels = Named(xp, work.dtype.name)
    for launch in Launches(Places(hand, xp), kernels, Memory(N, *there, drawn, stands)).forward:
        launch()
    for host, array in zip((work, weights, grads), there, strict=True):
        host[...] = xp.asnumpy(array)[: len(host)]
    return kernels.names
