"""Figures of lesson 06: the error of a measured slope by step, and a loss with a kink."""

import numpy as np

import minipixel as mp

from .engine import BACKWARD

INK = mp.plots.INK
STYLES = {"forward": ("#9aa4ae", "v"), "central": ("#8c6d46", "s"), "complex": (INK, "o")}


def steps(steps, errors):
    """The relative error of each way, {name: (steps,)}, by the size of the step -> a Figure. Zero is drawn at 1e-17."""
    figure = mp.plots.figure(6.8, 4.1)
    ax = figure.subplots()
    for name, error in errors.items():
        colour, marker = STYLES[name]
        shown = np.maximum(error, 1e-17)
        ax.loglog(steps, shown, color=colour, marker=marker, linewidth=1.2, markersize=3.5, label=name)
    ax.text(2e-5, 2e-3, "truncation:\nfalls as h", color=STYLES["forward"][0], ha="right")
    ax.text(1e-3, 3e-12, "truncation:\nfalls as h²", color=STYLES["central"][0])
    ax.text(1e-16, 1e-5, "rounding:\nrises as 1/h", color=INK, ha="center")
    ax.text(1e-12, 2e-15, "the complex step falls as h², and then stays", color=INK, ha="center", fontsize=9)
    ax.set(xlabel="step h (small steps at the left)", ylabel="relative error of the slope")
    ax.set_title("A smaller step is not always a better one")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False, loc="lower right", title="step")
    return figure


def kink(distances, losses, tangent, nudges):
    """The loss along a direction, less its tangent; `nudges` are the two sizes of a central difference -> a Figure."""
    figure = mp.plots.figure(6.8, 3.2)
    ax = figure.subplots()
    ax.plot(distances, losses - tangent, color=INK, linewidth=1.5, label="loss, less its tangent")
    ax.axhline(0, color=BACKWARD, linewidth=1, label="the tangent, by the tape")
    for nudge, marker in zip(nudges, "so", strict=True):
        both = np.array([-nudge, nudge])
        there = np.interp(both, distances, losses - tangent)
        ax.plot(both, there, marker, color=STYLES["central"][0], linestyle="none", label=f"central, h = {nudge:.0e}")
    ax.set(xlabel="how far all weights have moved along the direction", ylabel="loss minus tangent, nats")
    ax.legend(frameon=False)
    return figure
