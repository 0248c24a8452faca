"""Masks A and B: what a kernel may see of the pixels before it, and of the colours of its own pixel.

`causal_mask` is that of raster order; `vertical_mask` goes by whole rows.

A mask is a value, built once by a pure function, and read-only; the convolution multiplies by it in every forward pass,
so a model is causal from its construction on, whatever is done to its weights.
"""

import numpy as np


def colour_groups(K: int, C: int) -> np.ndarray:
    """The colour that each of K feature channels belongs to: (K,), dealt out in turn, 0 1 2 0 1 2 ... for C = 3.

    A channel of group g may know the colours 0..g of its own pixel (0 red, 1 green, 2 blue); with C = 1 all are 0.
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
    """The open weights of a kernel that goes by whole rows: boolean (kh, kw, K_in, K_out), centre (kh // 2, kw // 2).

    Open are all columns of the rows above the centre's (kind "A", for a layer that reads the image itself) or of the
    rows up to it (kind "B", for every layer after). Colours play no part: a row above is known in all its colours.
    Source: van den Oord et al. 2016, arXiv:1606.05328, section 2.2.
    """
    _check_kind(kind)
    kh, kw = kernel
    open_rows = np.arange(kh) < kh // 2 + (kind == "B")
    return _as_a_value(np.array(np.broadcast_to(open_rows[:, None, None, None], (kh, kw, K_in, K_out))))


def _as_a_value(mask: np.ndarray) -> np.ndarray:
    """The mask, as one that nobody can write to."""
    mask.flags.writeable = False
    return mask


def _check_kind(kind: str) -> None:
    if kind not in ("A", "B"):
        raise ValueError(f"mask: got kind {kind!r}, wanted 'A' (never its own value) or 'B' (its own value too)")
