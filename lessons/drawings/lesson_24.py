"""The figures of lesson 24: magnets, two goals, and two models beside the exact answer."""

import numpy as np
from drawing import INK, Diagram

from minipixel import plots

COLOURS = {"annealed": INK, "cold from the start": "#a0713c"}
GREY = "#aab1b8"


def exact(draws, probabilities, magnetisation):
    """Exact draws (N, H, W, 1) by beta, and below how often each magnetisation occurs, from p (states,) by beta."""
    figure = plots.figure(7.4, 4.2)
    axes = figure.subplots(2, len(draws), height_ratios=(1.4, 1), sharey="row")
    values = np.unique(magnetisation)
    for (above, below), (beta, images) in zip(axes.T, draws.items(), strict=True):
        tiles = np.pad(2.0 * images[..., 0] - 1, ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
        height, width = tiles.shape[1:]
        whole = tiles.reshape(3, 4, height, width).transpose(0, 2, 1, 3).reshape(3 * height, 4 * width)
        above.imshow(whole, cmap="Greys", vmin=-1.6, vmax=1.3)
        above.set_axis_off()
        above.set_title(f"$\\beta$ = {beta}", fontsize=10, color=INK)
        shares = [probabilities[beta][magnetisation == value].sum() for value in values]
        below.bar(values, shares, width=0.09, color=INK)
        below.set_xlabel("magnetisation", fontsize=8)
        below.tick_params(labelsize=7)
    axes[1, 0].set_ylabel("probability", fontsize=8)
    figure.suptitle("a dark square is a spin that points up, a pale one a spin that points down", fontsize=8, color=INK)
    return figure


def two_goals():
    """What is drawn from what, when one trains on pictures, and when one trains on an energy."""
    diagram = Diagram(7.4, 2.4)
    data = diagram.box(1.0, 1.95, "pictures", "value")
    model = diagram.box(3.3, 1.95, "model $q$")
    loss = diagram.box(5.9, 1.95, r"mean of $-\ln q$", "loss", width=1.7)
    diagram.arrow(data, model)
    diagram.arrow(model, loss)
    diagram.arrow(loss, model, bend=0.45)
    diagram.note(4.65, 2.32, "gradient", align="center")
    own = diagram.box(1.0, 0.55, "model $q$")
    states = diagram.box(3.3, 0.55, "its own draws", "value")
    goal = diagram.box(5.9, 0.55, r"mean of $\beta E + \ln q$", "loss", width=1.9)
    diagram.arrow(own, states)
    diagram.arrow(states, goal)
    diagram.arrow(goal, own, bend=0.22)
    diagram.note(3.3, 1.08, "gradient, by REINFORCE", align="center")
    return diagram.figure


def on_the_way(divergences, betas):
    """The estimated reverse divergence of each step, and below it the inverse temperature."""
    figure = plots.figure(6.6, 3.8)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for name, values in divergences.items():
        steps = np.arange(1, len(values) + 1)
        above.plot(steps, values, color=COLOURS[name], linewidth=1.2, label=name)
        below.plot(steps, betas[name], color=COLOURS[name], linewidth=1.2)
    above.axhline(0, color=GREY, linewidth=1)
    above.set_ylim(-0.1, 1.6)
    above.set_ylabel("reverse KL, nats\n(over 250 draws)", fontsize=9)
    above.legend(frameon=False, fontsize=9)
    below.set_ylabel(r"$\beta$", fontsize=9)
    below.set_xlabel("step", fontsize=9)
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def every_probability(log_p, log_q):
    """A dot for each state: the exact log p (states,), and that of each model."""
    figure = plots.figure(7.0, 3.4)
    axes = figure.subplots(1, len(log_q), sharey=True)
    lowest = -45.0
    for ax, (name, values) in zip(axes, log_q.items(), strict=True):
        shown = np.maximum(values, lowest)
        ax.plot(log_p, shown, ".", color=COLOURS[name], markersize=2, alpha=0.25, rasterized=True)
        ax.plot([-40, 0], [-40, 0], color=GREY, linewidth=1)
        best = shown.argmax()
        ax.plot(log_p[best], shown[best], "o", markersize=6, markerfacecolor="none", markeredgecolor=COLOURS[name])
        ax.set(xlabel="exact $\\ln p$", ylim=(lowest - 2, 3))
        ax.set_title(name, fontsize=10, color=INK)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(f"the model's $\\ln q$ (below {lowest:.0f}: at {lowest:.0f})")
    return figure
