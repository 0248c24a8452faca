# %% [markdown]
# # Solutions of lesson 24, the Ising model
#
# The lesson is [24 The Ising model](../24_the_ising_model.py). Each solution begins with its exercise. This cell
# repeats what they need from the lesson: the states, the energy, and the exact probabilities at $\beta = 0.6$.

# %%
import os

import numpy as np
from scipy.special import logsumexp

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
STEPS = 40 if QUICK else 400
BETA = 0.6

every_state = ((np.arange(2**16)[:, None] >> np.arange(16)) & 1).reshape(-1, 4, 4, 1).astype(np.uint8)


def energy(images):
    """The energy of each magnet: (N, H, W, 1) -> (N,)."""
    s = 2.0 * images[..., 0] - 1
    return -(s * np.roll(s, 1, axis=1) + s * np.roll(s, 1, axis=2)).sum(axis=(1, 2))


energies = energy(every_state)
ln_p = -BETA * energies - logsumexp(-BETA * energies)

# %% [markdown]
# ## Exercise 1
# > Let neighbours dislike each other: change the sign of the energy. What are the states of lowest energy now? Show
# > that the free energy of the 4 x 4 magnet is the same as before, and say why.
#
# With the other sign, neighbours prefer to differ. The states of lowest energy are the two chessboards. If we turn
# over all spins on the black squares of a chessboard, each pair of neighbours that agreed now differs, and each pair
# that differed now agrees. So this map takes a state of energy $E$ to one of energy $-E$. It takes every state to
# exactly one other state, so each energy occurs as often as before, and $Z$ is the same. (If the grid has an odd
# number of rows or columns, no chessboard fits around its edge, and the two magnets are different.)

# %%
disliking = -energies
lowest = every_state[disliking == disliking.min()][..., 0]
chessboard = np.indices((4, 4)).sum(axis=0) % 2
assert len(lowest) == 2
assert np.array_equal(lowest[0], chessboard) or np.array_equal(lowest[0], 1 - chessboard)
turned_over = every_state ^ chessboard[..., None].astype(np.uint8)
assert np.array_equal(energy(turned_over), disliking)
assert np.isclose(logsumexp(-BETA * disliking), logsumexp(-BETA * energies))
print(lowest[0])

# %% [markdown]
# ## Exercise 2
# > Let $q$ be a model of independent spins, each up with the probability $m$. Write the mean of $R = \beta E + \ln q$
# > as a formula, compute it over $m$ for several $\beta$, and find the $\beta$ at which one minimum becomes two.
#
# The mean of a spin is $M = 2m - 1$, and spins are independent, so the mean of the product of two neighbours is $M^2$.
# There are 32 pairs and 16 spins:
#
# $$\langle R \rangle = -32 \beta M^2 + 16 \, \big( m \ln m + (1 - m) \ln (1 - m) \big)$$
#
# Near $m = 1/2$ the second part is $16 (-\ln 2 + M^2 / 2 + \dots)$. So the middle is a minimum while $32 \beta < 8$,
# that is for $\beta < 1/4$. For a larger $\beta$ it is a maximum between two minima, and such a model has to choose
# one of the two hills, however it is trained. Physicists know it as the mean-field approximation.


# %%
def mean_r(m, beta):
    """The mean of R over independent spins that point up with probability m."""
    M = 2 * m - 1
    return -32 * beta * M**2 + 16 * (m * np.log(m) + (1 - m) * np.log(1 - m))


ups = every_state.sum(axis=(1, 2, 3))
for m in (0.3, 0.5, 0.9):
    ln_q = ups * np.log(m) + (16 - ups) * np.log(1 - m)
    by_enumeration = (np.exp(ln_q) * (BETA * energies + ln_q)).sum()
    assert np.isclose(by_enumeration, mean_r(m, BETA))

grid = np.linspace(0.001, 0.999, 999)
for beta in (0.1, 0.2, 0.24, 0.26, 0.3, 0.44):
    values = mean_r(grid, beta)
    inner = values[1:-1]
    minima = grid[1:-1][(inner < values[:-2]) & (inner < values[2:])]
    print(f"beta {beta:4}: minima at m =", *np.round(minima, 2))
    assert len(minima) == (1 if beta < 0.25 else 2)

# %% [markdown]
# ## Exercise 3
# > For how large a magnet can $Z$ be computed? Do it row by row: multiply matrices that have an entry for every two
# > states of a row. Compare with the sum over all states for 4 x 4, and give the free energy per spin for 6 x 6 at
# > $\beta = 0.44$.
#
# Let the magnet have $L$ rows of $L$ spins. Give each state of a row a number. The energy is a sum over rows: what is
# within the row, and what is between it and the next row. So $e^{-\beta E}$ is a product of $L$ factors, one for each
# pair of adjacent rows, and the sum over all states of all rows is a product of $L$ equal matrices, whose trace joins
# the last row to the first. The matrix has $2^L$ rows, so each product takes about $2^{3L}$ multiplications, where
# the sum over all states has $2^{L^2}$ terms. For 12 x 12 this takes seconds. For 16 x 16 the matrix alone would fill
# 34 GB; Kaufman's formula of 1949, in `examples/ising.py`, has no such limit.


# %%
def ln_z_by_rows(size, beta):
    """ln Z of a size x size magnet."""
    states = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    row = 2.0 * states - 1
    within = (row * np.roll(row, 1, axis=1)).sum(axis=1)
    between = row @ row.T
    matrix = np.exp(beta * (between + within[:, None] / 2 + within / 2))
    scale = matrix.max()
    power = np.linalg.matrix_power(matrix / scale, size)
    return np.log(np.trace(power)) + size * np.log(scale)


assert np.isclose(ln_z_by_rows(4, BETA), logsumexp(-BETA * energies))
free_energy = -ln_z_by_rows(6, 0.44) / (0.44 * 36)
print(f"6 x 6 at beta 0.44: free energy per spin {free_energy:.10f}")
assert np.isclose(free_energy, -2.1511414567, atol=1e-9)

# %% [markdown]
# ## Exercise 4
# > Build the symmetry in: $p_\theta(s) = \frac{1}{2} (q(s) + q(-s))$. Train it at $\beta = 0.6$ from the start. What
# > is its reverse divergence if $q$ still collapses to one state?
#
# If $q$ always draws one state of lowest energy, $p_\theta$ draws this one and its mirror image, each with probability
# 1/2. The reverse divergence is then $-\ln p(s) - \ln 2$, which is 0.16 instead of 0.86.
#
# For the gradient, $\nabla \ln p_\theta(s)$ is $\nabla \ln q(s)$ times the share that $q(s)$ has in the sum
# $q(s) + q(-s)$, plus $\nabla \ln q(-s)$ times the share of $q(-s)$. So the batch holds both the draws and their
# mirror images, and the weights carry the shares. (The weights have a factor of 2, since the library divides by the
# number of images, which is now 500.) The draws are those of $q$ alone, because a state and its mirror image have the
# same $R$ and the same $\nabla \ln p_\theta$.


# %%
def parts(model, images):
    """ln p of the mixture (N,), and the shares of an image and of its mirror image in it, (N,) each."""
    ln_q = model.log_prob(images)
    ln_mirrored = model.log_prob(1 - images)
    ln_sum = np.logaddexp(ln_q, ln_mirrored)
    return ln_sum - np.log(2), np.exp(ln_q - ln_sum), np.exp(ln_mirrored - ln_sum)


model = mp.models.PixelCNN((4, 4, 1), 2, hidden=16, blocks=1, first_kernel=7, rng=SEED)
optimizer = mp.optim.Adam(mp.optim.cosine_decay(5e-3, STEPS, warmup=STEPS // 20), beta2=0.99)
for step in range(STEPS):
    images = model.sample(250, rng=np.random.SeedSequence([SEED, step]))
    ln_mixture, share, mirrored_share = parts(model, images)
    R = BETA * energy(images) + ln_mixture
    weights = -2 * np.concatenate([(R - R.mean()) * share, (R - R.mean()) * mirrored_share])
    both = np.concatenate([images, 1 - images])
    _, gradients = model.value_and_gradients(both, weights=weights)
    optimizer.step(model, gradients)

# %%
ln_mixture = parts(model, every_state)[0]
reverse = (np.exp(ln_mixture) * (ln_mixture - ln_p)).sum()
two_states = -ln_p.max() - np.log(2)
print(f"reverse divergence {reverse:.4f}; of a mixture that has only two states: {two_states:.4f}")
assert np.isclose(np.exp(ln_mixture).sum(), 1, atol=1e-5)
assert np.allclose(ln_mixture, ln_mixture[::-1], atol=1e-5)  # state 65535 - n is the mirror image of state n
if not QUICK:
    assert reverse < two_states + 0.01

# %% [markdown]
# ## Exercise 5
# > Take the annealed model, and a collapsed one that always draws "all up". From draws and their importance weights
# > estimate the mean energy of the magnet, and compare with the exact one. Which model is right? Could you have known
# > it from the weights, or from the draws?
#
# The mean energy of the magnet is $\sum_n w_n E_n / \sum_n w_n$ over draws of a model, with $w = e^{-R}$. The
# collapsed model is written down rather than trained: all its draws are the state "all up", with $\ln q = 0$. It
# answers -32 with the best effective sample size there is, and is wrong; the annealed model is right. The weights of
# the collapsed model cannot show the mistake, because they compare only states that were drawn. Its draws can:
# nothing in the magnet prefers up to down, so draws that all point up are suspicious, and draws that are all the same
# are more so.

# %%
N = 500 if QUICK else 4000
annealed = mp.models.PixelCNN((4, 4, 1), 2, hidden=16, blocks=1, first_kernel=7, rng=SEED)
optimizer = mp.optim.Adam(mp.optim.cosine_decay(5e-3, STEPS, warmup=STEPS // 20), beta2=0.99)
for step in range(STEPS):
    beta = BETA * min(1, 2 * (step + 1) / STEPS)
    images = annealed.sample(250, rng=np.random.SeedSequence([SEED, step]))
    R = beta * energy(images) + annealed.log_prob(images)
    _, gradients = annealed.value_and_gradients(images, weights=-(R - R.mean()))
    optimizer.step(annealed, gradients)

# %%
images = annealed.sample(N, rng=np.random.SeedSequence([SEED, STEPS]))
collapsed = np.ones((N, 4, 4, 1), np.uint8)
draws = {"annealed": (images, annealed.log_prob(images)), "collapsed": (collapsed, np.zeros(N))}
exact = (np.exp(ln_p) * energies).sum()
estimates = {}
for name, (states, ln_q) in draws.items():
    E = energy(states)
    R = BETA * E + ln_q
    shares = np.exp(-R - logsumexp(-R))
    estimates[name] = (shares * E).sum()
    up = (states.mean(axis=(1, 2, 3)) > 0.5).mean()
    print(f"{name:10}: mean energy {estimates[name]:.3f} (exact {exact:.3f}), {up:.1%} of the draws point up")
assert np.isclose(estimates["collapsed"], -32)
assert abs(estimates["collapsed"] - exact) > 0.5
if not QUICK:
    assert abs(estimates["annealed"] - exact) < 0.2
