# %% [markdown]
# # 13 Logistic mixtures
#
# - *You will* cut a smooth curve into levels, mix a few, keep its logarithm exact in every tail, join colours, train.
# - *Reads* `minipixel/ops/mixture.py`, `heads/mixture.py`; Salimans et al. 2017, arXiv:1701.05517, 2.1 and 2.2.
# - *Before* lesson 07: the softmax that does not know that 8 lies between 7 and 9.
# - *Takes* about half a minute on two cores.

# %%
import os

import numpy as np
from scipy.special import expit, log_expit, softmax
from show import show

import minipixel as mp
from minipixel.heads import make_head

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
EPOCHS = 1 if os.environ.get("MINIPIXEL_QUICK") == "1" else 6
INK, BLUE, ORANGE = mp.plots.INK, mp.plots.OPEN, mp.plots.CENTRE

# %% [markdown]
# ## A curve, cut into levels
# Put the Q levels evenly on [-1, 1], and one smooth bump over them: a *logistic*, with a mean, a scale, and a CDF that
# everyone knows, the sigmoid of (x - mean) / scale. Each level owns the bin within 1/(Q-1) of it; its probability is
# the area there: a difference of two values of the CDF. Nothing may be lost at the ends: the lowest bin owns the whole
# left tail, the highest the whole right one. Two numbers now say what Q logits said.

# %%
Q, mean, scale = 9, 0.45, 0.16
x, edges = np.linspace(-1, 1, Q), np.linspace(-1, 1, Q)[:-1] + 1 / (Q - 1)  # levels; the Q - 1 edges between them
p = np.diff(expit((edges - mean) / scale), prepend=0, append=1)
figure = mp.plots.figure(7.6, 2.7)
left, middle, right = figure.subplots(1, 3)
for q, (low, high) in enumerate(zip([-1.6, *edges], [*edges, 1.6], strict=True)):
    t, colour = np.linspace(low, high, 50), (BLUE, ORANGE)[q % 2]
    z = (t - mean) / scale
    left.fill_between(t, expit(z) * expit(-z) / scale, color=colour, alpha=0.8)
    middle.fill_between([-1.6, 1.6], *expit(z[[0, -1]]), color=colour, alpha=0.5)
    middle.plot(t, expit(z), color=INK)
    middle.vlines(low, 0, expit(z[0]), color=INK, linewidth=0.6)
    right.bar(q, p[q], color=colour)
left.set(title="areas of the density ...", xlabel="level, at its x", ylim=(0, None), xticks=x, xticklabels=range(Q))
middle.set(title="... are steps of the CDF ...", xlabel="x, at the edges of the bins", xlim=(-1.6, 1.6), ylim=(0, 1))
right.set(title="... are probabilities", xlabel="level", xticks=range(Q))
show(figure, "13_bins")

# %% [markdown]
# One bump cannot say "either black or white". So mix M of them, with weights from a softmax: 3 M numbers a sub-pixel,
# whatever Q is. A softmax over 256 levels needs 256. Below, three components, and their sum in grey.

# %%
head, single = (make_head("logistic_mixture", 1, 256, mixtures=M) for M in (3, 1))
rows = np.array([[0.4, 1.0, -0.6], [-0.8, 0.05, 0.9], [-3.2, -1.8, -4.5]])  # logits, means, log-scales
every = np.arange(256)[:, None]
mixed = np.exp(head.log_prob(np.tile(rows.ravel(), (256, 1)), every)[:, 0])
ax = (figure := mp.plots.figure(7.4, 2.4)).subplots()
ax.bar(range(256), mixed, width=1, color="#d5d0c4")
for component, weight, colour in zip(rows.T, softmax(rows[0]), (INK, BLUE, ORANGE), strict=True):
    ax.plot(weight * np.exp(single.log_prob(np.tile(component, (256, 1)), every)), color=colour)
ax.set(title="Nine numbers, 256 probabilities", xlabel="level")
show(figure, "13_mixture")

# %% [markdown]
# ## The logarithm, exactly
# Training wants log p, and a difference of two sigmoids is a poor way to it. Take the smallest log-scale, -7. A few
# levels off the mean both sigmoids round to 1: the difference is 0, its logarithm minus infinity, its gradient 0/0.
# The usual cures: clip the difference at 1e-12; or, below 1e-5, take the density times the bin's width,
# `log_pdf - log(127.5)`. But a bin is 8.6 scales wide here, and the density at its middle is not the mean over it.
#
# With a and b the upper and the lower edge in units of the scale, and d = a - b, there is an identity instead:
# `sigmoid(a) - sigmoid(b) = (1 - e^-d) * sigmoid(a) * sigmoid(-b)`. Three factors, three tame logarithms, no branch.


# %%
def four_ways(mean, log_scale=-7.0):
    z, d = (levels / 127.5 - 1 - mean) * np.exp(-log_scale), 2 / 255 * np.exp(-log_scale)
    a, b = z + d / 2, z - d / 2
    difference, log_pdf = expit(a) - expit(b), log_expit(z) + log_expit(-z) - log_scale
    return {
        "exact": np.log(-np.expm1(-d)) + log_expit(a) + log_expit(-b),
        "difference": np.log(difference),
        "clipped at 1e-12": np.log(np.maximum(difference, 1e-12)),
        "1e-5, log pdf": np.where(difference > 1e-5, np.log(difference), log_pdf - np.log(127.5)),
    }


levels, mu, h = np.arange(118, 139), 1 / 255, 1e-7  # the mean is that of level 128
with np.errstate(divide="ignore", invalid="ignore"):
    value, ahead, behind = four_ways(mu), four_ways(mu + h), four_ways(mu - h)
    slope = {name: (ahead[name] - behind[name]) / (2 * h) for name in value}
lost, error = levels[~np.isfinite(slope["difference"])], value["1e-5, log pdf"] - value["exact"]
left, middle, right = (figure := mp.plots.figure(7.6, 3.0)).subplots(1, 3)
middle.plot(levels, error, color=ORANGE, marker=".")
for name, colour in zip(value, (INK, BLUE, "#5a9e6f", ORANGE), strict=True):
    style = {"color": colour, "marker": ".", "label": name, "linewidth": 3 if name == "exact" else 1}
    left.plot(levels, value[name], **style)
    right.plot(levels, slope[name], **style)
left.legend(frameon=False, fontsize=7, loc="lower center")
for ax, title in ((left, "log p"), (middle, "error of the threshold, nats"), (right, "slope in the mean")):
    ax.set(title=title, xlabel="level")
    ax.axvspan(lost[0] - 0.5, levels[-1] + 0.5, color=BLUE, alpha=0.15)
show(figure, "13_logarithm")
library = single.log_prob(np.tile([0.0, mu, -7.0], (len(levels), 1)), levels[:, None])[:, 0]
print(f"threshold: off by up to {-error.min():.2f} nats; the plain difference has no slope at levels {lost}")

# %% [markdown]
# Blue: in the shaded levels the plain difference is 0 and its slope NaN. Green: the clip leaves no slope; a mean that
# is wrong learns nothing. Orange: 2.15 nats too low wherever the threshold stepped in. Black has the same slope all the
# way: a wrong mean is pulled in, however far. (Below -7 a log-scale counts as -7 and gets no gradient; the mean does.)
#
# ## Three colours, one choice of component
# For RGB a pixel chooses its component once, for all three colours: log p(colour | component) is summed over channels
# *before* the mixture's logsumexp. And within a component green's mean may follow red, and blue's both, in a straight
# line: mean_G + c0 x_R, mean_B + c1 x_R + c2 x_G, each c a tanh. Below: p(red, green) over 32 levels each.

# %%
r, g = np.indices((32, 32)).reshape(2, -1)


def red_green(*components):
    """p(red, green) of a mixture; each component is (logit, mean R, mean G, log-scale of both, c0 before tanh)."""
    columns = [[logit, r0, g0, 0, s, s, 0, c0, 0, 0] for logit, r0, g0, s, c0 in components]
    values = np.tile(np.transpose(columns).ravel(), (len(r), 1))
    log_p = make_head("logistic_mixture", 3, 32, len(columns)).log_prob(values, np.stack([r, g, 0 * r], axis=1))
    return np.exp(log_p[:, :2].sum(axis=1)).reshape(32, 32)  # log_p holds log p(R), p(G | R), p(B | R, G)


tables = {f"c0 = {c0}": red_green((0, 0, 0.1, -1.6, np.arctanh(c0))) for c0 in (0, 0.9)}
tables["three"] = red_green((0, -0.6, 0.5, -2.5, 0), (0.5, 0.3, 0.1, -2, 1.5), (0, 0.2, -0.7, -2.2, -1))
figure = mp.plots.figure(7.4, 2.7)
for ax, (title, table) in zip(figure.subplots(1, 3), tables.items(), strict=True):
    ax.imshow(table.T, origin="lower", cmap="magma")
    ax.set(title=title, xlabel="red", ylabel="green")
show(figure, "13_colours")

# %% [markdown]
# ## Drawing
# One uniform number a sub-pixel, as ever: the level is the number of inner edges at which the CDF is not above it. The
# CDF only rises, so eight looks find one of 256 levels. What is drawn is a level. Some programs draw a real x from the
# curve and feed that back: off the grid, where the model gives no probability, so their samples have no likelihood.

# %%
u = np.random.default_rng(7).random(20_000)
drawn = head.draw(np.tile(rows.ravel(), (len(u), 1)), np.zeros((len(u), 1), int), 0, u, 1.0)
by_hand = (mixed.cumsum()[:-1] <= u[:, None]).sum(axis=1)
print("levels drawn:", *drawn[:20], "...")

# %% [markdown]
# ## Does it know its neighbours?
# Lesson 07 took level 8 of the digits away: in training each 8 became a 7 or a 9. The softmax learnt a hole. Now both
# heads, on the same network. And in earnest: emoji of 8x8 pixels, three colours, 256 levels: a softmax has 768 logits a
# pixel, the mixture 10 numbers for each of 5 components. The validation emoji are watched.

# %%
digits, emoji = mp.datasets.load("digits"), mp.datasets.load("emoji")
images, shown = digits.train.images, digits.test.images[:100]
without_8 = np.where(images == 8, np.random.default_rng(2).choice([7, 9], images.shape), images).astype(np.uint8)
(small_train, held_out), hole, curves = (s.images[:, ::2, ::2] for s in (emoji.train, emoji.validation)), {}, {}
for name in ("categorical", "logistic_mixture"):
    model = mp.models.PixelCNN((8, 8, 1), 17, hidden=16, blocks=3, head=name, rng=SEED)
    mp.fit(model, without_8, epochs=EPOCHS, batch_size=32, rng=SEED, progress=False)
    found = model.predict(shown)[shown.transpose(1, 2, 0, 3)[..., 0] == 8]  # the parameters of pixels that are 8
    hole[name] = [np.exp(model.head.log_prob(found, np.full((len(found), 1), q))).mean() for q in range(17)]
    model = mp.models.PixelCNN((8, 8, 3), 256, hidden=24, blocks=2, head=name, rng=SEED)
    history = mp.fit(model, small_train, validation=held_out, epochs=EPOCHS, batch_size=32, rng=SEED, progress=False)
    curves[name] = history.history["val_bits_per_dim"]
    print(f"{name:18}{curves[name][-1]:6.2f} bits/dim on the validation emoji, {model.num_parameters:,} weights")
figure = mp.plots.figure(7.4, 2.6)
left, middle, right = figure.subplots(1, 3)
for ax, name, colour in zip((left, middle), hole, (BLUE, INK), strict=True):
    ax.bar(range(17), hole[name], color=np.where(np.arange(17) == 8, ORANGE, colour))
    ax.set(title=f"{name}\ntrained without 8", xlabel="level", ylim=(0, 0.13))
    right.plot(range(1, EPOCHS + 1), curves[name], color=colour, label=name)
right.set(title="emoji 8x8, validation", xlabel="epoch", ylabel="bits/dim")
right.legend(frameon=False, fontsize=7)
show(figure, "13_neighbours")

# %% [markdown]
# The mixture fills the hole. On 256 levels it starts ahead: no level is a stranger. But a softmax can take any shape,
# and given data and time it does: on the digits with all 17 levels, lesson 07's network with 3 blocks reaches in 12
# epochs of `Adam(0.002)` 1.88 to 1.92 bits/dim with a softmax, 1.89 to 1.91 with 5 logistics (seeds 0, 1 and 2 each).
#
# ## What you should see

# %%
assert np.isclose(p.sum(), 1) and abs(mixed.sum() - 1) < 1e-12 and np.array_equal(drawn, by_hand)
assert np.allclose(library, value["exact"], rtol=1e-12) and 2.14 < -error.min() < 2.16
assert lost.min() == 133 and (slope["clipped at 1e-12"][-6:] == 0).all() and np.allclose(slope["exact"][-6:], np.exp(7))
assert np.ptp(tables["c0 = 0"].argmax(axis=1)) == 0 and (np.diff(tables["c0 = 0.9"].argmax(axis=1)) >= 0).all()
assert hole["logistic_mixture"][8] > 0.9 * min(hole["logistic_mixture"][7], hole["logistic_mixture"][9])
assert curves["logistic_mixture"][-1] < curves["categorical"][-1]
assert EPOCHS < 6 or hole["categorical"][8] < min(hole["categorical"][7], hole["categorical"][9]) / 10

# %% [markdown]
# ## Exercises
# 1. Prove the identity of the three factors. What becomes of it in the lowest bin, and in the highest?
# 2. Draw `four_ways` for log-scales -5, -3 and 0. Where does the threshold's error vanish, and why?
# 3. Use `head="normal_mixture"`. Where do its lighter tails cost it bits, and how many?
