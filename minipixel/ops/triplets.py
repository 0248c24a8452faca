"""Ops of an embedding network: a map as one row per image, rows of length 1, and the triplet loss.

Source: F. Schroff, D. Kalenichenko, J. Philbin, "FaceNet", 2015, arXiv:1503.03832, section 3.
"""

import numpy as np

from minipixel.backend import array_module
from minipixel.tensor import op


@op
def flatten(x):
    """All features of an image side by side, pixel after pixel: (H, W, N, K) -> (N, H*W*K)."""
    H, W, N, K = x.shape

    def vjp(g):
        return (g.reshape(N, H, W, K).transpose(1, 2, 0, 3),)

    return x.transpose(2, 0, 1, 3).reshape(N, H * W * K), vjp


@op
def unit(x):
    """Each row divided by its length, so that it has length 1: (..., K) -> (..., K).

    A row of zeros stays zero, and so does its gradient.
    """
    xp = array_module(x)
    square = (x * x).sum(axis=-1, keepdims=True)
    some = square.real > 0
    scale = xp.where(some, 1 / xp.sqrt(xp.where(some, square, 1)), 0)
    y = x * scale

    def vjp(g):
        return ((g - (g * y).sum(axis=-1, keepdims=True) * y) * scale,)  # what would change the length is taken out

    return y, vjp


@op
def triplet_loss(x, *, labels, margin):
    """The triplet loss: zero if every image is closer to its own class than to others by a margin: (N, K) -> ().

    It is the mean of max(0, |a - p|**2 - |a - n|**2 + margin) over all triplets of rows of x: an anchor a, a positive p
    of the same class and a negative n of another class. `labels` has the classes, integers (N,) on the host. This is
    equation 3 of 1503.03832 with every triplet of the batch; docs/decisions/0011 says why none are selected.
    Raises ValueError if there is no triplet.
    """
    xp = array_module(x)
    same = labels[:, None] == labels
    anchor, positive = (xp.asarray(rows) for rows in np.nonzero(same & ~np.eye(len(labels), dtype=bool)))
    negative = xp.asarray(~same)[anchor]  # a row for each pair of one class: which images are not of that class
    triplets = int((same.sum(axis=1) - 1) @ (~same).sum(axis=1))
    if not triplets:
        raise ValueError(
            f"labels: got {len(labels)} in which no class has two images beside one of another class, wanted a triplet"
        )
    squares = (x * x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (x @ x.T)
    excess = distances[anchor, positive][:, None] - distances[anchor] + margin
    violated = negative & (excess.real > 0)

    def vjp(g):
        violations = violated.astype(g.dtype)
        pull = xp.zeros(distances.shape, g.dtype)  # of the sum with respect to the distances: whole numbers, so exact
        xp.add.at(pull, anchor, -violations)
        pull[anchor, positive] += violations.sum(axis=1)
        both = (pull + pull.T) * (g / triplets)
        return (2 * (both.sum(axis=1)[:, None] * x - both @ x),)

    return xp.where(violated, excess, 0).sum() / triplets, vjp
