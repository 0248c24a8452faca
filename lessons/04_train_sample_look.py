# %% [markdown]
# # 07 PixelCNN: train, sample, look
#
# - *You will* train PixelCNN on digits, draw new ones pixel by pixel, and see where it is sure and what it cannot know.
# - *Reads* `minipixel/models/pixelcnn.py`, `heads/categorical.py`, `sampling.py`; arXiv:1601.06759, table 1 and 3.3.
# - *Before* lesson 05 for the masks, lesson 01 for the tables to beat.
# - *Takes* about a minute and a half on two cores.

# %%
import os
import tempfile

import numpy as np
from scipy.special import softmax
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
EPOCHS = 2 if os.environ.get("MINIPIXEL_QUICK") == "1" else 18

ds = mp.datasets.load("digits")
train, test, (H, W, C), Q = ds.train.images, ds.test.images, ds.image_shape, ds.levels
model = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
print(model.summary())

# %% [markdown]
# ## The network, from top to bottom
# The *stem* looks at the image once, wide, under mask A. Each *block* narrows 2h features to h, looks around with a 3x3
# mask B, widens to 2h again and adds what came in. Two 1x1 layers mix. *Out* gives the logits: one a level.
# Every layer keeps the image's size. No pooling: each pixel wants an answer of its own.
#
# ## First in black and white
# With two levels one logit a pixel is enough. We threshold the digits and train.

# %%
binary_train, binary_test = (mp.datasets.binarize(images, Q, "threshold") for images in (train, test))
binary = mp.models.PixelCNN((H, W, C), 2, hidden=16, blocks=4, rng=SEED)
mp.fit(binary, binary_train, epochs=EPOCHS, rng=SEED)
print(f"binary digits: {binary.bits_per_dim(binary_test):.3f} bits/dim; a fair coin costs 1")
show(mp.plots.sample_grid(binary_test, binary.sample(20, rng=SEED), 2, title="Thresholded digits"), "07_binary")

# %% [markdown]
# ## Now all 17 levels
# Others are watched on the way, the test digits at the end. Two tables of lesson 01 are the mark to beat. One knows
# where a pixel is; the other also knows its left and its upper neighbour, in five bands of levels.


# %%
def table_bits(context):
    """Bits/dim of a table of counts, one row for each value of context(images), on the test digits."""
    counts = np.ones((H * W * 25, Q))
    np.add.at(counts, (context(train[..., 0]), train[..., 0]), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    return -np.log2(p[context(test[..., 0]), test[..., 0]]).mean()


def place_left_above(images):
    bands = (np.pad(images, ((0, 0), (1, 0), (1, 0)), constant_values=Q).astype(int) + 4) // 5
    return np.arange(H * W).reshape(H, W) * 25 + bands[:, 1:, :-1] * 5 + bands[:, :-1, 1:]


history = mp.fit(model, train, validation=ds.validation.images, epochs=EPOCHS, rng=SEED)
scores = {"by position": table_bits(lambda images: place_left_above(images) // 25)}
scores |= {"by position, left and above": table_bits(place_left_above), "PixelCNN": model.bits_per_dim(test)}
figure = history.plot()
for name, bits in scores.items():
    print(f"{name:28}{bits:6.3f} bits/dim")
    if name != "PixelCNN":
        figure.axes[0].axhline(bits, color=mp.plots.INK, linewidth=1, linestyle=":")
        figure.axes[0].text(EPOCHS, bits, name, ha="right", va="bottom", fontsize=8)
show(figure, "07_curves")

# %% [markdown]
# ## Drawing, one pixel at a time
# Begin with a blank. Ask for the first pixel's probabilities, draw its level, write it in; ask for the next. To draw is
# to invert the CDF: lay the probabilities end to end on [0, 1] and see on which one a uniform number falls.
# Below, the loop by hand. It gives what the library gives.

# %%
n, k, r_shown, c_shown = 8, 2, 4, 5  # n images; a pixel to look at: row 4, column 5 of image 2
u = np.random.default_rng(SEED).random((n, H, W, 1))
images, frames = np.zeros(u.shape, np.uint8), []
for t, (r, c) in enumerate(np.ndindex(H, W)):
    p = softmax(model.predict(images)[r, c].astype(float), axis=-1)  # (n, Q)
    images[:, r, c, 0] = (p.cumsum(axis=1)[:, :-1] <= u[:, r, c]).sum(axis=1)
    if t % 9 == 0:
        frame = np.repeat(images, 3, axis=-1)
        frame.reshape(n, H * W, 3)[:, t + 1 :] = (5, 8, 11)  # not drawn yet
        frames.append(frame)
generated = model.sample(20, rng=SEED)
assert np.array_equal(images, generated[:n])
level, uniform = images[k, r_shown, c_shown, 0], u[k, r_shown, c_shown, 0]
p = softmax(model.predict(images)[r_shown, c_shown, k].astype(float))  # its future is there now: no difference
figure = mp.plots.figure(7.4, 2.6)
left, middle, right = figure.subplots(1, 3, width_ratios=[2, 3, 3])
left.imshow(frames[(r_shown * W + c_shown) // 9][k] / (Q - 1))
left.plot(c_shown, r_shown, "s", color=mp.plots.CENTRE, markersize=9)
left.set(title="its past", xticks=[], yticks=[])
colours = np.where(np.arange(Q) == level, mp.plots.CENTRE, mp.plots.OPEN)
middle.bar(range(Q), p, color=colours)
middle.set(title="probabilities", xlabel="level")
right.bar(range(Q), p, bottom=p.cumsum() - p, color=colours)
right.axhline(uniform, color=mp.plots.INK, linewidth=1)
right.set(title=f"CDF: u = {uniform:.2f} falls on level {level}", xlabel="level", ylim=(0, 1))
show(figure, "07_one_pixel")

grown = np.stack(frames, axis=1)[:4].reshape(-1, H, W, 3)
show(mp.plots.image_grid(grown, Q, columns=len(frames), title="Four digits grow (blue: not drawn yet)"), "07_growing")
show(mp.plots.sample_grid(test, generated, Q, title="All 17 levels"), "07_samples")

# %% [markdown]
# ## Temperature
# Dividing the logits by a number below 1 sharpens every choice; above 1 it flattens them. The uniforms stay the same.
# What it draws at 1 costs it about what real digits cost. Below 1 it draws only what it finds easy.

# %%
tempered = {T: model.sample(20, rng=SEED, temperature=T) for T in (0.5, 1.0, 1.5)}
costs = [model.bits_per_dim(drawn) for drawn in tempered.values()]
print("bits/dim of what it draws at temperature 0.5, 1, 1.5:", *np.round(costs, 2))
figure = mp.plots.image_grid(np.concatenate([drawn[:10] for drawn in tempered.values()]), Q, title="Temperature")
figure.axes[0].set_yticks([3.5, 12.5, 21.5], ["0.5", "1", "1.5"])
show(figure, "07_temperature")

# %% [markdown]
# ## Where it is sure
# `log_prob_map` says what each pixel cost. The left margin is nearly free, since it is always blank. Strokes are dear:
# where do they begin, where do they turn, and how dark are they?

# %%
bits = model.log_prob_map(test)[..., 0] / -np.log(2)
print("mean bits in each column:", *np.round(bits.mean(axis=(0, 1)), 2))
figure = mp.plots.figure(7.4, 2.0)
axes = figure.subplots(2, 8, subplot_kw={"xticks": [], "yticks": []})
for image, cost, (above, below) in zip(test, bits, axes.T, strict=False):
    above.imshow(image, cmap="gray", vmin=0, vmax=Q - 1)
    shades = below.imshow(cost, cmap="magma", vmin=0, vmax=8)
figure.colorbar(shades, ax=axes, label="bits", shrink=0.8)
show(figure, "07_bits")

# %% [markdown]
# ## What a softmax does not know
# Level 8 lies between 7 and 9. The softmax does not know it: a level is a name. Rename all levels by a permutation, and
# the logits with them, and the loss does not change. Nearness must be learnt from examples, level by level.
# So we take one level's examples away: in training each 8 becomes a 7 or a 9. Then we look at test pixels that are 8.

# %%
names = np.random.default_rng(1).permutation(Q)  # level q is now called names[q]
logits, levels = model.predict(test[:100]), test[:100].transpose(1, 2, 0, 3)  # (H, W, N, Q), (H, W, N, C)
as_it_is = model.head.log_prob(logits, levels)
renamed = model.head.log_prob(logits[..., np.argsort(names)], names[levels])

either = np.random.default_rng(2).choice([7, 9], train.shape)
without_8 = mp.models.PixelCNN((H, W, C), Q, hidden=32, blocks=5, rng=SEED)
mp.fit(without_8, np.where(train == 8, either, train).astype(np.uint8), epochs=EPOCHS // 3 + 1, rng=SEED)
is_8 = levels[..., 0] == 8
every, gap = (softmax(m.predict(test[:100]).astype(float), axis=-1)[is_8] for m in (model, without_8))
titles = ("one pixel, all levels trained", "the same pixel, without 8", "all such pixels, without 8")
figure = mp.plots.figure(7.4, 2.6)
for ax, title, p in zip(figure.subplots(1, 3, sharey=True), titles, (every[0], gap[0], gap.mean(axis=0)), strict=True):
    ax.bar(range(Q), p, color=np.where(np.arange(Q) == 8, mp.plots.CENTRE, mp.plots.OPEN))
    ax.set(title=title, xlabel="level")
show(figure, "07_names")
print("probability of 7, 8, 9 where the pixel is 8, trained without 8:", *np.round(gap.mean(axis=0)[7:10], 4))

# %% [markdown]
# 7 and 9 are likely, 8 is not: the model has learnt that 8 never happens. Each bar has weights of its own in the last
# layer, and no bar lifts its neighbour. The mixtures of lesson 13 put a smooth curve over the levels; they know.
#
# ## Keep it
# Weights and configuration go into one file. What comes back draws the same images, bit for bit.

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save(f"{folder}/digits.safetensors")
    again = mp.load(f"{folder}/digits.safetensors")

# %% [markdown]
# ## What you should see

# %%
mp.assert_causal(model)
assert scores["by position"] < 2.41 and scores["by position, left and above"] < 2.14
assert history.epochs == EPOCHS and scores["PixelCNN"] < scores["by position"]
assert costs[0] < costs[1] < costs[2]
assert bits[:, :, 0].mean() < 0.2 < 2 < bits[:, :, 3].mean()
assert np.allclose(as_it_is, renamed, atol=1e-4)
p_7, p_8, p_9 = gap.mean(axis=0)[7:10]
assert p_8 < min(p_7, p_9)
assert np.array_equal(again.sample(20, rng=SEED), generated) and again.bits_per_dim(test) == scores["PixelCNN"]
if EPOCHS == 18:  # the full length
    assert scores["PixelCNN"] < 1.95 and binary.bits_per_dim(binary_test) < 0.5
    assert p_8 < min(p_7, p_9) / 50 and abs(costs[1] - scores["PixelCNN"]) < 0.15

# %% [markdown]
# ## Exercises
# 1. Train with `blocks=1`, then 10. What changes in the receptive field of lesson 05, and what in bits/dim?
# 2. Draw the heat map for the digits upside down. Which pixels become dear?
# 3. Sample at temperature 0.01 with two values of `rng`. Why are the images alike? Why are they dull?
# 4. Train with level 8 taken away only in the lower half of the images. What does the upper half teach the lower?
