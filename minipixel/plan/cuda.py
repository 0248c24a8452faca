"""Running a table on a GPU: its memory stays there, and each pass is one CUDA graph from its second run on.

The table is one of whole maps; launches.py says what is launched for each instruction. A pass takes the numbers of the
weights as they are on the device, and gives their gradients there, so that nothing goes to the host.
"""

import weakref
from typing import Any

import numpy as np

from minipixel.clock.trace import Trace
from minipixel.kernels.cuda import Kernels, captured
from minipixel.plan.device_instruction import Memory
from minipixel.plan.device_places import Places
from minipixel.plan.device_weights import DeviceWeights
from minipixel.plan.executor import modes
from minipixel.plan.launches import Launches
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table

MOST_PROGRAMS = 4
"""For how many numbers of images the memory of a table is kept."""

# What a device has of a table does not refer to the table, and so is freed together with it.
_known: weakref.WeakKeyDictionary[Table, "OnDevice"] = weakref.WeakKeyDictionary()


class Program:
    """A table made ready for N images: its memory on the device, and what is launched on it."""

    def __init__(self, places: Places, kernels: Kernels, N: int) -> None:
        self.N, self.xp = N, kernels.xp
        packer = places.table.packer
        self.work, self.weights, self.grads = (
            self.xp.empty(size, kernels.dtype) for size in (places.table.work * N, packer.all, packer.all_gradients)
        )
        self.draw = self.xp.empty(3, "uint32")
        stored = {packer.size + place: at for place, at, _ in packer.turned}
        launches = Launches(places, kernels, Memory(N, self.work, self.weights, self.grads, self.draw, stored))
        self._launches = {"forward": launches.forward, "back": launches.back}
        self._ran: set[str] = set()
        self._graphs: dict[str, Any] = {}

    def view(self, buffer: Any) -> Any:
        """A whole map as (slots, N, K)."""
        at = buffer.base * self.N
        return self.work[at : at + buffer.pixels * self.N * buffer.K].reshape(-1, self.N, buffer.K)

    def run(self, way: str) -> None:
        """Launch the pass "forward" or "back": one by one the first time, as one graph later."""
        launches = self._launches[way]
        if way in self._ran and way not in self._graphs:
            self._graphs[way] = captured(self.xp, launches)
        self._ran.add(way)
        for launch in [self._graphs[way]] if way in self._graphs else launches:
            launch()


class OnDevice:
    """What a table needs on a device, whatever the number of images, and the programs that no pass is using."""

    def __init__(self, table: Table, xp: Any, dtype: str) -> None:
        self.kernels, self.places = Kernels(xp, dtype), Places(table, xp)
        self.weights = DeviceWeights(table, self.kernels, self.places.upload)
        self.outs = table.out_slots[:, None]
        self._free: dict[int, list[Program]] = {}
        self._uploads: dict[int, tuple[np.ndarray, Any]] = {}

    def uploaded(self, number: int, array: Any) -> Any:
        """An input of that number on the device; a constant map of the host, the same in each pass, is copied once."""
        if not isinstance(array, np.ndarray):
            return array
        if number not in self._uploads or self._uploads[number][0] is not array:
            self._uploads[number] = array, self.kernels.xp.asarray(array)
        return self._uploads[number][1]

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
        return DevicePass(self.table, self.weights, inputs, N, draw, self.on)

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

    def __init__(
        self, table: Table, numbers: Any, inputs: list[Any], N: int, draw: tuple[np.ndarray, int], on: OnDevice
    ) -> None:
        self.table, self.on, self.program = table, on, on.lease(N)
        self._finished = weakref.finalize(self, on.give_back, self.program)
        program, each = self.program, on.kernels.each
        if modes.poisoned:
            program.work.fill(np.nan)
        self.numbers = numbers
        on.weights.pack(numbers, program.weights)
        each("set_draw", 1, program.draw, *map(np.uint32, (*draw[0], draw[1])))()
        self.inputs = [getattr(array, "data", array) for array in inputs]
        for number, ((_, buffer, _), array) in enumerate(zip(table.inputs, self.inputs, strict=True)):
            program.view(buffer)[...] = on.uploaded(number, array).reshape(-1, *array.shape[2:])
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

    def back(self, g: Any, grads: Any = None) -> Any:
        """The gradients of all sources of weights and, after them, of trained inputs, from that of the output.

        They are added to `grads`, those of other images, if given. This can be called once.
        """
        on, program, table = self.on, self.program, self.table
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
        found = found if len(parts) == 1 else on.kernels.xp.concatenate(parts)
        return found if grads is None else grads + found
