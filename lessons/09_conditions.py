# %% [markdown]
# # 09 Conditions: tell the model what to draw
#
# - *You will* give a PixelCNN a label, draw the digit you ask for, read labels by Bayes, and ask for bold or slanted.
# - *Reads* `minipixel/models/conditions.py`, `nn/conditioning.py`; van den Oord et al. 2016, arXiv:1606.05328, 2.3.
# - *Before* lesson 07 for the model, lesson 01 for the chain rule.
# - *Takes* about 40 seconds on two cores; most of it trains three small models.
#
# ## One more thing on the right of the bar
# So far a model was `p(x)`. Now somebody tells it something beforehand: h, for example "this will be a seven". The
# chain rule holds under any h: `p(x | h) = prod_t p(x_t | x_<t, h)`. So h joins the past of *every* pixel, even of the
# first. It is known before anything is drawn. No mask need keep it from anyone.
#
# ## V h is a bias
# Each residual block adds a term `V h` before its nonlinearity: the same at all pixels, with a V of its own. Let h be
# a class, as a row with a single one. The product then picks a row of V. That is all: each class has its own bias.

# %%
import os

import numpy as np
from scipy.special import logsumexp, softmax
from show import show

import minipixel as mp

EPOCHS = 1 if os.environ.get("MINIPIXEL_QUICK") == "1" else 8

ds = mp.datasets.load("digits")
train, test, labels, test_labels = ds.train.images, ds.test.images, ds.train.labels, ds.test.labels
(N, H, W, C), Q, digits = test.shape, ds.levels, np.arange(10)

layer = mp.nn.Conditioning(10, 24, mp.nn.Init(9, "float64"))
told = np.array([3, 1, 4, 1, 5])  # the labels of five images
features = np.random.default_rng(9).normal(size=(H, W, 5, 24))  # (H, W, N, K)
h = np.eye(10)[told][None, None]  # (1, 1, N, 10): one row an image, the same at all pixels
assert np.array_equal(layer(mp.Tensor(features), h).data, features + layer.weight.data[told])

# %% [markdown]
# So a conditional model is ten plain ones that share all but some biases. We take an untrained one, copy its weights
# into a plain PixelCNN, and add the row of class 7 to the biases that stand before it. The two agree.

# %%
size = {"hidden": 24, "blocks": 3}
plain, seven = mp.models.PixelCNN((H, W, C), Q, **size), mp.models.PixelCNN((H, W, C), Q, **size)
model = mp.models.PixelCNN((H, W, C), Q, num_classes=10, **size)
seven.load_state_dict({name: weight for name, weight in model.state_dict().items() if "told" not in name})
for block, same in zip(seven.blocks, model.blocks, strict=True):
    block.look.bias.data = same.look.bias.data + same.told.weight.data[7]
difference = abs(seven.log_prob(test[:20]) - model.log_prob(test[:20], np.full(20, 7))).max()
extra = model.num_parameters - plain.num_parameters
print(f"largest difference in log p: {difference:.1e} nats; weights: {plain.num_parameters:,}, and {extra} for classes")
print(mp.check_causality(model))

# %% [markdown]
# ## A distribution for every class
# For each class the probabilities of all images sum to 1, at any weights. We add up all 64 binary images of 2x3 pixels.

# %%
every = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
tiny = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, num_classes=4, dtype="float64")
sums = [np.exp(tiny.log_prob(every, np.full(64, label))).sum() for label in range(4)]
print("sum of p, class by class:", *(f"{total:.12f}" for total in sums))

# %% [markdown]
# ## What a label is worth
# Two models of one size, trained alike. Only one is told the labels. A single run each: small differences are luck.

# %%
recipe = {"epochs": EPOCHS, "batch_size": 16}
mp.fit(plain, train, validation=test, optimizer=mp.optim.Adam(3e-3), **recipe)
mp.fit(model, train, labels, validation=(test, test_labels), optimizer=mp.optim.Adam(3e-3), **recipe)

log_p = np.stack([model.log_prob(test, np.full(N, label)) for label in digits], axis=1)  # (N, 10): told each class
right = log_p[np.arange(N), test_labels]
unknown = logsumexp(log_p, axis=1) - np.log(10)  # log of the mean of p(x | c) over the classes
bits = {"plain": plain.bits_per_dim(test), "conditional, told the label": model.bits(-right.mean())}
bits["conditional, label unknown"] = model.bits(-unknown.mean())
print("\n".join(f"{name:30}{cost:.3f} bits/dim" for name, cost in bits.items()))
worth = (right - unknown) / np.log(2)
print(f"the label is worth {worth.mean():.2f} bits an image, and never more than log2(10) = {np.log2(10):.2f}")

# %% [markdown]
# Do not compare the first two rows as if they answered one question. The second model was given a part of the answer.
# The third row is fair: it averages `p(x | c)` over all ten classes, so it is a `p(x)` again, made with ten times the
# work. In this run it even beats the plain model. What lies between the last two rows is the label. Of the ten terms
# of that average one is `p(x | true class) / 10`, so a label never saves more than `log2(10)` bits.

# %%
drawn = model.sample(50, np.tile(digits, 5), rng=0)
real = test[[np.flatnonzero(test_labels == label)[0] for label in digits]]
figure = mp.plots.sample_grid(real, drawn, Q, title="Asked for 0, 1, 2 ... 9")
figure.axes[0].set_xticks(digits * 9 + 3.5, ds.classes)
figure.axes[0].tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
show(figure, "09_classes")

# %% [markdown]
# ## The model as a reader
# Turn it round by Bayes: `p(c | x)` is proportional to `p(x | c) p(c)`. The classes are about equally common, so the
# best guess is the class under which the image is cheapest. Nobody trained a classifier. Told wrong, it pays dearly.

# %%
posterior, guess = softmax(log_p, axis=1), log_p.argmax(axis=1)
accuracy = (guess == test_labels).mean()
wrong = log_p[digits != test_labels[:, None]].reshape(N, 9)
costs = [model.bits(-nats.mean()) for nats in (right, wrong.max(axis=1), wrong)]
print("bits/dim told the true class: {:.2f}; the best wrong one: {:.2f}; any wrong one: {:.2f}".format(*costs))
print(f"read by Bayes: {accuracy:.1%} of {N} test digits; by chance: {1 / 10:.0%}")
dear = np.stack([(right[:, None] - log_p)[test_labels == label].mean(axis=0) for label in digits]) / np.log(2)
figure = mp.plots.figure(5, 3.9)
ax = figure.subplots()
ax.imshow(dear, cmap="magma_r", vmin=0)
for (true, other), more in np.ndenumerate(dear):
    ax.text(other, true, f"{more:.0f}", ha="center", va="center", color="white" if more > 27 else mp.plots.INK)
ax.set(xticks=digits, yticks=digits, xlabel="told", ylabel="is", title="Bits an image more for a wrong label")
show(figure, "09_told")

figure = mp.plots.figure(7.4, 2.5)
figure.supylabel("p(class | x)", fontsize=9, y=0.3)
for n, (above, below) in zip(np.flatnonzero(guess != test_labels), figure.subplots(2, 6, sharey="row").T, strict=False):
    above.imshow(test[n], cmap="Greys")
    above.set(title=f"{test_labels[n]} read as {guess[n]}", xticks=[], yticks=[])
    below.bar(digits, posterior[n], color=np.where(digits == test_labels[n], mp.plots.CENTRE, mp.plots.OPEN))
    below.set(xticks=digits[::3], ylim=(0, 1))
show(figure, "09_misread")

# %% [markdown]
# ## Any numbers will do
# h may be any vector (`condition_shape=(K,)`), or a map with K numbers a pixel (`condition_shape=(H, W, K)`).
# We measure two things on each image, in standard deviations: its *ink*, and its *slant*, how far the digit leans to
# the right. The class stays, as ten of the twelve numbers of a vector.


# %%
def measure(images):
    """Mean level, and by how many columns a row lies to the right of the row below it: (N, H, W, 1) -> (N, 2)."""
    ink = images[..., 0] + 1e-9  # not quite zero, so that a blank image has a slant too
    dr, dc = (axis - np.sum(ink * axis, (1, 2), keepdims=True) / ink.sum((1, 2), keepdims=True) for axis in (r, c))
    return np.stack([ink.mean((1, 2)), -np.sum(ink * dr * dc, (1, 2)) / np.sum(ink * dr * dr, (1, 2))], axis=1)


def describe(labels, style):
    return np.concatenate([np.eye(10)[labels], style], axis=1)  # (N, 12)


r, c = np.indices((H, W))
average, spread = measure(train).mean(axis=0), measure(train).std(axis=0)
style, test_style = ((measure(images) - average) / spread for images in (train, test))
styled = mp.models.PixelCNN((H, W, C), Q, condition_shape=(12,), **size)
mp.fit(styled, train, describe(labels, style), optimizer=mp.optim.Adam(3e-3), **recipe)
styled_bits = styled.bits_per_dim(test, describe(test_labels, test_style))

orders = {"thin": (-2, 0), "usual": (0, 0), "bold": (2, 0), "to the left": (0, -2), "to the right": (0, 2)}
rows, got = [], {}
for name, order in orders.items():  # the same classes, the same uniforms
    drawn = styled.sample(20, describe(np.tile(digits, 2), np.tile(order, (20, 1))), rng=1)
    rows, got[name] = [*rows, *drawn[:10]], ((measure(drawn) - average) / spread).mean(axis=0)
    print(f"{name:13} asked for ink {order[0]:2}, slant {order[1]:2}; got {got[name][0]:5.2f}, {got[name][1]:5.2f}")
figure = mp.plots.image_grid(np.array(rows), Q, title="The same uniforms, five orders")
figure.axes[0].set_yticks(np.arange(5) * 9 + 3.5, orders)
show(figure, "09_styles")

# %% [markdown]
# ## Told too much
# Ink and slant were measured on the very image that is then predicted. Is that a leak? To draw, no: h is given, for
# good, before the first pixel. But bits/dim with such an h say only what is left to say once h is known. They are not
# those of `p(x)`. The extreme case: a tiny model on coin flips, as in lesson 05, is told the image itself as a map.

# %%
print(f"test digits told class, ink and slant: {styled_bits:.3f} bits/dim")
copyist = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, condition_shape=(2, 3, 1), dtype="float64")
mp.fit(copyist, every, every, epochs=30, batch_size=16, progress=False)
p = np.exp(copyist.log_prob(np.tile(every, (64, 1, 1, 1)), np.repeat(every, 64, axis=0))).reshape(64, 64)
fixed, itself = p.sum(axis=1), p.diagonal()  # p(x | h) has a row for each h, a column for each x
print(f"coin flips at {copyist.bits_per_dim(every, every):.3f} bits/dim; {mp.check_causality(copyist)}")
print(f"sum of p(x | h), h fixed: {fixed.min():.9f} to {fixed.max():.9f}; sum of p(x | h = x): {itself.sum():.1f}")

# %% [markdown]
# Every check passes, and rightly so: this is a good model of `p(x | h)`. It is no model of `p(x)`. Say what was given.
#
# ## What you should see

# %%
assert difference < 1e-3 and extra == size["blocks"] * 10 * size["hidden"]
assert np.allclose([*sums, *fixed], 1, rtol=0, atol=1e-12)
assert all(mp.check_causality(each).ok for each in (model, styled, copyist))
assert (worth <= np.log2(10) + 1e-6).all() and accuracy > 2 / 10 and costs[0] < costs[2]
assert itself.sum() > 40 and copyist.bits_per_dim(every, every) < 0.2
if EPOCHS == 8:  # the full length
    assert bits["conditional, told the label"] < bits["conditional, label unknown"] < bits["plain"] < 1.95
    assert accuracy > 0.9 and worth.mean() > 2.5 and costs[0] < costs[1] < costs[2]
    assert got["thin"][0] + 0.5 < got["usual"][0] < got["bold"][0] - 0.5 and styled_bits < bits["plain"]
    assert got["to the left"][1] + 0.5 < got["usual"][1] < got["to the right"][1] - 0.5

# %% [markdown]
# ## Exercises
# 1. Take V h out of all blocks but the last. What becomes of the digits, and of the accuracy?
# 2. Ask `styled` for half a three and half an eight. What does it draw, and has it ever seen such an h?
# 3. Erase the lower half of some digits and draw it again under another label, pixel by pixel as in lesson 07.
# 4. Give the model the image with every 2x2 block averaged, as a map. How many bits/dim are left, and of what?
