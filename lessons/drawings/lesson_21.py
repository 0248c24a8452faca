"""What lesson 21 draws: completions row by row, two distributions, how many particles count, distances."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch

import minipixel as mp

UNKNOWN = mp.plots.UNKNOWN
GREY = "#9aa1a9"


def completions(images, known, completed, levels=2):
    """Known pixels of ten images, completions (N, H, W, 1) by name, and the images: a row each, a column an image."""
    real = mp.tiles.colours(images[:10], levels)
    rows = {"known": np.where(known[:, :, None], real, to_rgb(UNKNOWN))}
    for name, pictures in completed.items():
        rows[name] = mp.tiles.colours(pictures[:10], levels)
    rows["real"] = real
    figure = mp.plots.figure(7.6, 0.72 * len(rows) + 0.4)
    seams = mp.tiles.seams(np.repeat(known[None].astype(int), len(real), axis=0), 10)
    for ax, (name, pictures) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
        ax.imshow(mp.tiles.side_by_side(pictures, 10), interpolation="nearest")
        if name in completed:
            ax.add_collection(LineCollection(seams, colors=UNKNOWN, linewidths=1.5))
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        ax.spines[:].set_visible(False)
    patch = Patch(facecolor=UNKNOWN, label="unknown: drawn by the model")
    figure.legend(handles=[patch], loc="outside lower center", frameon=False, fontsize=8)
    return figure


def distributions(by_name, pictures, known):
    """Probabilities of the same pictures under several names, as bars; below each its picture."""
    figure = mp.plots.figure(9.0, 3.2)
    bars, strip = figure.subplots(2, 1, height_ratios=(4, 1))
    places = np.arange(len(pictures))
    width = 0.8 / len(by_name)
    for n, ((name, p), colour) in enumerate(zip(by_name.items(), (mp.plots.INK, GREY), strict=False)):
        bars.bar(places + (n - (len(by_name) - 1) / 2) * width, p, width, color=colour, label=name)
    bars.set(ylabel="probability", xlim=(-0.6, len(pictures) - 0.4), xticks=[])
    bars.legend(frameon=False, fontsize=8)
    bars.spines[["top", "right"]].set_visible(False)
    grey = np.where(known, 0.25 + 0.5 * pictures[:, :, :, 0], pictures[:, :, :, 0])
    colours = np.repeat(grey[..., None], 3, axis=-1)
    colours[:, ~known] = np.where(pictures[:, ~known] == 1, to_rgb("#e9dfd0"), to_rgb(UNKNOWN))
    for n, picture in enumerate(colours):
        strip.imshow(picture, extent=(n - 0.35, n + 0.35, 0, 0.7), interpolation="nearest")
    strip.set(xlim=(-0.6, len(pictures) - 0.4), ylim=(-0.05, 0.75), xticks=[], yticks=[], aspect="equal")
    strip.set_xlabel("the 16 pictures, light for 1, dark for 0; brown: the four unknown pixels", fontsize=8)
    strip.spines[:].set_visible(False)
    return figure


def effective(by_step, K, known):
    """How many of K particles count after each pixel in raster order; unknown pixels are shaded."""
    figure = mp.plots.figure(7.0, 2.8)
    ax = figure.subplots()
    for place in np.flatnonzero(~known.ravel()):
        ax.axvspan(place + 0.5, place + 1.5, color="#e9dfd0", linewidth=0)
    ax.plot(np.arange(1, len(by_step) + 1), by_step, color=mp.plots.INK, label="particles that count")
    ax.axhline(K / 2, color=GREY, linestyle="--", label="half of all")
    ax.set(xlabel="pixel, in raster order; shaded: unknown, drawn", ylabel="effective number", ylim=(0, 1.08 * K))
    ax.legend(frameon=False, fontsize=8, loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def distances(by_name, noise):
    """Distance to the exact distribution by number of particles, under several names; noise is the floor."""
    figure = mp.plots.figure(5.6, 3.0)
    ax = figure.subplots()
    for (name, by_count), line in zip(by_name.items(), ("--", "-"), strict=True):
        ax.plot(list(by_count), list(by_count.values()), "k" + line, marker="o", markersize=4, label=name)
    ax.axhspan(0, noise, color="#e3e6e9", label="draws from the exact distribution")
    ax.set(xscale="log", yscale="log", xlabel="particles K", ylabel="distance to the exact distribution")
    ax.set_ylim(noise / 4, 1)
    ax.set_xticks(list(by_count), list(by_count))
    ax.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
