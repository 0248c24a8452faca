# %% [markdown]
# # Solutions of lesson 12: colour
#
# The emoji and the entropies of single pixels, as in the lesson.

# %%
import numpy as np

import minipixel as mp

ds = mp.datasets.load("emoji")
C = 3
train = mp.datasets.quantize(ds.train.images, ds.levels, 4)
red = train[..., 0].astype(int)
green = train[..., 1].astype(int)
blue = train[..., 2].astype(int)


# %%
def entropy(*values):
    """Bits of some values together, from their counts; each an array of integers, one for each pixel."""
    combination = np.zeros(values[0].size, int)
    for value in values:
        combination = combination * 1000 + np.ravel(value) - value.min()
    counts = np.unique(combination, return_counts=True)[1]
    p = counts / counts.sum()
    return -(p * np.log2(p)).sum()


# %%
def shares(first, second, third):
    """What three values cost in turn, each when the earlier ones are known."""
    one = entropy(first)
    two = entropy(first, second)
    three = entropy(first, second, third)
    return np.array([one, two - one, three - two])


def within(model):
    """Which colours of a pixel are predicted from which of its own colours: boolean (3, 3)."""
    H, W, C = model.image_shape
    middle = (H // 2 * W + W // 2) * C
    reads = mp.causality.dependencies(model, outputs=range(middle, middle + C))
    return reads[:, middle : middle + C]


# %% [markdown]
# ## Exercise 1
#
# What the colours cost alone does not change. In turn all three change: blue has to be predicted without any help, and
# red gets all of it. The sum does not change. Whichever comes first is the dearest, here.

# %%
forwards = shares(red, green, blue)
backwards = shares(blue, green, red)
print("red, green, blue: ", forwards.round(3), f"sum {forwards.sum():.3f}")
print("blue, green, red: ", backwards.round(3), f"sum {backwards.sum():.3f}")
assert np.isclose(forwards.sum(), backwards.sum())
assert not np.isclose(forwards, backwards[::-1]).any()
assert forwards.argmax() == 0
assert backwards.argmax() == 0

# %% [markdown]
# ## Exercise 2
#
# They are equal: the chain rule is no approximation. One softmax of eight values costs the entropy of the eight counts,
# three softmaxes of two values in turn cost the same, as long as the later ones know the earlier colours.

# %%
two_levels = mp.datasets.quantize(ds.train.images, ds.levels, 2).astype(int)
in_three = shares(two_levels[..., 0], two_levels[..., 1], two_levels[..., 2])
of_eight = two_levels @ np.array([4, 2, 1])
print(f"three factors: {in_three.sum():.6f} bits; one of eight values: {entropy(of_eight):.6f} bits")
assert np.isclose(in_three.sum(), entropy(of_eight))

# %% [markdown]
# ## Exercise 3
#
# Red's prediction now reads red, and green's reads green. After a little training on coin flips the model has learnt to
# copy these two, so the eight probabilities sum to about 4: each is about 1/2, which is the guess for blue alone.
# Blue's own value was never let in, and nobody can copy it.

# %%
every_image = np.indices((2,) * 3).reshape(3, 8).T.reshape(8, 1, 1, C)
sums = {}
for name in ("masked", "unmasked"):
    model = mp.models.PixelCNN((1, 1, C), 2, hidden=6, blocks=1, dtype="float64")
    if name == "unmasked":
        channels = np.zeros(12, int)
        model.top.layers[0] = mp.nn.Pointwise(channels, channels, model.init)
    mp.fit(model, every_image, epochs=200, batch_size=8, optimizer=mp.optim.Adam(1e-2), progress=False)
    sums[name] = np.exp(model.log_prob(every_image)).sum()
    print(f"one 1x1 layer {name:8} the eight probabilities sum to {sums[name]:.6f}")
assert np.isclose(sums["masked"], 1, rtol=0, atol=1e-9)
assert 3 < sums["unmasked"] < 4.1

# %% [markdown]
# ## Exercise 4
#
# It is still causal: shutting more than one has to is always safe. One might think that blue now knows nothing of its
# own pixel. But the later layers let blue's features read those of green, and these have read red in the first layer.
# So in the end blue knows red, by a detour, and not green: no feature that blue may read has seen green.

# %%
model = mp.models.PixelCNN((3, 3, C), 4, hidden=6, blocks=2)
image = np.array([0, 1, 2])
features = mp.nn.colour_groups(model.features, C)
features = np.where(features == 2, 0, features)
model.stem = mp.nn.Conv2d(image, features, (7, 7), "A", model.init)
reads = within(model)
print(reads.astype(int))
assert np.array_equal(reads, [[0, 0, 0], [1, 0, 0], [1, 0, 0]])
assert mp.check_causality(model).ok

# %% [markdown]
# ## Exercise 5
#
# The trick is to halve differences with integers, in steps each of which can be undone (this is the YCoCg-R transform
# of image compression; `>> 1` halves and rounds down).


# %%
def to_brightness(red, green, blue):
    """A brightness and two differences, from which red, green and blue can be computed again."""
    orange = red - blue
    middle = blue + (orange >> 1)
    leaf = green - middle
    brightness = middle + (leaf >> 1)
    return brightness, orange, leaf


def to_colours(brightness, orange, leaf):
    """The way back."""
    middle = brightness - (leaf >> 1)
    green = leaf + middle
    blue = middle - (orange >> 1)
    red = blue + orange
    return red, green, blue


# %%
alone_before = {}
alone_after = {}
for Q in (4, 256):
    images = mp.datasets.quantize(ds.train.images, ds.levels, Q).astype(int)
    colours = (images[..., 0], images[..., 1], images[..., 2])
    triple = to_brightness(*colours)
    assert np.array_equal(to_colours(*triple), colours)
    assert np.isclose(entropy(*colours), entropy(*triple))
    alone_before[Q] = np.array([entropy(value) for value in colours])
    alone_after[Q] = np.array([entropy(value) for value in triple])
    print(f"{Q} levels; red, green, blue alone {alone_before[Q].round(2)} bits, sum {alone_before[Q].sum():.3f}")
    print(f"   brightness and differences alone {alone_after[Q].round(2)} bits, sum {alone_after[Q].sum():.3f}")
    print(f"   all three together: {entropy(*colours):.3f} bits before, {entropy(*triple):.3f} after")

# %% [markdown]
# On emoji the second difference, of green from the mean of the others, is cheaper than green is. The first one, of red
# from blue, is dear: many emoji are yellow, where red and blue are far apart. At 256 levels the three values cost a
# little less on their own than the colours do; at 4 levels they even cost more. On photographs, where most colours are
# close to grey, one usually gains more. In any case all three *together* cost the same as before: each colour has
# become exactly one triple, with the same probability. So a model in turn has nothing to gain in principle, though its
# task may be easier to learn.
#
# And bits/dim stay fair if one divides by the number of sub-pixels of the *original* image. Here this is the same
# number, three per pixel. Because whole numbers become whole numbers, one to one, no further correction is needed. (At
# 4 levels the differences have 7, from -3 to 3. A model that gives some probability to triples which are no colour
# wastes it: its bits are a little too many, never too few.)

# %%
assert alone_after[4][2] < alone_before[4][1]
assert alone_after[4].sum() > alone_before[4].sum()
assert alone_after[256].sum() < alone_before[256].sum()
assert [len(np.unique(value)) for value in to_brightness(red, green, blue)] == [4, 7, 7]
