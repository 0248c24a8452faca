"""How the lessons draw: one meaning for each colour, maps of pixels with a legend, and diagrams of boxes and arrows."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle

import minipixel as mp

INK = mp.plots.INK

# What a pixel is to the pixel that asks, and its colour: the same in every figure of the course.
ROLES = {
    "future": "#f1efe9",  # drawn later; it must not be read
    "past": "#2f6f9f",  # drawn earlier, and read
    "this pixel": "#d9822b",  # the one that asks
    "blind": "#c9b3dd",  # drawn earlier, and yet never read
    "leak": "#c3272b",  # read, and yet not drawn earlier
    "computed now": "#5b9e6b",  # worked out at this step
    "kept": "#a9cbe3",  # worked out before, and kept
}
ON_DARK = {"past", "this pixel", "leak", "computed now"}


def cells(ax, roles, *, numbers=None, title="", axes=("column c", "row r")):
    """Draw a map of pixels on given axes: `roles` (H, W) are names from ROLES, `numbers` (H, W) are written in."""
    roles = np.asarray(roles)
    H, W = roles.shape
    ax.imshow([[to_rgb(ROLES[role]) for role in row] for row in roles], interpolation="nearest")
    for r, c in np.ndindex(H, W):
        ax.add_patch(Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, edgecolor="white", linewidth=1))
        if numbers is not None:
            ink = "white" if roles[r, c] in ON_DARK else INK
            ax.text(c, r, numbers[r][c], ha="center", va="center", fontsize=8, color=ink)
    ax.set(xlabel=axes[0], ylabel=axes[1], title=title)
    ax.set_xticks(range(0, W, max(1, W // 5)))
    ax.set_yticks(range(0, H, max(1, H // 5)))
    ax.tick_params(labelsize=7, length=0)
    ax.xaxis.label.set_size(8)
    ax.yaxis.label.set_size(8)
    ax.title.set_size(9)
    ax.spines[:].set_visible(False)


def roles_of(seen, position):
    """What each pixel is to the one at `position` (r, c), in raster order: boolean (H, W), what it reads -> names."""
    seen = np.asarray(seen, bool)
    place = np.arange(seen.size).reshape(seen.shape)
    earlier = place < place[position]
    roles = np.where(earlier, np.where(seen, "past", "blind"), np.where(seen, "leak", "future")).astype("<U12")
    if not seen[position]:
        roles[position] = "this pixel"
    return roles


def legend(figure, *roles):
    """A legend below the figure, of the roles that it shows."""
    patches = [Patch(facecolor=ROLES[role], edgecolor="#b8bec4", linewidth=0.5, label=role) for role in roles]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)


# What a box of a diagram stands for, and its colour.
KINDS = {"value": "#e8eef3", "layer": "#bcd4e6", "gate": "#f3d9b8", "loss": "#e9c4c4"}


class Diagram:
    """Boxes and arrows on a canvas of `width` x `height` units, an inch each; x to the right, y upwards."""

    def __init__(self, width, height):
        self.figure = mp.plots.figure(width, height)
        self.ax = self.figure.subplots()
        self.ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        self.ax.set_axis_off()

    def box(self, x, y, text, kind="layer", width=1.3, height=0.42):
        """A box around (x, y), and its place: (x, y, width, height). A "value" holds numbers, a "layer" makes some."""
        corner = (x - width / 2, y - height / 2)
        style = "round,pad=0,rounding_size=0.08"
        self.ax.add_patch(
            FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=KINDS[kind], edgecolor=INK, linewidth=0.8)
        )
        self.ax.text(x, y, text, ha="center", va="center", fontsize=8, color=INK)
        return x, y, width, height

    def circle(self, x, y, text, radius=0.16):
        """A small circle around (x, y) for + or x, and its place."""
        from matplotlib.patches import Circle

        self.ax.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=INK, linewidth=0.8))
        self.ax.text(x, y, text, ha="center", va="center", fontsize=9, color=INK)
        return x, y, 2 * radius, 2 * radius

    def arrow(self, start, end, text="", bend=0.0, colour=INK):
        """An arrow from one place to another, from edge to edge; `bend` curves it, `text` stands beside it."""
        (x, y), (to_x, to_y) = _edge(start, end), _edge(end, start)
        self.ax.add_patch(
            FancyArrowPatch((x, y), (to_x, to_y), arrowstyle="-|>", mutation_scale=9, linewidth=1, color=colour,
                            shrinkA=1, shrinkB=1, connectionstyle=f"arc3,rad={bend}")
        )  # fmt: skip
        if text:
            self.note((x + to_x) / 2 + 0.06, (y + to_y) / 2 + 0.08, text, colour)

    def around(self, start, end, text="", reach=0.35, colour=INK):
        """An arrow around what lies between two places: out at the right of one, in at the right of the other.

        A negative `reach` goes around at the left.
        """
        side = 1 if reach > 0 else -1
        (x, y), (to_x, to_y) = ((place[0] + side * place[2] / 2, place[1]) for place in (start, end))
        out = max(side * x, side * to_x) * side + reach
        self.ax.plot([x, out, out], [y, y, to_y], color=colour, linewidth=1)
        self.ax.add_patch(FancyArrowPatch((out, to_y), (to_x, to_y), arrowstyle="-|>", mutation_scale=9, linewidth=1,
                                          color=colour, shrinkA=0, shrinkB=1))  # fmt: skip
        if text:
            self.note(out + side * 0.06, (y + to_y) / 2, text, colour, "left" if side > 0 else "right")

    def cells(self, x, y, roles, numbers=None, size=0.3):
        """A map of pixels, its upper left corner at (x, y); `roles` (H, W), "" for no pixel. The places, [r][c]."""
        roles = np.asarray(roles)
        places = np.empty(roles.shape, object)
        for r, c in np.ndindex(roles.shape):
            place = (x + (c + 0.5) * size, y - (r + 0.5) * size, size, size)
            places[r, c] = place
            if roles[r, c]:
                corner = (place[0] - size / 2, place[1] - size / 2)
                colour = ROLES[roles[r, c]]
                self.ax.add_patch(Rectangle(corner, size, size, facecolor=colour, edgecolor="white", linewidth=1))
                ink = "white" if roles[r, c] in ON_DARK else INK
                text = "" if numbers is None else numbers[r][c]
                self.ax.text(place[0], place[1], text, ha="center", va="center", fontsize=7.5, color=ink)
        return places

    def note(self, x, y, text, colour=INK, align="left"):
        """Words without a box."""
        self.ax.text(x, y, text, ha=align, va="center", fontsize=7.5, color=colour)


def _edge(start, end):
    """Where the line from the middle of one place to that of another leaves the first."""
    x, y, width, height = start
    dx, dy = end[0] - x, end[1] - y
    reach = min((width / 2) / abs(dx) if dx else np.inf, (height / 2) / abs(dy) if dy else np.inf, 1)
    return x + dx * reach, y + dy * reach
