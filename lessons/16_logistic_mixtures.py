# %% [markdown]
# # 16 Logistic mixtures
#
# - *You will* cut a smooth curve into levels, mix a few such curves, compute the logarithm of their probabilities
#   exactly, join three colours, draw levels, and train a network that puts out curves.
# - *Reads* `minipixel/ops/mixture.py`, `minipixel/heads/mixture.py`; Salimans et al. 2017 (PixelCNN++),
#   [arXiv:1701.05517](https://arxiv.org/abs/1701.05517), sections 2.1 and 2.2.
# - *Before* [lesson 04](04_train_sample_look.py) for the softmax and the level that it did not know;
#   [lesson 12](12_colour.py) for three colours in turn.
# - *Takes* less than a minute on two cores; 30 minutes to read.
#
# In lesson 04 we took the level 8 out of the training digits, and the model concluded that 8 never happens, although
# it saw 7 and 9 all the time. A softmax has one logit for each level, and it does not know that 8 is a neighbour of 7
# and of 9. With 17 levels this does little harm. With 256 levels it matters: 256 numbers per sub-pixel have to be
# learned, most of them from few examples. *How can a network say "about here, give or take so much", so that
# neighbouring levels share what was learned, and still give every level a true probability?*

# %%
import os

import numpy as np
from drawings import lesson_16
from scipy.special import expit, log_expit, softmax
from show import show

import minipixel as mp
from minipixel.heads import make_head

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"  # a short training, to see that the lesson runs

# %% [markdown]
# ## A smooth curve, cut into levels
# Put the Q levels evenly on the line from -1 to 1: level 0 at -1, level Q - 1 at 1. Over them we lay one smooth bump,
# a **logistic distribution**. It looks like a normal distribution, but falls more slowly far out. It has two
# parameters: the mean $\mu$ says where the bump stands, and the **scale** $s$ says how wide it is. We choose it because
# its cumulative distribution function (CDF), the probability of a value below $x$, is a function that we already know,
# the sigmoid:
#
# $$F(x) = \sigma\left(\frac{x - \mu}{s}\right), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# Each level owns a **bin**: the part of the line that is nearer to it than to any other level, that is, everything
# within $1/(Q-1)$ of its place $x_q$. The curve of the bump is called the **density** of the distribution. The
# probability of a level is the area under the density over the level's bin, and such an area is a difference of two
# values of the CDF:
#
# $$P(q) = F\left(x_q + \tfrac{1}{Q-1}\right) - F\left(x_q - \tfrac{1}{Q-1}\right)$$
#
# Nothing may be lost at the two ends. So the lowest bin also owns everything to its left, the left **tail** of the
# curve, and the highest bin owns everything to its right. In the code, the CDF is 0 at the lower edge of the lowest
# bin, and 1 at the upper edge of the highest bin.

# %%
Q = 9
mean = 0.45
scale = 0.16
x = np.linspace(-1, 1, Q)  # the place of each level
edges = (x[:-1] + x[1:]) / 2  # the Q - 1 edges between neighbouring levels
cdf = expit((edges - mean) / scale)  # expit is SciPy's name for the sigmoid
upper = np.append(cdf, 1.0)
lower = np.append(0.0, cdf)
p = upper - lower
print("P(q):", *p.round(3), "  sum:", p.sum())
show(
    lesson_16.bins(mean, scale, Q),
    "16_bins",
    "The same nine probabilities three times: as areas under the bump, as steps that the CDF climbs, and as bars. "
    "The two colours only separate neighbouring bins. Look at level 8: it owns the whole right tail.",
)

# %% [markdown]
# A softmax needs nine logits for nine levels. The logistic needs two numbers, and it needs no more for 256 levels.
# Neighbours share what is learned: if the mean moves towards a level, the levels around it become more likely as well.
#
# A scale must be positive, and a network may put out any number. So the network puts out the **log-scale**, $\log s$,
# and the scale is its exponential. We need the lines from above several times, so we make a function of them.


# %%
def cut_into_bins(mean, log_scale, Q):
    """P(q) of each of Q levels under one logistic: two numbers -> (Q,)."""
    x = np.linspace(-1, 1, Q)
    edges = (x[:-1] + x[1:]) / 2
    cdf = expit((edges - mean) / np.exp(log_scale))
    upper = np.append(cdf, 1.0)
    lower = np.append(0.0, cdf)
    return upper - lower


# %% [markdown]
# ## A few curves, mixed
# One bump cannot say "either black or white, but nothing between". The cure is a **mixture**: M bumps, called
# **components**, each with a weight. The weights are positive and sum to 1, as the softmax of M logits does:
#
# $$P(q) = \sum_{m=1}^{M} w_m \, P_m(q), \qquad w = \mathrm{softmax}(\text{logits})$$
#
# To draw a level from a mixture takes two steps: first a component is chosen with the probabilities $w$, then the level
# is drawn from that component's curve. For each sub-pixel the network now puts out 3 M numbers (M logits, M means, M
# log-scales), whatever Q is. This is called a **discretised mixture of logistics**. Below are three components over
# 256 levels.

# %%
logits = np.array([0.4, 1.0, -0.6])
means = np.array([-0.8, 0.05, 0.9])
log_scales = np.array([-3.2, -1.8, -4.5])

weights = softmax(logits)
components = np.stack([cut_into_bins(means[m], log_scales[m], 256) for m in range(3)])  # (M, Q)
mixed = weights @ components  # (M,) times (M, Q) -> (Q,)
show(
    lesson_16.mixture(weights[:, None] * components, mixed),
    "16_mixture",
    "Nine numbers make 256 probabilities. Look at the narrow component at the right: with a small scale, a curve can "
    "put much of its weight on a few levels, as a softmax can. At levels 0 and 255 the sum rises: they own the tails.",
)

# %% [markdown]
# The part of a model that turns the network's numbers into probabilities is called a **head**. minipixel's head
# `logistic_mixture` takes, for each pixel, the M logits, then the M means, then the M log-scales. We give it 256 pixels
# with the same nine parameters, one pixel of each level. It answers with the logarithm of each level's probability, and
# we compare these with the sum that we computed by hand.

# %%
head = make_head("logistic_mixture", 1, 256, mixtures=3)  # 1 channel, 256 levels
nine_numbers = np.concatenate([logits, means, log_scales])
every_level = np.arange(256)[:, None]  # (N, C): 256 pixels of one channel, one of each level
log_p = head.log_prob(np.tile(nine_numbers, (256, 1)), every_level)[:, 0]
print(f"largest difference between head and hand: {np.abs(np.exp(log_p) - mixed).max():.1e}")

# %% [markdown]
# ## The logarithm, exactly
# Training needs $\log P$ and its slope. To subtract two sigmoids and take the logarithm is a poor way to compute them,
# as the hardest case shows. The smallest log-scale in minipixel is -7 (a smaller one counts as -7). One bin of 256
# levels is then $\frac{2}{255} \cdot e^{7} \approx 8.6$ scales wide. A few levels above the mean, both sigmoids of a
# bin round to exactly 1 in floating point. Their difference is 0, its logarithm is minus infinity, and the slope is
# 0/0. (Below the mean both are tiny numbers, which keep their digits.)
#
# Let $a$ be the upper and $b$ the lower edge of a bin, both counted from the mean, in units of the scale:
#
# $$a = \frac{x_q + \frac{1}{Q-1} - \mu}{s}, \qquad b = \frac{x_q - \frac{1}{Q-1} - \mu}{s}, \qquad
# P(q) = \sigma(a) - \sigma(b)$$
#
# The mean stands on level 128, and we look at the levels around it.

# %%
log_scale = -7.0
levels = np.arange(118, 139)
place_of_128 = 1 / 255  # on the line from -1 to 1; it is 128 / 127.5 - 1


def bin_edges(mean):
    """Upper and lower edge of the bin of each of `levels`, counted from the mean, in units of the scale."""
    x = levels / 127.5 - 1  # the place of each level
    a = (x + 1 / 255 - mean) * np.exp(-log_scale)
    b = (x - 1 / 255 - mean) * np.exp(-log_scale)
    return a, b


def plain(mean):
    a, b = bin_edges(mean)
    return np.log(expit(a) - expit(b))


# %% [markdown]
# Two remedies are in use. One is to *clip*: a difference below $10^{-12}$ counts as $10^{-12}$. The other, which the
# authors' code uses, is a *threshold*. Where the difference is below $10^{-5}$, the area over the bin is replaced by
# the density in the middle of the bin times the bin's width, $1/127.5$. The density is
# $f(x) = \sigma(z) \, \sigma(-z) / s$ with $z = (x - \mu) / s$, so the logarithm becomes $\log f(x_q) - \log 127.5$.
# That is a good approximation where the density hardly changes over a bin. Here a bin is 8.6 scales wide, and over it
# the density changes by a factor of thousands.


# %%
def clipped(mean):
    a, b = bin_edges(mean)
    return np.log(np.maximum(expit(a) - expit(b), 1e-12))


def threshold(mean):
    a, b = bin_edges(mean)
    middle = (a + b) / 2
    mass = expit(a) - expit(b)
    log_density = log_expit(middle) + log_expit(-middle) - log_scale
    return np.where(mass > 1e-5, np.log(mass), log_density - np.log(127.5))


# %% [markdown]
# Neither remedy is needed. With $d = a - b$, the width of the bin in units of the scale, there is an identity
# (exercise 1 proves it):
#
# $$\sigma(a) - \sigma(b) = (1 - e^{-d}) \; \sigma(a) \; \sigma(-b)$$
#
# The logarithm of a product is a sum of three logarithms. None of them is a difference of nearly equal numbers, and
# each has a standard function that stays exact far out: `log_expit` computes $\log \sigma$, and `expm1` computes
# $e^x - 1$ without loss of digits near $x = 0$, so that $1 - e^{-d}$ is `-expm1(-d)`. There is no case to distinguish
# and no constant to choose.


# %%
def exact(mean):
    a, b = bin_edges(mean)
    d = a - b
    return np.log(-np.expm1(-d)) + log_expit(a) + log_expit(-b)


def slope(log_prob, mean):
    """By how much log_prob changes per unit of the mean: a small step to either side."""
    step = 1e-7
    return (log_prob(mean + step) - log_prob(mean - step)) / (2 * step)


# %% [markdown]
# We compute $\log P$ of the levels and its slope in the mean in these four ways. NumPy would warn of the logarithms of
# 0 in the plain one; we expect them, and switch the warning off.

# %%
ways = {"exact": exact, "plain difference": plain, "clipped at 1e-12": clipped, "threshold": threshold}
with np.errstate(divide="ignore", invalid="ignore"):
    values = {name: way(place_of_128) for name, way in ways.items()}
    slopes = {name: slope(way, place_of_128) for name, way in ways.items()}
lost = levels[~np.isfinite(slopes["plain difference"])]
error = values["threshold"] - values["exact"]
print("the plain difference has no slope at the levels", *lost)
print(f"the threshold is off by up to {-error.min():.2f} nats")
show(
    lesson_16.logarithm(levels, values, slopes, lost),
    "16_logarithm",
    "Grey background: here the plain difference is 0 and has no slope. Look at the right panel: the clipped way has "
    "slope 0 far out, so a mean that is wrong learns nothing; the exact slope is the same however far out.",
)

# %% [markdown]
# In the right panel a positive slope means that $\log P$ of a level grows if the mean moves up, towards that level. The
# threshold has the right slope here, but its values are wrong: for all but the three middle levels, $\log P$ comes out
# 2.15 nats too low.
#
# The library computes the exact way. So a mean that is wrong is pulled towards the pixel, however far away it is, and
# no nat is lost at the smallest scale. (A log-scale that counts as -7 gets no gradient itself; the mean does.)

# %%
single = make_head("logistic_mixture", 1, 256, mixtures=1)
three_numbers = np.array([0.0, place_of_128, log_scale])  # one component: logit, mean, log-scale
by_library = single.log_prob(np.tile(three_numbers, (len(levels), 1)), levels[:, None])[:, 0]
print(f"library and exact differ by {np.abs(by_library - values['exact']).max():.1e} nats")

# %% [markdown]
# ## Three colours, one choice of component
# In colour, a pixel chooses its component *once*, for all three colours. A component may then stand for the bright blue
# of the sky, with its red, its green and its blue; colours of different components are not mixed:
#
# $$P(R, G, B) = \sum_m w_m \, P_m(R) \, P_m(G \mid R) \, P_m(B \mid R, G)$$
#
# Within a component, the mean of green may depend on the red that the pixel has, and the mean of blue on both, each
# along a straight line. With $x_R$ and $x_G$ for the places of the red and the green level on the line from -1 to 1:
#
# $$\mu_G' = \mu_G + c_0\, x_R, \qquad \mu_B' = \mu_B + c_1\, x_R + c_2\, x_G$$
#
# The network puts out three numbers for the coefficients. They go through a tanh, so each $c$ lies between -1 and 1.
# Together that makes 10 numbers per component: a logit, three means, three log-scales, three coefficients. Below is the
# sum by hand, for red and green only. The product inside is taken for each component, *before* the components are
# summed. The first two tables have a single component each, and differ in $c_0$.


# %%
def red_green(weights, means_red, means_green, log_scales, c0, Q=32):
    """P(red, green) of a mixture of M components: (M,) each -> (Q, Q)."""
    table = np.zeros((Q, Q))
    x = np.linspace(-1, 1, Q)
    for m in range(len(weights)):
        p_red = cut_into_bins(means_red[m], log_scales[m], Q)
        for red in range(Q):
            mean_green = means_green[m] + c0[m] * x[red]
            p_green = cut_into_bins(mean_green, log_scales[m], Q)
            table[red] += weights[m] * p_red[red] * p_green
    return table


tables = {
    "c0 = 0": red_green([1.0], [0.0], [0.1], [-1.6], [0.0]),
    "c0 = 0.9": red_green([1.0], [0.0], [0.1], [-1.6], [0.9]),
}

# %% [markdown]
# The third table mixes three components, and we ask the head for the same table. It returns three logarithms per
# pixel, $\log P(R)$, $\log P(G \mid R)$ and $\log P(B \mid R, G)$. Their sum is the logarithm of the formula above,
# and the first two are all that this table needs.

# %%
colour_weights = softmax([0.0, 0.5, 0.0])
means_red = [-0.6, 0.3, 0.2]
means_green = [0.5, 0.1, -0.7]
log_scales_of_both = [-2.5, -2.0, -2.2]
before_tanh = np.array([0.0, 1.5, -1.0])
tables["three components"] = red_green(colour_weights, means_red, means_green, log_scales_of_both, np.tanh(before_tanh))

rows = np.zeros((10, 3))  # what the head reads: 10 rows of M numbers
rows[0] = np.log(colour_weights)  # logits
rows[1] = means_red
rows[2] = means_green  # row 3 would be the means of blue
rows[4] = log_scales_of_both  # of red
rows[5] = log_scales_of_both  # of green; row 6 would be that of blue
rows[7] = before_tanh  # c0; rows 8 and 9 would be c1 and c2

# %% [markdown]
# Now the head gets all 32 times 32 pairs of red and green, as 1024 pixels with the same parameters.

# %%
red, green = np.indices((32, 32)).reshape(2, -1)
pixels = np.stack([red, green, np.zeros_like(red)], axis=1)  # (1024, 3): every red with every green
rgb_head = make_head("logistic_mixture", 3, 32, mixtures=3)
log_each = rgb_head.log_prob(np.tile(rows.ravel(), (1024, 1)), pixels)  # (1024, 3)
by_head = np.exp(log_each[:, 0] + log_each[:, 1]).reshape(32, 32)
show(
    lesson_16.colours(tables),
    "16_colours",
    "P(red, green); bright is likely. Left: with c0 = 0 the likeliest green is the same for every red. "
    "Middle: with c0 = 0.9 green rises with red. Right: each of three components has a place and a slope of its own. "
    "The bright spots at the border are tails, which the outermost levels own.",
)

# %% [markdown]
# ## Drawing a level
# To draw is to invert the CDF, as in lesson 04: there is one uniform number $u$ per sub-pixel, and the level is the
# number of inner edges at which the mixture's CDF is at most $u$. Since the CDF only rises, we need not look at all 255
# edges. **Bisection** asks whether the level is 128 or more, and so leaves half of the levels. The next question halves
# them again, and after 8 questions one of 256 levels remains.
#
# We draw 20,000 levels from the mixture of three components above, and let the head do the same with the same numbers
# $u$. Its last arguments say that no channel of the pixel has been drawn before, that channel 0 is wanted, and that the
# temperature is 1.

# %%
u = np.random.default_rng(7).random(20_000)
scales = np.exp(log_scales)
drawn = np.zeros(len(u), int)
for step in (128, 64, 32, 16, 8, 4, 2, 1):
    edge = (2 * (drawn + step) - 1) / 255 - 1  # the lower edge of the bin `step` levels further up
    cdf_there = expit((edge[:, None] - means) / scales) @ weights  # (draws, M) times (M,) -> (draws,)
    drawn = drawn + step * (cdf_there <= u)
none_yet = np.zeros((len(u), 1), int)
drawn_by_head = head.draw(np.tile(nine_numbers, (len(u), 1)), none_yet, 0, u, 1.0)
print("levels drawn:", *drawn[:16], "...")

# %% [markdown]
# What is drawn is one of the Q levels. Some programs draw a real number from the curve instead and feed it back into
# the network. Such a number lies between two levels, where the model gives no probability, so their samples have no
# likelihood.
#
# ## Does it know its neighbours?
# We repeat the experiment of lesson 04: in the training digits, every 8 becomes a 7 or a 9. The same network is trained
# once with a softmax (the head `categorical`) and once with five logistics. We look at what both predict at those
# pixels of test digits that are 8.

# %%
epochs = 1 if QUICK else 6
digits = mp.datasets.load("digits")
images = digits.train.images[:300] if QUICK else digits.train.images
seven_or_nine = np.random.default_rng(2).choice([7, 9], images.shape)
without_8 = np.where(images == 8, seven_or_nine, images).astype(np.uint8)
test = digits.test.images[:100]

hole = {}
for name in ("categorical", "logistic_mixture"):
    model = mp.models.PixelCNN(digits.image_shape, digits.levels, hidden=16, blocks=3, head=name, rng=SEED)
    mp.fit(model, without_8, epochs=epochs, batch_size=32, rng=SEED, progress=False)
    p_where_8 = model.probabilities(test)[test == 8]  # (pixels, Q)
    hole[name] = p_where_8.mean(axis=0)
    print(f"{name:18} mean P(7), P(8), P(9) where the pixel is 8:", *hole[name][7:10].round(4))

# %% [markdown]
# The softmax has learned a hole: its P(8) is far below P(7) and P(9). The mixture cannot have so narrow a hole, since 8
# lies under the same curve as 7 and 9.
#
# In practice the difference matters where there are many levels. We take emoji of 8x8 pixels in three colours of 256
# levels each. A softmax needs $3 \cdot 256 = 768$ logits per pixel, the mixture 10 numbers for each of 5 components,
# which is 50. Training is short, and after each epoch both are scored on emoji that they did not learn from.

# %%
emoji = mp.datasets.load("emoji")
small_train = emoji.train.images[:, ::2, ::2]  # every second row and column of 16x16
small_validation = emoji.validation.images[:, ::2, ::2]
if QUICK:
    small_train = small_train[:200]

curves = {}
for name in ("categorical", "logistic_mixture"):
    model = mp.models.PixelCNN((8, 8, 3), 256, hidden=24, blocks=2, head=name, rng=SEED)
    history = mp.fit(
        model, small_train, validation=small_validation, epochs=epochs, batch_size=32, rng=SEED, progress=False
    )
    curves[name] = history.history["val_bits_per_dim"]
    print(f"{name:18}{curves[name][-1]:6.2f} bits/dim on validation emoji, {model.num_parameters:,} weights")
show(
    lesson_16.neighbours(hole, curves),
    "16_neighbours",
    "Left and middle: what two models predict at pixels that are 8, a level that neither was shown (pink); the highest "
    "bars are cut off. Right: on 256 levels the mixture is ahead from the first epoch on (low is good).",
)

# %% [markdown]
# On 256 levels the mixture is ahead from the start, since what it learns of one level it knows of its neighbours. But a
# softmax can take any shape, and with enough data and time it learns the right one. On the digits with all 17 levels, a
# PixelCNN with `hidden=32` and 3 blocks, trained for 12 epochs in batches of 32 by `Adam(0.002)`, reaches 1.85 to 1.86
# bits/dim on test digits with a softmax, and 1.88 to 1.90 with 5 logistics (seeds 0, 1 and 2 of each). With few levels
# and many examples the softmax is even a little ahead; with 256 levels the mixture is.
#
# ## What you should see

# %%
assert np.isclose(p.sum(), 1)
assert abs(mixed.sum() - 1) < 1e-12
assert np.allclose(np.exp(log_p), mixed, atol=1e-12)
assert np.allclose(by_library, values["exact"], rtol=1e-12)
assert 2.14 < -error.min() < 2.16
assert lost.min() == 133
assert (slopes["clipped at 1e-12"][-6:] == 0).all()
assert np.allclose(slopes["exact"][-6:], np.exp(7))
assert np.allclose(by_head, tables["three components"], atol=1e-12)
assert np.ptp(tables["c0 = 0"].argmax(axis=1)) == 0  # the likeliest green is the same for every red
assert (np.diff(tables["c0 = 0.9"].argmax(axis=1)) >= 0).all()  # and here it never falls
assert np.array_equal(drawn, drawn_by_head)
assert hole["logistic_mixture"][8] > 0.9 * min(hole["logistic_mixture"][7], hole["logistic_mixture"][9])
assert curves["logistic_mixture"][-1] < curves["categorical"][-1]
if not QUICK:
    assert hole["categorical"][8] < min(hole["categorical"][7], hole["categorical"][9]) / 10

# %% [markdown]
# ## Exercises
# 1. *easy* Prove the identity of the three factors. What becomes of it in the lowest bin, and in the highest?
# 2. *medium* Compute the threshold's largest error for the log-scales -7, -5, -3 and 0. For which of them is it 0, and
#    why?
# 3. *medium* Give a logistic and a normal distribution the same mean and the same standard deviation, and cut both
#    into 256 levels (`head="normal_mixture"`). How many bits does a level cost under each, 0, 1, 3 and 5 deviations
#    from the mean? Then train the digits with either head. Does the difference show?
# 4. *hard* In the mixture of three components of red and green, let red be level 20. Draw green by hand. With which
#    weights do the components count now? Compare with `head.draw`.
#
# Solutions: [solutions/16_logistic_mixtures.py](solutions/16_logistic_mixtures.py).
