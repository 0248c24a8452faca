# %% [markdown]
# # Solutions to lesson 17: Streams without a mask
#
# The lesson is [17 Streams without a mask](../17_streams_without_a_mask.py). Each solution begins with its exercise.

# %%
import os

import numpy as np

import minipixel as mp
from minipixel import ops

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## Exercise 1
# > Leave out `ops.shift_right` at the start of ul. Which pixels see what they must not see? Ask `mp.check_causality`.
#
# We copy the forward pass of `PixelCNNpp` and leave out the shift to the right.


# %%
class NotShiftedRight(mp.models.PixelCNNpp):
    """A PixelCNN++ whose stream ul starts without its shift to the right."""

    def forward(self, x, condition=None, rng=None):
        ones = np.ones((*x.shape[:-1], 1), self.dtype)
        pixels = ops.concat(x, ones)
        u = ops.shift_down(self.above(pixels))
        ul = ops.shift_down(self.up(pixels)) + self.left(pixels)
        u, ul = self.level(u, ul, condition, rng)
        return self.top(ul, x)


leaky = NotShiftedRight((4, 5, 1), 4, filters=8, resnets=1, hierarchies=1, rng=SEED)
report = mp.check_causality(leaky)
print(report)

# %% [markdown]
# Each of the 20 pixels sees itself, and no pixel sees anything later than itself: the kernels of ul look up and to the
# left only, and end at their pixel. The last line of the report names the missing shift.

# %%
assert len(report.leaks) == 20
assert all(np.array_equal(output, source) for output, source in report.leaks)
assert "shift" in str(report)

# %% [markdown]
# ## Exercise 2
# > Shift at the end instead: run all layers of a stream first, then shift u down, and ul to the right. Is that causal?
# > And what happens if ul reads u before u is shifted?
#
# We write both streams with all layers first and a single shift at the end.

# %%
H = 7
W = 9
r = 4
c = 4
past = np.arange(H * W).reshape(H, W) < r * W + c


def down(x):
    return ops.conv2d(x, rng.normal(size=(2, 3, 1, 1)), None, centre=(1, 1))


def down_right(x):
    return ops.conv2d(x, rng.normal(size=(2, 2, 1, 1)), None, centre=(1, 1))


def seen_by(stream):
    """Which pixels the value at (r, c) of stream(image) is made of: boolean (H, W)."""
    x = mp.Tensor(rng.normal(size=(H, W, 1, 1)))
    y = stream(x)
    one_there = np.zeros(y.shape)
    one_there[r, c] = 1
    y.backward(one_there)
    return x.grad[:, :, 0, 0] != 0


# %%
u_late = seen_by(lambda x: ops.shift_down(down(down(x))))
u_early = seen_by(lambda x: down(ops.shift_down(down(x))))
ul_late = seen_by(lambda x: ops.shift_right(down_right(down_right(x))))

# %% [markdown]
# Each stream alone is causal. For u it makes no difference at all: a convolution and a shift may change places, so the
# same pixels are seen. But ul also reads u. Before its shift, u knows its own row, the right-hand side included. If ul
# reads that, it is a leak, and the later shift to the right does not mend it.


# %%
def reads_u_too_early(x):
    u = down(x)  # not shifted yet: it knows the right-hand side of its row
    ul = down_right(x) + u
    return ops.shift_right(down_right(ul))


def reads_a_shifted_u(x):
    u = down(x)
    ul = down_right(x) + ops.shift_down(u)
    return ops.shift_right(down_right(ul))


early = seen_by(reads_u_too_early)
mended = seen_by(reads_a_shifted_u)
print("seen in the pixel's own row, if u is read too early:", early[r].astype(int), " the pixel itself is column", c)

# %% [markdown]
# So a model that shifts late has to shift at *every* link from u to ul. Many programs write the Gated PixelCNN in this
# way, and a mistake is possible at each of these shifts. PixelCNN++ shifts once, at the start, and never again.

# %%
assert not (u_late & ~past).any()
assert not (ul_late & ~past).any()
assert np.array_equal(u_late, u_early)
assert early[r, c]
assert not (mended & ~past).any()

# %% [markdown]
# ## Exercise 3
# > In the first batch by hand, give the next layer what was computed *before* gain and bias were set. How do the
# > deviations of the twelve layers change when the network is then used with its gains and biases?
#
# We take the same twelve layers as in the lesson. While the gains are fitted, the next layer gets the outputs with gain
# 1 and bias 0. Then the network is used with the fitted gains and biases, as it would be in training.

# %%
batch = mp.datasets.load("digits").train.images[:64]
x = np.moveaxis(batch, 0, 2) / 8.0 - 1
first = rng.normal(size=(2, 3, 1, 24))
later = rng.normal(size=(11, 2, 3, 24, 24))
directions = [first, *later]


def convolved(x, v, gain, bias):
    return ops.conv2d(x, ops.weight_norm(v, gain), bias, centre=(1, 1))


# %%
gains = []
biases = []
y = x
for v in directions:
    measured = convolved(y, v, np.ones(24), np.zeros(24))
    flat = measured.reshape(-1, 24)
    gains.append(1 / flat.std(axis=0))
    biases.append(-flat.mean(axis=0) / flat.std(axis=0))
    y = np.maximum(measured, 0)  # the mistake: this is not what the layer will put out

deviations = []
y = x
for v, gain, bias in zip(directions, gains, biases, strict=True):
    y = convolved(y, v, gain, bias)
    deviations.append(y.std())
    y = np.maximum(y, 0)
print("deviations in use:", *[f"{deviation:.3g}" for deviation in deviations])

# %% [markdown]
# The first layer is right. Each later one was fitted to inputs that were too small, so its gain is too large for the
# inputs that it really gets. Its outputs are too large, and go on to the next layer. The errors multiply: the
# deviations grow by orders of magnitude.

# %%
assert np.isclose(deviations[0], 1, atol=0.1)
assert deviations[-1] > 1000 * deviations[0]

# %% [markdown]
# ## Exercise 4
# > Show that the gradient in $v$ is perpendicular to $v$. What follows for the length of $v$ under plain gradient
# > descent?
#
# The weight $w = g v / \lVert v \rVert$ does not change if $v$ is made longer: for every $t > 0$ the loss at $t v$ is
# the loss at $v$. So the derivative of the loss along $v$ is 0, and that derivative is the scalar product of the
# gradient with $v$: $\langle \nabla_v L, v \rangle = 0$.
#
# A step of plain gradient descent goes from $v$ to $v - \eta \nabla_v L$. By Pythagoras its squared length is
# $\lVert v \rVert^2 + \eta^2 \lVert \nabla_v L \rVert^2$, since the two are perpendicular. So $v$ never becomes
# shorter; and since the gradient is divided by $\lVert v \rVert$, the direction turns ever more slowly: a step that
# is too large makes the next ones smaller. We watch it on a small regression, whose loss is the sum of squared
# errors.

# %%
inputs = rng.normal(size=(50, 6))
targets = rng.normal(size=(50, 3))
v = mp.Tensor(rng.normal(size=(6, 3)))
gain = np.ones(3)
lengths = []
cosines = []
for _ in range(30):
    error = ops.linear(inputs, ops.weight_norm(v, gain), None) - targets
    error.backward(2 * error.data)  # the gradient of the sum of squared errors
    lengths.append(np.sqrt((v.data**2).sum(axis=0)))
    products = (v.grad * v.data).sum(axis=0)
    cosines.append(products / (np.sqrt((v.grad**2).sum(axis=0)) * lengths[-1]))
    v = mp.Tensor(v.data - 0.01 * v.grad)
print("lengths of v, first and last:", lengths[0].round(3), lengths[-1].round(3))

assert np.abs(cosines).max() < 1e-6
assert (np.diff(lengths, axis=0) >= -1e-12).all()
