# %% [markdown]
# # 21 Completion
#
# - *You will* hide a part of some digits and have a model draw it; see that only earlier pixels steer what is drawn;
#   and then let later pixels steer as well, by particles, checked against the exact answer on a tiny image.
# - *Reads* `docs/completion.md`, `minipixel/sampling/particles.py`; N. Gordon, D. Salmond, A. Smith, "Novel Approach
#   to Nonlinear/Non-Gaussian Bayesian State Estimation", IEE Proceedings F 140(2), 1993.
# - *Before* [lesson 04](04_train_sample_look.py) for training and drawing, [lesson
#   09](09_the_blind_spot_and_two_stacks.py) for the Gated PixelCNN.
# - *Takes* one minute on two cores; 30 minutes to read.
#
# Give a model the upper half of a handwritten digit, and let it draw the rest. This is called **completion**, or
# inpainting, and a model that draws pixel by pixel seems to be made for it: it goes on where the picture ends. But
# what if the *lower* half is given, or a picture with a hole in the middle? The model draws from top to bottom, and
# what is known further down comes too late for the pixels that it draws. What can we do when the known pixels are not
# the first ones?

# %% [markdown]
# ## A model of black and white digits
# We train a Gated PixelCNN on the 8x8 digits, where each pixel is set to 0 or 1 at half of its range.

# %%
import itertools
import os

import numpy as np
from drawings import lesson_21
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
EPOCHS = 1 if QUICK else 12

ds = mp.datasets.load("digits")
train = mp.datasets.binarize(ds.train.images, ds.levels, "threshold")
test = mp.datasets.binarize(ds.test.images, ds.levels, "threshold")
model = mp.models.GatedPixelCNN(ds.image_shape, 2, filters=24, layers=4, rng=SEED)
optimizer = mp.optim.Adam(5e-3)
mp.fit(model, train, epochs=EPOCHS, batch_size=32, optimizer=optimizer, rng=SEED, progress=False)
print(f"{model.bits_per_dim(test):.3f} bits/dim on test digits")

# %% [markdown]
# ## Keep what is known, draw the rest
# Completion is drawing, with one change: where a pixel is known, we do not draw it, we keep it. `known` is a boolean
# map (H, W). The loop below is the plain sampler of lesson 04 with one `if` more. The model's head turns the
# parameters of a pixel and a uniform number into a level: `head.draw` takes the parameters, the pixel so far, the
# channel (0), the uniform numbers and the temperature (1).


# %%
def complete_plainly(model, images, known, uniforms):
    """Draw the unknown pixels of images one by one: integers (N, H, W, 1), boolean (H, W) -> integers (N, H, W, 1)."""
    pictures = np.where(known[:, :, None], images, 0).astype(np.uint8)
    for r, c in np.ndindex(known.shape):
        if not known[r, c]:
            parameters = model.predict(pictures)[r, c]
            level = model.head.draw(parameters, pictures[:, r, c], 0, uniforms[:, r, c, 0], 1.0)
            pictures[:, r, c, 0] = level
    return pictures


row = np.indices((8, 8))[0]  # the row of each pixel
upper = row < 4
ten = test[:10]
uniforms = np.random.default_rng(SEED).random(ten.shape)
by_hand = complete_plainly(model, ten, upper, uniforms)
by_library = model.complete(ten, upper, rng=SEED)
print("pixels in which the library differs:", (by_hand != by_library).sum())

# %% [markdown]
# Now the upper half of each digit is kept, and the lower half is drawn three times, with other random numbers each
# time. The figure shows ten of the hundred digits.

# %%
hundred = test[:100]
three_times = {}
for n in range(3):
    three_times[f"drawn {n + 1}"] = model.complete(hundred, upper, rng=SEED + n)
show(
    lesson_21.completions(hundred, upper, three_times),
    "21_upper_half_known",
    "The upper half is known (first row), the lower half is drawn three times. The strokes go on across the line "
    "between them. Where the upper half fits several digits, the three rows differ.",
)

# %% [markdown]
# ## Now the other half
# Nothing in the loop says that the known pixels must come first. So keep the lower half, and draw the upper one.

# %%
lower = ~upper
lower_known = model.complete(hundred, lower, rng=SEED)
show(
    lesson_21.completions(hundred, lower, {"drawn": lower_known}),
    "21_lower_half_known",
    "The lower half is known, the upper half is drawn. The halves do not fit: strokes end at the line between them.",
)

# %% [markdown]
# The upper halves look like upper halves of digits, but of *other* digits. The reason is the order. Each drawn pixel
# is drawn given all pixels *before* it, and here no known pixel comes before a drawn one. So the known half cannot
# have had any influence. We can prove that: give every picture the lower half of another one, draw with the same
# random numbers, and compare what was drawn.

# %%
others = hundred[::-1]
other_lower_known = model.complete(others, lower, rng=SEED)
same_upper_half = np.array_equal(lower_known[:, :4], other_lower_known[:, :4])
print("the same upper halves, to the bit, whatever is below:", same_upper_half)

# %% [markdown]
# The model itself can tell that something is wrong. The bits/dim of a whole picture say how surprising the model
# finds it.

# %%
bits = {
    "real": model.bits_per_dim(hundred),
    "upper half known": model.bits_per_dim(three_times["drawn 1"]),
    "lower half known": model.bits_per_dim(lower_known),
}
for name, value in bits.items():
    print(f"{name:17} {value:.3f} bits/dim")

# %% [markdown]
# With the upper half known, the completed pictures are at least as likely as real ones. (Real test pictures surprise
# a model more than its own draws do.) With the lower half known they cost more bits: many known pixels of the lower
# half are improbable after what is drawn above them.
#
# This is where the remedy begins. The model notices the mismatch *too late to change what it drew*, but it does
# notice it.

# %% [markdown]
# ## What we want, in a formula
# Let $V$ be the known pixels and $U$ the unknown ones. We want to draw from
#
# $$p(x_U \mid x_V) = \frac{p(x_U, x_V)}{\sum_{x_U'} p(x_U', x_V)}.$$
#
# The model gives the joint probability as a product over all pixels. We sort its factors into two groups:
#
# $$p(x_U, x_V) = \underbrace{\prod_{i \in U} p(x_i \mid x_{<i})}_{q(x_U)} \;\cdot\;
# \underbrace{\prod_{i \in V} p(x_i \mid x_{<i})}_{w(x_U)}.$$
#
# The first group, $q$, is what plain completion draws from. It is called the **proposal**. The second group, $w$, is
# what plain completion leaves out: how well the known pixels go with what was drawn. It is called the **importance
# weight** of a completion. So what we want is $q$ times $w$, divided by the number that makes the sum 1.

# %% [markdown]
# ## The exact answer, on a tiny image
# For digits the sum runs over too many pictures. So we look at an image of 3x3 black or white pixels, five of them
# known and four unknown. There are $2^4 = 16$ such pictures, and we can write down all of them. The model is a Gated
# PixelCNN with large random weights, so that its pixels depend on each other strongly.

# %%
tiny = mp.models.GatedPixelCNN((3, 3, 1), 2, filters=5, layers=2, dtype="float64")
noise = np.random.default_rng(9)
for weight in tiny.parameters():
    weight.data = weight.data + 0.8 * noise.standard_normal(weight.data.shape)

known_of_tiny = np.array([[False, True, False], [False, True, False], [True, True, True]])
picture = tiny.sample(1, rng=9)[0]
print(picture[:, :, 0])

# %% [markdown]
# We list the 16 pictures that agree with the known pixels, and ask the model for its map of
# $\log p(x_i \mid x_{<i})$. The sum over unknown pixels is $\log q$, the sum over known ones $\log w$.

# %%
candidates = np.repeat(picture[None], 16, axis=0)
for n, levels in enumerate(itertools.product([0, 1], repeat=4)):
    candidates[n, ~known_of_tiny, 0] = levels

log_p = tiny.log_prob_map(candidates)[:, :, :, 0]
q = np.exp(log_p[:, ~known_of_tiny].sum(axis=1))
w = np.exp(log_p[:, known_of_tiny].sum(axis=1))
exact = q * w / (q * w).sum()
print(f"q sums to {q.sum():.12f}; w is between {w.min():.4f} and {w.max():.4f}")

show(
    lesson_21.distributions({"exact": exact, "plain completion, q": q}, candidates, known_of_tiny),
    "21_exact",
    "The exact distribution of the 16 pictures given all five known pixels, and what plain completion draws from. They "
    "differ wherever the weight w is far from its mean.",
)

# %% [markdown]
# How far apart are the two? A common measure is the **total variation**, half the sum of all differences:
#
# $$d(p, q) = \tfrac12 \sum_x |p(x) - q(x)|.$$
#
# It is 0 for two equal distributions, and 1 for two that have no picture in common. We let `complete` draw many
# times, count how often each picture comes, and compare these shares with $q$ and with the exact distribution.

# %%
DRAWS = 1000 if QUICK else 4000
powers_of_two = 2 ** np.arange(9)  # they turn the nine pixels of a picture into one number


def total_variation(p, q):
    """Half the sum of the differences of two distributions: (n,), (n,) -> a number."""
    return 0.5 * np.abs(p - q).sum()


def shares_of(pictures):
    """How often each of the 16 candidates is among some pictures, as shares: (N, 3, 3, 1) -> (16,)."""
    codes = pictures.reshape(-1, 9) @ powers_of_two
    codes_of_candidates = candidates.reshape(-1, 9) @ powers_of_two
    return (codes[:, None] == codes_of_candidates).mean(axis=0)


many = np.repeat(picture[None], DRAWS, axis=0)
plain = shares_of(tiny.complete(many, known_of_tiny, rng=0))
print(f"drawn plainly, distance to q: {total_variation(plain, q):.3f}")
print(f"drawn plainly, distance to the exact distribution: {total_variation(plain, exact):.3f}")

# %% [markdown]
# So plain completion draws from $q$, up to the noise of a finite number of draws, and $q$ is not what we want.

# %% [markdown]
# ## Draw several, weigh them, choose one
# The remedy follows from the formula. Draw $K$ completions $x^{(1)}, \dots, x^{(K)}$ from $q$. They are called
# **particles**. ($K$ counts particles in this lesson, not feature channels.) Give each its weight $w(x^{(k)})$, and
# choose one of them with a probability that is proportional to its weight:
#
# $$P(\text{choose } k) = \frac{w(x^{(k)})}{\sum_{j=1}^{K} w(x^{(j)})}.$$
#
# Pictures that $q$ draws too often have small weights, and are chosen less often. As $K$ grows, the distribution of
# the chosen one comes near to $q \cdot w$, divided by its sum, which is the exact answer.


# %%
def shares_of_weights(log_weights):
    """Weights that sum to 1 for each image, from their logarithms: (N, K) -> (N, K)."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))  # the largest is 1: no overflow
    return weights / weights.sum(axis=1, keepdims=True)


def draw_weigh_choose(model, images, known, K, rng):
    """One of K plain completions of each image, chosen by its weight: (N, H, W, 1) -> (N, H, W, 1)."""
    N = len(images)
    particles = model.complete(np.repeat(images, K, axis=0), known, rng=rng)
    log_weights = model.log_prob_map(particles)[:, known].sum(axis=(1, 2))
    shares = shares_of_weights(log_weights.reshape(N, K))
    edges = shares.cumsum(axis=1)
    uniform = rng.random((N, 1))
    chosen = (edges[:, :-1] <= uniform).sum(axis=1)  # how many edges lie below the uniform number
    return particles[np.arange(N) * K + chosen]  # the K particles of image n begin at n * K


# %% [markdown]
# ## The same in the library, and one idea more
# `model.complete(..., particles=K)` does this, and it does one thing more. Picture the $K$ particles drawn side by
# side, pixel by pixel. At each known pixel the weight of each particle is multiplied by the probability that it gives
# to that pixel. So after a few known pixels some particles have lost nearly all their weight, and to go on with these
# is a waste. How many still count? With shares $s_k$ that sum to 1, the **effective number** of particles is
#
# $$K_{\text{eff}} = \frac{1}{\sum_k s_k^2}.$$
#
# It is $K$ if all shares are equal, and 1 if one particle has all the weight. When it falls below $K / 2$, the
# library *replaces* the particles: each comes back about as often as its share says, those with small shares vanish,
# and then all have equal weights again. This is **resampling**, and the whole procedure is called a **particle
# filter**.
#
# We measure the distance to the exact distribution for growing $K$, by hand and by the library. Even draws from the
# exact distribution would not have distance 0, since there are only so many of them: 99 of 100 such sets of draws
# stay below `floor`.

# %%
rng = np.random.default_rng(0)
distance_by_hand = {}
distance_of_library = {}
for K in (1, 4, 16, 64):
    chosen = draw_weigh_choose(tiny, many, known_of_tiny, K, rng)
    distance_by_hand[K] = total_variation(shares_of(chosen), exact)
    completed = tiny.complete(many, known_of_tiny, rng=1, particles=K)
    distance_of_library[K] = total_variation(shares_of(completed), exact)
    print(f"K = {K:2}: by hand {distance_by_hand[K]:.3f}, by the library {distance_of_library[K]:.3f}")

of_exact = [total_variation(rng.multinomial(DRAWS, exact) / DRAWS, exact) for _ in range(1000)]
floor = np.quantile(of_exact, 0.99)
print(f"99 of 100 sets of draws from the exact distribution stay below {floor:.3f}")
show(
    lesson_21.distances({"by hand": distance_by_hand, "by the library": distance_of_library}, floor),
    "21_distances",
    "Total variation to the exact distribution. It falls with the number of particles, until the completions cannot be "
    "told from draws of the exact distribution.",
)

# %% [markdown]
# With one particle nothing has changed: it is chosen whatever its weight is, and `particles=1` is plain completion,
# to the bit. With 64 particles the completions cannot be told from exact draws. On nine pixels it hardly matters that
# the library replaces particles. On a digit many more pixels are weighed, as we see next.

# %% [markdown]
# ## How many particles count?
# We go back to the digits, take one whose lower half is known, and draw 64 completions without replacing any. The map
# of $\log p$ gives the weights after *each* pixel: we add up the known pixels in raster order.

# %%
K = 64
one = np.repeat(test[:1], K, axis=0)
particles = model.complete(one, lower, rng=SEED)
log_p = model.log_prob_map(particles).reshape(K, 64)
log_p_of_known = np.where(lower.ravel(), log_p, 0)  # unknown pixels do not weigh
running = log_p_of_known.cumsum(axis=1)
shares = shares_of_weights(running.T)  # a row for each pixel, a column for each particle
effective = 1 / (shares**2).sum(axis=1)
print(f"of {K} particles count in the end: {effective[-1]:.1f}")
show(
    lesson_21.effective(effective, K, lower),
    "21_effective",
    "How many of 64 particles count, if none is replaced. In the upper half no pixel is known, so all weights stay "
    "equal. In the lower half the known pixels take the weight from most of them.",
)

# %% [markdown]
# So most of the work went into particles that no longer count. Here replacing them would not help, since nothing is
# drawn after the first known pixel. It can help where unknown and known pixels take turns: what comes next is then
# drawn for the particles that still fit. A hole in the picture is such a case. (For a hole as small as the next one
# it changes little: [docs/results.md](../docs/results.md) has the measurement.)

# %% [markdown]
# ## A hole in a digit
# The hole has 4x4 pixels, in the middle. To its left, to its right and below it there are known pixels that come
# after drawn ones. We count the pixels of the hole that come out as in the real picture. We also measure $\log p$ of
# the whole completed picture, in nats: the higher it is, the better everything fits.

# %%
hole = np.ones((8, 8), bool)
hole[2:6, 2:6] = False
filled = {}
right = {}
nats = {}
for K in (1, 4, 16, 64):
    completed, log_prob = model.complete(hundred, hole, rng=SEED, particles=K, return_log_prob=True)
    filled[f"K = {K}"] = completed
    right[K] = (completed == hundred)[:, ~hole].mean()
    nats[K] = log_prob.mean()
    print(f"K = {K:2}: {right[K]:.1%} of the hole as in the picture, {nats[K]:6.2f} nats per picture")
print(f"the real pictures have {model.log_prob(hundred).mean():.2f} nats")
show(
    lesson_21.completions(hundred, hole, filled),
    "21_hole",
    "A hole, filled by 1, 4, 16 and 64 particles. With one, the strokes in the hole end at its right and lower edge. "
    "With many, they meet what is known there.",
)

# %% [markdown]
# A part of the hole can be filled in more ways than one, so not all pixels can come out as in the picture, however
# good the model is. As before, completed pictures may be likelier than real ones.
#
# Finally we return to the known lower half, which had no influence at all on what was drawn.

# %%
looking_ahead = model.complete(hundred, lower, rng=SEED, particles=64)
bits["lower half known, 64 particles"] = model.bits_per_dim(looking_ahead)
for name, value in bits.items():
    print(f"{name:31} {value:.3f} bits/dim")
show(
    lesson_21.completions(hundred, lower, {"K = 1": lower_known, "K = 64": looking_ahead}),
    "21_looking_ahead",
    "The lower half is known. With 64 particles the upper half mostly goes with it.",
)

# %% [markdown]
# ## What particles cannot do
# - *They are approximate.* With the lower half known, all unknown pixels are drawn before the first known one is
#   seen. One of the $K$ upper halves has to fit by chance. Large holes, and models whose predictions are nearly
#   certain, need more particles.
# - *They cost.* $K$ particles take about $K$ times as long as plain completion.
# - *They do not mend the model.* As $K$ grows, we come near to the conditional distribution *of the model*. If the
#   model is poor, so is the completion.

# %% [markdown]
# ## What you should see

# %%
assert np.array_equal(by_hand, by_library)
assert np.array_equal(three_times["drawn 1"][:, :4], hundred[:, :4])
assert np.array_equal(lower_known[:, 4:], hundred[:, 4:])
assert same_upper_half

assert np.isclose(q.sum(), 1, rtol=0, atol=1e-12)
joint = np.exp(tiny.log_prob(candidates))
assert np.allclose(exact, joint / joint.sum(), rtol=1e-9)
assert total_variation(plain, q) < 0.06
assert total_variation(plain, exact) > 0.2
assert distance_by_hand[1] > distance_by_hand[4] > distance_by_hand[64]
assert distance_of_library[1] > distance_of_library[4] > distance_of_library[64]
assert max(distance_by_hand[64], distance_of_library[64]) < 1.5 * floor

one_particle = model.complete(hundred, hole, rng=SEED, particles=1)
assert np.array_equal(one_particle, model.complete(hundred, hole, rng=SEED))
assert np.allclose(effective[:32], 64)
assert effective[-1] < 32

if not QUICK:
    assert bits["upper half known"] < bits["lower half known"] - 0.05
    assert bits["lower half known, 64 particles"] < bits["lower half known"] - 0.08
    assert right[64] > right[1] + 0.03
    assert nats[64] > nats[4] > nats[1]

# %% [markdown]
# ## Exercises
# 1. *easy* What does `complete` do if all pixels are known? And if none is? Check both.
# 2. *easy* Let the left half be known, then the right half. In which case do known pixels steer drawn ones? In which
#    one does `particles=16` help more? Measure $\log p$ of the completed pictures.
# 3. *medium* **Systematic resampling**: place the shares of $K$ particles side by side on [0, 1), draw one uniform
#    number $u$, and take the particles at the places $(k + u) / K$, $k = 0, \dots, K - 1$. Write it, and check that a
#    particle of share $s$ comes back either $\lfloor K s \rfloor$ or $\lceil K s \rceil$ times, and $K s$ times in
#    the mean.
# 4. *medium* The mean of the weights $w$ of many plain completions is an estimate of a probability. Which one? Check
#    it on the tiny image.
# 5. *hard* Write the whole particle filter by hand, with replacing, for the tiny image, and measure its distance to
#    the exact distribution.
