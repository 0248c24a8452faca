"""The places that a table's runs of pixels stand for, as arrays on a device: what each slot reads, and who reads it."""

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from minipixel.kernels import opcodes as op
from minipixel.plan.table import Table


class Places:
    """The places that a table's runs of pixels stand for, as arrays; the same for any number of images.

    The table must be one of whole maps.
    """

    def __init__(self, table: Table, xp: Any) -> None:
        self.table, self.xp = weakref.proxy(table), xp  # what a device has of a table goes with the table
        self._known: dict[Any, Any] = {}

    def upload(self, array: np.ndarray) -> Any:
        """An array of places on the device."""
        return self.xp.asarray(np.ascontiguousarray(array, np.int32))

    def runs(self, line: np.ndarray, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each run of pixels with the slots that read it."""
        table, first = self.table, line[op.RUNS]
        for r in range(steps):
            start = table.starts[line[op.STARTS] + r]
            for run in table.runs[table.at[first + r] : table.at[first + r + 1]]:
                yield run, start + run[op.OUT] + np.arange(run[op.COUNT]) * run[op.OUT_STEP]

    def seen(self, line: np.ndarray, steps: int) -> np.ndarray:
        """The slot that each slot reads through each tap, -1 for none: (S, T)."""
        key = "seen", int(line[op.RUNS]), int(line[op.T])
        if key not in self._known:
            S, taps = int(self.table.starts[line[op.STARTS] + steps]), max(1, int(line[op.T]))
            seen = np.full((S, taps), -1)
            for run, slots in self.runs(line, steps):
                seen[slots, run[op.TAP]] = run[op.IN_SLOT] + np.arange(run[op.COUNT]) * run[op.IN_STEP]
            self._known[key] = seen
        return self._known[key]

    def cells(self, line: np.ndarray, steps: int) -> tuple[Any, Any]:
        """Of each cell of a scan: the slot of the cell state before it, and its column."""
        key = "cells", int(line[op.RUNS])
        if key not in self._known:
            S = int(self.table.starts[line[op.STARTS] + steps])
            before, column = np.zeros(S, int), np.zeros(S, int)
            for run, slots in self.runs(line, steps):
                before[slots] = run[op.IN_SLOT] + np.arange(run[op.COUNT])
                column[slots] = run[op.TAP] + np.arange(run[op.COUNT])
            self._known[key] = self.upload(before), self.upload(column)
        return self._known[key]

    def uploaded(self, seen: np.ndarray) -> Any:
        """The same places on the device, once for all instructions that have them."""
        key = "device", seen.shape, seen.tobytes()
        if key not in self._known:
            self._known[key] = self.upload(seen)
        return self._known[key]

    def readers(self, seen: np.ndarray) -> tuple[Any, Any, int]:
        """The readers of each slot as slot * T + tap, where those of each begin, and how many slots are read."""
        key = "readers", seen.shape, seen.tobytes()
        if key not in self._known:
            flat = seen.ravel()
            order = np.argsort(flat, kind="stable")
            order = order[np.count_nonzero(flat < 0) :]
            slots = int(flat.max(initial=-1)) + 1
            start = np.searchsorted(flat[order], np.arange(slots + 1))
            self._known[key] = self.upload(start), self.upload(order), slots
        return self._known[key]
