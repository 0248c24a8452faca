"""Numba bodies of some kernels; `reference.py` says what they compute, here stands only what makes them faster.

Compiled at the first call for each dtype and cached on disk. They release the GIL, so that one thread a shard can run
them side by side. Inner loops count unsigned: a signed index costs a wrap-around test that keeps LLVM from
vectorising. How many times faster than the reference (`python benchmarks/kernels.py`; one thread, float32, two cores of
an Intel Xeon, medians of 60):

    map, taps                    im2col   col2im
    28x28, N 8, K 1,  7x7 A         1.4      0.9
    28x28, N 8, K 16, 3x3 B         2.2      3.4
    28x28, N 4, K 32, 3x3 B         2.0      4.0
    8x8, N 16, K 1,   7x7 A         4.1      4.3
    8x8, N 16, K 32,  3x3 B         2.2      4.7
    16x16, N 8, K 3,  7x7 A         2.2      4.7

(The one that gains nothing is the gradient of the image itself, which training never asks for.)

`skew` and `unskew` go by the strides of what they are given: the maps of a Diagonal BiLSTM are mirrored and sliced. As
loops over numbers of any strides they would lose on those, since LLVM makes vectors of contiguous numbers only; so
they move whole runs of memory, as long as they are, and leave to NumPy what lies in single numbers.
"""

import functools

import numba
import numpy as np
from numba import types

from minipixel.kernels import reference
from minipixel.kernels.jit import jit

_memcpy = types.ExternalFunction("memcpy", types.uintp(types.uintp, types.uintp, types.uintp))
_memset = types.ExternalFunction("memset", types.uintp(types.uintp, types.intc, types.uintp))
_jit = functools.partial(jit, fastmath=False, error_model="python")


def im2col(x, taps, stride=1):
    """Lay what each pixel reads side by side: (H, W, N, K), T taps -> (h, w, N, T*K)."""
    return _im2col(np.ascontiguousarray(x), _offsets(taps), stride)


def col2im(columns, taps, K, stride=1, size=None):
    """The adjoint of im2col: (h, w, N, T*K), T taps -> (H, W, N, K)."""
    h, w, N, _ = columns.shape
    H, W = size or (h * stride, w * stride)
    return _col2im(np.ascontiguousarray(columns).reshape(h, w, N, len(taps), K), _offsets(taps), stride, H, W)


def skew(x):
    """Diagonals as rows: (H, W, N, K) -> (H+W-1, H, N, K)."""
    if (runs := _runs(x)) is None:
        return reference.skew(x)
    H, W, N, K = x.shape
    y = np.empty((H + W - 1, H, N, K), x.dtype)
    _skew(H, W, *runs, x.ctypes.data, *x.strides[:2], y.ctypes.data)
    return y


def unskew(y):
    """The way back: (H+W-1, H, N, K) -> (H, W, N, K)."""
    if (runs := _runs(y)) is None:
        return reference.unskew(y)
    D, H, N, K = y.shape
    x = np.empty((H, D - H + 1, N, K), y.dtype)
    _unskew(H, D - H + 1, *runs, y.ctypes.data, *y.strides[:2], x.ctypes.data)
    return x


def _runs(x):
    """The runs of memory in which a pixel (N, K) lies: how many, of how many bytes, how far from one to the next.

    None where they are single numbers, which NumPy moves as fast. Of rows and columns nothing is asked.
    """
    _, _, N, K = x.shape
    image, feature = x.strides[2:]
    if K != 1 and feature != x.itemsize:
        return None
    if N == 1 or image == K * x.itemsize:
        return 1, N * K * x.itemsize, 0
    return None if K == 1 else (N, K * x.itemsize, image)


def _offsets(taps):
    return np.asarray(taps, np.int64).reshape(len(taps), 2)


@_jit
def _im2col(x, taps, stride):
    H, W, N, K = x.shape
    h, w = (H + stride - 1) // stride, (W + stride - 1) // stride
    T = len(taps)
    columns = np.zeros((h, w, N, T, K), x.dtype)
    for r in range(h):
        for c in range(w):
            for t in range(T):
                from_r, from_c = r * stride + taps[t, 0], c * stride + taps[t, 1]
                if 0 <= from_r < H and 0 <= from_c < W:
                    _copy(x[from_r, from_c], columns[r, c], t)
    return columns.reshape(h, w, N, T * K)


@_jit
def _col2im(columns, taps, stride, H, W):
    h, w, N, T, K = columns.shape
    x = np.zeros((H, W, N, K), columns.dtype)
    for r in range(h):
        for c in range(w):
            for t in range(T):
                to_r, to_c = r * stride + taps[t, 0], c * stride + taps[t, 1]
                if 0 <= to_r < H and 0 <= to_c < W:
                    _add(columns[r, c], t, x[to_r, to_c])
    return x


# Addresses and strides are plain numbers here: one compiled body for both dtypes and every order of memory.
@_jit
def _skew(H, W, runs, size, apart, x, x_row, x_column, y):
    for d in range(H + W - 1):
        for r in range(H):
            if 0 <= d - r < W:
                _move(runs, size, apart, x + r * x_row + (d - r) * x_column, y)
            else:
                _memset(y, 0, runs * size)
            y += runs * size


@_jit
def _unskew(H, W, runs, size, apart, y, y_row, y_column, x):
    for r in range(H):
        for c in range(W):
            _move(runs, size, apart, y + (r + c) * y_row + r * y_column, x)
            x += runs * size


@numba.njit(inline="always")
def _move(runs, size, apart, pixel, place):
    """A pixel to where it shall lie in one run."""
    for n in range(runs):
        _memcpy(place + n * size, pixel + n * apart, size)


# Both are written into their callers (a call a tap costs more than the copy), and give a single channel, which the
# first layer of a grey model has, a loop of its own.
@numba.njit(inline="always")
def _copy(pixel, columns, t):
    """What tap t reads, for all images: (N, K) into (N, T, K)."""
    N, K = pixel.shape
    if K == 1:
        for n in range(np.uint64(N)):
            columns[n, t, 0] = pixel[n, 0]
    else:
        for n in range(np.uint64(N)):
            for k in range(np.uint64(K)):
                columns[n, t, k] = pixel[n, k]


@numba.njit(inline="always")
def _add(columns, t, pixel):
    """What tap t gives back, for all images: (N, T, K) onto (N, K)."""
    N, K = pixel.shape
    if K == 1:
        for n in range(np.uint64(N)):
            pixel[n, 0] += columns[n, t, 0]
    else:
        for n in range(np.uint64(N)):
            for k in range(np.uint64(K)):
                pixel[n, k] += columns[n, t, k]
