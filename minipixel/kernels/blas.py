"""The matrix product of SciPy's BLAS, from inside compiled loops: no interpreter, no GIL, and it is cached on disk.

The symbols are registered when this module is imported, which has to be before any cached kernel that calls them is
loaded: every file with such a kernel imports this one at its top.
"""

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.extending import get_cython_function_address

from minipixel.blas_threads import one_blas_thread


def _external(name):
    llvmlite.binding.add_symbol(f"minipixel_{name}", get_cython_function_address("scipy.linalg.cython_blas", name))
    return types.ExternalFunction(f"minipixel_{name}", types.void(*[types.uintp] * 13))


_sgemm, _dgemm = _external("sgemm"), _external("dgemm")
one_blas_thread.look_again()  # that loaded SciPy's BLAS, which threads may be waiting for

SMALL, LEAST_ROWS = 1_000_000, 16
"""Products of no more multiplications than this OpenBLAS takes as they are; larger ones it first copies into blocks.

Cut into small ones large products are 1.1 to 1.25 times as fast, their sums over rows up to 1.8 times, as long as
LEAST_ROWS of these are summed at once (benchmarks/products.py).
"""

MANY_ROWS, WIDE = 256, 2**14
"""A product of so many rows with a weight of so many numbers is not cut: copying the weight is then soon repaid."""

CACHED = 2**13
"""How many numbers of two factors a core has at hand at once, in its first cache."""


@numba.njit(nogil=True)
def constants(dtype_like):
    """What `gemm` needs at every call: the flags "as it is", "transposed", room for sizes, 0 and 1 in that dtype."""
    flags, zero_one = np.empty(2, np.int8), np.zeros(2, dtype_like.dtype)
    flags[0], flags[1], zero_one[1] = ord("N"), ord("T"), 1
    return flags, np.zeros(4, np.int32), zero_one


@numba.njit(nogil=True)
def gemm(M, N, K, a, a0, a_across, b, b0, y, y0, add, blas):
    """y = a b, or y += a b if `add`: (M, K), (K, N) -> (M, N), row after row from a0, b0, y0 on.

    With `a_across` a is stored as (K, M). All three lie in flat arrays of one dtype, float32 or float64; `blas` is what
    `constants` gives. Most products are cut into blocks of rows that are SMALL.
    """
    whole = a_across or (M >= MANY_ROWS and N * K >= WIDE)
    block = 0 if whole else SMALL // max(1, N * K) // 4 * 4
    if block == 0 or block >= M:
        _gemm(M, N, K, a, a0, a_across, b, b0, y, y0, add, blas)
        return
    for r in range(0, M, block):
        _gemm(min(block, M - r), N, K, a, a0 + r * K, False, b, b0, y, y0 + r * N, add, blas)


@numba.njit(nogil=True)
def _gemm(M, N, K, a, a0, a_across, b, b0, y, y0, add, blas):
    """The same in one call. BLAS wants columns first, which for it makes this y' = b' a'.

    Addresses are plain numbers: a slice would be counted, in and out.
    """
    if K == 0:  # BLAS takes no matrix without columns
        y[y0 : y0 + (0 if add else M * N)] = 0
        return
    flags, sizes, zero_one = blas
    sizes[0], sizes[1], sizes[2], sizes[3] = M, N, K, M if a_across else K
    flag, m, zero = flags.ctypes.data, sizes.ctypes.data, zero_one.ctypes.data
    n, k, a_row, one, of_a = m + 4, m + 8, m + 12, zero + a.itemsize, flag + (1 if a_across else 0)
    from_a, from_b = a.ctypes.data + a0 * a.itemsize, b.ctypes.data + b0 * a.itemsize
    to_y, scale = y.ctypes.data + y0 * a.itemsize, one if add else zero
    if a.itemsize == 4:
        _sgemm(flag, of_a, n, m, k, one, from_b, n, from_a, a_row, scale, to_y, n)
    else:
        _dgemm(flag, of_a, n, m, k, one, from_b, n, from_a, a_row, scale, to_y, n)


@numba.njit(nogil=True)
def product(M, K_in, K_out, x, x0, w, w0, y, y0, add, blas):
    """y = x w, or y += x w if `add`: (M, K_in), (K_in, K_out) -> (M, K_out), as `gemm`."""
    gemm(M, K_out, K_in, x, x0, False, w, w0, y, y0, add, blas)


@numba.njit(nogil=True)
def add_weight_gradient(R, K_in, K_out, x, x0, g, g0, weight_g, w0, blas):
    """weight_g += x' g: (R, K_in), (R, K_out) -> (K_in, K_out), in blocks of rows that stay in the first cache.

    OpenBLAS reads one of the two again and again: 224 rows of 16 and 64 numbers take 4.3 us at once, 3.0 in blocks.
    """
    block = max(1, -(-R // max(1, -(-R * (K_in + K_out) // CACHED))))
    small = SMALL // max(1, K_in * K_out)
    block = min(block, small) if small >= LEAST_ROWS else max(1, R)
    for r in range(0, R, block):
        gemm(K_in, K_out, min(block, R - r), x, x0 + r * K_in, True, g, g0 + r * K_out, weight_g, w0, True, blas)
