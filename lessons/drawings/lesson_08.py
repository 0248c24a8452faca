"""Figures of lesson 08: where the time of a step goes, sums along a tree, and the size of a shard."""

from drawing import Diagram

import minipixel as mp

from .engine import OF_THE_BOOK


def where_it_goes(times):
    """Bars of milliseconds per image, {what is timed: ms}; the first is the least there can be -> a Figure."""
    figure = mp.plots.figure(7.4, 2.6)
    ax = figure.subplots()
    names = list(times)
    colours = [mp.plots.INK] + [OF_THE_BOOK] * (len(names) - 1)
    ax.barh(range(len(names)), list(times.values()), color=colours)
    for place, value in enumerate(times.values()):
        ax.text(value, place, f" {value:.2f}", va="center", fontsize=9)
    ax.axvline(times[names[0]], color=mp.plots.INK, linewidth=0.8, linestyle=":")
    ax.set(yticks=range(len(names)), yticklabels=names, xlabel="milliseconds per image, forward and back")
    ax.set_xlim(0, 1.12 * max(times.values()))
    ax.invert_yaxis()
    return figure


def tree(leaves):
    """How the sums of so many shards are taken -> a Figure."""
    diagram = Diagram(7.2, 3.2)
    level = [diagram.box(0.8 + 1.4 * i, 0.5, f"shard {i}", "value", 1.05) for i in range(leaves)]
    height = 0.5
    while len(level) > 1:
        height += 0.8
        above = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            circle = diagram.circle((left[0] + right[0]) / 2, height, "+")
            diagram.arrow(left, circle)
            diagram.arrow(right, circle)
            above.append(circle)
        if len(level) % 2:
            above.append(level[-1])  # an odd one goes up as it is
        level = above
    diagram.note(level[0][0] + 0.25, level[0][1], "the gradient of the batch")
    return diagram.figure


def shards(sizes, times, own_size):
    """Milliseconds per image by the number of images in a shard -> a Figure."""
    figure = mp.plots.figure(6, 3.2)
    ax = figure.subplots()
    ax.semilogx(sizes, times, "o-", base=2, color=mp.plots.INK)
    ax.axvline(own_size, color=OF_THE_BOOK, linewidth=3, zorder=0)
    ax.text(own_size, 0.05 * max(times), f"what the library takes: {own_size}  ", ha="right", fontsize=9)
    ax.set(xticks=sizes, xticklabels=sizes, xlabel="images per shard", ylim=(0, None))
    ax.set_ylabel("ms per image, one worker")
    return figure
