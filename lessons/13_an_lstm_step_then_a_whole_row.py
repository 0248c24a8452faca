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
# Let us turn the knobs ourselves, in five cells. At step 2 a 1 is written to each, and never again. Four of them differ
# in f (left). The fifth plays a script (right): hold it, show it at steps 9 to 11, forget it at step 15.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from scipy.special import expit, logit  # the sigmoid, and its inverse
from show import show

import minipixel as mp
from minipixel.models.pixelrnn import LSTM

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
IMAGES, EPOCHS = (160, 1) if os.environ.get("MINIPIXEL_QUICK") == "1" else (1295, 10)


def step(z, c_before):
    """One step of any number of cells: pre-activations (..., 4K), memories (..., K) -> states h, memories c."""
    o, f, i, g = np.split(z, 4, axis=-1)
    c = expit(f) * c_before + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


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
right.imshow(expit(z[:, 4, :3].T), extent=(-0.5, 19.5, 1.25, 1.85), cmap="Blues", vmax=1.3)
right.plot(steps, c[:, 4], ".-", steps, h[:, 4], ".-")
right.set(title="gates (dark: open), c blue, h orange", xticks=range(0, 20, 5), ylim=(-0.05, 1.9), aspect="auto")
right.set_yticks([0, 0.5, 1, 1.35, 1.55, 1.75], [0, 0.5, 1, "i", "f", "o"])
show(figure, "11_cell")

# %% [markdown]
# With f near 1 the memory is a shelf; with f near 0 each step wipes it. Training finds out when to do which.
#
# ## The rows are the steps
# A map has the shape (H, W, N, K). Take one column: row after row, the state of the row above comes back in through a
# matrix. For W = 1 that is all that `lstm_scan` does.

# %%
rng, init = np.random.default_rng(11), mp.nn.Init(11, "float64")
H, W, N, K, taps = 5, 7, 2, 3, (-1, 0, 1)
z, weight = rng.normal(size=(H, W, N, 4 * K)), rng.normal(size=(3, K, 4 * K))
column, h, c = [], np.zeros((N, K)), np.zeros((N, K))
for z_row in z[:, 0]:
    h, c = step(z_row + h @ weight[1], c)
    column.append(h)
scanned = mp.ops.lstm_scan(z[:, :1], weight[1:2], None, None, taps=(0,))[:, 0]
assert np.allclose(column, scanned, rtol=0, atol=1e-13)

# %% [markdown]
# A Row LSTM takes all columns at once, and lets a cell read its two upper neighbours too: a 1x3 convolution from state
# to state. These states stand in the row above. All of it is past, so these three taps need no mask.
# What the image tells each cell is another 1x3 convolution, in the cell's own row. There the right neighbour is future:
# mask B shuts it. It needs no state, hence it is computed for the whole map beforehand.
# Who reads whom? As ever, a gradient that is not zero. Below: the input convolution; one step of the scan; and both.

# %%
rows, h, c = [], np.zeros((W, N, K)), np.zeros((W, N, K))
for z_row in z:
    h_wide = np.pad(h, ((1, 1), (0, 0), (0, 0)))  # column c now stands at c + 1; beyond the border is zero
    h, c = step(z_row + sum(h_wide[t : t + W] @ weight[t] for t in range(3)), c)
    rows.append(h)
assert np.allclose(rows, mp.ops.lstm_scan(z, weight, None, None, taps=taps), rtol=0, atol=1e-13)
see = mp.nn.Conv2d(np.zeros(1, int), np.zeros(4, int), (1, 3), "B", init)  # one unit, four gates
lstm = LSTM(see, 1, taps, 0, False, init)  # no condition, no learned start
layers = {
    "input to state: 1x3, mask B": (lstm.see, (4, 9, 1, 1)),
    "state to state: 1x3, no mask": (lstm.scan, (2, 9, 1, 4)),  # two rows: a single step
    "both, row after row": (lambda x: lstm.scan(lstm.see(x)), (4, 9, 1, 1)),
}
figure, read = mp.plots.figure(7.6, 1.5), []
for ax, (title, (layer, shape)) in zip(figure.subplots(1, 3), layers.items(), strict=True):
    x = mp.Tensor(rng.normal(size=shape))
    seed = np.zeros(layer(x).shape)
    seed[-1, 4] = 1  # we ask for column 4 of the last row
    layer(x).backward(seed)
    read.append(np.pad((x.grad != 0).any(axis=(2, 3)), ((4 - shape[0], 0), (0, 0))))
    ax.pcolormesh(read[-1], cmap=ListedColormap([mp.plots.SHUT, mp.plots.OPEN]), vmin=0, vmax=1, edgecolors="white")
    ax.plot(4.5, 3.5, "s", color=mp.plots.CENTRE, markersize=7)
    ax.set(aspect="equal", ylim=(4, 0), xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
show(figure, "11_reads")

# %% [markdown]
# ## Back through time
# The gradient walks home the same way, from the last row to the first. Is the vjp right? And how much arrives? For the
# second question the weights are zero: then only the memory carries anything, and each row costs a factor f.

# %%
error = mp.gradcheck(lambda *given: mp.ops.lstm_scan(*given, taps=taps), z[:3, :4], weight, *rng.normal(size=(2, K)))
print(f"gradcheck of lstm_scan, by z, weight, h0 and c0: worst relative error {error:.0e}")
figure, arrives = mp.plots.figure(5.6, 2.7), {}
ax = figure.subplots(subplot_kw={"title": "The last row's gradient, row by row", "xlabel": "row", "ylim": (1e-6, 9)})
for f, label_at in ((0.99, 1.6), (0.9, 0.03), (0.5, 2e-4)):
    gates = mp.Tensor(np.tile([1.0, logit(f), 0.0, 0.0], (20, 1, 1, 1)))
    mp.ops.lstm_scan(gates, np.zeros((1, 1, 4)), None, None, taps=(0,)).backward(np.eye(20)[-1].reshape(20, 1, 1, 1))
    arrives[f] = gates.grad[:, 0, 0, 3] / gates.grad[-1, 0, 0, 3]  # what g gets
    print(f"f = {f:4}: {arrives[f][0]:.2g} of it is left 19 rows up; f^19 = {f**19:.2g}")
    ax.semilogy(arrives[f], ".-", color=mp.plots.OPEN, alpha=f)
    ax.text(4, label_at, f"f = {f}", ha="center")
ax.set_xticks(range(0, 20, 5))
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
# row. The right stays. To go right by one column costs one row up, in whatever layer; the stem alone adds a step of its
# own. So of row k above, the columns up to c + k + 2 are in sight, and no depth adds one. It is the bite that PixelCNN
# has, however deep. The Diagonal BiLSTM closes it.
#
# ## Train it
# Two layers beside a PixelCNN of about as many open weights: the same digits, the same epochs, two seeds each.

# %%
models = {"PixelCNN": {"hidden": 16, "blocks": 3}, "RowLSTM": {"hidden": 12, "layers": 2}}
ds, scores = mp.datasets.load("digits"), {name: [] for name in models}
train, held_out, figure = ds.train.images[:IMAGES], ds.validation.images, mp.plots.figure(5.6, 2.8)
ax = figure.subplots(subplot_kw={"title": "Validation digits, two seeds each", "xlabel": "epoch", "ylabel": "bits/dim"})
for seed in (SEED, SEED + 1):
    for (name, size), colour in zip(models.items(), (mp.plots.CENTRE, mp.plots.OPEN), strict=True):
        model = getattr(mp.models, name)(ds.image_shape, ds.levels, **size, rng=seed)
        history = mp.fit(model, train, validation=held_out, epochs=EPOCHS, rng=seed, progress=False)
        scores[name].append(model.bits_per_dim(held_out))
        print(f"{name:8} {model.summary().split()[-1]} open weights, seed {seed}: {scores[name][-1]:.3f} bits/dim")
        ax.plot(range(1, EPOCHS + 1), history.history["val_bits_per_dim"], ".-", color=colour)
ax.legend(ax.lines[:2], models, frameon=False)
show(figure, "11_training")

# %% [markdown]
# No victory: PixelCNN leads by some hundredths, and neither has finished. But a stem and n blocks look 3 + n rows up,
# here 6 of 8: little height is left to win. On the larger images of CIFAR-10 the paper's Row LSTM beats its PixelCNN.
#
# ## What you should see

# %%
assert [np.argwhere(cells).tolist() for cells in read[:2]] == [[[3, 3], [3, 4]], [[2, 3], [2, 4], [2, 5], [3, 4]]]
assert error < 1e-10 and all(np.allclose(size, f ** np.arange(19, -1, -1)) for f, size in arrives.items())
assert not any((field & ~past).any() for field in fields.values())
cnn, *lstms = fields.values()
assert cnn.any(axis=1).argmax() == r - (3 + 2)  # the highest row in sight
for field in lstms:
    assert [row.nonzero()[0].max() for row in field[:r]] == [min(W - 1, c + k + 2) for k in range(r, 0, -1)]
assert lstms[1][:, :c].all()  # the left is whole
if EPOCHS == 10:  # the full length
    assert max(map(max, scores.values())) < 2.2 and 0 < np.mean(scores["RowLSTM"]) - np.mean(scores["PixelCNN"]) < 0.1

# %% [markdown]
# ## Exercises
# 1. Shut the right tap of the state convolution (zero its weights). Which triangle is left?
# 2. Open the right tap of the input convolution. What does `mp.assert_causal` say?
# 3. In the third figure, give `lstm_scan` large weights instead of zeros. Does the gradient still fall as f^k?
