"""Ops that move pixels to the wrong place: around the border, upside down, one pixel off; see mutant_table.py."""

import functools

import numpy as np

from minipixel.ops.local import moving
from minipixel.tensor import op


def moves_pixels(function):
    """An op that only moves pixels, from the function of a map that does; its gradient goes back the same way."""

    @op(local=moving)
    @functools.wraps(function)
    def moved(x, **static):
        y = function(x, **static)
        numbers = function(np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1), **static).ravel()

        def vjp(g):
            x_g = np.zeros_like(x).reshape(-1, *x.shape[2:])
            np.add.at(x_g, numbers, g.reshape(-1, *g.shape[2:]))
            return (x_g.reshape(x.shape),)

        return y, vjp

    return moved


@moves_pixels
def wrapped_down(x):
    return np.roll(x, 1, axis=0)


@moves_pixels
def wrapped_right(x):
    return np.roll(x, 1, axis=1)


@moves_pixels
def upside_down(x):
    return x[::-1]


@moves_pixels
def without_first_column(x):
    return x[:, 1:]


@moves_pixels
def neighbours_of_every(x, *, stride):
    H, W = x.shape[:2]
    return x[np.minimum(np.arange(0, H, stride) + 1, H - 1)][:, np.minimum(np.arange(0, W, stride) + 1, W - 1)]


@op(local=moving)
def overlay_one_further(x, y, *, stride):
    z = x.copy()
    h, w = z[1::stride, 1::stride].shape[:2]
    z[1::stride, 1::stride] = y[:h, :w]

    def vjp(g):
        x_g, y_g = g.copy(), np.zeros_like(y)
        x_g[1::stride, 1::stride], y_g[:h, :w] = 0, g[1::stride, 1::stride]
        return x_g, y_g

    return z, vjp
