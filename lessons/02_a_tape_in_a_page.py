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
    def __init__(self, data, inputs=(), vjp=lambda g: ()):
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
        for x, part in zip(node.inputs, node.vjp(node.grad), strict=True):
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
def draw(ax, end, places):
    arrows = [(places[end][1], (5.4, 0.8), end.data, end.grad)]
    for node in inputs_first(end, []):
        label, spot = places[node]
        arrows += [(places[x][1], spot, x.data, g) for x, g in zip(node.inputs, node.vjp(node.grad), strict=True)]
        text = f"  {label}  " if node.inputs else f"{label} = {node.data:.1f}\ngradient {node.grad:.3f}"
        box = {"boxstyle": "round,pad=0.5", "facecolor": "#f1efe9" if node.inputs else "white", "edgecolor": INK}
        ax.text(*spot, text, ha="center", va="center", color=INK, bbox=box, zorder=3)
    for tail, head, value, gradient in arrows:
        ax.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "#9aa4ae", "shrinkB": 23}, zorder=1)
        middle = np.array(tail) * 0.45 + np.array(head) * 0.55
        style = {"ha": "center", "va": "center", "fontsize": 9.5, "linespacing": 1.3}
        ax.text(*middle, f"{value:.3f}\n", color=BLUE, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}, **style)
        ax.text(*middle, f"\n{gradient:.3f}", color=ORANGE, **style)
    ax.set(xlim=(-0.5, 5.3), ylim=(-0.3, 1.9))
    ax.set_axis_off()


INK, BLUE, ORANGE = mp.plots.INK, mp.plots.OPEN, mp.plots.CENTRE
fig = mp.plots.figure(6.8, 5.4)
w, x, b = map(Node, start)
for ax, last, title in zip(fig.subplots(2, 1), (b, w), ("z = tanh(w*x + b)", "z = tanh(w*x + w)"), strict=True):
    u = multiply(w, x)
    v = add(u, last)
    z = tanh(v)
    backward(z)
    places = {w: ("w", (0, 1.6)), x: ("x", (0, 0)), b: ("b", (1.5, 1.65))}
    draw(ax, z, places | {u: ("*", (1.5, 0.5)), v: ("+", (2.8, 0.8)), z: ("tanh", (4.1, 0.8))})
    ax.set_title(title, fontsize=11, color=INK)
show(fig, "02_graph")
added = w.grad
backward(z, combine=lambda old, new: new)
print(f"dz/dw of tanh(w*x + w): added {added:.4f}, overwritten {w.grad:.4f}")

# %% [markdown]
# ## A gate and a network
#
# An op may be as large as you like. The gate of later lessons is `tanh(a) * sigmoid(b)`: one function, forward and then
# its vjp. `op` of this page lifts it; so does `mp.op`, for the library asks for the same form. Let both tapes tell a 3
# from an 8: 64 pixels, a linear map to 16 numbers, a gate that leaves 8, a linear map to one logit. The gradient of the
# mean log-probability of the right answers says which way is up, and we climb.


# %%
def gate(x):
    """tanh(a) * sigmoid(b) with x = [a, b] side by side: (N, 2K) -> (N, K)."""
    a, b = np.split(x, 2, axis=-1)
    t, s = np.tanh(a), 1 / (1 + np.exp(-b))

    def vjp(g):
        return (np.concatenate([g * s * (1 - t * t), g * t * s * (1 - s)], axis=-1),)

    return t * s, vjp


def linear(x, weight, bias):
    return x @ weight + bias, lambda g: (g @ weight.T, x.T @ g, g.sum(axis=0))


def forward(ops, weights, x, is_8):
    (linear, gate, log_prob, mean), (w1, b1, w2, b2) = ops, weights
    logit = linear(gate(linear(x, w1, b1)), w2, b2)
    return logit, mean(log_prob(logit, images=is_8))


def train(ops, leaf, backward, x, is_8, steps):
    rng, curve = np.random.default_rng(0), []
    arrays = [rng.normal(size=(64, 16)) / 8, np.zeros(16), rng.normal(size=(8, 1)) / 3, np.zeros(1)]
    for _ in range(steps):
        weights = [leaf(array) for array in arrays]
        score = forward(ops, weights, x, is_8)[1]
        backward(score)
        arrays = [weight.data + 0.5 * weight.grad for weight in weights]
        curve.append(-score.data)
    return arrays, np.array(curve)


STEPS = 60 if os.environ.get("MINIPIXEL_QUICK") else 400
digits, sets = mp.datasets.load("digits"), []
for split in (digits.train, digits.test):
    chosen = np.isin(split.labels, (3, 8))
    sets += [split.images[chosen].reshape(-1, 64) / 8 - 1, (split.labels[chosen, None] == 8).astype(int)]
x, is_8, x_test, is_8_test = sets
by_hand = op(linear), op(gate), op(mp.ops.bernoulli_log_prob.arrays), op(mp.ops.mean.arrays)
library = mp.ops.linear, mp.op(gate), mp.ops.bernoulli_log_prob, mp.ops.mean
weights, curve = train(by_hand, Node, backward, x, is_8, STEPS)
weights_mp, curve_mp = train(library, mp.Tensor, mp.Tensor.backward, x, is_8, STEPS)

pixels = Node(x_test)
logit, score = forward(by_hand, weights, pixels, is_8_test)
backward(op(mp.ops.mean.arrays)(logit))
wrong = int(((logit.data > 0) != is_8_test).sum())
print(f"{len(x)} training images, {STEPS} steps: nats an answer {curve[0]:.3f} -> {curve[-1]:.3f}")
print(f"{len(x_test)} test images: {-score.data:.3f} nats an answer, {wrong} wrong")

fig = mp.plots.figure(6.8, 2.7)
left, *maps = fig.subplots(1, 4, width_ratios=[2.2, 1, 1, 1])
left.semilogy(curve, color="#f0c594", linewidth=5, label="by hand")
left.semilogy(curve_mp, color=BLUE, linewidth=1.2, label="minipixel")
left.set(xlabel="step", title="nats an answer")
left.legend(frameon=False)
gradient = pixels.grad.mean(axis=0) / abs(pixels.grad.mean(axis=0)).max()
pictures = {"mean 3": x[is_8[:, 0] == 0].mean(axis=0), "mean 8": x[is_8[:, 0] == 1].mean(axis=0), "d logit / d pixel": gradient}
for ax, (title, picture) in zip(maps, pictures.items(), strict=True):
    ax.imshow(picture.reshape(8, 8), cmap="PuOr" if "d" in title else "Greys", vmin=-1, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
show(fig, "02_training")

# %% [markdown]
# The two curves lie on each other, to the last bit. And the tape gives more than gradients of weights: asked for those
# of the test images, it says where ink speaks for an 8 (violet) and where against it (orange).
#
# ## What the real tape adds
#
# `minipixel/tensor.py` is this page with its corners made safe.

# %%
