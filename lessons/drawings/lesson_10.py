"""Figures of lesson 10: where a condition enters a block, and digits that are read wrongly."""

import numpy as np
from drawing import INK, Diagram

import minipixel as mp

PALE = "#b8c0c8"


def block():
    """Diagram: a residual block, and the term V h that a condition adds to it; from left to right."""
    picture = Diagram(8.0, 2.3)
    x = picture.box(0.6, 0.6, "features", "value", 1.0)
    narrow = picture.box(1.95, 0.6, "1x1", "layer", 0.9)
    look = picture.box(3.3, 0.6, "3x3, mask B", "layer", 1.1)
    plus = picture.circle(4.4, 0.6, "+")
    widen = picture.box(5.5, 0.6, "1x1", "layer", 0.9)
    add = picture.circle(6.4, 0.6, "+")
    out = picture.box(7.4, 0.6, "features", "value", 1.0)
    for start, end in ((x, narrow), (narrow, look), (look, plus), (plus, widen), (widen, add), (add, out)):
        picture.arrow(start, end)
    h = picture.box(2.4, 1.9, "condition h", "value", 1.6)
    product = picture.box(4.4, 1.9, "V", "layer", 0.7)
    picture.arrow(h, product)
    picture.arrow(product, plus)
    picture.note(4.5, 1.3, "V h, the same at all pixels")
    picture.ax.plot([0.6, 0.6, 6.4], [0.39, 0.15, 0.15], color=INK, linewidth=1)
    picture.arrow((6.4, 0.15, 0, 0), add)
    picture.note(3.0, 0.03, "residual")
    return picture.figure


def misread(images, truths, guesses, posterior):
    """Digits (n, H, W, 1) above, the probability of each class below: (n, 10)."""
    figure = mp.plots.figure(7.6, 2.6)
    rows = figure.subplots(2, len(images), sharey="row", squeeze=False)
    for n, (above, below) in enumerate(rows.T):
        above.imshow(images[n], cmap="Greys")
        above.set(xticks=[], yticks=[])
        above.set_title(f"{truths[n]} read as {guesses[n]}", fontsize=9)
        classes = np.arange(posterior.shape[1])
        below.bar(classes, posterior[n], color=np.where(classes == truths[n], INK, PALE))
        below.set(xticks=classes[::3], ylim=(0, 1))
        below.set_xlabel("class c", fontsize=8)
    rows[1, 0].set_ylabel("p(c | x)", fontsize=9)
    return figure
