# %% [markdown]
# # The Ising model, learnt without data
#
# - *You will* train a PixelCNN on nothing but an energy, and read the free energy of a magnet off it.
# - *Source* D. Wu, L. Wang, P. Zhang, "Solving Statistical Mechanics Using Variational Autoregressive Networks", 2019,
#   arXiv:1809.10606.
# - *Takes* a minute on two cores for 6x6 spins, some minutes for 16x16:
#   `ISING_SIZE=16 ISING_BETA=0.44 python examples/ising.py`

# %%
import json
import os
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.special import logsumexp

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
L = int(os.environ.get("ISING_SIZE", "4" if QUICK else "6"))
BETA = float(os.environ.get("ISING_BETA", "0.44"))  # an infinite magnet is ordered above ln(1 + sqrt 2) / 2 = 0.4407
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
STEPS = 60 if QUICK else 400 if L <= 8 else 900
BATCH = 250
OUT = Path(os.environ.get("ISING_OUT", f"runs/ising-{L}x{L}-{BETA:g}"))

# %% [markdown]
# ## The magnet
# Spins $s_i = \pm 1$ on an $L \times L$ grid whose opposite edges touch; neighbours like to agree:
# $E(s) = -\sum_{\langle ij \rangle} s_i s_j$. At inverse temperature $\beta$ a state has the probability
# $e^{-\beta E(s)} / Z$, and all thermodynamics is in the free energy $F = -\ln Z / \beta$. $Z$ is a sum over
# $2^{L^2}$ states: $10^{77}$ of them for 16x16. A spin is a pixel of two levels: $s = 2x - 1$.


# %%
def spins(images):
    """Pixels 0 and 1 as spins -1 and 1: (N, L, L, 1) -> (N, L, L)."""
    return 2.0 * images[..., 0] - 1


def energy(images):
    """Every spin with its right and its lower neighbour, round the edges: (N, L, L, 1) -> (N,)."""
    s = spins(images)
    return -(s * (np.roll(s, 1, axis=1) + np.roll(s, 1, axis=2))).sum(axis=(1, 2))


# %% [markdown]
# ## The exact answer, twice
# *Row by row*: $Z$ is the trace of the $L$-th power of a matrix that has an entry for every two states of a row; for
# $L = 6$ that is 64x64. *In closed form* (B. Kaufman, "Crystal statistics II", 1949): $Z$ is half the sum of four
# products of $L$ factors each, for any $L$.


# %%
def ln_z_by_rows(size, beta):
    """ln Z from the transfer matrix (2^L, 2^L), made symmetric."""
    row = 2.0 * (np.arange(2**size)[:, None] >> np.arange(size) & 1) - 1
    within = (row * np.roll(row, 1, axis=1)).sum(axis=1)
    matrix = np.exp(beta * (row @ row.T + (within[:, None] + within) / 2))
    eigenvalues = np.abs(np.linalg.eigvalsh(matrix))
    return logsumexp(size * np.log(eigenvalues[eigenvalues > 0]))


def ln_z_by_kaufman(size, beta):
    """ln Z from Kaufman's formula: products over odd and over even l of 2 cosh and of 2 sinh of L gamma_l / 2."""
    a = np.sinh(2 * beta)
    angle = np.pi * np.arange(2 * size) / size
    above_1 = (a - 1) ** 2 / a + 2 * np.sin(angle / 2) ** 2  # cosh gamma_l = 1 + this
    gamma = 2 * np.arcsinh(np.sqrt(above_1 / 2))
    gamma[0] = 2 * beta + np.log(np.tanh(beta))  # the one that may be negative: above the critical temperature
    half = size * gamma / 2
    sign = np.where(half < 0, -1.0, 1.0)
    ln_cosh = np.abs(half) + np.log1p(np.exp(-2 * np.abs(half)))
    ln_sinh = np.abs(half) + np.log(-np.expm1(-2 * np.abs(half)))
    parts = [part[first::2].sum() for first in (1, 0) for part in (ln_cosh, ln_sinh)]
    return size**2 / 2 * np.log(2 * a) - np.log(2) + logsumexp(parts, b=[1, 1, 1, sign[0]])


def free_energy_per_site(size, beta):
    return -ln_z_by_kaufman(size, beta) / (beta * size**2)


for beta in (0.2, 0.44, 0.8):
    rows, kaufman = ln_z_by_rows(6, beta), ln_z_by_kaufman(6, beta)
    print(
        f"beta {beta}: free energy per site {-rows / (beta * 36):.10f}, at 16x16 {free_energy_per_site(16, beta):.10f}"
    )
    assert abs(rows / kaufman - 1) < 1e-12

# %% [markdown]
# ## A distribution with the magnet's symmetry
# A PixelCNN $q$ gives every state a probability. Turn all spins over, and the energy is the same; a $q$ that has learnt
# one sign only would look fine, since half of $Z$ is just $\ln 2 / (\beta L^2)$ away. So let $p_\theta$ be an equal
# mixture of $q$ and its mirror image: $\ln p_\theta(s) = \ln\big(q(s) + q(-s)\big) - \ln 2$. To draw: draw from $q$,
# and turn all spins over by the toss of a coin.
#
# The first kernel is $2L - 1$ wide: every spin sees all spins before it, and so the neighbour across the edge, too.

# %%
model = mp.models.PixelCNN((L, L, 1), 2, hidden=16, blocks=1, first_kernel=2 * L - 1, rng=SEED)


def mixture(images):
    """The images and their mirror images (2N, L, L, 1), ln p (N,), and what share of p each of both has, (2N,)."""
    both = np.concatenate([images, 1 - images])
    ln_q = model.log_prob(both).reshape(2, -1)
    ln_sum = np.logaddexp(*ln_q)
    return both, ln_sum - np.log(2), np.exp(ln_q - ln_sum).ravel()


# %% [markdown]
# ## The gradient
# $\beta F_\theta = \langle \beta E + \ln p_\theta \rangle$, averaged over the model's own draws, is never below
# $\beta F$, and equals it for the magnet's own distribution. Its gradient, by REINFORCE, is
# $\langle (R - \bar R)\, \nabla \ln p_\theta \rangle$ with $R = \beta E + \ln p_\theta$: likelier are made those that
# did better than average. And $\nabla \ln p_\theta(s)$ is $\nabla \ln q(s)$ times the share of $q(s)$, plus
# $\nabla \ln q(-s)$ times the share of $q(-s)$. `value_and_gradients` wants the weights $w_n$ of
# $\frac{1}{2N} \sum_n w_n \cdot (-\ln q_n)$: both are in it. All of them sum to zero, about half are negative.
#
# $\beta$ rises from 0, where all states are alike, through the first half of the steps. That is how the model finds its
# way: begun at $\beta$, it would learn one sort of state and never see another.

# %%
optimizer = mp.optim.Adam(mp.optim.cosine_decay(5e-3, STEPS, warmup=STEPS // 20), beta2=0.99)
began, seconds = time.perf_counter(), time.process_time()
path = []
for step in range(STEPS):
    beta = BETA * min(1, 2 * (step + 1) / STEPS)
    images = model.sample(BATCH, rng=np.random.SeedSequence([SEED, step]))
    both, ln_p, shares = mixture(images)
    R = beta * energy(images) + ln_p
    weights = -2 * np.tile(R - R.mean(), 2) * shares
    _, gradients = model.value_and_gradients(both, weights=weights)
    optimizer.step(model, gradients)
    path.append((beta, R.mean() / (beta * L**2), R.var()))
    if (step + 1) % (STEPS // 10) == 0:
        print(
            f"step {step + 1:4}  beta {beta:.3f}  free energy per site {path[-1][1]:.5f}  variance of R {R.var():.3f}"
        )
seconds = time.process_time() - seconds

# %% [markdown]
# ## What it has learnt
# `variational` is an upper bound, $\langle R \rangle / (\beta L^2)$. `reweighted` puts right what is left, draw by
# draw: $Z = \langle e^{-R} \rangle$ over the draws, exact for infinitely many. It can be trusted as far as the
# effective sample size goes, $(\sum w)^2 / (N \sum w^2)$ with $w = e^{-R}$: how many draws of the magnet itself a draw
# of the model is worth.

# %%
N = 500 if QUICK else 5000
images = model.sample(N, rng=np.random.SeedSequence([SEED, STEPS]))
_, ln_p, _ = mixture(images)
R = BETA * energy(images) + ln_p
exact = free_energy_per_site(L, BETA)
coins = np.random.default_rng(SEED).choice([-1, 1], N)
magnetisation = coins * spins(images).mean(axis=(1, 2))
of_magnet = np.exp(-R - logsumexp(-R))  # what each draw counts in an average over the magnet
figures = {
    "size": L,
    "beta": BETA,
    "exact": exact,
    "variational": R.mean() / (BETA * L**2),
    "standard_error": R.std() / np.sqrt(N) / (BETA * L**2),
    "reweighted": -(logsumexp(-R) - np.log(N)) / (BETA * L**2),
    "effective_sample_size": 1 / (N * (of_magnet**2).sum()),
    "variance": R.var(),
    "mean_magnetisation": magnetisation.mean(),
    "mean_absolute_magnetisation": np.abs(magnetisation).mean(),
    "absolute_magnetisation_reweighted": np.abs(magnetisation) @ of_magnet,
    "share_up": (magnetisation > 0).mean() + (magnetisation == 0).mean() / 2,
    "mean_magnetisation_without_coins": spins(images).mean(),
    "steps": STEPS,
    "batch": BATCH,
    "weights": model.num_parameters,
    "processor_seconds": seconds,
    "wall_seconds": time.perf_counter() - began,
}
for name, value in figures.items():
    print(f"{name:35}{value:12.6g}")
for name in ("variational", "reweighted"):
    print(f"{name}: {100 * abs(figures[name] / exact - 1):.4f} % from the exact free energy")

# %%
figure = Figure((11, 3.6), layout="constrained")
left, middle, right = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
betas, found, _ = np.array(path).T
shown = betas > BETA / 8
left.plot(betas[shown], found[shown], ".", color=mp.plots.CENTRE, markersize=4, label="the model, on its way")
curve = np.linspace(BETA / 8, BETA, 200)
left.plot(curve, [free_energy_per_site(L, beta) for beta in curve], color=mp.plots.INK, linewidth=1.2, label="exact")
left.set(xlabel="inverse temperature", ylabel="free energy per site", title=f"{L}x{L} spins")
left.legend(frameon=False)
rows, columns = (3, 4) if L > 8 else (4, 6)
flipped = np.where(coins[:, None, None] < 0, -spins(images), spins(images))[: rows * columns]
tiles = np.pad(flipped, ((0, 0), (1, 1), (1, 1))).reshape(rows, columns, L + 2, L + 2)
middle.imshow(tiles.transpose(0, 2, 1, 3).reshape(rows * (L + 2), -1), cmap="cividis", vmin=-1, vmax=1)
middle.set(title=f"drawn at {BETA:g}, independently")
middle.axis("off")
width = 2 * (L**2 // 72) + 1  # how many of the values of a magnetisation fall into a bar: an odd number, one bar at 0
edges = np.arange(width, L**2 + 2 * width, 2 * width) / L**2
bins = np.concatenate([-edges[::-1], edges])
right.hist(magnetisation, bins, density=True, color=mp.plots.OPEN, alpha=0.6, label="the model")
right.hist(
    magnetisation, bins, density=True, weights=of_magnet, histtype="step", color=mp.plots.INK, label="reweighted"
)
right.set(xlabel="magnetisation", title="both signs")
right.legend(frameon=False)
OUT.mkdir(parents=True, exist_ok=True)
figure.savefig(OUT / "ising.png")
model.save(OUT / "model.safetensors")
print(f"[figure: {OUT / 'ising.png'}]")

# %% [markdown]
# ## What you should see
# The free energy is right within 0.2 %, the effective sample size is above a tenth, and as many magnets point up as
# down.

# %%
if not QUICK:
    assert figures["variational"] > exact - 4 * figures["standard_error"]
    assert abs(figures["variational"] / exact - 1) < 0.002 and abs(figures["reweighted"] / exact - 1) < 0.002
    assert figures["effective_sample_size"] > 0.1
    assert abs(figures["share_up"] - 0.5) < 0.03 and abs(figures["mean_magnetisation"]) < 0.06
(OUT / "figures.json").write_text(json.dumps({name: float(value) for name, value in figures.items()}, indent=2) + "\n")
