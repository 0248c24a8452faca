"""Figures of lesson 12: the order of the colours, green when red is known, and who reads whom."""

import numpy as np
from drawing import INK, ROLES, Diagram, cells, roles_of
from matplotlib.patches import Patch

import minipixel as mp

PALE = "#d3d7da"


def order():
    """Diagram: what each colour of a pixel is predicted from."""
    picture = Diagram(7.4, 2.6)
    earlier = picture.box(1.0, 1.3, "all colours of\nearlier pixels", "value", 1.5, 0.6)
    red = picture.box(3.1, 2.2, "p(R | ...)", "layer", 1.3)
    green = picture.box(4.6, 1.3, "p(G | ..., R)", "layer", 1.3)
    blue = picture.box(6.3, 0.4, "p(B | ..., R, G)", "layer", 1.7)
    for place in (red, green, blue):
        picture.arrow(earlier, place)
    picture.arrow(red, green, "R")
    picture.arrow(green, blue, "G")
    picture.ax.plot([3.75, 6.8], [2.2, 2.2], color=INK, linewidth=1)
    picture.arrow((6.8, 2.2, 0, 0), (6.8, 0.4, 1.7, 0.42))
    picture.note(6.88, 1.35, "R")
    return picture.figure


def green_given_red(joint):
    """How common each level of green is, with each level of red (dark) and in all (pale): counts (Q, Q) -> Figure."""
    Q = len(joint)
    figure = mp.plots.figure(7.6, 2.4)
    alone = joint.sum(axis=0) / joint.sum()
    axes = figure.subplots(1, Q, sharey=True)
    for red, ax in enumerate(axes):
        ax.bar(range(Q), alone, color=PALE, width=0.95, label="green alone")
        ax.bar(range(Q), joint[red] / joint[red].sum(), color=INK, width=0.5, label="green when red is known")
        ax.set(xlabel="level of green", ylim=(0, 1), xticks=range(Q))
        ax.set_title(f"red = {red}", fontsize=10)
    axes[0].set_ylabel("share of pixels")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def tables(by_title):
    """The centre tap of a mask, boolean (K_out, K_in), channels dealt out in turn to red, green and blue."""
    figure = mp.plots.figure(6.8, 3.9)
    widths = [table.shape[1] for table in by_title.values()]
    for ax, (title, table) in zip(figure.subplots(1, len(widths), width_ratios=widths), by_title.items(), strict=True):
        K_out, K_in = table.shape
        cells(ax, np.where(table, "past", "future"), title=title, axes=("is read", "reads"))
        ax.set_xticks(range(K_in), ["RGB"[k % 3] for k in range(K_in)])
        ax.set_yticks(range(K_out), ["RGB"[k % 3] for k in range(K_out)])
    _legend(figure, {"past": "open", "future": "shut"})
    return figure


def who_reads_whom(by_title):
    """Which colours of a pixel (rows) read which colours of the same pixel (columns): title -> boolean (3, 3)."""
    figure = mp.plots.figure(7.8, 8.0 / len(by_title) + 0.75)
    for ax, (title, reads) in zip(figure.subplots(1, len(by_title)), by_title.items(), strict=True):
        roles = np.concatenate([roles_of(reads[k][None], (0, k)) for k in range(3)])
        cells(ax, roles, title=title, axes=("is read", "reads"))
        ax.set_xticks(range(3), "RGB")
        ax.set_yticks(range(3), "RGB")
    words = {"past": "earlier, read", "blind": "earlier, not read", "this pixel": "itself, not read",
             "future": "later, not read", "leak": "a leak"}  # fmt: skip
    _legend(figure, words)
    return figure


def _legend(figure, words):
    patches = [Patch(facecolor=ROLES[role], edgecolor="#b8bec4", label=text) for role, text in words.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)


def samples(real, in_turn, blind, levels):
    """Real pictures, pictures of one model below, and pictures of another below these."""
    return _rows({"real": real, "in turn": in_turn, "blind": blind}, levels)


def growing(images, levels):
    """Pictures (N, H, W, 3): their red alone, red and green, all three."""
    names = ("red", "and green", "and blue")
    return _rows({name: images * (np.arange(3) <= last) for last, name in enumerate(names)}, levels)


def _rows(by_name, levels):
    """A row of pictures (N, H, W, 3) for each name, which stands at its left."""
    N, H, _, _ = next(iter(by_name.values())).shape
    pictures = np.concatenate(list(by_name.values()))
    figure = mp.plots.image_grid(pictures.astype("uint8"), levels, columns=N)
    figure.axes[0].set_yticks(np.arange(len(by_name)) * (H + 1) + H / 2, list(by_name))
    return figure
