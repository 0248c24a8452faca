"""Kernels in CUDA C for the opcodes of a plan, and the library calls that go with them: products, streams, graphs.

They are compiled when first used, by the compiler that CuPy brings (NVRTC). Everything here takes the device library
`xp` as an argument, which is CuPy or what plays it (see minipixel/stand_in).
"""

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from minipixel.kernels import units

FILES = {
    "plan": ("common.h", "maps.cu", "draws.cu", "reads.cu", "sums.cu", "cells.cu", "weights.cu", "steps.cu"),
    "machine": ("common.h", "draw.cu", "machine.cu"),
}
"""The files of a source; each source is compiled by itself."""
THREADS = 256
"""How many threads a block has."""
MOST_THREADS = 512
"""How many threads a block of a scan has, since only so many blocks run as there are images."""
MOST_BLOCKS = 2**16
MOST_NUMBERS = 2**30
"""Kernels count the numbers of a map in 32 bits, and the last step of a loop must not pass their end."""

DEFAULT_MATH, TF32_MATH = 0, 3
"""cublasMath_t: CUBLAS_DEFAULT_MATH and CUBLAS_TF32_TENSOR_OP_MATH, for which CuPy has no names."""

Launch = Callable[[], Any]
"""One launch, or one call of a library, with all that it needs."""


@functools.cache
def source(name: str = "plan") -> str:
    """The kernels of a plan, or those of the samplers' "machine", as one text; these need the columns of its tables."""
    folder, columns = files(__name__), vars(units) if name == "machine" else {}
    numbers = {column: number for column, number in columns.items() if type(number) is int and column.isupper()}
    texts = [(folder / file).read_text(encoding="utf-8") for file in FILES[name]]
    return "\n".join([*(f"#define {column} {number}" for column, number in numbers.items()), *texts])


@functools.cache
def _module(xp: Any, dtype: str, name: str) -> Any:
    real = {"float32": "float", "float64": "double"}[dtype]
    return xp.RawModule(code=source(name), options=(f"-DREAL={real}", "--std=c++17"))


class Kernels:
    """The kernels of one source for one device library and one dtype; each method makes a launch to be repeated."""

    def __init__(self, xp: Any, dtype: str, source: str = "plan") -> None:
        self.xp, self.dtype, self.source = xp, dtype, source
        self._gemm = importlib.import_module(f"{xp.__name__}.cublas").gemm

    def each(self, name: str, n: int, *arguments: Any) -> Launch:
        """A kernel that computes n numbers, each by itself. Raises ValueError for too many of them."""
        if n > MOST_NUMBERS:
            raise ValueError(
                f"cuda: got a map of {n:,} numbers, wanted {MOST_NUMBERS:,} at the most; take a smaller batch_size"
            )
        return self.blocks(name, min(MOST_BLOCKS, -(-n // THREADS)), *arguments)

    def blocks(self, name: str, blocks: int, *arguments: Any, shared: int = 0, threads: int = THREADS) -> Launch:
        """A kernel of so many blocks, each with room for `shared` numbers of its own."""
        function = _module(self.xp, self.dtype, self.source).get_function(name)
        given = tuple(
            np.int32(x) if isinstance(x, (int, np.integer)) and type(x) is not np.uint32 else x for x in arguments
        )
        room = shared * np.dtype(self.dtype).itemsize
        return functools.partial(function, (max(1, blocks),), (threads,), given, shared_mem=room)

    def real(self, *numbers: float) -> tuple[Any, ...]:
        """Numbers in the dtype of the kernels."""
        return tuple(map(np.dtype(self.dtype).type, numbers))

    def product(self, a: Any, b: Any, out: Any, *, turned: str = "NN", adds: bool = False) -> Launch:
        """out = a @ b, or added to out; "T" stands for a matrix that is transposed first."""
        product = functools.partial(self._gemm, *turned, a, b, out=out, alpha=1.0, beta=float(adds))
        return functools.partial(_rounded, self.xp, product) if self.dtype == "float32" and tf32() else product


def tf32() -> bool:
    """Whether products of float32 may round their factors to TF32, which has 10 bits of fraction in place of 23.

    Tensor cores then compute them, several times as fast. The environment says so, by MINIPIXEL_TF32=1.
    """
    return os.environ.get("MINIPIXEL_TF32", "0") not in ("", "0")


def _rounded(xp: Any, product: Launch) -> None:
    handle = xp.cuda.device.get_cublas_handle()
    xp.cuda.cublas.setMathMode(handle, TF32_MATH)
    try:
        product()
    finally:
        xp.cuda.cublas.setMathMode(handle, DEFAULT_MATH)


def captured(xp: Any, launches: Sequence[Launch]) -> Launch:
    """All launches as one graph, which is launched as a whole: the host has one call to make, in place of hundreds.

    Each of them must have run before, so that it is compiled and libraries have what they need.
    """
    stream = xp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            for launch in launches:
                launch()
        finally:  # a stream must not be left in this state
            graph = stream.end_capture()
    return graph.launch
