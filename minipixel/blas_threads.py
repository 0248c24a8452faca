"""BLAS is limited to one thread during computations, since the shards of a batch already keep every core busy.

The number of BLAS threads is a setting of the whole process, while threads start and end at any time. So it is set once
for all of them: the first thread that enters a block sets it to one, and the last one that leaves puts the old number
back. OpenBLAS built on OpenMP has a number for each thread instead, which every thread sets and puts back by itself.

A BLAS library that is loaded later has threads of its own. So each thread that enters a block looks whether a module
was imported since; and `kernels/blas.py`, which loads SciPy's BLAS, reports it at once.
"""

import contextlib
import sys
import threading
from typing import Any

Limits = dict[str, tuple[Any, int]]
"""By file: a library that is held, and its number of threads before."""


class _Thread(threading.local):
    """The state of a thread: how many blocks it is in, and how many modules there were when it last looked."""

    def __init__(self) -> None:
        self.depth, self.modules = 0, -1
        self.limits: Limits = {}  # of libraries that know a number for each thread


class OneBlasThread(contextlib.ContextDecorator):
    """A block, or a decorator, in which this thread's products take one BLAS thread; one object serves all threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal may come within, and its handler compute
        self._holders = 0
        self._limits: Limits = {}  # of those with one number for all
        self._thread = _Thread()

    def __enter__(self) -> "OneBlasThread":
        thread = self._thread
        if not thread.depth:
            with self._lock:
                self._limit(own=True)
                self._holders += 1
        elif thread.modules != len(sys.modules):
            self.look_again()
        thread.depth += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.depth -= 1
        if not self._thread.depth:
            with self._lock:
                self._holders -= 1
                self._restore()

    def look_again(self) -> None:
        """Limit libraries that were loaded since, if any thread is in a block."""
        with self._lock:
            if self._holders:
                self._limit(own=self._thread.depth > 0)

    def _limit(self, own: bool) -> None:
        """Limit all libraries that are not limited yet; with `own` also those with a number for this thread."""
        self._thread.modules = len(sys.modules)
        for library in _libraries():
            of_one = _is_of_one_thread(library)
            limits = self._thread.limits if of_one else self._limits
            if library.filepath not in limits and (own or not of_one):
                limits[library.filepath] = library, library.num_threads
                _set(library, 1)

    def _restore(self) -> None:
        """Put back this thread's own numbers, and all others if no thread is left in a block."""
        _put_back(self._thread.limits)
        if not self._holders:
            _put_back(self._limits)


def _put_back(limits: Limits) -> None:
    for library, threads in limits.values():
        _set(library, threads)
    limits.clear()


def _libraries() -> list[Any]:
    """The BLAS libraries of this process, as threadpoolctl finds them; it looks again if modules were imported."""
    import threadpoolctl

    return [library for library in threadpoolctl.get_cached_controller().lib_controllers if library.user_api == "blas"]


def _is_of_one_thread(library: Any) -> bool:
    """Whether every thread has a number of BLAS threads of its own."""
    return getattr(library, "threading_layer", None) == "openmp" and library.internal_api == "openblas"


def _set(library: Any, threads: int) -> None:
    """Set the number of threads. threadpoolctl allows this to one thread only, unless its mark is removed."""
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(threads)
    if release is not None:
        release(force=True)


one_blas_thread = OneBlasThread()
"""The one block of this process."""
