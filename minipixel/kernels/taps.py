"""The open taps of a masked kernel.

A kernel has kh x kw taps, one of which is its centre: tap (kh // 2, kw // 2), unless `centre` names another, even one
outside the kernel. The offsets of the taps from it say which neighbours a pixel reads.
"""

import weakref

import numpy as np

from minipixel.backend import array_module

_known: dict = {}  # of a mask's id and a centre: a weak reference to the mask, a copy of it, and its `_opening`


def open_taps(mask, centre=None):
    """The taps of a mask (kh, kw, K_in, K_out) that let anything through, as T offsets (dr, dc) from the centre."""
    return _opening(mask, centre)[0]


def open_part(weight, mask, centre):
    """The T open taps of a kernel as offsets, their weights (T, K_in, K_out), and the way back for gradients of those.

    That way back takes T*K_in*K_out numbers to the shape of the weight, with zeros wherever the mask is shut.
    """
    kh, kw, K_in, K_out = weight.shape
    flat = weight.reshape(kh * kw, K_in, K_out)
    if mask is None:
        everywhere = _find_opening(np.ones((kh, kw, 1, 1), bool), centre)
        return everywhere[0], flat, lambda g: g.reshape(weight.shape)
    xp = array_module(weight)
    taps, places, open_mask = _opening(mask, centre)
    places = xp.asarray(places)
    opened = masked(flat[places], open_mask)

    def spread(g):
        whole = xp.zeros((kh * kw, K_in, K_out), g.dtype)
        whole[places] = masked(g.reshape(opened.shape), open_mask)
        return whole.reshape(weight.shape)

    return taps, opened, spread


def masked(weight, mask):
    """The weight with zeros wherever the mask is shut; None shuts nothing."""
    return weight if mask is None else weight * array_module(weight).asarray(mask)


def boolean(mask):
    """A mask of 0s and 1s of any dtype as booleans; ValueError for one of other numbers. None stays None."""
    if mask is None or mask.dtype == bool:
        return mask
    opened = mask != 0
    if (mask[opened] != 1).any():
        raise ValueError(f"mask: got a {mask.dtype} array with numbers beside 0 and 1, wanted booleans; try mask != 0")
    return opened


def _opening(mask, centre):
    """The open taps of a mask, their places among all taps, and what it shuts of these, None if nothing.

    To find these takes as long as a small convolution, so they are kept, beside a copy of the mask as it was: a mask
    that has been written to since is looked at again.
    """
    key = id(mask), centre
    known, as_it_was, opening = _known.get(key, (None, None, None))
    if known is not None and known() is mask and np.array_equal(mask, as_it_was):
        return opening
    opening = _find_opening(boolean(mask), centre)
    _known[key] = weakref.ref(mask, lambda _: _known.pop(key, None)), mask.copy(), opening
    return opening


def _find_opening(mask, centre):
    kh, kw = mask.shape[:-2] or (1, 1)
    centre_r, centre_c = (kh // 2, kw // 2) if centre is None else centre
    flat = mask.reshape(kh * kw, *mask.shape[-2:])
    places = np.flatnonzero(flat.any(axis=(1, 2)))
    taps = [(place // kw - centre_r, place % kw - centre_c) for place in places.tolist()]
    return taps, places, None if flat[places].all() else flat[places]
