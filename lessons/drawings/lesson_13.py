"""The figures of lesson 13: a cell of an LSTM, the scan down the rows, what arrives, and training."""

import numpy as np
from drawing import ROLES, Diagram, legend
from matplotlib.patches import Rectangle

import minipixel as mp

SHADES = ("#20262e", "#5c6670", "#939ba3", "#bfc5ca")  # curves that are no pixels: dark to light


def cell_diagram():
    """One step of an LSTM cell: memory along the top, four gates below, the state out at the right."""
    d = Diagram(7.6, 3.1)
    before = d.box(0.75, 2.6, "memory before\n$m_{before}$", "value", 1.2, 0.5)
    forget = d.circle(2.6, 2.6, r"$\times$")
    add = d.circle(4.1, 2.6, "+")
    after = d.box(6.75, 2.6, "memory $m$", "value", 1.2, 0.5)
    write = d.circle(4.1, 1.75, r"$\times$")
    squash = d.box(5.7, 1.75, "tanh", "layer", 0.6, 0.36)
    show = d.circle(5.7, 0.95, r"$\times$")
    state = d.box(6.8, 0.95, "state $h$", "value", 1.0, 0.42)
    gates = {
        "f": d.box(2.6, 0.95, "forget $f$\nsigmoid", "gate", 0.9, 0.5),
        "i": d.box(3.6, 0.95, "input $i$\nsigmoid", "gate", 0.9, 0.5),
        "g": d.box(4.6, 0.95, "write $g$\ntanh", "layer", 0.9, 0.5),
        "o": d.box(5.7, 0.3, "output $o$, sigmoid", "gate", 1.4, 0.36),
    }
    given = d.box(0.95, 0.3, "pre-activations\n$z_o, z_f, z_i, z_g$", "value", 1.5, 0.5)
    d.arrow(before, forget)
    d.arrow(forget, add)
    d.arrow(add, after)
    d.arrow(gates["f"], forget)
    d.arrow(gates["i"], write)
    d.arrow(gates["g"], write)
    d.arrow(write, add)
    d.ax.plot([5.7, 5.7], [2.6, 2.2], color=mp.plots.INK, linewidth=1)
    d.arrow((5.7, 2.3, 0, 0), squash)
    d.arrow(squash, show)
    d.arrow(gates["o"], show)
    d.arrow(show, state)
    d.arrow(given, gates["o"])
    for letter in "fig":
        x = gates[letter][0]
        d.arrow((x, 0.3, 0, 0), gates[letter])
    return d.figure


def forgetting(memories, rates):
    """Memories (steps, cells), one cell for each forget gate in `rates`."""
    figure = mp.plots.figure(5.6, 2.7)
    ax = figure.subplots()
    for k, rate in enumerate(rates):
        ax.plot(memories[:, k], ".-", color=SHADES[k], label=f"f = {rate}")
    ax.set(xlabel="step t", ylabel="memory m", xticks=range(0, len(memories), 5))
    ax.legend(fontsize=8, frameon=False)
    return figure


def script(gates, memories, states):
    """The three gates i, f, o (steps, 3) of one cell as bars of grey, and its memory and state (steps,) below."""
    figure = mp.plots.figure(6.4, 3.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    above.imshow(gates.T, cmap="Greys", vmin=0, vmax=1.3, aspect="auto", interpolation="nearest")
    above.set_yticks(range(3), ["input i", "forget f", "output o"])
    above.set_title("gates: dark is open, light is shut", fontsize=9)
    below.plot(memories, ".-", color=SHADES[0], label="memory m")
    below.plot(states, "s--", color=SHADES[2], markersize=4, label="state h")
    below.set(xlabel="step t", ylabel="value", xticks=range(0, len(memories), 5))
    below.legend(fontsize=8, frameon=False)
    return figure


def row_scan():
    """One step of the Row LSTM: the row above is kept, the whole row r is computed now."""
    d = Diagram(7.6, 2.35)
    d.note(0.1, 2.15, "features x, known for all pixels")
    row, column = 2, 2
    letters = np.full((4, 5), "", object)
    letters[row, column] = "c"
    features = d.cells(0.1, 1.95, np.full((4, 5), "kept"), letters, size=0.36)
    _frame(d, features[row, 1], features[row, 2])
    d.ax.text(*features[row, 3][:2], r"$\times$", ha="center", va="center", fontsize=12, color=ROLES["leak"])
    d.note(0.1, 0.25, "reads columns c - 1 and c;\nthe tap at c + 1 is shut")
    level = features[row, 2][1]
    layer = d.box(2.9, level, "1x3 convolution\nmask B, $K^{is}$", "layer", 1.3, 0.5)
    step = d.box(4.45, level, "gates, step", "gate", 1.0, 0.42)
    above = d.box(4.45, 1.78, "1x3 convolution\nno mask, $K^{ss}$", "layer", 1.3, 0.5)
    roles = np.array([["kept"] * 5, ["kept"] * 5, ["computed now"] * 5, ["future"] * 5])
    states = d.cells(5.7, 1.95, roles, letters, size=0.36)
    d.note(5.7, 2.15, "states h (and memories m)")
    _frame(d, states[row - 1, 1], states[row - 1, 3])
    d.note(5.7, 0.25, "reads columns c - 1, c, c + 1\nof the row above")
    d.arrow(features[row, 4], layer)
    d.arrow(layer, step)
    d.arrow(step, states[row, 0])
    start = states[row - 1, 1]
    d.ax.plot([start[0] - 0.18, 5.4, 5.4], [start[1], start[1], 1.78], color=mp.plots.INK, linewidth=1)
    d.arrow((5.4, 1.78, 0, 0), above)
    d.arrow(above, step)
    legend(d.figure, "kept", "computed now", "future")
    return d.figure


def _frame(diagram, first, last):
    """A dark frame around the cells from `first` to `last` of a row."""
    size = first[2]
    corner = (first[0] - size / 2, first[1] - size / 2)
    width = last[0] - first[0] + size
    diagram.ax.add_patch(Rectangle(corner, width, size, fill=False, edgecolor=mp.plots.INK, linewidth=1.8, zorder=3))


def arrivals(sizes):
    """For each forget gate in `sizes`: the size of the gradient at each row (steps,), on a scale of powers of ten."""
    figure = mp.plots.figure(5.6, 2.9)
    ax = figure.subplots()
    for shade, (rate, size) in zip(SHADES, sizes.items(), strict=False):
        ax.semilogy(size, ".-", color=shade, label=f"f = {rate}")
    ax.set(xlabel="row r", ylabel="gradient that arrives", xticks=range(0, len(size), 5))
    ax.legend(fontsize=8, frameon=False)
    return figure


def training(curves):
    """For each name in `curves`: a list of curves, validation bits/dim after each epoch, one for each seed."""
    figure = mp.plots.figure(5.6, 2.9)
    ax = figure.subplots()
    for (name, several), style, shade in zip(curves.items(), ("s--", ".-"), (SHADES[2], SHADES[0]), strict=True):
        for number, curve in enumerate(several):
            epochs = range(1, len(curve) + 1)
            ax.plot(epochs, curve, style, color=shade, markersize=5, label="" if number else name)
    ax.set(xlabel="epoch", ylabel="validation bits/dim")
    ax.legend(fontsize=8, frameon=False)
    return figure
