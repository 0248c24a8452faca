"""Plots: functions that take arrays and return matplotlib Figures; `growing` returns the bytes of an animation.

Nothing is shown, and no global state is changed: save a Figure with `.savefig(path)`. A notebook shows a Figure that is
the value of a cell, or that is passed to `display`.

Images of one channel are shown in grey, those of three in colour, and those of four in colour over a chequerboard,
which shows through where alpha, the fourth channel, is low. With any other number of channels each channel is a grey
picture, an image is a group of such pictures, row by row, and fewer images stand side by side than `columns` says.
"""

import io
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from minipixel import tiles
from minipixel.growing import growing as growing

DPI = 120
INK, OPEN, SHUT, CENTRE = "#20262e", "#2f6f9f", "#f1efe9", "#d9822b"
TRAINED, HELD_OUT = "#8a929c", "#7b3f6e"  # curves: not the colours that pixels have
LEAKED = "#c3272b"
"""The colour of a leak: something that is read, but must not be."""
UNKNOWN = "#9a8465"
"""The colour of a completion's unknown pixels: no grey picture has it, and it means neither past nor future."""


def figure(width: float, height: float) -> Any:
    """An empty Figure of that size in inches, made without pyplot, so that it needs no screen and no closing.

    Notebooks can only draw a Figure by themselves after pyplot was imported; otherwise they call its `_repr_png_`,
    which is added here.
    """
    from matplotlib.figure import Figure

    fig: Any = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    fig._repr_png_ = partial(png, fig)
    return fig


def png(figure: Any) -> bytes:
    """A Figure as the bytes of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def mosaic(images: np.ndarray, levels: int, *, columns: int = 10) -> np.ndarray:
    """Images row by row in one array, with gaps: integers (N, H, W, C) in 0..Q-1 -> (height, width, 3) in 0..1.

    `levels` is Q, and `columns` the number of images side by side.
    """
    return tiles.side_by_side(tiles.colours(images, levels), tiles.abreast(columns, images.shape[3]))


def image_grid(images: np.ndarray, levels: int, *, columns: int = 10, title: str = "") -> Any:
    """A grid of images: integers (N, H, W, C) in 0..Q-1 -> Figure; `levels` is Q, `columns` how many stand in a row."""
    return _grids([("", tiles.colours(images, levels))], columns, tiles.abreast(columns, images.shape[3]), title)


def size_of_grid(shape: tuple[int, ...], *, columns: int = 10) -> tuple[int, int]:
    """Height and width in pixels of the `image_grid` of images (N, H, W, C); matplotlib can draw fewer than 2**16."""
    height, width = tiles.size_of(shape, columns)
    wide = _width(columns, width)
    return math.ceil(DPI * (wide * height / width + 0.22)), math.ceil(DPI * (wide + 0.7))


def sample_grid(real: np.ndarray, generated: np.ndarray, levels: int, *, columns: int = 10, title: str = "") -> Any:
    """Real images in the top row, generated ones below: integers (N, H, W, C) in 0..Q-1 -> Figure."""
    abreast = tiles.abreast(columns, real.shape[3])
    parts = [("real", tiles.colours(real[:abreast], levels)), ("generated", tiles.colours(generated, levels))]
    return _grids(parts, columns, abreast, title)


def completion_grid(images: np.ndarray, known: np.ndarray, completions: np.ndarray, levels: int) -> Any:
    """The known part of each image, its completions, and the image itself, one column per image -> Figure.

    `images` are integers (N, H, W, C) in 0..Q-1, `known` is boolean (H, W) or (N, H, W), `completions` are integers
    (times, N, H, W, C), and `levels` is Q. Unknown pixels are brown, and in the completions a brown line separates
    known from drawn pixels. Ten images stand side by side.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    known, times, C = np.broadcast_to(known, images.shape[:3]).astype(int), len(completions), images.shape[3]
    columns = min(tiles.abreast(10, C), len(images))
    real = tiles.colours(images, levels)
    if not tiles.in_one_picture(C):
        known = tiles.group(np.broadcast_to(known[..., None], images.shape), -1)
    given = np.where(known[..., None] == 0, to_rgb(UNKNOWN), real)
    bands = [slice(first, first + columns) for first in range(0, len(images), columns)]
    parts, seams = [], []
    for band in bands:
        here = completions[:, band]
        blank = np.full((-here.shape[1] % columns, *real.shape[1:]), tiles.BETWEEN)  # fills the last band's rows
        drawn = [np.concatenate([tiles.colours(one, levels), blank]) for one in here]
        parts += [("known", given[band]), ("completed", np.concatenate(drawn)), ("real", real[band])]
        fills = np.zeros(blank.shape[:3], int)
        seams.append(tiles.seams(np.concatenate([np.concatenate([known[band], fills])] * times), columns))
    fig = _grids(parts, min(10, len(images)), columns, "")
    for ax, lines in zip(fig.axes[1::3], seams, strict=True):
        ax.add_collection(LineCollection(lines, colors=UNKNOWN, linewidths=1))
    return fig


def nearest_grid(drawn: np.ndarray, nearest: np.ndarray, levels: int, *, columns: int = 10) -> Any:
    """Each drawn image above the images that are nearest to it, the nearest first -> Figure.

    `drawn` are integers (N, H, W, C) in 0..Q-1, and `nearest` (N, count, H, W, C): these are `among[indices]` with the
    indices of `mp.datasets.nearest`. `levels` is Q, and `columns` is how many drawn images stand side by side.
    """
    columns = min(tiles.abreast(columns, drawn.shape[3]), len(drawn))
    rows = [tiles.colours(one, levels) for one in (drawn, *np.moveaxis(nearest, 1, 0))]
    blank = np.full((-len(drawn) % columns, *rows[0].shape[1:]), tiles.BETWEEN)  # fills the last band's rows
    rows = [np.concatenate([row, blank]) for row in rows]
    bands = range(0, len(drawn), columns)
    parts = [("", np.concatenate([row[first : first + columns] for row in rows])) for first in bands]
    fig = _grids(parts, columns, columns, "")
    fig.get_layout_engine().set(h_pad=0.08)
    names = ["drawn", "nearest", *["next"] * len(rows)][: len(rows)]
    for ax in fig.axes:
        centres = (np.arange(len(rows)) + 0.5) * ax.images[0].get_array().shape[0] / len(rows) - 0.5
        ax.set_yticks(centres, names, rotation=90, va="center", color=INK)
        ax.tick_params(length=0)
    return fig


def loss_curve(history: Mapping[str, list[float]]) -> Any:
    """Bits/dim after each epoch, for training and for validation if there was any: a History's `history` -> Figure.

    A dot marks the best epoch in validation. The learning rate is drawn below if it changed. For an embedding network,
    which has no bits/dim, it is the triplet loss of each step.
    """
    rates = history.get("learning_rate", [])
    panels = 2 if len(set(rates)) > 1 else 1
    fig = figure(5.5, 3.4 + (panels - 1))
    ax, *below = fig.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=(3.4, 1)[:panels])[:, 0]
    bits = "bits_per_dim" in history
    names = ("bits_per_dim", "val_bits_per_dim") if bits else ("loss",)
    curves = [
        (label, colour, np.asarray(history[name], float))
        for name, label, colour in zip(names, ("training", "validation"), (TRAINED, HELD_OUT), strict=False)
        if history.get(name)
    ]
    lowest = min((values[-1] for _, _, values in curves), default=0)
    for label, colour, values in curves:
        counts = np.arange(1, len(values) + 1)
        ax.plot(counts, values, color=colour, linewidth=1.8, marker="o" if len(values) == 1 else None, label=label)
        under = values[-1] == lowest and len(curves) > 1
        ax.annotate(
            *(f"{values[-1]:.3f}", (counts[-1], values[-1])),
            **{"xytext": (4, -2 if under else 2), "textcoords": "offset points"},
            **{"va": "top" if under else "bottom", "color": colour},
        )
        if label == "validation" and len(values) > 1 and np.isfinite(values).any():
            best = int(np.nanargmin(values))
            ax.plot(counts[best], values[best], "o", color=colour, label=f"best: {values[best]:.3f}, epoch {best + 1}")
    ax.set_ylabel("bits/dim" if bits else "triplet loss")
    ax.legend(frameon=False)
    for panel in below:
        panel.plot(np.arange(1, len(rates) + 1), rates, color=INK, linewidth=1.2)
        panel.set_ylabel("learning rate")
        panel.set_ylim(bottom=0)
        panel.ticklabel_format(axis="y", scilimits=(-2, 3))
    for panel in (ax, *below):
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.margins(x=0.1, y=0.1)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    fig.axes[-1].set_xlabel("epoch" if bits else "step")
    return fig


def mask(mask: np.ndarray, *, title: str = "") -> Any:
    """The taps of a mask, boolean (kh, kw) or (kh, kw, K_in, K_out) -> Figure.

    Each tap is filled in proportion to the share of its weights that are open; the centre has a frame.
    """
    share = mask.astype(float) if mask.ndim == 2 else mask.mean(axis=(2, 3))
    kh, kw = share.shape
    fig = figure(0.5 * kw + 0.3, 0.5 * kh + (0.6 if title else 0.3))
    ax = fig.subplots()
    draw_mask(ax, share)
    if title:
        ax.set_title(title, fontsize=10, color=INK)
    return fig


def draw_mask(ax: Any, share: np.ndarray) -> None:
    """Draw a kernel on given axes; `share` (kh, kw) in 0..1 is the share of each tap's weights that are open."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    kh, kw = share.shape
    colours = LinearSegmentedColormap.from_list("open", [SHUT, OPEN])
    ax.pcolormesh(share, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=2)
    ax.add_patch(Rectangle((kw // 2, kh // 2), 1, 1, fill=False, edgecolor=CENTRE, linewidth=2.5))
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set_axis_off()


def clock(maps: Mapping[str, np.ndarray], limits: Mapping[str, np.ndarray] | None = None) -> Any:
    """The step after which each value of some maps is known, written in its cell: integers (H, W) by title -> Figure.

    Early steps are pale and late ones dark, on one scale for all maps. Cells below 0 mean never, and stay empty.
    `limits` may have an array (H, W) under the title of a map; then a frame marks cells that are later than that.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    shades = LinearSegmentedColormap.from_list("late", ["#ffffff", "#cfe0ec", OPEN, "#173a57"]).with_extremes(
        under=SHUT
    )
    latest = max(1, *(int(cells.max()) for cells in maps.values()))
    widths, height = [cells.shape[1] for cells in maps.values()], max(len(cells) for cells in maps.values())
    cell = min(0.36, 8.4 / sum(widths))
    fig = figure(cell * sum(widths) + 0.15 * len(maps) + 0.9, cell * height + 0.7)
    axes = fig.subplots(1, len(maps), squeeze=False, width_ratios=widths)[0]
    for ax, (title, cells) in zip(axes, maps.items(), strict=True):
        H, W = cells.shape
        mesh = ax.pcolormesh(cells, cmap=shades, vmin=0, vmax=latest, edgecolors="#c9ced4", linewidth=0.5)
        for (r, c), step in np.ndenumerate(cells):
            if step >= 0:
                ink = "white" if step > 0.55 * latest else INK
                ax.text(c + 0.5, r + 0.5, step, ha="center", va="center", fontsize=min(9, 28 * cell), color=ink)
        for r, c in np.argwhere(cells > limits[title]) if limits and title in limits else ():
            ax.add_patch(Rectangle((c + 0.08, r + 0.08), 0.84, 0.84, fill=False, edgecolor=LEAKED, linewidth=2))
        ax.set(aspect="equal", xlim=(0, W), ylim=(H, 0), xticks=[], yticks=[])
        ax.set_title(title, fontsize=9, color=INK)
        ax.set_xlabel("column c", fontsize=8, color=INK)
        ax.spines[:].set_visible(False)
    axes[0].set_ylabel("row r", fontsize=8, color=INK)
    bar = fig.colorbar(mesh, ax=list(axes), pad=0.015, aspect=14)
    bar.set_label("step", fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return fig


def _grids(parts: list[tuple[str, np.ndarray]], columns: int, abreast: int, title: str) -> Any:
    """Mosaics of colours (N, H, W, 3), one below the other, each with its name at its left, as wide as `columns`."""
    mosaics = [(name, tiles.side_by_side(colours, abreast)) for name, colours in parts if len(colours)]
    heights = [mosaic.shape[0] / mosaic.shape[1] for _, mosaic in mosaics]
    width = _width(columns, max(mosaic.shape[1] for _, mosaic in mosaics))
    fig = figure(width + 0.7, width * sum(heights) + 0.12 * len(parts) + (0.35 if title else 0.1))
    axes = fig.subplots(len(mosaics), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (name, mosaic) in zip(axes, mosaics, strict=True):
        ax.imshow(mosaic, interpolation="nearest")
        ax.set_ylabel(name, color=INK, fontsize=10)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
    if title:
        fig.suptitle(title, fontsize=11, color=INK)
    return fig


def _width(columns: int, pixels: int) -> float:
    """The width in inches of a mosaic of so many `columns` and pixels; each pixel is at least one of the figure."""
    return max(min(6.6, 1.1 * columns), pixels / DPI)
