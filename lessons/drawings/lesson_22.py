"""The figures of lesson 22: a folder with strangers, what is likely and what is usual, and two costs of a picture."""

import numpy as np
from drawing import INK
from scipy.special import comb

from minipixel import plots, tiles

KINDS = ("usual", "ring", "cross", "misplaced", "bright", "noise", "empty")
MARKS = {
    "usual": (".", "#aab1b8"),
    "ring": ("o", INK),
    "cross": ("x", INK),
    "misplaced": ("^", INK),
    "bright": ("s", "#a0713c"),
    "noise": ("*", "#a0713c"),
    "empty": ("D", "#a0713c"),
}


def examples(images, levels):
    """Five pictures (5 * kinds, H, W, C) of each kind, a row for each two kinds."""
    height, width = images.shape[1:3]
    figure = plots.figure(7.4, 1.7)
    axes = figure.subplots(2, 4)
    shown = tiles.colours(images, levels)
    for ax in axes.ravel():
        ax.set_axis_off()
    for ax, kind, five in zip(axes.ravel(), KINDS, shown.reshape(len(KINDS), 5, height, width, 3), strict=False):
        framed = [np.pad(one, ((1, 1), (1, 1), (0, 0)), constant_values=0.7) for one in five]
        row = np.concatenate(framed, axis=1)
        ax.imshow(row, interpolation="nearest")
        ax.set_title(kind, fontsize=9, color=INK)
    return figure


def single_and_all(share_of_count):
    """By the number of white pixels: the probability of one such picture, and of all of them together (17,)."""
    counts = np.arange(len(share_of_count))
    single = share_of_count / comb(len(counts) - 1, counts)
    figure = plots.figure(7.4, 2.6)
    left, right = figure.subplots(1, 2)
    left.bar(counts, single, color=INK, width=0.7)
    left.set_yscale("log")
    left.set_ylabel("probability of one picture", fontsize=9)
    right.bar(counts, share_of_count, color=INK, width=0.7)
    right.set_ylabel("of all such pictures together", fontsize=9)
    for ax in (left, right):
        ax.set_xlabel("white pixels, of 16", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.set_xticks(range(0, 17, 4))
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def two_costs(length, surprise, kinds):
    """Each picture by its compressed length and its surprise (N,); a diagonal has pictures of one oddness."""
    figure = plots.figure(6.6, 4.2)
    ax = figure.subplots()
    for kind in KINDS:
        mark, colour = MARKS[kind]
        chosen = kinds == kind
        ax.plot(length[chosen], surprise[chosen], mark, color=colour, markersize=6, linestyle="", label=kind)
    usual = kinds == "usual"
    limit = np.quantile(surprise[usual] - length[usual], 0.95)
    lengths = np.geomspace(length.min() * 0.9, length.max() * 1.1, 200)
    above = lengths + limit > 1
    ax.plot(lengths[above], (lengths + limit)[above], color=INK, linewidth=1, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="compressed length, nats", ylabel="surprise, nats")
    ax.set_xticks([100, 200, 400, 800], ["100", "200", "400", "800"])
    ax.set_xticks([], minor=True)
    ax.set_yticks([10, 100, 1000], ["10", "100", "1000"])
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def ranking(images, kinds, levels, columns=18):
    """Pictures (N, H, W, C) in the order given, row by row; a dot below each that is not usual."""
    shown = tiles.colours(images, levels)
    N, height, width = shown.shape[:3]
    rows = -(-N // columns)
    figure = plots.figure(7.4, 0.47 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, picture, kind in zip(axes, shown, kinds, strict=False):
        framed = np.pad(picture, ((1, 1), (1, 1), (0, 0)), constant_values=0.7)
        ax.imshow(framed, interpolation="nearest")
        if kind != "usual":
            ax.plot(width / 2 + 0.5, height + 3.5, ".", color=INK, markersize=4, clip_on=False)
    return figure
