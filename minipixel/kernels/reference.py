"""What each kernel computes, in plain array code that runs on NumPy and on CuPy.

Feature maps are pixels first, (H, W, N, K). A tap is an offset (dr, dc) from the pixel that is computed to the
pixel that is read; past the border of the map every tap reads zero.
"""

from minipixel.backend import array_module


def im2col(x, taps):
    """Lay what each pixel reads side by side: (H, W, N, K), T taps -> (H, W, N, T*K)."""
    H, W, N, K = x.shape
    columns = array_module(x).zeros((H, W, N, len(taps), K), x.dtype)
    for t, (dr, dc) in enumerate(taps):
        (to_r, from_r), (to_c, from_c) = _overlap(H, dr), _overlap(W, dc)
        columns[to_r, to_c, :, t] = x[from_r, from_c]
    return columns.reshape(H, W, N, len(taps) * K)


def col2im(columns, taps, K):
    """The adjoint of im2col, every value added back where it was read: (H, W, N, T*K), T taps -> (H, W, N, K)."""
    H, W, N, _ = columns.shape
    columns = columns.reshape(H, W, N, len(taps), K)
    x = array_module(columns).zeros((H, W, N, K), columns.dtype)
    for t, (dr, dc) in enumerate(taps):
        (to_r, from_r), (to_c, from_c) = _overlap(H, dr), _overlap(W, dc)
        x[from_r, from_c] += columns[to_r, to_c, :, t]
    return x


def _overlap(size, shift):
    """Which of `size` positions read inside the map when they look `shift` further, and which they then read."""
    first, last = max(0, -shift), max(0, min(size, size - shift))
    return slice(first, max(first, last)), slice(first + shift, max(first, last) + shift)
