# %% [markdown]
# # Solutions of lesson 06: trust, but check
#
# Each solution begins with its exercise. `noise` is that of [the lesson](../06_trust_but_check.py).

# %%
import numpy as np

import minipixel as mp

noise = np.random.default_rng(1).uniform(-3, 3, (6, 8))

# %% [markdown]
# ## Exercise 1
#
# > Show `mp.gradcheck` the op `clip_at_2` with `noise` as it is. What does its error message say?
#
# Now some inputs are above 2, where the op is constant. The message names the first of them, the slope that the vjp
# claims, and the slope that was measured, which is 0. (To get one number, `gradcheck` sums the outputs with random
# weights. So the vjp claims such a weight and not 1.)


# %%
@mp.op
def clip_at_2(x):
    return np.where(x.real > 2, 2, x), lambda g: (g,)


try:
    mp.gradcheck(clip_at_2, noise)
    message = ""
except AssertionError as error:
    message = str(error)
print(message)

r, c = np.argwhere(noise > 2)[0]
print(f"the first input above 2 is at ({r}, {c}): {noise[r, c]:.3f}")
assert f"at ({r}, {c})" in message
assert "the complex step says 0," in message

# %% [markdown]
# ## Exercise 2
#
# > Mend `softsign_held`, so that both the central difference and the complex step pass.
#
# For positive x the function is $x / (1 + x)$, and for negative x it is $x / (1 - x)$. In both pieces the slope is
# $1 / (1 + |x|)^2$. The way forward has to choose its piece by the real part.


# %%
@mp.op
def softsign(x):
    size = 1 + np.where(x.real > 0, x, -x)
    return x / size, lambda g: (g / size**2,)


by_central = mp.gradcheck(softsign, noise, method="central")
by_complex = mp.gradcheck(softsign, noise)
print(f"softsign, mended: {by_central:.0e} central, {by_complex:.0e} complex")
assert by_central < 1e-6
assert by_complex < 1e-10

# %% [markdown]
# ## Exercise 3
#
# > The central difference is best near a step of 1e-5, the forward one near 1e-8. Balance the two kinds of error,
# > and see why.
#
# A float64 is rounded by at most a share $\epsilon = 2^{-53} = 1.1 \cdot 10^{-16}$ of its size. A difference of two
# values of f is therefore off by at most about $2 \epsilon |f|$. The errors of the two measurements are about
#
# $$E_\text{forward} = \frac{h}{2} |f''| + \frac{2 \epsilon |f|}{h}, \qquad
# E_\text{central} = \frac{h^2}{6} |f'''| + \frac{2 \epsilon |f|}{2 h}.$$
#
# The best step is where the slope of E is 0. That gives
#
# $$h_\text{forward} = 2 \sqrt{\epsilon\, |f| / |f''|}, \qquad
# h_\text{central} = \sqrt[3]{3\, \epsilon\, |f| / |f'''|}.$$
#
# So one goes as the square root of $\epsilon$, about 1e-8, and the other as its cube root, about 1e-5.

# %%
x = 0.5
t = np.tanh(x)
first = 1 - t * t
second = -2 * t * first
third = (6 * t * t - 2) * first
epsilon = 2.0**-53
best_forward = 2 * np.sqrt(epsilon * abs(t) / abs(second))
best_central = np.cbrt(3 * epsilon * abs(t) / abs(third))

steps = np.logspace(-2, -12, 201)
forward = (np.tanh(x + steps) - np.tanh(x)) / steps
central = (np.tanh(x + steps) - np.tanh(x - steps)) / (2 * steps)

# %% [markdown]
# A single measurement can be lucky, since the noise may be near 0 by chance. So we smooth the errors: at each step we
# take the largest of 15 neighbours.


# %%
def best_measured(slopes):
    error = np.abs(slopes / first - 1)
    worst_nearby = [error[max(0, k - 7) : k + 8].max() for k in range(len(error))]
    return steps[int(np.argmin(worst_nearby))]


print(f"forward: best step {best_forward:.1e} by the balance, {best_measured(forward):.1e} measured")
print(f"central: best step {best_central:.1e} by the balance, {best_measured(central):.1e} measured")
assert 1 / 10 < best_measured(forward) / best_forward < 10
assert 1 / 10 < best_measured(central) / best_central < 10

# %% [markdown]
# ## Exercise 4
#
# > Along one direction, one wrong element weighs less in a larger array. Measure by how much, from 4x4 to 256x256.
# > (`tolerance=np.inf` lets every error pass, so that `mp.gradcheck` returns it.)
#
# `tolerance=np.inf` lets every error pass, so that `gradcheck` returns it. We take the median of 21 directions.


# %%
def tanh_wrong_in_a_corner(x):
    factor = np.ones(x.shape)
    factor[-1, -1] = 1.1
    return np.tanh(x), lambda g: (factor * g * (1 - np.tanh(x) ** 2),)


wrong_op = mp.op(tanh_wrong_in_a_corner)
sizes = [4, 16, 64, 256]
medians = []
for size in sizes:
    inputs = np.random.default_rng(size).uniform(-1, 1, (size, size))
    seen = [mp.gradcheck(wrong_op, inputs, directions=1, tolerance=np.inf, rng=seed) for seed in range(21)]
    medians.append(float(np.median(seen)))
    print(f"{size:3} x {size:<3} one wrong element is seen as an error of {medians[-1]:.1e}")

# %% [markdown]
# The slope along a direction is a sum of $n^2$ random terms, which grows as $n$, the square root of their number.
# The one wrong term stays as it is. So its share falls as $1/n$. A limit of 1e-10 still finds it in any array that
# fits into a computer. But one direction does not say where the wrong element is.

# %%
assert medians == sorted(medians, reverse=True)
assert 10 < medians[0] / medians[-1] < 1000  # about 64
assert medians[-1] > 1e-10

# %% [markdown]
# ## Exercise 5
#
# > Find the rectifier that turned the corner in the figure: for which of the model's rectifiers does an input change
# > its sign between the two central nudges? Compare with the errors of the three directions.
# > (`mp.tensor.inputs_first(loss)` lists the Tensors below a loss, and the `op` of each is its name. Make the loss
# > within `with mp.kernels.as_written():`, or the whole model is a single op.)
#
# The tape knows the input of each rectifier. `as_written` runs the model op by op; otherwise the whole model is a
# single op of the tape (lesson 08). `inputs_first` lists all ops below the loss, as ours did in lesson 05.

# %%
images = mp.datasets.load("digits").train.images[:4]
model = mp.models.PixelCNN((8, 8, 1), levels=17, hidden=8, blocks=2, rng=0, dtype="float64")
weights = model.parameters()
values = [weight.data for weight in weights]


def relu_inputs(direction, distance):
    """What each rectifier of the model reads after all weights have moved along `direction`: a list of arrays."""
    for weight, value, nudge in zip(weights, values, direction, strict=True):
        weight.data = value + distance * nudge
    with mp.kernels.as_written():
        nodes = mp.tensor.inputs_first(model.loss(images))
    for weight, value in zip(weights, values, strict=True):
        weight.data = value
    return [node.inputs[0].data for node in nodes if node.op == "relu"]


# %%
rng = np.random.default_rng(0)
crossings = []
for number in range(3):
    direction = [rng.standard_normal(weight.shape) for weight in weights]
    row = []
    for h in (1e-5, 1e-7):
        ahead = relu_inputs(direction, h)
        behind = relu_inputs(direction, -h)
        crossed = [int(((a > 0) != (b > 0)).sum()) for a, b in zip(ahead, behind, strict=True)]
        row.append(sum(crossed))
        print(f"direction {number}, h = {h:.0e}: of {sum(a.size for a in ahead):,} rectified numbers "
              f"{sum(crossed)} cross 0; layer by layer {crossed}")  # fmt: skip
    crossings.append(row)

# %% [markdown]
# With the larger step, in each of the three directions, at least one rectified number crosses 0. With the smaller
# step none does. This is what the table of the lesson shows: the larger step fails, the smaller one is right to nine
# digits.

# %%
assert all(large > 0 for large, small in crossings)
assert all(small == 0 for large, small in crossings)
