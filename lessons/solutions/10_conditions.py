# %% [markdown]
# # Solutions of lesson 10: conditions
#
# The lesson is [10 Conditions](../10_conditions.py). Each solution begins with its exercise. First come a function that
# trains a model and one that reads digits with it, and the lesson's conditional model of the digits.

# %%
import os

import numpy as np
from scipy.special import logsumexp

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 1 if QUICK else 8
SIZE = {"hidden": 24, "blocks": 3, "rng": 0}

ds = mp.datasets.load("digits")
Q = ds.levels


# %%
def trained(model, condition, images=ds.train.images):
    """The model, trained as in the lesson."""
    optimizer = mp.optim.Adam(3e-3)
    mp.fit(model, images, condition, epochs=EPOCHS, batch_size=16, optimizer=optimizer, rng=0, progress=False)
    return model


def share_read_rightly(model):
    """How many of the test digits are read rightly by Bayes' rule."""
    N = len(ds.test.images)
    log_p = [model.log_prob(ds.test.images, np.full(N, c)) for c in range(10)]
    guess = np.argmax(log_p, axis=0)
    return (guess == ds.test.labels).mean()


model = trained(mp.models.PixelCNN(ds.image_shape, Q, num_classes=10, **SIZE), ds.train.labels)

# %% [markdown]
# ## Exercise 1
#
# > Keep the upper halves of some digits and let the model draw the lower halves, under the true label and under another
# > one. What does the model do with a 7 that should become a 3?
#
# The upper half stays as it is, whatever the label says, since the model draws only what is unknown. For the lower half
# its past contradicts its label. Where the lower half of a 3 can follow the upper half of a 7, the model may draw one.
# Otherwise the picture is neither a 7 nor a 3. To see what has come out, we read each completed picture as in the
# lesson: which label makes it cheapest?

# %%
sevens = ds.test.images[ds.test.labels == 7][:20]
known = np.zeros((8, 8), bool)
known[:4] = True
completed = {c: model.complete(sevens, known, np.full(20, c), rng=0) for c in (7, 3)}
for c, images in completed.items():
    log_p = [model.log_prob(images, np.full(20, label)) for label in range(10)]
    read_as = np.argmax(log_p, axis=0)
    print(f"sevens completed as {c}: read as", *read_as)
assert np.array_equal(completed[3][:, :4], sevens[:, :4])
assert (completed[3] != completed[7]).any()

# %% [markdown]
# ## Exercise 2
#
# > Tell the model half a three and half an eight, as a row of ten numbers. Does it draw threes, eights, or neither?
#
# With one-hot rows as vectors the model gives the same likelihoods as with labels. Half a three and half an eight is a
# row with two entries of 0.5, and $V h$ is then the mean of two biases. No such row occurred in training, so the result
# is not certain beforehand. Mostly the model draws digits that could be either, and some that are neither. It is *not*
# a model that draws threes half of the time and eights the other half. That would be the mean of two distributions, and
# this is a mean of biases. The last lines compare both.

# %%
vector_model = mp.models.PixelCNN(ds.image_shape, Q, condition_shape=(10,), **SIZE)
vector_model.load_state_dict(model.state_dict())
twenty = ds.test.images[:20]
one_hot = np.eye(10)[ds.test.labels[:20]]
difference = abs(vector_model.log_prob(twenty, one_hot) - model.log_prob(twenty, ds.test.labels[:20])).max()
print(f"labels and one-hot vectors differ by {difference:.1e} nats")
assert difference < 1e-3

halves = np.zeros(10)
halves[3] = 0.5
halves[8] = 0.5
drawn = vector_model.sample(30, np.tile(halves, (30, 1)), rng=0)
log_p = [model.log_prob(drawn, np.full(30, label)) for label in range(10)]
print("read as", *np.argmax(log_p, axis=0))
three = model.log_prob(twenty, np.full(20, 3))
eight = model.log_prob(twenty, np.full(20, 8))
mean_of_both = np.logaddexp(three, eight) - np.log(2)
halved = vector_model.log_prob(twenty, np.tile(halves, (20, 1)))
print(f"log p with mean biases less log of the mean p: {np.round(halved - mean_of_both, 1)[:8]} nats")
assert abs(halved - mean_of_both).max() > 0.1

# %% [markdown]
# ## Exercise 3
#
# > Take $V h$ out of all blocks but the last. How many digits are read rightly after training?
#
# Fewer than with $V h$ in every block, yet far more than by chance. The term in the last block is still added to
# features that hold all that the blocks before have seen. But only 1x1 layers come after it, so there is little room to
# combine the label with these features.


# %%
def without_condition(x, condition):
    return x


late = mp.models.PixelCNN(ds.image_shape, Q, num_classes=10, **SIZE)
for block in late.blocks[:-1]:
    block.told = without_condition
trained(late, ds.train.labels)
everywhere = share_read_rightly(model)
in_the_last = share_read_rightly(late)
print(f"read rightly: V h in every block {everywhere:.1%}, in the last block {in_the_last:.1%}")
assert mp.check_causality(late).ok
assert in_the_last > 0.2
if not QUICK:
    assert 0.5 < in_the_last < everywhere

# %% [markdown]
# ## Exercise 4
#
# > Tell the model the mean of every 2x2 block of pixels, as a map. How many bits/dim are left? Are they bits of $p(x)$?
#
# Much less is left, since the means say roughly how bright each pixel is. They are a small picture, $h$. What is left
# is $-\log_2 p(x \mid h)$, the bits of the large picture *once the small one is known*. They are not bits of $p(x)$.
# But here $h$ is computed from $x$, so $p(x) = p(h)\, p(x \mid h)$. The bits of the small picture have to be added, and
# a second model would give these.
#
# (The sum would be a little too large. The enlarger does not know that the blocks of its picture *must* have the means
# that it was told, and gives some probability to pictures with other means. [Lesson 15](../15_several_scales.py) does
# it properly.)


# %%
def means_of_blocks(images):
    """The mean of each block of 2x2 pixels at all four: (N, 8, 8, 1) -> (N, 8, 8, 1), between -1 and 1."""
    blocks = images.reshape(-1, 4, 2, 4, 2, 1).mean(axis=(2, 4))
    large = blocks.repeat(2, axis=1).repeat(2, axis=2)
    return large / (Q - 1) * 2 - 1


plain = trained(mp.models.PixelCNN(ds.image_shape, Q, **SIZE), None)
enlarger = mp.models.PixelCNN(ds.image_shape, Q, condition_shape=(8, 8, 1), **SIZE)
trained(enlarger, means_of_blocks(ds.train.images))
left = enlarger.bits_per_dim(ds.test.images, means_of_blocks(ds.test.images))
whole = plain.bits_per_dim(ds.test.images)
print(f"{whole:.3f} bits/dim without a condition, {left:.3f} once the small picture is known")
assert left < whole

# %% [markdown]
# ## Exercise 5
#
# > Take a tiny model with two classes, whose 64 images can be enumerated. Show that the mean over its classes is a
# > distribution, and that a label is worth on average the *mutual information* of picture and class: the number of bits
# > by which the class becomes less uncertain once the picture is known.
#
# We make two kinds of pictures. In the first kind pixels are mostly 0, in the second mostly 1. Both classes are equally
# common. After some training we compute $\log p(x \mid c)$ for all 64 images and both classes.

# %%
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
rng = np.random.default_rng(0)
kinds = rng.integers(2, size=1000)
share_of_ones = np.where(kinds == 0, 0.2, 0.8)
pictures = (rng.random((1000, 2, 3, 1)) < share_of_ones[:, None, None, None]).astype(np.uint8)
tiny = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=1, num_classes=2, dtype="float64")
mp.fit(tiny, pictures, kinds, epochs=5, batch_size=16, optimizer=mp.optim.Adam(1e-2), progress=False)
log_p_given = np.stack([tiny.log_prob(every_image, np.full(64, c)) for c in (0, 1)], axis=1)  # log p(x | c): (64, 2)
log_p = logsumexp(log_p_given, axis=1) - np.log(2)  # log p(x): (64,)
print(f"the mean over the classes sums to {np.exp(log_p).sum():.12f}")
assert np.isclose(np.exp(log_p).sum(), 1, rtol=0, atol=1e-12)

# %% [markdown]
# What a label is worth is the mean of $\log_2 p(x \mid c) - \log_2 p(x)$ over pictures and classes, each pair counted
# with its probability $p(x, c)$. How uncertain the class is we measure by its entropy: the mean of minus the logarithm
# of its probability. Without the picture this is 1 bit. With the picture it is the mean of $-\log_2 p(c \mid x)$. Both
# ways lead to the same number.

# %%
joint = np.exp(log_p_given) / 2  # p(x, c)
worth = (joint * (log_p_given - log_p[:, None])).sum() / np.log(2)
posterior = joint / joint.sum(axis=1, keepdims=True)
uncertainty_left = -(joint * np.log2(posterior)).sum()
print(f"a label is worth {worth:.4f} bits; 1 bit less the uncertainty left: {1 - uncertainty_left:.4f}")
assert np.isclose(worth, 1 - uncertainty_left)
assert 0.2 < worth < 1
