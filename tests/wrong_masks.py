"""Mistakes to plant in one convolution: functions that break its mask or its centre; see mutant_table.py."""

import numpy as np

from minipixel import nn


def mask_b(conv):
    """Its own value comes in with the image."""
    conv.kind = "B"
    del conv.mask  # it is built again when next asked for


def green_sees_itself(conv):
    mask = conv.mask.copy()
    mask[conv.kernel[0] // 2, conv.kernel[1] // 2, 1, conv.groups_out == 1] = True
    conv.mask = mask


def one_column_off(conv):
    conv.mask = np.roll(conv.mask, 1, axis=1)


def one_row_off(conv):
    conv.mask = np.roll(conv.mask, 1, axis=0)


def back_to_front(conv):
    """A kernel turned round, as a convolution in the sense of mathematics would have it."""
    conv.mask = conv.mask[::-1, ::-1].copy()


def one_tap_more(conv):
    """The pixel to the right of the centre."""
    mask = conv.mask.copy()
    mask[mask.shape[0] // 2, mask.shape[1] // 2 + 1] = True
    conv.mask = mask


def a_row_below(conv):
    mask = conv.mask.copy()
    mask[mask.shape[0] // 2 + 1] = True
    conv.mask = mask


def blind_to_colours(conv):
    """Where it reads its own pixel, every channel reads every other."""
    mask = conv.mask.copy()
    mask[tuple(size // 2 for size in mask.shape[:-2])] = True
    conv.mask = mask


def gates_dealt_out_at_once(see):
    """Colours in turn over all 4h gates, not over each of the four: where 3 does not divide h these differ."""
    kernel = getattr(see, "kernel", (1, 1))
    groups = nn.colour_groups(len(see.groups_out), 3)
    see.mask = nn.causal_mask(kernel, see.groups_in, groups, "B").reshape(see.mask.shape)


def centred(*centre):
    """A kernel whose own pixel is another of its taps."""

    def mistake(conv):
        conv.centre = centre

    mistake.__name__ = f"centre_{'_'.join(map(str, centre))}"
    return mistake


def mask_a(conv):
    """Too strict, in a layer after the first: blind to what it may see."""
    conv.mask = nn.causal_mask(conv.kernel, conv.groups_in, conv.groups_out, "A")
