# %% [markdown]
# # 11 An LSTM step, then a whole row
#
# - *You will* run one LSTM cell by hand, then a whole row at once, follow its gradients, draw its triangle, train it.
# - *Reads* `minipixel/ops/scan.py`, `models/pixelrnn.py`; van den Oord et al. 2016, arXiv:1601.06759, section 3.1.
# - *Before* lesson 05 for masks and the blind spot, lesson 03 for checked gradients.
# - *Takes* about 40 seconds on two cores.
#
# ## A value to keep
# Deep convolutions look further with each layer. A recurrence looks back as far as it likes, with one layer: a *state*
# is handed from step to step. In an LSTM each unit has a memory c, and three gates between 0 and 1 guard it:
#
#     c = f * c_before + i * tanh(g)        forget, input, and what to write
#     h = o * tanh(c)                       output: what the others get to see
#
# All four come from *pre-activations* z = [o, f, i, g], the first three through a sigmoid.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from scipy.special import expit as sigmoid
from scipy.special import logit
from show import show

import minipixel as mp

EPOCHS = 1 if os.environ.get("MINIPIXEL_QUICK") == "1" else 10


def step(z, c_before):
    """One step of any number of cells: pre-activations (..., 4K), memories (..., K) -> states h, memories c."""
    o, f, i, g = np.split(z, 4, axis=-1)
    c = sigmoid(f) * c_before + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def run(z):
    """A cell that listens to z alone, from an empty memory: (steps, 4) -> h and c, (2, steps)."""
    h, c = [], np.zeros(1)
    for z_now in z:
        h_now, c = step(z_now, c)
        h.append((h_now[0], c[0]))
    return np.transpose(h)


# %% [markdown]
# Now we turn the knobs ourselves. On the left, a 1 is written at step 2 and never again; only f differs. On the right,
# a script: write at step 2, hold, show at steps 9 to 11, forget at step 15.

# %%
steps, on, off = np.arange(20), logit(0.999), logit(0.001)
script = np.tile([off, on, off, 3.0], (20, 1))  # o, f, i, g: f open, the rest shut
script[2, 2], script[9:12, 0], script[15, 1] = on, on, off
kept = {}
for f in (0.99, 0.9, 0.5, 0.1):
    z = script.copy()
    z[:, 1] = logit(f)
    z[:, 2] = np.where(steps == 2, 40.0, -40.0)  # fully open once, then fully shut
    kept[f] = run(z)[1]
    print(f"f = {f:4}: memory at step 2 {kept[f][2]:.3f}, at step 12 {kept[f][12]:.3f}: f^10 = {f**10:.3g} of it")
h, c = run(script)

figure = mp.plots.figure(7.6, 3.0)
left, right = figure.subplots(1, 2)
for shade, (f, memory) in zip((1, 0.75, 0.5, 0.3), kept.items(), strict=True):
    left.plot(steps, memory, ".-", color=mp.plots.OPEN, alpha=shade)
    left.text(*{0.99: (12, 0.94), 0.9: (9, 0.53), 0.5: (4.3, 0.26), 0.1: (2.2, 0.03)}[f], f"f = {f}")
left.set(title="c, written once", xlabel="step")
for level, (name, k) in enumerate({"i": 2, "f": 1, "o": 0}.items()):
    gate = sigmoid(script[:, k])[None]
    right.imshow(gate, extent=(-0.5, 19.5, 1.3 + level / 5, 1.45 + level / 5), cmap="Blues", vmin=0, vmax=1.3)
    right.text(-1, 1.37 + level / 5, name, ha="right", va="center")
right.plot(steps, c, ".-", color=mp.plots.OPEN, label="c, kept")
right.plot(steps, h, ".-", color=mp.plots.CENTRE, label="h, shown")
right.set(title="gates (dark: open), memory and state", xlabel="step", xlim=(-2, 20), ylim=(-0.05, 1.95), aspect="auto")
right.set_yticks([0, 0.5, 1])
right.legend(loc="center right", fontsize=8, frameon=False)
show(figure, "11_cell")

# %% [markdown]
# With f near 1 the memory is a shelf; with f near 0 it is wiped at every step. Training finds when to do which.
#
# ## The rows are the steps
# A map has the shape (H, W, N, K). Take one column: row after row, the state of the row above comes back in through a
# matrix. That is all that `lstm_scan` does, for W = 1.

# %%
rng = np.random.default_rng(11)
H, W, N, K = 5, 7, 2, 3
z, weight = rng.normal(size=(H, W, N, 4 * K)), rng.normal(size=(3, K, 4 * K))
column, h, c = [], np.zeros((N, K)), np.zeros((N, K))
for z_row in z[:, 0]:
    h, c = step(z_row + h @ weight[1], c)
    column.append(h)
one_tap = mp.ops.lstm_scan(z[:, :1], weight[1:2], None, None, taps=(0,)).data[:, 0]
assert np.allclose(column, one_tap, rtol=0, atol=1e-14)

# %% [markdown]
# A Row LSTM does this for all columns at once, and lets a cell also read its two upper neighbours: a 1x3 convolution
# from state to state. The states stand in the row above. All of it is past, so these three taps need no mask.
# What the image itself tells each cell is another 1x3 convolution, in the cell's own row. There the right neighbour is
# future: mask B shuts it. It depends on no state, hence it is computed for the whole map beforehand.

# %%
rows, h, c = [], np.zeros((W, N, K)), np.zeros((W, N, K))
for z_row in z:
    beyond = np.zeros((1, N, K))
    h_wide = np.concatenate([beyond, h, beyond])  # column c now stands at c + 1
    h, c = step(z_row + sum(h_wide[t : t + W] @ weight[t] for t in range(3)), c)
    rows.append(h)
taps = (-1, 0, 1)
assert np.allclose(rows, mp.ops.lstm_scan(z, weight, None, None, taps=taps).data, rtol=0, atol=1e-14)

# %% [markdown]
# Who reads whom? As ever, a gradient that is not zero. First the input convolution alone; then the scan, cut after two
# rows; then both together.

# %%
grey = np.zeros(1, int)
see = mp.nn.Conv2d(grey, np.zeros(4, int), (1, 3), "B", mp.nn.Init(0, "float64"))
weight_1 = rng.normal(size=(3, 1, 4))


def reads(function, shape, r, c):
    """How strongly `function` at (r, c) reads each pixel of a map: |gradient| (H, W)."""
    x = mp.Tensor(rng.normal(size=shape))
    y = function(x)
    seed = np.zeros(y.shape)
    seed[r, c] = 1
    y.backward(seed)
    return np.abs(x.grad).sum(axis=(2, 3))


def scan(x):
    return mp.ops.lstm_scan(x, weight_1, None, None, taps=taps)


pictures = {
    "input to state: 1x3, mask B": reads(see, (4, 9, 1, 1), 3, 4) > 0,
    "state to state: 1x3, no mask": np.pad(reads(scan, (2, 9, 1, 4), 1, 4) > 0, ((2, 0), (0, 0))),
    "both, row after row": reads(lambda x: scan(see(x)), (4, 9, 1, 1), 3, 4) > 0,
}
figure = mp.plots.figure(7.6, 1.7)
for ax, (title, seen) in zip(figure.subplots(1, 3), pictures.items(), strict=True):
    ax.pcolormesh(seen, cmap=ListedColormap([mp.plots.SHUT, mp.plots.OPEN]), vmin=0, vmax=1, edgecolors="white")
    ax.plot(4.5, 3.5, "s", color=mp.plots.CENTRE, markersize=7)
    ax.set(aspect="equal", ylim=(4, 0), xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
show(figure, "11_reads")

# %% [markdown]
# ## Back through time
# The gradient walks the same way home, from the last row to the first. Every step up multiplies it by f, and by what
# the states add. First, is the vjp right? Then, how much of it arrives?

# %%
start = rng.normal(size=(2, K))
error = mp.gradcheck(lambda *inputs: mp.ops.lstm_scan(*inputs, taps=taps), z[:3, :4], weight, *start)
print(f"gradcheck of lstm_scan, by z, weight, h0 and c0: worst relative error {error:.0e}")

T, arrives = 20, {}
for f in (0.99, 0.9, 0.5):
    gates = np.tile([1.0, logit(f), 0.0, 0.0], (T, 1, 1, 1))  # one column, one unit
    gates = mp.Tensor(gates)
    mp.ops.lstm_scan(gates, np.zeros((1, 1, 4)), None, None, taps=(0,)).backward(
        np.eye(T)[-1].reshape(T, 1, 1, 1)  # we ask about the last row alone
    )
    arrives[f] = np.abs(gates.grad[:, 0, 0, 3])
    print(f"f = {f:4}: {arrives[f][0] / arrives[f][-1]:.2g} of the gradient is left {T - 1} rows up")
field = reads(lambda x: mp.ops.lstm_scan(x, weight_1 / 3, None, None, taps=taps), (T, 31, 1, 4), T - 1, 15)

figure = mp.plots.figure(7.6, 3.0)
left, right = figure.subplots(1, 2)
for shade, (f, size) in zip((1, 0.7, 0.4), arrives.items(), strict=True):
    left.semilogy(size / size[-1], ".-", color=mp.plots.OPEN, alpha=shade)
    left.text(3, 1.6 * (size / size[-1])[3], f"f = {f}")
left.set(title="gradient of the last row, by row", xlabel="row", ylim=(1e-6, 5))
shades = right.imshow(np.log10(np.where(field > 0, field, np.nan)), cmap="Blues")
right.set(title="log10 of the gradient, three taps, random gates", xlabel="column", ylabel="row")
figure.colorbar(shades, ax=right)
show(figure, "11_gradients")
