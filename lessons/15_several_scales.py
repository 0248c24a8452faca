# %% [markdown]
# # 15 Several scales
#
# - *You will* draw a small image first and the large one around it, work out its likelihood by hand, and see what goes
#   wrong when the small image is counted twice.
# - *Reads* `minipixel/models/multiscale.py`; van den Oord et al. 2016, arXiv:1601.06759, section 3.5 and figure 4.
# - *Before* [lesson 01](01_an_image_is_a_sequence.py) for the chain rule and for counting all images,
#   [lesson 10](10_conditions.py) for conditions, [lesson 14](14_the_diagonal_bilstm.py) for the model that is used at
#   both scales.
# - *Takes* about half a minute on two cores; 20 minutes to read.
#
# In raster order the first row is drawn without any idea of the last. A painter works in another way: a rough sketch of
# everything comes first, and the details follow. **Can an autoregressive model sketch first, and still have a
# likelihood that is exact?** It can. The chain rule of lesson 01 holds for any order of the pixels, as long as each
# pixel is predicted only from those that come before it in that order.

# %%
import os

import numpy as np
from drawings import fields, lesson_15
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
IMAGES = 256 if QUICK else 2048
EPOCHS = 1 if QUICK else 8

# %% [markdown]
# ## Another order
# The **sketch** is a part of the image: every second pixel of every second row. It is drawn first, in raster order.
# Then come all other pixels, again in raster order. Let $\pi(t)$ be the pixel that is drawn at step $t$. Then the chain
# rule reads
#
# $$p(x) = \prod_t p(x_{\pi(t)} \mid x_{\pi(1)}, \ldots, x_{\pi(t-1)})$$
#
# In raster order $\pi(t)$ is simply pixel $t$. In code we write the same down the other way round: the array `order`
# holds, for each pixel, its place in the **order** of drawing, counted from 0. We compare it with the order of the
# library's model, which is called `MultiScale` there. It is made of Diagonal BiLSTMs, the models of lesson 14;
# `upsampled` is explained below.

# %%
H = 8
W = 8
in_sketch = np.zeros((H, W), bool)
in_sketch[::2, ::2] = True

order = np.zeros((H, W), int)
order[in_sketch] = np.arange(in_sketch.sum())
order[~in_sketch] = np.arange(in_sketch.sum(), H * W)


def several_scales(shape, scales=2):
    """A model of several scales, with a Diagonal BiLSTM of one layer at each."""
    base = "diagonal-bilstm"
    return mp.models.MultiScale(shape, 2, base=base, scales=scales, hidden=8, layers=1, upsampled=8, rng=SEED)


model = several_scales((H, W, 1))
assert np.array_equal(model.order[:, :, 0], order)

# %% [markdown]
# In minipixel the likelihood, the sampler and the check of causality all follow `model.order`.
#
# ## Two models
# How can a network draw in such an order? A **multi-scale model** consists of two models. The *small model*, an
# ordinary Diagonal BiLSTM, draws the sketch. The *large model* draws the whole image and is told the sketch. It is a
# conditional model as in lesson 10, and its condition is a map of the image's size, with K numbers per pixel (K is the
# argument `upsampled`). A third network makes that map out of the sketch. To make a large map out of a small one is
# called **upsampling**.

# %%
caption = "The image on the left, its log-likelihood on the right. Each pixel's share comes from exactly one model"
show(lesson_15.two_models(), "15_two_models", caption)

# %% [markdown]
# The upsampling network may look in all directions. It is made of 3x3 convolutions *without a mask*. Their taps lie 1,
# 2, 4, ... pixels apart; such convolutions are called **dilated**. There are as many of them as it takes until each
# feature depends on every pixel of the sketch. At the end, each pixel of the sketch writes a block of 2x2 pixels of the
# large map. (This is a **transposed convolution**. A convolution with a stride of 2 makes one pixel out of a block, and
# its transpose makes a block out of one pixel.) Why is none of this a leak? When the large model draws its first pixel,
# the whole sketch has been drawn. In this order, all of it is past.
#
# ## The likelihood, by hand
# The log-likelihood of an image is that of its sketch plus that of all other pixels, given the sketch and what came
# before them:
#
# $$\log p(x) = \log p_{small}(s) \; + \sum_{(r,c) \,\notin\, s} \log p_{large}(x_{r,c} \mid x_{<(r,c)}, s)$$
#
# where $s$ is the sketch, and $x_{<(r,c)}$ are all pixels before (r, c) in raster order. The large model also gives
# probabilities for the pixels of the sketch. It has been told these pixels, so those probabilities are thrown away.
#
# The library's model has three parts, `small`, `large` and `upsampling`, and we call them ourselves. The library's maps
# have the shape (H, W, N, K), and its networks see the two levels as -1 and 1. So we first rearrange the axes of the
# sketch and scale its levels.

# %%
rng = np.random.default_rng(15)
images = rng.integers(0, 2, (5, H, W, 1)).astype(np.uint8)


def maps_for_large(model, images):
    """What the large model is told about each image, made of its sketch: (N, H, W, C) -> (N, H, W, K)."""
    sketch = images[:, ::2, ::2]
    as_numbers = 2.0 * sketch.transpose(1, 2, 0, 3) - 1.0
    return model.upsampling(as_numbers).data.transpose(2, 0, 1, 3)


of_sketch = model.small.log_prob(images[:, ::2, ::2])
by_large = model.large.log_prob_map(images, maps_for_large(model, images))[:, :, :, 0]
of_rest = by_large[:, ~in_sketch].sum(axis=1)
by_hand = of_sketch + of_rest
assert np.allclose(by_hand, model.log_prob(images), rtol=1e-5)
print("log p of five images, by hand:     ", np.round(by_hand, 3))
print("log p of five images, by the model:", np.round(model.log_prob(images), 3))

# %% [markdown]
# ## What a pixel is drawn from
# From which pixels is pixel (3, 3) predicted? We compare raster order with two scales and with three. With three
# scales, the small model is itself a model of two scales: the sketch has a sketch of its own.

# %%
models = {
    "raster order": mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=8, layers=1, rng=SEED),
    "2 scales": model,
    "3 scales": several_scales((H, W, 1), scales=3),
}
position = (3, 3)
orders = {}
views = {}
reports = {}
for name, one in models.items():
    orders[name] = one.order[:, :, 0]
    views[name] = mp.causality.dependencies(one, outputs=[3 * W + 3]).reshape(H, W)
    reports[name] = mp.check_causality(one)
    print(f"{name:13} leaks: {len(reports[name].leaks)}, pixels never seen: {len(reports[name].blind)}")
caption = "The numbers are the order of drawing. With several scales the orange pixel is drawn from pixels everywhere"
show(lesson_15.orders(orders, views, position), "15_orders", caption)

# %% [markdown]
# In raster order the orange pixel knows nothing of the lower half. With two scales it knows a quarter of the pixels
# everywhere, and all others that come before it. The check of causality agrees: it finds no leak and no pixel of the
# past that is not seen, although the order is not raster order.
#
# ## Counted once
# It is tempting to add up all log-probabilities that the large model gives, those of the sketch included. After all, it
# is a model of the whole image. Lesson 01 has a test for such questions: add up the probabilities of *all* images. For
# 3x3 pixels in black and white there are 512 of them.

# %%
tiny = several_scales((3, 3, 1))
every = np.indices((2,) * 9).reshape(9, 512).T.reshape(512, 3, 3, 1)
once = np.exp(tiny.log_prob(every)).sum()

by_large = tiny.large.log_prob_map(every, maps_for_large(tiny, every))
sketch_again = by_large[:, ::2, ::2].sum(axis=(1, 2, 3))
twice = np.exp(tiny.log_prob(every) + sketch_again).sum()
print(f"sum of p over all 512 images: sketch counted once {once:.4f}, counted twice {twice:.4f}")

# %% [markdown]
# If the sketch is counted once, the sum is 1. If it is counted twice, most of the probability is lost. The large model
# gives some probability to other values of the sketch's pixels than those it was told, and these never occur.
#
# ## What is it worth? Coins
# Lesson 14 had images of fair coins in which each row begins with a copy of the last pixel of the row above. A model
# that sees its whole past gets 7 of 40 pixels free, which makes 0.825 bits/dim. What happens to the copies in another
# order of drawing?


# %%
def train_both(train, test):
    """Train raster order and two scales: the models, and for each the bits per pixel (H, W), a mean over `test`."""
    shape = train.shape[1:]
    models = {
        "raster order": mp.models.DiagonalBiLSTM(shape, 2, hidden=8, layers=1, rng=SEED),
        "2 scales": several_scales(shape),
    }
    bits = {}
    for name, model in models.items():
        optimizer = mp.optim.Adam(0.01)
        mp.fit(model, train[:IMAGES], epochs=EPOCHS, batch_size=32, optimizer=optimizer, rng=SEED, progress=False)
        nats = -model.log_prob_map(test)[:, :, :, 0].mean(axis=0)
        bits[name] = nats / np.log(2)
        print(f"{name:13} {model.num_parameters:6,} weights {bits[name].mean():7.3f} bits/dim")
    return models, bits


# %%
coin_rng = np.random.default_rng(14 + SEED)
coins = coin_rng.integers(0, 2, (2560, 8, 5, 1)).astype(np.uint8)
coins[:, 1:, 0] = coins[:, :-1, -1]
coin_models, coin_bits = train_both(coins[:2048], coins[2048:])
titled = {f"{name}, mean {bits.mean():.3f}": bits for name, bits in coin_bits.items()}
caption = "Bits per pixel of the coins: white is free. Both models find all copies, but not the same pixels are free"
show(fields.costs(titled, width=5.8), "15_coins", caption)

# %% [markdown]
# The total is the same, as it has to be: these images hold 33 bits, in whatever order one reads them. But *which*
# pixels are free depends on the order. Of two pixels that are equal, the one that comes *later* in the order is free.
# For example, (2, 0) was made as a copy of (1, 4). But (2, 0) lies in the sketch and (1, 4) does not. So the model
# draws the copy (2, 0) first, for 1 bit, and then the pixel (1, 4) is free.
#
# ## What is it worth? Digits

# %%
digits = mp.datasets.load("digits")
train = mp.datasets.binarize(digits.train.images, digits.levels, "threshold")
test = mp.datasets.binarize(digits.test.images, digits.levels, "threshold")
digit_models, digit_bits = train_both(train, test)

# %% [markdown]
# Two scales do better on digits: they reach 0.41 bits/dim, and raster order 0.42 to 0.44, with each of three seeds. But
# the model of two scales has more than twice as many weights. Exercise 4 asks how much of its lead is left if the
# raster model has as many.
#
# Now look at what it draws. The upper row shows sketches that the small model drew, with grey where nothing is drawn
# yet. Below each of them is what the large model drew around it.

# %%
painter = digit_models["2 scales"]
is_sketched = painter.order < 16  # (H, W, 1): the sketch of 8x8 pixels has 4x4
drawn = 2 * painter.sample(10, rng=SEED)  # for the figure: 0 is black, 2 is white,
sketches = np.where(is_sketched, drawn, 1)  # and 1, grey, is not drawn yet
groups = {"sketch": sketches, "finished": drawn}
show(lesson_15.rows(groups), "15_drawn", "Drawn by the model: first the sketch, then the image around it")

# %% [markdown]
# Because the sketch comes first in the order, we can also *give* the model a sketch, and let it draw the rest:
# `complete` keeps the known pixels and draws all others. ([Lesson 21](21_completion.py) is about such completions.) A
# raster model cannot do this so easily. When it draws the first row, it has no way to look at sketch pixels further
# down.

# %%
real = test[:10]
first = painter.complete(real, is_sketched[:, :, 0], rng=SEED)
second = painter.complete(real, is_sketched[:, :, 0], rng=SEED + 1)
groups = {
    "sketch": np.where(is_sketched, 2 * real, 1),
    "drawn once": 2 * first,
    "drawn again": 2 * second,
    "real": 2 * real,
}
caption = "Sketches of real digits, finished twice by the large model: alike in the sketch, not elsewhere"
show(lesson_15.rows(groups), "15_completed", caption)

# %% [markdown]
# ## What you should see

# %%
assert [view.sum() for view in views.values()] == [27, 35, 35]
for name, report in reports.items():
    assert report.ok
    assert len(report.blind) == 0
    earlier = orders[name] < orders[name][position]
    assert np.array_equal(views[name], earlier)
assert abs(once - 1) < 1e-3
assert twice < 0.5
assert np.array_equal(first[:, ::2, ::2], real[:, ::2, ::2])
if not QUICK:
    free = np.argwhere(coin_bits["2 scales"] < 0.1).tolist()
    assert free == [[1, 0], [1, 4], [3, 0], [3, 4], [5, 0], [5, 4], [7, 0]]
    assert np.allclose([bits.mean() for bits in coin_bits.values()], 0.825, atol=0.012)
    raster = digit_bits["raster order"].mean()
    scaled = digit_bits["2 scales"].mean()
    assert abs(raster - 0.43) < 0.015
    assert abs(scaled - 0.41) < 0.015
    assert scaled < raster

# %% [markdown]
# ## Exercises
# Solutions: [solutions/15_several_scales.py](solutions/15_several_scales.py).
#
# 1. *Easy.* An image has 28x28 pixels. How many are drawn before the first one outside the sketch, with 2 scales and
#    with 3? What is the place of pixel (0, 1) in both orders? First think, then ask `model.order`.
# 2. *Medium.* Set the weight and the bias of the upsampling's last layer, `model.upsampling.weight` and
#    `model.upsampling.bias`, to zero, so that the large model is told nothing. Is the model still causal? Which pixels
#    does (3, 3) see now?
# 3. *Medium.* Draw images in two steps: the sketches by `model.small.sample`, then the rest by `model.complete`. Are
#    these images drawn from the same distribution as those of `model.sample`? Compare the probabilities of all images
#    of 2x2 pixels with how often each of them is drawn.
# 4. *Medium.* Give the raster model as many weights as the one of two scales (`hidden=13`). How much of the lead on
#    digits is left? Try three seeds.
# 5. *Hard.* Let the "sketch" of a 2x2 image be the number of its white pixels, 0 to 4, instead of one of its pixels. A
#    small model gives a probability to each number. A large model is told the number and gives a probability to each of
#    the 16 images. Multiply the two. Do the products of all 16 images sum to 1? Find out for random models, and say
#    why.
