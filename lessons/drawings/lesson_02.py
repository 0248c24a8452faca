"""Figures of lesson 02: masks, and what stacks of masked layers read."""

import numpy as np
from drawing import ROLES, cells, legend, roles_of
from matplotlib.patches import Rectangle

import minipixel as mp


def masks(by_title):
    """The open taps of some kernels, the centre framed: (k, k) of 0 and 1 by title -> Figure."""
    sizes = [len(mask) for mask in by_title.values()]
    fig = mp.plots.figure(7.4, 3.6)
    for ax, (title, mask) in zip(fig.subplots(1, len(sizes), width_ratios=sizes), by_title.items(), strict=True):
        roles = np.where(mask == 1, "past", "future")
        centre = len(mask) // 2
        if mask[centre, centre]:
            roles = roles.astype("<U12")
            roles[centre, centre] = "this pixel"
        cells(ax, roles, title=f"{title}:\n{int(mask.sum())} of {mask.size} taps open", axes=("tap's column", "row"))
        frame = Rectangle((centre - 0.5, centre - 0.5), 1, 1, fill=False, edgecolor=ROLES["this pixel"], linewidth=2.5)
        ax.add_patch(frame)
    legend(fig, "past", "this pixel", "future")
    return fig


def fields(by_title):
    """What the output in the middle reads, for some stacks of layers: boolean (H, W) by title -> Figure."""
    verdicts = {"A": "one layer", "A, then B": "right", "A, then A": "neighbours lost", "B, then B": "leaks"}
    fig = mp.plots.figure(8.2, 2.8)
    for ax, (title, seen) in zip(fig.subplots(1, len(by_title)), by_title.items(), strict=True):
        H, W = seen.shape
        cells(ax, roles_of(seen, (H // 2, W // 2)), title=f"{title}: {verdicts[title]}")
    legend(fig, "past", "this pixel", "blind", "leak", "future")
    return fig
