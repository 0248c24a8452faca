"""What the figures of Part 2 share: forward is ink, backward is plum; and a table of numbers as a picture."""

import minipixel as mp

FORWARD = mp.plots.INK  # a value, and the way to it
BACKWARD = "#8e3b72"  # a gradient, and the way back
OF_THE_BOOK = "#b8c4ce"  # whatever a measured curve is compared with


def two_ways(figure):
    """A legend of the two ways through a graph."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=FORWARD, marker=">", label="value, on the way forward"),
        Line2D([], [], color=BACKWARD, marker="<", label="gradient, on the way back"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
