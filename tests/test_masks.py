"""Masks, tap by tap."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minipixel.nn import causal_mask, colour_groups

GREY = colour_groups(1, 1)


def test_grey_masks():
    a = causal_mask((3, 3), GREY, GREY, "A")[:, :, 0, 0]
    b = causal_mask((3, 3), GREY, GREY, "B")[:, :, 0, 0]
    np.testing.assert_array_equal(a, [[1, 1, 1], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(b, [[1, 1, 1], [1, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(("kernel", "kind", "taps"), [((7, 7), "A", 24), ((3, 3), "B", 5), ((1, 3), "B", 2)])
def test_number_of_open_taps(kernel, kind, taps):
    assert causal_mask(kernel, GREY, GREY, kind).any(axis=(2, 3)).sum() == taps


def test_green_reads_red_at_the_centre():
    """The table of 6 inputs and 6 outputs, interleaved: mask[i_out, i_in] = (i_out % 3 == 1) & (i_in % 3 == 0)."""
    groups = colour_groups(6, 3)
    centre = causal_mask((3, 3), groups, groups, "A")[1, 1].T  # (out, in)
    i_out, i_in = np.indices((6, 6))
    green_reads_red = (i_out % 3 == 1) & (i_in % 3 == 0)
    np.testing.assert_array_equal(centre & (i_out % 3 == 1), green_reads_red)


@given(
    kh=st.integers(1, 7),
    kw=st.integers(1, 7),
    groups_in=st.lists(st.integers(0, 2), min_size=1, max_size=7),
    groups_out=st.lists(st.integers(0, 2), min_size=1, max_size=7),
)
def test_every_weight(kh, kw, groups_in, groups_out):
    """Before the centre in raster order open, after it shut, at the centre by colour, for any groups."""
    a = causal_mask((kh, kw), np.array(groups_in), np.array(groups_out), "A")
    b = causal_mask((kh, kw), np.array(groups_in), np.array(groups_out), "B")
    centre = (kh // 2, kw // 2)
    for r, c, i, o in np.ndindex(a.shape):
        if (r, c) == centre:
            assert a[r, c, i, o] == (groups_in[i] < groups_out[o])
            assert b[r, c, i, o] == (groups_in[i] <= groups_out[o])
        else:
            assert a[r, c, i, o] == b[r, c, i, o] == ((r, c) < centre)


@given(C=st.integers(1, 64), more=st.integers(0, 80), data=st.data())
def test_layers_of_any_number_of_channels_see_what_came_before_and_all_of_it(C, more, data):
    """The centre taps of a mask A, of masks B, and of the layer of a head, one after the other, as a product.

    Channel by channel the parameters of a pixel come to know exactly the earlier channels of it: none is blind, since
    each has a feature of its own, however the features are dealt out.
    """
    widths = [C + more, C, data.draw(st.integers(C, 2 * C))]
    groups = [np.arange(C), *(colour_groups(K, C) for K in widths), np.repeat(np.arange(C), 2)]
    seen = np.eye(C, dtype=int)
    for layer, (groups_in, groups_out) in enumerate(itertools.pairwise(groups)):
        seen = seen @ causal_mask((1, 1), groups_in, groups_out, "B" if layer else "A")[0, 0] > 0
    np.testing.assert_array_equal(seen, np.arange(C)[:, None] < groups[-1])


def test_an_unknown_kind():
    with pytest.raises(ValueError, match=r"^mask: got kind 'C', wanted 'A' .* or 'B'"):
        causal_mask((3, 3), GREY, GREY, "C")
