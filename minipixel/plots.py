"""Arrays in, matplotlib Figures out: nothing is shown, no global state is touched; save one with `.savefig(path)`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

INK, OPEN, SHUT, CENTRE = "#20262e", "#2f6f9f", "#f1efe9", "#d9822b"


def figure(width: float, height: float) -> Any:
    """An empty Figure of that size in inches, free of pyplot, so that it needs no screen and no closing."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def image_grid(images: np.ndarray, levels: int, *, columns: int = 10, title: str = "") -> Any:
    """Images row by row: integers (N, H, W, C) in 0..Q-1 -> Figure."""
    return _grids([("", _colours(images, levels))], columns, title)


def sample_grid(real: np.ndarray, generated: np.ndarray, levels: int, *, columns: int = 10, title: str = "") -> Any:
    """Real images in the top row, generated ones below: integers (N, H, W, C) in 0..Q-1 -> Figure."""
    return _grids(
        [("real", _colours(real[:columns], levels)), ("generated", _colours(generated, levels))], columns, title
    )


def completion_grid(images: np.ndarray, known: np.ndarray, completions: np.ndarray, levels: int) -> Any:
    """What was known of each image, some completions of it, and the image: a column each -> Figure.

    Integers (N, H, W, C) in 0..Q-1, boolean (H, W) or (N, H, W), integers (times, N, H, W, C). Unknown pixels are blue.
    """
    from matplotlib.colors import to_rgb

    given = np.where(np.broadcast_to(known, images.shape[:3])[..., None], _colours(images, levels), to_rgb(OPEN))
    drawn = _colours(completions.reshape(-1, *images.shape[1:]), levels)
    return _grids([("known", given), ("completed", drawn), ("real", _colours(images, levels))], len(images), "")


def loss_curve(history: Mapping[str, list[float]]) -> Any:
    """Bits/dim after each epoch, in training and, where there was any, in validation -> Figure.

    Of an embedding network, which has no bits, the triplet loss of each step.
    """
    fig = figure(5.5, 3.4)
    ax = fig.subplots()
    bits = "bits_per_dim" in history
    names = ("bits_per_dim", "val_bits_per_dim") if bits else ("loss",)
    for name, label, colour in zip(names, ("training", "validation"), (CENTRE, OPEN), strict=False):
        values = history.get(name, [])
        if values:
            counts = np.arange(1, len(values) + 1)
            ax.plot(counts, values, color=colour, linewidth=1.8, marker="o" if len(values) == 1 else None, label=label)
            last = (counts[-1], values[-1])
            ax.annotate(f"{values[-1]:.3f}", last, xytext=(4, 0), textcoords="offset points", color=colour)
    ax.set_xlabel("epoch" if bits else "step")
    ax.set_ylabel("bits/dim" if bits else "triplet loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(x=0.08)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return fig


def mask(mask: np.ndarray, *, title: str = "") -> Any:
    """The taps of a mask, boolean (kh, kw) or (kh, kw, K_in, K_out) -> Figure.

    A tap is filled by the share of its weights that are open; the centre has a frame.
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
    """Draw a kernel on given axes: (kh, kw) in 0..1, how much of each tap is open."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    kh, kw = share.shape
    colours = LinearSegmentedColormap.from_list("open", [SHUT, OPEN])
    ax.pcolormesh(share, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=2)
    ax.add_patch(Rectangle((kw // 2, kh // 2), 1, 1, fill=False, edgecolor=CENTRE, linewidth=2.5))
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set_axis_off()


def _colours(images: np.ndarray, levels: int) -> np.ndarray:
    """Integers (N, H, W, C) in 0..Q-1 -> colours in 0..1, (N, H, W, 3)."""
    return np.broadcast_to(images / (levels - 1), (*images.shape[:3], 3))


def _grids(parts: list[tuple[str, np.ndarray]], columns: int, title: str) -> Any:
    """One mosaic of colours (N, H, W, 3) below the other, each with its name at its left."""
    mosaics = [(name, _mosaic(colours, columns)) for name, colours in parts if len(colours)]
    heights = [mosaic.shape[0] / mosaic.shape[1] for _, mosaic in mosaics]
    width = 6.6
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


def _mosaic(colours: np.ndarray, columns: int) -> np.ndarray:
    """Images side by side, a gap between them: colours in 0..1, (N, H, W, 3) -> (height, width, 3)."""
    N, H, W, _ = colours.shape
    gap = max(1, H // 12)
    rows = -(-N // columns)
    mosaic = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, 3), 0.85)
    for n, image in enumerate(colours):
        r, c = divmod(n, columns)
        mosaic[r * (H + gap) :, c * (W + gap) :][:H, :W] = image
    return mosaic
