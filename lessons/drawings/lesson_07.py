"""Figures of lesson 07: a convolution as a matrix product, what open taps cost, how often pixels are read."""

import numpy as np
from drawing import ON_DARK, ROLES, legend
from matplotlib.patches import Rectangle

import minipixel as mp


def product(image, columns, weight, y, taps, position):
    """columns @ weight = y, with one pixel marked in all of them -> a Figure.

    image (H, W), columns (H * W, T), weight (T,), y (H * W,); `taps` are T offsets, `position` is (r, c).
    """
    H, W = image.shape
    r, c = position
    row = r * W + c
    roles = ["this pixel" if tap == (0, 0) else "past" for tap in taps]
    padded = np.pad(image, 1)
    in_image = {(r + dr + 1, c + dc + 1): role for (dr, dc), role in zip(taps, roles, strict=True)}
    figure = mp.plots.figure(6.6, 5.6)
    axes = figure.subplots(1, 4, width_ratios=[W + 2, len(taps) + 0.6, 1.3, 1.3])
    _numbers(axes[0], padded, in_image, "the image, with\nzeros past the border")
    axes[0].add_patch(Rectangle((0.5, 0.5), W, H, fill=False, edgecolor=mp.plots.INK, linewidth=1.2))
    axes[0].text((W + 1) / 2, H + 1.9, "column c", ha="center", fontsize=8)
    axes[0].text(-0.9, (H + 1) / 2, "row r", va="center", rotation=90, fontsize=8)
    in_columns = {(row, t): role for t, role in enumerate(roles)}
    _numbers(axes[1], columns, in_columns, "columns: one row per pixel,\none column per tap")
    in_weight = {(t, 0): role for t, role in enumerate(roles)}
    _numbers(axes[2], weight[:, None], in_weight, "times\nweight")
    _numbers(axes[3], y[:, None], {(row, 0): "computed now"}, "is\ny")
    legend(figure, "past", "this pixel", "computed now")
    return figure


def _numbers(ax, cells, roles, title):
    """A table of numbers; `roles` is {(row, column): role}, the cells that have a colour."""
    for (i, j), value in np.ndenumerate(cells):
        role = roles.get((i, j))
        colour = ROLES[role] if role else "white"
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="#c9d0d6", linewidth=0.8))
        ink = "white" if role in ON_DARK else mp.plots.INK
        ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8, color=ink)
    height, width = cells.shape
    ax.set(xlim=(-0.6, width - 0.4), ylim=(height - 0.4, -0.6), aspect="equal", anchor="N")
    ax.set_title(title, fontsize=9, color=mp.plots.INK)
    ax.set_axis_off()


def taps(masks, counts, times):
    """The taps of some masks, {title: (kh, kw)}, and the time of a convolution by its open taps -> a Figure."""
    figure = mp.plots.figure(8, 3)
    axes = figure.subplots(1, len(masks) + 1, width_ratios=[7] + [4] * (len(masks) - 1) + [11])
    figure.get_layout_engine().set(wspace=0.08)
    for ax, (title, mask) in zip(axes, masks.items(), strict=False):
        kh, kw = mask.shape
        for r, c in np.ndindex(kh, kw):
            centre = (r, c) == (kh // 2, kw // 2)
            role = "past" if mask[r, c] and not centre else "this pixel" if centre else "future"
            ax.add_patch(Rectangle((c, r), 1, 1, facecolor=ROLES[role], edgecolor="white", linewidth=1.5))
            if centre and not mask[r, c]:
                ax.text(c + 0.5, r + 0.5, "shut", ha="center", va="center", fontsize=6, color="white")
        ax.set(xlim=(0, kw), ylim=(kh, 0), aspect="equal")
        ax.set_title(f"{title}:\n{int(mask.sum())} of {mask.size} taps open", fontsize=9)
        ax.set_axis_off()
    axes[-1].plot(counts, times, "o-", color=mp.plots.INK)
    axes[-1].set(xlabel="open taps of a 7x7 kernel", ylabel="milliseconds per convolution", ylim=0)
    axes[-1].set_title("only open taps cost time", fontsize=9)
    legend(figure, "past", "this pixel", "future")
    return figure


def reads(maps):
    """How often each pixel is read: {title: (H, W)} -> a Figure."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("often", ["#ffffff", "#9aa4ae"])
    figure = mp.plots.figure(8, 3.2)
    for ax, (title, counted) in zip(figure.subplots(1, len(maps)), maps.items(), strict=True):
        H, W = counted.shape
        ax.imshow(counted, cmap=shades, vmin=0, vmax=counted.max())
        for (r, c), value in np.ndenumerate(counted):
            ax.text(c, r, f"{value:g}", ha="center", va="center", fontsize=8, color=mp.plots.INK)
        ax.set(xlabel="column c", ylabel="row r", xticks=range(0, W, 2), yticks=range(0, H, 2))
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=7, length=0)
    return figure


def cost(rows):
    """Bars of milliseconds: {title of a case: {what is timed: ms}} -> a Figure, a panel for each case."""
    shades = {"lay out": "#c9d0d6", "product": mp.plots.INK, "tap by tap": "#8c6d46"}
    figure = mp.plots.figure(8, 2.9)
    panels = figure.subplots(1, len(rows), sharex=False)
    for ax, (title, times) in zip(panels, rows.items(), strict=True):
        ax.bar(0, times["lay out"], 0.6, color=shades["lay out"], label="lay out the columns")
        ax.bar(0, times["product"], 0.6, times["lay out"], color=shades["product"], label="one matrix product")
        ax.bar(1, times["tap by tap"], 0.6, color=shades["tap by tap"], label="tap by tap")
        ax.set(xticks=[0, 1], xticklabels=["columns", "tap by tap"], xlim=(-0.6, 1.6))
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
    panels[0].set_ylabel("milliseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure
