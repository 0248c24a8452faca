# %% [markdown]
# # 01 An image is a sequence: solutions
#
# Each solution begins with its exercise. First comes what they need from [the
# lesson](../01_an_image_is_a_sequence.py).

# %%
from itertools import product

import numpy as np

import minipixel as mp

ds = mp.datasets.load("digits")
train = ds.train.images[..., 0].astype(int)
test = ds.test.images[..., 0].astype(int)
_, H, W = train.shape
Q = ds.levels
OFFSETS = {"left": (0, -1), "right": (0, 1), "above": (-1, 0)}


def neighbour(images, side, outside):
    _, H, W = images.shape
    row_offset, column_offset = OFFSETS[side]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    rows = slice(1 + row_offset, 1 + row_offset + H)
    columns = slice(1 + column_offset, 1 + column_offset + W)
    return padded[:, rows, columns]


def nothing(images):
    return np.zeros_like(images)


def position(images):
    return np.broadcast_to(np.arange(H * W).reshape(H, W), images.shape)


def left_and_above(images):
    return neighbour(images, "left", Q) * (Q + 1) + neighbour(images, "above", Q)


# %% [markdown]
# In `all_three` the bands are now an argument: `band_of[level]` is the band of a level.


# %%
FIVE = (np.arange(Q + 1) + 4) // 5  # 0, 1-5, 6-10, 11-15, 16-17


def all_three(images, band_of=FIVE):
    bands = band_of.max() + 1
    left_band = band_of[neighbour(images, "left", Q)]
    above_band = band_of[neighbour(images, "above", Q)]
    return (position(images) * bands + left_band) * bands + above_band


def count(context, contexts, images, start=1.0):
    counts = np.full((contexts, Q), start)
    np.add.at(counts, (context(images), images), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def bits_of_pixels(table, context, images):
    """The mean bits of each pixel: (H, W)."""
    p = table[context(images), images]
    return -np.log2(p).mean(axis=0)


CONTEXTS = {
    "histogram": (nothing, 1),
    "position": (position, H * W),
    "left and above": (left_and_above, (Q + 1) ** 2),
    "all three": (all_three, H * W * 25),
}

# %% [markdown]
# ## Exercise 1
#
# > Start the counts at 0.1, then at 10. Which table changes most? Compare its training and test bits/dim.
#
# The larger the table, the fewer images fall into each row, and the more the first counts weigh. The table "all three"
# changes most. With 0.1 it trusts its few examples too much: it is better on the training images and the gap grows.
# With 10 it is pulled towards the uniform model, and gets worse on both.

# %%
on_train = {}
on_test = {}
for name, (context, contexts) in CONTEXTS.items():
    for start in (0.1, 1, 10):
        table = count(context, contexts, train, start)
        on_train[name, start] = bits_of_pixels(table, context, train).mean()
        on_test[name, start] = bits_of_pixels(table, context, test).mean()
        print(f"{name:15} start {start:4}: {on_train[name, start]:.3f} training, {on_test[name, start]:.3f} test")

spread = {}
for name in CONTEXTS:
    values = [on_test[name, start] for start in (0.1, 1, 10)]
    spread[name] = max(values) - min(values)
assert max(spread, key=spread.get) == "all three"
gaps = [on_test["all three", start] - on_train["all three", start] for start in (0.1, 1, 10)]
assert gaps[0] > gaps[1] > gaps[2]

# %% [markdown]
# ## Exercise 2
#
# > Turn the digits upside down. Which of the five test bits/dim change, and which cannot? Why?
#
# The uniform model and the histogram do not know where a pixel is. Each pixel of the flipped digits costs what it cost
# before. The table "position" gets its rows in another order, and nothing else: it cannot change either. The tables
# that read the pixel above now read what was the pixel below. That is another product of conditionals for the same
# images, and it has another cost.

# %%
before = {}
after = {}
for name, (context, contexts) in CONTEXTS.items():
    before[name] = bits_of_pixels(count(context, contexts, train), context, test).mean()
    flipped = count(context, contexts, train[:, ::-1])
    after[name] = bits_of_pixels(flipped, context, test[:, ::-1]).mean()
    print(f"{name:15} upright {before[name]:.4f}, upside down {after[name]:.4f}")

assert np.isclose(before["histogram"], after["histogram"])
assert np.isclose(before["position"], after["position"])
assert abs(before["left and above"] - after["left and above"]) > 1e-4
assert abs(before["all three"] - after["all three"]) > 1e-4

# %% [markdown]
# ## Exercise 3
#
# > Let `all_three` also read the pixel to the right, and start the counts at 0.1. The bits/dim of the training
# > images fall. Why may you not be pleased?
#
# The pixel at the right tells much about a pixel. But it comes later, and it reads this pixel as its left neighbour: a
# circle. The product of these "conditionals" is no probability. The sum over all 64 small images shows it: it is not 1,
# so that the bits/dim mean nothing.


# %%
def with_right(images):
    right_band = FIVE[neighbour(images, "right", Q)]
    return all_three(images) * 5 + right_band


table = count(with_right, H * W * 125, train, start=0.1)
too_good = bits_of_pixels(table, with_right, train).mean()
honest = bits_of_pixels(count(all_three, H * W * 25, train, start=0.1), all_three, train).mean()
print(f"training images: {honest:.3f} bits/dim without the pixel to the right, {too_good:.3f} with it")

small = np.array(list(product([0, 1], repeat=6))).reshape(64, 2, 3)
random_table = np.random.default_rng(9).uniform(size=(3, 3, 3))  # left, above, right: 0, 1, or 2 (outside)
neighbours = [neighbour(small, side, 2) for side in ("left", "above", "right")]
p_is_1 = random_table[tuple(neighbours)]
total = np.where(small == 1, p_is_1, 1 - p_is_1).prod(axis=(1, 2)).sum()
print(f"the sum over all 64 images: {total:.3f}")
assert too_good < honest
assert abs(total - 1) > 0.01

# %% [markdown]
# ## Exercise 4
#
# > Replace the five bands by three, then by all 18 levels. Where is the best table, and what stops the larger ones?
#
# Few bands blur what the neighbours say. With all 18 levels there are $64 \cdot 18^2 = 20{,}736$ rows for 82,880
# training pixels: four pixels per row, and most of the pixels lie in a few rows. On the training images that table is
# as good as the one with five bands, on the test images it is far worse. The best table lies between.

# %%
scores = {}
for bands, band_of in {3: np.arange(Q + 1) // 6, 5: FIVE, 18: np.arange(Q + 1)}.items():
    band_of = np.minimum(band_of, bands - 1)

    def context(images, band_of=band_of):
        return all_three(images, band_of)

    table = count(context, H * W * bands**2, train)
    on_training_images = bits_of_pixels(table, context, train).mean()
    scores[bands] = bits_of_pixels(table, context, test).mean()
    print(f"{bands:2} bands: {on_training_images:.3f} training, {scores[bands]:.3f} test")
assert scores[5] < scores[3]
assert scores[5] < scores[18]

# %% [markdown]
# ## Exercise 5
#
# > Work out how many bits each pixel costs, for each model. Which pixels cost nothing? Which models have found that
# > out, and how?
#
# The outermost columns are blank in nearly all digits. A model that knows the position has found that out by counting:
# the rows of these pixels hold almost nothing but zeros. The histogram pays the same price for a zero everywhere. The
# table of the two neighbours has found it in part: left of the first column lies the level Q, "outside", so it can
# tell the first column from the others.

# %%
maps = {}
for name, (context, contexts) in CONTEXTS.items():
    maps[name] = bits_of_pixels(count(context, contexts, train), context, test)
    print(name)
    print(np.round(maps[name], 1))
assert maps["position"][:, 0].max() < 0.3 < maps["histogram"][:, 0].min()
assert maps["left and above"][:, 0].max() < maps["histogram"][:, 0].min()

# %% [markdown]
# ## Exercise 6
#
# > Draw 1,000 images from the table "position", count them, and show that you get the table back. How close do you
# > get, and how does that change with 16,000 images?
#
# The samples are drawn from the table, so counting them must lead back to it. The error of a relative frequency
# shrinks with the square root of the number of images: with 16 times as many images it is a quarter.

# %%
table = count(position, H * W, train).reshape(H, W, Q)
ends = table.cumsum(axis=-1)[..., :-1]
rng = np.random.default_rng(0)
errors = {}
for number in (1000, 16000):
    u = rng.random((number, H, W, 1))
    images = (ends <= u).sum(axis=-1)  # all pixels at once, since none reads another one
    frequencies = (images[..., None] == np.arange(Q)).mean(axis=0)
    errors[number] = np.sqrt(((frequencies - table) ** 2).mean())
    print(f"{number:6} images: the frequencies are off by {errors[number]:.5f} (root of the mean square)")
assert 3 < errors[1000] / errors[16000] < 5
