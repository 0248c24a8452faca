# %% [markdown]
# # 01 An image is a sequence
#
# - *You will* turn an image into a sequence, build small models of the next sub-pixel, measure and sample them.
# - *Reads* the bundled digits; van den Oord et al. 2016, arXiv:1601.06759, sections 1 and 2.
# - *Before* nothing: this is the first lesson. It asks for NumPy, and for what a conditional probability is.
# - *Takes* about 4 seconds to run, and half an hour to read.

# %%
from itertools import product

import numpy as np
from show import show

import minipixel as mp
from minipixel.heads.categorical import Categorical

ds = mp.datasets.load("digits")
train, test = ds.train.images[..., 0].astype(int), ds.test.images[..., 0].astype(int)  # grey: C = 1, left out here
(H, W), Q = test.shape[1:], ds.levels
INK, BLUE, ORANGE = mp.plots.INK, mp.plots.OPEN, mp.plots.CENTRE
print(ds)

# %% [markdown]
# ## One line through the image
#
# A model of images says how probable each image is. To write one down, put all sub-pixels in one line: row by row, in
# a row from left to right, in a pixel red, green, blue. This is **raster order**. In an image of W columns and C
# channels, the sub-pixel `channel` of the pixel (r, c) has the place `t = (r*W + c)*C + channel`.

# %%
r, c, channel = np.indices((2, 4, 3))
place = (r * 4 + c) * 3 + channel
assert np.array_equal(place, mp.models.PixelCNN((2, 4, 3), 2, hidden=3, blocks=1).order)  # as in the library

fig = mp.plots.figure(6.6, 3.5)
ax = fig.subplots()
ax.imshow(np.tile([[0.96, 0.8, 0.78], [0.82, 0.92, 0.8], [0.8, 0.87, 0.97]], (2, 4, 1)), aspect=3)
for (row, column), t in np.ndenumerate(place.reshape(2, 12)):
    ax.text(column, row, str(t), ha="center", va="center", color=INK, fontsize=13)
ax.vlines(np.arange(0, 13, 3) - 0.5, -0.5, 1.5, color="white", linewidth=7)
ax.axhline(0.5, color="white", linewidth=7)
ax.set_xticks([1, 4, 7, 10], ["c = 0", "c = 1", "c = 2", "c = 3"])
ax.set_yticks([0, 1], ["r = 0", "r = 1"])
ax.spines[:].set_visible(False)
ax.set_title("The place t of every sub-pixel: 2 rows, 4 columns, red, green, blue", fontsize=11, color=INK)
show(fig, "01_order")

# %% [markdown]
# A grey image has one channel: a digit is read out pixel by pixel. At every moment there is a past, which is known, a
# present, which is to be guessed, and a future, which is not there yet and must not be looked at.

# %%
t, digit = 27, test[11]
fig = mp.plots.figure(6.6, 4.2)
top, bottom = fig.subplots(2, 1, height_ratios=[5, 1])
for ax, shape in ((top, (H, W)), (bottom, (1, H * W))):
    shade, when = np.repeat(1 - digit.reshape(*shape, 1) / Q, 3, axis=-1), np.arange(H * W).reshape(shape)
    shade[when == t], shade[when > t] = [0.85, 0.51, 0.17], [0.81, 0.88, 0.93]
    ax.imshow(shade, aspect="equal" if ax is top else 2.4)
    ax.set(xticks=[], yticks=[])
for now, level in enumerate(digit.ravel()[: t + 1]):
    ink = "white" if level > 8 or now == t else INK
    top.text(now % W, now // W, "?" if now == t else level, ha="center", va="center", fontsize=9, color=ink)
for y, colour, label in (1, INK, "past $x_{<t}$"), (3, ORANGE, "present $x_t$, t = 27"), (5.5, BLUE, "future"):
    top.text(7.8, y, label, color=colour, fontsize=11, va="center")
bottom.set_xticks(np.arange(0, H * W, W), [f"t = {start}" for start in range(0, H * W, W)], fontsize=8)
top.set_title("A digit, and the same digit as one line of 64 numbers", fontsize=11, color=INK)
show(fig, "01_past_present_future")

# %% [markdown]
# ## A product of conditionals is a distribution
#
# The chain rule of probability holds for any x and any order: `p(x) = p(x_0) p(x_1 | x_0) ... = prod_t p(x_t | x_<t)`.
# Read it backwards and it is a recipe: take **any** rule that turns a past into probabilities of the next value,
# multiply, and the result is a distribution over whole images. Sum over the last value first: its conditional sums
# to 1 and drops out. Then the last but one drops out, and so on.
#
# We need not trust the argument. There are 64 binary images of 2 x 3 pixels: add them all up. The rule is a table of
# random numbers, looked up by position and by two neighbours. Which two may they be?


# %%
def neighbour(images, side, outside):
    """The value next to every pixel, on one side of it: (N, H, W) -> (N, H, W)."""
    dr, dc = {"left": (0, -1), "right": (0, 1), "above": (-1, 0), "below": (1, 0)}[side]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    return padded[:, 1 + dr : 1 + dr + images.shape[1], 1 + dc : 1 + dc + images.shape[2]]


every_image = np.array(list(product([0, 1], repeat=6))).reshape(64, 2, 3)
p_of_1 = np.random.default_rng(9).uniform(size=(2, 3, 3, 3))  # by r, c and two neighbours, each 0, 1 or 2 (outside)
sums = {}
print("a pixel reads      sum of p(x) over all 64 images")
for sides in (("left", "above"), ("right", "above"), ("left", "right"), ("above", "below")):
    p = p_of_1[(*np.indices((2, 3)), *(neighbour(every_image, side, outside=2) for side in sides))]
    sums[sides] = np.where(every_image == 1, p, 1 - p).prod(axis=(1, 2)).sum()
    print(f"{' and '.join(sides):17s}  {sums[sides]:.12f}")

# %% [markdown]
# Right and above is fine too: it is the past of another order, from right to left. What breaks the sum is a circle: a
# reads b, and b reads a. Then no value comes last, and none can be summed out first. Such a product is no probability
# of anything, and a score made from it means nothing. So: **fix one order, and read only what comes before**.
#
# ## The unit: bits/dim
#
# `-ln p(x)` is the surprise at an image, in nats. Divided by `ln 2` it is in bits: the length of the image in a code
# built for p. To compare images of different sizes, share it out: bits/dim is `-ln p(x) / (H*W*C * ln 2)`.
#
# ## A blank and four tables
#
# The simplest model squeezes the whole past into one number, the **context**, and keeps one row of Q probabilities a
# context. Training is counting. Every count starts at one (add-one smoothing), so that nothing is ever impossible.


# %%
def position(images):
    return np.broadcast_to(np.arange(H * W).reshape(H, W), images.shape)


def left_above(images):  # a neighbour outside the image counts as one more level, Q
    return neighbour(images, "left", outside=Q) * (Q + 1) + neighbour(images, "above", outside=Q)


def all_three(images):  # levels in five bands: 0, 1-5, 6-10, 11-15, 16 or outside
    left, above = ((neighbour(images, side, outside=Q) + 4) // 5 for side in ("left", "above"))
    return position(images) * 25 + left * 5 + above


contexts = {"uniform": (np.zeros_like, 1), "histogram": (np.zeros_like, 1), "by position": (position, H * W)}
contexts |= {"by left and above": (left_above, (Q + 1) ** 2), "by all three": (all_three, H * W * 25)}
tables, bits_per_dim = {}, {}
print("model                rows    nats/image    bits/image    bits/dim, train    test")
for name, (context, rows) in contexts.items():
    counts = np.ones((rows, Q))
    if name != "uniform":
        np.add.at(counts, (context(train), train), 1)
    tables[name] = counts / counts.sum(axis=1, keepdims=True)
    seen, unseen = (-np.log(tables[name][context(x), x]).sum(axis=(1, 2)).mean() for x in (train, test))
    bits_per_dim[name] = unseen / (H * W * np.log(2))
    print(f"{name:18s} {rows:6d} {unseen:13.1f} {unseen / np.log(2):13.1f}", end=" ")
    print(f"{seen / (H * W * np.log(2)):18.3f} {bits_per_dim[name]:7.3f}")

fig = mp.plots.figure(6.6, 2.6)
ax = fig.subplots()
ax.bar_label(ax.barh(list(bits_per_dim), list(bits_per_dim.values()), color=BLUE, height=0.65), fmt=" %.3f", color=INK)
ax.set(title="Five models of 359 test digits", xlabel="bits/dim (less is better)", xlim=(0, 4.6), frame_on=False)
ax.invert_yaxis()
show(fig, "01_bits_per_dim")

# %% [markdown]
# ## Drawing an image
#
# Walk along the line. At each t look up the row of the past drawn so far, and draw the next value from it: take a
# number u, uniform in [0, 1), and count the cumulative probabilities that lie at or below it. All the u are drawn
# beforehand, so every model gets the same ones, and only the models differ.

# %%
u = np.random.default_rng(4).random((10, H, W))
samples = {name: np.zeros(u.shape, int) for name in tables}
for name, images in samples.items():
    for r, c in np.ndindex(H, W):
        p = tables[name][contexts[name][0](images)[:, r, c]]
        images[:, r, c] = (p.cumsum(axis=1)[:, :-1] <= u[:, r, c, None]).sum(axis=1)
        by_library = Categorical(1, Q, mixtures=0).draw(np.log(p), images[:, r, c, None], 0, u[:, r, c], 1.0)
        assert np.array_equal(images[:, r, c], by_library)

fig = mp.plots.figure(6.6, 4)
for ax, (name, images) in zip(fig.subplots(6, 1), [("real", test[:10]), *samples.items()], strict=True):
    ax.imshow(np.hstack([np.pad(image, ((0, 0), (0, 2))) for image in images])[:, :-2], cmap="Greys")
    ax.text(-2, 3.5, name, ha="right", va="center", color=INK)
    ax.set_axis_off()
show(fig, "01_samples")

# %% [markdown]
# A histogram knows how much ink there is. A position knows where: the margins are clean, the middle is a cloud. The
# neighbours know that strokes hold together, but hardly where on the page. All three together give smears of the right
# size, and still no digits: no table here sees further than one pixel. A table of the **whole** past is no way out. Its
# last pixel alone would need 17^63 rows, and there are 1,295 images to fill them. A **PixelCNN** keeps the product and
# replaces the table by one network, which reads the whole past and shares between contexts what it has learnt. It is a
# distribution before it has seen a single image, as the last line below checks.
#
# ## What you should see

# %%
assert np.allclose(list(sums.values()), [1, 1, 1.637, 0.789], atol=1e-3)  # the circles miss 1 on either side
assert max(abs(sums["left", "above"] - 1), abs(sums["right", "above"] - 1)) < 1e-12
assert np.allclose(list(bits_per_dim.values()), [4.087, 2.971, 2.409, 2.366, 2.135], atol=6e-4)
assert np.isclose(bits_per_dim["uniform"], np.log2(17)) and (Q, H * W - 1, len(train), len(test)) == (17, 63, 1295, 359)
untrained = mp.models.PixelCNN((2, 3, 1), levels=2, hidden=4, blocks=1).log_prob(every_image[..., None])
assert np.isclose(np.exp(untrained).sum(), 1, atol=1e-6)

# %% [markdown]
# ## Exercises
#
# 1. Let `all_three` also read the pixel to the right. The bits/dim fall. Why may you not be pleased?
# 2. Turn the digits upside down. Which of the five bits/dim change, and which cannot? Why?
# 3. Start the counts at 0.1, then at 10. Which table minds most? Compare its training and test bits/dim.
# 4. Replace the five bands by three, then by all 18 levels. Where is the best table, and what stops the larger ones?
# 5. Draw a map of the bits spent on each pixel, for each model. Which pixels cost nothing? Who found that out, and how?
