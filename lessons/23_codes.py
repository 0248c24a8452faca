# %% [markdown]
# # 23 Codes
#
# - *You will* turn pictures into small grids of codes, train a PixelCNN on the grids, draw new grids, and turn these
#   into pictures; and you will see why a code must be read as a name and not as a number.
# - *Reads* `minipixel/nn/encoding.py`, [docs/codes.md](../docs/codes.md); A. van den Oord, O. Vinyals, K. Kavukcuoglu,
#   "Neural Discrete Representation Learning", 2017, [arXiv:1711.00937](https://arxiv.org/abs/1711.00937), section 3.
# - *Before* [lesson 04](04_train_sample_look.py) for training and drawing.
# - *Takes* about half a minute to run on two cores, and 25 minutes to read.
#
# A PixelCNN decides about every sub-pixel, one after the other. A photograph of 512 x 512 pixels asks it for 786,432
# decisions, and most of them decide little: the next pixel of a wall shows the wall again. Suppose that we first
# learn a small dictionary of typical patches. A picture is then a short list of entries of this dictionary, and a
# model of such lists has fewer decisions to make, each of which means more. What has to change in a model of pixels
# so that it can be a model of dictionary entries? We shall see that one thing matters: the number of an entry is a
# name, and must not be read as a quantity.

# %%
import os
from itertools import product

import numpy as np
from drawings import lesson_23
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn
EPOCHS = 2 if QUICK else 60

ds = mp.datasets.load("digits")
H, W, C = ds.image_shape
SIDE = 2  # a patch has 2 x 2 pixels
print(ds)

# %% [markdown]
# ## A picture is a grid of patches
#
# We cut each digit of 8 x 8 pixels into 4 x 4 **patches** of 2 x 2 pixels. `reshape` splits the rows into pairs and
# the columns into pairs, and `transpose` brings the two axes that count the patches to the front.


# %%
def to_patches(images):
    """Pictures cut into patches: (N, H, W, 1) -> (N, H/2, W/2, 4)."""
    N = len(images)
    pairs = images.reshape(N, H // SIDE, SIDE, W // SIDE, SIDE)
    patches = pairs.transpose(0, 1, 3, 2, 4)
    return patches.reshape(N, H // SIDE, W // SIDE, SIDE * SIDE).astype(float)


def to_pictures(patches):
    """Patches put together again: (N, H/2, W/2, 4) -> levels (N, H, W, 1)."""
    N = len(patches)
    pairs = patches.reshape(N, H // SIDE, W // SIDE, SIDE, SIDE)
    pictures = pairs.transpose(0, 1, 3, 2, 4).reshape(N, H, W, 1)
    return np.rint(pictures).astype(np.uint8)


train_patches = to_patches(ds.train.images)
assert np.array_equal(to_pictures(train_patches), ds.train.images)  # nothing is lost by cutting
print(f"{train_patches.shape[0]} pictures of {train_patches.shape[1]} x {train_patches.shape[2]} patches")

# %% [markdown]
# ## A codebook
#
# The dictionary is called a **codebook**: a list of K typical patches. (K counts entries in this lesson, not feature
# channels.) The **code** of a patch is the number of the entry that is nearest to it. We find good entries by
# **k-means**, which repeats two steps: give each patch to its nearest entry, then replace each entry by the mean of
# the patches that it was given. Neither step can make the mean squared distance between patches and their entries
# larger.
#
# A **VQ-VAE**, the paper named above, does the same with one difference. It does not compare patches of pixels, but
# the features that a convolutional network (the encoder) computes, and a second network (the decoder) turns entries
# into pixels; all three are trained together. What comes after, a model of the codes, is the same.


# %%
def nearest_entry(patches, codebook):
    """The number of the nearest entry for each patch: (..., 4), (K, 4) -> integers (...)."""
    differences = patches[..., None, :] - codebook
    distances = (differences**2).sum(axis=-1)
    return distances.argmin(axis=-1)


def learn_codebook(patches, K, steps=15):
    """K typical patches, from the one with the least ink to the one with the most: (K, 4)."""
    every_patch = patches.reshape(-1, SIDE * SIDE)
    different = np.unique(every_patch, axis=0)
    start = np.random.default_rng(0).choice(len(different), K, replace=False)
    codebook = different[start]
    for _ in range(steps):
        codes = nearest_entry(every_patch, codebook)
        for k in range(K):
            if (codes == k).any():
                codebook[k] = every_patch[codes == k].mean(axis=0)
    ink = codebook.mean(axis=1)
    return codebook[ink.argsort()]


# %% [markdown]
# How large should a codebook be? We try several sizes. The **distortion** is how far a picture that went through the
# codes is from the original; here it is the mean difference per pixel, in levels of 0 to 16. The **rate** is what the
# codes cost. Here it is $-\log_2$ of the probability of 16 independent codes, each as frequent as in the training
# pictures (with add-one smoothing, as in lesson 01).

# %%
test_patches = to_patches(ds.test.images)
sizes = (1, 2, 4, 8, 16, 32, 64)
codebooks = {}
rates = []
distortions = []
for K in sizes:
    codebooks[K] = learn_codebook(train_patches, K)
    train_codes = nearest_entry(train_patches, codebooks[K])
    test_codes = nearest_entry(test_patches, codebooks[K])
    counts = np.bincount(train_codes.ravel(), minlength=K) + 1
    frequencies = counts / counts.sum()
    rate = np.log2(1 / frequencies[test_codes]).sum(axis=(1, 2)).mean()
    again = to_pictures(codebooks[K][test_codes])
    distortion = np.abs(again.astype(float) - ds.test.images).mean()
    rates.append(rate)
    distortions.append(distortion)
    print(f"{K:3} codes: {rate:5.1f} bits per picture, {distortion:.2f} levels off per pixel")

# %%
shown = {K: to_pictures(codebooks[K][nearest_entry(test_patches[:8], codebooks[K])]) for K in (2, 8, 32)}
caption = "Left: more codes cost more bits and lose less. Right: test digits, and what 2, 8 and 32 codes keep of them."
show(lesson_23.rate_and_distortion(sizes, rates, distortions, ds.test.images[:8], shown), "23_rate", caption)

# %% [markdown]
# Look at the first line of the table. A codebook with one entry costs nothing, since there is nothing to say, and all
# pictures become the same picture. So a small number of bits for codes does not make a model good. Nor can it be
# compared with the bits per picture of [lesson 04](04_train_sample_look.py), which pay for every pixel exactly. Only
# models over the *same* codes can be compared. We take 32 codes from here on, and turn all digits into grids of
# codes.

# %%
K = 32
codebook = codebooks[K]
codes = {}
for name, split in (("train", ds.train), ("validation", ds.validation), ("test", ds.test)):
    codes[name] = nearest_entry(to_patches(split.images), codebook)[..., None]  # (N, 4, 4, 1): a picture of 32 levels
print("the codes of the first digit:")
print(codes["train"][0, :, :, 0])
caption = "Each entry with its code below it; a digit, its codes, and the digit that the codes give back."
digit = ds.train.images[0]
digit_codes = codes["train"][0, :, :, 0]
show(
    lesson_23.codebook(codebook, digit, digit_codes, to_pictures(codebook[digit_codes][None])[0]),
    "23_codebook",
    caption,
)

# %% [markdown]
# ## A code is a name
#
# The grids have the form of pictures, (N, 4, 4, 1) with 32 levels, so every model of minipixel takes them. But there
# is a trap. By default a model reads a level as brightness, as one number between -1 and 1: the option is called
# `inputs="scaled"`. That is right for grey levels, because level 8 really lies between 7 and 9. For codes it is
# wrong. A code is a name, as the number of a bus line is: line 8 does not run between the lines 7 and 9.
#
# A name is read by looking it up. An **embedding** of codes is a table with a row of numbers for each code, which are
# learnt like all other weights: `inputs="embedding"`. The other common way is **one-hot** (lesson 10): Q numbers, of
# which the one in the place of the code is 1 and all others are 0. A one-hot row times a matrix picks a row of the
# matrix. So both ways are look-ups: the first layer of a one-hot model contains its table. We check this for the
# codes of a digit.

# %%
table = np.random.default_rng(0).normal(size=(K, 5))
one_hot = np.eye(K)[digit_codes]
assert np.array_equal(one_hot @ table, table[digit_codes])

# %% [markdown]
# ## Renaming, exactly
#
# What does it mean that a model knows no order of the codes? We can say it exactly. Suppose that all codes are given
# other names. Then there are weights with which the model gives every renamed grid the probability that the grid had
# before. For a model with an embedding these weights are easy to write down: we reorder the rows of its table, and
# the outputs of its last layer, of which there is one for each code.
#
# Grids of 2 x 2 codes with 3 names are few enough for a complete check: there are $3^4 = 81$ of them. We try it for a
# model with an embedding and for a model that reads scaled numbers, where only the outputs can be reordered.

# %%
every_grid = np.array(list(product(range(3), repeat=4))).reshape(81, 2, 2, 1)
new_name = np.array([2, 0, 1])  # code 0 is now called 2, code 1 is called 0, code 2 is called 1
old_name = new_name.argsort()  # the other way round: old_name[new_name[k]] is k
reordered = {"encoding.table": 1, "top.layers.2.weight": 1, "top.layers.2.bias": 0}  # the axis that counts the codes


def renamed(inputs):
    """A model of 2 x 2 grids, and its copy in which all that belongs to a code has moved to the new name."""
    options = {"hidden": 6, "blocks": 1, "inputs": inputs, "dtype": "float64", "rng": SEED}
    model = mp.models.PixelCNN((2, 2, 1), 3, **options)
    copy = mp.models.PixelCNN((2, 2, 1), 3, **options)
    weights = model.state_dict()
    for name, axis in reordered.items():
        if name in weights:
            weights[name] = np.take(weights[name], old_name, axis=axis)
    copy.load_state_dict(weights)
    return model, copy


# %%
largest_difference = {}
for inputs in ("embedding", "scaled"):
    model, copy = renamed(inputs)
    before = model.log_prob(every_grid)
    after = copy.log_prob(new_name[every_grid])
    largest_difference[inputs] = np.abs(before - after).max()
    print(f"inputs={inputs!r}: the 81 probabilities sum to {np.exp(before).sum():.12f};", end=" ")
    print(f"renaming changes ln p by up to {largest_difference[inputs]:.1e}")

# %% [markdown]
# With an embedding, names are only names. The scaled model has nothing on its input side that could be reordered: a
# code enters as one number, and what it adds to a feature of the first layer is a straight line in that number. Its
# probabilities sum to 1 as well. But it depends on the order of the codes, and with other names it is another model.
#
# ## Three readers of the same grids
#
# Does it matter in practice? A model over codes is called a **prior**. We train three of them with the same network.
# Each is trained until it no longer gets better on the validation grids:
#
# - *scaled, ordered*: codes are read as brightness, and they are sorted by the ink in their patches. Here their order
#   means something, which is the kindest case for this reader.
# - *scaled, shuffled*: the same with shuffled names. A codebook that a network has learnt has no order either.
# - *embedding, shuffled*: the same shuffled names, looked up.

# %%
shuffled_name = np.random.default_rng(SEED).permutation(K)
shuffled = {name: shuffled_name[grids] for name, grids in codes.items()}


def train_prior(inputs, grids):
    """A PixelCNN over grids of codes, with the weights of its best epoch."""
    prior = mp.models.PixelCNN((4, 4, 1), K, hidden=24, blocks=2, inputs=inputs, rng=SEED)
    stopping = mp.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
    options = {"epochs": EPOCHS, "batch_size": 32, "optimizer": mp.optim.Adam(2e-3), "rng": SEED}
    mp.fit(prior, grids["train"], validation=grids["validation"], callbacks=stopping, progress=False, **options)
    return prior


priors = {
    "scaled, ordered": train_prior("scaled", codes),
    "scaled, shuffled": train_prior("scaled", shuffled),
    "embedding, shuffled": train_prior("embedding", shuffled),
}

# %% [markdown]
# We compare all three with the cost from above: independent codes, each as frequent as in the training pictures.

# %%
counts = np.bincount(codes["train"].ravel(), minlength=K) + 1
frequencies = counts / counts.sum()
costs = {"independent codes": -np.log2(frequencies[codes["test"]]).sum(axis=(1, 2, 3)).mean()}
for name, prior in priors.items():
    grids = codes if name == "scaled, ordered" else shuffled
    costs[name] = -prior.log_prob(grids["test"]).mean() / np.log(2)
for name, cost in costs.items():
    print(f"{name:20} {cost:5.1f} bits per grid of new pictures")
caption = "Shorter is better. Reading codes as quantities costs bits, and more so if their order means nothing."
show(lesson_23.costs(costs), "23_costs", caption)

# %% [markdown]
# The grids and the network are the same; the only difference is how the input is read. The next figure shows what the
# first layer makes of each code, for four of its features, at the tap that looks at the left neighbour. With the
# scaled reader each of them is a straight line. With the embedding a code can have any value.

# %%
left_tap = (3, 2)  # row and column in the 7 x 7 kernel: the middle row, one column left of the middle
levels = np.linspace(-1, 1, K)
by_line = levels[:, None] * priors["scaled, ordered"].state_dict()["stem.weight"][left_tap]
embedding_weights = priors["embedding, shuffled"].state_dict()
rows = embedding_weights["encoding.table"][0]
by_table = rows @ embedding_weights["stem.weight"][left_tap]
by_table = by_table[shuffled_name]  # in the order of ink again, so that both can be compared
caption = "What a code to the left adds to four features. Scaled: straight lines. Embedding: any value for any code."
show(lesson_23.first_layer(by_line[:, :4], by_table[:, :4]), "23_first_layer", caption)

# %% [markdown]
# ## From codes to pictures
#
# Now we draw new grids from the best prior. The names are shuffled back, each code is looked up in the codebook, and
# the patches are put together. For comparison we show grids whose 16 codes are drawn independently: they use the same
# codebook, but no model of which patches go together.

# %%
drawn = priors["embedding, shuffled"].sample(20, rng=SEED)
ordered = shuffled_name.argsort()[drawn]
by_prior = to_pictures(codebook[ordered[..., 0]])
at_random = np.random.default_rng(SEED).choice(K, size=(10, 4, 4), p=frequencies)
by_chance = to_pictures(codebook[at_random])
through_codes = to_pictures(codebook[codes["test"][:10, :, :, 0]])
shown = {"real": ds.test.images[:10], "through codes": through_codes, "by chance": by_chance, "by the prior": by_prior}
caption = "All rows but the first are made of the same 32 patches. By chance they give no digits, by the prior they do."
show(lesson_23.rows_of_pictures(shown, ds.levels), "23_drawn", caption)

# %% [markdown]
# This is how large pictures are made by models of this family: an encoder turns a picture into a grid of codes, a
# prior models the grids, and a decoder turns a grid into a picture. The prior need not be a PixelCNN. In DALL-E it is
# a transformer, which reads the words of a caption and then the codes of the grid as one sequence.
# [history.md](history.md) has the story. All of them rest on the chain rule of [lesson
# 01](01_an_image_is_a_sequence.py), with codes in the place of pixels.
#
# ## What you should see

# %%
assert rates[0] == 0 and sizes[0] == 1  # one code says nothing, and costs nothing
assert all(np.diff(rates) > 0)
assert all(np.diff(distortions) < 0)
assert largest_difference["embedding"] < 1e-12
assert largest_difference["scaled"] > 1e-3
for prior in priors.values():
    mp.assert_causal(prior)
assert costs["independent codes"] > costs["scaled, ordered"]
if not QUICK:
    assert costs["scaled, shuffled"] > costs["scaled, ordered"] + 1
    assert costs["scaled, ordered"] > costs["embedding, shuffled"] + 1
    assert costs["embedding, shuffled"] < 0.6 * costs["independent codes"]

# %% [markdown]
# ## Exercises
#
# Solutions: [solutions/23_codes.py](solutions/23_codes.py).
#
# 1. *easy* How many different pictures can 32 codes in a grid of 4 x 4 make, and how many pictures of 8 x 8 pixels
#    and 17 levels are there? Which share of the test pictures has the same grid as some training picture?
# 2. *easy* Show that a one-hot model is an embedding model whose table is the identity matrix, by copying weights.
# 3. *medium* Tell the prior the class of each digit (`num_classes=10`), and draw each class from its codes.
# 4. *medium* Complete pictures in the space of codes: take the upper half of the codes of a test digit, and let the
#    prior complete the lower half. Is that nearer to the real digit than codes by chance?
# 5. *hard* Make a model of *pixels* from a prior: $p(x) = p(c(x)) \; p(x \mid c(x))$, where $c(x)$ are the codes of
#    the picture $x$, and $p(x \mid c)$ is a table of counts for each code and each pixel of a patch. How many
#    bits/dim is that? The table also gives probability to patches whose code is another one. Why is it a fair score
#    all the same?
