# %% [markdown]
# # 04 Train, sample, look
#
# - *You will* train PixelCNNs of the library, read their curves, draw at several temperatures, and see where a model
#   is sure, and what it cannot know.
# - *Reads* `minipixel/training/fit.py`, `minipixel/heads/categorical.py`; van den Oord et al. 2016,
#   [arXiv:1601.06759](https://arxiv.org/abs/1601.06759), table 1 and section 3.3.
# - *Before* [lesson 03](03_pixelcnn_in_60_lines.py), which builds this model by hand.
# - *Takes* about a minute and a half to run, and 20 minutes to read.
#
# A trained model is a large pile of numbers. It prints a loss, and the loss says that it is good, or bad. But what does
# it know? Where is it sure, and where does it guess? This lesson trains models in three lines each, and then asks them.

# %%
import os
import tempfile

import numpy as np
from drawings import lesson_04
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # training may begin elsewhere: what is said holds for others, too
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 2 if QUICK else 18

ds = mp.datasets.load("digits")
train = ds.train.images
test = ds.test.images
H, W, C = ds.image_shape
Q = ds.levels

# %% [markdown]
# The model is that of lesson 03. `summary` lists its layers, the weights that each one stores, and how many of them its
# mask leaves open. (`Pointwise` is what we called `linear`: a convolution of a single tap.)

# %%
model = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
print(model.summary())

# %% [markdown]
# ## First in black and white
#
# We begin with an easier task. Each level below the middle becomes 0, each one above becomes 1. With two levels, two
# logits per pixel are one too many: only their difference counts. So a binary model has a single logit $\ell$ per
# pixel, and the probability of a 1 is the **sigmoid** of it:
#
# $$p(x_t = 1 \mid x_{<t}) = \frac{1}{1 + e^{-\ell}}.$$
#
# The library chooses this by itself when a model has two levels. The test images are drawn above, the samples below.

# %%
binary_train = mp.datasets.binarize(train, Q, "threshold")
binary_test = mp.datasets.binarize(test, Q, "threshold")
binary = mp.models.PixelCNN((H, W, C), 2, hidden=16, blocks=4, rng=SEED)
mp.fit(binary, binary_train, epochs=EPOCHS, rng=SEED)
binary_bits = binary.bits_per_dim(binary_test)
print(f"binary digits: {binary_bits:.3f} bits/dim; a fair coin costs 1")
show(
    mp.plots.sample_grid(binary_test, binary.sample(20, rng=SEED), 2),
    "04_binary",
    "Real digits in black and white, and twenty samples of the binary model.",
)

# %% [markdown]
# ## Now all 17 levels
#
# The data set has a third part: the 143 **validation images**. The model does not learn from them. They are looked at
# after every epoch, and tell whether the model still gets better at images that are new to it. Why not use the test
# images for that? Whoever stops training when the test images look best has chosen the model by the test images, and
# can no longer say how good it is on images that had no say. So the test images wait until the end.

# %%
history = mp.fit(model, train, validation=ds.validation.images, epochs=EPOCHS, rng=SEED)
bits = model.bits_per_dim(test)
print(f"PixelCNN: {bits:.3f} bits/dim on the test images")
tables = {"table: position": 2.409, "table: position, left and above": 2.135}  # from lesson 01, the same test images
show(
    lesson_04.curves(history, tables),
    "04_curves",
    "Bits/dim after each epoch. While both curves fall, the model learns what holds for new images, too. "
    "Dotted: the tables of lesson 01.",
)

# %% [markdown]
# At first both curves fall together. (The training curve begins higher, since each of its points is a mean over an
# epoch, during which the model was still learning; the validation curve is measured at the end of the epoch.) What the
# model learns there holds for all digits. Later the training curve goes on falling, while the validation curve
# flattens. The model begins to learn the training images by heart: it is the overfitting of lesson 01 again. Where the
# validation curve begins to rise, training should stop.
#
# ## One pixel is drawn
#
# Let us watch a single draw. `predict` gives the logits of all pixels, (H, W, N, Q). The loop below is that of lesson
# 03, with the library's model. On the way it keeps what one pixel of one image looked like when its turn came.

# %%
chosen = 2  # the image we watch, and in it the pixel in row 4, column 5
uniforms = np.random.default_rng(SEED).random((8, H, W, C))
images = np.zeros((8, H, W, C), np.uint8)
for r, c in np.ndindex(H, W):
    logits = model.predict(images)[r, c].astype(float)  # (N, Q)
    p = mp.ops.softmax(logits)
    ends = p.cumsum(axis=-1)
    images[:, r, c, 0] = (ends[:, :-1] <= uniforms[:, r, c]).sum(axis=-1)
    if (r, c) == (4, 5):
        p_of_pixel = p[chosen]
        level = images[chosen, r, c, 0]

show(
    lesson_04.one_draw(images[chosen, :, :, 0], (4, 5), p_of_pixel, uniforms[chosen, 4, 5, 0], level),
    "04_one_pixel",
    "Left: what is known when the orange pixel is drawn. Middle: the probability of each level. Right: the same, laid "
    "end to end; the line is the uniform number, and it falls on the orange level.",
)

# %% [markdown]
# The bars on the right climb from 0 to 1; together they are the **cumulative distribution function** (CDF) of this
# pixel. A likely level has a long bar, and the uniform number falls on it often.
#
# One call does all of this for any number of images.

# %%
generated = model.sample(20, rng=SEED)
same = (generated[:8] == images).all(axis=(1, 2, 3))
print("images that the loop and the library draw alike:", same.sum(), "of", len(same))
show(
    mp.plots.sample_grid(test, generated, Q),
    "04_samples",
    "Real digits above, samples of the model with 17 levels below.",
)

# %% [markdown]
# ## Temperature
#
# We may divide all logits by a number T before the softmax. It is called the **temperature**. Below 1 it makes likely
# levels more likely still, and the model draws what it expects. Above 1 it evens them out. The uniform numbers are the
# same in each row of the figure.

# %%
temperatures = (0.5, 1.0, 1.5)
tempered = [model.sample(20, rng=SEED, temperature=T) for T in temperatures]
costs = [model.bits_per_dim(images) for images in tempered]
for T, cost in zip(temperatures, costs, strict=True):
    print(f"temperature {T}: what it draws costs the model {cost:.2f} bits/dim; real digits cost it {bits:.2f}")
show(
    lesson_04.by_temperature(temperatures, tempered, Q),
    "04_temperature",
    "The same uniform numbers at three temperatures. Look for clean strokes at 0.5, and for noise at 1.5.",
)

# %% [markdown]
# At temperature 1 the samples surprise the model about as much as real digits do. That is as it should be: it means
# that what it draws is as varied as what it has seen. At 0.5 it draws only what it finds easy. Such samples look neat,
# but they are too much alike. A low temperature flatters a model.
#
# ## Where it is sure
#
# The loss is a sum over pixels, so we can ask for each summand. `log_prob_map` gives $\ln p(x_t \mid x_{<t})$ for every
# pixel of real images. In bits, it says what each pixel has cost.

# %%
bits_of_pixels = -model.log_prob_map(test)[..., 0] / np.log(2)  # (N, H, W)
print("bits per pixel in each column, the mean over all test images:")
print(np.round(bits_of_pixels.mean(axis=(0, 1)), 2))
show(
    lesson_04.costs(test[:8, :, :, 0], bits_of_pixels[:8], Q),
    "04_bits",
    "Eight test digits, and below each what its pixels cost. Bright pixels surprised the model.",
)

# %% [markdown]
# The left margin is nearly free: it is blank in almost all digits, and the model knows. The strokes are expensive.
# Where does a stroke begin, where does it turn, how dark is it? That is where a writer is free, and nobody can predict
# it. Even a perfect model would have to pay here.
#
# ## What a softmax does not know
#
# Level 8 lies between 7 and 9. To us that is obvious, to a softmax it is not. For it, a level is a mere name, and the Q
# logits stand in no order. Here is a test. Give the levels other names, by a random permutation, and move the logits
# along. The probabilities do not change.

# %%
new_name = np.random.default_rng(1).permutation(Q)  # level q is now called new_name[q]
logits = model.predict(test[:100])  # (H, W, N, Q)
levels = test[:100].transpose(1, 2, 0, 3)  # (H, W, N, C)
renamed_logits = np.empty_like(logits)
renamed_logits[..., new_name] = logits
log_p = model.head.log_prob(logits, levels)
log_p_renamed = model.head.log_prob(renamed_logits, new_name[levels])
print("the largest change of a log-probability:", np.abs(log_p - log_p_renamed).max())

# %% [markdown]
# So the model must learn from examples that 8 is a neighbour of 7 and of 9, and it must learn it for each level anew.
# What if a level has no examples? We train a second model, and in its training images every 8 becomes a 7 or a 9, by
# the toss of a coin. Then we show both models test images, and look at the pixels that are an 8.

# %%
seven_or_nine = np.random.default_rng(2).choice([7, 9], train.shape)
train_without_8 = np.where(train == 8, seven_or_nine, train).astype(np.uint8)
without_8 = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
mp.fit(without_8, train_without_8, epochs=EPOCHS // 3 + 1, rng=SEED)

is_8 = levels[..., 0] == 8  # (H, W, N)
p_with = mp.ops.softmax(logits.astype(float))[is_8]  # of every such pixel: (pixels, Q)
p_without = mp.ops.softmax(without_8.predict(test[:100]).astype(float))[is_8]
print("mean probability of 7, 8 and 9 where the pixel is an 8")
print("  trained with all levels:", np.round(p_with.mean(axis=0)[7:10], 4))
print("  trained without level 8:", np.round(p_without.mean(axis=0)[7:10], 4))
show(
    lesson_04.levels({"all levels trained": p_with.mean(axis=0), "trained without 8": p_without.mean(axis=0)}, 8),
    "04_names",
    "The mean probability of each level, at pixels whose true level is 8 (orange). Right: the gap at 8.",
)

# %% [markdown]
# The second model thinks that 7 and 9 are likely, and that 8 never happens. Each level has weights of its own in the
# last layer, and none of them lifts its neighbours. With 17 levels this does little harm. With 256 levels and few
# images it matters, and [lesson 16](16_logistic_mixtures.py) puts a smooth curve in the place of the softmax, which
# knows that 8 lies between 7 and 9.
#
# ## Keep it
#
# A model goes into one file, weights and configuration together. What comes back draws the same images.

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/digits.safetensors")
    again = mp.load(f"{folder}/digits.safetensors")
print(again)

# %% [markdown]
# ## What you should see

# %%
mp.assert_causal(model)
assert history.epochs == EPOCHS
assert bits < tables["table: position"]
assert same.mean() > 0.8  # rounding in the last digit may turn a pixel, and with it what follows
assert costs[0] < costs[1] < costs[2]
assert bits_of_pixels[:, :, 0].mean() < 0.2  # the left margin
assert bits_of_pixels[:, :, 3].mean() > 2  # the middle
assert np.allclose(log_p, log_p_renamed, atol=1e-4)
p_7, p_8, p_9 = p_without.mean(axis=0)[7:10]
assert p_8 < min(p_7, p_9)
assert np.array_equal(again.sample(20, rng=SEED), generated)
assert again.bits_per_dim(test) == bits
if not QUICK:
    assert bits < 1.95  # the better table of lesson 01 needs 2.135
    assert binary_bits < 0.5
    assert history.history["bits_per_dim"][-1] < history.history["val_bits_per_dim"][-1]  # overfitting begins
    assert p_8 < min(p_7, p_9) / 50
    assert abs(costs[1] - bits) < 0.15

# %% [markdown]
# ## Exercises
#
# 1. *easy* Sample at temperature 0.01 with two values of `rng`. Why are the images alike? Why are they dull?
# 2. *easy* Measure the binary model on digits that are turned upside down. What do the bits/dim say?
# 3. *medium* Train with `blocks=1`, then with `blocks=10`. What changes in the receptive field of the last pixel, and
#    what in the bits/dim? (Row t of the matrix `mp.causality.dependencies(model)` says which pixels the pixel at place
#    t reads.)
# 4. *medium* Which digit is the most expensive? Average the bits per image over each class of the test images.
# 5. *medium* Train on the first 200 training images only, for 40 epochs, with the validation images watched. Where
#    should training have stopped? (`mp.callbacks.EarlyStopping` does it.)
# 6. *hard* Take level 8 away in the lower half of the training images only. What does the upper half teach the lower?
#
# Solutions: [solutions/04_train_sample_look.py](solutions/04_train_sample_look.py).
