"""Masks A and B: which weights of a kernel may be used, so that it reads only earlier pixels and colours.

`causal_mask` follows raster order, pixel by pixel; `vertical_mask` opens whole rows.

A mask is a read-only array, built once by a pure function. The convolution multiplies its weights by the mask in every
forward pass, so a model is causal from its construction on, whatever happens to its weights.
"""

import numpy as np


def colour_groups(K: int, C: int) -> np.ndarray:
    """The colour of each of K feature channels, integers (K,): the colours in turn, 0 1 2 0 1 2 ... for C = 3.

    A feature channel of group g is used to predict colour g (0 red, 1 green, 2 blue). By masks A and B it depends, in
    its own pixel, only on the colours before g. With C = 1 all groups are 0.
    """
    return np.arange(K) % C


def causal_mask(kernel: tuple[int, int], groups_in: np.ndarray, groups_out: np.ndarray, kind: str) -> np.ndarray:
    """The open weights of a kernel: boolean (kh, kw, K_in, K_out), its centre at tap (kh // 2, kw // 2).

    Taps before the centre in raster order are open, taps after it are shut. At the centre a channel of group g reads
    groups below g (kind "A", for a layer that reads the image itself) or up to g (kind "B", for every layer after).
    Source: van den Oord et al. 2016, arXiv:1601.06759, section 3.4.
    """
    _check_kind(kind)
    kh, kw = kernel
    before_or_at = np.arange(kh * kw).reshape(kh, kw) <= kh // 2 * kw + kw // 2
    mask = np.array(np.broadcast_to(before_or_at[:, :, None, None], (kh, kw, len(groups_in), len(groups_out))))
    reads = np.less if kind == "A" else np.less_equal
    mask[kh // 2, kw // 2] = reads.outer(groups_in, groups_out)
    return _as_a_value(mask)


def vertical_mask(kernel: tuple[int, int], K_in: int, K_out: int, kind: str) -> np.ndarray:
    """The open weights of a kernel of the vertical stack: boolean (kh, kw, K_in, K_out), centre (kh // 2, kw // 2).

    All columns are open in the rows above the centre (kind "A", for a layer that reads the image itself), or in these
    and the centre's row (kind "B", for every layer after). Colours do not matter, since a row above is known in all its
    colours.
    Source: van den Oord et al. 2016, arXiv:1606.05328, section 2.2.
    """
    _check_kind(kind)
    kh, kw = kernel
    open_rows = np.arange(kh) < kh // 2 + (kind == "B")
    return _as_a_value(np.array(np.broadcast_to(open_rows[:, None, None, None], (kh, kw, K_in, K_out))))


def _as_a_value(mask: np.ndarray) -> np.ndarray:
    """The mask as a read-only array."""
    mask.flags.writeable = False
    return mask


def _check_kind(kind: str) -> None:
    if kind not in ("A", "B"):
        raise ValueError(f"mask: got kind {kind!r}, wanted 'A' (never its own value) or 'B' (its own value too)")
