"""Ops that turn an array into a single number."""

from minipixel.backend import array_module
from minipixel.tensor import op


@op
def total(x):
    """The sum of all elements: any shape -> ()."""

    def vjp(g):
        return (array_module(x).broadcast_to(g, x.shape),)

    return x.sum(), vjp


@op
def mean(x):
    """The mean of all elements: any shape -> ()."""

    def vjp(g):
        return (array_module(x).broadcast_to(g / x.size, x.shape),)

    return x.mean(), vjp
