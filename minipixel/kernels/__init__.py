"""Kernels: loops over pixels that NumPy has no single word for, each with a readable reference.

A kernel is one name with one definition, in `reference.py`, which runs on NumPy and on CuPy. Where a measurement
asked for it, a faster body in `numba_cpu.py` overrides the definition for float32 and float64 arrays on the host.
Nothing above this package can tell which of the two ran, except by the clock.
"""

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.kernels import reference

__all__ = ["KERNELS", "Kernel", "col2im", "im2col", "numba_enabled"]


class Kernel:
    """One kernel: its readable reference, and its override where Numba is there and the data suits it."""

    def __init__(self, body: Callable[..., Any]) -> None:
        self.reference = body
        self.__name__ = body.__name__
        self.__doc__ = body.__doc__

    @property
    def override(self) -> Callable[..., Any] | None:
        """The Numba body, or None where Numba is missing or switched off. Compiled at its first call."""
        if not numba_enabled():
            return None
        return getattr(importlib.import_module("minipixel.kernels.numba_cpu"), self.__name__)

    def __call__(self, x: Any, *args: Any) -> Any:
        """Run the override if `x` is a float32 or float64 host array and Numba is on, else the reference."""
        suits = isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64)
        body = self.override if suits else None
        return (body or self.reference)(x, *args)


def numba_enabled() -> bool:
    """Whether overrides run: Numba is installed, and the environment does not say MINIPIXEL_NUMBA=0."""
    return os.environ.get("MINIPIXEL_NUMBA", "1") != "0" and _numba_installed()


@functools.cache
def _numba_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


im2col = Kernel(reference.im2col)
col2im = Kernel(reference.col2im)

# The one table of kernels: a row here buys the tests of tests/test_kernels.py.
KERNELS = {kernel.__name__: kernel for kernel in (im2col, col2im)}
