"""The figures of lesson 14: the scan along the diagonals, the skew, the layer of two halves, and the coins."""

import numpy as np
from drawing import INK, Diagram, legend
from matplotlib.patches import Rectangle

from drawings.lines import LINES


def diagonal_scan():
    """One step of either half: a diagonal is computed now, from the one before."""
    d = Diagram(7.6, 2.3)
    H = 4
    W = 6
    r, c = np.indices((H, W))
    size = 0.44
    for x, title, diagonal, step in ((0.2, "left half", r + c, -1), (4.4, "right half", r + W - 1 - c, 1)):
        roles = np.where(diagonal < 4, "kept", np.where(diagonal == 4, "computed now", "future"))
        places = d.cells(x, 1.9, roles, diagonal, size)
        d.note(x, 2.1, f"{title}: the number is the step")
        for here in np.argwhere(diagonal == 4):
            row, column = here
            if row:
                d.arrow(_inner(places[row - 1, column], 0.4), _inner(places[row, column], 0.5))
            if 0 <= column + step < W:
                d.arrow(_inner(places[row, column + step], 0.4), _inner(places[row, column], 0.5))
    legend(d.figure, "kept", "computed now", "future")
    return d.figure


def _inner(place, share):
    """The middle part of a place, so that an arrow begins and ends inside the cell."""
    return place[0], place[1], place[2] * share, place[3] * share


def skew(numbers, turned, cell, read):
    """A map (H, W), the same with row r pushed right by r, and turned (H + W - 1, H); 0 is no pixel.

    The diagonal of the pixel number `cell` is computed now; those that it reads, `read`, stand in frames.
    """
    d = Diagram(7.6, 3.2)
    H, W = numbers.shape
    r, c = np.indices((H, W))
    now = int((r + c)[numbers == cell][0])
    role_of = {0: ""}
    for number, diagonal in zip(numbers.ravel(), (r + c).ravel(), strict=True):
        role_of[number] = "kept" if diagonal < now else "computed now" if diagonal == now else "future"
    role_of[cell] = "this pixel"
    size = 0.34
    titles = ("the map: pixel numbers", "row r pushed right by r", "columns become rows")
    for x, title, cells in zip((0.1, 2.3, 5.6), titles, (numbers, turned.T, turned), strict=True):
        roles = np.vectorize(role_of.get, otypes=["<U12"])(cells)
        places = d.cells(x, 2.8, roles, np.where(cells > 0, cells, ""), size)
        d.note(x, 3.0, title)
        for number in read:
            left, middle, width, height = places[np.nonzero(cells == number)][0]
            d.ax.add_patch(_square(left - width / 2, middle + height / 2, width, "none", INK, 2))
    legend(d.figure, "kept", "this pixel", "computed now", "future")
    return d.figure


def layer():
    """A layer: the two halves and what each does to the map, step by step."""
    d = Diagram(8.2, 2.6)
    x = d.box(0.6, 1.3, "features x\n(H, W, N, 2K)", "value", 1.15, 0.5)
    add = d.circle(6.95, 1.3, "+")
    states = d.box(7.75, 1.3, "states h\n(H, W, N, K)", "value", 0.85, 0.5)
    lanes = {
        "from the left": (2.1, {"1x1, mask B": 2.4, "skew": 3.5, "scan": 4.35, "un-skew": 5.2}),
        "from the right": (
            0.5,
            {
                "mirror": 1.5,
                "1x1, mask B": 2.4,
                "skew": 3.5,
                "scan": 4.35,
                "un-skew": 5.2,
                "mirror ": 6.05,
                "shift\ndown": 6.95,
            },
        ),
    }
    for title, (y, steps) in lanes.items():
        d.note(2.0, y + 0.36, title)
        before = x
        for name, place in steps.items():
            box = d.box(place, y, name, "gate" if name == "scan" else "layer", 0.9 if "1x1" in name else 0.62, 0.42)
            d.arrow(before, box)
            before = box
        if y > 1:
            d.ax.plot([before[0] + 0.31, 6.95], [y, y], color=INK, linewidth=1)
            before = (6.95, y, 0, 0)
        d.arrow(before, add)
    d.arrow(add, states)
    return d.figure


def copies(image):
    """One image of coins (H, W), and an arrow from the last pixel of each row to its copy below."""
    d = Diagram(3.4, 2.8)
    H, W = image.shape
    size = 0.32
    left = 0.9
    top = 2.7
    for r, c in np.ndindex(H, W):
        d.ax.add_patch(_square(left + c * size, top - r * size, size, "white" if image[r, c] else INK, "#8a939c"))
    for r in range(H - 1):
        start = (left + (W - 0.5) * size, top - (r + 0.5) * size, 0, 0)
        end = (left + 0.5 * size, top - (r + 1.5) * size, 0, 0)
        d.arrow(start, end, colour=LINES[2])
        d.note(left - 0.1, end[1], "copy", align="right")
    return d.figure


def _square(x, y, size, colour, edge, linewidth=0.8):
    """A square with its upper left corner at (x, y); one without a colour is a frame, and lies on top."""
    zorder = 3 if colour == "none" else 1
    return Rectangle((x, y - size), size, size, facecolor=colour, edgecolor=edge, linewidth=linewidth, zorder=zorder)
