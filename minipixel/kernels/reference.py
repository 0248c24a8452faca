"""What each kernel computes, in plain array code that runs on NumPy and on CuPy.

Feature maps are pixels first, (H, W, N, K). A tap is an offset (dr, dc) from the pixel that is computed to the
pixel that is read; past the border of the map every tap reads zero. With a stride s only every s-th row and column is
computed, the first of them included, so that h = ceil(H / s), w = ceil(W / s).
"""

from minipixel.backend import array_module


def im2col(x, taps, stride=1):
    """Lay what each pixel reads side by side: (H, W, N, K), T taps -> (h, w, N, T*K)."""
    H, W, N, K = x.shape
    h, w = -(-H // stride), -(-W // stride)
    columns = array_module(x).zeros((h, w, N, len(taps), K), x.dtype)
    for t, (dr, dc) in enumerate(taps):
        (to_r, from_r), (to_c, from_c) = _overlap(H, dr, stride), _overlap(W, dc, stride)
        columns[to_r, to_c, :, t] = x[from_r, from_c]
    return columns.reshape(h, w, N, len(taps) * K)


def col2im(columns, taps, K, stride=1, size=None):
    """The adjoint of im2col, every value added back where it was read: (h, w, N, T*K), T taps -> (H, W, N, K).

    `size` is (H, W), which a stride alone does not tell; None stands for the whole of (stride * h, stride * w).
    """
    h, w, N, _ = columns.shape
    H, W = size or (h * stride, w * stride)
    columns = columns.reshape(h, w, N, len(taps), K)
    x = array_module(columns).zeros((H, W, N, K), columns.dtype)
    for t, (dr, dc) in enumerate(taps):
        (to_r, from_r), (to_c, from_c) = _overlap(H, dr, stride), _overlap(W, dc, stride)
        x[from_r, from_c] += columns[to_r, to_c, :, t]
    return x


def skew(x):
    """The diagonals of a map as rows: (H, W, N, K) -> (H+W-1, H, N, K), y[r + c, r] = x[r, c], and 0 elsewhere."""
    H, W, N, K = x.shape
    y = array_module(x).zeros((H + W - 1, H, N, K), x.dtype)
    for r in range(H):
        y[r : r + W, r] = x[r]
    return y


def unskew(y):
    """The adjoint of skew, and the way back from it: (H+W-1, H, N, K) -> (H, W, N, K), x[r, c] = y[r + c, r]."""
    D, H, N, K = y.shape
    W = D - H + 1
    x = array_module(y).empty((H, W, N, K), y.dtype)
    for r in range(H):
        x[r] = y[r : r + W, r]
    return x


def _overlap(size, shift, stride):
    """Which computed positions read inside a map of `size` when they look `shift` further, and what they then read."""
    first, last = max(0, -(shift // stride)), min(-(-size // stride), -((shift - size) // stride))
    count = max(0, last - first)
    start = first * stride + shift
    return slice(first, first + count), slice(start, start + count * stride, stride)
