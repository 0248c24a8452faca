"""BLAS held to one thread while anybody computes: the shards of a batch already keep every core busy.

How many threads BLAS takes is a setting of the whole process, and threads come and go as they like. So it is held once
for all of them: the first thread to come sets it to one, the last one to go puts back what was there. OpenBLAS built on
OpenMP knows a number for each thread instead, which every thread sets when it comes and puts back when it goes.

A library that is loaded later brings threads of its own. So whoever comes looks whether any module was imported since;
and `kernels/blas.py`, which loads SciPy's BLAS, says so at once.
"""

import contextlib
import sys
import threading
from typing import Any

Limits = dict[str, tuple[Any, int]]
"""By file: a library that is held, and its number of threads before."""


class _Thread(threading.local):
    """What a thread knows of itself: how many blocks it is in, how many modules there were when it last looked."""

    def __init__(self) -> None:
        self.depth, self.modules = 0, -1
        self.limits: Limits = {}  # of libraries that know a number for each thread


class OneBlasThread(contextlib.ContextDecorator):
    """A block, or a decorator, within which this thread's products take one BLAS thread; there is one for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        """Hold libraries that were loaded since, if anybody is in a block."""
        with self._lock:
            if self._holders:
                self._limit(own=self._thread.depth > 0)

    def _limit(self, own: bool) -> None:
        """Hold what is not held yet, for all; with `own` for this thread, too."""
        self._thread.modules = len(sys.modules)
        for library in _libraries():
            of_one = _is_of_one_thread(library)
            limits = self._thread.limits if of_one else self._limits
            if library.filepath not in limits and (own or not of_one):
                limits[library.filepath] = library, library.num_threads
                _set(library, 1)

    def _restore(self) -> None:
        """Put back what is this thread's own; and the rest, if it is the last one to go."""
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
    """Whether every thread has a number of its own."""
    return getattr(library, "threading_layer", None) == "openmp" and library.internal_api == "openblas"


def _set(library: Any, threads: int) -> None:
    """Set the number of threads. threadpoolctl lets one thread alone do that, unless told that it is free again."""
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(threads)
    if release is not None:
        release(force=True)


one_blas_thread = OneBlasThread()
"""The one block of this process."""
