"""What lesson 19 draws: a gradient in two ways, matrices of what is read, leaks, how much of the past is seen."""

import drawing
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

import minipixel as mp


def one_gradient(gradient, position):
    """One output's gradient (H, W): as it is, and the logarithm of its size in blue, grey where it is exactly 0."""
    read = LinearSegmentedColormap.from_list("read", ["#dce8f1", drawing.ROLES["past"], "#173a57"])
    size = np.log10(np.abs(gradient), out=np.full(gradient.shape, np.nan), where=gradient != 0)
    views = {
        "the gradient": (gradient, "BrBG", -0.3, 0.3, "gradient"),
        "its size; grey: exactly 0": (size, read, -5, 0, "log10 of the size"),
    }
    figure = mp.plots.figure(8.4, 3.4)
    for ax, (title, (numbers, colours, low, high, unit)) in zip(figure.subplots(1, 2), views.items(), strict=True):
        columns = np.arange(numbers.shape[1])
        rows = np.arange(len(numbers))
        mesh = ax.pcolormesh(columns, rows, numbers, cmap=colours, vmin=low, vmax=high, edgecolor="white")
        figure.colorbar(mesh, ax=ax, label=unit, shrink=0.8)
        ax.plot(position[1], position[0], "s", color=drawing.ROLES["this pixel"], markersize=9)
        ax.set(aspect="equal", ylim=(len(numbers) - 0.5, -0.5), facecolor="#d9d9d9", xlabel="column c", ylabel="row r")
        ax.set_title(title, fontsize=10)
        ax.tick_params(labelsize=7)
    drawing.legend(figure, "this pixel")
    return figure


def matrices(by_title):
    """Boolean (S, S) by title: what each output, a row, reads of each sub-pixel, a column."""
    figure = mp.plots.figure(8.4, 4.6)
    for ax, (title, matrix) in zip(figure.subplots(1, len(by_title)), by_title.items(), strict=True):
        roles = [drawing.roles_of(row[None], (0, i))[0] for i, row in enumerate(matrix)]
        colours = [[drawing.to_rgb(drawing.ROLES[role]) for role in row] for row in roles]
        ax.imshow(colours, interpolation="nearest")
        ax.set(title=title, xlabel="sub-pixel j, in raster order", ylabel="output i, in raster order")
        if len(matrix) == 12:  # 2x2 pixels in colour
            ax.set_xticks(range(12), "RGB" * 4)
            ax.set_yticks(range(12), "RGB" * 4)
        ax.tick_params(labelsize=7, length=0)
    drawing.legend(figure, "past", "this pixel", "blind", "future")
    return figure


def leaks(seen_by_title, position):
    """Boolean (H, W) by title: what the output at a position reads, in a row of maps."""
    figure = mp.plots.figure(10.0, 2.2)
    for ax, (title, seen) in zip(figure.subplots(1, len(seen_by_title)), seen_by_title.items(), strict=True):
        drawing.cells(ax, drawing.roles_of(seen, position), title=title)
    drawing.legend(figure, "past", "this pixel", "blind", "leak", "future")
    return figure


def shares(by_name):
    """How much of its past a model sees: by name of the model, shares by number of layers."""
    figure = mp.plots.figure(5.4, 3.0)
    ax = figure.subplots()
    for (name, share), line in zip(by_name.items(), ("--", "-"), strict=True):
        ax.plot(list(share), [100 * each for each in share.values()], "k" + line, marker="o", markersize=4, label=name)
    ax.set(xlabel="layers", ylabel="pairs of the past that are seen, %", ylim=(0, 105), xscale="log")
    ax.set_xticks(list(share), list(share))
    ax.minorticks_off()
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
