"""Figures of lesson 01: the line through an image, past and future, who reads whom, scores and samples of tables."""

import numpy as np
from drawing import INK, ROLES, cells, legend

import minipixel as mp


def raster_order(place):
    """The place of every sub-pixel, written into it: integers (H, W, 3) -> Figure."""
    H, W, C = place.shape
    fig = mp.plots.figure(6.6, 3.1)
    ax = fig.subplots()
    colours = [[0.96, 0.8, 0.78], [0.82, 0.92, 0.8], [0.8, 0.87, 0.97]]
    ax.imshow(np.tile(colours, (H, W, 1)), aspect=2.4)
    for (row, column), t in np.ndenumerate(place.reshape(H, W * C)):
        ax.text(column, row, str(t), ha="center", va="center", color=INK, fontsize=13)
    ax.vlines(np.arange(0, W * C + 1, C) - 0.5, -0.5, H - 0.5, color="white", linewidth=7)
    ax.axhline(0.5, color="white", linewidth=7)
    ax.set_xticks(np.arange(W) * C + 1, [f"c = {c}" for c in range(W)])
    ax.set_yticks(range(H), [f"r = {r}" for r in range(H)])
    ax.set(xlabel="column, and in it red, green, blue", ylabel="row")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def past_and_future(digit, t, levels):
    """A digit, what is known of it when its pixel t is guessed, and the same along the line: integers (H, W)."""
    H, W = digit.shape
    when = np.arange(H * W)
    roles = np.where(when < t, "past", np.where(when == t, "this pixel", "future"))
    words = np.where(when < t, digit.ravel().astype(str), np.where(when == t, "?", ""))
    fig = mp.plots.figure(7.4, 4.5)
    panels = fig.subplot_mosaic([["digit", "moment"], ["line", "line"]], height_ratios=[4, 1])
    panels["digit"].imshow(digit, cmap="gray", vmin=0, vmax=levels - 1)
    panels["digit"].set_title("a digit", fontsize=9)
    panels["digit"].set_xlabel("column c", fontsize=8)
    panels["digit"].set_ylabel("row r", fontsize=8)
    panels["digit"].tick_params(labelsize=7, length=0)
    cells(panels["moment"], roles.reshape(H, W), numbers=words.reshape(H, W), title=f"its pixel t = {t} is guessed")
    cells(panels["line"], roles[None], title="the same, as one line", axes=("place t", ""))
    panels["line"].set_yticks([])
    panels["line"].set_xticks(range(0, H * W, W))
    panels["line"].set_aspect(2.2)
    legend(fig, "past", "this pixel", "future")
    return fig


def who_reads_whom(sums, offsets):
    """The six pixels of a 2x3 image, with an arrow from each to those that read it, for each pair of sides."""
    from matplotlib.patches import Circle, FancyArrowPatch

    fig = mp.plots.figure(7.6, 2.2)
    for ax, (sides, total) in zip(fig.subplots(1, len(sums)), sums.items(), strict=True):
        legal = abs(total - 1) < 1e-9
        colour = ROLES["past"] if legal else ROLES["leak"]
        for r, c in np.ndindex(2, 3):
            ax.add_patch(Circle((c, r), 0.22, facecolor=ROLES["future"], edgecolor=INK, linewidth=0.8))
            for side in sides:
                from_r = r + offsets[side][0]
                from_c = c + offsets[side][1]
                if 0 <= from_r < 2 and 0 <= from_c < 3:
                    arrow = FancyArrowPatch((from_c, from_r), (c, r), arrowstyle="-|>", mutation_scale=9, color=colour,
                                            shrinkA=11, shrinkB=11, connectionstyle="arc3,rad=0.25")  # fmt: skip
                    ax.add_patch(arrow)
        ax.set(xlim=(-0.5, 2.5), ylim=(1.6, -0.6), aspect="equal", xlabel="column c", ylabel="row r")
        ax.set_xticks(range(3))
        ax.set_yticks(range(2))
        ax.tick_params(labelsize=7, length=0)
        ax.xaxis.label.set_size(8)
        ax.yaxis.label.set_size(8)
        ax.spines[:].set_visible(False)
        ax.set_title(f"{sides[0]} and {sides[1]}\nsum = {total:.3f}", fontsize=9, color=INK)
    legend(fig, "past", "leak")
    return fig


def scores(on_train, on_test):
    """Bits/dim of several models, two bars each: training images and test images."""
    fig = mp.plots.figure(6.6, 3)
    ax = fig.subplots()
    y = np.arange(len(on_test))
    for offset, values, colour, label in (
        (-0.2, on_train, "#c3c8cd", "training images"),
        (0.2, on_test, "#5c6670", "test images"),
    ):
        bars = ax.barh(y + offset, list(values.values()), height=0.38, color=colour, label=label)
        ax.bar_label(bars, fmt=" %.3f", fontsize=8, color=INK)
    ax.set_yticks(y, list(on_test))
    ax.set(xlabel="bits/dim", ylabel="what the model reads", xlim=(0, 4.8))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="lower right", fontsize=8)
    return fig


def rows_of_images(rows, levels):
    """Ten grey images by name, a row each: integers (10, H, W) by name -> Figure."""
    fig = mp.plots.figure(6.6, 0.66 * len(rows))
    for ax, (name, images) in zip(fig.subplots(len(rows), 1), rows.items(), strict=True):
        ax.imshow(mp.plots.mosaic(images[..., None], levels, columns=len(images)), interpolation="nearest")
        ax.text(-2, images.shape[1] / 2 - 0.5, name, ha="right", va="center", color=INK, fontsize=9)
        ax.set_axis_off()
    return fig
