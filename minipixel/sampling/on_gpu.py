"""The machine on a GPU: one kernel draws whole images, each in a block of its own, by the tables of the host."""

from typing import Any

import numpy as np

from minipixel.heads.base import NO_DISTRIBUTION
from minipixel.kernels import units as at
from minipixel.kernels.cuda import MOST_THREADS, Kernels
from minipixel.progress import advance
from minipixel.sampling.canvas import Canvas
from minipixel.sampling.machine import Machine, draws
from minipixel.sampling.sampler import Sampler

SHARD = 1024
"""How many images are drawn at a time, if there is memory for them: a few for each multiprocessor."""


class MachineOnGPU(Sampler):
    """A machine of the host, whose tables and weights are copied to a device, where they run."""

    def __init__(self, machine: Machine, xp: Any) -> None:
        self.machine, self.xp = machine, xp
        self.kernels = Kernels(xp, machine.model.dtype, "machine")
        tables = machine.tables
        arrays = tables.step_from, tables.steps, machine.units, tables.ints
        self._tables = [self._places(array) for array in arrays]
        self._weights = xp.asarray(machine.weights)
        self._draws = [self._places(array) for array in (tables.draw_from, tables.schedule.draws)]
        kinds, steps = machine.units[:, at.OP], tables.steps
        sizes = machine.units[steps[:, at.UNIT], at.COUNT] * (steps[:, at.LAST] - steps[:, at.FIRST])
        scans = kinds[steps[:, at.UNIT]] == at.LSTM
        self._room = 2 * int(sizes[scans].max(initial=0))
        self._together = int(np.diff(tables.draw_from).max())
        self.shard_size = self.wide_shard_size = machine.program.most_images(machine.model.dtype, SHARD)

    def _places(self, array: np.ndarray) -> Any:
        return self.xp.asarray(np.ascontiguousarray(array, np.int32))

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw all sub-pixels of a canvas that are not fixed."""
        xp, machine, model, N = self.xp, self.machine, self.machine.model, canvas.levels.shape[1]
        tables, output, C = machine.tables, machine.program.trace.output.node, canvas.levels.shape[2]
        work = xp.zeros(tables.size * N, model.dtype)
        machine.fill(work, N, condition)
        levels, failed = self._places(canvas.levels), xp.zeros(N, "int32")
        scores = xp.empty(N * self._together * (model.levels + model.mixtures), "float64")
        room = xp.empty(max(1, N * self._room), model.dtype)
        self.kernels.blocks(
            *("play", N, *self._tables, self._weights, work, N, len(tables.step_from) - 1, *self._draws),
            *(at.HEADS.index(model.head.name), model.levels, model.mixtures, np.float64(temperature), levels),
            *(xp.asarray(canvas.fixed.astype(np.uint8)), xp.asarray(canvas.uniforms)),
            *(xp.asarray(model.as_numbers(np.arange(model.levels))), C, tables.base[machine.program.trace.image]),
            *(tables.base[output], output.K, room, self._room, scores, self._together, failed),
            threads=MOST_THREADS,
        )()
        canvas.levels[...] = levels.get()
        if failed.get().any():
            raise ValueError(NO_DISTRIBUTION)
        advance(canvas.wanted)


def on_gpu(sampler: Sampler, xp: Any) -> Sampler:
    """The same sampler on a device, if it is one whose kernel draws by itself; else the one that is given."""
    return MachineOnGPU(sampler, xp) if isinstance(sampler, Machine) and draws(sampler.model.head) else sampler
