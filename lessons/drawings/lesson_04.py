"""Figures of lesson 04: curves with marks, one draw, temperatures, what pixels cost, probabilities of levels."""

import numpy as np
from drawing import INK, ROLES, legend
from matplotlib.colors import to_rgb

import minipixel as mp

GREY = "#9aa3ab"  # bars that play no part of their own


def curves(history, marks):
    """The curves of a training, and horizontal lines to compare with, bits/dim by name -> Figure."""
    fig = history.plot()
    ax = fig.axes[0]
    for name, height in marks.items():
        ax.axhline(height, color=INK, linewidth=1, linestyle=":")
        ax.text(history.epochs, height, name, ha="right", va="bottom", fontsize=8, color=INK)
    return fig


def one_draw(image, position, p, uniform, level):
    """What is known when a pixel is drawn (H, W), the probability of each level (Q,), and the same laid end to end."""
    H, W = image.shape
    Q = len(p)
    place = np.arange(H * W).reshape(H, W)
    picture = np.repeat(image[..., None] / (Q - 1), 3, axis=-1)
    picture[place > place[position]] = to_rgb(ROLES["future"])
    picture[position] = to_rgb(ROLES["this pixel"])
    fig = mp.plots.figure(7.6, 2.9)
    left, middle, right = fig.subplots(1, 3, width_ratios=[2, 3, 3])
    left.imshow(picture)
    left.set(title="what is known", xlabel="column c", ylabel="row r")
    colours = np.where(np.arange(Q) == level, ROLES["this pixel"], GREY)
    middle.bar(range(Q), p, color=colours)
    middle.set(title="probabilities", xlabel="level q", ylabel="p(q)")
    right.bar(range(Q), p, bottom=p.cumsum() - p, color=colours)
    right.axhline(uniform, color=INK, linewidth=1)
    right.set(title=f"u = {uniform:.2f} falls on level {level}", xlabel="level q", ylabel="end to end", ylim=(0, 1))
    for ax in (left, middle, right):
        ax.title.set_size(9)
        ax.tick_params(labelsize=7)
    legend(fig, "this pixel", "future")
    return fig


def by_temperature(temperatures, images, levels):
    """Ten samples per temperature, a row each: integers (N, H, W, 1), one array per temperature -> Figure."""
    fig = mp.plots.figure(6.6, 0.7 * len(temperatures))
    for ax, T, some in zip(fig.subplots(len(temperatures), 1), temperatures, images, strict=True):
        ax.imshow(mp.plots.mosaic(some[:10], levels), interpolation="nearest")
        ax.text(-2, some.shape[1] / 2, f"T = {T}", ha="right", va="center", color=INK, fontsize=9)
        ax.set_axis_off()
    return fig


def costs(images, bits, levels):
    """Images (N, H, W) above, and what each of their pixels cost, in bits, below -> Figure."""
    fig = mp.plots.figure(7.6, 2.2)
    axes = fig.subplots(2, len(images), subplot_kw={"xticks": [], "yticks": []})
    for image, cost, (above, below) in zip(images, bits, axes.T, strict=True):
        above.imshow(image, cmap="gray", vmin=0, vmax=levels - 1)
        shades = below.imshow(cost, cmap="magma", vmin=0, vmax=8)
    axes[0, 0].set_ylabel("digit", fontsize=8)
    axes[1, 0].set_ylabel("cost", fontsize=8)
    fig.colorbar(shades, ax=axes, label="bits per pixel", shrink=0.8)
    return fig


def levels(by_title, marked):
    """Probabilities of all levels, (Q,) by title, one level marked -> Figure."""
    fig = mp.plots.figure(7.2, 2.7)
    axes = fig.subplots(1, len(by_title), sharey=True)
    for ax, (title, p) in zip(axes, by_title.items(), strict=True):
        colours = np.where(np.arange(len(p)) == marked, ROLES["this pixel"], GREY)
        ax.bar(range(len(p)), p, color=colours)
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("level q")
    axes[0].set_ylabel("mean p(q)")
    legend(fig, "this pixel")
    return fig
