"""Running a table on a GPU: its memory stays there, and each pass is one CUDA graph from its second run on.

The table is one of whole maps; launches.py says what is launched for each instruction. A pass takes the numbers of the
weights as they are on the device, and gives their gradients there, so that nothing goes to the host.
"""

import weakref
from typing import Any

import numpy as np

from minipixel.clock.trace import Trace
from minipixel.kernels.cuda import Kernels, captured
from minipixel.plan.device_weights import DeviceWeights
from minipixel.plan.executor import modes
from minipixel.plan.launches import Launches, Places
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table

MOST_PROGRAMS = 4
"""For how many numbers of images the memory of a table is kept."""

_known: weakref.WeakKeyDictionary[Table, "OnDevice"] = weakref.WeakKeyDictionary()


class Program:
    """A table made ready for N images: its memory on the device, and what is launched on it."""

    def __init__(self, places: Places, kernels: Kernels, N: int) -> None:
        table, xp, dtype = places.table, kernels.xp, kernels.dtype
        self.N, self.xp = N, xp
        self.work = xp.empty(table.work * N, dtype)
        self.weights, self.grads = xp.empty(table.packer.all, dtype), xp.empty(table.packer.all_gradients, dtype)
        self.draw = xp.empty(3, "uint32")
        launches = Launches(places, kernels, N, self.work, self.weights, self.grads, self.draw)
        self._launches = {"forward": launches.forward, "back": launches.back}
        self._ran: set[str] = set()
        self._graphs: dict[str, Any] = {}

    def view(self, buffer: Any) -> Any:
        """A whole map as (slots, N, K)."""
        at = buffer.base * self.N
        return self.work[at : at + buffer.pixels * self.N * buffer.K].reshape(-1, self.N, buffer.K)

    def run(self, way: str) -> None:
        """Launch the pass "forward" or "back": one by one the first time, as one graph later."""
        if way in self._ran and way not in self._graphs and len(self._launches[way]) > 1:
            self._graphs[way] = captured(self.xp, self._launches[way])
        if way in self._graphs:
            self._graphs[way]()
        else:
            for launch in self._launches[way]:
                launch()
        self._ran.add(way)


class OnDevice:
    """What a table needs on a device, whatever the number of images, and the programs that no pass is using."""

    def __init__(self, table: Table, xp: Any, dtype: str) -> None:
        self.table, self.kernels, self.places = table, Kernels(xp, dtype), Places(table, xp)
        self.weights = DeviceWeights(table, self.kernels, self.places.upload)
        self.outs = table.out_slots[:, None]
        self._free: dict[int, list[Program]] = {}
        self._uploads: list[tuple[np.ndarray, Any]] = []

    def uploaded(self, array: Any) -> Any:
        """An input on the device; a constant map of the host, which is the same in each pass, is copied once."""
        if not isinstance(array, np.ndarray):
            return array
        for host, there in self._uploads:
            if host is array:
                return there
        self._uploads.append((array, self.kernels.xp.asarray(array)))
        return self._uploads[-1][1]

    def lease(self, N: int) -> Program:
        """A program that no other pass is using."""
        free = self._free.pop(N, [])
        self._free[N] = free  # the last one used is the last to go
        while len(self._free) > MOST_PROGRAMS:
            del self._free[next(iter(self._free))]
        return free.pop() if free else Program(self.places, self.kernels, N)

    def give_back(self, program: Program) -> None:
        """Let another pass have it; memory of a number of images that was long not asked for is freed."""
        if program.N in self._free:
            self._free[program.N].append(program)


def on_device(table: Table, xp: Any, dtype: str) -> OnDevice:
    """What a table needs on a device, made once."""
    known = _known.get(table)
    if known is None:
        known = _known[table] = OnDevice(table, xp, dtype)
    return known


class DeviceReady(Ready):
    """A model with the present numbers of its weights, for one of its tables, on the device where they are.

    In place of the leaves it has the sources of their numbers: see device_weights.py.
    """

    def __init__(self, trace: Trace, table: Table, dtype: str, xp: Any) -> None:
        self.on = on_device(table, xp, dtype)
        super().__init__(trace, table, dtype)

    def _leaves(self) -> list[Any]:
        return self.on.weights.sources

    def _take(self, leaves: list[Any], dtype: str) -> None:
        self.weights = self.on.weights.numbers(leaves)

    def _pass(self, inputs: list[Any], N: int, draw: tuple[np.ndarray, int]) -> "DevicePass":
        return DevicePass(self.on, self.weights, inputs, N, draw)

    def parts(self, flat: Any) -> list[Any]:
        """The gradients of `tensors` from results of `DevicePass.back`; None for a frozen weight."""
        at, inputs = self.on.weights.of_sources, []
        for tensor in self.tensors[len(self.on.weights.sources) :]:
            inputs.append(flat[at : at + tensor.data.size].reshape(tensor.shape))
            at += tensor.data.size
        return [*self.on.weights.parts(flat), *inputs]


class DevicePass:
    """One pass of N images on a device; `output` is (H * W, N, K), and stands until the way back has been run.

    It has a program to itself, so other passes may run before its backward pass; if there is none, the program is free
    for others when nothing refers to the pass any more.
    """

    def __init__(self, on: OnDevice, numbers: Any, inputs: list[Any], N: int, draw: tuple[np.ndarray, int]) -> None:
        self.on, self.program = on, on.lease(N)
        self._finished = weakref.finalize(self, on.give_back, self.program)
        table, program, each = on.table, self.program, on.kernels.each
        if modes.poisoned:
            program.work.fill(np.nan)
        self.numbers = numbers
        on.weights.pack(numbers, program.weights)
        each("set_draw", 1, program.draw, *map(np.uint32, (*draw[0], draw[1])))()
        self.inputs = [getattr(array, "data", array) for array in inputs]
        for (_, buffer, _), array in zip(table.inputs, self.inputs, strict=True):
            program.view(buffer)[...] = on.uploaded(array).reshape(-1, *array.shape[2:])
        program.run("forward")
        self.output = program.view(table.output)[: table.output.rows.slots]
        if not table.in_order:
            self.output = self._moved(self.output)

    def _moved(self, out: Any) -> Any:
        """The slots of the output at the pixels that read them; 0 where there is none."""
        (S, _), (_, N, K), xp = self.on.outs.shape, out.shape, self.on.kernels.xp
        there, table = xp.empty((S, N, K), out.dtype), self.on.places.uploaded(self.on.outs)
        self.on.kernels.each("lay", there.size, out, table, there, S, N, 1, K)()
        return there

    def back(self, g: Any) -> Any:
        """The gradients of all sources of weights and, after them, of trained inputs, from that of the output.

        This can be called once.
        """
        on, program, table = self.on, self.program, self.on.table
        each, N = on.kernels.each, program.N
        seed = program.view(table.output_g)
        if table.in_order:
            seed[...] = g.reshape(seed.shape)
        else:
            seed[...] = 0
            start, readers, slots = on.places.readers(on.outs)
            n = slots * N * seed.shape[2]
            each("unlay", n, g, start, readers, seed, slots, N, 1, seed.shape[2])()
        program.run("back")
        found = on.weights.gradients(self.numbers, program.grads)
        parts = [found]
        for (_, _, buffer), array in zip(table.inputs, self.inputs, strict=True):
            if buffer is not None:
                part = program.view(buffer)
                parts.append((part.sum(axis=1, keepdims=True) if array.shape[2] == 1 < N else part).ravel())
        self._finished()
        return found if len(parts) == 1 else on.kernels.xp.concatenate(parts)
