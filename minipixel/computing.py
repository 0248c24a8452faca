"""Settings of a thread while it computes for this library: BLAS threads, denormal numbers, underflow.

In such a block BLAS takes one thread, denormal numbers count as zero, and a number that becomes too small for its
dtype, as a likelihood may at any time, is no error, whatever `np.seterr` says. All other settings stay, and these are
put back at the end, also when an error is raised.

Every computation is such a block: worker threads (shards.py), `Model.loss`, `predict` and the samplers, backward passes
(tensor.py), an optimizer's step. A block within another one costs almost nothing.
"""

import contextlib
import threading
from typing import Any

import numpy as np

from minipixel import denormals
from minipixel.blas_threads import OneBlasThread, one_blas_thread


class _Thread(threading.local):
    """How many blocks this thread is in, and its own settings, which the last one to end puts back."""

    depth = 0
    denormals = 0
    underflow: Any = "ignore"


class Computing(contextlib.ContextDecorator):
    """The block, `with computing:`, and the decorator, `@computing`."""

    def __init__(self) -> None:
        self._thread = _Thread()

    def __enter__(self) -> "Computing":
        one_blas_thread.__enter__()
        thread = self._thread
        if not thread.depth:
            flush = denormals.mode()
            if flush is not None:
                exchange, bits = flush
                thread.denormals = exchange(bits)
            thread.underflow = np.seterr(under="ignore")["under"]
        thread.depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        thread = self._thread
        thread.depth -= 1
        if not thread.depth:
            flush = denormals.mode()
            if flush is not None:
                exchange, _ = flush
                exchange(thread.denormals)
            np.seterr(under=thread.underflow)
        one_blas_thread.__exit__(*exception)


class AsItIs(contextlib.ContextDecorator):
    """A block that changes no settings, for code with threads of its own."""

    def __enter__(self) -> "AsItIs":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


computing = Computing()

Block = Computing | OneBlasThread | AsItIs
"""What a thread may work in: all of the above, or BLAS alone, for functions that are not this library's."""
