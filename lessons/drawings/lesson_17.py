"""Figures of lesson 17: taps of kernels, what each stream reads, how the streams are wired, outputs by depth."""

import drawing
import numpy as np

import minipixel as mp
from drawings.lines import LINES


def views(seen, position, columns=4):
    """What the pixel at `position` reads: boolean (H, W) by title, as maps with a legend -> Figure."""
    rows = -(-len(seen) // columns)
    H, W = next(iter(seen.values())).shape
    figure = mp.plots.figure(8.4, rows * (8.4 / columns * H / W + 0.55) + 0.45)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    shown = set()
    for ax, (title, view) in zip(axes, seen.items(), strict=False):
        roles = drawing.roles_of(view, position)
        drawing.cells(ax, roles, title=title)
        if view[position]:
            ax.plot(position[1], position[0], "o", color="white", markersize=5)
        shown |= set(roles.ravel())
    for ax in axes[len(seen) :]:
        ax.set_axis_off()
    drawing.legend(figure, *(role for role in drawing.ROLES if role in shown))
    return figure


def streams():
    """The two streams of PixelCNN++ from the image to the end of the second pair of layers -> Figure."""
    d = drawing.Diagram(8.4, 5.3)
    left, right = 2.4, 5.4
    image = d.box(3.9, 0.35, "image, with a channel of ones", "value", width=2.6)
    above = d.box(left, 1.2, "2x3 conv", width=1.2)
    up = d.box(4.5, 1.2, "1x3 conv", width=1.2)
    before = d.box(6.3, 1.2, "2x1 conv", width=1.2)
    for conv in (above, up, before):
        d.arrow(image, conv)
    u = d.box(left, 2.0, "shift down", "gate", width=1.2)
    ul_down = d.box(4.5, 2.0, "shift down", "gate", width=1.2)
    ul_right = d.box(6.3, 2.0, "shift right", "gate", width=1.2)
    d.arrow(above, u)
    d.arrow(up, ul_down)
    d.arrow(before, ul_right)
    ul = d.circle(right, 2.6, "+")
    d.arrow(ul_down, ul)
    d.arrow(ul_right, ul)
    for y in (3.4, 4.3):
        next_u = d.box(left, y, "residual of 2x3 convs", width=1.7)
        next_ul = d.box(right, y, "residual of 2x2 convs", width=1.7)
        d.arrow(u, next_u)
        d.arrow(ul, next_ul)
        d.arrow(next_u, next_ul)
        u, ul = next_u, next_ul
    d.arrow(u, (left, 5.05, 0, 0))
    d.arrow(ul, (right, 5.05, 0, 0))
    d.note(0.1, 4.95, "stream u:")
    d.note(0.1, 4.72, "all rows above")
    d.note(6.6, 4.95, "stream ul: above,")
    d.note(6.6, 4.72, "and left of the pixel")
    d.note(3.9, 3.53, "ul reads u", align="center")
    d.note(3.9, 4.43, "ul reads u", align="center")
    d.note(0.1, 2.0, "from here on no value")
    d.note(0.1, 1.77, "knows its own pixel")
    return d.figure


def deviations(curves):
    """The standard deviation of each layer's outputs, (layers,) by label -> Figure."""
    figure = mp.plots.figure(7.4, 2.8)
    ax = figure.subplots()
    for colour, (label, curve) in zip((LINES[2], LINES[1], LINES[3]), curves.items(), strict=False):
        ax.plot(range(1, len(curve) + 1), curve, "o-", markersize=4, color=colour, label=label)
    ax.axhline(1, color=LINES[0], linewidth=0.6, linestyle=":")
    ax.set(xlabel="layer, in the order of the computation", ylabel="standard deviation", ylim=(0, None))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, fontsize=8)
    return figure


def listen(model, images, labels=None):
    """The standard deviation of what each weight-normalised layer of a model puts out, in order -> list."""
    heard, call = [], mp.nn.WeightNorm.__call__

    def listening(layer, *inputs):
        y = call(layer, *inputs)
        heard.append(float(np.std(y.data if isinstance(y, mp.Tensor) else y)))
        return y

    mp.nn.WeightNorm.__call__ = listening
    try:
        with mp.kernels.as_written():
            model.predict(images, labels)
    finally:
        mp.nn.WeightNorm.__call__ = call
    return heard
