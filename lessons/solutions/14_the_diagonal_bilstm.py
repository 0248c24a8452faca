# %% [markdown]
# # Solutions of lesson 14: the Diagonal BiLSTM
#
# The lesson is [14 The Diagonal BiLSTM](../14_the_diagonal_bilstm.py). Each solution begins with its exercise.

# %%
import os
from unittest import mock

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"

# %% [markdown]
# ## Exercise 1
# > How many steps does a scan of 28x28 pixels take along the diagonals, and how many pixels are computed in the longest
# > of them?
#
# There is a step for each value of r + c, from 0 to 27 + 27. `diagonal_spans` says for each step which rows of the
# image have a pixel there: from `first` up to, and without, `last`.

# %%
spans = mp.ops.diagonal_spans(28, 28)
lengths = [last - first for first, last in spans]
print(f"{len(spans)} steps, the longest computes {max(lengths)} pixels")
assert len(spans) == 28 + 28 - 1 == 55
assert max(lengths) == 28
assert sum(lengths) == 28 * 28

# %% [markdown]
# ## Exercise 2
# > Leave out `spans` in the lesson's `scan`. Does any state of the image change? Why, or why not? What are the spans
# > good for?

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
# No state of the image changes. Some cells of the skewed map lie to the left of the image, before a row begins. There z
# is zero, and so is everything that is read. The value to write is tanh(0) = 0, so state and memory stay zero, with
# spans or without. Other cells lie to the right of the image, where a row has ended. There the states go on, but no
# pixel reads them: a pixel reads the cell above and the one to its left.
#
# The spans save work. Of the (H + W - 1) x H cells of the skewed map only H x W are pixels, about half if H = W.
#
# ## Exercise 3
# > In a whole model, replace the move down, `mp.ops.shift_down`, by a function that moves nothing. What does the check
# > say? How many leaks are there, and why just as many?
#
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
# > In the lesson's coin images, let each row begin with a copy of the pixel before the last, (r-1, W-2). Does the
# > published model find the copies now? Through which features?
#
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
# A model that can see a pixel must still learn to use it, so we train it on such coins. (Shortened runs leave that
# out.) If it finds all copies, the bits/dim come to 33/40 = 0.825.

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
# > Write `skew` and `unskew` without a loop, by padding and reshaping only.
#
# Give each row H zeros at its end: W + H cells, one more than a row of the skewed map has. Read on row after row at the
# width W + H - 1, and each row begins one cell further right than the one before. At the end H zeros are left over,
# which are cut off. As in the library, columns then become rows.


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
