"""Figures of lesson 08c: launches by model and way, when a GPU pays, and who reads a pixel."""

import numpy as np

import minipixel as mp

from .engine import BACKWARD, FORWARD, OF_THE_BOOK

WAYS = {"op by op": OF_THE_BOOK, "map by map": "#6f9bbd", "as two graphs": FORWARD}
LINES = {
    "GPU, op by op": {"color": "#8fa3b5", "linestyle": "--"},
    "GPU, as two graphs": {"color": FORWARD},
    "host": {"color": "#d9822b"},
}


def launches(ways):
    """How much is launched, {way: {model: launches}} -> a Figure."""
    figure = mp.plots.figure(7.6, 4.2)
    ax = figure.subplots()
    models = list(next(iter(ways.values())))
    height = 0.8 / len(ways)
    for number, (way, of_model) in enumerate(ways.items()):
        places = np.arange(len(models)) + (number - (len(ways) - 1) / 2) * height
        ax.barh(places, list(of_model.values()), 0.92 * height, color=WAYS[way], label=way)
        for place, value in zip(places, of_model.values(), strict=True):
            ax.text(value, place, f" {value:,}", va="center", fontsize=8)
    most = max(max(of_model.values()) for of_model in ways.values())
    ax.set(xscale="log", xlim=(10, 4 * most), yticks=range(len(models)), yticklabels=models)
    ax.set_xlabel("launches for the loss and its gradients (logarithmic)")
    ax.grid(axis="x", color="#e3e6e9", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def when_it_pays(batches, curves):
    """Seconds per image by the batch, {title: {way: seconds}} -> a Figure."""
    figure = mp.plots.figure(8.6, 3.6)
    panels = figure.subplots(1, len(curves), sharey=True)
    for ax, (title, lines) in zip(panels, curves.items(), strict=True):
        for way, seconds in lines.items():
            ax.loglog(batches, 1e3 * np.array(seconds), linewidth=2, label=way, **LINES[way])
        ax.set_title(title, fontsize=10)
        ax.set(xlabel="images in a batch", xticks=batches[::2])
        ax.set_xticklabels(batches[::2], fontsize=8)
        ax.minorticks_off()
        ax.grid(color="#e3e6e9", linewidth=0.8)
    panels[0].set_ylabel("ms per image (logarithmic)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


PANELS = {  # each panel: its colour, whether a thread has a number that is laid down (or a pixel), and what happens
    "the way there: gather": (FORWARD, True, "each number has one writer"),
    "back, a thread per number": ("#c3272b", True, "both may add to pixel {} at once"),
    "back, a thread per pixel": (BACKWARD, False, "it has pixel {} to itself, and its list"),
}


def readers(seen):
    """Three ways of threads through a table of what is seen (S, T), -1 for nothing -> a Figure."""
    figure = mp.plots.figure(8.6, 3.4)
    panels = figure.subplots(1, len(PANELS), sharey=True)
    S, T = seen.shape
    chosen = S // 2 - 1  # the pixel whose readers are looked at
    for ax, (title, (colour, at_readers, words)) in zip(panels, PANELS.items(), strict=True):
        back = title.startswith("back")
        for reader, tap in np.ndindex(S, T):
            place, pixel = reader + 0.23 * (2 * tap - 1), seen[reader, tap]
            marked = pixel == chosen
            _box(ax, place, 0.35, 0.4, 0.22, colour if marked and at_readers else "#f3d9b8")
            if pixel < 0:
                continue
            ends = [(place, 0.5), (pixel, 1.72)]
            style = {"arrowstyle": "-|>", "shrinkA": 1, "shrinkB": 1}
            style |= {"color": colour, "linewidth": 1.8} if marked else {"color": "#ced4da", "linewidth": 0.9}
            ax.annotate("", *(ends[::-1] if back else ends), arrowprops=style, zorder=3 if marked else 1)
        for pixel in range(S):
            ours = pixel == chosen and not at_readers
            _box(ax, pixel, 1.9, 0.56, 0.3, colour if ours else "#e8eef3")
            ink = "white" if ours else FORWARD
            ax.text(pixel, 1.9, pixel, ha="center", va="center", fontsize=9, color=ink, zorder=5)
            ax.text(pixel, 0.05, pixel, ha="center", va="center", fontsize=9)
        ax.set_title(title, fontsize=10)
        ax.text((S - 1) / 2, -0.45, words.format(chosen), ha="center", fontsize=9, color=colour)
        ax.set(xlim=(-0.7, S - 0.3), ylim=(-0.6, 2.2))
        ax.set_axis_off()
    panels[0].text(-0.8, 1.9, "pixels", ha="right", va="center", fontsize=9)
    panels[0].text(-0.8, 0.35, "laid down", ha="right", va="center", fontsize=9)
    panels[0].text(-0.8, 0.05, "by reader", ha="right", va="center", fontsize=9)
    return figure


def _box(ax, x, y, width, height, colour):
    """A box around (x, y)."""
    from matplotlib.patches import Rectangle

    corner = (x - width / 2, y - height / 2)
    ax.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor=FORWARD, linewidth=0.8, zorder=4))
