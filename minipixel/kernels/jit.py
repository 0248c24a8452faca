"""How every kernel is compiled: at its first call, without the GIL, and kept on disk.

Numba keeps a compiled function for as long as the file it stands in does not change, and does not look at the files of
functions that it calls. Here it is kept for as long as no file of this folder changes.

Where a core has vectors of 512 bits, LLVM uses half of each on most Intel cores, which long ago slowed down otherwise.
BLAS uses them whole in any case; so do these kernels, each of which says so to LLVM.
"""

import hashlib
from pathlib import Path

import numba
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import BaseNativeLowering, NativeLowering

FAST = {"contract", "nsz", "arcp", "reassoc"}
"""What the compiler may take for granted: all but the flags that would let NaN and infinity be forgotten."""

_STAMP = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()


def jit(body):
    """Compile lazily and without the GIL; keep on disk, or not where no folder can be written."""
    options = {"nogil": True, "fastmath": FAST, "error_model": "numpy", "pipeline_class": _WholeVectors}
    try:
        compiled = numba.njit(cache=True, **options)(body)
        compiled._cache._cache_file._source_stamp = _STAMP
    except (RuntimeError, AttributeError):  # no folder; or a Numba that keeps its stamp elsewhere
        return numba.njit(**options)(body)
    return compiled


inline = numba.njit(nogil=True, fastmath=FAST, error_model="numpy", inline="always")
"""For small functions that are written into their callers."""


class _Lower(Lower):
    def setup_function(self, fndesc):
        super().setup_function(fndesc)
        set.add(self.function.attributes, '"prefer-vector-width"="512"')  # llvmlite itself knows no such attribute


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(BaseNativeLowering):
    _name = "lowering_to_whole_vectors"  # type: ignore[assignment]
    lowering_class = _Lower


class _WholeVectors(CompilerBase):
    """Numba's own steps, but for the one that writes the code for LLVM."""

    def define_pipelines(self):
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.passes = [(_Lowering if step is NativeLowering else step, why) for step, why in steps.passes]
        steps.finalize()
        return [steps]
