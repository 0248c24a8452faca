# %% [markdown]
# # 02 A tape in a page
#
# - *You will* write reverse-mode differentiation by hand, train a network with it, and find your way in the real one.
# - *Reads* `minipixel/tensor.py`, `minipixel/ops/`.
# - *Before* lesson 01.
# - *Takes* about 3 seconds to run, and an hour to read.
#
# ## The chain rule on one number
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
# A step is an **op**: one function on plain arrays that returns its value and its `vjp` (vector-Jacobian product; the
# table of all slopes, the Jacobian, is never built). The vjp takes g, the gradient of the end with respect to that
# value, and returns one gradient an input. `op` lifts such a function: out comes a Node, which remembers its inputs and
# the way back. `gradients` puts all Nodes in order, inputs first, and walks them from the end to the start.


# %%
class Node:
    def __init__(self, data, inputs=(), vjp=lambda g: ()):
        self.data, self.inputs, self.vjp = np.asarray(data), inputs, vjp


def op(function):
    def lifted(*inputs, **static):
        value, vjp = function(*[x.data if isinstance(x, Node) else x for x in inputs], **static)
        return Node(value, inputs, vjp)

    return lifted


def inputs_first(node, order):
    if node not in order:
        for x in node.inputs:
            if isinstance(x, Node):  # a constant is a plain array: nobody asks for its gradient
                inputs_first(x, order)
        order.append(node)
    return order


def gradients(output, wrt, combine=np.add):
    found = {output: np.ones_like(output.data)}
    for node in reversed(inputs_first(output, [])):
        for x, part in zip(node.inputs, node.vjp(found[node]), strict=True):
            if isinstance(x, Node):
                found[x] = combine(found[x], part) if x in found else part
    return [found.get(x) for x in wrt]


add = op(lambda x, y: (x + y, lambda g: (g, g)))
multiply = op(lambda x, y: (x * y, lambda g: (g * y, g * x)))
linear = op(lambda x, weight, bias: (x @ weight + bias, lambda g: (g @ weight.T, x.T @ g, g.sum(axis=0))))
tanh = op(mp.ops.tanh.arrays)  # borrowed: an op of the library is such a function too

# %% [markdown]
# ## A value that is used twice
# Now let b be w: `z = tanh(w*x + w)`. A nudge of w reaches z by two roads, and what arrives adds up. So **gradients
# add** where a value is used twice. Every arrow below has its value above it and its share of the gradient under it.


# %%
def draw(ax, title, end, places):
    found = dict(zip(places, gradients(end, places), strict=True))
    edges = [(end, (5.9, 0.8), found[end])]
    edges += [(x, places[n][1], g) for n in places for x, g in zip(n.inputs, n.vjp(found[n]), strict=True)]
    for x, head, g in edges:
        label, tail = places[x]
        label = f"  {label}  " if x.inputs else f"{label} = {x.data:.1f}\ngradient {found[x]:.3f}"
        box = {"boxstyle": "round,pad=0.5", "facecolor": mp.plots.SHUT if x.inputs else "white", "edgecolor": "black"}
        line = {"arrowstyle": "-|>", "color": "#9aa4ae", "shrinkB": 0 if x is end else 24}
        ax.annotate(label, head, tail, ha="center", va="center", bbox=box, arrowprops=line)
        style = {"ha": "center", "fontsize": 9.5, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.6}}
        place = np.array(tail) * 0.47 + np.array(head) * 0.53
        ax.text(*place, f"{x.data:.3f}", color=mp.plots.OPEN, va="bottom", **style)
        ax.text(*place, f"{g:.3f}", color=mp.plots.CENTRE, va="top", **style)
    ax.set(xlim=(-0.5, 6), ylim=(-0.3, 1.9), xticks=[], yticks=[], frame_on=False, title=title)


fig = mp.plots.figure(7.4, 4.8)
w, x, b = map(Node, start)
for ax, last, title in zip(fig.subplots(2, 1), (b, w), ("z = tanh(w*x + b)", "z = tanh(w*x + w)"), strict=True):
    u = multiply(w, x)
    v = add(u, last)
    z = tanh(v)
    places = {w: ("w", (0, 1.6)), x: ("x", (0, 0)), b: ("b", (1.6, 1.65))}
    draw(ax, title, z, places | {u: ("*", (1.6, 0.5)), v: ("+", (3.1, 0.8)), z: ("tanh", (4.6, 0.8))})
show(fig, "02_graph")
added, overwritten = gradients(z, [w])[0], gradients(z, [w], combine=lambda old, new: new)[0]
print(f"dz/dw of tanh(w*x + w): added {added:.3f}, overwritten {overwritten:.3f}")

# %% [markdown]
# ## A gate and a network
# An op may be as large as you like. The gate of later lessons is `tanh(a) * sigmoid(b)`: one function, forward and then
# its vjp. Our `op` lifts it and so does `mp.op`: the form is the same. Let both tapes tell a 3 from an 8: 64 pixels, a
# linear map to 16 numbers, a gate that leaves 8, a linear map to one logit. The gradient of the mean log-probability of
# the right answers says which way is up, and we climb. Both tapes climb the same path.


# %%
def gate(x):  # x = [a, b] side by side: (N, 2K) -> (N, K)
    a, b = np.split(x, 2, axis=-1)
    t, s = np.tanh(a), 1 / (1 + np.exp(-b))
    return t * s, lambda g: (np.concatenate([g * s * (1 - t * t), g * t * s * (1 - s)], axis=-1),)


STEPS, SEED = 60 if os.environ.get("MINIPIXEL_QUICK") == "1" else 400, int(os.environ.get("MINIPIXEL_SEED", "0"))
ds = mp.datasets.load("digits")
(digits, is_8), (digits_test, is_8_test) = (
    (split.images[chosen].reshape(-1, 64) / 8 - 1, split.labels[chosen, None] == 8)
    for split, chosen in ((split, np.isin(split.labels, (3, 8))) for split in (ds.train, ds.test))
)
by_hand = linear, op(gate), op(mp.ops.bernoulli_log_prob.arrays), op(mp.ops.mean.arrays), Node, gradients
library = mp.ops.linear, mp.op(gate), mp.ops.bernoulli_log_prob, mp.ops.mean, mp.Tensor, mp.tensor.gradients
runs = []
for linear, gate, log_prob, mean, leaf, tape in (by_hand, library):
    rng, curve = np.random.default_rng(SEED), []
    weights = [rng.normal(size=(64, 16)) / 8, np.zeros(16), rng.normal(size=(8, 1)) / 3, np.zeros(1)]
    for _ in range(STEPS):
        w1, b1, w2, b2 = tracked = [leaf(weight) for weight in weights]
        score = mean(log_prob(linear(gate(linear(digits, w1, b1)), w2, b2), images=is_8))
        weights = [weight + 0.5 * slope for weight, slope in zip(weights, tape(score, tracked), strict=True)]
        curve.append(-score.data)
    wrong = ((linear(gate(linear(leaf(digits_test), *weights[:2])), *weights[2:]).data > 0) != is_8_test).sum()
    print(f"{STEPS} steps: {curve[0]:.3f} -> {curve[-1]:.3f} nats an answer; test: {wrong} of {len(is_8_test)} wrong")
    runs.append((curve, *weights))

fig = mp.plots.figure(6.6, 2.8)
ax = fig.subplots()
ax.semilogy(runs[0][0], color="#f0c594", linewidth=6, label="by hand")
ax.semilogy(runs[1][0], color=mp.plots.OPEN, linewidth=1.3, label="minipixel")
ax.set(xlabel="step", ylabel="nats an answer", title="3 or 8? Two tapes, one curve", ylim=(1e-3, 1))
ax.legend(frameon=False)
show(fig, "02_training")

# %% [markdown]
# ## What the real tape adds
# `minipixel/tensor.py` is this page made safe. It walks with a list, not by recursion, so a graph may be deep. It names
# the op where a shape is wrong. It drops each step once it is used, which frees memory. It skips the costly gradients
# of constants. Inside `no_grad` it remembers nothing.


# %%
ends, said = (mp.Tensor(np.zeros(())), Node(0.0)), {}
for _ in range(5000):
    ends = mp.ops.add(ends[0], 1.0), add(ends[1], 1.0)
for name, attempt in {
    "5,000 steps, minipixel": ends[0].backward,
    "5,000 steps, by hand": lambda: gradients(ends[1], []),
    "not a single number": mp.ops.tanh(mp.Tensor(digits)).backward,
    "the same graph twice": score.backward,
}.items():
    try:
        said[name] = attempt() or "works"
    except (RecursionError, ValueError) as error:
        said[name] = f"{type(error).__name__}: {error}"
    print(f"{name:22s} {said[name]}")

# %% [markdown]
# ## What you should see

# %%
assert np.allclose(gradients(tanh(add(multiply(w, x), b)), [w, x, b]), [g_w, g_x, g_b], rtol=0, atol=1e-14)
assert np.allclose([added, overwritten], [0.669, 0.412], atol=5e-4)
assert all(np.allclose(ours, theirs, rtol=0, atol=1e-12) for ours, theirs in zip(*runs, strict=True))
assert 0.6 < curve[0] < 0.8 and curve[-1] < 0.04 and wrong <= 2
assert [line.split(":")[0] for line in said.values()] == ["works", "RecursionError", "ValueError", "ValueError"]
with mp.no_grad():
    assert mp.ops.tanh(mp.Tensor(digits)).inputs == score.inputs == ()  # not remembered; used and dropped

# %% [markdown]
# ## Exercises
# 1. Write `exp` as an op. Check it by nudging, then by `mp.gradcheck`.
# 2. Draw the graph of w*w*w. How many arrows leave w, and what do they carry?
# 3. Lift the function of `add` with `mp.op` and add a row to a matrix. What does the library see that this page misses?
# 4. Ask for the gradient of the mean logit with respect to the test images. Which pixels speak for an 8?
