"""The figure of a report: which sub-pixels outputs depend on. Arrays go in, and a matplotlib Figure comes out."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minipixel.plots import CENTRE, INK, LEAKED, OPEN, SHUT, figure
from minipixel.shown import of_channel

LATER, SEEN, BLIND, ITSELF, LEAK = range(5)
"""What an input is to an output; where several share a dot of the picture, the one named last is shown."""
SHADES = (SHUT, OPEN, "#c9b3dd", CENTRE, LEAKED)
LEGEND = ("later, unseen", "seen", "blind: earlier, never seen", "itself", "leaked: seen, though itself or later")
DOTS = 400
"""Up to how many dots a matrix is drawn."""
MAPS = 4
"""Of up to so many channels each has a map of its own."""
RINGED = 20
"""Up to how many leaks are ringed, since one dot is easily overlooked."""


def kinds(order: np.ndarray, dependencies: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """The kind of each sub-pixel for each output: (H, W, C), boolean (rows, S), places (rows,) -> (rows, S) of five."""
    place = order.ravel()
    earlier = place[None, :] < place[outputs, None]
    found = np.where(earlier, np.where(dependencies, SEEN, BLIND), np.where(dependencies, LEAK, LATER))
    itself = np.arange(len(outputs)), outputs
    found[itself] = np.where(dependencies[itself], LEAK, ITSELF)
    return found


def causality(
    order: np.ndarray, dependencies: np.ndarray, outputs: np.ndarray, output: Sequence[int] | None = None
) -> Any:
    """Three plots: the dependency matrix, what one output sees, and how much of its past each output sees -> Figure.

    The second has one map per channel; more than MAPS channels stand side by side in one map. `order` is (H, W, C),
    `dependencies` boolean (rows, S) for `outputs` (rows,), places in raster order.
    """
    if not len(outputs):
        raise ValueError(
            "plot: got a report without any outputs, wanted one; where images see each other none is looked at"
        )
    H, W, C = order.shape
    found = kinds(order, dependencies, outputs)
    row = _row(found, outputs, order.shape, output)
    panel = 3.4
    height = panel * min(max(H / W, 0.6), 1.4) + 1.0
    maps = C if C <= MAPS else 1
    fig = figure(panel * (2 + maps) + 0.6, max(height, panel + 1.0))
    axes = fig.subplots(1, 2 + maps)
    _matrix(axes[0], found, order, outputs)
    r, c, k = (int(i) for i in np.unravel_index(outputs[row], order.shape))
    sees, cells = f"what ({r}, {c}){of_channel(k, C)} sees", found[row].reshape(H, W, C)
    for channel, ax in enumerate(axes[1:-1]):
        if maps == C:
            _field(ax, cells[:, :, channel], (r, c))
        else:
            _fields(ax, cells, (r, c))
        each = f" of{of_channel(channel, C)}" if C > 1 else ""
        ax.set_title(sees + (each if maps == C else " of each channel"), fontsize=10, color=INK)
    _share(fig, axes[-1], found, outputs, order.shape)
    _legend(fig, found)
    return fig


def _row(found: np.ndarray, outputs: np.ndarray, shape: tuple[int, ...], output: Sequence[int] | None) -> int:
    """The row of the output to show: the one asked for, or the one nearest to two thirds down, if possible a leak.

    Of its colours it is the last, which may see the most.
    """
    if output is not None:
        asked = np.flatnonzero(outputs == np.ravel_multi_index(tuple(output), shape))
        if not len(asked):
            raise ValueError(
                f"output: got {tuple(output)}, wanted one of the {len(outputs)} outputs that were looked at"
            )
        return int(asked[0])
    r, c, channel = np.unravel_index(outputs, shape)
    H, W, C = shape
    distance = np.abs(r - 2 * H // 3) + np.abs(c - W // 2) + (C - 1 - channel) / C
    leaks = (found == LEAK).any(axis=1)
    return int(np.where(leaks | ~leaks.any(), distance, np.inf).argmin())


def _matrix(ax: Any, found: np.ndarray, order: np.ndarray, outputs: np.ndarray) -> None:
    """Draw the matrix: outputs downwards, inputs to the right, both in the order of drawing."""
    place = order.ravel()
    rows, columns = np.argsort(place[outputs], kind="stable"), np.argsort(place, kind="stable")
    ordered = found[np.ix_(rows, columns)]
    _paint(ax, _fewer(_fewer(ordered, 0), 1), (0, ordered.shape[1], ordered.shape[0], 0))
    leaks = np.argwhere(ordered == LEAK)
    if len(leaks) <= RINGED:
        ax.scatter(leaks[:, 1] + 0.5, leaks[:, 0] + 0.5, s=40, facecolors="none", edgecolors=SHADES[LEAK], linewidths=1)
    ax.set_aspect("auto")
    ax.set_box_aspect(1)
    ax.set_title("what depends on what", fontsize=10, color=INK)
    ax.set_xlabel("input, in the order of drawing", fontsize=9, color=INK)
    ax.set_ylabel("output" if len(outputs) == order.size else f"{len(outputs)} outputs", fontsize=9, color=INK)


def _field(ax: Any, cells: np.ndarray, output: tuple[Any, Any]) -> None:
    from matplotlib.patches import Rectangle

    H, W = cells.shape
    _paint(ax, cells, (0, W, H, 0))
    for at in range(1, max(H, W)):
        if at < W:
            ax.axvline(at, color="white", linewidth=0.5)
        if at < H:
            ax.axhline(at, color="white", linewidth=0.5)
    ax.add_patch(Rectangle((output[1], output[0]), 1, 1, fill=False, edgecolor=CENTRE, linewidth=2))


def _fields(ax: Any, cells: np.ndarray, output: tuple[int, int]) -> None:
    """Draw what an output sees of each of C channels, one map per channel with its number: (H, W, C)."""
    from matplotlib.patches import Rectangle

    H, W, C = cells.shape
    across = int(np.ceil(np.sqrt(C)))
    gap = max(1, H // 6)  # room for a number
    whole = np.full((-(-C // across) * (H + gap), across * (W + gap) - gap), np.nan)
    size = min(8.0, 100 / len(whole) * gap)
    for channel in range(C):
        r, c = channel // across * (H + gap) + gap, channel % across * (W + gap)
        whole[r : r + H, c : c + W] = cells[:, :, channel]
        ax.add_patch(Rectangle((c + output[1], r + output[0]), 1, 1, fill=False, edgecolor=CENTRE, linewidth=1))
        ax.text(c, r - 0.1 * gap, channel, fontsize=size, color=INK, va="bottom")
    _paint(ax, np.ma.masked_invalid(whole), (0, whole.shape[1], whole.shape[0], 0))


def _share(fig: Any, ax: Any, found: np.ndarray, outputs: np.ndarray, shape: tuple[int, ...]) -> None:
    """Draw how much of its past each pixel sees, all its colours together."""
    from matplotlib.colors import LinearSegmentedColormap

    H, W, C = shape
    seen, blind = np.zeros(H * W), np.zeros(H * W)
    np.add.at(seen, outputs // C, (found == SEEN).sum(axis=1))
    np.add.at(blind, outputs // C, (found == BLIND).sum(axis=1))
    past = seen + blind
    share = np.divide(100 * seen, past, out=np.full(H * W, np.nan), where=past > 0).reshape(H, W)
    shades = LinearSegmentedColormap.from_list("share", [SHADES[BLIND], "#ffffff", OPEN]).with_extremes(bad=SHUT)
    picture = ax.imshow(np.ma.masked_invalid(share), cmap=shades, vmin=0, vmax=100, extent=(0, W, H, 0))
    bar = fig.colorbar(picture, ax=ax, shrink=0.8, pad=0.02)
    bar.set_ticks([0, 50, 100], labels=["0 %", "50 %", "100 %"])
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    _bare(ax)
    ax.set_title("how much of its past each pixel sees", fontsize=10, color=INK)


def _legend(fig: Any, found: np.ndarray) -> None:
    from matplotlib.patches import Patch

    there = [kind for kind in (ITSELF, SEEN, BLIND, LEAK, LATER) if (found == kind).any()]
    handles = [Patch(facecolor=SHADES[kind], label=LEGEND[kind]) for kind in there]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)


def _paint(ax: Any, cells: np.ndarray, extent: tuple[int, int, int, int]) -> None:
    from matplotlib.colors import ListedColormap

    ax.imshow(
        cells, cmap=ListedColormap(SHADES), vmin=-0.5, vmax=len(SHADES) - 0.5, extent=extent, interpolation="nearest"
    )
    _bare(ax)


def _bare(ax: Any) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _fewer(cells: np.ndarray, axis: int) -> np.ndarray:
    """At most DOTS cells along an axis; each shows the worst of the cells that it stands for."""
    factor = -(-cells.shape[axis] // DOTS)
    return np.maximum.reduceat(cells, np.arange(0, cells.shape[axis], factor), axis=axis)
