"""`minipixel compare`: several runs side by side, in a table and in one figure."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minipixel import plots
from minipixel.cli import config
from minipixel.cli.notes import note
from minipixel.cli.run_folder import log_rows, read_figures
from minipixel.cli.use import output_file, write_picture
from minipixel.errors import visible

DATA = ("data", "levels", "binarize")
"""Settings in which runs have to agree, or their bits/dim are of different things."""

QUIET = ("root", "workers", "save_freq", "sample_every", "tensorboard", "from")
"""Settings that say nothing of how a model learns, or are long."""


@dataclass(frozen=True)
class Run:
    """The part of a run folder that is compared; bits/dim on the validation images, one per epoch, may be empty."""

    name: str
    settings: dict[str, Any]
    figures: dict[str, Any]
    bits: list[float]
    data: str | None

    @property
    def best(self) -> tuple[float, int]:
        """The best bits/dim, or infinity if there are none yet, and its epoch, counted from 1."""
        return min(((bits, epoch) for epoch, bits in enumerate(self.bits, 1)), default=(math.inf, 0))


def compare(arguments: argparse.Namespace) -> int:
    """Print a table of runs, the best first, and write a figure of their validation curves."""
    out = output_file(arguments.out, (".png",))
    runs = sorted((read_run(Path(name)) for name in dict.fromkeys(arguments.runs)), key=lambda run: run.best)
    print("\n".join(table(runs)))
    for what, values in {
        **{name: {run.settings.get(name) for run in runs} for name in DATA},
        "data_sha256": {run.data for run in runs},
    }.items():
        if len(values) > 1:
            note(f"these runs differ in {what}, so their bits/dim are not of the same images")
            break
    write_picture(out, curves(runs))
    print(f"picture {out}")
    return 0


def read_run(folder: Path) -> Run:
    """Read a run folder. Raises FileNotFoundError if `train` did not write it, FormatError for a damaged file."""
    path = folder / "config.toml"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: got a folder without config.toml, wanted one that minipixel train left")
    settings, made_with = config.read(path)
    bits = [float(row.get("val_bits_per_dim") or math.nan) for row in log_rows(folder / "log.csv")]
    bits = [math.inf if math.isnan(value) else value for value in bits]
    return Run(str(folder), settings, read_figures(folder / "figures.json"), bits, made_with.get("data_sha256"))


def table(runs: Sequence[Run]) -> list[str]:
    """The table as lines: a heading, then one line per run."""
    keys = sorted({key for run in runs for key in run.settings if key not in QUIET})
    differ = [key for key in keys if len({repr(run.settings.get(key)) for run in runs}) > 1]
    rows = [["run", "val bits/dim", "epoch", "of", "weights", "seconds", "in what they differ"]]
    for run in runs:
        bits, epoch = run.best
        best = (f"{bits:.4f}", str(epoch)) if epoch and bits < math.inf else ("-", "-")
        weights, seconds = run.figures.get("parameters", "-"), run.figures.get("seconds", "-")
        own = ", ".join(f"{key} {run.settings[key]}" for key in differ if key in run.settings)
        counts = (
            f"{weights:,}" if isinstance(weights, int) else weights,
            f"{seconds:.0f}" if isinstance(seconds, float) else seconds,
        )
        rows.append([visible(cell) for cell in (run.name, *best, len(run.bits), *counts, own)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(w) for cell, w in zip(row[1:-1], widths[1:-1], strict=True)),
                row[-1],
            ]
        ).rstrip()
        for row in rows
    ]


def curves(runs: Sequence[Run]) -> Any:
    """Bits/dim on the validation images after each epoch, a line per run, a dot on the best -> Figure."""
    from matplotlib import colormaps

    fig = plots.figure(7.2, max(3.6, 1.2 + 0.22 * len(runs)))
    ax = fig.subplots()
    colours = [colormaps["tab10"](n) for n in range(10)]
    for n, run in enumerate(run for run in runs if run.bits):
        values, (best, epoch) = np.array(run.bits), run.best
        line = ("-", "--", ":")[n // len(colours) % 3]
        label = f"{best:.3f}  {visible(run.name)[-40:]}"
        ax.plot(
            np.arange(1, len(values) + 1), values, line, color=colours[n % len(colours)], linewidth=1.6, label=label
        )
        ax.plot(epoch, best, "o", color=colours[n % len(colours)], markersize=5)
    ax.set(xlabel="epoch", ylabel="bits/dim, validation")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    if ax.lines:
        fig.legend(loc="outside right upper", frameon=False, fontsize=8, title="best, run", alignment="left")
    return fig
