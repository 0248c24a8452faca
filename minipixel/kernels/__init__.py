"""Kernels: loops over pixels that NumPy has no single word for, and compiled bodies of the heads' ops.

A kernel is one name with one definition, in `reference.py`, which runs on NumPy and on CuPy. Where a measurement
asked for it, a faster body in `numba_cpu.py` overrides the definition for float32 and float64 arrays on the host.

An op, too, may have a compiled body: arrays in, (value, vjp) out. The log-probabilities of the heads have one, since
they stand behind the plan that runs a model's layers (see minipixel/plan; walker.py is its compiled loop, machine.py
that of the samplers). The op as it is written stays the definition: it runs without Numba, on other arrays and on a
GPU, it is what the body is tested against, and what the clock reads.
"""

import contextlib
import contextvars
import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minipixel.kernels import compiling, reference
from minipixel.kernels.shapes import guarded, plain

__all__ = [
    *("COMPILED", "KERNELS", "Kernel", "as_written", "col2im", "compiled", "im2col", "numba_enabled"),
    *("runs_as_written", "skew", "uncompiled", "unskew"),
]

_as_written = contextvars.ContextVar("as_written", default=False)
_uncompiled = contextvars.ContextVar("uncompiled", default=False)


class Kernel:
    """One kernel: its readable reference, and its override where Numba is there and the data suits it.

    An override that goes by the strides of its input, whatever they are, says `strided`: then nothing is copied first.
    """

    def __init__(self, body: Callable[..., Any], strided: bool = False) -> None:
        self.reference = body
        self.strided = strided
        self.__name__ = body.__name__
        self.__doc__ = body.__doc__

    @property
    def override(self) -> Callable[..., Any] | None:
        """The Numba body, or None where Numba is missing or switched off. Compiled at its first call."""
        return _override(self.__name__) if numba_enabled() else None

    def __call__(self, x: Any, *args: Any) -> Any:
        """Run the override if `x` is a float32 or float64 host array and Numba is on, else the reference."""
        suits = isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64)
        body = self.override if suits else None
        if body is None:
            return self.reference(x, *args)
        return body(x if self.strided else plain(x), *args)

    def __repr__(self) -> str:
        return f"Kernel({self.__name__})"


@functools.cache
def _override(name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module("minipixel.kernels.numba_cpu"), name)


def numba_enabled() -> bool:
    """Whether overrides run: Numba is installed and works, and the environment does not say MINIPIXEL_NUMBA=0.

    Nor NUMBA_DISABLE_JIT=1, which asks Numba to compile nothing; and this is not within `uncompiled`.
    """
    return not _uncompiled.get() and os.environ.get("MINIPIXEL_NUMBA", "1") != "0" and _numba_works()


@functools.cache
def _numba_works() -> bool:
    if importlib.util.find_spec("numba") is None:
        return False
    try:
        if importlib.import_module("numba").config.DISABLE_JIT:
            return False
        for file in ("blas", "functions"):  # they need the most of Numba
            importlib.import_module(f"minipixel.kernels.{file}")
    except Exception as error:  # not made for this NumPy or Python, or damaged, or without a part that we need
        compiling.warn_once(
            f"kernels: got a Numba that does not work ({type(error).__name__}: {error}), wanted one that does; all "
            "runs as it is written, slower; install another Numba, or set MINIPIXEL_NUMBA=0"
        )
        return False
    return True


im2col = Kernel(reference.im2col)
col2im = Kernel(reference.col2im)
skew = Kernel(reference.skew, strided=True)
unskew = Kernel(reference.unskew, strided=True)

# The one table of kernels: a row here buys the tests of tests/test_kernels.py.
KERNELS = {kernel.__name__: kernel for kernel in (im2col, col2im, skew, unskew)}

# The one table of ops with a compiled body, and the file in which it stands: a row here buys the tests of
# tests/test_compiled.py.
COMPILED = {
    "bernoulli_log_prob": "likelihood",
    "categorical_log_prob": "likelihood",
    "logistic_mixture_log_prob": "mixture",
}


def compiled(name: str, inputs: Sequence[Any]) -> Callable[..., Any] | None:
    """The compiled body of an op, if Numba is on and all inputs are host arrays of one of its two dtypes.

    Inputs that are None are left out of account. The body returns None for what it does not do, or not faster. It takes
    arrays in any order of memory, read-only ones too, and gives the definition's result (see shapes.py).
    """
    if runs_as_written() or not numba_enabled():
        return None
    arrays = [x for x in inputs if x is not None]
    dtype = getattr(arrays[0], "dtype", None)
    if dtype not in (np.float32, np.float64) or not all(type(x) is np.ndarray and x.dtype == dtype for x in arrays):
        return None
    return _body(name)


@functools.cache
def _body(name: str) -> Callable[..., Any]:
    return guarded(getattr(importlib.import_module(f"minipixel.kernels.{COMPILED[name]}"), name))


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within this block, in this thread and the workers that it starts, nothing is compiled, nor runs compiled.

    As with MINIPIXEL_NUMBA=0: for something so short that compiling would take longer.
    """
    before = _uncompiled.set(True)
    try:
        yield
    finally:
        _uncompiled.reset(before)


def runs_as_written() -> bool:
    """Whether this thread is within `as_written`, or works for one that is."""
    return _as_written.get()


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Within this block, in this thread and the workers that it starts, models and ops run as they are written.

    For somebody who looks at each op.
    """
    before = _as_written.set(True)
    try:
        yield
    finally:
        _as_written.reset(before)
