"""Ops that read levels as names, such as the codes of a quantiser: they look up a row of numbers for each code.

Codes are numbers 0..Q-1 in the model's own dtype, so that they can stand in a map beside other numbers. There is
nothing between two codes, so the codes have no gradient; the rows that are looked up have one.
"""

import numpy as np

from minipixel.backend import array_module
from minipixel.ops.local import Local, Look, Whole
from minipixel.tensor import op


@op
def one_hot(x, *, levels):
    """Each code as Q numbers, a 1 in its own place and 0 elsewhere: codes (H, W, N, C) -> (H, W, N, C*Q), `levels` Q.

    A convolution of one-hot codes adds up rows of its weight, and this is how the plan and the sampler compute it.
    """
    xp = array_module(x)
    places = x.real[..., None] == xp.arange(levels)

    def vjp(g):
        return (lambda: xp.zeros_like(x),)

    return places.reshape(*x.shape[:-1], x.shape[-1] * levels).astype(x.dtype), vjp


@op
def embedding(x, table):
    """Each code as E numbers, a row of its channel's table: codes (H, W, N, C), (C, Q, E) -> (H, W, N, C*E)."""
    xp = array_module(x, table)
    C, Q, E = table.shape
    if x.shape[-1] != C:
        raise ValueError(f"embedding: got codes of {x.shape[-1]} channels, wanted {C}, as many as there are tables")
    rows = table.reshape(C * Q, E)
    places = x.real.astype(int) + Q * xp.arange(C)

    def vjp(g):
        def of_table():
            rows_g = xp.zeros((C * Q, E), g.dtype)
            xp.add.at(rows_g, places.reshape(-1), g.reshape(-1, E))
            return rows_g.reshape(table.shape)

        return lambda: xp.zeros_like(x), of_table

    return rows[places].reshape(*x.shape[:-1], C * E), vjp


# --- what they do at one pixel: see local.py --------------------------------------------------------------------------


def _look(x, E):
    """Each pixel reads its own, and E channels read each of its codes."""
    H, W, _, C = x.shape
    return Look(np.arange(H * W)[:, None], np.repeat(np.eye(C, dtype=bool), E, axis=1))


def _local_one_hot(function, x, *, levels):
    return Local("one_hot", x.shape[:2], (_look(x, levels),), lambda x: function(x, levels=levels)[0])


def _local_embedding(function, x, table):
    C, Q, E = table.shape
    inputs = _look(x, E), Whole(("", "out"), lambda table: table.transpose(1, 0, 2).reshape(Q, C * E))

    def compute(x, rows):
        """Of some of the channels: their codes (P, N, c), their rows (Q, c*E)."""
        by_channel = rows.reshape(Q, -1, E).transpose(1, 0, 2)
        return function(x, by_channel)[0]

    return Local("embedding", x.shape[:2], inputs, compute)


one_hot.local, embedding.local = _local_one_hot, _local_embedding
