# %% [markdown]
# # Solutions of lesson 23, codes
#
# The lesson is [23 Codes](../23_codes.py). Each solution begins with its exercise. The first cells repeat what they
# need from the lesson.

# %%
import os

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
EPOCHS = 2 if QUICK else 60

ds = mp.datasets.load("digits")
K = 32


# %%
def to_patches(images):
    """Pictures cut into patches of 2 x 2 pixels: (N, 8, 8, 1) -> (N, 4, 4, 4)."""
    pairs = images.reshape(len(images), 4, 2, 4, 2)
    return pairs.transpose(0, 1, 3, 2, 4).reshape(len(images), 4, 4, 4).astype(float)


def to_pictures(patches):
    """Patches put together again: (N, 4, 4, 4) -> levels (N, 8, 8, 1)."""
    pairs = patches.reshape(len(patches), 4, 4, 2, 2)
    return np.rint(pairs.transpose(0, 1, 3, 2, 4).reshape(len(patches), 8, 8, 1)).astype(np.uint8)


def nearest_entry(patches, codebook):
    """The number of the nearest entry for each patch: (..., 4), (K, 4) -> integers (...)."""
    return ((patches[..., None, :] - codebook) ** 2).sum(axis=-1).argmin(axis=-1)


# %%
every_patch = to_patches(ds.train.images).reshape(-1, 4)
different = np.unique(every_patch, axis=0)
codebook = different[np.random.default_rng(0).choice(len(different), K, replace=False)]
for _ in range(15):
    nearest = nearest_entry(every_patch, codebook)
    for k in range(K):
        if (nearest == k).any():
            codebook[k] = every_patch[nearest == k].mean(axis=0)

codes = {}
for name, split in (("train", ds.train), ("validation", ds.validation), ("test", ds.test)):
    codes[name] = nearest_entry(to_patches(split.images), codebook)[..., None]


# %%
def train_prior(condition=None, validation=None, **options):
    """A PixelCNN over grids of codes, with the weights of its best epoch."""
    prior = mp.models.PixelCNN((4, 4, 1), K, hidden=24, blocks=2, inputs="embedding", rng=SEED, **options)
    stopping = mp.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
    watched = codes["validation"] if validation is None else (codes["validation"], validation)
    recipe = {"epochs": EPOCHS, "batch_size": 32, "optimizer": mp.optim.Adam(2e-3), "rng": SEED}
    mp.fit(prior, codes["train"], condition, validation=watched, callbacks=stopping, progress=False, **recipe)
    return prior


# %% [markdown]
# ## Exercise 1
# > How many different pictures can 32 codes in a grid of 4 x 4 make, and how many pictures of 8 x 8 pixels and 17
# > levels are there? Which share of the test pictures has the same grid as some training picture?
#
# There are $32^{16} = 2^{80}$ grids, about $10^{24}$, and $17^{64}$ pictures, about $10^{79}$. So there are far fewer
# grids than pictures. Even so, only one of the 359 test pictures has the very grid of a training picture: a prior
# cannot get along by remembering grids.

# %%
grids = K**16
pictures = 17**64
print(f"{grids:.1e} grids, {pictures:.1e} pictures")
seen = {grid.tobytes() for grid in codes["train"]}
share = np.mean([grid.tobytes() in seen for grid in codes["test"]])
print(f"{share:.1%} of the test grids are those of training pictures")
assert grids == 2**80
assert share < 0.02

# %% [markdown]
# ## Exercise 2
# > Show that a one-hot model is an embedding model whose table is the identity matrix, by copying weights.
#
# An embedding of width Q with the identity matrix as its table turns code q into the row q of the identity, which is
# the one-hot row. All other weights have the same shapes and are copied.

# %%
options = {"hidden": 8, "blocks": 1, "dtype": "float64"}
one_hot = mp.models.PixelCNN((4, 4, 1), K, inputs="one_hot", rng=1, **options)
embedding = mp.models.PixelCNN((4, 4, 1), K, inputs="embedding", embedding_width=K, rng=2, **options)
embedding.load_state_dict(one_hot.state_dict() | {"encoding.table": np.eye(K)[None]})
difference = np.abs(one_hot.log_prob(codes["test"]) - embedding.log_prob(codes["test"])).max()
print(f"largest difference in ln p: {difference:.1e}")
assert difference < 1e-10

# %% [markdown]
# ## Exercise 3
# > Tell the prior the class of each digit (`num_classes=10`), and draw each class from its codes.
#
# The class is a condition, as in lesson 10. The prior is told the class; the codebook knows nothing of it. The figure
# has a row of ten drawn digits for each class. By the rule of Bayes the prior can also read: the class under which a
# grid is likeliest is its guess.

# %%
by_class = train_prior(ds.train.labels, ds.validation.labels, num_classes=10)
asked = np.repeat(np.arange(10), 10)
drawn = by_class.sample(100, asked, rng=SEED)
figure = mp.plots.image_grid(to_pictures(codebook[drawn[..., 0]]), ds.levels, title="a row for each class, 0 to 9")
N = len(ds.test.images)
log_p = np.stack([by_class.log_prob(codes["test"], np.full(N, label)) for label in range(10)])
accuracy = (log_p.argmax(axis=0) == ds.test.labels).mean()
print(f"read from its codes by Bayes: {accuracy:.1%} of the test digits")
assert accuracy > (0.2 if QUICK else 0.85)

# %% [markdown]
# ## Exercise 4
# > Complete pictures in the space of codes: take the upper half of the codes of a test digit, and let the prior
# > complete the lower half. Is that nearer to the real digit than codes by chance?
#
# `complete` takes grids, and a map that says which of the codes are known. The upper two rows of codes stay as they
# are. We compare with a completion by chance: codes drawn independently, as frequent as in lower halves of training
# digits.

# %%
prior = train_prior()
known = np.zeros((4, 4), bool)
known[:2] = True
completed = prior.complete(codes["test"], known, rng=SEED)
assert np.array_equal(completed[:, :2], codes["test"][:, :2])
pool = codes["train"][:, 2:].ravel()
by_chance = codes["test"].copy()
by_chance[:, 2:] = np.random.default_rng(SEED).choice(pool, size=by_chance[:, 2:].shape)
errors = {}
for name, grids in (("by the prior", completed), ("by chance", by_chance)):
    pictures = to_pictures(codebook[grids[..., 0]]).astype(float)
    errors[name] = np.abs(pictures - ds.test.images)[:, 4:].mean()
    print(f"lower halves {name:12}: {errors[name]:.2f} levels off per pixel")
assert errors["by the prior"] < errors["by chance"]

# %% [markdown]
# ## Exercise 5
# > Make a model of *pixels* from a prior: $p(x) = p(c(x)) \; p(x \mid c(x))$, where $c(x)$ are the codes of the
# > picture $x$, and $p(x \mid c)$ is a table of counts for each code and each pixel of a patch. How many bits/dim is
# > that? The table also gives probability to patches whose code is another one. Why is it a fair score all the same?
#
# A picture determines its codes. So its probability is that of its codes, times that of its pixels when its codes are
# known. The second factor is here a table with a row of 17 counts for each code and each of the 4 pixels of a patch.
#
# The product sums to less than 1 over all pictures. For each grid of codes, the table shares out one unit of
# probability among all patches, and a part of it goes to patches that belong to other codes. No picture uses this
# part, so it is wasted. A score would be unfair if a model claimed more probability than 1 in all. This one claims
# less, so its bits/dim are an upper bound: if the wasted part were shared out among the patches of the right code,
# every picture would cost fewer bits. We check the sum by adding up all $17^4$ patches of a single code.

# %%
train_pixels = to_patches(ds.train.images).astype(int)
test_pixels = to_patches(ds.test.images).astype(int)
pixel = np.arange(4)
counts = np.full((K, 4, 17), 0.1)
np.add.at(counts, (codes["train"], pixel, train_pixels), 1)
table = counts / counts.sum(axis=2, keepdims=True)

of_codes = -prior.log_prob(codes["test"]) / np.log(2)
of_pixels = -np.log2(table[codes["test"], pixel, test_pixels]).sum(axis=(1, 2, 3))
bits = (of_codes + of_pixels).mean()
print(f"{of_codes.mean():.1f} bits for the codes + {of_pixels.mean():.1f} for the pixels = {bits / 64:.3f} bits/dim")
assert bits / 64 < (2.5 if QUICK else 2.3)  # a histogram of levels needs 2.971: lesson 01

# %%
levels = np.indices((17, 17, 17, 17)).reshape(4, -1).T
own = nearest_entry(levels.astype(float), codebook)
some_code = 5
probability = table[some_code, pixel, levels].prod(axis=1)
used = probability[own == some_code].sum()
print(f"code {some_code}: all patches together {probability.sum():.6f}, those that have this code {used:.3f}")
assert np.isclose(probability.sum(), 1)
assert 0 < used < 1
