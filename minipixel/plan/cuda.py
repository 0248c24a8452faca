"""Running a table on a GPU: its memory stays there, and each pass is one CUDA graph from its second run on.

The table is one of whole maps; launches.py says what is launched for each instruction. A pass takes the numbers of the
weights as they are on the device, and gives their gradients there, so that nothing goes to the host.
"""

import weakref
from typing import Any

import numpy as np

from minipixel.backend import array_module
from minipixel.kernels.cuda import Kernels, captured
from minipixel.plan.executor import modes
from minipixel.plan.launches import Launches, Places
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table
from minipixel.tensor import Tensor

MOST_PROGRAMS = 4
"""For how many numbers of images the memory of a table is kept."""

CONSTANT = (np.ndarray, np.generic, float, int)
"""A leaf of one of these kinds is no weight, and is copied to the device once."""

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
    """What a table needs on a device, whatever the number of images: places, and where each weight stands.

    The numbers of all leaves stand one after another, those of constants last. `pack` tells for each place of the table
    which of them it takes, `unpack` for each of them which places its gradient stands in.
    """

    def __init__(self, table: Table, xp: Any, dtype: str) -> None:
        self.kernels, self.places, packer = Kernels(xp, dtype), Places(table, xp), table.packer
        self.table = table
        self.given = [i for i, leaf in enumerate(packer.leaves) if not isinstance(leaf, CONSTANT)]
        self.sizes = [int(np.prod(packer.leaves[i].shape)) for i in self.given]
        constants = [i for i, leaf in enumerate(packer.leaves) if isinstance(leaf, CONSTANT)]
        arrays = [np.asarray(packer.leaves[i], dtype).ravel() for i in constants]
        self.constants = [xp.asarray(array) for array in arrays]
        ends = np.cumsum([0, *self.sizes, *(array.size for array in arrays)])
        first = dict(zip([*self.given, *constants], map(int, ends), strict=False))
        places, numbers, back = [], [], []
        for leaf, parts in enumerate(packer.parts):
            for part in parts:
                at, of = part.all_places()
                places.append(at)
                numbers.append(of + first[leaf])
                back.append((at < part.at + part.period) if part.period else np.ones(len(at), bool))
        at, of, once = (np.concatenate([np.empty(0, int), *arrays]).astype(int) for arrays in (places, numbers, back))
        once = once.astype(bool)
        self.of_weights, self.of_leaves = int(sum(self.sizes)), int(ends[-1])
        back_to = once & (of < self.of_weights)
        self.unpack = self._lists(of[back_to], at[back_to], self.of_weights)
        start, source = _lists(at, of, packer.size)
        for _, there, (T, K_in, K_out) in packer.turned:
            turned = there + np.arange(T * K_in * K_out).reshape(T, K_in, K_out).swapaxes(1, 2).ravel()
            counts = np.diff(start)[turned]
            more = [source[start[i] : start[i + 1]] for i in turned]
            start = np.concatenate([start, start[-1] + np.cumsum(counts)])
            source = np.concatenate([source, *more])
        self.pack = self.places.upload(start), self.places.upload(source)
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

    def parts(self, tensors: list[Any], flat: Any) -> list[Any]:
        """The gradient of each leaf and of each trained input, views of `flat`; None for a constant."""
        packer, xp = self.table.packer, self.kernels.xp
        sizes = dict(zip(self.given, self.sizes, strict=True))
        found, at = [], 0
        for i, tensor in enumerate(tensors):
            size = sizes.get(i, 0) if i < len(packer.leaves) else packer.input_sizes[i - len(packer.leaves)]
            if packer.trained[i]:
                found.append(flat[at : at + size].reshape(tensor.shape))
            else:
                found.append(xp.zeros_like(tensor.data) if isinstance(tensor, Tensor) else None)
            at += size
        return found

    def _lists(self, of: np.ndarray, what: np.ndarray, n: int) -> tuple[Any, Any]:
        start, ordered = _lists(of, what, n)
        return self.places.upload(start), self.places.upload(ordered)

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


def _lists(of: np.ndarray, what: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """What belongs to each of n: it stands from start[i] to start[i + 1]."""
    order = np.argsort(of, kind="stable")
    return np.searchsorted(of[order], np.arange(n + 1)), what[order]


def on_device(table: Table, xp: Any, dtype: str) -> OnDevice:
    """What a table needs on a device, made once."""
    known = _known.get(table)
    if known is None:
        known = _known[table] = OnDevice(table, xp, dtype)
    return known


class DeviceReady(Ready):
    """A model with the present numbers of its weights, for one of its tables, on the device where they are."""

    def _take(self, leaves: list[Any], dtype: str) -> None:
        given = [getattr(leaf, "data", leaf) for leaf in leaves if not isinstance(leaf, CONSTANT)]
        self.xp = array_module(*given)
        self.on = on_device(self.table, self.xp, dtype)
        arrays = [self.xp.asarray(array).ravel() for array in given]
        self.weights = self.xp.concatenate([*arrays, *self.on.constants])

    def _pass(self, inputs: list[Any], N: int, draw: tuple[np.ndarray, int]) -> "DevicePass":
        return DevicePass(self.on, self.weights, inputs, N, draw)

    def parts(self, flat: Any) -> list[Any]:
        """The gradients of `tensors` from results of `DevicePass.back`; None for a constant."""
        return self.on.parts(self.tensors, flat)


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
        each("gather", program.weights.size, numbers, *on.pack, program.weights, program.weights.size)()
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
        """The gradients of the numbers of all leaves and, after them, of trained inputs, from that of the output.

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
        found = on.kernels.xp.empty(on.of_weights, g.dtype)
        each("gather", found.size, program.grads, *on.unpack, found, found.size)()
        parts = [found]
        for (_, _, buffer), array in zip(table.inputs, self.inputs, strict=True):
            if buffer is not None:
                part = program.view(buffer)
                parts.append((part.sum(axis=1, keepdims=True) if array.shape[2] == 1 < N else part).ravel())
        self._finished()
        return found if len(parts) == 1 else on.kernels.xp.concatenate(parts)
