"""Ops on weights: weight_norm."""

from minipixel.backend import array_module
from minipixel.tensor import op

TINY = 1e-24
"""Added to squared lengths: a weight of no length, as a mask that shuts everything leaves, then stays zero."""


@op(shapes="... K_out; K_out")
def weight_norm(v, gain, *, mask=None):
    """The weight gain * v / |v|, in which length and direction are separate: (..., K_out), (K_out,) -> (..., K_out).

    |v| is the length over all inputs of an output channel. Where `mask`, boolean and of the shape of v, is False,
    inputs are left out. Raises ValueError for a mask of another shape.
    Source: Salimans and Kingma 2016, arXiv:1602.07868, equations 2 and 3.
    """
    if mask is not None and mask.shape != v.shape:
        raise ValueError(f"weight_norm: got a mask of shape {mask.shape}, wanted {v.shape}, the shape of v")
    xp = array_module(v, gain)
    inputs = tuple(range(v.ndim - 1))
    opened = v if mask is None else v * xp.asarray(mask)
    length = xp.sqrt((opened * opened).sum(axis=inputs) + TINY)
    direction = opened / length

    def vjp(g):
        gain_g = (g * direction).sum(axis=inputs)
        v_g = (g - gain_g * direction) * (gain / length)  # what would change the length is taken out
        return v_g if mask is None else v_g * xp.asarray(mask), gain_g

    return gain * direction, vjp
