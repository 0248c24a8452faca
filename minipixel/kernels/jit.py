"""How every kernel is compiled: at its first call, without the GIL, and kept on disk (cache.py).

What this needs of Numba's own parts, which some later Numba may have elsewhere, stands in cache.py and lowering.py.
Without one of them kernels are compiled all the same, but by every process anew: code that is not sealed (lowering.py)
must not be kept, or the process that compiles it computes other bits than all later ones.
"""

import numba

from minipixel.kernels import compiling

FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What the compiler may take for granted: all but the flags that would let NaN and infinity be forgotten."""


def jit(body, *, fastmath=FAST, error_model="numpy"):
    """Compile lazily and without the GIL; keep on disk, or not where no folder can be written."""
    options = {"nogil": True, "fastmath": fastmath, "error_model": error_model}
    try:
        from minipixel.kernels.cache import keep_on_disk
        from minipixel.kernels.lowering import KernelCompiler

        return keep_on_disk(numba.njit(pipeline_class=KernelCompiler, **options)(body))
    except (ImportError, AttributeError, TypeError) as missing:
        compiling.warn_once(
            f"kernels: got Numba {numba.__version__} without a part that minipixel needs ({missing}), wanted one that "
            "it was tried with; every process compiles its kernels again; install an earlier Numba"
        )
        return numba.njit(**options)(body)


inline = numba.njit(nogil=True, fastmath=FAST, error_model="numpy", inline="always")
"""For small functions that are written into their callers."""
