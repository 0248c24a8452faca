"""Running a table: a forward pass and a backward pass, over memory that belongs to the pass alone."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minipixel.arena import empty, zeros
from minipixel.plan.table import Table


class Modes:
    """How passes run; tests and curious readers can change it: see engine.py."""

    interpreted = poisoned = whole = False


modes = Modes()


@contextlib.contextmanager
def _mode(name: str) -> Iterator[None]:
    before = getattr(modes, name)
    setattr(modes, name, True)
    try:
        yield
    finally:
        setattr(modes, name, before)


def interpreted() -> Any:
    """Within this block tables are run by the NumPy interpreter, which defines what the compiled walker computes."""
    return _mode("interpreted")


def poisoned() -> Any:
    """Within this block the memory of a pass is full of NaN at first, so that a read before a write shows."""
    return _mode("poisoned")


def whole_maps() -> Any:
    """Within this block each instruction goes over its whole map before the next: the same bits as row by row."""
    return _mode("whole")


class Pass:
    """One pass of N images through a table, with packed weights; `output` is (H * W, N, K).

    Its memory is its own, so other passes may run before its backward pass.
    """

    def __init__(self, table: Table, weights: np.ndarray, inputs: list[Any], N: int, draw: Any) -> None:
        self.table, self.weights, self.N, self.draw = table, weights, N, draw
        self.inputs = [getattr(array, "data", array) if hasattr(array, "vjp") else array for array in inputs]
        self._work: np.ndarray | None = empty((table.work * N,), weights.dtype)
        if modes.poisoned:
            self._work.fill(np.nan)
        for (_, buffer, _), array in zip(table.inputs, self.inputs, strict=True):
            self._view(buffer)[...] = array.reshape(-1, *array.shape[2:])
        self._walk(table.forward, np.zeros(1, weights.dtype))
        self.output: Any = self._view(table.output)[: table.output.rows.slots]
        if not table.in_order:
            self.output = np.where((table.out_slots >= 0)[:, None, None], self.output[table.out_slots], 0)

    def _view(self, buffer: Any) -> np.ndarray:
        """A whole map as (slots, N, K)."""
        assert self._work is not None
        at = buffer.base * self.N
        return self._work[at : at + buffer.pixels * self.N * buffer.K].reshape(-1, self.N, buffer.K)

    def back(self, g: np.ndarray, grads: np.ndarray | None = None) -> np.ndarray:
        """The gradients of the packed weights and, after them, of trained inputs, from the gradient of the output.

        They are added to `grads`, those of other images, if given. The memory is freed, so this can be called once.
        """
        table = self.table
        seed = self._view(table.output_g)
        if table.in_order:
            seed[...] = g.reshape(seed.shape)
        else:
            seen = table.out_slots >= 0
            seed[...] = 0
            np.add.at(seed, table.out_slots[seen], g.reshape(-1, self.N, seed.shape[2])[seen])
        if grads is None:
            grads = zeros((table.packer.all_gradients,), self.weights.dtype)
        self._walk(table.back, grads)
        at = table.packer.size
        for (_, _, buffer), array in zip(table.inputs, self.inputs, strict=True):
            if buffer is not None:
                g_of_input = self._view(buffer)
                part = g_of_input.sum(axis=1, keepdims=True) if array.shape[2] == 1 < self.N else g_of_input
                grads[at : at + part.size] += part.ravel()
                at += part.size
        self._work, self.output = None, None
        return grads

    def _walk(self, groups: np.ndarray, grads: np.ndarray) -> None:
        how = "minipixel.plan.interpreter" if modes.interpreted else "minipixel.kernels.walker"
        t, walk = self.table, importlib.import_module(how).walk
        walk(t.rows, groups, t.starts, t.runs, t.at, t.rooms, self._work, self.weights, grads, self.N, self.draw)
