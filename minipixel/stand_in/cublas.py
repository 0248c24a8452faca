"""Plays `cupy.cublas`, of which minipixel uses one function: the product of two matrices."""

import threading
from typing import Any

import numpy as np

from minipixel.stand_in import streams
from minipixel.stand_in.arrays import DeviceArray

LETTERS = ("N", "T")
_handle = threading.local()  # CuPy makes one for each thread when it is first needed


def gemm(transa: str, transb: str, a: Any, b: Any, out: Any = None, alpha: float = 1.0, beta: float = 0.0) -> Any:
    """out = alpha * op(a) @ op(b) + beta * out, where op(a) is a for the letter "N" and a.T for "T".

    CuPy checks with `assert`; here each mistake is a TypeError or ValueError that says what is wrong. It is stricter
    than CuPy where CuPy would copy a matrix at each call: a and b must be contiguous in C's order or Fortran's, and
    `out` in C's.
    """
    for letter in (transa, transb):
        if letter not in LETTERS:
            raise ValueError(f"cublas.gemm: got {letter!r}, wanted one of {LETTERS}")
    for name, matrix in (("a", a), ("b", b), ("out", out)):
        if name == "out" and matrix is None:
            continue
        if not isinstance(matrix, DeviceArray):
            raise TypeError(f"cublas.gemm: {name} must be a device array, not {type(matrix)}")
        if matrix.ndim != 2:
            raise ValueError(f"cublas.gemm: {name} has shape {matrix.shape}, wanted two dimensions")
        if matrix.dtype != a.dtype or matrix.dtype.char not in "fd":
            raise TypeError(f"cublas.gemm: {name} is {matrix.dtype}, wanted all float32 or all float64")
        if not matrix._host.flags.forc:
            raise ValueError(f"cublas.gemm: {name} is not contiguous; CuPy would copy it at each call")
    for name, number in (("alpha", alpha), ("beta", beta)):
        if not isinstance(number, (int, float, np.floating)):
            raise TypeError(f"cublas.gemm: {name} must be a number on the host, not {type(number)}")
    left = a.shape if transa == "N" else a.shape[::-1]
    right = b.shape if transb == "N" else b.shape[::-1]
    if left[1] != right[0]:
        raise ValueError(f"cublas.gemm: shapes {left} and {right} have no product")
    shape = (left[0], right[1])
    if out is None:
        streams.compute("cublas.gemm without out", [], work=False)
        out, beta = DeviceArray(np.empty(shape, a.dtype)), 0.0
    elif out.shape != shape or not out._host.flags.c_contiguous:
        raise ValueError(
            f"cublas.gemm: out has shape {out.shape} and strides {out.strides}, wanted {shape}, contiguous"
        )
    for name, matrix in (("a", a), ("b", b)):
        if np.may_share_memory(matrix._host, out._host):
            raise ValueError(f"cublas.gemm: {name} and out share memory")
    if not hasattr(_handle, "there"):
        streams.outside_capture("the first cublas.gemm of a thread; multiply once before the capture")
        _handle.there = True

    def run(left, right, out):
        left, right = (left if transa == "N" else left.T), (right if transb == "N" else right.T)
        _multiply(left, right, out, alpha, beta)

    streams.launch("cublas.gemm", [a._host, b._host, out._host], run)
    return out


def _multiply(left: np.ndarray, right: np.ndarray, out: np.ndarray, alpha: float, beta: float) -> None:
    number = out.dtype.type
    product = left @ right
    if alpha != 1:
        product *= number(alpha)
    if beta == 0:
        out[...] = product  # as BLAS does: what was in out is not read, even if it is NaN
    else:
        out *= number(beta)
        out += product
