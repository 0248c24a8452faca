# %% [markdown]
# # Solutions of lesson 15: several scales
#
# The lesson is [15 Several scales](../15_several_scales.py). Each solution begins with its exercise.

# %%
import os

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"


def several_scales(shape, scales=2, seed=0):
    """The lesson's model: a Diagonal BiLSTM of one layer at each scale."""
    base = "diagonal-bilstm"
    return mp.models.MultiScale(shape, 2, base=base, scales=scales, hidden=8, layers=1, upsampled=8, rng=seed)


# %% [markdown]
# ## Exercise 1
# > An image has 28x28 pixels. How many are drawn before the first one outside the sketch, with 2 scales and with 3?
# > What is the place of pixel (0, 1) in both orders?
#
# With 2 scales the sketch has 14x14 = 196 pixels. With 3 scales the sketch has the same 196 pixels; only their own
# order is another one (first the 7x7 = 49 of the sketch's sketch). So in both cases 196 pixels come before the first
# one outside the sketch. This is pixel (0, 1), and its place, counted from 0, is 196.

# %%
for scales in (2, 3):
    order = several_scales((28, 28, 1), scales).order[:, :, 0]
    print(f"{scales} scales: the place of (0, 1) is {order[0, 1]}, that of (0, 2) is {order[0, 2]}")
    assert order[0, 1] == 196
    assert order[::2, ::2].max() == 195

# %% [markdown]
# ## Exercise 2
# > Set the weight and the bias of the upsampling's last layer to zero, so that the large model is told nothing. Is the
# > model still causal? Which pixels does (3, 3) see now?

# %%
H = 8
W = 8
model = several_scales((H, W, 1))
model.upsampling.weight.data[:] = 0
model.upsampling.bias.data[:] = 0
place = 3 * W + 3
seen = mp.causality.dependencies(model, outputs=[place]).reshape(H, W)
print(seen.astype(int))
raster_past = np.arange(H * W).reshape(H, W) < place
assert np.array_equal(seen, raster_past)

# %% [markdown]
# The model is still causal: it sees less than before, and seeing less is never a leak. The large model still reads the
# image itself in raster order, with the sketch's pixels among it. So (3, 3) sees all 27 pixels above and to its left,
# and misses the eight pixels of the sketch that lie below it.

# %%
order = model.order[:, :, 0]
earlier = order < order[3, 3]
assert (earlier & ~seen).sum() == 8

# %% [markdown]
# ## Exercise 3
# > Draw images in two steps: the sketches by `model.small.sample`, then the rest by `model.complete`. Are these images
# > drawn from the same distribution as those of `model.sample`? Compare the probabilities of all images of 2x2 pixels
# > with how often each of them is drawn.
#
# An image of 2x2 pixels has a sketch of one pixel. We pass one *generator* to both steps. If we passed the same seed to
# both, the second step would draw the same uniform numbers as the first, and its choices would depend on those of the
# first.

# %%
tiny = several_scales((2, 2, 1), seed=3)
n = 20000
rng = np.random.default_rng(15)
sketches = tiny.small.sample(n, rng=rng)
canvas = np.zeros((n, 2, 2, 1), np.uint8)
canvas[:, ::2, ::2] = sketches
known = np.array([[True, False], [False, False]])
images = tiny.complete(canvas, known, rng=rng)
assert np.array_equal(images[:, ::2, ::2], sketches)

every = np.indices((2,) * 4).reshape(4, 16).T.reshape(16, 2, 2, 1)
probabilities = np.exp(tiny.log_prob(every))
numbers = images.reshape(n, 4) @ [8, 4, 2, 1]  # the place of each image among `every`
frequencies = np.bincount(numbers, minlength=16) / n
print("largest difference between probability and frequency:", np.abs(probabilities - frequencies).max().round(4))
assert np.abs(probabilities - frequencies).max() < 0.015

# %% [markdown]
# They agree as well as 20,000 draws can tell (a frequency is off by about 0.002). The order is the reason: the sketch
# comes first, so to keep it and draw the rest is exactly what `sample` does after its first pixel.
#
# ## Exercise 4
# > Give the raster model as many weights as the one of two scales (`hidden=13`). How much of the lead on digits is
# > left? Try three seeds.

# %%
digits = mp.datasets.load("digits")
train = mp.datasets.binarize(digits.train.images, digits.levels, "threshold")
test = mp.datasets.binarize(digits.test.images, digits.levels, "threshold")
seeds = [0] if QUICK else [0, 1, 2]
leads = {8: [], 13: []}
for seed in seeds:
    models = {
        "raster, hidden=8": mp.models.DiagonalBiLSTM((8, 8, 1), 2, hidden=8, layers=1, rng=seed),
        "raster, hidden=13": mp.models.DiagonalBiLSTM((8, 8, 1), 2, hidden=13, layers=1, rng=seed),
        "2 scales": several_scales((8, 8, 1), seed=seed),
    }
    scores = {}
    for name, model in models.items():
        optimizer = mp.optim.Adam(0.01)
        some = train[:64] if QUICK else train
        epochs = 1 if QUICK else 8
        mp.fit(model, some, epochs=epochs, batch_size=32, optimizer=optimizer, rng=seed, progress=False)
        scores[name] = model.bits_per_dim(test)
        print(f"seed {seed}: {name:18} {model.num_parameters:6,} weights {scores[name]:.3f} bits/dim")
    leads[8].append(scores["raster, hidden=8"] - scores["2 scales"])
    leads[13].append(scores["raster, hidden=13"] - scores["2 scales"])
print("mean lead over hidden=8:", np.mean(leads[8]).round(3), "over hidden=13:", np.mean(leads[13]).round(3))

# %% [markdown]
# About half of the lead is left: 0.02 bits/dim over the raster model of the lesson, 0.01 over one with as many weights.
# Each of three seeds says so. It is a small lead, on images of 8x8 pixels.

# %%
if not QUICK:
    assert min(leads[8]) > 0
    assert min(leads[13]) > 0
    assert np.mean(leads[13]) < np.mean(leads[8])

# %% [markdown]
# ## Exercise 5
# > Let the "sketch" of a 2x2 image be the number of its white pixels, 0 to 4. A small model gives a probability to each
# > number. A large model is told the number and gives a probability to each of the 16 images. Multiply the two. Do the
# > products of all 16 images sum to 1? Find out for random models, and say why.
#
# We call the number of white pixels the count. Random tables stand in for the two models: one holds a probability for
# each count, the other, for each count, one for each of the 16 images.

# %%
pixels = np.indices((2,) * 4).reshape(4, 16).T
count = pixels.sum(axis=1)
sums = []
for seed in range(5):
    rng = np.random.default_rng(seed)
    p_count = rng.dirichlet(np.ones(5))
    p_image = rng.dirichlet(np.ones(16), size=5)  # [told count, image]
    p = p_count[count] * p_image[count, np.arange(16)]
    sums.append(p.sum())
print("sums of p over the 16 images:", np.round(sums, 3))
assert max(sums) < 1

# %% [markdown]
# No. A large model that is told "three are white" still gives some probability to images with one white pixel. Such
# images never occur together with that sketch, so this probability is lost. The sum is 1 only if the large model never
# contradicts its sketch. A sketch that is made of *pixels* avoids the problem: we know which pixels were told, and
# leave their probabilities out.
#
# Here we can set the probabilities of all images with another count to zero and divide by the sum of the others. For 16
# images that is easy. For large images, nobody can compute the sum over all images with a given count.

# %%
agrees = count == np.arange(5)[:, None]  # [told count, image]
p_image = p_image * agrees
p_image = p_image / p_image.sum(axis=1, keepdims=True)
p = p_count[count] * p_image[count, np.arange(16)]
assert np.isclose(p.sum(), 1)
