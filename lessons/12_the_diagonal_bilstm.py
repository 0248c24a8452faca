# %% [markdown]
# # 12 The Diagonal BiLSTM
#
# - *You will* scan an image along its diagonals, plant two leaks, and give a published model the pixel it never sees.
# - *Reads* `minipixel/ops/spatial.py`, `ops/scan.py`, `models/pixelrnn.py`; arXiv:1601.06759, sections 3.2 and 3.3.
# - *Before* lesson 05 for masks and blind spots, lesson 07 for PixelCNN on digits.
# - *Takes* less than a minute on two cores.
#
# ## Skew
# A state at (r, c) shall read the states above it, (r-1, c), and beside it, (r, c-1). No two cells of a diagonal wait
# for each other, so a whole diagonal can be computed at once. To line it up, push row r to the right by r. Now both
# cells to be read stand in the column before. Below, pixel 13 reads 8 and 12.
# A scan runs down rows, so `ops.skew` also turns columns into rows: its result holds the diagonals of the map as rows.

# %%
import functools
import os
from unittest import mock

import numpy as np
from matplotlib.colors import ListedColormap
from scipy.special import expit as sigmoid
from show import show

import minipixel as mp
from minipixel import ops

EPOCHS = 1 if os.environ.get("MINIPIXEL_QUICK") == "1" else 10

rng = np.random.default_rng(12)
H, W, r, c = 4, 5, 2, 2
numbers = np.arange(1, H * W + 1).reshape(H, W, 1, 1)  # (H, W, N, K); 0 is left for "no pixel"
diagonals = ops.skew(numbers).data
assert np.array_equal(ops.unskew(diagonals).data, numbers)  # skew, then unskew: the identity
assert diagonals[r + c - 1, [r - 1, r], 0, 0].tolist() == [numbers[r - 1, c], numbers[r, c - 1]] == [8, 12]
turned = diagonals[:, :, 0, 0]
pictures = {"the map": numbers[:, :, 0, 0], "its rows pushed right": turned.T, "ops.skew: turned": turned}
roles = ListedColormap([mp.plots.SHUT, "#dbe7f0", mp.plots.CENTRE, "#7fb0d4"])  # no pixel, a pixel, the cell, is read
figure = mp.plots.figure(7.6, 3.2)
for ax, (title, cells) in zip(figure.subplots(1, 3, width_ratios=[5, 8, 4]), pictures.items(), strict=True):
    ax.pcolormesh(1 * (cells > 0) + (cells == 13) + 2 * np.isin(cells, [8, 12]), cmap=roles, vmin=0, vmax=3, ec="white")
    for (row, column), number in np.ndenumerate(cells):
        ax.text(column + 0.5, row + 0.5, number or "", ha="center", va="center", color=mp.plots.INK)
    ax.set(aspect="equal", ylim=(len(cells), 0), xticks=[], yticks=[], title=title)
show(figure, "12_skew")

# %% [markdown]
# ## Two loops, or one scan
# The same LSTM twice. By hand: a loop over all pixels. By the library: skew, scan down the diagonals, un-skew.
# h reads two cells. The memory, here m, comes from the cell beside. Above and left of the image both are zero.

# %%
K = 3
z = rng.normal(size=(H, W, 1, 4 * K))  # what the input says to the gates o, f, i, g: a 1x1 computed it all beforehand
above, beside = rng.normal(size=(2, K, 4 * K))
h, m = np.zeros((2, H + 1, W + 1, K))  # row 0 and column 0 lie outside the image
for y, x in np.ndindex(H, W):
    o, f, i, g = np.split(z[y, x, 0] + h[y, x + 1] @ above + h[y + 1, x] @ beside, 4)
    m[y + 1, x + 1] = sigmoid(f) * m[y + 1, x] + sigmoid(i) * np.tanh(g)
    h[y + 1, x + 1] = sigmoid(o) * np.tanh(m[y + 1, x + 1])


def scan(z, taps=(-1, 0)):
    """States from the left: gates (H, W, N, 4K) -> (H, W, N, K). On a diagonal, -1 is the row above, 0 one's own."""
    spans = ops.diagonal_spans(*z.shape[:2])
    return ops.unskew(ops.lstm_scan(ops.skew(z), np.stack([above, beside]), None, None, taps=taps, spans=spans))


difference = np.abs(scan(z).data[:, :, 0] - h[1:, 1:]).max()
print(f"{H * W} steps by hand, {len(diagonals)} in the scan; largest difference {difference:.1e}")

# %% [markdown]
# ## Two quadrants
# Which cells reach the state at (2, 4), the dark square? We ask by gradients. The left half sees the quadrant above and
# to the left. The right half is the same on the mirrored map, and sees the quadrant above and to the right.
# Here is the trap: that quadrant holds its own row to the right, and there is future, in orange. In the row above,
# nothing is future. So the right half's output moves down one row, and zeros fill the first.
# A second trap: the state beyond the border is a zero on *top* of each diagonal. With the zero at the bottom the taps
# slip down by one row, from r-1 and r to r and r+1. The last picture: the past above is lost, the rows below leak in.
# Then we plant both mistakes in a whole model. The check names the first pair that is wrong.

# %%
H, W, r, c = 5, 9, 2, 4
halves = {
    "left half": scan,
    "right half": lambda z: ops.mirror(scan(ops.mirror(z))),
    "one row down": lambda z: ops.shift_down(ops.mirror(scan(ops.mirror(z)))),
    "both": lambda z: scan(z) + ops.shift_down(ops.mirror(scan(ops.mirror(z)))),
    "zeros at bottom": lambda z: scan(z, taps=(0, 1)),
}
place = np.arange(H * W).reshape(H, W)
future = place > place[r, c]  # the cell itself is no future: behind mask A its features leave out its own pixel
verdicts = ListedColormap([mp.plots.SHUT, mp.plots.OPEN, mp.plots.CENTRE])  # not seen, seen, wrong
seen, seed = {}, (place == place[r, c])[:, :, None, None] * np.ones(K)
figure = mp.plots.figure(9.2, 1.75)
for ax, (title, half) in zip(figure.subplots(1, 5), halves.items(), strict=True):
    gates = mp.Tensor(rng.normal(size=(H, W, 1, 4 * K)))
    half(gates).backward(seed)
    seen[title] = (gates.grad != 0).any(axis=(2, 3))
    ax.pcolormesh(seen[title] * (1 + future), cmap=verdicts, vmin=0, vmax=2, ec="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=5)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[], title=title)
show(figure, "12_quadrants")

bilstm, errors = functools.partial(mp.models.DiagonalBiLSTM, levels=2, hidden=8), {}
for name, taps, shift in (("not shifted", (-1, 0), lambda x: x), ("zeros at the bottom", (0, 1), ops.shift_down)):
    model = bilstm((H, W, 1), layers=1)
    model.layers[0].left.taps = model.layers[0].right.taps = taps
    try:
        with mock.patch.object(ops, "shift_down", shift):
            mp.assert_causal(model)
    except mp.CausalityError as caught:
        errors[name] = str(caught)
        print(f"{name}: {caught}\n")

# %% [markdown]
# ## The pixel it never sees
# Published as a model of the whole past. Ask it about pixel (2, 4): one pixel of the past is missing, in orange: the
# last of the row above. Seven layers miss it too. Why?
# The 7x7 under mask A makes the first features. Which know pixel (1, 8)? In row 1 only those right of it, and there the
# row ends. In row 2 those within reach, from column 8 - 3 = 5 on. But row 2 is our own row, and news from its right
# never comes: the left half brings news from the left, the right half from the rows above.
# So row 1, and row 2 left of column 5, begin without the pixel. They read each other and the rows above, nothing else.
# None of these knows it after one layer, nor after the next. Depth repeats; it does not cure.
#
# ## The phantom column
# Give the image one more column, of zeros. Now a feature *does* stand right of the last pixel: the phantom one of row 1
# knows pixel (1, 8). The right half starts there, and after the shift row 2 reads it. Then the column is dropped.
# Why is that no leak? A phantom feature knows its whole row, but no pixel of its row reads it: it stands to their
# right, and from there only the right half reads, which arrives one row further down.

# %%
past, reports = place < place[r, c], {}
variants = {"published, 1 layer": (1, False), "published, 7 layers": (7, False), "phantom column, 1 layer": (1, True)}
figure = mp.plots.figure(8.2, 1.9)
for ax, (title, (layers, phantom)) in zip(figure.subplots(1, 3), variants.items(), strict=True):
    reports[title] = mp.check_causality(bilstm((H, W, 1), layers=layers, phantom_column=phantom))
    print(f"{title:24}{reports[title]}")
    view = reports[title].dependencies[place[r, c]].reshape(H, W)
    ax.pcolormesh(view + 2 * (past & ~view), cmap=verdicts, vmin=0, vmax=2, ec="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=8)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[], title=title)
show(figure, "12_blind_pixel")

# %% [markdown]
# ## What one pixel is worth
# Images made to ask for just that pixel: fair coins, but each row begins with a copy of the pixel before it in raster
# order. Who sees it gets 3 of 24 pixels free: 21/24 = 0.875 bits/dim. Who does not pays 1.
# Then digits, in black and white. A PixelCNN of about as many weights stands beside. Test images are only watched.

# %%
coins = rng.integers(0, 2, (2560, 4, 6, 1)).astype(np.uint8)
coins[:, 1:, 0] = coins[:, :-1, -1]
ds = mp.datasets.load("digits")
digits = [mp.datasets.binarize(split.images, ds.levels, "threshold") for split in (ds.train, ds.test)]
contests = {"coins": (0.02, coins[:2048], coins[2048:]), "digits": (0.003, *digits)}
bits, maps = {}, {}
for data, (rate, train, test) in contests.items():
    shape = train.shape[1:]
    models = {"published": bilstm(shape, layers=1, phantom_column=False), "phantom": bilstm(shape, layers=1)}
    models["PixelCNN"] = mp.models.PixelCNN(shape, 2, hidden=8, blocks=3)
    for name, model in models.items():
        mp.fit(model, train, epochs=EPOCHS, optimizer=mp.optim.Adam(rate), progress=False)
        maps[data, name] = model.log_prob_map(test)[..., 0].mean(axis=0) / -np.log(2)
        bits[data, name] = maps[data, name].mean()
        print(f"{data:8}{name:10}{model.num_parameters:6,} weights{bits[data, name]:7.3f} bits/dim")
figure = mp.plots.figure(7.6, 1.7)
for ax, name in zip(axes := figure.subplots(1, 3), models, strict=True):
    shades = ax.pcolormesh(maps["coins", name], cmap="magma", vmin=0, vmax=1.2, ec="white")
    ax.set(aspect="equal", ylim=(4, 0), xticks=[], yticks=[], title=f"{name}: {bits['coins', name]:.3f}")
figure.colorbar(shades, ax=axes, label="bits a pixel")
show(figure, "12_coins")
print(f"test digits with ink in the last column: {digits[1][:, :, -1].any(axis=(1, 2)).mean():.1%}")

# %% [markdown]
# On coins the phantom column gets its pixels free. The other two pay for them; PixelCNN misses that pixel as well.
# On digits the column is worth next to nothing: their last column is nearly always blank. And the two kinds of model
# come out close, from one run each. To see all of the past is one thing, to need it another.
#
# ## What you should see

# %%
assert difference < 1e-12 and np.array_equal(seen["left half"], seen["both"] & (np.arange(W) <= c))
assert np.array_equal(seen["both"], place <= place[r, c])  # the whole past, and the cell's own features
assert (seen["right half"] & future).sum() == W - 1 - c and not seen["one row down"][r:].any()
assert "(its own value)" in errors["not shifted"] and len(errors) == 2
for title, report in reports.items():  # the pixel before a row, and every pixel of that row out of reach of the 7x7
    blind = [] if "phantom" in title else [[[y, x, 0], [y - 1, W - 1, 0]] for y in range(1, H) for x in range(W - 4)]
    assert report.ok and report.blind.tolist() == blind
if EPOCHS == 10:  # the full length
    assert abs(bits["coins", "phantom"] - 0.875) < 0.02 and maps["coins", "phantom"][1:, 0].max() < 0.1
    assert min(bits["coins", "published"], bits["coins", "PixelCNN"]) > 0.99
    assert all(0.42 < bits["digits", name] < 0.48 for name in models)
    assert abs(bits["digits", "published"] - bits["digits", "phantom"]) < 0.02

# %% [markdown]
# ## Exercises
# 1. Draw what the state at (2, 4) sees if only the right half runs, with the phantom column and without.
# 2. Let the copies come from pixel (r-1, W-2) instead. Does the published model find them? By which features?
# 3. Colour: which of the three colours of the last pixel is missed, and why not the others?
