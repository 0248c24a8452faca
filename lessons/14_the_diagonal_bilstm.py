# %% [markdown]
# # 14 The Diagonal BiLSTM
#
# - *You will* scan an image along its diagonals, join two quadrants to the whole past, plant two leaks and find them,
#   and find a pixel that the published model never sees.
# - *Reads* `minipixel/kernels/reference.py` (skew), `minipixel/models/pixelrnn.py`; van den Oord et al. 2016,
#   arXiv:1601.06759, sections 3.2 and 3.3, figures 2 and 3.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 09](09_the_blind_spot_and_two_stacks.py) for blind
#   spots, [lesson 13](13_an_lstm_step_then_a_whole_row.py) for the LSTM and the scan down the rows.
# - *Takes* about half a minute on two cores; 25 minutes to read.
#
# The Row LSTM of lesson 13 reaches the top of any image. Yet it is blind to a region on the right, however many layers
# there are. **Can one layer see everything that was drawn before a pixel, up to the very last pixel of the row above?**
# It can, if the scan goes along the diagonals, once from the left and once from the right. The model that is built of
# such layers was the best of its paper. It also has a blind spot that the paper does not mention; you will find it.

# %%
import os

import numpy as np
from drawings import fields, lesson_14
from scipy.special import expit
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
IMAGES = 256 if QUICK else 2048
EPOCHS = 1 if QUICK else 8

# %% [markdown]
# ## Which two states to read
# As in lesson 13 there is an LSTM cell at every pixel. Let the state at (r, c) read two others: the one *above*,
# (r-1, c), and the one *beside* it, (r, c-1). These two have read the states above and beside them in turn, and so on.
# So each state depends on everything above it and to its left.
#
# But now a row cannot be computed at once, since each cell waits for its left neighbour. Must we go pixel by pixel? No.
# Look at a **diagonal**, the cells with the same r + c. A cell of diagonal d reads two cells of diagonal d - 1, and no
# cell of its own. So a whole diagonal is computed in one step, and an image of H x W pixels takes H + W - 1 steps, not
# H times W.
#
# This scan begins at the left. A second scan begins at the right and runs to the left. There each cell reads the state
# above and the state at its *right*. A layer of both is called a **Diagonal BiLSTM**, where "Bi" stands for
# bidirectional. We call its two scans the *left half* and the *right half*, after the side where they begin.

# %%
caption = "Both scans at step 4: a diagonal is computed at once, each cell from two cells of the diagonal before"
show(lesson_14.diagonal_scan(), "14_scan", caption)

# %% [markdown]
# ## Skew
# A row or a column of an array is easy to take; a diagonal is not. So the map is **skewed**: row r is pushed to the
# right by r. Then every diagonal stands in a column. The scan of lesson 13 runs down rows, so we also turn columns into
# rows. Both moves together are one line of index arithmetic: pixel (r, c) goes to row r + c, and there to position r.
#
# $$\mathrm{skewed}_{\,r+c,\;r} = \mathrm{numbers}_{\,r,\;c}$$
#
# Here `numbers` is a map whose pixels are numbered from 1 to 20, so that we can follow them.

# %%
H = 4
W = 5
numbers = np.arange(1, H * W + 1).reshape(H, W)  # 0 is left for "no pixel"
skewed = np.zeros((H + W - 1, H), int)
for r in range(H):
    for c in range(W):
        skewed[r + c, r] = numbers[r, c]

by_library = mp.ops.skew(numbers[:, :, None, None])  # the library's maps have the shape (H, W, N, K)
assert np.array_equal(by_library[:, :, 0, 0], skewed)
assert np.array_equal(mp.ops.unskew(by_library)[:, :, 0, 0], numbers)  # there and back
caption = "Pixel 13 reads 8 (above) and 12 (beside). Skewed and turned, both stand in the row before its own"
show(lesson_14.skew(numbers, skewed, 13, (8, 12)), "14_skew", caption)

# %% [markdown]
# In the map on the right, a cell reads two cells of the row before. The one that is *beside* it in the image, (r, c-1),
# stands there at the same position r: offset 0. The one that is *above* it in the image, (r-1, c), stands one position
# to the left: offset -1. So the scan of lesson 13 can be used as it is, with the taps -1 and 0.
#
# ## Two loops, or one scan
# We compute the left half twice, and compare. First we do it by hand, with two loops over all pixels. The four
# pre-activations of each unit come from the pixel's own features (this part, `z`, is computed for the whole map
# beforehand) and from two states, through the matrices `weight_above` and `weight_beside`:
#
# $$z^{all}_{r,c} = z_{r,c} + h_{r-1,c} \, K^{above} + h_{r,c-1} \, K^{beside}$$
#
# The memory $m$ is carried on from the cell beside. The arrays `h` and `m` have one row more at the top and one column
# more at the left, which lie outside the image and stay zero. So pixel (r, c) stands at (r+1, c+1) in them.

# %%
rng = np.random.default_rng(14)
K = 3
z = rng.normal(size=(H, W, 1, 4 * K))  # one image
weight_above = rng.normal(size=(K, 4 * K))
weight_beside = rng.normal(size=(K, 4 * K))

h = np.zeros((H + 1, W + 1, K))
m = np.zeros((H + 1, W + 1, K))
for r in range(H):
    for c in range(W):
        z_all = z[r, c, 0] + h[r, c + 1] @ weight_above + h[r + 1, c] @ weight_beside
        z_o, z_f, z_i, z_g = np.split(z_all, 4)
        m[r + 1, c + 1] = expit(z_f) * m[r + 1, c] + expit(z_i) * np.tanh(z_g)
        h[r + 1, c + 1] = expit(z_o) * np.tanh(m[r + 1, c + 1])

# %% [markdown]
# Then we let the library do it: skew, scan down the rows of the skewed map, un-skew. `diagonal_spans` says which cells
# of each skewed row are pixels at all; the others are not computed and stay zero. (As in lesson 13, the two `None` mean
# that state and memory begin with zeros.)

# %%
weights = np.stack([weight_above, weight_beside])


def scan(z, taps=(-1, 0)):
    """The states of the left half: pre-activations (H, W, N, 4K) -> (H, W, N, K)."""
    H, W = z.shape[:2]
    skewed = mp.ops.skew(z)
    states = mp.ops.lstm_scan(skewed, weights, None, None, taps=taps, spans=mp.ops.diagonal_spans(H, W))
    return mp.ops.unskew(states)


difference = np.abs(scan(z)[:, :, 0] - h[1:, 1:]).max()
print(f"{H * W} steps by hand, {H + W - 1} in the scan; largest difference {difference:.1e}")

# %% [markdown]
# ## Two quadrants, and a trap
# What does the state at one pixel see? As in lesson 13, we ask the gradient. The function takes the state at (2, 4) of
# a map of 5x9 pixels, walks back, and returns the cells that the gradient arrives at.

# %%
H = 5
W = 9
r = 2
c = 4
place = np.arange(H * W).reshape(H, W)  # of each pixel, in raster order


def read_by(half):
    """Which pre-activations the state at (r, c) reads in a map of H x W cells: boolean (H, W)."""
    z = mp.Tensor(rng.normal(size=(H, W, 1, 4 * K)))
    only_one = np.zeros((H, W, 1, K))
    only_one[r, c] = 1
    half(z).backward(only_one)
    return (z.grad != 0).any(axis=(2, 3))


# %% [markdown]
# The left half is the scan as it stands. For the right half we mirror the map (we exchange left and right), scan it,
# and mirror the result back. Here is the trap: in the rows above, all that lies to the right is past. But in the
# pixel's *own* row, all that lies to the right is *future*, and the right half reads it.
#
# The cure is simple. The right half's result moves *down by one row*: (r, c) gets what was computed for (r-1, c).
# That has read row r-1 and those above, from column c on to the right. Nothing of this is future.


# %%
def right_half(z):
    return mp.ops.mirror(scan(mp.ops.mirror(z)))


def right_half_moved_down(z):
    return mp.ops.shift_down(right_half(z))


def both_halves(z):
    return scan(z) + right_half_moved_down(z)


seen = {
    "left half": read_by(scan),
    "right half, not moved": read_by(right_half),
    "right half, moved down": read_by(right_half_moved_down),
    "both halves": read_by(both_halves),
}
caption = (
    "What the orange cell reads. The dot: it reads its own features. The red cells are why the right half moves down"
)
show(fields.fields(seen, (r, c), width=9.6, height=2.1), "14_quadrants", caption)

# %% [markdown]
# Together the two quadrants are the whole past. The dot is no leak: a cell reads its own *features*. In a whole model
# these come from a stem with mask A, which has left the pixel itself out. Here is a complete layer. The two halves have
# weights of their own, and each begins with a 1x1 convolution that turns features into pre-activations.

# %%
caption = "One layer. The map splits, each half goes its way, and the right half moves down before the two are added"
show(lesson_14.layer(), "14_layer", caption)

# %% [markdown]
# The library's layer consists of just these steps. Let us take one out of a model and do them by hand. In each half,
# `see` is the 1x1 convolution and `weight` holds the two matrices of the scan.

# %%
model = mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=K, layers=1, dtype="float64")
layer = model.layers[0]
features = rng.normal(size=(H, W, 1, 2 * K))


def half_by_hand(half, x):
    """1x1, skew, scan, un-skew with the weights of one half of the library's layer."""
    gates = mp.ops.skew(half.see(x))
    states = mp.ops.lstm_scan(gates, half.weight, None, None, taps=(-1, 0), spans=mp.ops.diagonal_spans(H, W))
    return mp.ops.unskew(states)


from_left = half_by_hand(layer.left, features)
from_right = mp.ops.mirror(half_by_hand(layer.right, mp.ops.mirror(features)))
by_hand = from_left + mp.ops.shift_down(from_right)
by_library = layer(features, None)  # None: no condition
assert np.allclose(by_hand.data, by_library.data, rtol=0, atol=1e-12)
print("a layer by hand, and the library's: the same")

# %% [markdown]
# ## A second trap
# Both halves have one more trap. A state beyond the border is zero. In each diagonal this zero belongs at the *top*,
# above the first row of the image. Some public implementations put it at the bottom. Then the two taps slip down by one
# row: they are 0 and 1 instead of -1 and 0. What does the cell read then?

# %%


def scan_with_zeros_at_the_bottom(z):
    return scan(z, taps=(0, 1))


slipped = {"zeros at the top": read_by(scan), "zeros at the bottom": read_by(scan_with_zeros_at_the_bottom)}
caption = "With the zeros at the bottom, the rows above are lost and the rows below leak in"
show(fields.fields(slipped, (r, c), width=5.6), "14_slipped", caption)

# %% [markdown]
# A leaky model reports good figures, for it has seen the answers, and it draws badly. So such a mistake must be found
# before training. We plant it in a whole model and ask minipixel's check of causality, whose parts
# [lesson 19](19_let_gradients_prove_it.py) explains.

# %%
leaky_model = mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=1, rng=SEED)
leaky_model.layers[0].left.taps = (0, 1)
leaky_model.layers[0].right.taps = (0, 1)
leaky = mp.check_causality(leaky_model)
print(leaky)

# %% [markdown]
# The first line is the verdict: there are 498 pairs in which an output depends on its own pixel or on a later one. The
# next lines say by which methods that was found; one of them, the *clock*, names the layer where the future comes in.
#
# ## The pixel that it never sees
# A whole model is built as in lesson 13: a stem (a convolution of 7x7 under mask A), then layers with residuals, then a
# head. Each layer sees both quadrants. So surely the model sees its whole past, as the paper says? We check the model
# as it was published, with one layer and with seven. `phantom_column=False` gives the published model. The third model
# has the cure, which is explained below.

# %%
variants = {
    "published, 1 layer": mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=1, phantom_column=False, rng=SEED),
    "published, 7 layers": mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=7, phantom_column=False, rng=SEED),
    "phantom column, 1 layer": mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=1, rng=SEED),
}
reports = {}
views = {}
for name, model in variants.items():
    report = mp.check_causality(model)
    reports[name] = report
    views[name] = report.dependencies[place[r, c]].reshape(H, W)
    print(f"{name:24} leaks: {len(report.leaks)}, earlier pixels never seen: {len(report.blind)}")
caption = "As published, pixel (2, 4) never sees (1, 8), the last pixel drawn before its row. Seven layers do not help"
show(fields.fields(views, (r, c)), "14_blind_pixel", caption)

# %% [markdown]
# One pixel is missing: (1, 8), the last of the row above. To see why, we ask which features know it.
#
# 1. The stem makes the first features. A feature sees the three pixels before it in its own row, and of the three rows
#    above it the columns up to three to either side. It does not see its own pixel, since mask A leaves that out.
# 2. So in row 1, only features to the *right* of pixel (1, 8) could know it. But there the row ends.
# 3. In row 2, the features from column 8 - 3 = 5 on know it. But the pixel that asks stands at column 4 of that row,
#    and in its own row nothing comes from the right.
# 4. So no feature that reaches pixel (2, 4) through either half knows pixel (1, 8). A layer makes new features of
#    these, and they do not know it either. More layers only repeat that.
#
# Only the last four pixels of each row (columns 5 to 8 here) see the last pixel of the row above, through the stem. To
# all others this single pixel is missing, and it is the one that is drawn *just before* their row begins.
#
# The cure is to give the image a **phantom column**, a column of zeros at its right. The feature of the phantom column
# in row 1 stands to the right of pixel (1, 8), and knows it. The right half begins there. After the move down, row 2
# has read it. Then the column is dropped.
#
# Is that a leak? A phantom feature may know its whole row. But the right half carries it to the row below only, where
# all of that row is past. The left half arrives at the phantom column last, and what it computes there is dropped with
# the column. So there is no leak, and the third model's line above says the same.
#
# ## What is one pixel worth?
# Let us make images in which just that pixel matters. Each pixel is black or white by the flip of a fair coin. But
# every row begins with a *copy* of the last pixel of the row above.

# %%
coin_rng = np.random.default_rng(14 + SEED)
coins = coin_rng.integers(0, 2, (2560, 8, 5, 1)).astype(np.uint8)
coins[:, 1:, 0] = coins[:, :-1, -1]
caption = "One of the images: each row begins with a copy of the last pixel above"
show(lesson_14.copies(coins[0, :, :, 0]), "14_copies", caption)

# %% [markdown]
# A coin costs 1 bit, whatever model predicts it. A copy costs nothing to a model that sees what it is a copy of: then 7
# of the 40 pixels are free, and the rest makes 33/40 = 0.825 bits/dim. A model that does not see it pays 1 bit for
# every pixel. We train three models: the published one, the one with a phantom column, and a PixelCNN, whose blind spot
# hides the pixel too. They learn these images, and then, once more from the start, digits in black and white.


# %%
def train_three(train, test):
    """Train the three models: bits per pixel (H, W) for each, a mean over the test images."""
    shape = train.shape[1:]
    models = {
        "published": mp.models.DiagonalBiLSTM(shape, 2, hidden=8, layers=1, phantom_column=False, rng=SEED),
        "phantom column": mp.models.DiagonalBiLSTM(shape, 2, hidden=8, layers=1, rng=SEED),
        "PixelCNN": mp.models.PixelCNN(shape, 2, hidden=8, blocks=3, rng=SEED),
    }
    bits = {}
    for name, model in models.items():
        optimizer = mp.optim.Adam(0.01)
        mp.fit(model, train[:IMAGES], epochs=EPOCHS, batch_size=32, optimizer=optimizer, rng=SEED, progress=False)
        nats = -model.log_prob_map(test)[:, :, :, 0].mean(axis=0)
        bits[name] = nats / np.log(2)
        print(f"{name:15} {model.num_parameters:6,} weights {bits[name].mean():7.3f} bits/dim")
    return bits


# %%
print("coins")
coin_bits = train_three(coins[:2048], coins[2048:])
titled = {f"{name}, mean {bits.mean():.3f}": bits for name, bits in coin_bits.items()}
caption = (
    "Bits per pixel of the coins: white is free, black costs a whole bit. Only one model finds the copies in column 0"
)
show(fields.costs(titled), "14_coins", caption)

# %%
print("digits in black and white")
digits = mp.datasets.load("digits")
train = mp.datasets.binarize(digits.train.images, digits.levels, "threshold")
test = mp.datasets.binarize(digits.test.images, digits.levels, "threshold")
digit_bits = train_three(train, test)

# %% [markdown]
# On the coins, the model that sees the pixel gets the copies all but free, and the other two pay for every one. On
# digits the phantom column is worth nothing: the last pixel of a row of a digit is nearly always black, and says
# nothing about the row below. A model that sees all of its past need not profit from all of it. (Both BiLSTMs end level
# with the PixelCNN, which has about as many weights, or a little ahead of it: 0.43 and 0.44 bits/dim.)
#
# ## What you should see

# %%
assert difference < 1e-12
own_and_past = place <= place[r, c]
columns_up_to_own = np.arange(W) <= c
assert np.array_equal(seen["both halves"], own_and_past)  # the whole past, and the cell's own features
assert np.array_equal(seen["left half"], own_and_past & columns_up_to_own)
assert seen["right half, not moved"][r].sum() == W - c  # its own cell, and the future to the right
assert not seen["right half, moved down"][r:].any()
assert not slipped["zeros at the bottom"][:r].any()
assert not leaky.ok

# Each pixel that the stem does not help, with the one that it never sees: the last of the row above.
blind_pairs = [[[y, x, 0], [y - 1, W - 1, 0]] for y in range(1, H) for x in range(W - 4)]
assert all(report.ok for report in reports.values())
assert reports["published, 1 layer"].blind.tolist() == blind_pairs
assert reports["published, 7 layers"].blind.tolist() == blind_pairs
assert reports["phantom column, 1 layer"].blind.tolist() == []
if not QUICK:
    free = np.argwhere(coin_bits["phantom column"] < 0.1).tolist()
    assert free == [[y, 0] for y in range(1, 8)]
    assert np.allclose([bits.mean() for bits in coin_bits.values()], [1, 0.825, 1], atol=0.01)
    assert np.allclose([bits.mean() for bits in digit_bits.values()], [0.43, 0.43, 0.443], atol=0.015)

# %% [markdown]
# ## Exercises
# Solutions: [solutions/14_the_diagonal_bilstm.py](solutions/14_the_diagonal_bilstm.py).
#
# 1. *Easy.* How many steps does a scan of 28x28 pixels take along the diagonals, and how many pixels are computed in
#    the longest of them?
# 2. *Easy.* Leave out `spans` in `scan`. Does any state of the image change? Why, or why not? What are the spans good
#    for?
# 3. *Medium.* In a whole model, replace the move down, `mp.ops.shift_down`, by a function that moves nothing
#    (`unittest.mock.patch.object` does it). What does the check say? How many leaks are there, and why just as many?
# 4. *Medium.* Let the coins' copies come from the pixel before the last, (r-1, W-2). Does the published model find
#    them now? Through which features?
# 5. *Hard.* Write `skew` and `unskew` without a loop, by padding and reshaping only. (Hint: give each row one cell more
#    than a row of the skewed map has, then read all cells on, row after row, at the skewed map's width.)
