# %% [markdown]
# # Solutions of lesson 21, Completion
#
# The lesson is [21 Completion](../21_completion.py). Each solution begins with its exercise. This cell trains the
# lesson's model of black and white digits.

# %%
import itertools
import os

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 1 if QUICK else 12

ds = mp.datasets.load("digits")
train = mp.datasets.binarize(ds.train.images, ds.levels, "threshold")
hundred = mp.datasets.binarize(ds.test.images[:100], ds.levels, "threshold")
model = mp.models.GatedPixelCNN(ds.image_shape, 2, filters=24, layers=4)
mp.fit(model, train, epochs=EPOCHS, batch_size=32, optimizer=mp.optim.Adam(5e-3), rng=0, progress=False)

# %% [markdown]
# ## Exercise 1
# > What does `complete` do if all pixels are known? And if none is? Check both.
#
# If all pixels are known, nothing is drawn: the images come back as they were. If none is known, all are drawn, and
# the same random numbers give the same images as `sample`.

# %%
everything = np.ones((8, 8), bool)
nothing = np.zeros((8, 8), bool)
assert np.array_equal(model.complete(hundred, everything, rng=0), hundred)
assert np.array_equal(model.complete(hundred, nothing, rng=0), model.sample(100, rng=0))

# %% [markdown]
# ## Exercise 2
# > Let the left half be known, then the right half. In which case do known pixels steer drawn ones? In which one does
# > `particles=16` help more? Measure $\log p$ of the completed pictures.
#
# Known pixels steer drawn ones in both cases. With the left half known, a drawn pixel follows all known pixels of its
# own row and of all rows above. With the right half known, the known pixels of the rows above come before a drawn
# pixel, but those of its *own* row come after it. So with the right half known plain completion makes pictures that
# are less likely, and particles help more.
#
# (The share of pixels that come out as in the picture would be no fair measure here: the right half of a digit is
# harder to guess than the left one, whatever the order.)

# %%
column = np.ones((8, 1), int) * np.arange(8)
halves = {"left": column < 4, "right": column >= 4}
nats = {}
for name, known in halves.items():
    for K in (1, 16):
        three = np.tile(hundred, (3, 1, 1, 1))
        completed, log_prob = model.complete(three, known, rng=0, particles=K, return_log_prob=True)
        nats[name, K] = log_prob.mean()
        print(f"{name} half known, K = {K:2}: {nats[name, K]:.2f} nats per picture")

gain_left = nats["left", 16] - nats["left", 1]
gain_right = nats["right", 16] - nats["right", 1]
print(f"what 16 particles bring: {gain_left:.2f} nats with the left half known, {gain_right:.2f} with the right half")
assert gain_left > 0
assert gain_right > 0
if not QUICK:
    assert nats["left", 1] > nats["right", 1]
    assert gain_right > gain_left

# %% [markdown]
# ## Exercise 3
# > **Systematic resampling**: place the shares of $K$ particles side by side on [0, 1), draw one uniform number $u$,
# > and take the particles at the places $(k + u) / K$, $k = 0, \dots, K - 1$. Write it, and check that a particle of
# > share $s$ comes back either $\lfloor K s \rfloor$ or $\lceil K s \rceil$ times, and $K s$ times in the mean.
#
# The places $(k + u) / K$ are $1/K$ apart. An interval of length $s$ holds $\lfloor K s \rfloor$ or
# $\lceil K s \rceil$ of them, whatever $u$ is, and $K s$ in the mean over $u$. A single random number decides for all
# particles. Had each place its own, the counts would scatter more.


# %%
def systematic(shares, u):
    """Which particles come back, by one uniform number u: (K,) -> integers (K,)."""
    K = len(shares)
    places = (np.arange(K) + u) / K
    edges = shares.cumsum()
    return (edges[:-1] <= places[:, None]).sum(axis=1)


rng = np.random.default_rng(0)
K = 10
shares = rng.dirichlet(np.full(K, 0.5))
all_u = (np.arange(2000) + 0.5) / 2000  # from 0 to 1, finely
counts = np.array([np.bincount(systematic(shares, u), minlength=K) for u in all_u])
print("K times the shares:", np.round(K * shares, 2))
print("the mean counts:   ", np.round(counts.mean(axis=0), 2))

assert (counts >= np.floor(K * shares)).all()
assert (counts <= np.ceil(K * shares)).all()
assert np.allclose(counts.mean(axis=0), K * shares, atol=0.01)

# %% [markdown]
# ## Exercise 4
# > The mean of the weights $w$ of many plain completions is an estimate of a probability. Which one? Check it on the
# > tiny image.
#
# The mean of $w$ over draws from $q$ is
#
# $$\sum_{x_U} q(x_U)\, w(x_U) = \sum_{x_U} p(x_U, x_V) = p(x_V),$$
#
# the probability of the known pixels, whatever the unknown ones are. So completions measure how likely a *part* of a
# picture is, a number that the model does not give by itself.

# %%
tiny = mp.models.GatedPixelCNN((3, 3, 1), 2, filters=5, layers=2, dtype="float64")
noise = np.random.default_rng(9)
for weight in tiny.parameters():
    weight.data = weight.data + 0.8 * noise.standard_normal(weight.data.shape)
known = np.array([[False, True, False], [False, True, False], [True, True, True]])
picture = tiny.sample(1, rng=9)[0]
candidates = np.repeat(picture[None], 16, axis=0)
for n, levels in enumerate(itertools.product([0, 1], repeat=4)):
    candidates[n, ~known, 0] = levels

joint = np.exp(tiny.log_prob(candidates))
drawn = tiny.complete(np.repeat(picture[None], 4000, axis=0), known, rng=0)
weights = np.exp(tiny.log_prob_map(drawn)[:, known].sum(axis=(1, 2)))
error = weights.std() / np.sqrt(len(weights))  # the standard error of the mean
print(f"p of the known pixels: {joint.sum():.5f}; the mean of the weights: {weights.mean():.5f} +- {error:.5f}")

assert abs(weights.mean() - joint.sum()) < 4 * error
assert error < 0.05 * joint.sum()

# %% [markdown]
# ## Exercise 5
# > Write the whole particle filter by hand, with replacing, for the tiny image, and measure its distance to the exact
# > distribution.
#
# The filter takes the pixels in raster order. At an unknown pixel every particle draws. At a known pixel every
# particle takes what is known, and its log-weight grows by the log-probability that it gives to that. Where the
# effective number falls below half, the particles are replaced, and their weights are equal again. (After the last
# unknown pixel nothing is drawn any more, so replacing would only add noise; we do it here all the same, to keep the
# code short.) All DRAWS filters run side by side in one batch.


# %%
def shares_of_weights(log_weights):
    """Weights that sum to 1 in each row: (N, K) -> (N, K)."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def draw_or_weigh(pictures, log_weights, r, c, rng):
    """One pixel of all particles (n, 3, 3, 1), in place: an unknown one is drawn, a known one changes the weights."""
    parameters = tiny.predict(pictures)[r, c]
    pixels = pictures[:, r, c]
    if known[r, c]:
        log_p = tiny.head.log_prob_of(parameters, pixels, 0, pixels)
        log_weights += log_p.reshape(log_weights.shape)
    else:
        pictures[:, r, c, 0] = tiny.head.draw(parameters, pixels, 0, rng.random(len(pictures)), 1.0)


# %%
def particle_filter(N, K, rng):
    """N completions of the tiny picture, each by K particles: -> integers (N, 3, 3, 1)."""
    start = np.where(known[:, :, None], picture, 0)
    pictures = np.repeat(start[None], N * K, axis=0)
    log_weights = np.zeros((N, K))
    for r, c in np.ndindex(3, 3):
        draw_or_weigh(pictures, log_weights, r, c, rng)
        shares = shares_of_weights(log_weights)
        effective = 1 / (shares**2).sum(axis=1)
        for n in np.flatnonzero(effective < K / 2):
            back = systematic(shares[n], rng.random())
            mine = pictures[n * K : (n + 1) * K]
            pictures[n * K : (n + 1) * K] = mine[back]
            log_weights[n] = 0
    edges = shares_of_weights(log_weights).cumsum(axis=1)
    chosen = (edges[:, :-1] <= rng.random((N, 1))).sum(axis=1)
    return pictures[np.arange(N) * K + chosen]


# %%
DRAWS = 500 if QUICK else 2000
exact = joint / joint.sum()
powers_of_two = 2 ** np.arange(9)
distance = {}
for K in (1, 4, 32):
    completed = particle_filter(DRAWS, K, np.random.default_rng(1))
    codes = completed.reshape(-1, 9) @ powers_of_two
    shares = (codes[:, None] == candidates.reshape(-1, 9) @ powers_of_two).mean(axis=0)
    distance[K] = 0.5 * np.abs(shares - exact).sum()
    print(f"K = {K:2}: total variation {distance[K]:.3f}")
of_exact = [0.5 * np.abs(rng.multinomial(DRAWS, exact) / DRAWS - exact).sum() for _ in range(1000)]
floor = np.quantile(of_exact, 0.99)
print(f"99 of 100 sets of exact draws stay below {floor:.3f}")

assert distance[1] > 0.2
assert distance[1] > distance[4] > distance[32]
assert distance[32] < 1.5 * floor
