"""The layers of Row LSTM and Diagonal BiLSTM: what the map says to the gates, and the scans, in one call each way."""

import numpy as np

from minipixel.arena import empty, zeros
from minipixel.kernels.routes import diagonal_route, row_route
from minipixel.kernels.scan import Scan
from minipixel.kernels.taps import masked, open_part, shuts


def row_layer(x, see, bias, weight, h0, c0, *, mask, taps):
    """The override of RowLayer, without condition."""
    (H, W, N, _), (_, K, G) = x.shape, weight.shape
    x = np.ascontiguousarray(x)
    offsets, opened, spread = open_part(see, mask, None)
    opened, own = opened.reshape(-1, G), weight.reshape(-1, G)
    scan = Scan(row_route(H, W, tuple(taps), None, tuple(offsets)), N, np.concatenate([opened, own]), h0, c0)
    y = scan.forward(x, bias).reshape(H, W, N, K)

    def vjp(g):
        x_g = zeros(x.shape, x.dtype)
        weight_g, bias_g, h0_g, c0_g = scan.backward(np.ascontiguousarray(g), x, x_g)
        see_g, own_g = np.split(weight_g, [len(opened)])
        return x_g, spread(see_g), bias_g, own_g.reshape(weight.shape), h0_g, c0_g

    return y, vjp


def diagonal_layer(x, *weights, masks, taps):
    """The override of DiagonalLayer, without condition.

    `weights` are see, bias, weight, h0 and c0 of the left half, then of the right one; `masks` and `taps` are pairs.
    """
    (H, W, N, D), K = x.shape, weights[2].shape[1]
    x, y = np.ascontiguousarray(x), empty((H, W, N, K), x.dtype)
    masks, halves = [shuts(mask) for mask in masks], []
    for mirrored in (False, True):
        see, bias, weight, h0, c0 = weights[5:] if mirrored else weights[:5]
        both = np.concatenate([masked(see, masks[mirrored]), weight.reshape(-1, 4 * K)])
        scan = Scan(diagonal_route(H, W, tuple(taps[mirrored]), mirrored), N, both, h0, c0)
        scan.forward(x, bias, y, mirrored)
        halves.append(scan)

    def vjp(g):
        g, x_g, found = np.ascontiguousarray(g), zeros(x.shape, x.dtype), []
        for scan, mask, shape in zip(halves, masks, (weights[2].shape, weights[7].shape), strict=True):
            weight_g, bias_g, h0_g, c0_g = scan.backward(g, x, x_g)
            found += [masked(weight_g[:D], mask), bias_g, weight_g[D:].reshape(shape), h0_g, c0_g]
        return x_g, *found

    return y, vjp
