# %% [markdown]
# # 1. An image is a sequence
#
# *You will* turn an image into a sequence, build four small models of the next sub-pixel, measure them, draw from them.
#
# *Reads* the bundled digits; van den Oord et al., "Pixel Recurrent Neural Networks", arXiv:1601.06759, sections 1 and 2.
#
# *Before* nothing: this is the first lesson. It asks for NumPy, and for what a conditional probability is.
#
# *Takes* half an hour to read; a few seconds to run on two cores.

# %%
from itertools import product

import numpy as np
from show import show

import minipixel as mp
from minipixel.heads.categorical import Categorical

ds = mp.datasets.load("digits")
train, test = ds.train.images[..., 0].astype(int), ds.test.images[..., 0].astype(int)  # grey: C = 1, left out here
(H, W), Q = test.shape[1:], ds.levels
INK, BLUE, ORANGE, PALE = mp.plots.INK, mp.plots.OPEN, mp.plots.CENTRE, "#cfe0ec"
print(ds)

# %% [markdown]
# ## One line through the image
#
# A model of images says how probable each image is. To write one down, put all sub-pixels in one line: row by row, in
# a row from left to right, in a pixel red, green, blue. This is **raster order**. With W columns and C channels, channel
# `channel` of the pixel in row r and column c has the place `t = (r*W + c)*C + channel`.

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
ax.hlines([-0.5, 0.5, 1.5], -0.5, 11.5, color="white", linewidth=7)
ax.set_xticks(np.arange(1, 12, 3), [f"c = {column}" for column in range(4)])
ax.set_yticks([0, 1], ["r = 0", "r = 1"])
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
ax.set_title("The place t of every sub-pixel: 2 rows, 4 columns, red, green, blue", fontsize=11, color=INK)
show(fig, "01_order")

# %% [markdown]
# A grey image has one channel, so a digit is read out pixel by pixel. At every moment there is a past, which is known,
# a present, which is to be guessed, and a future, which must not be looked at.

# %%
t, digit = 27, test[11]
fig = mp.plots.figure(6.6, 4.2)
top, bottom = fig.subplots(2, 1, height_ratios=[5, 1])
for ax, shape in ((top, (H, W)), (bottom, (1, H * W))):
    shade = np.repeat(1 - digit.reshape(*shape, 1) / Q, 3, axis=-1)
    when = np.arange(H * W).reshape(shape)
    shade[when == t], shade[when > t] = [0.85, 0.51, 0.17], [0.81, 0.88, 0.93]
    ax.imshow(shade, aspect="equal" if ax is top else 2.4)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("#b8c4ce")
for now, level in enumerate(digit.ravel()[: t + 1]):
    ink = "white" if level > 8 or now == t else INK
    top.text(now % W, now // W, "?" if now == t else level, ha="center", va="center", fontsize=9, color=ink)
for y, colour, label in (
    (1, INK, "past $x_{<t}$: known"),
    (3, ORANGE, "present $x_t$: t = 27"),
    (5.5, BLUE, "future: not there yet"),
):
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
def neighbour(images, step, outside):
    """The value one step (dr, dc) away from every pixel: (N, H, W) -> (N, H, W)."""
    (dr, dc), (rows, columns) = step, images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    return padded[:, 1 + dr : 1 + dr + rows, 1 + dc : 1 + dc + columns]


every_image = np.array(list(product([0, 1], repeat=6))).reshape(64, 2, 3)
p_of_1 = np.random.default_rng(9).uniform(size=(2, 3, 3, 3))  # by r, c and two neighbours, each 0, 1 or 2 (outside)
LEFT, RIGHT, ABOVE, BELOW = (0, -1), (0, 1), (-1, 0), (1, 0)


def joint(images, *steps):
    """The product over all pixels of p(x_t | two neighbours), one number an image."""
    p = p_of_1[(*np.indices((2, 3)), *(neighbour(images, step, outside=2) for step in steps))]
    return np.where(images == 1, p, 1 - p).prod(axis=(1, 2))


rules = {
    "left and above": joint(every_image, LEFT, ABOVE),
    "right and above": joint(every_image, RIGHT, ABOVE),
    "left and right": joint(every_image, LEFT, RIGHT),
    "above and below": joint(every_image, ABOVE, BELOW),
}
print("a pixel reads     sum of p(x) over all 64 images")
for name, p in rules.items():
    print(f"{name:16s}  {p.sum():.12f}")

fig = mp.plots.figure(6.6, 3)
ax = fig.subplots()
for (name, p), colour in zip(rules.items(), (INK, BLUE, ORANGE, "#a03a3a"), strict=True):
    ax.step(range(65), np.r_[0, p.cumsum()], color=colour, linewidth=1.6, where="post", label=name)
    ax.annotate(f"{p.sum():.3f}", (64, p.sum()), xytext=(5, -3), textcoords="offset points", color=colour)
ax.set(xlabel="images added up", ylabel="sum of p(x)", xlim=(0, 69))
ax.set_title("All binary images of 2 x 3 pixels, added up", fontsize=11, color=INK)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, title="a pixel reads", alignment="left")
show(fig, "01_sum_to_one")

# %% [markdown]
# Right and above is fine too: it is the past of another order, from right to left. What breaks the sum is a circle: a
# reads b, and b reads a. Then no last value can be summed out first. Such a product is no probability of anything, and
# any score made from it means nothing. So: **fix one order, and read only what comes before**.
#
# ## The unit: bits/dim
#
# `-ln p(x)` is the surprise at an image in nats; divided by `ln 2` it is in bits, the length of the shortest code for
# it. To compare images of different sizes, share it out over the sub-pixels: bits/dim = `-ln p(x) / (H*W*C * ln 2)`.
#
# ## Four tables and a blank
#
# The simplest model squeezes the whole past into one number, the **context**, and keeps a row of Q probabilities for
# each context. Training is counting. We start each count at one (add-one smoothing): nothing is ever impossible.


# %%
def beside(images):
    return neighbour(images, LEFT, outside=Q), neighbour(images, ABOVE, outside=Q)


def position(images):
    return np.broadcast_to(np.arange(H * W).reshape(H, W), images.shape)


def both(images):
    left, above = ((level + 4) // 5 for level in beside(images))  # five bands: 0, 1-5, 6-10, 11-15, 16 or outside
    return position(images) * 25 + left * 5 + above


contexts = {
    "uniform": (np.zeros_like, 1),
    "histogram": (np.zeros_like, 1),
    "by position": (position, H * W),
    "by left and above": (lambda images: beside(images)[0] * (Q + 1) + beside(images)[1], (Q + 1) ** 2),
    "by all three": (both, H * W * 25),
}
tables, nats = {}, {}
print("context              rows   nats/image   bits/image   bits/dim, train     test")
for name, (context, rows) in contexts.items():
    counts = np.ones((rows, Q))
    if name != "uniform":
        np.add.at(counts, (context(train), train), 1)
    tables[name] = counts / counts.sum(axis=1, keepdims=True)
    seen, nats[name] = (-np.log(tables[name][context(images), images]) for images in (train, test))
    image, bits = nats[name].sum(axis=(1, 2)).mean(), [x.mean() / np.log(2) for x in (seen, nats[name])]
    print(f"{name:18s} {rows:6d}   {image:10.1f}   {image / np.log(2):10.1f}   {bits[0]:15.3f}   {bits[1]:6.3f}")
bits_per_dim = {name: x.mean() / np.log(2) for name, x in nats.items()}

fig = mp.plots.figure(6.6, 4.2)
bars, maps = fig.subfigures(2, 1, height_ratios=[1.5, 1])
ax = bars.subplots()
drawn = ax.barh(list(bits_per_dim), list(bits_per_dim.values()), color=[PALE] + [BLUE] * 4, height=0.65)
ax.bar_label(drawn, fmt=" %.3f", color=INK)
ax.set(title="Bits/dim on 359 test digits", xlabel="bits/dim, less is better", xlim=(0, 4.6))
ax.invert_yaxis()
ax.spines[["top", "right"]].set_visible(False)
for ax, (name, x) in zip(maps.subplots(1, 5), nats.items(), strict=True):
    shown = ax.imshow(x.mean(axis=0) / np.log(2), vmin=0, vmax=4.1, cmap="Blues")
    ax.set_title(name, fontsize=8, color=INK)
    ax.set_axis_off()
maps.colorbar(shown, ax=maps.axes, label="bits/dim, by pixel", shrink=0.9)
show(fig, "01_bits_per_dim")

# %% [markdown]
# ## Drawing an image
#
# Walk along the line. At each t look up the row of the past drawn so far, and draw the next value from it: take a
# number u, uniform in [0, 1), and count how many cumulative probabilities lie at or below it. All the u are drawn
# beforehand, so the same u go to every model, and only the models differ.


# %%
def draw(name, u):
    images = np.zeros(u.shape, int)
    for r, c in np.ndindex(H, W):
        p = tables[name][contexts[name][0](images)[:, r, c]]
        images[:, r, c] = (p.cumsum(axis=1)[:, :-1] <= u[:, r, c, None]).sum(axis=1)
        by_library = Categorical(1, Q).draw(np.log(p), images[:, r, c, None], 0, u[:, r, c], temperature=1.0)
        assert np.array_equal(by_library, images[:, r, c])
    return images


u = np.random.default_rng(4).random((12, H, W))
samples = {"real, test": test[:12], **{name: draw(name, u) for name in tables}}
fig = mp.plots.figure(6.6, 4)
for ax, (name, images) in zip(fig.subplots(6, 1), samples.items(), strict=True):
    ax.imshow(np.hstack([np.pad(image, ((0, 0), (0, 1))) for image in images])[:, :-1], cmap="Greys")
    ax.set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
show(fig, "01_samples")

# %% [markdown]
# A histogram knows how much ink there is. A position knows where: the margins are clean, the middle is a cloud. The
# neighbours know that strokes hold together, but not where on the page they are. All three give smears of the right
# size; none gives a digit, for no table sees further than one pixel. A table of the *whole* past is no way out: its
# last pixel alone would need 17^63 rows, and 1,438 images to fill them. A **PixelCNN** keeps the product and replaces
# the table by one network that reads the whole past and shares what it learns between contexts. Its sum is 1 already
# before any training, as it must be.
#
# ## What you should see

# %%
untrained = mp.models.PixelCNN((2, 3, 1), levels=2, hidden=4, blocks=1).log_prob(every_image[..., None])
print(f"an untrained PixelCNN, summed over all 64 images: {np.exp(untrained).sum():.6f}; 17^63 is {17.0**63:.0e}")
assert np.isclose(np.exp(untrained).sum(), 1, atol=1e-5)
sums = [p.sum() for p in rules.values()]
assert np.allclose(sums[:2], 1, atol=1e-12) and np.allclose(sums[2:], [1.637, 0.789], atol=1e-3)  # circles
measured = [4.087, 2.971, 2.407, 2.363, 2.126]
assert np.allclose(list(bits_per_dim.values()), measured, atol=1e-3) and np.isclose(measured[0], np.log2(17), atol=1e-3)

# %% [markdown]
# ## Exercises
#
# 1. Let `both` also read the pixel to the right. The bits/dim fall. Why may you not be pleased?
# 2. Read the digits from bottom to top. Which of the five figures change, and which cannot? Why?
# 3. Start the counts at 0.1, then at 10. Which table minds most? Compare its training and test bits/dim.
# 4. Replace the five bands by three, then by all 18 values. Where is the best table, and what stops it?
# 5. An image drawn by "by all three" has a probability too. Is it above or below that of real digits, on average?
