"""From the instructions of a table to launches on a GPU: map by map, one after another; a scan is one kernel."""

from collections.abc import Iterator

import numpy as np

from minipixel.kernels.cuda import MOST_THREADS, Kernels, Launch
from minipixel.plan.device_instruction import Memory, OnGPU
from minipixel.plan.device_places import Places


class Launches:
    """The launches of a table's passes on given memory, whose `scratch` is taken here: `forward` and `back`."""

    def __init__(self, places: Places, kernels: Kernels, memory: Memory) -> None:
        self.places, self.kernels, self.memory = places, kernels, memory
        table, grads = places.table, memory.grads
        groups = [*table.forward, *table.back]
        room = (self._one(line, group).room for group in groups for line in table.rows[group[0] : group[1]])
        memory.scratch = kernels.xp.empty(max(room, default=0), kernels.dtype)
        self.forward = [launch for group in table.forward for launch in self._group(group)]
        back = [launch for group in table.back for launch in self._group(group)]
        self.back = [kernels.each("zero", grads.size, grads, grads.size), *back] if back else []

    def _one(self, line: np.ndarray, group: np.ndarray) -> OnGPU:
        return OnGPU(line, int(group[2]), self.places, self.kernels, self.memory)

    def _group(self, group: np.ndarray) -> Iterator[Launch]:
        ones = [self._one(line, group) for line in self.places.table.rows[group[0] : group[1]]]
        by_name = {one.name: one for one in ones}
        if "CELLS" in by_name:
            yield self._cells(by_name["CELLS"], by_name["TAPS"])
        elif "CELLS_X" in by_name:
            yield from self._cells_x(by_name["CELLS_X"], by_name["TAPS_X"], by_name.get("TAPS_W"))
        else:
            for one in ones:
                yield from one.launches()

    # --- scans --------------------------------------------------------------------------------------------------------

    def _cells(self, cells: OnGPU, taps: OnGPU) -> Launch:
        above, _ = self.places.cells(cells.line, cells.steps)
        seen, N = taps.seen, self.memory.N
        states = self.memory.work[cells.X * N :]
        return self.kernels.blocks(
            *("scan", N, cells.whole("A"), cells.whole("B"), states, taps.weight(), self.places.uploaded(seen), above),
            *(cells.starts, cells.steps, seen.shape[1], N, cells.K("B")),
            threads=MOST_THREADS,
        )

    def _cells_x(self, cells: OnGPU, taps: OnGPU, weights: OnGPU | None) -> Iterator[Launch]:
        above, column = self.places.cells(cells.line, cells.steps)
        N, K, P = self.memory.N, cells.K("B"), cells.stop
        start, readers, slots = self.places.readers(taps.seen)
        if slots < P:  # the last states may have no reader
            xp = self.kernels.xp
            start, slots = xp.concatenate([start, xp.repeat(start[-1:], P - slots)]), P
        maps = (cells.whole(letter) for letter in "ABCD")
        columns, to_start = self.memory.work[cells.X * N :], self.memory.scratch[: P * N * K]
        yield self.kernels.blocks(
            *("scan_x", N, *maps, columns, to_start, taps.weight(), start, readers, above, column, cells.starts),
            *(cells.steps, taps.seen.shape[1], N, K, P, slots),
            threads=MOST_THREADS,
        )
        if cells.flag:
            yield from cells.sums(to_start, to_start, K, 0)
        if weights is not None:
            yield from weights.launches()
