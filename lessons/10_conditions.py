# %% [markdown]
# # 09 Conditions: tell the model what to draw
#
# - *You will* give a PixelCNN a label, draw what you ask for, read labels by Bayes, and walk from one digit to another.
# - *Reads* `minipixel/models/conditions.py`, `models/embedding.py`; arXiv:1606.05328, 2.3 and 3.3; 1503.03832, 3.
# - *Before* lesson 07 for the model, lesson 01 for the chain rule.
# - *Takes* about 40 seconds on two cores; most of it trains three small models.
#
# ## One more thing on the right of the bar
# So far a model was `p(x)`. Now somebody tells it something beforehand: h, for example "this will be a seven". The
# chain rule holds under any h: `p(x | h) = prod_t p(x_t | x_<t, h)`. So h joins the past of *every* pixel, the first
# too. No mask need keep it from anyone. For each h the probabilities of all images sum to 1: the last cell adds them.
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

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
EPOCHS, STEPS = (1, 20) if os.environ.get("MINIPIXEL_QUICK") == "1" else (8, 150)

ds = mp.datasets.load("digits")
train, test, labels, test_labels = ds.train.images, ds.test.images, ds.train.labels, ds.test.labels
(N, H, W, C), Q, digits, held_out = test.shape, ds.levels, np.arange(10), ds.validation

layer = mp.nn.Conditioning(10, 24, mp.nn.Init(9, "float64"))
told = np.array([3, 1, 4, 1, 5])  # the labels of five images
features = np.random.default_rng(9).normal(size=(H, W, 5, 24))  # (H, W, N, K)
h = np.eye(10)[told][None, None]  # (1, 1, N, 10): one row per image, the same at all pixels
assert np.array_equal(layer(mp.Tensor(features), h).data, features + layer.weight.data[told])

# %% [markdown]
# So a conditional model is ten plain ones that share all but some biases. We copy the weights of one into a plain
# PixelCNN, and add the row of class 7 to the biases that stand before it. The two agree.

# %%
size = {"hidden": 24, "blocks": 3, "rng": SEED}
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
# ## What a label is worth
# Two models of one size, trained alike. Only one is told the labels. A single run each: small differences are luck.

# %%
recipe = {"epochs": EPOCHS, "batch_size": 16, "rng": SEED}
mp.fit(plain, train, validation=held_out.images, optimizer=mp.optim.Adam(3e-3), **recipe)
mp.fit(model, train, labels, validation=(held_out.images, held_out.labels), optimizer=mp.optim.Adam(3e-3), **recipe)
log_p = np.stack([model.log_prob(test, np.full(N, label)) for label in digits], axis=1)  # (N, 10): told each class
right = log_p[np.arange(N), test_labels]
unknown = logsumexp(log_p, axis=1) - np.log(10)  # log of the mean of p(x | c) over the classes
bits = {"plain": plain.bits_per_dim(test), "conditional, told the label": model.bits(-right.mean())}
bits["conditional, label unknown"] = model.bits(-unknown.mean())
print("\n".join(f"{name:30}{cost:.3f} bits/dim" for name, cost in bits.items()))
worth = (right - unknown) / np.log(2)
print(f"the label is worth {worth.mean():.2f} bits per image, and never more than log2(10) = {np.log2(10):.2f}")

# %% [markdown]
# The first two rows do not answer one question: the second model was given a part of the answer. The third is fair: it
# averages `p(x | c)` over all classes, so it is a `p(x)` again, at ten times the work, and beats the plain model here.
# Of the ten terms of that average one is `p(x | true class) / 10`: a label never saves more than `log2(10)` bits.

# %%
drawn = model.sample(50, np.tile(digits, 5), rng=SEED)
real = test[[np.flatnonzero(test_labels == label)[0] for label in digits]]
show(mp.plots.sample_grid(real, drawn, Q, title="Asked for 0, 1, 2 ... 9"), "09_classes")

# %% [markdown]
# ## The model as a reader
# Turn it round by Bayes: `p(c | x)` is proportional to `p(x | c) p(c)`. The classes are about equally common, so the
# best guess is the class under which the image is cheapest. Nobody trained a classifier.

# %%
posterior, guess = softmax(log_p, axis=1), log_p.argmax(axis=1)
accuracy = (guess == test_labels).mean()
print(f"read by Bayes: {accuracy:.1%} of {N} test digits")
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
# h may be a vector (`condition_shape=(K,)`), or a map with K numbers per pixel (`condition_shape=(H, W, K)`). Where do
# good numbers come from? From another network. It reads finished pictures, so it wears no masks, and gives each one 16
# numbers, scaled to length 1: a point on a sphere, an *embedding*. It learns from *triplets*: an anchor a, a positive p
# of the same class, a negative n of another. A triplet costs `max(0, |a - p|**2 - |a - n|**2 + 0.2)`: p should be
# nearer to a than n is, by a margin. Below: the worst triplet of one anchor, then all distances, black for 0.


# %%
net, same = mp.models.EmbeddingNet((H, W, C), Q, rng=SEED), test_labels[:, None] == test_labels
before = 2 - 2 * net.embed(test) @ net.embed(test).T  # |a - b|**2 of points of length 1
triplet = [0, np.where(same, before, -1)[0].argmax(), np.where(same, 5, before)[0].argmin()]
mp.fit_embedding(net, train, labels, steps=STEPS, rng=SEED)
points = net.embed(test)
after = 2 - 2 * points @ points.T
nearest = np.where(np.eye(N, dtype=bool), 5, after).argmin(axis=1)
retrieved = (test_labels[nearest] == test_labels).mean()
print(f"{retrieved:.1%} of the test digits have one of their own class as the nearest of all others")
figure = mp.plots.figure(7.4, 2.7)
axes = figure.subplots(1, 5, width_ratios=(1, 1, 1, 2, 2), subplot_kw={"xticks": [], "yticks": []})
order = np.argsort(test_labels, kind="stable")
for ax, n, name in zip(axes, triplet, ("anchor", "positive", "negative"), strict=False):
    ax.imshow(test[n], cmap="Greys")
    ax.set(title=name, xlabel=f"{before[0, n]:.2f}, then\n{after[0, n]:.2f}" if n else "distance:")
for ax, distances, name in zip(axes[3:], (before, after), ("untrained", "trained"), strict=True):
    ax.imshow(distances[order][:, order], cmap="magma", vmin=0, vmax=3)
    ax.set(title=name, xlabel="all test digits, by class")
show(figure, "09_embeddings")

# %% [markdown]
# ## From an embedding to pictures, and a walk
# Now h is an embedding; this model never hears of labels. First in each row a test digit, then nine draws told where
# it lies.

# %%
portraits = mp.models.PixelCNN((H, W, C), Q, condition_shape=(net.dimensions,), **size)
mp.fit(portraits, train, net.embed(train), optimizer=mp.optim.Adam(3e-3), **recipe)
means = np.stack([points[test_labels == label].mean(axis=0) for label in digits])
typical = np.where(test_labels == digits[:, None], means @ points.T, -1).argmax(axis=1)  # nearest to its class's mean
some = np.repeat(typical[[0, 3, 6, 8]], 9)
drawn = portraits.sample(36, points[some], rng=SEED).reshape(4, 9, H, W, C)
rows = np.concatenate([test[some[::9], None], drawn], axis=1)
show(mp.plots.image_grid(rows.reshape(-1, H, W, C), Q, title="Told the first of each row"), "09_portraits")

# %% [markdown]
# Between two points lie others. We go straight from one to the other, scaled back to length 1, since the model was
# never told anything shorter. Each step draws with *the same uniforms*: only h moves, and so does the picture. (Other
# seeds change as gradually, but not all their ends are as clean; a larger model's are: docs/images/digits-walk.png.)

# %%
start, end, walk = points[typical[[0, 1, 2, 3, 5]]], points[typical[[6, 4, 7, 5, 6]]], []
for t in np.linspace(0, 1, 11):
    h = (1 - t) * start + t * end
    walk.append(portraits.sample(5, h / np.linalg.norm(h, axis=1, keepdims=True), rng=SEED + 3).astype(int))
by_step, in_all = (abs(np.diff(steps, axis=0)).mean() for steps in (walk, walk[:: len(walk) - 1]))
print(f"a step changes a pixel by {by_step:.2f} levels on average; the two ends differ by {in_all:.2f}")
walk = np.stack(walk, axis=1).reshape(-1, H, W, C)
show(mp.plots.image_grid(walk, Q, columns=11, title="From one digit to another, in ten steps"), "09_walk")

# %% [markdown]
# ## Told too much
# An embedding is computed from the very image that is then predicted. Is that a leak? To draw, no: h is given, for
# good, before the first pixel. But bits/dim with such an h say only what is left to say once h is known. They are not
# those of `p(x)`. The extreme case: a tiny model on coin flips, as in lesson 05, is told the image itself as a map.

# %%
bits["told the embedding"] = portraits.bits_per_dim(test, points)
print(f"test digits told their embeddings: {bits['told the embedding']:.3f} bits/dim")
every = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)  # all binary images of 2x3 pixels
copyist = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, condition_shape=(2, 3, 1), rng=SEED, dtype="float64")
mp.fit(copyist, every, every, epochs=30, batch_size=16, rng=SEED, progress=False)
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
assert np.allclose(fixed, 1, rtol=0, atol=1e-12)
assert all(mp.check_causality(each).ok for each in (model, portraits, copyist))
assert (worth <= np.log2(10) + 1e-6).all() and accuracy > 2 / 10
assert itself.sum() > 40 and copyist.bits_per_dim(every, every) < 0.2
if EPOCHS == 8:  # the full length
    assert bits["conditional, told the label"] < bits["conditional, label unknown"] < bits["plain"] < 1.95
    assert accuracy > 0.9 and worth.mean() > 2.5 and bits["told the embedding"] < bits["plain"]
    assert retrieved > 0.95 and after[same].mean() < after[~same].mean() / 4
    assert after[0, triplet[1]] < after[0, triplet[2]] and by_step < in_all / 3

# %% [markdown]
# ## Exercises
# 1. Take V h out of all blocks but the last. What becomes of the digits, and of the accuracy?
# 2. Walk with other uniforms at every step. Walk on past the ends. Tell `model` half a three and half an eight.
# 3. Erase the lower half of some digits and draw it again under another label, pixel by pixel as in lesson 07.
# 4. Give the model the image with every 2x2 block averaged, as a map. How many bits/dim are left, and of what?
