# %% [markdown]
# # 24 The Ising model
#
# - *You will* train a PixelCNN without a single picture, on an energy alone, and compare it with the exact answer,
#   which you get by adding up all 65,536 states of a small magnet.
# - *Reads* `minipixel/models/base.py` (`value_and_gradients`); D. Wu, L. Wang, P. Zhang, "Solving Statistical
#   Mechanics Using Variational Autoregressive Networks", 2019, [arXiv:1809.10606](https://arxiv.org/abs/1809.10606),
#   pages 1 to 3.
# - *Before* [lesson 03](03_pixelcnn_in_60_lines.py) for the training loop, and
#   [lesson 04](04_train_sample_look.py) for drawing. No physics is needed.
# - *Takes* about half a minute to run on two cores, and 30 minutes to read.
#
# Until now somebody gave us pictures, and the model made them likely. Suppose that nobody has any pictures. All that
# you have is a rule that says how good a picture is: a number for each, the lower the better. Can a PixelCNN learn to
# draw what the rule calls good, each picture as often as the rule says? This lesson answers yes, for the best known
# rule of this kind, a magnet of little arrows. It also shows what a model can miss when it is trained in this way,
# and how to avoid that.

# %%
import os

import numpy as np
from drawings import lesson_24
from scipy.special import logsumexp
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn
STEPS = 40 if QUICK else 400
BATCH = 250

# %% [markdown]
# ## A magnet
#
# A magnet is a grid of arrows, called **spins**. Each of them points up or down: $s_i = +1$ or $s_i = -1$. Neighbours
# prefer to agree, and the **energy** counts how well they do: each pair of neighbours that agree adds -1 to it, and
# each pair that do not adds +1.
#
# $$E(s) = -\sum_{\text{neighbours } i, j} s_i \, s_j$$
#
# So that no spin is special, the grid has no border: the right neighbour of the last column is the first column, and
# below the last row comes the first row. This is the **Ising model** of two dimensions. A whole pattern of spins is
# called a *state*.
#
# A spin is a pixel of two levels, and so a state is a picture: level 1 is up, level 0 is down. `np.roll` moves all
# columns by one, around the edge. It puts each spin's left neighbour into the place of the spin, and so counts each
# pair once.


# %%
def spins(images):
    """Levels 0 and 1 as spins -1 and +1: (N, H, W, 1) -> (N, H, W)."""
    return 2.0 * images[..., 0] - 1


def energy(images):
    """The energy of each magnet: (N, H, W, 1) -> (N,)."""
    s = spins(images)
    left = np.roll(s, 1, axis=2)
    above = np.roll(s, 1, axis=1)
    return -(s * left + s * above).sum(axis=(1, 2))


# %% [markdown]
# Our magnet has 4 x 4 spins, and therefore $2^{16} = 65{,}536$ states. (It has 32 pairs of neighbours.) A computer
# can hold all states, and this is why we chose so small a magnet: everything that is approximate below will be
# compared with a sum over all of them. The binary digits of the numbers 0 to 65,535 are the states.

# %%
H = 4
W = 4
numbers = np.arange(2 ** (H * W))
digits = (numbers[:, None] >> np.arange(H * W)) & 1  # (65536, 16): digit k of each number
every_state = digits.reshape(-1, H, W, 1).astype(np.uint8)
energies = energy(every_state)
print(f"{len(every_state)} states, energies from {energies.min():.0f} to {energies.max():.0f}")
print(f"{(energies == energies.min()).sum()} states have the lowest energy: all spins up, and all spins down")

# %% [markdown]
# ## How often is each state seen?
#
# In a warm magnet the spins flip all the time, and each state is seen now and then. The **Boltzmann distribution**
# says how often:
#
# $$p(s) = \frac{e^{-\beta E(s)}}{Z}, \qquad Z = \sum_s e^{-\beta E(s)}$$
#
# The number $\beta$ is the **inverse temperature**. At $\beta = 0$ the magnet is so hot that all states are equally
# likely; the larger $\beta$, the colder the magnet, and the more the states of low energy are preferred. $Z$, the
# **partition function**, is what makes the probabilities sum to 1.
#
# The difficulty lies in $Z$. Here it is a sum of 65,536 numbers. For 16 x 16 spins it is a sum of $10^{77}$ numbers,
# which no computer will ever finish. Most of what one wants to know of a magnet follows from $Z$, usually by way of
# the **free energy** $F = -\ln Z / \beta$. The function `logsumexp` adds up exponentials and returns the logarithm of
# the sum, without ever holding a number that is too large.


# %%
def ln_z(beta):
    """The logarithm of the partition function, by adding up all states."""
    return logsumexp(-beta * energies)


def exact_log_p(beta):
    """ln p(s) of every state: (65536,)."""
    return -beta * energies - ln_z(beta)


for beta in (0.2, 0.44, 0.6):
    free_energy = -ln_z(beta) / beta
    print(f"beta {beta:4}: free energy per spin {free_energy / (H * W):.10f}")
    assert np.isclose(np.exp(exact_log_p(beta)).sum(), 1)

# %% [markdown]
# Because all probabilities are known, we can draw from the exact distribution: `rng.choice` takes the list of them.
# The **magnetisation** of a state is the mean of its spins: 1 if all are up, -1 if all are down, 0 if as many are up
# as are down.

# %%
rng = np.random.default_rng(SEED)
magnetisation = spins(every_state).mean(axis=(1, 2))
draws = {}
for beta in (0.1, 0.44, 0.6):
    chosen = rng.choice(len(every_state), 12, p=np.exp(exact_log_p(beta)))
    draws[beta] = every_state[chosen]
probabilities = {beta: np.exp(exact_log_p(beta)) for beta in draws}
caption = "Above: exact draws. Below: how often each magnetisation occurs. In the cold magnet nearly all spins agree."
show(lesson_24.exact(draws, probabilities, magnetisation), "24_exact", caption)

# %% [markdown]
# The hot magnet looks like noise. The cold magnet is nearly all up or nearly all down, and both are equally likely,
# because turning over all spins changes no energy. In the last plot the probability stands on two hills, one at each
# end. These two hills will cause trouble below.
#
# ## A goal without pictures
#
# We want a model $q$ with $q(s) = p(s)$. How far are two distributions apart? The usual measure is the
# **Kullback-Leibler divergence** (KL). It is never below 0, and it is 0 only if both are equal. It is not symmetric,
# so there are two of them:
#
# $$\text{forward:} \quad \sum_s p(s) \ln \frac{p(s)}{q(s)} \qquad\qquad
#   \text{reverse:} \quad \sum_s q(s) \ln \frac{q(s)}{p(s)}$$
#
# The forward divergence averages over draws from $p$. If $p$ is the source of the data, to make it small is maximum
# likelihood: the only part that depends on $q$ is the mean of $-\ln q(s)$ over the data. That is what all lessons up
# to here did. But now we have no draws from $p$. The reverse divergence averages over draws from $q$, and those are
# easy to get: $q$ is a PixelCNN, so we let it draw. We put in $\ln p(s) = -\beta E(s) - \ln Z$:
#
# $$\sum_s q(s) \ln \frac{q(s)}{p(s)} = \underbrace{\sum_s q(s) \, R(s)}_{\text{the mean of R}} + \ln Z,
#   \qquad R(s) = \beta E(s) + \ln q(s)$$
#
# The unknown $\ln Z$ does not depend on the model. So it is enough to make the mean of $R$ small, and both parts of
# $R$ are known for every state that the model draws: the rule gives $E$, and the model gives $\ln q$. The first part
# asks for low energies, the second for many different states. Since a divergence is never below 0, the mean of $R$ is
# never below $-\ln Z$. So even a model that is not yet good gives an upper bound of $-\ln Z$, and with it of the free
# energy. The diagram shows the two goals side by side.

# %%
caption = "Above: training on pictures. Below: training on an energy; the model itself draws its training states."
show(lesson_24.two_goals(), "24_two_goals", caption)

# %% [markdown]
# ## The gradient of an average over one's own draws
#
# The mean of $R$ depends on the weights $\theta$ twice: they are in $R$, and they decide what is drawn. We write it
# as a sum over all states and use the product rule:
#
# $$\nabla \sum_s q(s) R(s) = \sum_s R(s) \, \nabla q(s) + \sum_s q(s) \, \nabla R(s)$$
#
# Two facts make this short. The first is $\nabla q(s) = q(s) \, \nabla \ln q(s)$. The second is
# $\sum_s \nabla q(s) = \nabla 1 = 0$, because the probabilities sum to 1 whatever the weights are. The energy does
# not depend on the weights, so in the last sum $\nabla R$ is $\nabla \ln q$. By the first fact that sum is
# $\sum_s \nabla q(s)$, and by the second it is 0. By the second fact we may also subtract any constant $b$ from $R$.
# What remains is
#
# $$\nabla \sum_s q(s) R(s) = \sum_s q(s) \, \big(R(s) - b\big) \, \nabla \ln q(s)$$
#
# This is called **REINFORCE**: draw states, and make each of them more or less likely, depending on how good it
# turned out to be. The constant is called a **baseline**. With the mean of $R$ as baseline, states that are better
# than average become likelier, and the others become less likely.
#
# We check this formula on a magnet of 2 x 2 spins, which has only 16 states, so that we can add up all of them and
# need no draws. `value_and_gradients` gives the gradient of $\frac{1}{N} \sum_n w_n \cdot (-\ln q_n)$. With the 16
# states as images and $w_n = -N \, q_n \, (R_n - b)$ that is the formula above.

# %%
few_states = ((np.arange(16)[:, None] >> np.arange(4)) & 1).reshape(16, 2, 2, 1)
tiny = mp.models.PixelCNN((2, 2, 1), 2, hidden=2, blocks=1, first_kernel=3, dtype="float64", rng=SEED)


def mean_r():
    """The mean of R for the 2 x 2 magnet at beta = 0.44, as a sum over its 16 states."""
    ln_q = tiny.log_prob(few_states)
    return (np.exp(ln_q) * (0.44 * energy(few_states) + ln_q)).sum()


def gradient_by_formula(baseline):
    """The gradient of that mean: a dictionary of arrays."""
    ln_q = tiny.log_prob(few_states)
    R = 0.44 * energy(few_states) + ln_q
    weights = -16 * np.exp(ln_q) * (R - baseline)
    _, gradients = tiny.value_and_gradients(few_states, weights=weights)
    return gradients


# %% [markdown]
# A slope can also be found by trying, as in lesson 06: move all weights a little in some direction, forth and back,
# and see how much the mean of $R$ changes. The change per step must be the inner product of the gradient and the
# direction, whatever the baseline is.

# %%
start = tiny.state_dict()
direction = {name: rng.normal(size=weight.shape) for name, weight in start.items()}
step_size = 1e-5
moved = {}
for sign in (-1, 1):
    tiny.load_state_dict({name: start[name] + sign * step_size * direction[name] for name in start})
    moved[sign] = mean_r()
tiny.load_state_dict(start)
slope_by_trying = (moved[1] - moved[-1]) / (2 * step_size)

middle = mean_r()
slopes = {}
for baseline in (0.0, middle, 100.0):
    gradients = gradient_by_formula(baseline)
    slopes[baseline] = sum((gradients[name] * direction[name]).sum() for name in start)
    print(f"baseline {baseline:8.3f}: slope by the formula {slopes[baseline]:+.8f}")
print(f"by trying:          slope                {slope_by_trying:+.8f}")

# %% [markdown]
# All four numbers agree. So the baseline does not change the mean of the gradient. What it changes is how much an
# estimate from a few draws scatters around that mean, and that is why one is used. The next cell computes the exact
# scatter: the mean of the squared length of $(R - b) \nabla \ln q$ over all states.

# %%
scatter = {}
for baseline in (0.0, middle, 100.0):
    total = 0.0
    for state, ln_q in zip(few_states, tiny.log_prob(few_states), strict=True):
        R = 0.44 * energy(state[None])[0] + ln_q
        _, gradients = tiny.value_and_gradients(state[None], weights=np.array([-(R - baseline)]))
        squared_length = sum((gradient**2).sum() for gradient in gradients.values())
        total += np.exp(ln_q) * squared_length
    scatter[baseline] = total
    print(f"baseline {baseline:8.3f}: mean squared length of a single draw's gradient {total:12.3f}")

# %% [markdown]
# With the mean of $R$ as baseline the gradient of a single draw scatters least of the three. With a useless baseline
# of 100 it scatters far more than without any.
#
# ## Training
#
# Now we train on the magnet of 4 x 4 spins, at $\beta = 0.6$. The first kernel is 7 wide and high, so that each spin
# sees all spins before it, even its neighbours across the edge. Each step draws 250 states, finds how good each is,
# and takes one step of Adam. The baseline is the mean of $R$ over these draws. (Each draw is a part of it, and so it
# is not quite a constant; this makes the mean of the gradient shorter by one part in 250, and does no other harm.)
# The learning rate rises for a few steps and then falls along a cosine. `SeedSequence([SEED, step])` gives every step
# random numbers of its own, the same each time the lesson runs.
#
# One thing is new. The inverse temperature does not start at 0.6. It starts near 0, where all states are equally
# likely, and rises during the first half of the steps, as if the magnet cooled down. This is called **annealing**. We
# write the loop so that it can be switched off, and train a second model at $\beta = 0.6$ from the start, to see what
# annealing is good for.

# %%
BETA = 0.6


def train(annealed):
    """A model that was trained on the energy alone; and for each step its beta and the mean of R over the draws."""
    model = mp.models.PixelCNN((H, W, 1), 2, hidden=16, blocks=1, first_kernel=7, rng=SEED)
    rate = mp.optim.cosine_decay(5e-3, STEPS, warmup=STEPS // 20)
    optimizer = mp.optim.Adam(rate, beta2=0.99)  # old gradients are soon forgotten: the goal moves
    betas = []
    means = []
    for step in range(STEPS):
        progress = (step + 1) / STEPS
        beta = BETA * min(1, 2 * progress) if annealed else BETA
        images = model.sample(BATCH, rng=np.random.SeedSequence([SEED, step]))
        R = beta * energy(images) + model.log_prob(images)
        _, gradients = model.value_and_gradients(images, weights=-(R - R.mean()))
        optimizer.step(model, gradients)
        betas.append(beta)
        means.append(R.mean())
    return model, np.array(betas), np.array(means)


# %%
models = {}
betas = {}
means = {}
for name in ("annealed", "cold from the start"):
    annealed = name == "annealed"
    models[name], betas[name], means[name] = train(annealed)
    print(f"{name:20}: mean of R in the last step {means[name][-1]:.4f}, exact -ln Z {-ln_z(BETA):.4f}")

# %% [markdown]
# In each step, the mean of $R$ plus the exact $\ln Z$ of that step's $\beta$ is an estimate of the reverse
# divergence. As an average over 250 draws it may lie a little too high or too low, and even below 0. The figure shows
# it during the training.

# %%
divergences = {}
for name in models:
    exact = np.array([ln_z(beta) for beta in betas[name]])
    divergences[name] = means[name] + exact
caption = "How far each model is from the magnet at the beta of that step. One stays near 0; the other stops at 0.86."
show(lesson_24.on_the_way(divergences, betas), "24_on_the_way", caption)

# %% [markdown]
# ## All 65,536 probabilities
#
# With 16 pixels we can ask a model for the probability of every state. We do so for both, and compare with the exact
# probabilities: both divergences, and the share of the states in which most spins point up.

# %%
exact_p = np.exp(exact_log_p(BETA))
log_q = {}
results = {}
print("                      sum of q   reverse KL   forward KL   mostly up   mostly down")
for name, model in models.items():
    log_q[name] = model.log_prob(every_state)
    q = np.exp(log_q[name])
    reverse = (q * (log_q[name] - exact_log_p(BETA))).sum()
    forward = (exact_p * (exact_log_p(BETA) - log_q[name])).sum()
    up = q[magnetisation > 0].sum()
    down = q[magnetisation < 0].sum()
    results[name] = {"sum": q.sum(), "reverse": reverse, "forward": forward, "up": up, "down": down}
    print(f"{name:20} {q.sum():9.6f} {reverse:12.4f} {forward:12.2f} {up:11.3f} {down:13.3f}")

caption = "A dot for each state, and a circle at the model's likeliest. On the line the model's ln q is the exact ln p."
show(lesson_24.every_probability(exact_log_p(BETA), log_q), "24_every_state", caption)

# %% [markdown]
# The annealed model is right about every state that matters: its dots lie along the line. The other model has learnt
# a single state, all spins up or all spins down, depending on the seed, and gives this one nearly the whole
# probability. What does such a model cost? If $q(s) = 1$ for one state, the reverse divergence is $-\ln p(s)$.

# %%
one_state = -exact_log_p(BETA)[energies.argmin()]
print(f"a model that always draws one state of lowest energy has the reverse divergence {one_state:.4f}")

# %% [markdown]
# That is the 0.86 at which the curve stopped. Draws cannot help this model any further: all of them are the same, so
# all $R$ are equal, the weights $R - \bar R$ are all 0, and the gradient is 0. A state that is never drawn never gets
# a gradient. This is called **mode collapse**. Its price in the reverse divergence is small, while the forward
# divergence, which asks how the model explains all the states of the magnet, is above 50 nats for every seed that we
# tried. So the two goals fail in different ways. Maximum likelihood punishes a model for what it leaves out. The
# reverse goal punishes it only for drawing what it should not.
#
# Annealing avoids this. At small $\beta$ there is one broad hill, which the model covers easily. While it splits in
# two, the model goes on drawing from both. Nothing guarantees that, however, so one has to check that it worked.
# [docs/goals.md](../docs/goals.md) and `examples/ising.py` go one step further, and build the symmetry of up and down
# into the model. You will do that in exercise 4.
#
# ## Free energy from draws
#
# For a large magnet there is no table of exact probabilities. What can be learnt from draws alone? The mean of $R$
# over draws is an upper bound of $-\ln Z$, up to the noise of the draws. It can be corrected. Since
# $e^{-R(s)} = e^{-\beta E(s)} / q(s)$, the mean of this over draws from $q$ is
# $\sum_s q(s) \, e^{-\beta E(s)} / q(s) = Z$, for every $q$ that gives each state some probability. The numbers
# $w = e^{-R}$ are called **importance weights**: they say how much each draw counts for the magnet. If they are very
# unequal, a few draws count for nearly all. The **effective sample size**, $(\sum w)^2 / \sum w^2$, says how many
# equally weighted draws would be worth as much.

# %%
N = 500 if QUICK else 4000
per_spin = 1 / (BETA * H * W)
estimates = {}
print(f"free energy per spin, exactly {-ln_z(BETA) * per_spin:.5f}")
for name, model in models.items():
    images = model.sample(N, rng=np.random.SeedSequence([SEED, STEPS]))
    R = BETA * energy(images) + model.log_prob(images)
    bound = R.mean() * per_spin
    corrected = -(logsumexp(-R) - np.log(N)) * per_spin
    shares = np.exp(-R - logsumexp(-R))
    effective = 1 / (shares**2).sum()
    estimates[name] = {"bound": bound, "corrected": corrected, "effective": effective / N}
    print(f"{name:20}: bound {bound:.5f}, corrected {corrected:.5f}, effective sample size {effective:.0f} of {N}")

# %% [markdown]
# The corrected estimate of the annealed model is right to less than one part in a thousand. The second line is a
# warning. A model that always draws one state has equal weights, and so the best possible effective sample size,
# although it is wrong. Draws say nothing about states that are never drawn. Only an exact answer, or another model,
# can show that they are missing.
#
# ## What you should see

# %%
assert np.isclose(-ln_z(0.44) / (0.44 * 16), -2.2023759288, atol=1e-10)  # as the transfer matrix gives it
assert (energies == -32).sum() == 2
assert np.allclose(list(slopes.values()), slope_by_trying, rtol=1e-5)
assert scatter[middle] < scatter[0.0] < scatter[100.0]
for name in models:
    assert np.isclose(results[name]["sum"], 1, atol=1e-5)  # both are distributions, good or bad
    assert results[name]["reverse"] > 0
    assert estimates[name]["bound"] > -ln_z(BETA) * per_spin - 0.02
if not QUICK:
    assert results["annealed"]["reverse"] < 0.02
    assert abs(results["annealed"]["up"] - results["annealed"]["down"]) < 0.05
    assert abs(results["cold from the start"]["reverse"] - one_state) < 0.01
    assert results["cold from the start"]["forward"] > 50
    assert abs(estimates["annealed"]["corrected"] / (-ln_z(BETA) * per_spin) - 1) < 0.001
    assert estimates["annealed"]["effective"] > 0.9

# %% [markdown]
# ## Exercises
#
# Solutions: [solutions/24_the_ising_model.py](solutions/24_the_ising_model.py).
#
# 1. *easy* Let neighbours dislike each other: change the sign of the energy. What are the states of lowest energy now?
#    Show that the free energy of the 4 x 4 magnet is the same as before, and say why.
# 2. *easy* Let $q$ be a model of independent spins, each up with the probability $m$. Write the mean of $R$ as a
#    formula, compute it over $m$ for several $\beta$, and find the $\beta$ at which one minimum becomes two.
# 3. *medium* For how large a magnet can $Z$ be computed? Do it row by row: multiply matrices that have an entry for
#    every two states of a row. Compare with the sum over all states for 4 x 4, and give the free energy per spin for
#    6 x 6 at $\beta = 0.44$.
# 4. *medium* Build the symmetry in: $p_\theta(s) = \frac{1}{2} (q(s) + q(-s))$. Train it at $\beta = 0.6$ from the
#    start. What is its reverse divergence if $q$ still collapses to one state?
# 5. *hard* Take the annealed model, and a collapsed one that always draws "all up". From draws and their importance
#    weights estimate the mean energy of the magnet, and compare with the exact one. Which model is right? Could you
#    have known it from the weights, or from the draws?
