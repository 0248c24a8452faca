"""Figures of lesson 09: the masks of two stacks, the gate, one layer, what is seen, and how two models train."""

import numpy as np
from drawing import INK, ROLES, Diagram, cells, roles_of
from matplotlib.patches import Patch

import minipixel as mp

GREY = "#8d99a6"


def shares(depths, curves):
    """The share of the past that is seen by depth: a curve for each name -> list of shares."""
    figure, ax = _curves(depths, curves, "layers", "share of the past that is seen")
    ax.axhline(1, color=GREY, linewidth=0.6)
    ax.set_ylim(0, 1.06)
    return figure


def training(curves):
    """Validation bits/dim after each epoch: a curve for each name."""
    epochs = range(1, 1 + max(len(curve) for curve in curves.values()))
    return _curves(epochs, curves, "epoch", "bits/dim of the validation digits")[0]


def _curves(places, curves, along, up):
    """Two curves over the same places, the first one drawn through and the second one dashed."""
    figure = mp.plots.figure(6.0, 2.9)
    ax = figure.subplots()
    for (name, curve), colour, line in zip(curves.items(), (INK, GREY), ("-", "--"), strict=True):
        ax.plot(places, curve, color=colour, linestyle=line, marker=".", label=name)
    ax.set(xlabel=along, ylabel=up)
    ax.legend(frameon=False, fontsize=8)
    return figure, ax


def masks(by_title):
    """Kernels side by side, boolean (kh, kw): open taps in the colour of what is read, a dot on the centre."""
    widths = [mask.shape[1] for mask in by_title.values()]
    figure = mp.plots.figure(7.8, 3.1)
    axes = figure.subplots(1, len(widths), width_ratios=widths)
    for ax, (title, mask) in zip(axes, by_title.items(), strict=True):
        centre = (mask.shape[0] // 2, mask.shape[1] // 2)
        roles = roles_of(mask, centre)
        roles[roles == "leak"] = "past"  # the open centre of a mask B reads features, which know nothing of the pixel
        dots = np.full(mask.shape, "")
        dots[centre] = "•"
        cells(ax, roles, numbers=dots, title=f"{title}\n{mask.sum()} of {mask.size} open", axes=("taps", ""))
        ax.set(xticks=[], yticks=[])
        ax.title.set_size(7.5)
    words = {"past": "open: past, read", "blind": "shut, though past", "this pixel": "shut: this pixel",
             "future": "shut: future"}  # fmt: skip
    patches = [Patch(facecolor=ROLES[role], edgecolor="#b8bec4", label=text) for role, text in words.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def gate(a, b, surface):
    """The gate as a surface over a and b, and cut along three values of b."""
    figure = mp.plots.figure(7.2, 2.9)
    left, right = figure.subplots(1, 2)
    figure.colorbar(left.contourf(a, b, surface, levels=np.linspace(-1, 1, 17), cmap="BrBG"), ax=left)
    left.set(xlabel="a: what", ylabel="b: how much", title="y = tanh(a) sigmoid(b)", aspect="equal")
    for row, line in ((70, "-"), (40, "--"), (10, ":")):
        right.plot(a[row], surface[row], color=INK, linestyle=line, label=f"b = {b[row, 0]:.0f}")
    right.set(xlabel="a", ylabel="y", title="b opens and closes")
    right.legend(frameon=False, fontsize=8)
    return figure


def gated_block():
    """Diagram: the 2K channels that come in are two halves, and K come out."""
    picture = Diagram(7.4, 2.0)
    both = picture.box(0.95, 1.0, "x: 2K channels", "value", 1.5)
    a = picture.box(2.75, 1.55, "a: first K", "value", 1.1)
    b = picture.box(2.75, 0.45, "b: last K", "value", 1.1)
    what = picture.box(4.3, 1.55, "tanh", "gate", 1.0)
    how_much = picture.box(4.3, 0.45, "sigmoid", "gate", 1.0)
    product = picture.circle(5.4, 1.0, r"$\times$")
    y = picture.box(6.5, 1.0, "y: K channels", "value", 1.4)
    for start, end in ((both, a), (both, b), (a, what), (b, how_much), (what, product), (how_much, product)):
        picture.arrow(start, end)
    picture.arrow(product, y)
    picture.note(4.9, 1.72, "what: -1 to 1")
    picture.note(4.9, 0.28, "how much: 0 to 1")
    return picture.figure


def two_stacks():
    """Diagram: one layer of both stacks, from below upwards."""
    picture = Diagram(7.8, 5.3)
    v = picture.box(1.7, 0.35, "v: the rows above", "value", 2.3)
    look = picture.box(1.7, 1.25, "n x n, whole rows", "layer", 2.3)
    above = picture.box(1.7, 2.15, "above: 2K channels", "value", 2.3)
    v_gate = picture.box(1.7, 3.6, "gate", "gate", 2.3)
    v_next = picture.box(1.7, 4.9, "v of the next layer", "value", 2.3)
    link = picture.box(3.85, 2.15, "1 x 1: the link", "layer", 1.3)
    h = picture.box(5.8, 0.35, "h: the pixel's own row, too", "value", 2.1)
    along = picture.box(5.8, 1.25, "1 x n, to the left", "layer", 2.1)
    plus = picture.circle(5.8, 2.15, "+")
    h_gate = picture.box(5.8, 2.85, "gate", "gate", 2.1)
    out = picture.box(5.8, 3.6, "1 x 1", "layer", 2.1)
    add = picture.circle(5.8, 4.25, "+")
    h_next = picture.box(5.8, 4.9, "h of the next layer", "value", 2.1)
    for start, end in ((v, look), (look, above), (above, v_gate), (v_gate, v_next), (above, link), (link, plus)):
        picture.arrow(start, end)
    for start, end in ((h, along), (along, plus), (plus, h_gate), (h_gate, out), (out, add), (add, h_next)):
        picture.arrow(start, end)
    picture.around(h, add, "residual", reach=0.2)
    picture.note(1.95, 2.88, "2K channels")
    picture.note(1.95, 4.25, "K channels")
    picture.note(0.55, 0.0, "vertical stack")
    picture.note(4.75, 0.0, "horizontal stack")
    picture.note(3.2, 1.7, "before the gate;\nnothing comes back")
    return picture.figure
