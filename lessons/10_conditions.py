# %% [markdown]
# # 10 Conditions: tell the model what to draw
#
# - *You will* give a PixelCNN a label, draw the digit that you ask for, and read digits with a model that draws them.
# - *Reads* `minipixel/models/conditions.py`, `minipixel/nn/conditioning.py`; van den Oord et al. 2016,
#   arXiv:1606.05328, section 2.3.
# - *Before* [lesson 01](01_an_image_is_a_sequence.py) for the chain rule, [lesson 03](03_pixelcnn_in_60_lines.py) for
#   PixelCNN, [lesson 04](04_train_sample_look.py) for training.
# - *Takes* about half a minute to run on two cores, and 20 minutes to read.
#
# Nobody can choose what the models so far draw. Whoever wants a seven has to draw until one comes. How can we tell a
# model what to draw? And may we compare the likelihood of a model that has been told something with the likelihood of
# one that has not?

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
# ## A condition belongs to the past
#
# So far a model was a distribution $p(x)$ over images. Now it is told something before the first pixel, for example
# "this will be a seven". We call this $h$, the **condition**. The chain rule holds under any condition:
#
# $$ p(x \mid h) = \prod_t p(x_t \mid x_1, \dots, x_{t-1}, h). $$
#
# So $h$ belongs to the past of *every* pixel, even of the first one, and no mask has to hide it. For each $h$ the
# probabilities of all images sum to 1.
#
# ## V h is a bias
#
# How does $h$ get into the network? Each residual block adds a term $V h$ to the output of its 3x3 layer, before the
# next rectifier. $V$ is a matrix of weights, and each block has its own. The term is the same at all pixels. (In the
# paper, which is about Gated PixelCNN, such a term is added before the tanh and before the sigmoid of each gate.)

# %%
show(lesson_10.block(), "10_block", "A residual block with a condition: one more term in a sum (rectifiers left out).")

# %% [markdown]
# Let $h$ be a class, one of ten. We write it as a row of ten numbers with a single 1, at the place of the class. This
# is called **one-hot**. The product of such a row and the weights is one row of the weights, the one that belongs to
# the class. So *each class has a bias of its own*. We check this with the layer of the library, for five images with 24
# features per pixel. The library keeps $V$ as an array of 10 rows and 24 columns.

# %%
layer = mp.nn.Conditioning(10, 24, mp.nn.Init(9, "float64"))
labels = np.array([3, 1, 4, 1, 5])
features = np.random.default_rng(9).normal(size=(H, W, 5, 24))  # (H, W, N, K)
one_hot = np.eye(10)[labels]
print(one_hot.astype(int))

h = one_hot[None, None]  # (1, 1, N, 10): the same at all pixels
bias_of_the_class = layer.weight.data[labels]  # (N, K)
conditioned = layer(mp.Tensor(features), h).data
print("adding V h is adding the bias of the class:", np.array_equal(conditioned, features + bias_of_the_class))

# %% [markdown]
# So a model with ten classes is ten plain models that share all weights, except for some biases. We can even take the
# model for sevens out of it. We copy the shared weights into a plain PixelCNN, and add the row of class 7 to the bias
# of the 3x3 layer of each block. (In the library this layer has the name `look`, and the layer that adds $V h$ has the
# name `told`.)

# %%
size = {"hidden": 24, "blocks": 3, "rng": SEED}
plain = mp.models.PixelCNN((H, W, C), Q, **size)
model = mp.models.PixelCNN((H, W, C), Q, num_classes=10, **size)

seven = mp.models.PixelCNN((H, W, C), Q, **size)
shared = {name: weight for name, weight in model.state_dict().items() if "told" not in name}
seven.load_state_dict(shared)
for block, conditional in zip(seven.blocks, model.blocks, strict=True):
    block.look.bias.data = conditional.look.bias.data + conditional.told.weight.data[7]

twenty = ds.test.images[:20]
difference = abs(seven.log_prob(twenty) - model.log_prob(twenty, np.full(20, 7))).max()
print(f"largest difference in log p: {difference:.1e} nats")

# %% [markdown]
# The two agree up to rounding. The conditional model has only a few more weights than the plain one. It is causal, too:
# a condition is not a pixel, so it can be no leak. (The blind pairs in the report are pixels of the past that so small
# a PixelCNN does not see, as in [lesson 09](09_the_blind_spot_and_two_stacks.py).)

# %%
extra = model.num_parameters - plain.num_parameters
print(f"{plain.num_parameters:,} weights, and {extra} more for the classes")
report = mp.check_causality(model)
print(report)

# %% [markdown]
# ## What a label is worth
#
# We train both models on the same digits, in the same way. Only one of them is told the labels. This is a single run of
# each, so small differences between their figures may be luck.

# %%
recipe = {"epochs": EPOCHS, "batch_size": 16, "rng": SEED, "progress": False}
mp.fit(plain, ds.train.images, optimizer=mp.optim.Adam(3e-3), **recipe)
mp.fit(model, ds.train.images, ds.train.labels, optimizer=mp.optim.Adam(3e-3), **recipe)

# %% [markdown]
# How many bits does a test digit cost now? There are three answers, and they answer different questions.
#
# 1. The plain model gives $p(x)$.
# 2. The conditional model, told the true label $c$, gives $p(x \mid c)$. This must not be compared with the first
#    figure, since the model has been given a part of the answer.
# 3. The conditional model, *not* told the label, gives $p(x)$ again, at ten times the work. All ten classes are about
#    equally common, so we take the mean over them:
#
# $$ p(x) = \frac{1}{10} \sum_{c=0}^{9} p(x \mid c). $$
#
# The probability of an image can be so small that a computer rounds it to 0. So we keep its logarithm. `logsumexp`
# computes the logarithm of a sum from the logarithms of its terms. And `model.bits` turns nats per image into bits/dim:
# it divides by the number of sub-pixels and by $\ln 2$.

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
# At full length the third figure is smaller than the first. In training the labels have told the model that there are
# ten kinds of digits, and this helps even where the kind is not told.
#
# The difference between the second and the third figure is what the label is worth. It has a limit. One of the ten
# terms of the sum is that of the true class, and none is negative, so
#
# $$ p(x) \ge \tfrac{1}{10}\, p(x \mid c), \qquad \text{hence} \qquad
# \log_2 p(x \mid c) - \log_2 p(x) \le \log_2 10 = 3.32. $$
#
# So a label cannot save more bits than it takes to name it, and to name one of ten classes takes 3.32 bits.

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
caption = "Look down a column: all its digits were drawn for the same label. Most can be read, and not all."
show(mp.plots.sample_grid(real, drawn, Q, title="Asked for 0, 1, 2 ... 9"), "10_classes", caption)

# %% [markdown]
# ## The model as a reader
#
# A model that draws digits when it is told a class can also *read* them. **Bayes' rule** computes the probability of a
# class, given the picture, from the probabilities of the picture, given each class:
#
# $$ p(c \mid x) = \frac{p(x \mid c)\, p(c)}{\sum_{c'} p(x \mid c')\, p(c')}. $$
#
# $p(c)$ is called the **prior**: what one believes of the class before seeing the picture. $p(c \mid x)$ is the
# **posterior**: what one believes after seeing it. Here the prior is one tenth for each class, so it cancels. What
# remains is the softmax of the ten values $\log p(x \mid c)$. The best guess is the class under which the picture costs
# the fewest bits.

# %%
posterior = softmax(log_p_given, axis=1)
guess = log_p_given.argmax(axis=1)
accuracy = (guess == ds.test.labels).mean()
print(f"{accuracy:.1%} of {N} test digits are read rightly")

# %% [markdown]
# We did not train it to classify. How sure is the model of its guesses, where it is right and where it is wrong? We
# look at the probability that it gives to its guess, and at some of the digits that it reads wrongly.

# %%
sure = posterior.max(axis=1)  # the probability of the best guess
right = guess == ds.test.labels
print(f"mean probability of the guess: {sure.mean():.1%}; {accuracy:.1%} are right")
print(f"median probability of the guess: where it is right {np.median(sure[right]):.6f}, "
      f"where it is wrong {np.median(sure[~right]):.3f}")  # fmt: skip
second = np.argsort(posterior, axis=1)[:, -2]
second_is_true = (second[~right] == ds.test.labels[~right]).mean()
print(f"second guess right, where the first is wrong: {second_is_true:.0%}")

wrong = np.flatnonzero(~right)[:6]
figure = lesson_10.misread(ds.test.images[wrong], ds.test.labels[wrong], guess[wrong], posterior[wrong])
show(figure, "10_misread", "Digits that are read wrongly. The dark bar is the true class, the highest one the guess.")

# %% [markdown]
# Where the model is right, it is nearly always sure: the probabilities of a whole image under two classes differ by
# many bits, and the softmax of large differences is close to 0 or 1. Where it is wrong, it usually gives a good part of
# the probability to other classes, and in most cases its second guess is right. But it is sure of a few of its
# mistakes, and on average it is a little surer than it should be.
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
# ## A model that is told the answer
#
# With a map one can tell a model a great deal. As an extreme case, the map is the very image that is to be predicted.
# Is that a leak? We try it on images of 2x3 pixels, of which there are 64. All of them are equally likely, like the
# coin flips of [lesson 02](02_masks_a_and_b.py), and no causal model of $p(x)$ gets below 1 bit per pixel.

# %%
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
copyist = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, condition_shape=(2, 3, 1), rng=SEED, dtype="float64")
mp.fit(copyist, every_image, every_image, epochs=30, batch_size=16, rng=SEED, progress=False)
copied_bits = copyist.bits_per_dim(every_image, every_image)
copyist_report = mp.check_causality(copyist)
print(f"coin flips at {copied_bits:.3f} bits/dim")
print(copyist_report)

# %% [markdown]
# The model needs less than 0.2 bits per pixel for coin flips, and the check says that it is causal. Is the check wrong?
# We enumerate the probabilities of all 64 images, for each of the 64 conditions.

# %%
images = np.tile(every_image, (64, 1, 1, 1))  # all images, once for each condition
conditions = np.repeat(every_image, 64, axis=0)
p = np.exp(copyist.log_prob(images, conditions)).reshape(64, 64)  # p(x | h): a row for each h, a column for each x
sum_for_each_h = p.sum(axis=1)
sum_of_copies = p.diagonal().sum()
print(f"sum over x of p(x | h): {sum_for_each_h.min():.9f} to {sum_for_each_h.max():.9f}")
print(f"sum over x of p(x | h = x): {sum_of_copies:.1f}")

# %% [markdown]
# The check is right. For each *fixed* condition the probabilities sum to 1: this is a good model of $p(x \mid h)$,
# which draws the image that it is told. But the numbers $p(x \mid h = x)$ take a different condition for each image.
# They are not a distribution over images, and they sum to about 60. So the bits that a conditional model needs are
# *what is left to say once $h$ is known*. They are not bits of $p(x)$. Whoever reports them has to say which $h$ was
# given.
#
# ## What you should see

# %%
assert np.array_equal(conditioned, features + bias_of_the_class)
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
# 1. *easy* Keep the upper halves of some digits and let the model draw the lower halves, under the true label and under
#    another one: `model.complete(images, known, labels)`, where `known` is True at the pixels to keep. What does the
#    model do with a 7 that should become a 3?
# 2. *easy* Tell the model half a three and half an eight. (A label cannot be halved, but a row of ten numbers can. Give
#    a model with `condition_shape=(10,)` the same weights.) Does it draw threes, eights, or neither?
# 3. *medium* Take $V h$ out of all blocks but the last: replace the `told` of the other blocks by a function that
#    returns its first argument. How many digits are read rightly after training?
# 4. *medium* Tell the model the mean of every 2x2 block of pixels, as a map. How many bits/dim are left? Are they bits
#    of $p(x)$?
# 5. *hard* Take a tiny model with two classes, whose 64 images can be enumerated. Show that the mean over its classes
#    is a distribution, and that a label is worth on average the *mutual information* of picture and class: the number
#    of bits by which the class becomes less uncertain once the picture is known.
#
# Solutions: [solutions/10_conditions.py](solutions/10_conditions.py).
