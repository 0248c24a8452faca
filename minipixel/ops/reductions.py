"""Ops that turn an array into a single number."""

from minipixel.backend import array_module
from minipixel.tensor import op


@op
def total(x, *, axes=None):
    """The sum of all elements, any shape -> (); with `axes`, the sum along these, which the result no longer has."""

    def vjp(g):
        xp = array_module(x)
        return (xp.broadcast_to(g if axes is None else xp.expand_dims(g, axes), x.shape),)

    return x.sum(axis=axes), vjp


@op
def mean(x):
    """The mean of all elements: any shape -> ()."""

    def vjp(g):
        return (array_module(x).broadcast_to(g / x.size, x.shape),)

    return x.mean(), vjp
