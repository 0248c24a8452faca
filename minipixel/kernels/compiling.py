"""What people should know about compiling: that it happens, how long it took, and whether the result was kept on disk.

Nothing of Numba is imported here, so that those who report it, a progress bar or `minipixel warmup`, run without it.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable

from minipixel import console

_lock = threading.Lock()
_seconds, _began, _depth = 0.0, 0.0, 0
_announced, _warned = False, False
_folders: set[str] = set()
_failures: list[str] = []


def seconds() -> float:
    """How long kernels were compiled so far in this process, by the clock on the wall."""
    with _lock:
        return _seconds + (time.perf_counter() - _began if _depth else 0.0)


def kept() -> tuple[list[str], list[str]]:
    """The folders in which compiled kernels of this process are kept, and a line about each that is not."""
    with _lock:
        return sorted(_folders), list(_failures)


# --- what people are told ---------------------------------------------------------------------------------------------


def _print(line: str) -> None:
    print(line, file=console.stderr, flush=True)


def _somebody_watches() -> bool:
    """Whether this is a terminal or a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") or console.stderr.isatty()


_speak: Callable[[str], None] | None = None
"""Who says that kernels are being compiled; None says it where somebody watches."""


def announce(speak: Callable[[str], None] = _print) -> None:
    """From now on, let `speak` say that kernels are being compiled; it is said once in a process, and only then."""
    global _speak
    _speak = speak


def _say_it(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # an error stream that is closed or full ends no compiling
        if _speak is not None:
            _speak(line)
        elif _somebody_watches():
            _print(line)


# --- what the compiler reports ----------------------------------------------------------------------------------------


def begin(is_kept: bool) -> None:
    """A kernel is being compiled, which may compile others in between; Numba lets one thread at a time."""
    global _began, _depth, _announced
    with _lock:
        _depth += 1
        if _depth == 1:
            _began = time.perf_counter()
        first, _announced = not _announced, True
    if first:
        _say_it(f"compiling the kernels{', once for this machine' if is_kept else ''} ...")


def end() -> None:
    """It is compiled, or could not be."""
    global _seconds, _depth
    with _lock:
        _depth -= 1
        if _depth == 0:
            _seconds += time.perf_counter() - _began


def found_or_kept(folder: str) -> None:
    """A kernel stands in that folder now."""
    with _lock:
        _folders.add(folder)


def not_kept(line: str) -> None:
    """Warn, once in a process, that a kernel is not kept."""
    with _lock:
        _failures.append(line)
    warn_once(line)


def warn_once(line: str) -> None:
    """One warning in a process, whatever else follows."""
    global _warned
    with _lock:
        first, _warned = not _warned, True
    if first:
        console.warn(line, RuntimeWarning, stacklevel=2)
