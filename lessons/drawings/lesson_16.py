"""Figures of lesson 16: bins under a curve, a mixture, four ways to a logarithm, two colours, a hole filled."""

import numpy as np
from scipy.special import expit

import minipixel as mp
from drawings.lines import LINES


def bins(mean, scale, Q):
    """One logistic, cut into Q bins: areas under its density, steps of its CDF, probabilities -> Figure."""
    x = np.linspace(-1, 1, Q)
    inner = (x[:-1] + x[1:]) / 2
    lows, highs = np.append(-1.6, inner), np.append(inner, 1.6)
    p = np.diff(expit((inner - mean) / scale), prepend=0, append=1)
    figure = mp.plots.figure(7.8, 2.8)
    left, middle, right = figure.subplots(1, 3)
    for q in range(Q):
        t, colour = np.linspace(lows[q], highs[q], 50), LINES[1 + q % 2]
        z = (t - mean) / scale
        left.fill_between(t, expit(z) * expit(-z) / scale, color=colour, alpha=0.75)
        middle.fill_between([-1.6, 1.6], expit(z[0]), expit(z[-1]), color=colour, alpha=0.4)
        middle.plot(t, expit(z), color=LINES[0])
        middle.vlines(lows[q], 0, expit(z[0]), color=LINES[0], linewidth=0.6)
        right.bar(q, p[q], color=colour)
    left.set(title="areas of the density ...", xlabel="level q, at its place x", ylabel="density", ylim=(0, None))
    left.set_xticks(x, range(Q))
    middle.set(title="... are steps of the CDF ...", xlabel="x", ylabel="F(x)", xlim=(-1.6, 1.6), ylim=(0, 1))
    right.set(title="... are probabilities", xlabel="level q", ylabel="P(q)", xticks=range(Q))
    return figure


def mixture(components, mixed):
    """Weighted components (M, Q) as lines, their sum (Q,) as bars -> Figure."""
    figure = mp.plots.figure(7.4, 2.6)
    ax = figure.subplots()
    ax.bar(range(len(mixed)), mixed, width=1, color="#d5d0c4", label="their sum")
    for m, component in enumerate(components):
        ax.plot(component, color=LINES[1 + m], label=f"component {m}, weighted")
    ax.set(xlabel="level q", ylabel="P(q)")
    ax.legend(frameon=False, fontsize=8)
    return figure


def logarithm(levels, values, slopes, lost):
    """log P and its slope in the mean by name, (L,) each; `lost` levels are shaded -> Figure."""
    figure = mp.plots.figure(8.4, 3.2)
    left, middle, right = figure.subplots(1, 3)
    for number, name in enumerate(values):
        style = {"color": LINES[number], "marker": ".", "linewidth": 3 if name == "exact" else 1, "label": name}
        left.plot(levels, values[name], **style)
        right.plot(levels, slopes[name], **style)
    middle.plot(levels, values["threshold"] - values["exact"], color=LINES[3], marker=".")
    left.legend(frameon=False, fontsize=7, loc="lower center")
    left.set(title="log P", ylabel="nats")
    middle.set(title="error of the threshold", ylabel="nats")
    right.set(title="slope in the mean", ylabel="nats per unit of the mean")
    for ax in (left, middle, right):
        ax.set_xlabel("level q (the mean lies at 128)")
        ax.axvspan(lost[0] - 0.5, levels[-1] + 0.5, color="#dfe3e6", zorder=0)
    return figure


def colours(tables):
    """P(red, green), (Q, Q) by title -> Figure."""
    figure = mp.plots.figure(7.8, 2.8)
    for ax, (title, table) in zip(figure.subplots(1, len(tables)), tables.items(), strict=True):
        ax.imshow(table.T, origin="lower", cmap="magma")
        ax.set(title=title, xlabel="level of red", ylabel="level of green")
    return figure


def neighbours(hole, curves):
    """P(q) by head where the pixel is 8, (17,) each, and bits/dim of every epoch by head -> Figure."""
    figure = mp.plots.figure(8.2, 2.8)
    left, middle, right = figure.subplots(1, 3)
    for number, (ax, name) in enumerate(zip((left, middle), hole, strict=True)):
        colours = [LINES[2] if level == 8 else LINES[number] for level in range(17)]
        ax.bar(range(17), hole[name], color=colours)
        ax.set(title=f"{name},\ntrained without 8", xlabel="level q", ylabel="mean P(q)", ylim=(0, 0.13))
        right.plot(range(1, len(curves[name]) + 1), curves[name], color=LINES[number], marker=".", label=name)
    right.set(title="emoji of 8x8 pixels", xlabel="epoch", ylabel="bits/dim, validation")
    right.xaxis.get_major_locator().set_params(integer=True)
    right.legend(frameon=False, fontsize=7)
    return figure
