# %% [markdown]
# # 02 A tape in a page
#
# - *You will* write reverse-mode differentiation by hand, train a network with it, and find your way in the real one.
# - *Reads* `minipixel/tensor.py`, `minipixel/ops/`.
# - *Before* lesson 01.
# - *Takes* about 3 seconds to run, and an hour to read.
#
# ## The chain rule on one number
#
# Take `z = tanh(w*x + b)`, one step at a time. Forward, each step has a value. Backward, each value has a **gradient**:
# how fast z grows if this value is nudged. For z itself that is 1. From there every step multiplies by its own slope.

# %%
import os
from types import SimpleNamespace

import numpy as np
from show import show

import minipixel as mp

w, x, b = start = np.array([0.5, 1.6, -0.3])
u = w * x
v = u + b
z = np.tanh(v)

g_v = 1.0 * (1 - z * z)  # the slope of tanh at v
g_u, g_b = g_v, g_v  # a sum hands its gradient on to both
g_w, g_x = g_u * x, g_u * w  # in a product each factor is the slope of the other

print("       value   gradient   by nudging")
for name, value, gradient, h in zip("wxb", start, (g_w, g_x, g_b), 1e-6 * np.eye(3), strict=True):
    ahead, behind = (np.tanh(w * x + b) for w, x, b in (start + h, start - h))
    print(f"{name}  {value:9.4f}  {gradient:9.4f}  {(ahead - behind) / 2e-6:11.4f}")
    assert np.isclose(gradient, (ahead - behind) / 2e-6, rtol=0, atol=1e-9)

# %% [markdown]
# ## The page
#
# A step is an **op**: one function on plain arrays that returns its value and its `vjp`. The vjp takes g, the gradient
# of the end with respect to that value, and returns one gradient an input. (The name is short for vector times
# Jacobian. The Jacobian is the table of all slopes; only the product is wanted, so the table is never built.)
# `op` lifts such a function: it leaves a Node that remembers its inputs and the way back. `backward` puts the Nodes in
# order, inputs first, and walks from the end.


# %%
class Node:
    def __init__(self, data, inputs=(), vjp=None):
        self.data, self.inputs, self.vjp, self.grad = np.asarray(data), inputs, vjp, None


def op(function):
    def lifted(*inputs, **static):
        value, vjp = function(*[x.data if isinstance(x, Node) else x for x in inputs], **static)
        return Node(value, inputs, vjp)

    return lifted


def inputs_first(node, order):
    if node not in order:
        for x in node.inputs:
            if isinstance(x, Node):
                inputs_first(x, order)
        order.append(node)
    return order


def backward(output, combine=np.add):
    order = inputs_first(output, [])
    for node in order:
        node.grad = None
    output.grad = np.ones_like(output.data)
    for node in reversed(order):
        for x, part in zip(node.inputs, node.vjp(node.grad) if node.vjp else (), strict=True):
            if isinstance(x, Node):
                x.grad = part if x.grad is None else combine(x.grad, part)


add = op(lambda x, y: (x + y, lambda g: (g, g)))
multiply = op(lambda x, y: (x * y, lambda g: (g * y, g * x)))


@op
def tanh(x):
    y = np.tanh(x)
    return y, lambda g: (g * (1 - y * y),)


# %% [markdown]
# ## A value that is used twice
#
# Now let b be w: `z = tanh(w*x + w)`. A nudge of w reaches z by two roads, and what arrives adds up. So **gradients
# add** where a value is used twice. Every arrow below has its value above it and its share of the gradient under it.


# %%
def arrow(ax, tail, head, value, gradient):
    ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "#9aa4ae", "shrinkA": 0, "shrinkB": 17})
    for text, colour in ((f"{value:.3f}\n", mp.plots.OPEN), (f"\n{gradient:.3f}", mp.plots.CENTRE)):
        middle = np.array(tail) * 0.44 + np.array(head) * 0.56
        ax.text(*middle, text, color=colour, ha="center", va="center", fontsize=9.5, linespacing=1.3)


def draw(ax, title, places):
    for node, (label, x, y) in places.items():
        for source, part in zip(node.inputs, node.vjp(node.grad) if node.vjp else (), strict=True):
            arrow(ax, places[source][1:], (x, y), source.data, part)
        if node.vjp:
            ax.plot(x, y, "o", markersize=31, color="#f1efe9", markeredgecolor=mp.plots.INK, zorder=3)
        else:
            label = f"{label} = {node.data:.1f}\ngradient {node.grad:.3f}"
        box = None if node.vjp else {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": mp.plots.INK}
        ax.text(x, y, label, ha="center", va="center", color=mp.plots.INK, bbox=box, zorder=4)
    arrow(ax, (x, y), (x + 1.3, y), node.data, node.grad)
    ax.text(x + 1.2, y, "z", va="center", fontsize=12)
    ax.set(xlim=(-0.5, 5.4), ylim=(-0.3, 1.9), title=title)
    ax.set_axis_off()


fig = mp.plots.figure(6.8, 5.6)
w, x, b = map(Node, start)
for ax, last, title in zip(fig.subplots(2, 1), (b, w), ("z = tanh(w*x + b)", "z = tanh(w*x + w)"), strict=True):
    u = multiply(w, x)
    v = add(u, last)
    z = tanh(v)
    backward(z)
    places = {w: ("w", 0, 1.6), x: ("x", 0, 0), u: ("*", 1.5, 0.5), v: ("+", 2.8, 0.8), z: ("tanh", 4, 0.8)}
    draw(ax, title, ({b: ("b", 1.5, 1.65)} if last is b else {}) | places)
show(fig, "02_graph")
