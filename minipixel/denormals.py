"""Denormal numbers: a mode of the processor in which they count as zero, switched on and off for each thread.

A number closer to zero than 1.2e-38 (float32) or 2.2e-308 (float64) is a denormal number: it has fewer digits, and many
processors need about a hundred times as long for it. Gradients of a model that is nearly certain are full of them, and
results do not noticeably change if they are zero. PyTorch calls this mode `set_flush_denormal`.

The mode is one or two bits of a register that every thread has for itself. C99's `fegetenv` and `fesetenv` copy the
register out and in, along with others; the place of the bits in this copy depends on the system. Windows has a function
for it. So the mode holds for NumPy, BLAS and Numba alike. On a system that is not listed here, or whose register does
not work as expected when first tried, nothing is changed: denormal numbers are computed as usual, and take longer.
"""

import ctypes
import functools
import platform
import sys
from collections.abc import Callable

import numpy as np

Exchange = Callable[[int], int]
"""A function that sets the bits of the mode in this thread, and returns those from before."""

FLUSH_AND_ZERO = 0x8040
"""x86-64: results that are denormal are flushed to zero (bit 15 of MXCSR), operands taken for zero (bit 6)."""

FZ = 1 << 24
"""ARM: both, a bit of FPCR."""

# (system, machine) -> (place of the register in C's fenv_t, in words of 32 bits; the bits that switch the mode on)
PLACES = {
    ("linux", "x86_64"): (7, FLUSH_AND_ZERO),
    ("linux", "aarch64"): (0, FZ),
    ("darwin", "x86_64"): (1, FLUSH_AND_ZERO),
    ("darwin", "arm64"): (2, FZ),
}

_Environment = ctypes.c_uint32 * 32  # more than a fenv_t takes anywhere


@functools.cache
def mode() -> tuple[Exchange, int] | None:
    """How to set the mode in this process, and the bits that switch it on; None where that is not possible."""
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        np.finfo(dtype)  # NumPy remembers it; made while denormal numbers are zero, it would warn, and remember that
    found = _on_windows() if sys.platform == "win32" else _in_fenv(sys.platform, platform.machine().lower())
    return found if found is not None and _holds(*found) else None


def _in_fenv(system: str, machine: str) -> tuple[Exchange, int] | None:
    """By the C library's `fegetenv` and `fesetenv`."""
    library = _math_library()
    if library is None or (system, machine) not in PLACES:
        return None
    place, bits = PLACES[system, machine]
    get, put = library.fegetenv, library.fesetenv

    def exchange(word: int) -> int:
        environment = _Environment()
        get(environment)
        before = environment[place] & bits
        environment[place] = environment[place] & ~bits | word
        put(environment)
        return before

    return exchange, bits


def _math_library() -> ctypes.PyDLL | None:
    """The C library with these two. Its functions keep the GIL, since getting it back may take longer than they do."""
    for name in (None, "libm.so.6"):
        try:
            library = ctypes.PyDLL(name)
            library.fegetenv, library.fesetenv  # noqa: B018  (looked up now)
        except (OSError, AttributeError, TypeError):
            continue
        return library
    return None


def _on_windows() -> tuple[Exchange, int] | None:
    """By `_controlfp_s` of Microsoft's C library."""
    flush, mask = 0x01000000, 0x03000000  # _DN_FLUSH, _MCW_DN
    try:
        control = ctypes.PyDLL("ucrtbase")._controlfp_s
    except (OSError, AttributeError):
        return None

    def exchange(word: int) -> int:
        control_word = ctypes.c_uint32()
        control(ctypes.byref(control_word), 0, 0)
        before = control_word.value & mask
        control(ctypes.byref(control_word), word, mask)
        return before

    return exchange, flush


def _holds(exchange: Exchange, bits: int) -> bool:
    """Whether the mode flushes results and operands alike, and they are what they were when it is off."""
    least = sys.float_info.min
    before = exchange(0)
    denormal = least / 2
    off = exchange(bits)
    result, operand = least / 2, denormal * 2.0**52
    on = exchange(0)
    again = least / 2
    exchange(before)
    return off == 0 and on == bits and result == 0 and operand == 0 and again == denormal > 0
