# %% [markdown]
# # Solutions to lesson 16: Logistic mixtures
#
# The lesson is [16 Logistic mixtures](../16_logistic_mixtures.py). Each solution begins with its exercise.

# %%
import os

import numpy as np
from scipy.special import expit, log_expit, softmax

import minipixel as mp
from minipixel.heads import make_head

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"

# %% [markdown]
# ## Exercise 1
# > Prove the identity $\sigma(a) - \sigma(b) = (1 - e^{-d}) \, \sigma(a) \, \sigma(-b)$ with $d = a - b$. What becomes
# > of it in the lowest bin, and in the highest?
#
# Bring the difference to a common denominator:
#
# $$\sigma(a) - \sigma(b) = \frac{1}{1 + e^{-a}} - \frac{1}{1 + e^{-b}}
# = \frac{e^{-b} - e^{-a}}{(1 + e^{-a})(1 + e^{-b})}$$
#
# Take $e^{-b}$ out of the numerator, which leaves $1 - e^{-(a - b)} = 1 - e^{-d}$. And
# $e^{-b} / (1 + e^{-b}) = 1 / (1 + e^{b}) = \sigma(-b)$. So the fraction is
# $(1 - e^{-d}) \, \sigma(a) \, \sigma(-b)$.
#
# In the lowest bin the lower edge goes to minus infinity. Then $d$ goes to infinity and the first factor to 1, the
# third factor $\sigma(-b)$ goes to 1 as well, and $\sigma(a)$ alone is left: the whole left tail. In the highest bin
# $a$ goes to infinity, and $\sigma(-b)$ alone is left. Each factor that holds an edge at infinity is 1, and its
# logarithm is 0.

# %%
rng = np.random.default_rng(SEED)
b = rng.normal(size=1000) * 3
a = b + rng.exponential(size=1000)
three_factors = -np.expm1(-(a - b)) * expit(a) * expit(-b)
assert np.allclose(expit(a) - expit(b), three_factors, rtol=1e-9)

single = make_head("logistic_mixture", 1, 256, mixtures=1)
mean = 0.3
log_scale = -1.0
parameters = np.array([[0.0, mean, log_scale], [0.0, mean, log_scale]])
lowest, highest = single.log_prob(parameters, np.array([[0], [255]]))[:, 0]
edge_of_lowest = (-1 + 1 / 255 - mean) / np.exp(log_scale)
edge_of_highest = (1 - 1 / 255 - mean) / np.exp(log_scale)
assert np.isclose(lowest, log_expit(edge_of_lowest))
assert np.isclose(highest, log_expit(-edge_of_highest))

# %% [markdown]
# ## Exercise 2
# > The threshold takes the density in the middle of the bin times the bin's width where the probability of a level is
# > below $10^{-5}$. Compute its largest error for the log-scales -7, -5, -3 and 0, with 256 levels. For which of them
# > is it 0, and why?
#
# Far out in the tail, the density falls by the factor $e^{-1}$ per scale. Let a bin be $d$ scales wide. The mean of the
# density over the bin is then $\sinh(d/2) / (d/2)$ times the density in its middle. So the threshold is off by
# $\log(d/2) - \log\sinh(d/2)$. This depends on $d$ alone, and is about $-d^2/24$ if $d$ is small. The wider the curve,
# the smaller is $d$.


# %%
def exact_and_threshold(log_scale):
    """log P of all 256 levels but the outermost two, by both ways; the mean stands on level 128."""
    x = np.arange(1, 255) / 127.5 - 1
    a = (x + 1 / 255 - 1 / 255) * np.exp(-log_scale)
    b = (x - 1 / 255 - 1 / 255) * np.exp(-log_scale)
    exact = np.log(-np.expm1(b - a)) + log_expit(a) + log_expit(-b)
    middle = (a + b) / 2
    log_density = log_expit(middle) + log_expit(-middle) - log_scale
    mass = expit(a) - expit(b)
    log_mass = np.log(np.maximum(mass, 1e-12))  # the maximum only keeps NumPy from warning of log 0
    return exact, np.where(mass > 1e-5, log_mass, log_density - np.log(127.5))


errors = {}
for log_scale in (-7.0, -5.0, -3.0, 0.0):
    exact, by_threshold = exact_and_threshold(log_scale)
    errors[log_scale] = np.abs(by_threshold - exact).max()
    d = 2 / 255 * np.exp(-log_scale)
    formula = np.log(np.sinh(d / 2) / (d / 2))
    print(
        f"log-scale {log_scale:4}: bins of {d:6.3f} scales, error {errors[log_scale]:.5f}, formula {formula:.5f} nats"
    )

# %% [markdown]
# At log-scale 0 the error is 0 but for rounding. There no bin has a probability below $10^{-5}$, so the density is
# never used. It is used only far out on a narrow curve, and there the approximation is worst.

# %%
assert np.isclose(errors[-7.0], 2.15, atol=0.01)
assert 0.05 < errors[-5.0] < 0.06
assert errors[-3.0] < 0.0011
assert errors[0.0] < 1e-9

# %% [markdown]
# ## Exercise 3
# > Give a logistic and a normal distribution the same mean and the same standard deviation, and cut both into 256
# > levels (`head="normal_mixture"`). How many bits does a level cost under each, 0, 1, 3 and 5 deviations from the
# > mean? Then train the digits with either head. Does the difference show?
#
# The standard deviation of a logistic is $s \pi / \sqrt{3}$. We give both curves a deviation of 16 levels and ask for
# levels at some distance from the mean. Far out, the cost under a logistic grows in proportion to the distance, and
# under a normal distribution with its square.

# %%
deviation = 16 * 2 / 255  # 16 levels, on the line from -1 to 1
scales = {"logistic_mixture": deviation * np.sqrt(3) / np.pi, "normal_mixture": deviation}
distances = np.array([0, 1, 3, 5])
bits = {}
for name, scale in scales.items():
    head = make_head(name, 1, 256, mixtures=1)
    parameters = np.tile([0.0, 1 / 255, np.log(scale)], (len(distances), 1))
    bits[name] = -head.log_prob(parameters, 128 + 16 * distances[:, None])[:, 0] / np.log(2)
    print(f"{name:17} bits at 0, 1, 3 and 5 deviations:", *bits[name].round(2))
dearer = bits["normal_mixture"] - bits["logistic_mixture"]
assert dearer[0] > 0  # the normal is lower in the middle,
assert dearer[1] < 0  # higher a little further out,
assert 0 < dearer[2] < 2  # and lower in the tails:
assert dearer[3] > 6  # a surprise of 5 deviations costs many bits more

# %% [markdown]
# What does that mean for training? A mixture of five may use a wide component for the surprises, and then the shape of
# a single curve does not matter much. At full length (6 epochs) the seeds 0, 1 and 2 gave the logistics 2.080, 2.057
# and 2.077 bits/dim on the test digits, and the normals 2.066, 2.069 and 2.076. The heads differ by no more than the
# seeds do.

# %%
digits = mp.datasets.load("digits")
images = digits.train.images[:300] if QUICK else digits.train.images
trained = {}
for name in scales:
    model = mp.models.PixelCNN(digits.image_shape, digits.levels, hidden=16, blocks=3, head=name, rng=SEED)
    mp.fit(model, images, epochs=1 if QUICK else 6, batch_size=32, rng=SEED, progress=False)
    trained[name] = model.bits_per_dim(digits.test.images)
    print(f"{name:17} {trained[name]:.3f} bits/dim on test digits")
if not QUICK:
    assert abs(trained["normal_mixture"] - trained["logistic_mixture"]) < 0.05

# %% [markdown]
# ## Exercise 4
# > In the lesson's mixture of three components of red and green, let red be level 20. Draw green by hand. With which
# > weights do the components count now? Compare with `head.draw`.
#
# By Bayes' rule a component counts the more, the better it predicted the red that came. Its new weight is $w_m P_m(R)$,
# divided by the sum of these products over all components. Then the mean of green is moved by $c_0 x_R$, and one
# uniform number is looked up in the CDF of the mixture with the new weights.

# %%
Q = 32
logits = np.array([0.0, 0.5, 0.0])
means_red = np.array([-0.6, 0.3, 0.2])
means_green = np.array([0.5, 0.1, -0.7])
log_scales = np.array([-2.5, -2.0, -2.2])
before_tanh = np.array([0.0, 1.5, -1.0])
x = np.linspace(-1, 1, Q)
edges = (x[:-1] + x[1:]) / 2  # (Q - 1,)


def cdf_at_edges(means):
    """F at every inner edge under every component: (M,) -> (Q - 1, M)."""
    return expit((edges[:, None] - means) / np.exp(log_scales))


red = 20
climbs = np.diff(cdf_at_edges(means_red), axis=0, prepend=0, append=1)  # (Q, M): P_m of each level of red
weights = softmax(logits) * climbs[red]
weights = weights / weights.sum()
print("weights before red is known:", *softmax(logits).round(3), "  and after:", *weights.round(3))
cdf_of_green = cdf_at_edges(means_green + np.tanh(before_tanh) * x[red]) @ weights  # (Q - 1,)

u = np.random.default_rng(SEED).random(5000)
green = (cdf_of_green <= u[:, None]).sum(axis=1)

# %%
rows = np.zeros((10, 3))
rows[0] = logits
rows[1] = means_red
rows[2] = means_green
rows[4] = log_scales
rows[5] = log_scales
rows[7] = before_tanh
pixels = np.zeros((len(u), 3), int)
pixels[:, 0] = red  # what was drawn before
head = make_head("logistic_mixture", 3, Q, mixtures=3)
by_head = head.draw(np.tile(rows.ravel(), (len(u), 1)), pixels, 1, u, 1.0)  # channel 1 is green
assert np.array_equal(green, by_head)
