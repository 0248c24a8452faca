"""Figures of lesson 05: the tape of one expression, and two training curves."""

import numpy as np
from drawing import Diagram

import minipixel as mp

from .engine import BACKWARD, FORWARD, OF_THE_BOOK, two_ways

PLACES = {"w": (0.75, 2.3), "x": (0.75, 0.6), "b": (2.45, 2.3), "*": (2.45, 0.9), "+": (4.2, 1.3), "tanh": (5.9, 1.3)}


def tape(title, nodes, gradients):
    """The tape of one number: {name: Node}, inputs first; `gradients(end, nodes)` -> a Figure.

    Every arrow carries a value forwards, and its share of the gradient back.
    """
    diagram = Diagram(7.6, 2.9)
    end = nodes["tanh"]
    gradient_of = dict(zip(nodes.values(), gradients(end, list(nodes.values())), strict=True))
    boxes = {}
    for name, node in nodes.items():
        if node.inputs:
            boxes[node] = diagram.box(*PLACES[name], name, "layer", 0.75)
        else:
            text = f"{name} = {node.data:.1f}\ngradient {gradient_of[node]:.3f}"
            boxes[node] = diagram.box(*PLACES[name], text, "value", 1.25, 0.5)
    for node in nodes.values():
        for x, share in zip(node.inputs, node.vjp(gradient_of[node]), strict=True):
            _two_arrows(diagram, boxes[x], boxes[node], x.data, share)
    _two_arrows(diagram, boxes[end], (7.25, PLACES["tanh"][1], 0, 0), end.data, gradient_of[end])
    diagram.note(3.8, 2.75, title, align="center")
    two_ways(diagram.figure)
    return diagram.figure


def _two_arrows(diagram, start, end, value, share):
    """The value from one place to another, and the gradient back, side by side."""
    along = np.array(end[:2]) - start[:2]
    aside = np.array([-along[1], along[0]]) / np.hypot(*along)
    above = [(*(np.array(place[:2]) + 0.05 * aside), *place[2:]) for place in (start, end)]
    below = [(*(np.array(place[:2]) - 0.05 * aside), *place[2:]) for place in (start, end)]
    diagram.arrow(above[0], above[1], colour=FORWARD)
    diagram.arrow(below[1], below[0], colour=BACKWARD)
    middle = np.array(start[:2]) * 0.5 + np.array(end[:2]) * 0.5
    away = (0.18 + 0.17 * abs(aside[0])) * aside  # a number is broad: the steeper the arrow, the further away
    diagram.note(*(middle + away), f"{value:.3f}", FORWARD, "center")
    diagram.note(*(middle - away), f"{share:.3f}", BACKWARD, "center")


def curves(by_hand, library):
    """Two training curves, nats per answer after each step -> a Figure."""
    figure = mp.plots.figure(6.6, 2.8)
    ax = figure.subplots()
    ax.semilogy(by_hand, color=OF_THE_BOOK, linewidth=6, label="the page")
    ax.semilogy(library, color=mp.plots.INK, linewidth=1.3, label="minipixel")
    ax.set(xlabel="step", ylabel="nats per answer", title="3 or 8? Two tapes, one curve", ylim=(1e-3, 1))
    ax.legend(frameon=False)
    return figure
