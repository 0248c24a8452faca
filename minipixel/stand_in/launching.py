"""Plays `cupy.RawModule`: kernels of a CUDA source are launched with arguments that are checked one by one.

On a card a wrong argument is silent: a pointer is taken for a number, eight bytes for four. Here it is an error.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from minipixel.stand_in import examining, streams
from minipixel.stand_in.arrays import DeviceArray
from minipixel.stand_in.compiler import Parameter, described, library

MOST_THREADS = 1024  # of a block
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
MOST_SHARED = 48 * 1024  # bytes a block has unless the kernel's max_dynamic_shared_size_bytes asks for more ...
ALL_SHARED = 163 * 1024  # ... which is the most that a card of compute capability 8.0 gives

_threads = 1
_one_at_a_time = threading.Lock()  # a built source has its place in the grid and its shared memory in static variables


@contextlib.contextmanager
def threads_in_a_block(number: int) -> Iterator[None]:
    """Within it each block runs as `number` real threads with a real barrier, so that a missing barrier can show."""
    global _threads
    before, _threads = _threads, number
    try:
        yield
    finally:
        _threads = before


class RawModule:
    """Plays `cupy.RawModule` for a source in CUDA C with kernels `extern "C" __global__ void name(...)`."""

    def __init__(
        self,
        code: str | None = None,
        *,
        path=None,
        options: tuple[str, ...] = (),
        backend="nvrtc",
        name_expressions=None,
    ) -> None:
        if not isinstance(code, str) or path is not None or backend != "nvrtc" or name_expressions is not None:
            raise NotImplementedError(
                'the stand-in\'s RawModule takes code= and options= alone: kernels are extern "C"'
            )
        if not isinstance(options, tuple):
            raise TypeError(f"RawModule: options must be a tuple of strings, not {type(options)}")
        self.code, self.options = code, options

    def get_function(self, name: str) -> "Kernel":
        """The kernel of this name."""
        streams.outside_capture("get_function")
        kernels = described(self.code, self.options)
        if name not in kernels:
            raise ValueError(f"RawModule: the source has no kernel {name!r}; it has {', '.join(kernels)}")
        return Kernel(self, name, kernels[name])

    def compile(self) -> None:
        """Build the source now, and not at the first launch."""
        library(self.code, self.options, _threads > 1)


class Kernel:
    """A kernel that can be launched: `kernel(grid, block, args, shared_mem=0)`."""

    def __init__(self, module: RawModule, name: str, parameters: tuple[Parameter, ...]) -> None:
        self.module, self.name, self.parameters = module, name, parameters
        self._most_shared = MOST_SHARED

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """How much shared memory a launch may ask for."""
        return self._most_shared

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        if not 0 <= size <= ALL_SHARED:
            raise ValueError(f"{self.name}: got {size} bytes of shared memory, a block has at most {ALL_SHARED}")
        self._most_shared = size

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:
        """Launch it for all blocks of the grid. Raises TypeError or ValueError for what a card would not understand."""
        blocks = self._extent("grid", grid, MOST_BLOCKS)
        threads = self._extent("block", block, (MOST_THREADS, MOST_THREADS, 64))
        if np.prod(threads) > MOST_THREADS:
            raise ValueError(f"{self.name}: got {np.prod(threads)} threads in a block, wanted at most {MOST_THREADS}")
        if not isinstance(shared_mem, int) or not 0 <= shared_mem <= self._most_shared:
            raise ValueError(
                f"{self.name}: got {shared_mem!r} bytes of shared memory, wanted at most {self._most_shared}; "
                "set the kernel's max_dynamic_shared_size_bytes"
            )
        if not isinstance(args, tuple) or len(args) != len(self.parameters):
            raise TypeError(f"{self.name}: got {_count(args)}, wanted a tuple of {len(self.parameters)}")
        values = [self._checked(*pair) for pair in zip(self.parameters, args, strict=True)]
        numbers = {i: value for i, value in enumerate(values) if not self.parameters[i].pointer}
        arrays = [value for i, value in enumerate(values) if i not in numbers]
        places = range(len(values))

        def run(*arrays):  # a graph holds on to it, so it must not hold on to memory
            rest = iter(arrays)
            self._run(blocks, [numbers[i] if i in numbers else next(rest) for i in places], shared_mem)

        streams.launch(self.name, arrays, run)

    def _extent(self, what: str, extent: tuple[int, ...], most: tuple[int, ...]) -> tuple[int, ...]:
        if not isinstance(extent, tuple) or not 1 <= len(extent) <= 3:
            raise TypeError(f"{self.name}: {what} must be a tuple of one to three ints, not {extent!r}")
        for number, limit in zip(extent, most, strict=False):
            if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
                raise TypeError(f"{self.name}: {what} must be a tuple of ints, not {extent!r}")
            if not 1 <= number <= limit:
                raise ValueError(f"{self.name}: {what} {extent} is out of range, wanted 1 to {most[: len(extent)]}")
        return (*map(int, extent), 1, 1)[:3]

    def _checked(self, parameter: Parameter, value: Any) -> np.ndarray:
        """The argument as an array: the memory that the pointer points to, or a copy of the number."""
        wanted = f"{self.name}: parameter {parameter.name} is {parameter.spelt}{' *' * parameter.pointer}"
        if not parameter.pointer:
            if not isinstance(value, np.generic) or value.dtype != parameter.dtype:
                kind = type(value).__name__
                raise TypeError(f"{wanted}, got {kind}: pass numpy.{parameter.dtype.name}(...)")
            return np.array(value)
        if not isinstance(value, DeviceArray):
            raise TypeError(f"{wanted}, got {type(value).__name__}: pass a device array")
        if value.dtype != parameter.dtype:
            raise TypeError(f"{wanted}, got a device array of {value.dtype}")
        if not value._host.flags.c_contiguous:
            raise TypeError(f"{wanted}, got an array of shape {value.shape} that is not C-contiguous")
        if not (value._host.flags.writeable or parameter.constant):
            raise TypeError(f"{wanted}, got an array that is a broadcast view: several places are one")
        return value._host

    def _run(self, blocks: tuple[int, ...], values: list[np.ndarray], shared_mem: int) -> None:
        if examining.current:
            module = self.module
            given = blocks, shared_mem, self.parameters, values
            self._check_room(examining.run(module.code, module.options, self.name, *given), shared_mem)
            return
        run = library(self.module.code, self.module.options, _threads > 1)[f"stand_in_{self.name}"]
        pointers = [ctypes.c_void_p(value.ctypes.data) for value in values]
        places = (ctypes.c_void_p * max(len(values), 1))(
            *[
                ctypes.addressof(pointer) if parameter.pointer else pointer.value
                for parameter, pointer in zip(self.parameters, pointers, strict=True)
            ]
        )
        with _one_at_a_time:
            intact = run((ctypes.c_uint * 3)(*blocks), ctypes.c_uint(_threads), ctypes.c_size_t(shared_mem), places)
        self._check_room(intact, shared_mem)

    def _check_room(self, intact: bool, shared_mem: int) -> None:
        if not intact:
            raise RuntimeError(f"{self.name}: the kernel wrote outside its {shared_mem} bytes of shared memory")


def _count(args: Any) -> str:
    return f"{len(args)} arguments" if isinstance(args, tuple) else f"arguments of type {type(args).__name__}"
