"""What benchmarks/training.py found, as a table.

Run: python benchmarks/training_report.py runs/training.json [--write]      once more, from its file
"""

import json
import sys
from pathlib import Path

import numpy as np
from sampling_report import DOCS, describe, digits, table

START, END = "<!-- made by benchmarks/training.py -->\n", "<!-- end of training.py -->"
HEADER = ["model", "batch", "floor, ms", "ours, ms", "PyTorch NCHW, ms", "PyTorch channels last, ms"]
HEADER += ["PyTorch / ours", "of rounds", "of fastest steps", "ours / floor", "ours, MiB", "PyTorch, MiB"]


def report(path, write):
    """Print the table of a JSON file; with `write` it goes into docs/results.md, too."""
    found = json.loads(path.read_text())
    peak = f"Peak of `sgemm`: {found['peak'] / 1e9:.0f} GFLOP/s."
    others = [row["other work"] for row in found["rows"]]
    if not np.isnan(others).any():
        peak += f" Other work took {min(others):.0%} to {max(others):.0%} of the cores."
    text = "\n".join([describe(found["machine"]), peak, "", *rows(found), ""])
    print(text)
    if write:
        page = DOCS / "results.md"
        before, rest = page.read_text().split(START)
        page.write_text(before + START + text + END + rest.split(END)[1])


def summary(row):
    """Medians in ms; and of PyTorch's fastest setting over ours: the ratio, its range over rounds, of fastest steps.

    A round's time is the median of its steps, a setting's the median of its rounds.
    """
    rounds = {who: 1e3 * np.median(steps, axis=1) for who, steps in row["seconds"].items()}
    medians = {who: float(np.median(times)) for who, times in rounds.items()}
    best = min((who for who in medians if who != "ours"), key=medians.get)
    ratios = rounds[best] / rounds["ours"]
    fastest_step = {who: np.min(steps) for who, steps in row["seconds"].items()}
    of_fastest = min(fastest_step[who] for who in medians if who != "ours") / fastest_step["ours"]
    return medians, medians[best] / medians["ours"], (ratios.min(), ratios.max()), of_fastest


def fastest(medians, layout):
    """The setting, layout and threads, that is fastest with this layout."""
    return min((who for who in medians if who.startswith(layout)), key=medians.get)


def line(row, peak):
    """A row of the table as a line of progress."""
    medians, ratio, (least, most), of_fastest = summary(row)
    times = "; ".join(f"{who} {digits(ms)}" for who, ms in medians.items())
    ratios = f"{ratio:.2f}x ({least:.2f} to {most:.2f}; fastest steps {of_fastest:.2f})"
    others = f"other work on the cores {row['other work']:.0%}"
    return f"{row['model']:16} floor {digits(1e3 * row['flop'] / peak)}; {times} ms; {ratios}; {others}"


def rows(found):
    """A row a model."""
    cells = []
    for row in found["rows"]:
        medians, ratio, (least, most), of_fastest = summary(row)
        floor = 1e3 * row["flop"] / found["peak"]
        theirs = [medians[fastest(medians, layout)] for layout in ("contiguous_format", "channels_last")]
        times = [floor, medians["ours"], *theirs]
        memory = row["memory"] or {}
        cells.append(
            [
                *(row["model"], str(row["batch"]), *map(digits, times)),
                *(f"{ratio:.2f}", f"{least:.2f} to {most:.2f}", f"{of_fastest:.2f}"),
                f"{medians['ours'] / floor:.2f}",
                f"{memory['ours']:.0f}" if memory else "",
                f"{min(mib for whose, mib in memory.items() if whose != 'ours'):.0f}" if memory else "",
            ]
        )
    return table(HEADER, cells)


if __name__ == "__main__":
    report(Path(sys.argv[1]), "--write" in sys.argv[2:])
