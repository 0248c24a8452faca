"""What benchmarks/sampling.py found, as tables and as a figure.

Run: python benchmarks/sampling_report.py runs/sampling.json [--write]      once more, from its file
"""

import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

from minipixel import plots

DOCS = Path(__file__).parent.parent / "docs"
START, END = "<!-- made by benchmarks/sampling.py -->\n", "<!-- end of sampling.py -->"
GREY = "#9aa1a9"


def report(path, write):
    """Print the tables of a JSON file and draw the figure beside it; with `write` both go into docs/ instead."""
    found = json.loads(path.read_text())
    growth = ["", "![Seconds against the size of the image](images/sampling-cost.png)"] if found["growth"] else []
    text = "\n".join([describe(found["machine"]), "", *time_table(found), "", *memory_table(found), *growth, ""])
    print(text)
    if write:
        page = DOCS / "results.md"
        before, rest = page.read_text().split(START)
        page.write_text(before + START + text + END + rest.split(END)[1])
    if found["growth"]:
        growth_figure(found).savefig((DOCS / "images" if write else path.parent) / "sampling-cost.png")


def machine(cores):
    """The machine in general terms, and how busy it is before anything is measured."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    versions = {library: importlib.metadata.version(library) for library in ("numpy", "numba", "torch")}
    return {
        **{"cpu": (named or [platform.machine()])[0], "cores": cores, "load before": os.getloadavg()[0]},
        "versions": {"python": platform.python_version()} | versions,
    }


def describe(machine):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['cpu']}, {machine['cores']} cores (load before: {machine['load before']:.1f}); {versions}."


def table(header, rows):
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]


def digits(value):
    """Three digits of a positive number, and no exponent."""
    return f"{value:.{max(0, 2 - int(np.floor(np.log10(value))))}f}"


def line(row):
    """A row of the table as a line of progress."""
    times = {what: value for what, value in row.items() if isinstance(value, float)}
    return f"{row['model']:16}{row['batch']:4}  " + "; ".join(f"{what} {digits(s)} s" for what, s in times.items())


def time_table(found):
    """A row a model and batch; below, how well steps foretell the whole loop."""
    methods, rows = found["methods"], found["rows"]
    ours = [f"ours {method}, s" for method in methods]
    header = ["model", "batch", "torch forward, ms", "torch naive, s", "our forward, ms", "our naive, s", *ours]
    lines = []
    for row in rows:
        best = min(row[method] for method in methods)
        cells = [1e3 * row["torch forward"], row["torch naive"], 1e3 * row["our forward"], row["our naive"]]
        cells += [row[method] for method in methods]
        cells += [row["torch naive"] / best, best / row["torch forward"]]
        lines.append([row["model"], str(row["batch"]), *map(digits, cells)])
    share = [row["torch whole loop"] / row["torch naive"] for row in rows if "torch whole loop" in row]
    foretold = f"The whole loop of the twins took {min(share):.2f} to {max(share):.2f} of what some steps foretold."
    return [*table([*header, "torch naive / best of ours", "best of ours / torch forward"], lines), "", foretold]


def memory_table(found):
    """What a run adds to a process at its peak; no table where the system does not say."""
    if not found["memory"]:
        return ["What memory a run takes is not known on this system."]
    methods = ["torch naive", *found["methods"]]
    header = ["model", "batch", *(f"{method}, MB" for method in methods)]
    rows = [[row["model"], str(row["batch"]), *(f"{row[m]:.0f}" for m in methods)] for row in found["memory"]]
    return ["What a run adds to the memory of a process, at its peak:", "", *table(header, rows)]


def growth_figure(found):
    """Seconds against the side of the image, both logarithmic, a panel a model, beside the slopes that theory gives."""
    names = list(dict.fromkeys(row["model"] for row in found["growth"]))
    batch = found["growth"][0]["batch"]
    fig = plots.figure(4.6 * len(names) + 0.6, 4.6)
    fig.suptitle(f"{batch} images: a forward pass per pixel grows as pixels², each value once as pixels", fontsize=11)
    curves = {"torch naive": (plots.CENTRE, "-"), "our naive": (plots.CENTRE, "--")}
    curves |= dict(zip(found["methods"], ((plots.OPEN, "-"), (plots.INK, "-")), strict=True))
    for ax, name in zip(fig.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        rows = [row for row in found["growth"] if row["model"] == name]
        sides = np.array([row["side"] for row in rows])
        lowest = 0
        for what in sorted(curves, key=lambda what: rows[-1][what]):
            colour, style = curves[what]
            label = f"our {what}" if what in found["methods"] else what
            ax.plot(sides, [row[what] for row in rows], style, color=colour, marker="o", markersize=4, label=label)
            height = max(rows[-1][what], 1.6 * lowest)  # one label clear of the other
            ax.text(1.08 * sides[-1], height, f"{digits(rows[-1][what])} s", color=colour, fontsize=9, va="center")
            lowest = height
        _guide(ax, sides, 2, 0.25 * min(rows[-1]["torch naive"], rows[-1]["our naive"]))
        _guide(ax, sides, 1, 4 * max(rows[-1][method] for method in found["methods"]))
        ax.set(title=name, xlabel="height and width of the image", xscale="log", yscale="log")
        ax.set_xlim(sides[0] / 1.15, sides[-1] * 1.75)
        ax.set_xticks(sides, [str(side) for side in sides])
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.minorticks_off()
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    fig.axes[0].set_ylabel("seconds")
    handles, labels = fig.axes[0].get_legend_handles_labels()
    fig.axes[0].legend(handles[::-1], labels[::-1], frameon=False)  # from the top down, as the curves end
    return fig


def _guide(ax, sides, power, end):
    """A dotted line that grows as pixels ** power and ends at `end`; only its slope means anything."""
    sides = sides[len(sides) // 2 :]
    ax.plot(sides, end * (sides / sides[-1]) ** (2.0 * power), ":", color=GREY, linewidth=1.3)
    label = "~ pixels²" if power == 2 else "~ pixels"
    ax.text(1.08 * sides[-1], end, label, color=GREY, fontsize=9, va="center")


if __name__ == "__main__":
    report(Path(sys.argv[1]), "--write" in sys.argv[2:])
