# %% [markdown]
# # 12 The Diagonal BiLSTM
#
# - *You will* scan an image along its diagonals, plant two leaks, and give a published model the pixel it never sees.
# - *Reads* `minipixel/ops/spatial.py`, `ops/scan.py`, `models/pixelrnn.py`; arXiv:1601.06759, sections 3.2 and 3.3.
# - *Before* lesson 05 for masks and blind spots, lesson 07 for PixelCNN on digits.
# - *Takes* about half a minute on two cores.
#
# ## Skew
# A state at (r, c) shall read the states above it, (r-1, c), and beside it, (r, c-1). No two such cells wait for each
# other on a diagonal, so a whole diagonal can be computed at once. To line it up, push row r to the right by r. Now
# both cells to be read stand in the column before. Below, pixel 13 reads 8 and 12.
# A scan runs down rows, so `ops.skew` also turns columns into rows: its result holds the diagonals of the map as rows.

# %%
import os
from unittest import mock

import numpy as np
from matplotlib.colors import ListedColormap
from scipy.special import expit as sigmoid
from show import show

import minipixel as mp
from minipixel import ops

EPOCHS = 2 if os.environ.get("MINIPIXEL_QUICK") == "1" else 12

rng = np.random.default_rng(12)
H, W, r, c = 4, 5, 2, 2
numbers = np.arange(1, H * W + 1).reshape(H, W, 1, 1)  # (H, W, N, K); 0 is left for "no pixel"
diagonals = ops.skew(numbers).data
assert np.array_equal(ops.unskew(diagonals).data, numbers)  # skew, then unskew: the identity
assert diagonals.shape[:2] == (H + W - 1, H) and diagonals[r + c, r] == numbers[r, c] == 13
assert diagonals[r + c - 1, [r - 1, r], 0, 0].tolist() == [numbers[r - 1, c], numbers[r, c - 1]] == [8, 12]

plain, turned = numbers[:, :, 0, 0], diagonals[:, :, 0, 0]
pictures = {"the map": plain, "its rows pushed right": turned.T, "ops.skew: turned": turned}
roles = ListedColormap([mp.plots.SHUT, "#bcd3e4", mp.plots.CENTRE, mp.plots.OPEN])  # empty, pixel, the cell, is read
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
print(f"{H * W} steps by hand, {H + W - 1} in the scan; largest difference {difference:.1e}")

# %% [markdown]
# ## Two quadrants
# What reaches the state at (3, 4), the dark square? We ask by gradients. The left half sees the quadrant above and to
# the left. The right half is the same on the mirrored map, and sees the quadrant above and to the right.
# Here is the trap: that quadrant holds its own row to the right, and there is future, in orange. In the row above,
# nothing is future. So the right half's output moves down one row, and zeros fill the first.
# The last picture pads at the bottom: the taps (0, 1) read the rows r and r+1 of the column before, not r-1 and r.

# %%
H, W, r, c = 7, 9, 3, 4
halves = {
    "left half": scan,
    "right half, mirrored": lambda z: ops.mirror(scan(ops.mirror(z))),
    "... and one row down": lambda z: ops.shift_down(ops.mirror(scan(ops.mirror(z)))),
    "both": lambda z: scan(z) + ops.shift_down(ops.mirror(scan(ops.mirror(z)))),
    "zeros at the bottom": lambda z: scan(z, taps=(0, 1)),
}
place = np.arange(H * W).reshape(H, W)
future = place > place[r, c]  # the cell itself is no future: behind mask A its features leave out its own pixel
verdicts = ListedColormap([mp.plots.SHUT, mp.plots.OPEN, mp.plots.CENTRE])  # not seen, seen, seen and future
seen, seed = {}, np.zeros((H, W, 1, K))
seed[r, c] = 1
figure = mp.plots.figure(9.2, 1.9)
for ax, (title, half) in zip(figure.subplots(1, 5), halves.items(), strict=True):
    gates = mp.Tensor(rng.normal(size=(H, W, 1, 4 * K)))
    half(gates).backward(seed)
    seen[title] = (gates.grad != 0).any(axis=(2, 3))
    ax.pcolormesh(seen[title] * (1 + future), cmap=verdicts, vmin=0, vmax=2, ec="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=5)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
show(figure, "12_quadrants")

# %% [markdown]
# Both mistakes, in a whole model. The check names the first pair that is wrong.

# %%
shape = (5, 9, 1)


def model_with(layers=1, **options):
    return mp.models.DiagonalBiLSTM(shape, 2, hidden=4, layers=layers, dtype="float64", **options)


def error_of(model):
    """The line of the CausalityError."""
    try:
        mp.assert_causal(model)
    except mp.CausalityError as caught:
        return str(caught)
    return "no leak"


with mock.patch.object(ops, "shift_down", lambda x: x):
    unshifted = error_of(model_with(phantom_column=False))
    unshifted_phantom = error_of(model_with())
padded_below = model_with(phantom_column=False)
padded_below.layers[0].left.taps = (0, 1)
bottom = error_of(padded_below)
print(f"not shifted: {unshifted}\n\nzeros at the bottom: {bottom}")

# %% [markdown]
# ## The pixel it never sees
# Published as the model that sees the whole past. Ask it about pixel (3, 1): one pixel of the past is missing, the
# last of the row above. Seven layers miss it too. Why?
# Which features of row 2 know pixel (2, 8)? By mask A only those to the right of it, and there are none: the row ends.
# Row 3 has some, where the 7x7 of the first layer reaches: from column 8 - 3 = 5 on. But row 3 is our own row, and
# news from the right of one's own row never comes: the left half brings news from the left, the right half from above.
# So row 2, and row 3 left of column 5, know nothing after one layer, and read only each other and the rows above.
# They know nothing after the next. Depth repeats; it does not cure.
#
# ## The phantom column
# Give the image one more column of zeros. Now there *is* a feature right of the last pixel: in row 2 the phantom one
# sees pixel (2, 8). The right half starts there, and after the shift row 3 reads it. Then the column is dropped.
# It does not leak. A phantom feature knows its row to the end, but only what stands left of it, or below, reads it;
# left of it in its own row reads the right half alone, and that is moved down. Not shifted, it would leak.

# %%
H, W, r, c = 5, 9, 3, 1
place = np.arange(H * W).reshape(H, W)
past, views = place < place[r, c], {}
colours = ListedColormap([mp.plots.SHUT, mp.plots.CENTRE, mp.plots.OPEN])  # not past, blind, seen
variants = {"published, 1 layer": (1, False), "published, 7 layers": (7, False), "phantom column, 1 layer": (1, True)}
figure = mp.plots.figure(8.2, 2.0)
for ax, (title, (layers, phantom)) in zip(figure.subplots(1, 3), variants.items(), strict=True):
    report = mp.check_causality(model_with(layers, phantom_column=phantom))
    views[title] = report.dependencies[place[r, c]].reshape(H, W)
    print(f"{title:24}{report}")
    ax.pcolormesh(1 * past + views[title], cmap=colours, vmin=0, vmax=2, ec="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=8)
    for y, x in np.argwhere(past & ~views[title]):
        ax.text(x + 0.5, y + 0.5, "?", ha="center", va="center", color="white", weight="bold")
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[])
    ax.set_title(f"{title}: blind to {(past & ~views[title]).sum()}", fontsize=9)
show(figure, "12_blind_pixel")

# %% [markdown]
# ## What one pixel is worth
# Images made to ask for just that pixel: fair coins, but each row begins with a copy of the pixel before it in raster
# order, the last of the row above. Knowing this, 3 of 24 pixels are free: 21/24 = 0.875 bits/dim. Not seeing it, 1.


# %%
def coins_that_repeat(n):
    images = rng.integers(0, 2, (n, 4, 6, 1)).astype(np.uint8)
    images[:, 1:, 0] = images[:, :-1, -1]
    return images


fresh, costs, totals = coins_that_repeat(512), {}, {}
train_coins = coins_that_repeat(1024)
figure = mp.plots.figure(6.4, 2.2)
axes = figure.subplots(1, 2)
for ax, phantom in zip(axes, (False, True), strict=True):
    model = mp.models.DiagonalBiLSTM((4, 6, 1), 2, hidden=8, layers=1, phantom_column=phantom)
    mp.fit(model, train_coins, epochs=EPOCHS, optimizer=mp.optim.Adam(0.01), progress=False)
    costs[phantom] = model.log_prob_map(fresh)[..., 0].mean(axis=0) / -np.log(2)
    totals[phantom] = model.bits_per_dim(fresh)
    shades = ax.pcolormesh(costs[phantom], cmap="magma", vmin=0, vmax=1.2, ec="white")
    ax.set(aspect="equal", ylim=(4, 0), xticks=[], yticks=[])
    ax.set_title(f"{'phantom column' if phantom else 'published'}: {totals[phantom]:.3f} bits/dim", fontsize=9)
figure.colorbar(shades, ax=axes, label="bits")
show(figure, "12_coins")
print("bits in the column of copies, published and with the phantom:", *(costs[p][1:, 0].round(2) for p in costs))

# %% [markdown]
# A little above 1, respectively 0.875: trained on few images, a model also learns their accidents.
#
# ## And on digits?
# Thresholded digits, the same seed for both, and a PixelCNN of about as many weights. The test digits are only watched.

# %%
ds = mp.datasets.load("digits")
train, test = (mp.datasets.binarize(split.images, ds.levels, "threshold") for split in (ds.train, ds.test))
contest = {
    "Diagonal BiLSTM, published": mp.models.DiagonalBiLSTM(
        ds.image_shape, 2, hidden=8, layers=1, phantom_column=False
    ),
    "Diagonal BiLSTM, phantom": mp.models.DiagonalBiLSTM(ds.image_shape, 2, hidden=8, layers=1),
    "PixelCNN": mp.models.PixelCNN(ds.image_shape, 2, hidden=8, blocks=3),
}
bits = {}
for name, model in contest.items():
    mp.fit(model, train, epochs=EPOCHS, optimizer=mp.optim.Adam(0.003), progress=False)
    bits[name] = model.bits_per_dim(test)
    print(f"{name:28}{model.num_parameters:6,} weights {bits[name]:7.3f} bits/dim")
print(f"test digits with any ink in the last column: {test[:, :, -1].any(axis=(1, 2)).mean():.1%}")
