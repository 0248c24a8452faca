# %% [markdown]
# # 17 Streams without a mask
#
# - *You will* build causal convolutions that have no mask at all, run two streams of them side by side, write a weight
#   as a direction and a length, and let a first batch bring all layers into range.
# - *Reads* `minipixel/nn/shifted.py`, `minipixel/nn/weight_norm.py`, the start of `minipixel/models/pixelcnnpp.py`;
#   Salimans et al. 2017 (PixelCNN++), [arXiv:1701.05517](https://arxiv.org/abs/1701.05517), section 2.4; Salimans and
#   Kingma 2016 (weight normalisation), [arXiv:1602.07868](https://arxiv.org/abs/1602.07868), sections 2 and 3.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks A and B; [lesson 09](09_the_blind_spot_and_two_stacks.py) for
#   two stacks; [lesson 10](10_conditions.py) for labels.
# - *Takes* a few seconds on two cores; 25 minutes to read.
#
# So far a mask has kept every convolution causal: a kernel looks in all directions, and the mask shuts those taps that
# would read the future. PixelCNN++ has no mask in its convolutions. *Can a convolution be causal without one? What
# must it look like, and what keeps it from reading the very pixel that is to be predicted?* This lesson builds the two
# streams of convolutions of which lesson 18 makes the whole model.

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
# The tap of a kernel that lies on the pixel which is computed is called its **centre**. In lesson 02 the centre was the
# middle of the kernel, and half of the kernel lay in the future. Let us put it elsewhere. A kernel of 2x3 taps whose
# centre is the middle of its *last row* reads the row above and its own row, and no row below. A kernel of 2x2 taps
# whose centre is its *last tap* reads up and to the left only:
#
# ```text
#     "down"          "down-right"       x is the pixel that is computed
#     1 2 3           1 2
#     4 x 5           3 x
# ```
#
# The names say in which direction such a kernel carries information: down the image, or down and to the right. In
# minipixel both are the op `conv2d`, with different centres. Every stored weight is used, all 6 or all 4 of them, while
# a 3x3 kernel under mask B stores 9 taps and uses 5.

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
# We ask what the value at pixel (4, 4) of a map of 7x9 reads. We send a gradient of 1 into it and look where it arrives
# in the image. (An op that is given a Tensor records itself for the way back; given plain arrays, it only computes.)

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
    "Look at row 4: both kernels read the pixel itself, and the wide kernel reads pixels to the right of it, too.",
)

# %% [markdown]
# No row below is ever read, at any depth, and no mask was needed for that. But both kernels read the pixel itself, and
# "down" reads to the right in the pixel's own row. So neither may go into a prediction as it is.
#
# ## Shift, then look
# The cure is simple: the whole map that was computed is moved. This is called a **shift**. Each row of the shifted map
# holds what was computed for the row above. A value that knew its own row now stands one row further down. There it
# knows the row above, and nothing of the row in which it stands. The first row, above which there is nothing, is filled
# with zeros. In the same way a map may move one column to the right.


# %%
def shifted_down(x):
    """Each row holds what was in the row above it; the first one holds zeros."""
    y = np.zeros_like(x)
    y[1:] = x[:-1]
    return y


def shifted_right(x):
    """Each column holds what was in the column to its left; the first one holds zeros."""
    y = np.zeros_like(x)
    y[:, 1:] = x[:, :-1]
    return y


some_map = rng.normal(size=(H, W, 2, 3))
assert np.array_equal(shifted_down(some_map), ops.shift_down(some_map))
assert np.array_equal(shifted_right(some_map), ops.shift_right(some_map))

# %% [markdown]
# This is done once, at the beginning, and never again. After a shift down, no value knows anything of its own row. A
# later layer may read values of its own row, to the right as well: these know only rows above. So it learns nothing
# that it may not know. (In the same way, mask A is needed in the first layer only; all others have mask B.)
#
# ## Two streams
# A network may compute several maps side by side, each layer from those of the layer before. Each such sequence of maps
# is called a **stream**. PixelCNN++ has two:
#
# - the stream *u* (up) knows the rows above. It is made of "down" kernels and starts with a shift down;
# - the stream *ul* (up and left) knows what is above and what is to the left. It is made of "down-right" kernels. It
#   starts as a sum of two maps. One is made by a 1x3 kernel, which reads its own row, and is shifted down. The other is
#   made by a 2x1 kernel, which reads its own column, and is shifted to the right.
#
# They play the parts of the vertical and the horizontal stack of lesson 09, for the same reason: the rows above are
# past from end to end, the pixel's own row only to the left. There, masks kept the stacks causal; here, shifts do. And
# as there, information goes one way: in each layer ul reads u. If u read ul, that would be a leak. A kernel of u also
# reads to the right in its own row. There stands the value of ul at the next pixel, and it knows the very pixel that is
# to be predicted.

# %%
show(
    lesson_17.streams(),
    "17_streams",
    "The two streams, from the bottom up. There are shifts at the start only. "
    "After them each layer reads its own stream, and ul also reads u.",
)


# %% [markdown]
# These few lines are the start and one layer of each stream, with one channel and random weights. The library's layers
# are gated residuals of two convolutions each (lesson 18), but what they can read follows from the same rule.


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
    return down_right(start_of_ul(x)) + u  # ul reads u


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
# Zeros come in at the border, both from the shifts and from kernels that read beyond the image. But 0 is also a shade
# of grey, the one in the middle between -1 and 1. So that the network can tell the two apart, a channel of ones is
# added to the image before the first layer. Outside the image this channel is 0.
#
# ## The library's model agrees
# `PixelCNNpp` starts in just this way. Its layers `above`, `up` and `left` are the three convolutions at the bottom of
# the diagram, from left to right. We let minipixel check that the whole model is causal, and then sum, as in lesson 01,
# the probabilities of *all* binary images of 2x3 pixels. If the probabilities of a pixel depended on its own value,
# they would hardly sum to 1.

# %%
small = mp.models.PixelCNNpp((2, 3, 1), 2, filters=8, resnets=1, hierarchies=1, rng=SEED)
images = np.array(list(product((0, 1), repeat=6)), np.uint8).reshape(64, 2, 3, 1)
total = np.exp(small.log_prob(images)).sum()
report = mp.check_causality(small)
print(report)
print(f"the probabilities of all 64 images sum to {total:.9f}")

# %% [markdown]
# The check finds no leak by any of its methods, and the 64 probabilities sum to 1.
#
# ## A weight as a direction and a length
# PixelCNN++ does a second thing to all of its convolutions, which has nothing to do with causality. At each pixel, an
# output channel of a layer is $y = w \cdot x + b$, where $x$ holds all that the kernel reads there, and $w$ is the
# vector of its weights. **Weight normalisation** does not learn $w$ itself, but its direction and its length
# separately:
#
# $$w = g \, \frac{v}{\lVert v \rVert}$$
#
# The number $g$, called the **gain**, is the length of $w$, whatever the length of the vector $v$. Only the direction
# of $v$ counts. By the one number $g$, training can then change how *strongly* a channel responds to its input, without
# changing *what* it responds to. Here is the formula by hand, for a kernel with 4 output channels, and the op of the
# library.

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
# smaller, almost nothing of the image arrives at the last one. If each makes them larger, they grow without limit.
# Below are 12 layers with random directions and all gains 1, each followed by a rectifier. For each layer we compute
# the **standard deviation** of its outputs on a batch of digits, that is, their typical distance from their mean.

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
# From layer to layer the outputs vary less, and at the last one they hardly vary at all. Weight normalisation makes it
# easy to set this right before training begins, by a **data-dependent initialisation**. One batch goes through the
# network, layer by layer. At each layer we compute the outputs with gain 1 and bias 0, measure the mean and the
# standard deviation of each channel over the batch, and set
#
# $$g = \frac{1}{\text{deviation}}, \qquad b = -\frac{\text{mean}}{\text{deviation}}$$
#
# With these the channel's outputs have mean 0 and deviation 1. Then the output is computed *again*, with the new gain
# and bias, and goes into the next layer. Otherwise the next layer would be fitted to inputs that it will never get
# (exercise 3 tries it).

# %%
fitted = []
y = x
for v in directions:
    measured = convolved(y, v, np.ones(24), np.zeros(24)).reshape(-1, 24)
    gain = 1 / measured.std(axis=0)
    bias = -measured.mean(axis=0) * gain
    y = convolved(y, v, gain, bias)  # again, with the new gain and bias
    fitted.append(y.std())
    y = np.maximum(y, 0)
print("standard deviations, fitted:     ", *np.round(fitted, 3))
show(
    lesson_17.deviations({"all gains 1": unfitted, "fitted to a first batch": fitted}),
    "17_twelve_layers",
    "Twelve layers by hand. With all gains 1, the outputs of the last layer hardly vary any more; fitted, those of "
    "every layer have deviation 1.",
)

# %% [markdown]
# In the library this is `model.initialize(images, labels)`. `mp.fit` calls it with its first batch, unless it has been
# called before. Where a layer also reads a condition, as in lesson 10, the sum $Wx + b + Vh$ is brought into range as a
# whole. (A channel whose outputs hardly vary, for instance because all its inputs are zero, keeps its length: to divide
# by next to nothing would make an enormous weight.) Below, `listen` measures the outputs of all weight-normalised
# layers of a PixelCNN++ that is told the digit's class, before and after.

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
# This is done once. From then on gain, direction and bias are learned like any other weight. It does no harm to
# causality either: means and deviations over a batch are taken *before* training and become part of the weights. Batch
# normalisation is different: it takes them in every forward pass of training. So each image of a batch depends on all
# the others, and each pixel on later ones.
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
# 1. *easy* Leave out `ops.shift_right` at the start of ul (copy `forward` of `PixelCNNpp` into a subclass, and change
#    it). Which pixels see what they must not see? Ask `mp.check_causality`.
# 2. *medium* Shift at the end instead: run all layers of a stream first, then shift u down, and ul to the right. Is
#    that causal? And what happens if ul reads u before u is shifted?
# 3. *medium* In the first batch by hand, give the next layer what was computed *before* gain and bias were set. How do
#    the deviations of the twelve layers change when the network is then used with its gains and biases?
# 4. *hard* Show that the gradient in $v$ is perpendicular to $v$. What follows for the length of $v$ under plain
#    gradient descent?
#
# Solutions: [solutions/17_streams_without_a_mask.py](solutions/17_streams_without_a_mask.py).
