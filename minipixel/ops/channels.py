"""Ops over the channels of a pixel, or over those of one colour: softmax and layer_norm.

With `colours` 1 they read all K channels of a pixel. If features belong to colours, as nn.colour_groups(K, C) gives
them, features of red would then depend on the value of blue. With `colours` C each channel k is computed from the K / C
channels of its own colour only: k, k + C, k - C ...
"""

from dataclasses import replace

import numpy as np

from minipixel.backend import array_module
from minipixel.ops.local import pointwise
from minipixel.tensor import op

EPSILON = 1e-5
"""The number that is added to a variance by default, as in PyTorch."""


def _of_one_colour(function, x, *wholes, colours=1, **static):
    """The `local`: a channel reads those of its colour. Asked for some colours alone, it counts these."""
    of = np.arange(x.shape[-1]) % colours
    local = pointwise(lambda K: [of[:, None] == of])(function, x, *wholes)
    size = x.shape[-1] // colours

    def compute(x, *wholes):
        return function(x, *wholes, colours=x.shape[-1] // size, **static)[0]

    return replace(local, compute=compute)


@op(local=_of_one_colour)
def softmax(x, *, colours=1):
    """e ** x divided by its sum over the channels of a pixel, or over those of each colour: (..., K) -> (..., K).

    It does not overflow, however large x is. Raises ValueError if K is no multiple of `colours`.
    """
    xp = array_module(x)
    parts = _parts("softmax", x, colours)
    weights = xp.exp(parts - parts.max(axis=-2, keepdims=True))
    y = weights / weights.sum(axis=-2, keepdims=True)

    def vjp(g):
        g = g.reshape(y.shape)
        return ((y * (g - (g * y).sum(axis=-2, keepdims=True))).reshape(x.shape),)

    return y.reshape(x.shape), vjp


@op(local=_of_one_colour, shapes="... K; K; K")
def layer_norm(x, gain, bias, *, colours=1, epsilon=EPSILON):
    """x with mean 0 and variance 1 over the channels of a pixel, or over those of each colour, times gain plus bias.

    (..., K), gain (K,) or None, bias (K,) or None -> (..., K): gain * (x - mean) / sqrt(variance + epsilon) + bias.
    Each pixel is normalised by itself. Raises ValueError if K is no multiple of `colours`.
    Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, equation 4; at each pixel, as in ConvNeXt, arXiv:2201.03545.
    """
    xp = array_module(x)
    centred = _parts("layer_norm", x, colours)
    centred = centred - centred.mean(axis=-2, keepdims=True)
    scale = 1 / xp.sqrt((centred * centred).mean(axis=-2, keepdims=True) + epsilon)
    y = (centred * scale).reshape(x.shape)

    def vjp(g):
        parts, to_y = y.reshape(scale.shape[:-2] + centred.shape[-2:]), g if gain is None else g * gain
        to_y = to_y.reshape(parts.shape)
        kept = to_y - to_y.mean(axis=-2, keepdims=True) - parts * (to_y * parts).mean(axis=-2, keepdims=True)
        return (
            lambda: (kept * scale).reshape(x.shape),
            lambda: (g * y).reshape(-1, x.shape[-1]).sum(axis=0),
            lambda: g.reshape(-1, x.shape[-1]).sum(axis=0),
        )

    scaled = y if gain is None else y * gain
    return scaled if bias is None else scaled + bias, vjp


def _parts(name, x, colours):
    """The channels of a map as (..., K / C, C), so that those of a colour stand along one axis."""
    K = x.shape[-1]
    if colours < 1 or K % colours:
        raise ValueError(f"{name}: got {K} channels and colours={colours!r}, wanted K to be a multiple of the colours")
    return x.reshape(*x.shape[:-1], K // colours, colours)
