# %% [markdown]
# # 17 Streams without a mask
#
# - *You will* build causal convolutions that have no mask at all, run two streams of them side by side, learn a
#   weight as a direction and a length, and let a first batch bring all layers into range.
# - *Reads* `minipixel/nn/shifted.py`, `minipixel/nn/weight_norm.py`, the start of `minipixel/models/pixelcnnpp.py`;
#   Salimans et al. 2017 (PixelCNN++), [arXiv:1701.05517](https://arxiv.org/abs/1701.05517), section 2.4; Salimans and
#   Kingma 2016 (weight normalisation), [arXiv:1602.07868](https://arxiv.org/abs/1602.07868), sections 2 and 3.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks A and B; [lesson 09](09_the_blind_spot_and_two_stacks.py) for
#   two stacks; [lesson 10](10_conditions.py) for labels.
# - *Takes* a few seconds on two cores; 25 minutes to read.
#
# So far a mask has kept every model honest: a kernel looks in all directions, and the mask shuts those taps that
# would read the future. PixelCNN++ has no mask in its convolutions. *Can a convolution be causal without one? What
# must it look like, and who keeps it from reading the very pixel that is to be predicted?* At the end of this lesson
# stand the two streams of which lesson 18 builds the whole model.

# %%
import os
from itertools import product

import numpy as np
from drawings import lesson_17
from show import show

import minipixel as mp
from minipixel import ops

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of the weights that are drawn below
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## A kernel that ends at its pixel
# Where a kernel reads is a matter of which of its taps lies on the pixel that is computed, its *centre*. In lesson 02
# the centre was the middle of the kernel, and half of the kernel lay in the future. Let us put it elsewhere. A kernel
# of 2x3 taps whose centre is in its *last row*, in the middle, reads the row above and its own row, and no row below.
# A kernel of 2x2 taps whose centre is its *last tap* reads up and to the left only:
#
# ```text
#     "down"          "down-right"       x is the pixel that is computed
#     1 2 3           1 2
#     4 x 5           3 x
# ```
#
# The names say in which direction such a stream carries knowledge: down the image, or down and to the right. In
# minipixel both are the same op `conv2d`, with another centre. And no weight is wasted: all 6 or 4 taps are used,
# while a 3x3 kernel under mask B stores 9 taps and uses 5.

# %%


def kernel(kh, kw):
    """Random weights of a kernel, one channel in and one out: (kh, kw, 1, 1)."""
    return rng.normal(size=(kh, kw, 1, 1))


def down(x, kh=2, kw=3):
    """A convolution that reads its own row and the kh - 1 rows above: (H, W, N, 1) -> (H, W, N, 1)."""
    return ops.conv2d(x, kernel(kh, kw), None, centre=(kh - 1, kw // 2))


def down_right(x, kh=2, kw=2):
    """A convolution that reads up and to the left, up to its own pixel: (H, W, N, 1) -> (H, W, N, 1)."""
    return ops.conv2d(x, kernel(kh, kw), None, centre=(kh - 1, kw - 1))


# %% [markdown]
# We ask what the pixel (4, 4) of a map of 7x9 reads. As in lesson 09, we send a gradient of 1 into it and look where
# it arrives. (An op that is given a Tensor records itself for the way back; given plain arrays, it only computes.)

# %%
H = 7
W = 9
r = 4
c = 4


def seen_by(stream):
    """Which pixels the value at (r, c) of stream(image) is made of: boolean (H, W)."""
    x = mp.Tensor(rng.normal(size=(H, W, 1, 1)))
    y = stream(x)
    one_there = np.zeros(y.shape)
    one_there[r, c] = 1
    y.backward(one_there)
    return x.grad[:, :, 0, 0] != 0


# %% [markdown]
# One layer of each, and then three layers one after the other.

# %%
kernels = {
    "down, one layer": seen_by(down),
    "down, three layers": seen_by(lambda x: down(down(down(x)))),
    "down-right, one layer": seen_by(down_right),
    "down-right, three layers": seen_by(lambda x: down_right(down_right(down_right(x)))),
}
show(
    lesson_17.views(kernels, (r, c)),
    "17_kernels",
    "What the pixel (4, 4), marked with a white dot, reads. Red is read and must not be; blind is what is not reached. "
    "Look at the pixel itself: both kernels read it; and the wide kernel reads what is to the right in its own row.",
)

# %% [markdown]
# No row below is ever read, at any depth, and no mask was needed for that. But something is left to do. Both kernels
# read the pixel itself, and "down" reads its whole own row. Neither may go into a prediction as it is.
#
# ## Shift, then look
# The cure is as simple as it can be: move everything that was found. If each row shows what was found for the row
# above it, then a value that knew its own row now stands one row further down, and knows the rows above *its* row.
# The first row, above which there is nothing, shows zeros. In the same way a map may move one column to the right.


# %%
def shifted_down(x):
    """Each row shows the row above it; the first one shows zeros."""
    y = np.zeros_like(x)
    y[1:] = x[:-1]
    return y


def shifted_right(x):
    """Each column shows the column to its left; the first one shows zeros."""
    y = np.zeros_like(x)
    y[:, 1:] = x[:, :-1]
    return y


some_map = rng.normal(size=(H, W, 2, 3))
assert np.array_equal(shifted_down(some_map), ops.shift_down(some_map))
assert np.array_equal(shifted_right(some_map), ops.shift_right(some_map))

# %% [markdown]
# This has to be done once, at the beginning, and then never again. After the shift no value knows anything of its own
# row. A later layer that reads its own row, to the right as well, reads values that know only rows above. So it
# learns nothing that it may not know. (Compare mask A, which is needed in the first layer only: all others have mask
# B.)
#
# ## Two streams
# We call what flows through a network side by side, layer by layer, a **stream**. PixelCNN++ has two:
#
# - the stream **u** (up) knows the rows above. It is made of "down" kernels and starts with a shift down;
# - the stream **ul** (up and left) knows what is above and what is to the left. It is made of "down-right" kernels.
#   It starts as a sum of two maps: what is in the row above, moved down, and what is to the left, moved right.
#
# They are the vertical and the horizontal stack of lesson 09 again, for the same reason: the rows above are past from
# end to end, the own row only to the left. There, masks did the work; here, shifts do. And as there, knowledge flows
# one way: in each layer ul is told what u has found. The other way round would be a leak. A kernel of u also reads to
# the right in its own row, and there, at the next pixel, ul knows the very pixel that is to be predicted.

# %%
show(
    lesson_17.streams(),
    "17_streams",
    "The two shifted streams, from the bottom up. The shifts stand once, at the start. "
    "After them each layer goes on from its own stream, and ul also reads u.",
)


# %% [markdown]
# In code, with one channel and random weights, the start and one layer of each stream are these few lines. The
# library's layers are gated residuals of two convolutions each (lesson 18), but what they can read follows from the
# same rule.


# %%
def start_of_u(x):
    return ops.shift_down(down(x))


def start_of_ul(x):
    row_above = ops.shift_down(down(x, kh=1))
    to_the_left = ops.shift_right(down_right(x, kw=1))
    return row_above + to_the_left


def one_layer_of_u(x):
    return down(start_of_u(x))


def one_layer_of_ul(x):
    u = one_layer_of_u(x)
    return down_right(start_of_ul(x)) + u  # ul is told what u has found


# %% [markdown]
# And this is what the streams see, at their start and one layer later.

# %%
streams = {
    "u at the start": seen_by(start_of_u),
    "ul at the start": seen_by(start_of_ul),
    "u, one layer later": seen_by(one_layer_of_u),
    "ul, one layer later": seen_by(one_layer_of_ul),
}
show(
    lesson_17.views(streams, (r, c)),
    "17_seen",
    "What each stream reads at the pixel (4, 4). There is no red any more. Look at the row of the pixel: "
    "u knows nothing of it, ul knows what is to the left.",
)

# %% [markdown]
# One thing is lost by a shift and given back by a trick. Zeros come in at the border, both from the shift and from
# kernels that read beyond the image; and 0 is also a shade of grey, the one in the middle between -1 and 1. So a
# channel of ones joins the image before the first layer: where these ones end, the image ends.
#
# ## The library's model agrees
# `PixelCNNpp` starts in just this way. Its layers `above`, `up` and `left` are the three convolutions of the diagram.
# We ask minipixel's causality checker about the whole model, and then sum, as in lesson 01, the probabilities of
# *all* binary images of 2x3 pixels. If the probabilities of a pixel depended on its own value, they would not sum to
# 1.

# %%
small = mp.models.PixelCNNpp((2, 3, 1), 2, filters=8, resnets=1, hierarchies=1, rng=SEED)
images = np.array(list(product((0, 1), repeat=6)), np.uint8).reshape(64, 2, 3, 1)
total = np.exp(small.log_prob(images)).sum()
report = mp.check_causality(small)
print(report)
print(f"the probabilities of all 64 images sum to {total:.9f}")

# %% [markdown]
# ## A weight as a direction and a length
# The second thing that PixelCNN++ does to all of its convolutions has nothing to do with causality. Each output
# channel of a layer is $y = w \cdot x + b$, with one vector $w$ of weights. **Weight normalisation** does not learn
# $w$ itself, but its direction and its length apart:
#
# $$w = g \, \frac{v}{\lVert v \rVert}$$
#
# The number $g$, called the **gain**, is the length of $w$, whatever the vector $v$; and $v$ says only in which
# direction $w$ points. An optimiser can then change how *strongly* a layer answers by one number, without touching
# *what* it answers to. Here is the formula by hand, for a kernel with 4 output channels, and the op of the library.

# %%
v = rng.normal(size=(2, 3, 5, 4))  # (kh, kw, K_in, K_out)
gain = np.array([0.5, 1.0, 2.0, 3.0])
length = np.sqrt((v**2).sum(axis=(0, 1, 2)))  # (K_out,): one length per output channel
w = gain * v / length
by_op = ops.weight_norm(v, gain)
lengths_of_w = np.sqrt((w**2).sum(axis=(0, 1, 2)))
print("lengths of v:", *length.round(2), "  lengths of w:", *lengths_of_w.round(2))

# %% [markdown]
# ## A first batch brings it into range
# Which gain should a layer begin with? In a deep network this matters. If each layer makes its numbers a little
# smaller, the last one sees next to nothing; if each makes them larger, they explode. Below are 12 layers without any
# fitting, all gains 1: random directions, each followed by a rectifier. We watch the **standard deviation** of what
# each layer puts out on a batch of digits, that is, the typical distance of its outputs from their mean.

# %%
digits = mp.datasets.load("digits")
batch = digits.train.images[:64]
x = np.moveaxis(batch, 0, 2) / 8.0 - 1  # (N, H, W, 1) in 0..16 -> (H, W, N, 1) in -1..1
first = rng.normal(size=(2, 3, 1, 24))
later = rng.normal(size=(11, 2, 3, 24, 24))
directions = [first, *later]


def convolved(x, v, gain, bias):
    """One layer "down" with a normalised weight: (H, W, N, K_in) -> (H, W, N, 24)."""
    return ops.conv2d(x, ops.weight_norm(v, gain), bias, centre=(1, 1))


unfitted = []
y = x
for v in directions:
    y = convolved(y, v, np.ones(24), np.zeros(24))
    unfitted.append(y.std())
    y = np.maximum(y, 0)
print("standard deviations, all gains 1:", *np.round(unfitted, 3))

# %% [markdown]
# They fade away. Weight normalisation makes it easy to set this right before the first step of training, by a
# **data-dependent initialisation**: send one batch through the network, layer by layer. At each layer, compute the
# outputs with gain 1 and bias 0, measure the mean and the standard deviation of each channel over the batch, and set
#
# $$g = \frac{1}{\text{deviation}}, \qquad b = -\frac{\text{mean}}{\text{deviation}}$$
#
# With these the channel's outputs have mean 0 and deviation 1. Then the output is computed *again*, with the new gain
# and bias, and goes into the next layer. This matters: else the next layer would be fitted to inputs that it will
# never get (exercise 3 tries it).

# %%
fitted = []
y = x
for v in directions:
    measured = convolved(y, v, np.ones(24), np.zeros(24)).reshape(-1, 24)
    gain = 1 / measured.std(axis=0)
    bias = -measured.mean(axis=0) * gain
    y = convolved(y, v, gain, bias)  # again, now as it will be
    fitted.append(y.std())
    y = np.maximum(y, 0)
print("standard deviations, fitted:     ", *np.round(fitted, 3))
show(
    lesson_17.deviations({"all gains 1": unfitted, "fitted to a first batch": fitted}),
    "17_twelve_layers",
    "Twelve layers by hand. Unfitted, little is left of the image at the last layer; fitted, every layer gets "
    "inputs of the same size.",
)

# %% [markdown]
# In the library the step is called `model.initialize(images, labels)`, and `mp.fit` takes it by itself, with its
# first batch, unless somebody has done it. Where a layer also reads a condition, as in lesson 10, the sum
# $Wx + b + Vh$ is brought into range as a whole. (A channel whose outputs hardly vary, for instance because all its
# inputs are zero, keeps its length: to divide by next to nothing would make an enormous weight.) Below we listen to
# all weight-normalised layers of a PixelCNN++ that is told the digit's class, before and after.

# %%
labels = digits.train.labels[:64]
model = mp.models.PixelCNNpp(
    digits.image_shape, digits.levels, num_classes=10, filters=24, resnets=1, hierarchies=2, rng=SEED
)
before = lesson_17.listen(model, batch, labels)
model.initialize(batch, labels)
after = lesson_17.listen(model, batch, labels)
show(
    lesson_17.deviations({"as it starts": before, "after the first batch": after}),
    "17_first_batch",
    "All layers of a small PixelCNN++. Look at the dotted line: after the first batch every layer puts out numbers "
    "of deviation 1.",
)

# %% [markdown]
# This is done once. From then on gain, direction and bias are learned like any other weight. It is also harmless for
# causality: a statistic over a batch is taken here *before* training and becomes part of the weights. A layer that
# takes such a statistic in every forward pass, as batch normalisation does in training, lets every image of a batch
# depend on all the others, and each pixel on later ones.
#
# ## What you should see

# %%
past = np.arange(H * W).reshape(H, W) < r * W + c
assert all(view[r, c] for view in kernels.values())  # a kernel that ends at its pixel reads it
assert not any((view & ~past).any() for view in streams.values())
assert not streams["u, one layer later"][r:].any()
assert streams["ul at the start"].sum() == 4  # three above, and one to the left
assert streams["ul, one layer later"][r, :c].any()
assert report.ok
assert abs(total - 1) < 1e-5
assert np.allclose(w, by_op)
assert np.allclose(lengths_of_w, [0.5, 1.0, 2.0, 3.0])
assert unfitted[-1] < 0.1 * unfitted[0]
assert np.allclose(fitted, 1)
assert np.allclose(after, 1, atol=1e-4)
assert np.ptp(before) > 0.3

# %% [markdown]
# ## Exercises
# 1. *easy* Leave out `ops.shift_right` at the start of ul, and let `mp.check_causality` tell you who sees what.
# 2. *medium* Shift at the end instead: run all layers of a stream first, then shift u down, and ul to the right. Is
#    that causal? And what happens if u tells ul something before u is shifted?
# 3. *medium* In the first batch by hand, hand on what was computed *before* gain and bias were set. How do the
#    deviations of the twelve layers change when the fitted network is used?
# 4. *hard* Show that the gradient in $v$ is perpendicular to $v$. What follows for the length of $v$ under plain
#    gradient descent?
#
# Solutions: [solutions/17_streams_without_a_mask.py](solutions/17_streams_without_a_mask.py).
