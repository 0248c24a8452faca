"""What usually causes a leak, told from where an output looks: a sentence for whoever has to mend it."""

import numpy as np


def usual_cause(order: np.ndarray, pairs: np.ndarray) -> str:
    """What leaks like these come from: the order (H, W, C), and pairs of positions (pairs, 2, 3), the output's first.

    It goes by all of them: an output that sees its own pixel alone has another mistake behind it than one that sees
    its own pixel and the row below.
    """
    H, W, C = order.shape
    (dr, dc, dk) = (pairs[:, 1] - pairs[:, 0]).T
    raster = np.array_equal(order, np.arange(order.size).reshape(order.shape))
    same_pixel = (dr == 0) & (dc == 0)
    if (same_pixel & (dk == 0)).any() and same_pixel.all() and not (dk > 0).any():
        if C == 1 or ((dk == 0).all() and {tuple(pair[0]) for pair in pairs} >= set(np.ndindex(order.shape))):
            return "mask B, or none, in the first layer, where the image comes in: mask A shuts the centre"
        return "a colour mask: groups of channels that got mixed up in one layer, at a gate or at a concatenation"
    if same_pixel.all():
        return (
            "a colour mask: red may not see green or blue, green not blue; look at the groups of channels of each layer"
        )
    if not raster:
        return "masks made for another order than the one that is checked"
    if (dr[~same_pixel] > 0).all() and (dr < H - 1).all():
        if (dr > 0).any() and (dr <= 1).all() and not same_pixel.any():
            return "a vertical stack whose zeros are appended at the wrong end, or a shift down that is missing"
        return "rows below left open: a mask that shuts the centre row alone, or padding at the wrong end"
    if (dr == 0).all():
        if (dc <= 1).all():
            return (
                "a kernel one column too wide, a centred kernel where one should end at its pixel, or a missing shift"
            )
        return "columns to the right left open in a mask, a mirrored pass that is not mirrored back, or a missing shift"
    if (np.abs(dr) == H - 1).any() and (np.abs(dc) == W - 1).any():
        return "a statistic over the whole image (a normalisation, a pooling, attention without a mask), or np.roll"
    if (np.abs(dr) == H - 1).any() or (np.abs(dc) == W - 1).any():
        return "a roll instead of a shift, which wraps around the border; or no mask at all"
    return "a convolution without a mask: centred kernels see what is to the right and below"


BATCH = "batch normalisation, or another statistic over the batch; normalise each image, or each pixel, by itself"
"""What usually causes an image to see another one of its batch."""
