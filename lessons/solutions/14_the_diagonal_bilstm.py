# %% [markdown]
# # Solutions of lesson 14: the Diagonal BiLSTM

# %%
import os
from unittest import mock

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"

# %% [markdown]
# ## Exercise 1
# There is a step for each value of r + c, from 0 to 27 + 27. `diagonal_spans` says which rows have a pixel there.

# %%
spans = mp.ops.diagonal_spans(28, 28)
lengths = [last - first for first, last in spans]
print(f"{len(spans)} steps, the longest computes {max(lengths)} pixels")
assert len(spans) == 28 + 28 - 1 == 55
assert max(lengths) == 28
assert sum(lengths) == 28 * 28

# %% [markdown]
# ## Exercise 2

# %%
rng = np.random.default_rng(14)
H = 4
W = 5
K = 3
z = mp.ops.skew(rng.normal(size=(H, W, 1, 4 * K)))
weights = rng.normal(size=(2, K, 4 * K))
with_spans = mp.ops.lstm_scan(z, weights, None, None, taps=(-1, 0), spans=mp.ops.diagonal_spans(H, W))
without = mp.ops.lstm_scan(z, weights, None, None, taps=(-1, 0))
assert not np.array_equal(with_spans, without)  # the skewed maps differ,
assert np.array_equal(mp.ops.unskew(with_spans), mp.ops.unskew(without))  # but not at pixels of the image

# %% [markdown]
# No state of the image changes. To the left of the image, before a row begins, z is zero and so is everything that is
# read: the value to write is tanh(0) = 0, so state and memory stay zero, spans or not. To the right of the image, where
# a row has ended, states go on, but no pixel reads them: a pixel reads the cell above and the one to its left.
#
# The spans save work. Of the (H + W - 1) x H cells of the skewed map only H x W are pixels, about half if H = W.
#
# ## Exercise 3
# `mock.patch.object` puts a function of ours in the place of `shift_down`, for as long as the block lasts.

# %%
H = 5
W = 9


def move_nothing(x):
    return x


with mock.patch.object(mp.ops, "shift_down", move_nothing):
    model = mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=1)
    report = mp.check_causality(model)
print(report)
assert not report.ok

# %% [markdown]
# Each pixel reads the features of all pixels to its right in its own row, the phantom column's included. These know the
# pixel itself, and all pixels between. So a pixel depends on itself and on everything to its right: in a row of W
# pixels that makes W + (W-1) + ... + 1 leaks.

# %%
assert len(report.leaks) == H * W * (W + 1) // 2

# %% [markdown]
# ## Exercise 4
# Pixel (r-1, W-2) is known to the feature at its right, the last of row r-1. There the right half begins, and after the
# move down row r reads what it found. So the published model sees the pixel before the last, though never the last.

# %%
published = mp.models.DiagonalBiLSTM((8, 5, 1), 2, hidden=8, layers=1, phantom_column=False)
dependencies = mp.causality.dependencies(published)
for r in range(1, 8):
    begins = r * 5
    assert dependencies[begins, begins - 2]  # (r-1, W-2)
    assert not dependencies[begins, begins - 1]  # (r-1, W-1)

# %% [markdown]
# To see a pixel is not yet to find it, so we train the model on such coins. (Shortened runs leave that out.)

# %%
if not QUICK:
    coins = rng.integers(0, 2, (2560, 8, 5, 1)).astype(np.uint8)
    coins[:, 1:, 0] = coins[:, :-1, -2]
    optimizer = mp.optim.Adam(0.01)
    mp.fit(published, coins[:2048], epochs=8, batch_size=32, optimizer=optimizer, rng=0, progress=False)
    bits = published.bits_per_dim(coins[2048:])
    print(f"published, copies of the pixel before the last: {bits:.3f} bits/dim; 33/40 = 0.825")
    assert abs(bits - 0.825) < 0.02

# %% [markdown]
# ## Exercise 5
# Give each row H zeros at its end: W + H cells, one more than a row of the skewed map has. Read on row after row at the
# width W + H - 1, and each row begins one cell further right than the one before. At the end H cells are left over.


# %%
def skew(x):
    """The diagonals of a map as rows, without a loop: (H, W, N, K) -> (H+W-1, H, N, K)."""
    H, W, N, K = x.shape
    padded = np.pad(x, ((0, 0), (0, H), (0, 0), (0, 0)))
    one_line = padded.reshape(H * (W + H), N, K)
    pushed = one_line[:-H].reshape(H, W + H - 1, N, K)
    return pushed.transpose(1, 0, 2, 3)


def unskew(y):
    """The way back: (H+W-1, H, N, K) -> (H, W, N, K)."""
    D, H, N, K = y.shape
    W = D - H + 1
    one_line = y.transpose(1, 0, 2, 3).reshape(H * D, N, K)
    padded = np.pad(one_line, ((0, H), (0, 0), (0, 0)))
    return padded.reshape(H, W + H, N, K)[:, :W]


for shape in ((4, 5, 2, 3), (1, 6, 1, 1), (6, 1, 1, 2), (7, 3, 2, 1)):
    x = rng.normal(size=shape)
    assert np.array_equal(skew(x), mp.ops.skew(x))
    assert np.array_equal(unskew(skew(x)), x)
