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


# %% [markdown]
# Now we turn the knobs ourselves. On the left, a 1 is written at step 2 and never again; only f differs. On the right,
# a script: write at step 2, hold, show at steps 9 to 11, forget at step 15.

# %%
steps, on, off, forgetting = np.arange(20), 20.0, -20.0, np.array([0.99, 0.9, 0.5, 0.1])
z = np.zeros((20, 5, 4))  # five cells: four differ in f, the fifth plays the script
z[..., 0], z[:, :4, 1], z[:, 4, 1] = off, logit(forgetting), on  # o shut, f as given
z[..., 2], z[..., 3] = np.where(steps == 2, on, off)[:, None], on  # i opens once; what it lets in is 1
z[9:12, 4, 0], z[15, 4, 1] = on, off  # the script: show, then forget
h, c = np.zeros((2, 20, 5))
for t in steps:
    h[t], c[t] = (x[:, 0] for x in step(z[t], c[t - 1, :, None]))  # before step 0: row -1, still empty
for f, memory in zip(forgetting, c.T, strict=False):
    print(f"f = {f:4}: memory {memory[2]:.3f} at step 2, {memory[12]:.3f} at step 12; f^10 = {f**10:.3f}")

figure = mp.plots.figure(7.6, 3.0)
left, right = figure.subplots(1, 2)
for k, place in enumerate([(12, 0.94), (9, 0.53), (4.3, 0.26), (3.3, 0.08)]):
    left.plot(steps, c[:, k], ".-", color=mp.plots.OPEN, alpha=1 - k / 5)
    left.text(*place, f"f = {forgetting[k]}")
left.set(title="c, written once", xlabel="step")
for level, (name, k) in enumerate({"i": 2, "f": 1, "o": 0}.items()):
    low = 1.25 + level / 5
    right.imshow(sigmoid(z[None, :, 4, k]), extent=(-0.5, 19.5, low, low + 0.15), cmap="Blues", vmax=1.3)
    right.text(-1, low + 0.07, name, ha="right", va="center")
right.plot(steps, c[:, 4], ".-", color=mp.plots.OPEN)
right.plot(steps, h[:, 4], ".-", color=mp.plots.CENTRE)
right.text(5, 1.06, "c, kept", color=mp.plots.OPEN)
right.text(12.2, 0.5, "h, shown", color=mp.plots.CENTRE)
right.set(title="gates (dark: open), c and h", xlabel="step", xlim=(-2, 20), ylim=(-0.05, 1.9), aspect="auto")
right.set_yticks([0, 0.5, 1])
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
for f in (0.99, 0.9, 0.5):  # one column, and weights of zero: only the memory is left to carry anything
    gates = mp.Tensor(np.tile([1.0, logit(f), 0.0, 0.0], (T, 1, 1, 1)))
    mp.ops.lstm_scan(gates, np.zeros((1, 1, 4)), None, None, taps=(0,)).backward(np.eye(T)[-1].reshape(T, 1, 1, 1))
    arrives[f] = gates.grad[:, 0, 0, 3] / gates.grad[-1, 0, 0, 3]
    print(f"f = {f:4}: {arrives[f][0]:.2g} of the gradient is left {T - 1} rows up; f^{T - 1} = {f ** (T - 1):.2g}")
remember = np.array([0, logit(0.9), 0, 0])
fan = reads(lambda x: scan(x + remember), (T, 31, 1, 4), T - 1, 15)

figure = mp.plots.figure(7.6, 2.9)
left, right = figure.subplots(1, 2, width_ratios=[4, 5])
for f, size in arrives.items():
    left.semilogy(size, ".-", color=mp.plots.OPEN, alpha=f**2)
    left.text(2, 2.2 * size[2], f"f = {f}", ha="center")
left.set(title="what arrives, through c alone", xlabel="row", ylim=(1e-6, 9))
shades = right.imshow(np.log10(np.where(fan, fan, np.nan)), cmap="Blues", vmin=-12)
right.set(title="through c and three taps", xlabel="column", ylabel="row")
figure.colorbar(shades, ax=right, label="log10 of the gradient")
show(figure, "11_gradients")

# %% [markdown]
# The left picture is f to the power of the distance: the memory's own gradient, unbent by any tanh. On the right f is
# about 0.9. The dark stripe is c, which never leaves its column; sideways news must pass through h and weights.
#
# ## A triangle, and what depth does to it
# Now the whole model: a stem of 7x7 under mask A, Row LSTMs, the top. Of all pixels before the dark square, blue are
# seen and orange are not.

# %%
H, W, r, c = 9, 15, 8, 7
past, fields = np.arange(H * W).reshape(H, W) < r * W + c, {}
networks = {
    "PixelCNN, 2 blocks": mp.models.PixelCNN((H, W, 1), 2, hidden=4, blocks=2),
    "Row LSTM, 1 layer": mp.models.RowLSTM((H, W, 1), 2, hidden=4, layers=1),
    "Row LSTM, 4 layers": mp.models.RowLSTM((H, W, 1), 2, hidden=4, layers=4),
}
figure = mp.plots.figure(7.6, 2.1)
for ax, (name, network) in zip(figure.subplots(1, 3), networks.items(), strict=True):
    seen = fields[name] = mp.causality.dependencies(network, outputs=[r * W + c]).reshape(H, W)
    colours = ListedColormap([mp.plots.SHUT, mp.plots.CENTRE, mp.plots.OPEN])  # not past, blind, seen
    ax.pcolormesh(1 * past + seen, cmap=colours, vmin=0, vmax=2, edgecolors="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=5)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[])
    ax.set_title(f"{name}:\nblind to {(past & ~seen).sum()} of {past.sum()}", fontsize=9)
show(figure, "11_triangle")

# %% [markdown]
# The PixelCNN sees few rows. One Row LSTM reaches the top row of any image. More layers fill the left, as each looks
# one pixel further left in its own row. The right stays: the only way right is one column for one row up, and stacked
# layers of one row stand on the same spot. The stem adds 3 for the row above that. So of row k above, all columns up
# to c + k + 2 are in sight, and no depth adds one. It is the very bite of PixelCNN. The Diagonal BiLSTM closes it.
#
# ## Train it
# Two Row LSTMs beside a PixelCNN of about as many open weights, on the digits, for the same epochs, from two seeds.

# %%
ds = mp.datasets.load("digits")
train, test, shape, Q = ds.train.images, ds.test.images, ds.image_shape, ds.levels
figure = mp.plots.figure(5.6, 3.0)
ax, scores, weights = figure.subplots(), {"PixelCNN": [], "RowLSTM": []}, {}
for seed in (0, 1):
    for name, colour in zip(scores, (mp.plots.CENTRE, mp.plots.OPEN), strict=True):
        size = {"hidden": 16, "blocks": 3} if name == "PixelCNN" else {"hidden": 12, "layers": 2}
        model = getattr(mp.models, name)(shape, Q, **size, rng=seed)
        history = mp.fit(model, train, validation=test, epochs=EPOCHS, rng=seed, progress=False)
        weights[name] = int(model.summary().split()[-1].replace(",", ""))
        scores[name].append(model.bits_per_dim(test))
        ax.plot(range(1, EPOCHS + 1), history.history["val_bits_per_dim"], ".-", color=colour, label=name)
        seconds = sum(history.history["seconds"])
        print(f"{name:9} {weights[name]:6,} weights, seed {seed}: {scores[name][-1]:.3f} bits/dim, {seconds:.0f} s")
ax.set(title="Test digits, two seeds each", xlabel="epoch", ylabel="bits/dim")
ax.legend(ax.lines[:2], scores, frameon=False)
show(figure, "11_training")
