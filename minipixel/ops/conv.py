"""Matrix products over channels: at each pixel, over the open taps of a kernel, and the transpose of the latter.

A kernel has kh x kw taps, one of which is its centre: see kernels/taps.py.
"""

import math

import numpy as np

from minipixel import kernels
from minipixel.backend import array_module
from minipixel.kernels.taps import boolean, open_part
from minipixel.ops.local import Local, Look, Whole, numbered
from minipixel.tensor import op


@op(shapes="... K_in; K_in K_out; K_out")
def linear(x, weight, bias, *, mask=None):
    """A 1x1 convolution: (..., K_in), (K_in, K_out), (K_out,) or None -> (..., K_out).

    `mask`, boolean (K_in, K_out), says which channels may read which; None means that all may.
    """
    if mask is not None and mask.shape != weight.shape:
        raise ValueError(f"linear: got a mask of shape {mask.shape}, wanted {weight.shape}, the shape of the weight")
    xp = array_module(x, weight)
    mask = boolean(mask)
    open_weight = weight if mask is None else weight * xp.asarray(mask)
    rows = math.prod(x.shape[:-1])  # not -1: there may be no channel at all, and then -1 could be any number
    flat_x = x.reshape(rows, x.shape[-1])  # one large product, not a small one for each row of pixels

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


@op(shapes="H W N K_in; kh kw K_in K_out; K_out")
def conv2d(x, weight, bias, *, mask=None, dilation=1, stride=1, centre=None):
    """A masked convolution: (H, W, N, K_in), (kh, kw, K_in, K_out), (K_out,) or None -> (H, W, N, K_out).

    Past the border every tap reads zero. `mask`, boolean and of the weight's shape, says which channels each tap may
    read; a tap that may read none costs no time and gets no gradient. None opens all weights. With `dilation` d the
    taps lie d pixels apart. With `stride` s only every s-th row and column is computed, the first included, and the
    result is (h, w, N, K_out) with h = ceil(H / s), w = ceil(W / s). `centre` is the (row, column) of the tap at the
    pixel itself, by default the middle. Raises ValueError for a mask of another shape, and for a dilation or a stride
    below 1.
    """
    if mask is not None and mask.shape != weight.shape:
        raise ValueError(f"conv2d: got a mask of shape {mask.shape}, wanted {weight.shape}, the shape of the weight")
    for name, number in (("dilation", dilation), ("stride", stride)):
        if number < 1:  # a dilation of 0 or less would turn taps before the centre into the centre, or into later ones
            raise ValueError(f"conv2d: got {name} {number}, wanted 1, for neighbours side by side, or more")
    (H, W, N, K_in), K_out = x.shape, weight.shape[-1]
    taps, open_weight, spread = open_part(weight, mask, centre)
    offsets = [(r * dilation, c * dilation) for r, c in taps]  # how far from a pixel each tap looks
    open_weight = open_weight.reshape(len(taps) * K_in, K_out)
    columns = kernels.im2col(x, offsets, stride)
    h, w = columns.shape[:2]
    flat = columns.reshape(h * w * N, len(taps) * K_in)

    def vjp(g):
        flat_g = g.reshape(-1, K_out)
        return (
            lambda: kernels.col2im((flat_g @ open_weight.T).reshape(columns.shape), offsets, K_in, stride, (H, W)),
            spread(flat.T @ flat_g),
            flat_g.sum(axis=0),
        )

    y = flat @ open_weight if bias is None else flat @ open_weight + bias
    return y.reshape(h, w, N, K_out), vjp


@op(shapes="h w N K_in; kh kw K_in K_out; K_out")
def transposed_conv2d(x, weight, bias, *, size, stride=1, centre=None):
    """A transposed convolution, which enlarges: (h, w, N, K_in), (kh, kw, K_in, K_out), bias -> (H, W, N, K_out).

    The bias is (K_out,) or None. Each tap *writes* to the pixel at its offset from (stride * r, stride * c), which a
    strided convolution would read; what falls outside `size`, (H, W), is dropped. As a linear map it is the transpose
    of a `conv2d` with that stride. Raises ValueError for a `size` that this stride does not reduce to (h, w).
    """
    (h, w, N, K_in), (H, W), K_out = x.shape, size, weight.shape[-1]
    if (h, w) != (-(-H // stride), -(-W // stride)):
        raise ValueError(
            f"transposed_conv2d: got a map of {h}x{w} to enlarge {stride} times to {H}x{W}, wanted a size that "
            f"a stride of {stride} cuts down to {h}x{w}"
        )
    taps, open_weight, spread = open_part(weight, None, centre)
    out_of = open_weight.transpose(1, 0, 2).reshape(K_in, len(taps) * K_out)
    flat_x = x.reshape(-1, K_in)
    columns = (flat_x @ out_of).reshape(h, w, N, len(taps) * K_out)

    def vjp(g):
        flat_g = kernels.im2col(g, taps, stride).reshape(-1, len(taps) * K_out)
        weight_g = (flat_x.T @ flat_g).reshape(K_in, len(taps), K_out).transpose(1, 0, 2)
        return (
            lambda: (flat_g @ out_of.T).reshape(x.shape),
            spread(weight_g),
            g.reshape(-1, K_out).sum(axis=0),
        )

    y = kernels.col2im(columns, taps, K_out, stride, (H, W))
    return y if bias is None else y + bias, vjp


# --- what they do at one pixel: see local.py --------------------------------------------------------------------------


def _product(size, index, weight, bias, channels, shaped):
    """The `local` of a matrix product over what `index` (P, T) gathers; `shaped` makes weights (T * K_in, K_out)."""
    inputs = (Look(index, channels), Whole(("in", "out"), shaped), Whole(() if bias is None else ("out",)))
    return Local("linear", size, inputs, lambda x, weight, bias: linear.arrays(x, weight, bias)[0])


def _local_linear(function, x, weight, bias, *, mask=None):
    H, W = x.shape[:2]
    return _product(
        (H, W),
        np.arange(H * W)[:, None],
        weight,
        bias,
        np.ones(weight.shape, bool) if mask is None else boolean(mask),
        lambda weight: weight if mask is None else weight * array_module(weight).asarray(mask),
    )


def _local_conv2d(function, x, weight, bias, *, mask=None, dilation=1, stride=1, centre=None):
    """The taps of each pixel, as im2col would lay them out."""
    H, W = x.shape[:2]
    taps, _, _ = open_part(weight, mask, centre)
    offsets = [(r * dilation, c * dilation) for r, c in taps]
    came_from = kernels.im2col(numbered(H, W), offsets, stride)
    return _product(
        came_from.shape[:2],
        came_from.reshape(math.prod(came_from.shape[:2]), len(taps)).astype(int) - 1,
        weight,
        bias,
        _open_channels(weight, mask),
        lambda weight: open_part(weight, mask, centre)[1].reshape(-1, weight.shape[-1]),
    )


def _local_transposed_conv2d(function, x, weight, bias, *, size, stride=1, centre=None):
    """Which pixel, if any, each tap writes from: the taps of a convolution whose map has zeros in between."""
    taps, _, _ = open_part(weight, None, centre)
    numbers = numbered(*x.shape[:2])
    came_from = [kernels.col2im(numbers, [tap], 1, stride, size).reshape(-1) for tap in taps]
    return _product(
        size,
        np.stack(came_from, axis=-1).astype(int) - 1,
        weight,
        bias,
        _open_channels(weight, None),
        lambda weight: weight.reshape(-1, weight.shape[-1]),
    )


def _open_channels(weight, mask):
    """Which channels the open taps let through: boolean (T * K_in, K_out)."""
    kh, kw, K_in, K_out = weight.shape
    if mask is None:
        return np.ones((kh * kw * K_in, K_out), bool)
    mask = boolean(mask)
    return mask[mask.any(axis=(2, 3))].reshape(-1, K_out)


linear.local, conv2d.local, transposed_conv2d.local = _local_linear, _local_conv2d, _local_transposed_conv2d
