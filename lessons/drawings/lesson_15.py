"""The figures of lesson 15: orders of drawing, the two models and what passes between them, sketches."""

import numpy as np
from drawing import Diagram, cells, legend

import minipixel as mp


def orders(models, seen, position):
    """For each title: the place in line of every pixel (H, W), and what the pixel at `position` reads (H, W)."""
    figure = mp.plots.figure(9.6, 3.8)
    for ax, (title, order) in zip(figure.subplots(1, len(models)), models.items(), strict=True):
        earlier = order < order[position]
        read = seen[title]
        roles = np.where(earlier, np.where(read, "past", "blind"), np.where(read, "leak", "future")).astype("<U12")
        roles[position] = "this pixel"
        cells(ax, roles, numbers=order, title=title)
    legend(figure, "past", "this pixel", "future")
    return figure


def two_models():
    """The sketch, the small model, the upsampling, the large model, and what becomes one log-likelihood."""
    d = Diagram(8.2, 2.9)
    image = d.box(0.65, 1.45, "image x\n(H, W)", "value", 1.0, 0.5)
    sketch = d.box(2.3, 2.3, "sketch s\nevery 2nd pixel", "value", 1.3, 0.5)
    small = d.box(4.6, 2.3, "small model", "layer", 1.3, 0.45)
    upsampling = d.box(3.3, 1.45, "upsampling, no mask", "layer", 1.6, 0.42)
    told = d.box(5.3, 1.45, "map (H, W, K)\nmade of all of s", "value", 1.4, 0.5)
    large = d.box(5.3, 0.5, "large model, causal,\ntold the map in each layer", "layer", 1.9, 0.5)
    of_sketch = d.box(6.9, 2.3, "log p of s", "loss", 1.1, 0.42)
    of_rest = d.box(7.45, 0.5, "log p of the\nother pixels", "loss", 1.2, 0.5)
    add = d.circle(7.65, 1.45, "+")
    d.arrow(image, sketch)
    d.arrow(sketch, small)
    d.arrow(small, of_sketch)
    d.arrow(sketch, upsampling)
    d.arrow(upsampling, told)
    d.arrow(told, large)
    d.ax.plot([0.65, 0.65], [1.2, 0.5], color=mp.plots.INK, linewidth=1)
    d.arrow((0.65, 0.5, 0, 0), large)
    d.arrow(large, of_rest)
    d.arrow(of_sketch, add)
    d.arrow(of_rest, add)
    return d.figure


def rows(groups):
    """For each title a row of ten images (10, H, W, 1) of black 0, white 2, and grey 1 where nothing is drawn yet."""
    figure = mp.plots.figure(7.6, 0.85 * len(groups))
    for ax, (title, images) in zip(figure.subplots(len(groups), 1), groups.items(), strict=True):
        ax.imshow(mp.plots.mosaic(images, 3, columns=10), interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
        ax.spines[:].set_visible(False)
    return figure
