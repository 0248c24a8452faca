"""What usually causes a leak, told from where an output looks: a sentence for whoever has to mend it."""

import numpy as np

BATCH = "batch normalisation, or another statistic over the batch; normalise each image, or each pixel, by itself"
"""What usually causes an image to see another one of its batch."""


def usual_cause(order: np.ndarray, pairs: np.ndarray, dependencies: np.ndarray, outputs: np.ndarray) -> str:
    """What leaks like these come from: the order (H, W, C), and pairs of positions (pairs, 2, 3), the output's first.

    `dependencies` (rows, S) is all that the `outputs` (rows,) depend on.

    It goes by all of them: an output that sees its own pixel alone has another mistake behind it than one that sees
    its own pixel and the row below.
    """
    H, W, C = order.shape
    dr, dc, dk = (pairs[:, 1] - pairs[:, 0]).T
    here = (dr == 0) & (dc == 0)
    if here.all():
        if (dk == 0).all() and len(np.unique(pairs[:, 0, 2])) == C:
            return "mask B, or none, where the image comes in (there mask A), or a later kernel that is a tap too wide"
        return "a colour mask: a colour may see those before it alone; look at the groups of channels of every layer"
    if not np.array_equal(order.ravel(), np.arange(order.size)):
        return "masks made for another order than the one that is checked"
    if _wraps(dr[~here], H) or _wraps(dc[~here], W):
        return "a roll instead of a shift: what leaves at one side of the image comes in at the other"
    if (dr == 0).all():
        return "a kernel one column too wide, one that is centred and has no mask, or a missing shift to the right"
    if (dr > 0).all():
        return "zeros appended at the wrong end, a shift down that is missing, or a mask that leaves rows below open"
    if ((dr == H - 1) & (np.abs(dc) == W - 1)).any():
        return "a statistic over the whole image: a normalisation, a pooling, attention without a mask"
    return "a convolution without a mask: a centred kernel sees what is to the right and below"


def _wraps(steps: np.ndarray, size: int) -> bool:
    """Whether steps lead from one side of the image to the other, and none to a neighbour."""
    return size > 2 and bool((np.abs(steps) == size - 1).any() and not (np.abs(steps) == 1).any())
