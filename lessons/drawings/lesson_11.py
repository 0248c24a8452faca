"""Figures of lesson 11: triplets, distances between all pictures, and points seen from the best side."""

import numpy as np

import minipixel as mp


def triplet(images, before, after):
    """Anchor, positive, negative (3, H, W, 1); the squared distances of the last two to the first, before and after."""
    figure = mp.plots.figure(5.0, 2.3)
    for n, (ax, name) in enumerate(zip(figure.subplots(1, 3), ("anchor", "positive", "negative"), strict=True)):
        ax.imshow(images[n], cmap="Greys")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=10)
        words = f"squared distance {before[n - 1]:.2f},\nafter training {after[n - 1]:.2f}" if n else ""
        ax.set_xlabel(words, fontsize=9)
    return figure


def distances(by_title, labels):
    """Squared distances between all pictures, sorted by class: title -> (N, N)."""
    order = np.argsort(labels, kind="stable")
    ends = np.cumsum(np.bincount(labels))
    middles = ends - np.bincount(labels) / 2
    figure = mp.plots.figure(7.4, 3.5)
    axes = figure.subplots(1, len(by_title))
    for ax, (title, squares) in zip(axes, by_title.items(), strict=True):
        picture = ax.imshow(squares[order][:, order], cmap="magma", vmin=0, vmax=3)
        ax.set(xlabel="picture of class", ylabel="picture of class", title=title)
        ax.set_xticks(middles, range(len(ends)), fontsize=8)
        ax.set_yticks(middles, range(len(ends)), fontsize=8)
        ax.tick_params(length=0)
    figure.colorbar(picture, ax=list(axes), label="squared distance")
    return figure


def points(by_title, labels):
    """Points in the plane, each drawn as the digit that it stands for: title -> (N, 2)."""
    figure = mp.plots.figure(7.6, 3.9)
    for ax, (title, places) in zip(figure.subplots(1, len(by_title)), by_title.items(), strict=True):
        reach = 1.08 * abs(places).max()
        for (x, y), label in zip(places, labels, strict=True):
            ax.text(x, y, str(label), color=mp.plots.INK, fontsize=7, ha="center", va="center")
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=title)
        ax.set(xlabel="first direction", ylabel="second direction")
    return figure
