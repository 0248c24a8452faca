# %% [markdown]
# # Solutions of lesson 12: colour
#
# The lesson is [12 Colour](../12_colour.py). Each solution begins with its exercise. First come the emoji with four
# levels per colour, and three functions: the entropy of values, what three values cost in turn, and which colours of a
# pixel are predicted from which.

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
    combination = np.zeros(values[0].size, int)  # for each pixel a number that names its combination
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
# > Take blue first, then green, then red. Which numbers of the lesson's first table change, and which do not?
#
# What each colour costs alone does not change. What they cost in turn changes for all three: now blue is predicted
# without any help, and red with the help of both others. The sum does not change. In both orders the colour that comes
# first costs most.

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
# > With 2 levels a pixel has one of eight values. Compare what the three colours cost in turn with the entropy of these
# > eight values.
#
# They are equal, since the chain rule is exact: nothing is lost if each colour knows the earlier ones.

# %%
two_levels = mp.datasets.quantize(ds.train.images, ds.levels, 2).astype(int)
in_three = shares(two_levels[..., 0], two_levels[..., 1], two_levels[..., 2])
of_eight = two_levels @ np.array([4, 2, 1])
print(f"three factors: {in_three.sum():.6f} bits; one of eight values: {entropy(of_eight):.6f} bits")
assert np.isclose(in_three.sum(), entropy(of_eight))

# %% [markdown]
# ## Exercise 3
#
# > Train a model with one unmasked 1x1 layer on all eight binary images of shape (1, 1, 3). What do the probabilities
# > of the eight images sum to, and why?
#
# They sum to about 4. Red is now predicted from red, and green from green, so the model learns to copy these two. Blue
# cannot be copied, since mask A of the first layer does not let it in. The model can only guess it, and is right half
# of the time. So each of the eight images gets a probability of about 1/2.

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
# > Give the features of the first layer the groups 0 1 0 0 1 0 ... in place of 0 1 2 0 1 2 ..., so that the features of
# > blue read nothing of their own pixel there. Is the model still causal? From which colours of its own pixel is blue
# > predicted in the end?
#
# It is still causal: a mask that shuts more than it must is always safe. One might think that blue is now predicted
# from no colour of its own pixel. But in the later layers the features of blue read those of green, and these have read
# red in the first layer. So in the end blue is predicted from red. It is not predicted from green, since no feature of
# the first layer has read green.

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
# > Turn red, green and blue into a brightness and two differences, in integers and so that nothing is lost. Which
# > entropies become smaller? What do you have to do to keep bits/dim fair?
#
# To take means in integers one has to halve, and halving loses what is rounded off. So we go in steps, each of which
# can be undone. This is the YCoCg-R transform of image compression: Co is called `red_less_blue` here, and Cg is called
# `green_less_middle`. `>> 1` halves and rounds down.


# %%
def to_brightness(red, green, blue):
    """A brightness and two differences, from which red, green and blue can be computed again."""
    red_less_blue = red - blue
    middle = blue + (red_less_blue >> 1)
    green_less_middle = green - middle
    brightness = middle + (green_less_middle >> 1)
    return brightness, red_less_blue, green_less_middle


def to_colours(brightness, red_less_blue, green_less_middle):
    """The way back."""
    middle = brightness - (green_less_middle >> 1)
    green = green_less_middle + middle
    blue = middle - (red_less_blue >> 1)
    red = blue + red_less_blue
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
# On emoji the second difference, of green from the mean of red and blue, costs less than green. The first difference,
# of red from blue, costs much: many emoji are yellow, and there red and blue are far apart. At 256 levels the three new
# values cost a little less alone than the three colours do. At 4 levels they cost more. On photographs, where most
# colours are close to grey, one usually gains more. In any case all three *together* cost the same as before, since
# each colour has become exactly one triple, with the same probability. So in principle a model that predicts in turn
# gains nothing, though its task may be easier to learn.
#
# Bits/dim stay fair if one divides by the number of sub-pixels of the *original* image. Here this is the same number,
# three per pixel. Integers become integers, one to one, so no further correction is needed. (With 4 levels a difference
# has 7 levels, from -3 to 3. Many triples then stand for no colour. A model that gives these some probability has less
# for the others, and so it needs a few bits too many, never too few.)

# %%
assert alone_after[4][2] < alone_before[4][1]
assert alone_after[4].sum() > alone_before[4].sum()
assert alone_after[256].sum() < alone_before[256].sum()
assert [len(np.unique(value)) for value in to_brightness(red, green, blue)] == [4, 7, 7]
