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
# is handed from step to step. In an LSTM each unit has a memory c, and gates between 0 and 1 guard it:
#
#     c = f * c_before + i * g        forget, input, and what to write
#     h = o * tanh(c)                 output: what the others get to see
#
# All four are made from *pre-activations*: o, f and i through a sigmoid, g through tanh.

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
# Let us turn the knobs ourselves, in five cells. At step 2 a 1 is written to each, and never again. Four of them differ
# in f (left). The fifth plays a script (right): hold it, show it at steps 9 to 11, forget it at step 15.

# %%
steps, on, off, forgetting = np.arange(20), 20.0, -20.0, np.array([0.99, 0.9, 0.5, 0.1])
z = np.full((20, 5, 4), off)  # steps, cells, pre-activations of o, f, i, g
z[:, :4, 1], z[:, 4, 1], z[2, :, 2], z[:, :, 3] = logit(forgetting), on, on, on
z[9:12, 4, 0], z[15, 4, 1] = on, off
h, c = np.zeros((2, 20, 5))
for t in steps:
    h[t], c[t] = (x[:, 0] for x in step(z[t], c[t - 1, :, None]))  # before step 0: row -1, still empty

figure = mp.plots.figure(7.6, 3.0)
left, right = figure.subplots(1, 2)
for k, f in enumerate(forgetting):
    left.plot(steps, c[:, k], ".-", color=mp.plots.OPEN, alpha=1 - k / 5, label=f"f = {f}")
    print(f"f = {f:4}: memory {c[2, k]:.3f} at step 2, {c[12, k]:.3f} at step 12; f^10 = {f**10:.3f}")
left.set(title="c, written once", xlabel="step")
left.legend(loc=(0.67, 0.33), fontsize=8, frameon=False)
for low, name, k in ((1.25, "i", 2), (1.45, "f", 1), (1.65, "o", 0)):
    right.imshow(sigmoid(z[None, :, 4, k]), extent=(-0.5, 19.5, low, low + 0.15), cmap="Blues", vmax=1.3)
    right.text(-1, low + 0.07, name, ha="right", va="center")
for values, colour, place, text in (
    (c, mp.plots.OPEN, (5, 1.06), "c, kept"),
    (h, mp.plots.CENTRE, (4.9, 0.5), "h, shown"),
):
    right.plot(steps, values[:, 4], ".-", color=colour)
    right.text(*place, text, color=colour)
right.set(title="gates (dark: open), c and h", xlabel="step", xlim=(-2, 20), ylim=(-0.05, 1.9), aspect="auto")
right.set_yticks([0, 0.5, 1])
show(figure, "11_cell")

# %% [markdown]
# With f near 1 the memory is a shelf; with f near 0 each step wipes it. Training finds out when to do which.
#
# ## The rows are the steps
# A map has the shape (H, W, N, K). Take one column: row after row, the state of the row above comes back in through a
# matrix. For W = 1 that is all that `lstm_scan` does.

# %%
rng = np.random.default_rng(11)
H, W, N, K, taps = 5, 7, 2, 3, (-1, 0, 1)
z, weight = rng.normal(size=(H, W, N, 4 * K)), rng.normal(size=(3, K, 4 * K))
column, h, c = [], np.zeros((N, K)), np.zeros((N, K))
for z_row in z[:, 0]:
    h, c = step(z_row + h @ weight[1], c)
    column.append(h)
column_scanned = mp.ops.lstm_scan(z[:, :1], weight[1:2], None, None, taps=(0,)).data[:, 0]

# %% [markdown]
# A Row LSTM takes all columns at once, and lets a cell read its two upper neighbours too: a 1x3 convolution from state
# to state. These states stand in the row above. All of it is past, so these three taps need no mask.
# What the image tells each cell is another 1x3 convolution, in the cell's own row. There the right neighbour is future:
# mask B shuts it. It needs no state, hence it is computed for the whole map beforehand.

# %%
rows, h, c = [], np.zeros((W, N, K)), np.zeros((W, N, K))
for z_row in z:
    h_wide = np.pad(h, ((1, 1), (0, 0), (0, 0)))  # column c now stands at c + 1; beyond the border is zero
    h, c = step(z_row + sum(h_wide[t : t + W] @ weight[t] for t in range(3)), c)
    rows.append(h)
rows_scanned = mp.ops.lstm_scan(z, weight, None, None, taps=taps).data

# %% [markdown]
# Who reads whom? As ever, a gradient that is not zero. First the input convolution; then one step of the scan; then
# both, row after row.

# %%
see = mp.nn.Conv2d(np.zeros(1, int), np.zeros(4, int), (1, 3), "B", mp.nn.Init(0, "float64"))  # one unit, four gates


def scan(x):
    return mp.ops.lstm_scan(x, weight[:, :1, ::K], None, None, taps=taps)


def reads(function, shape):
    """Which pixels of a map `function` reads for column 4 of its last row: boolean (H, W)."""
    x = mp.Tensor(rng.normal(size=shape))
    y = function(x)
    seed = np.zeros(y.shape)
    seed[-1, 4] = 1
    y.backward(seed)
    return (x.grad != 0).any(axis=(2, 3))


read = {
    "input to state: 1x3, mask B": reads(see, (4, 9, 1, 1)),
    "state to state: 1x3, no mask": np.pad(reads(scan, (2, 9, 1, 4)), ((2, 0), (0, 0))),
    "both, row after row": reads(lambda x: scan(see(x)), (4, 9, 1, 1)),
}
figure = mp.plots.figure(7.6, 1.5)
for ax, (title, cells) in zip(figure.subplots(1, 3), read.items(), strict=True):
    ax.pcolormesh(cells, cmap=ListedColormap([mp.plots.SHUT, mp.plots.OPEN]), vmin=0, vmax=1, edgecolors="white")
    ax.plot(4.5, 3.5, "s", color=mp.plots.CENTRE, markersize=7)
    ax.set(aspect="equal", ylim=(4, 0), xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
show(figure, "11_reads")

# %% [markdown]
# ## Back through time
# The gradient walks home the same way, from the last row to the first. Is the vjp right? And how much arrives? For the
# second question we set the weights to zero: then only the memory carries anything, a factor f each row.

# %%
inputs = z[:3, :4], weight, *rng.normal(size=(2, K))  # the last two: the state h0, c0 above the first row
error = mp.gradcheck(lambda *inputs: mp.ops.lstm_scan(*inputs, taps=taps), *inputs)
print(f"gradcheck of lstm_scan, by z, weight, h0 and c0: worst relative error {error:.0e}")

figure, arrives = mp.plots.figure(5.6, 2.7), {}
ax = figure.subplots(subplot_kw={"title": "The last row's gradient, row by row", "xlabel": "row", "ylim": (1e-6, 9)})
for f in (0.99, 0.9, 0.5):
    gates = mp.Tensor(np.tile([1.0, logit(f), 0.0, 0.0], (20, 1, 1, 1)))
    states = mp.ops.lstm_scan(gates, np.zeros((1, 1, 4)), None, None, taps=(0,))
    states.backward(np.eye(20)[-1].reshape(states.shape))
    arrives[f] = gates.grad[:, 0, 0, 3] / gates.grad[-1, 0, 0, 3]  # what g gets
    print(f"f = {f:4}: {arrives[f][0]:.2g} of it is left 19 rows up; f^19 = {f**19:.2g}")
    ax.semilogy(arrives[f], ".-", color=mp.plots.OPEN, alpha=f**2)
    ax.text(2, 2 * arrives[f][2], f"f = {f}", ha="center")
show(figure, "11_gradients")

# %% [markdown]
# ## A triangle, and what depth does to it
# Now whole models: the Row LSTM has PixelCNN's stem, a 7x7 under mask A, and its top. Of the pixels before the dark
# square, blue are seen and orange are not.

# %%
H, W, r, c = 9, 15, 8, 7
past, fields = np.arange(H * W).reshape(H, W) < r * W + c, {}
networks = {"PixelCNN, 2 blocks": mp.models.PixelCNN((H, W, 1), 2, hidden=4, blocks=2)}
networks |= {f"Row LSTM, layers: {n}": mp.models.RowLSTM((H, W, 1), 2, hidden=4, layers=n) for n in (1, 4)}
colours = ListedColormap([mp.plots.SHUT, mp.plots.CENTRE, mp.plots.OPEN])  # not past, blind, seen
figure = mp.plots.figure(7.6, 2.1)
for ax, (name, network) in zip(figure.subplots(1, 3), networks.items(), strict=True):
    fields[name] = mp.causality.dependencies(network, outputs=[r * W + c]).reshape(H, W)
    ax.pcolormesh(1 * past + fields[name], cmap=colours, vmin=0, vmax=2, edgecolors="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=5)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[])
    ax.set_title(f"{name}\nblind to {(past & ~fields[name]).sum()} of {past.sum()}", fontsize=9)
show(figure, "11_triangle")

# %% [markdown]
# One Row LSTM reaches the top row of any image. More layers fill the left: each looks one pixel further left in its own
# row. The right stays. To go right by one column costs one row up, in whatever layer, and only the stem adds its own 3
# in the first row above. So of row k above, the columns up to c + k + 2 are in sight, and no depth adds one. It is the
# bite that PixelCNN has. The Diagonal BiLSTM closes it.
#
# ## Train it
# Two layers beside a PixelCNN of about as many open weights: the same digits, the same epochs, two seeds each.

# %%
ds = mp.datasets.load("digits")
models = {"PixelCNN": {"hidden": 16, "blocks": 3}, "RowLSTM": {"hidden": 12, "layers": 2}}
scores, weights = np.zeros((2, 2)), np.zeros(2, int)  # seeds, models
figure = mp.plots.figure(5.6, 2.8)
ax = figure.subplots(subplot_kw={"title": "Test digits, two seeds each", "xlabel": "epoch", "ylabel": "bits/dim"})
for seed, k in np.ndindex(2, 2):
    name, colour = list(models)[k], (mp.plots.CENTRE, mp.plots.OPEN)[k]
    model = getattr(mp.models, name)(ds.image_shape, ds.levels, **models[name], rng=seed)
    history = mp.fit(model, ds.train.images, validation=ds.test.images, epochs=EPOCHS, rng=seed, progress=False)
    scores[seed, k], weights[k] = model.bits_per_dim(ds.test.images), model.summary().split()[-1].replace(",", "")
    print(f"{name:8} {weights[k]:6,} open weights, seed {seed}: {scores[seed, k]:.3f} bits/dim")
    ax.plot(range(1, EPOCHS + 1), history.history["val_bits_per_dim"], ".-", color=colour)
ax.legend(ax.lines[:2], models, frameon=False)
show(figure, "11_training")

# %% [markdown]
# No victory: PixelCNN learns faster here and ends a little ahead. These images are 8 rows tall, and three blocks look 6
# rows up: there is hardly any height left to win. Nor has either finished. In the paper, on the larger images of
# CIFAR-10, the Row LSTM beats the PixelCNN.
#
# ## What you should see

# %%
assert np.allclose(column, column_scanned, rtol=0, atol=1e-13) and np.allclose(rows, rows_scanned, rtol=0, atol=1e-13)
of_input, of_state, of_both = (np.argwhere(cells).tolist() for cells in read.values())
assert of_input == [[3, 3], [3, 4]] and of_state == [[2, 3], [2, 4], [2, 5], [3, 4]]
assert of_both == [[3 - k, column] for k in (3, 2, 1, 0) for column in range(3 - k, 5 + k)]
assert error < 1e-10 and all(np.allclose(size, f ** np.arange(19, -1, -1)) for f, size in arrives.items())
for name, field in fields.items():
    assert not (field & ~past).any()
    if name != "PixelCNN, 2 blocks":
        assert [row.nonzero()[0].max() for row in field[:r]] == [min(W - 1, c + k + 2) for k in range(r, 0, -1)]
assert fields["Row LSTM, layers: 4"][:, : c + 1][past[:, : c + 1]].all()  # the left is whole
assert abs(weights[1] / weights[0] - 1) < 0.05
if EPOCHS == 10:  # the full length
    assert scores.max() < 2.2 and 0 < scores[:, 1].mean() - scores[:, 0].mean() < 0.1

# %% [markdown]
# ## Exercises
# 1. Shut the right tap of the state convolution (zero its weights). Which triangle is left?
# 2. Open the right tap of the input convolution. What does `mp.assert_causal` say?
# 3. Start `lstm_scan` with large weights instead of zeros. Does its gradient still fall as f^k?
# 4. Train on digits turned by 90 degrees. Which of the two models minds, and why?
