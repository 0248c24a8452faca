"""Matrix products over channels: at one pixel alone, or over the open taps of a masked kernel."""

import numpy as np

from minipixel import kernels
from minipixel.backend import array_module
from minipixel.tensor import op


@op
def linear(x, weight, bias, *, mask=None):
    """A 1x1 convolution: (..., K_in), (K_in, K_out), (K_out,) or None -> (..., K_out).

    `mask`, boolean (K_in, K_out), says which channels may read which; None means that all may.
    """
    xp = array_module(x, weight)
    open_weight = weight if mask is None else weight * xp.asarray(mask)
    flat_x = x.reshape(-1, x.shape[-1])  # one large product, not a small one for each row of pixels

    def vjp(g):
        flat_g = g.reshape(-1, g.shape[-1])
        weight_g = flat_x.T @ flat_g
        return (
            lambda: (flat_g @ open_weight.T).reshape(x.shape),
            weight_g if mask is None else weight_g * xp.asarray(mask),
            lambda: flat_g.sum(axis=0),
        )

    y = flat_x @ open_weight if bias is None else flat_x @ open_weight + bias
    return y.reshape(*x.shape[:-1], -1), vjp


@op
def conv2d(x, weight, bias, *, mask, dilation=1):
    """A masked convolution: (H, W, N, K_in), (kh, kw, K_in, K_out), (K_out,) -> (H, W, N, K_out).

    Past the border every tap reads zero. The centre of the kernel is tap (kh // 2, kw // 2). `mask`, boolean and of
    the weight's shape, says which channels each tap lets through; one that lets nothing through is never touched:
    it costs no time and gets no gradient. With `dilation` d the taps lie d pixels apart.
    """
    if mask.shape != weight.shape:
        raise ValueError(f"conv2d: got a mask of shape {mask.shape}, wanted {weight.shape}, the shape of the weight")
    if dilation < 1:  # 0 or less would turn taps before the centre into the centre, or into taps after it
        raise ValueError(f"conv2d: got dilation {dilation}, wanted 1, for taps side by side, or more")
    xp = array_module(x, weight)
    (H, W, N, K_in), (kh, kw, _, K_out) = x.shape, weight.shape
    taps = open_taps(mask)
    places = xp.asarray([(r + kh // 2) * kw + c + kw // 2 for r, c in taps], int)  # where those taps are in the kernel
    offsets = [(r * dilation, c * dilation) for r, c in taps]  # and how far from a pixel they look
    open_mask = xp.asarray(mask).reshape(kh * kw, K_in, K_out)[places]
    open_weight = (weight.reshape(kh * kw, K_in, K_out)[places] * open_mask).reshape(len(taps) * K_in, K_out)
    columns = kernels.im2col(x, offsets).reshape(H * W * N, len(taps) * K_in)

    def vjp(g):
        flat_g = g.reshape(-1, K_out)
        weight_g = xp.zeros((kh * kw, K_in, K_out), g.dtype)
        weight_g[places] = (columns.T @ flat_g).reshape(open_mask.shape) * open_mask
        return (
            lambda: kernels.col2im((flat_g @ open_weight.T).reshape(H, W, N, len(taps) * K_in), offsets, K_in),
            weight_g.reshape(weight.shape),
            flat_g.sum(axis=0),
        )

    return (columns @ open_weight + bias).reshape(H, W, N, K_out), vjp


def open_taps(mask):
    """The taps of a mask (kh, kw, K_in, K_out) that let anything through, as T offsets (dr, dc) from the centre."""
    kh, kw = mask.shape[:2]
    return [(int(r) - kh // 2, int(c) - kw // 2) for r, c in np.argwhere(mask.any(axis=(2, 3)))]
