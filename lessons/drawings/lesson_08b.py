"""Figures of lesson 08b: in which order instructions run, and what of the memory they touch."""

import numpy as np

import minipixel as mp
from minipixel.kernels import opcodes

from .engine import BACKWARD, FORWARD

COLOURS = {"read": "#c3cad1", "value": FORWARD, "value, computed again": "#c2a26b", "gradient": BACKWARD}

AGAIN = {"RELU", "BIASRELU", "ADDBIAS"}  # on the way back they compute what was computed on the way there


def order(titled):
    """Which instruction runs when on the way there: {title: [(way, name, line, row)]} -> a Figure."""
    figure = mp.plots.figure(8, 4.2)
    panels = figure.subplots(1, len(titled), sharey=True)
    for ax, (title, moments) in zip(panels, titled.items(), strict=True):
        there = [(name, tuple(line), row) for way, name, line, row in moments if way == "there"]
        lines = list(dict.fromkeys((name, line) for name, line, _ in there))
        rows = [row for *_, row in there]
        places = [lines.index((name, line)) for name, line, _ in there]
        dots = ax.scatter(range(len(there)), places, c=rows, cmap="cividis", marker="s", s=9)
        ax.set(title=title, xlabel="moment", yticks=range(len(lines)))
        ax.set_yticklabels([name for name, _ in lines], fontsize=8)
    panels[0].set_ylabel("instruction")
    panels[0].invert_yaxis()
    figure.colorbar(dots, ax=panels, label="row of pixels", shrink=0.8)
    return figure


def memory(tables, moments_of):
    """What each instruction reads and writes, and when: {title: table}, table -> its moments -> a Figure."""
    figure = mp.plots.figure(8, 4.2)
    widths = [3 if len(table.back) else 1.4 for table in tables.values()]
    panels = figure.subplots(1, len(tables), sharey=True, width_ratios=widths)
    for ax, (title, table) in zip(panels, tables.items(), strict=True):
        moments = list(moments_of(table))
        touched = list(_touched(table, moments))
        for label, colour in COLOURS.items():
            bars = np.reshape([bar for kind, *bar in touched if kind == label and bar[2]], (-1, 3))
            when, bottom, size = bars.T
            ax.bar(when, size, 1, bottom, align="edge", color=colour, edgecolor=colour, linewidth=0.7, label=label)
        turn = [way for way, *_ in moments].count("there")
        ax.axvline(turn, color=FORWARD, linewidth=0.8, linestyle=":")
        ax.set(title=title, xlabel="moment", xticks=[0, turn], xticklabels=["there", "back" if len(table.back) else ""])
    panels[0].set_ylabel("place in memory, numbers per image")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _touched(table, moments):
    """What is read and written: its kind; then the moment, from which number on, how many."""
    for moment, (way, name, line, row) in enumerate(moments):
        written = {"_X": "A", "_W": "", "MS": ""}.get(name[-2:], "B")  # SUMS and _W write gradients of weights
        again = name in AGAIN or (name == "MATMUL" and line[opcodes.W] < table.packer.size)  # turned weights lie behind
        kind = "value" if way == "there" else "value, computed again" if again else "gradient"
        for letter in "AB":
            place, kept, width, K = line[getattr(opcodes, letter) :][:4]
            start, stop = table.starts[line[opcodes.STARTS] + row :][:2]
            slot = row % kept * width if kept else start
            yield kind if letter == written else "read", moment, place + slot * K, (stop - start) * K
