"""What lesson 20 draws: what one step computes, the state of all maps at one moment, seconds per image."""

import drawing
import numpy as np
from matplotlib.patches import Patch

import minipixel as mp

LET_GO = "#b8bec4"  # computed before, and thrown away


def one_step(shape, position):
    """What the plain way and the cached way compute of a map in the step before a pixel is drawn."""
    naive = np.full(shape, "computed now")
    place = np.arange(naive.size).reshape(shape)
    cached = np.where(place < place[position], "kept", "future").astype("<U12")
    cached[position] = "computed now"
    figure = mp.plots.figure(6.4, 2.4)
    for ax, (title, roles) in zip(
        figure.subplots(1, 2), {"the plain way": naive, "with a cache": cached}.items(), strict=True
    ):
        drawing.cells(ax, roles, title=title)
    drawing.legend(figure, "computed now", "kept", "future")
    return figure


def moment(states):
    """The state of some maps, by title: integers (H, W), 0 still to come, 1 let go, 2 kept, 3 computed now."""
    colours = [drawing.ROLES["future"], LET_GO, drawing.ROLES["kept"], drawing.ROLES["computed now"]]
    table = np.array([drawing.to_rgb(colour) for colour in colours])
    figure = mp.plots.figure(10.0, 2.7)
    axes = figure.subplots(1, len(states))
    for ax, (title, state) in zip(axes, states.items(), strict=True):
        ax.imshow(table[state], interpolation="nearest")
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("column c", fontsize=8)
        ax.tick_params(labelsize=7)
    axes[0].set_ylabel("row r", fontsize=8)
    names = ("still to come", "let go", "kept", "computed now")
    patches = [Patch(facecolor=colour, label=name) for colour, name in zip(colours, names, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def seconds(by_method):
    """Seconds per image by method, as bars on a logarithmic scale."""
    figure = mp.plots.figure(5.0, 1.8)
    ax = figure.subplots()
    bars = ax.barh(list(by_method), list(by_method.values()), color=mp.plots.INK, height=0.6)
    ax.bar_label(bars, [f" {value:.2g} s" for value in by_method.values()], fontsize=8)
    ax.set(xscale="log", xlabel="seconds per image", ylabel="method", xlim=(min(by_method.values()) / 3, None))
    ax.margins(x=0.25)
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return figure
