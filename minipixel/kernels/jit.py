"""How every kernel is compiled: at its first call, without the GIL, and kept on disk.

Numba keeps a compiled function for as long as the file it stands in does not change, and does not look at the files of
functions that it calls. Here it is kept for as long as no file of this folder changes.
"""

import hashlib
from pathlib import Path

import numba

FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What the compiler may take for granted: all but the flags that would let NaN and infinity be forgotten."""

_STAMP = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def jit(body):
    """Compile lazily and without the GIL; keep on disk, or not where no folder can be written."""
    options = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    try:
        compiled = numba.njit(cache=True, **options)(body)
        compiled._cache._cache_file._source_stamp = _STAMP
    except (RuntimeError, AttributeError):  # no folder; or a Numba that keeps its stamp elsewhere
        return numba.njit(**options)(body)
    return compiled


inline = numba.njit(nogil=True, fastmath=FAST, error_model="numpy", inline="always")
"""For small functions that are written into their callers."""
