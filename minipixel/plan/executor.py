"""A table at work: one pass there, and one back, over memory that belongs to the pass alone."""

from typing import Any

import numpy as np

from minipixel.arena import empty
from minipixel.plan.table import Table


class Pass:
    """One pass of N images through a table, with packed weights; `output` is (H * W, N, K).

    Its memory is leased: while this pass waits for its way back, others may run.
    """

    def __init__(self, table: Table, weights: np.ndarray, inputs: list[Any], N: int, draw: Any) -> None:
        self.table, self.weights, self.N, self.draw = table, weights, N, draw
        self.work = empty((table.work * N,), weights.dtype)
        for (_, buffer, _), array in zip(table.inputs, inputs, strict=True):
            view = self.view(buffer)
            view[...] = array.reshape(-1, *array.shape[2:])
        self._walk(table.forward, np.zeros(1, weights.dtype))
        y = self.view(table.output)[: table.output.rows.slots]
        self.in_order = len(table.out_slots) == len(y) and (table.out_slots == np.arange(len(y))).all()
        if not self.in_order:
            y = np.where((table.out_slots >= 0)[:, None, None], y[table.out_slots], 0)
        self.output = y

    def view(self, buffer: Any) -> np.ndarray:
        """A whole map as (slots, N, K)."""
        at = buffer.base * self.N
        return self.work[at : at + buffer.pixels * self.N * buffer.K].reshape(-1, self.N, buffer.K)

    def back(self, g: np.ndarray) -> tuple[np.ndarray, list[Any]]:
        """From the gradient of the output (H * W, N, K) those of the packed weights, and of the inputs that learn."""
        table = self.table
        seed = self.view(table.output_g)
        if self.in_order:
            seed[...] = g.reshape(seed.shape)
        else:
            seed[...] = 0
            seen = table.out_slots >= 0
            np.add.at(seed, table.out_slots[seen], g.reshape(-1, self.N, seed.shape[2])[seen])
        grads = np.zeros(table.packer.size, self.weights.dtype)
        self._walk(table.back, grads)
        return grads, [None if g is None else self.view(g) for _, _, g in table.inputs]

    def _walk(self, groups: np.ndarray, grads: np.ndarray) -> None:
        from minipixel.kernels.walker import walk

        t = self.table
        walk(t.rows, groups, t.starts, t.runs, t.at, t.rooms, self.work, self.weights, grads, self.N, self.draw)
