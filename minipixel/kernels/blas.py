"""The matrix product of SciPy's BLAS, from inside compiled loops: no interpreter, no GIL, and it is cached on disk.

The symbols are registered when this module is imported, which has to be before any cached kernel that calls them is
loaded: every file with such a kernel imports this one at its top.
"""

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.extending import get_cython_function_address


def _external(name):
    llvmlite.binding.add_symbol(f"minipixel_{name}", get_cython_function_address("scipy.linalg.cython_blas", name))
    return types.ExternalFunction(f"minipixel_{name}", types.void(*[types.voidptr] * 13))


_sgemm, _dgemm = _external("sgemm"), _external("dgemm")


@numba.njit(nogil=True)
def constants(dtype_like):
    """What `product` needs at every call: the flag "not transposed", room for sizes, 0 and 1 in the arrays' dtype."""
    zero_one = np.zeros(2, dtype_like.dtype)
    zero_one[1] = 1
    return np.full(1, ord("N"), np.int8), np.zeros(4, np.int32), zero_one


@numba.njit(nogil=True)
def product(M, K_in, K_out, x, x0, w, w0, y, y0, add, blas):
    """y = x w, or y += x w if `add`: (M, K_in), (K_in, K_out) -> (M, K_out), row after row from x0, w0, y0 on.

    All three lie in flat arrays of one dtype, float32 or float64; `blas` is what `constants` gives. BLAS wants columns
    first, which for it makes this y' = w' x'.
    """
    plain, sizes, zero_one = blas
    sizes[0], sizes[1], sizes[2], sizes[3] = K_out, M, K_in, max(K_in, 1)  # BLAS takes no rows of no length
    beta = zero_one[1:] if add else zero_one[:1]
    m, n, k, row, one = sizes[0:], sizes[1:], sizes[2:], sizes[3:], zero_one[1:]
    a, b, c = w[w0:], x[x0:], y[y0:]
    if x.itemsize == 4:
        _sgemm(
            *(plain.ctypes, plain.ctypes, m.ctypes, n.ctypes, k.ctypes, one.ctypes),
            *(a.ctypes, m.ctypes, b.ctypes, row.ctypes, beta.ctypes, c.ctypes, m.ctypes),
        )
    else:
        _dgemm(
            *(plain.ctypes, plain.ctypes, m.ctypes, n.ctypes, k.ctypes, one.ctypes),
            *(a.ctypes, m.ctypes, b.ctypes, row.ctypes, beta.ctypes, c.ctypes, m.ctypes),
        )
