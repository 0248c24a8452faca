# %% [markdown]
# # 10 Conditions: tell the model what to draw
#
# - *You will* give a PixelCNN a label, draw the digit that you ask for, and read digits with a model that draws them.
# - *Reads* `minipixel/models/conditions.py`, `minipixel/nn/conditioning.py`; van den Oord et al. 2016,
#   arXiv:1606.05328, section 2.3.
# - *Before* [lesson 01](01_an_image_is_a_sequence.py) for the chain rule, [lesson 03](03_pixelcnn_in_60_lines.py) for
#   PixelCNN, [lesson 04](04_train_sample_look.py) for training.
# - *Takes* about half a minute to run on two cores, and 30 minutes to read.
#
# The models so far draw whatever they like. Somebody who wants a seven has to draw until one comes. How can we tell a
# model what to draw? And what does a model know that has been told: is its likelihood still one that we may compare
# with that of others?

# %%
import os

import numpy as np
from drawings import lesson_10
from scipy.special import logsumexp, softmax
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: the text holds for others, too
EPOCHS = 1 if QUICK else 8

ds = mp.datasets.load("digits")
N, H, W, C = ds.test.images.shape
Q = ds.levels
digits = np.arange(10)

# %% [markdown]
# ## One more thing on the right of the bar
#
# So far a model was a distribution $p(x)$ over images. Now somebody tells it something beforehand. We call it $h$, the
# **condition**: "this will be a seven", for example. The chain rule holds under any condition:
#
# $$ p(x \mid h) = \prod_t p(x_t \mid x_1, \dots, x_{t-1}, h). $$
#
# So $h$ joins the past of *every* pixel, of the first one, too. No mask has to keep it away from anyone. And for each
# $h$ the probabilities of all images sum to 1.
#
# ## V h is a bias
#
# How does $h$ get into the network? Each residual block adds a term $V h$ to what its mask B has seen, before the
# rectifier. $V$ is a matrix of weights, one in each block. The term is the same at all pixels.

# %%
show(lesson_10.block(), "10_block", "A residual block with a condition: one more term in a sum (rectifiers left out).")

# %% [markdown]
# Let $h$ be a class, one of ten. As numbers we write it as a row of ten with a single 1, at the place of the class:
# this is called **one-hot**. A matrix times such a row picks one row of weights. That is all: *each class has a bias of
# its own*. We check it on the layer of the library. Five images have 24 features per pixel, and five labels.

# %%
layer = mp.nn.Conditioning(10, 24, mp.nn.Init(9, "float64"))
labels = np.array([3, 1, 4, 1, 5])
features = np.random.default_rng(9).normal(size=(H, W, 5, 24))  # (H, W, N, K)
one_hot = np.eye(10)[labels]
print(one_hot.astype(int))

h = one_hot[None, None]  # (1, 1, N, 10): the same at all pixels
bias_of_the_class = layer.weight.data[labels]  # (N, K)
told = layer(mp.Tensor(features), h).data
print("adding V h is adding the bias of the class:", np.array_equal(told, features + bias_of_the_class))

# %% [markdown]
# So a model with ten classes is ten plain models which share all weights, except for some biases. We can even take the
# model for sevens out of it: copy the shared weights into a plain PixelCNN, and add the row of class 7 to the biases of
# the layers in front of it. (In the library the layer that adds $V h$ has the name `told`.)

# %%
size = {"hidden": 24, "blocks": 3, "rng": SEED}
plain = mp.models.PixelCNN((H, W, C), Q, **size)
model = mp.models.PixelCNN((H, W, C), Q, num_classes=10, **size)

seven = mp.models.PixelCNN((H, W, C), Q, **size)
shared = {name: weight for name, weight in model.state_dict().items() if "told" not in name}
seven.load_state_dict(shared)
for block, conditional in zip(seven.blocks, model.blocks, strict=True):
    block.look.bias.data = conditional.look.bias.data + conditional.told.weight.data[7]

some = ds.test.images[:20]
difference = abs(seven.log_prob(some) - model.log_prob(some, np.full(20, 7))).max()
print(f"largest difference in log p: {difference:.1e} nats")

# %% [markdown]
# The two agree up to rounding. The conditional model has few weights more than the plain one, and it is as causal: the
# check finds no leak, since a condition is no pixel.

# %%
extra = model.num_parameters - plain.num_parameters
print(f"{plain.num_parameters:,} weights, and {extra} more for the classes")
report = mp.check_causality(model)
print(report)

# %% [markdown]
# ## What a label is worth
#
# We train both on the same digits, in the same way. Only one of them is told the labels. This is a single run of each,
# so small differences are luck.

# %%
recipe = {"epochs": EPOCHS, "batch_size": 16, "rng": SEED, "progress": False}
mp.fit(plain, ds.train.images, optimizer=mp.optim.Adam(3e-3), **recipe)
mp.fit(model, ds.train.images, ds.train.labels, optimizer=mp.optim.Adam(3e-3), **recipe)

# %% [markdown]
# How many bits does a test digit cost now? There are three answers, and they answer different questions.
#
# 1. The plain model gives $p(x)$.
# 2. The conditional model, told the true label $c$, gives $p(x \mid c)$. This is no figure to compare with the first
#    one: the model has been given a part of the answer.
# 3. The conditional model, *not* told the label. It does not know the class, and all ten are about equally common. So
#    we take the mean over the classes. This is a $p(x)$ again, at ten times the work:
#
# $$ p(x) = \frac{1}{10} \sum_{c=0}^{9} p(x \mid c). $$
#
# The probabilities of images are so small that a computer would round them to 0. So we keep their logarithms.
# `logsumexp` computes the logarithm of a sum from the logarithms of its terms. And `model.bits` turns nats per image
# into bits/dim: it divides by the number of sub-pixels and by $\ln 2$.

# %%
log_p_given = np.empty((N, 10))  # log p(x | c): a row for each image, a column for each class
for c in digits:
    log_p_given[:, c] = model.log_prob(ds.test.images, np.full(N, c))
true_label = log_p_given[np.arange(N), ds.test.labels]
label_unknown = logsumexp(log_p_given, axis=1) - np.log(10)

bits = {
    "plain": plain.bits_per_dim(ds.test.images),
    "conditional, told the label": model.bits(-true_label.mean()),
    "conditional, label unknown": model.bits(-label_unknown.mean()),
}
for name, cost in bits.items():
    print(f"{name:30} {cost:.3f} bits/dim")

# %% [markdown]
# At full length the third figure is smaller than the first: knowing that there are ten kinds of digits has helped even
# where the kind is not told.
#
# The difference between the second and the third figure is what the label is worth. It has a limit. One of the ten
# terms of the mean is that of the true class, and none is negative, so
#
# $$ p(x) \ge \tfrac{1}{10}\, p(x \mid c), \qquad \text{hence} \qquad
# \log_2 p(x \mid c) - \log_2 p(x) \le \log_2 10 = 3.32. $$
#
# A label cannot save more bits than it takes to say it: one of ten costs 3.32 bits.

# %%
worth = (true_label - label_unknown) / np.log(2)
print(f"the label is worth {worth.mean():.2f} bits per image; the limit is {np.log2(10):.2f}")

# %% [markdown]
# ## Draw what is asked for
#
# Sampling takes the labels as a condition, one for each image. We ask for the digits 0 to 9, five times.

# %%
asked = np.tile(digits, 5)
drawn = model.sample(50, asked, rng=SEED)
first_of_each = [np.flatnonzero(ds.test.labels == c)[0] for c in digits]
real = ds.test.images[first_of_each]
caption = "Each column was asked for one digit, 0 to 9. Look down a column: one digit, in several hands."
show(mp.plots.sample_grid(real, drawn, Q, title="Asked for 0, 1, 2 ... 9"), "10_classes", caption)

# %% [markdown]
# ## The model as a reader
#
# A model that draws digits when it is told a class can also *read* them. **Bayes' rule** turns a conditional
# probability round:
#
# $$ p(c \mid x) = \frac{p(x \mid c)\, p(c)}{\sum_{c'} p(x \mid c')\, p(c')}. $$
#
# $p(c)$ is called the **prior**: what one believes of the class before seeing the picture. $p(c \mid x)$ is the
# **posterior**: what one believes after seeing it. Here the prior is one tenth for each class, and drops out. What
# remains is the softmax of the ten values $\log p(x \mid c)$. The best guess is the class under which the picture costs
# the fewest bits.

# %%
posterior = softmax(log_p_given, axis=1)
guess = log_p_given.argmax(axis=1)
accuracy = (guess == ds.test.labels).mean()
print(f"{accuracy:.1%} of {N} test digits are read rightly")

# %% [markdown]
# Nobody trained a classifier. How sure is the model of its guesses, where it is right and where it is wrong? And some
# of the digits that were misread:

# %%
sure = posterior.max(axis=1)  # the probability of the best guess
right = guess == ds.test.labels
print(f"probability of the guess: {sure.mean():.1%} on average; {accuracy:.1%} are right")
print(f"half of the right guesses leave less than {1 - np.median(sure[right]):.6f} to all other classes")
print(f"half of the wrong guesses leave less than {1 - np.median(sure[~right]):.6f} to all other classes")
second = np.argsort(posterior, axis=1)[:, -2]
second_is_true = (second[~right] == ds.test.labels[~right]).mean()
print(f"in {second_is_true:.0%} of the wrong ones the second guess is right")

six = np.flatnonzero(~right)[:6]
figure = lesson_10.misread(ds.test.images[six], ds.test.labels[six], guess[six], posterior[six])
show(figure, "10_misread", "Dark: the class on the label. In most of these the model is in two minds.")

# %% [markdown]
# Where the model is right it is nearly always quite sure: the probabilities of a whole image under two classes differ
# by many bits, and the softmax of large differences is close to 0 or 1. Where it errs it is mostly in two minds, and
# more often than not its second guess is right. A few errors are made with great certainty, and on average the model is
# a little surer than it should be.
#
# ## Not only classes
#
# A condition may be any numbers. There are three kinds in the library:
#
# - `num_classes=10`: a label for each image, as above;
# - `condition_shape=(K,)`: a **vector** of K numbers for each image. [Lesson 11](11_embeddings.py) is about such
#   vectors;
# - `condition_shape=(H, W, K)`: a **map** with K numbers for each pixel. $V h$ then differs from pixel to pixel.
#
# ## Told too much
#
# With a map one can tell a model a great deal. We go to the extreme: the map is the very image that is to be predicted.
# Surely that is a leak? We try it on images of 2x3 pixels, of which there are 64. All of them are equally likely: they
# are coin flips, and no honest model of $p(x)$ gets below 1 bit per pixel ([lesson 02](02_masks_a_and_b.py)).

# %%
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
copyist = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, condition_shape=(2, 3, 1), rng=SEED, dtype="float64")
mp.fit(copyist, every_image, every_image, epochs=30, batch_size=16, rng=SEED, progress=False)
copied_bits = copyist.bits_per_dim(every_image, every_image)
copyist_report = mp.check_causality(copyist)
print(f"coin flips at {copied_bits:.3f} bits/dim")
print(copyist_report)

# %% [markdown]
# Less than 0.2 bits per pixel for coin flips, and the check says that the model is causal. Is the check wrong? We
# enumerate: for each of 64 conditions, the probabilities of all 64 images.

# %%
images = np.tile(every_image, (64, 1, 1, 1))  # all images, once for each condition
conditions = np.repeat(every_image, 64, axis=0)
p = np.exp(copyist.log_prob(images, conditions)).reshape(64, 64)  # p(x | h): a row for each h, a column for each x
sum_for_each_h = p.sum(axis=1)
sum_of_copies = p.diagonal().sum()
print(f"sum over x of p(x | h): {sum_for_each_h.min():.9f} to {sum_for_each_h.max():.9f}")
print(f"sum over x of p(x | h = x): {sum_of_copies:.1f}")

# %% [markdown]
# The check is right. For each *fixed* condition the probabilities sum to 1: this is a good model of $p(x \mid h)$. It
# draws, to no surprise, the image that it is told. But the numbers $p(x \mid h = x)$, a different condition for each
# image, are not a distribution over images: they sum to about 60. So the bits that a conditional model needs are *what
# is left to say once $h$ is known*. They are no bits of $p(x)$, and whoever reports them has to say what was given.
#
# ## What you should see

# %%
assert np.array_equal(told, features + bias_of_the_class)
assert difference < 1e-3
assert extra == 3 * 10 * 24  # three blocks with a V of 10 x 24
assert report.ok
assert copyist_report.ok
assert (worth <= np.log2(10) + 1e-6).all()
assert accuracy > 2 / 10
assert np.allclose(posterior.sum(axis=1), 1)
assert np.allclose(sum_for_each_h, 1, rtol=0, atol=1e-12)
assert sum_of_copies > 40
assert copied_bits < 0.2
if not QUICK:
    assert bits["conditional, told the label"] < bits["conditional, label unknown"] < bits["plain"] < 1.95
    assert accuracy > 0.9
    assert worth.mean() > 2.5
    assert np.median(sure[right]) > 0.999 > 0.9 > np.median(sure[~right])
    assert second_is_true > 0.5
    assert accuracy < sure.mean() < accuracy + 0.05

# %% [markdown]
# ## Exercises
# 1. *easy* Complete the upper halves of some digits under other labels, with `model.complete(images, known, labels)`.
#    What does the model do with a 7 that should become a 3?
# 2. *easy* Tell the model half a three and half an eight. (Labels cannot be halved. Give a model with
#    `condition_shape=(10,)` the same weights.) Which of the two does it draw, or neither?
# 3. *medium* Take V h out of all blocks but the last. What becomes of the digits that are read rightly?
# 4. *medium* Tell the model the mean of every 2x2 block of pixels, as a map. How many bits/dim are left, and of what?
# 5. *hard* Take a tiny model with two classes, whose 64 images can be enumerated. Show that the mean over its classes
#    is a distribution, and that a label is worth on average the *mutual information* of picture and class: what
#    knowing one of them saves when saying the other.
