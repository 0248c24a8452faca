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
"""

import functools

import numba
import numpy as np

from minipixel.kernels.jit import jit

_jit = functools.partial(jit, fastmath=False, error_model="python")


def im2col(x, taps, stride=1):
    """Lay what each pixel reads side by side: (H, W, N, K), T taps -> (h, w, N, T*K)."""
    return _im2col(np.ascontiguousarray(x), _offsets(taps), stride)


def col2im(columns, taps, K, stride=1, size=None):
    """The adjoint of im2col: (h, w, N, T*K), T taps -> (H, W, N, K)."""
    h, w, N, _ = columns.shape
    H, W = size or (h * stride, w * stride)
    return _col2im(np.ascontiguousarray(columns).reshape(h, w, N, len(taps), K), _offsets(taps), stride, H, W)


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
