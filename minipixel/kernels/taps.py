"""The open taps of a masked kernel.

A kernel has kh x kw taps, one of which is its centre: tap (kh // 2, kw // 2), unless `centre` names another, even one
outside the kernel. The offsets of the taps from it say which neighbours a pixel reads.
"""

import numpy as np

from minipixel.backend import array_module


def open_taps(mask, centre=None):
    """The taps of a mask (kh, kw, K_in, K_out) that let anything through, as T offsets (dr, dc) from the centre."""
    kh, kw = mask.shape[:2]
    centre_r, centre_c = (kh // 2, kw // 2) if centre is None else centre
    return [(int(r) - centre_r, int(c) - centre_c) for r, c in np.argwhere(mask.any(axis=(2, 3)))]


def open_part(weight, mask, centre):
    """The T open taps of a kernel as offsets, their weights (T, K_in, K_out), and the way back for gradients of those.

    That way back takes T*K_in*K_out numbers to the shape of the weight, with zeros wherever the mask is shut.
    """
    kh, kw, K_in, K_out = weight.shape
    if mask is None:
        taps = open_taps(np.ones((kh, kw, 1, 1), bool), centre)
        return taps, weight.reshape(kh * kw, K_in, K_out), lambda g: g.reshape(weight.shape)
    xp = array_module(weight)
    places = xp.asarray(np.flatnonzero(mask.any(axis=(2, 3))))
    open_mask = xp.asarray(mask).reshape(kh * kw, K_in, K_out)[places]

    def spread(g):
        whole = xp.zeros((kh * kw, K_in, K_out), g.dtype)
        whole[places] = g.reshape(open_mask.shape) * open_mask
        return whole.reshape(weight.shape)

    return open_taps(mask, centre), weight.reshape(kh * kw, K_in, K_out)[places] * open_mask, spread
