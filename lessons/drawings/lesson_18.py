"""Figures of lesson 18: halving and enlarging a map, the U with its shortcuts, how far a pixel sees."""

import drawing
import numpy as np
from matplotlib.colors import to_rgb

import minipixel as mp
from drawings.lines import LINES


def halve_and_enlarge(read, written, place):
    """What the small map's pixel at `place` reads and writes: boolean (H, W) twice -> Figure."""
    small = np.full([-(-side // 2) for side in read.shape], "future", dtype="<U12")
    small[place] = "computed now"
    reads = np.where(read, "kept", "future")
    writes = np.where(written, "computed now", "future")
    small_writes = np.where(small == "computed now", "kept", "future")
    figure = mp.plots.figure(8.6, 2.3)
    panels = (
        (reads, "halve: read here ..."),
        (small, "... written here"),
        (small_writes, "enlarge: read here ..."),
        (writes, "... written here"),
    )
    widths = [roles.shape[1] for roles, _ in panels]
    for ax, (roles, title) in zip(figure.subplots(1, 4, width_ratios=widths), panels, strict=True):
        drawing.cells(ax, roles, title=title)
    drawing.legend(figure, "kept", "computed now")
    return figure


def u_of_three_sizes():
    """The way in, the way back and the shortcuts of a PixelCNN++ with three sizes and one pair on each -> Figure."""
    d = drawing.Diagram(10.3, 4.9)
    size = {"width": 0.86}
    start = d.box(0.7, 3.5, "start", "value", **size)
    fine_in = d.box(1.9, 3.5, "pair", **size)
    half = d.box(2.2, 2.1, "halve", "gate", **size)
    middle_in = d.box(3.3, 2.1, "pair", **size)
    quarter = d.box(3.5, 0.6, "halve", "gate", **size)
    coarse_in = d.box(4.55, 0.6, "pair", **size)
    coarse_back = d.box(5.6, 0.6, "pair", **size)
    enlarge = d.box(5.6, 1.35, "enlarge", "gate", **size)
    middle_back = [d.box(x, 2.1, "pair", **size) for x in (5.6, 6.7)]
    enlarge_again = d.box(6.7, 2.8, "enlarge", "gate", **size)
    fine_back = [d.box(x, 3.5, "pair", **size) for x in (6.7, 7.8)]
    top = d.box(8.9, 3.5, "top", "loss", **size)

    d.arrow(start, fine_in)
    d.arrow(fine_in, half)
    d.arrow(half, middle_in)
    d.arrow(middle_in, quarter)
    d.arrow(quarter, coarse_in)
    d.arrow(coarse_in, coarse_back)
    d.arrow(coarse_back, enlarge)
    d.arrow(enlarge, middle_back[0])
    d.arrow(middle_back[0], middle_back[1])
    d.arrow(middle_back[1], enlarge_again)
    d.arrow(enlarge_again, fine_back[0])
    d.arrow(fine_back[0], fine_back[1])
    d.arrow(fine_back[1], top)

    twins = ((fine_in, fine_back[0]), (start, fine_back[1]), (middle_in, middle_back[0]), (half, middle_back[1]))
    for twin, partner in (*twins, (quarter, coarse_back)):
        (x, y, _, height), (to_x, to_y, _, to_height) = twin, partner
        bend = -0.17 if y > 3 else -0.24
        d.arrow((x, y + height / 2, 0, 0), (to_x, to_y + to_height / 2, 0, 0), bend=bend, colour=LINES[3])
    d.note(0.27, 0.55, "shortcut, from twin to twin", LINES[3])
    for y, words in ((3.5, "H x W"), (2.1, "H/2 x W/2"), (0.6, "H/4 x W/4")):
        d.note(10.2, y, words, align="right")
    return d.figure


def reach(saw, places):
    """What pixels see of an image, boolean (pixels, H, W) by title, one column each -> Figure."""
    H, W = next(iter(saw.values())).shape[1:]
    figure = mp.plots.figure(8.8, 5.3)
    axes = figure.subplots(len(places), len(saw), squeeze=False)
    for column, (title, views) in zip(axes.T, saw.items(), strict=True):
        for ax, view, place in zip(column, views, places, strict=True):
            roles = drawing.roles_of(view, place)
            ax.imshow([[to_rgb(drawing.ROLES[role]) for role in row] for row in roles], interpolation="nearest")
            ax.set(xticks=range(0, W, 9), yticks=range(0, H, 9), xlabel="column c", ylabel="row r")
            ax.xaxis.label.set_size(8)
            ax.yaxis.label.set_size(8)
            ax.set_title(f"{title},\n{'even' if place[0] % 2 == 0 else 'odd'} row", fontsize=9)
            ax.tick_params(labelsize=7)
            ax.spines[:].set_visible(False)
    drawing.legend(figure, "future", "past", "this pixel", "blind")
    return figure
