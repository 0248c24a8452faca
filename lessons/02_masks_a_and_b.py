# %% [markdown]
# # 02 Masks A and B
#
# - *You will* build both masks of a PixelCNN by hand, see what each lets through, then break a model on purpose and
#   catch it.
# - *Reads* `minipixel/nn/masks.py`; van den Oord et al. 2016, [arXiv:1601.06759](https://arxiv.org/abs/1601.06759),
#   section 3.4.
# - *Before* [lesson 01](01_an_image_is_a_sequence.py).
# - *Takes* about 10 seconds to run, and 20 minutes to read. Its second half may wait until after lesson 03.
#
# A network is to predict each pixel from all pixels before it, and from nothing else. The network of this course looks
# at an image through small windows, called kernels. A kernel looks in all directions, and so into the future. How do we
# make it look back only? The answer is a table of zeros and ones, the **mask**.

# %%
import os
from itertools import product

import numpy as np
from drawings import lesson_02
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # training may begin elsewhere: what is said holds for others, too
rng = np.random.default_rng(5)

# %% [markdown]
# ## The answer is in the question
#
# While a model learns, the whole image is known. So one pass through the network can predict all its pixels at once:
# $H \cdot W$ answers for the price of one. But then the image that goes in is also the image that is asked for. A
# network that can copy its input to its output will learn to copy, and nothing else. The pixel must be kept from its
# own prediction, and so must all pixels after it.
#
# ## A convolution
#
# A **convolution** computes each output from a small window around its pixel. It multiplies each pixel of the window by
# a **weight**, and adds up the products. The table of weights is the **kernel**, and each of its places is a **tap**.
# The same kernel is used everywhere in the image. Beyond the border, every tap reads zero.
#
# In NumPy that is one shifted image per tap, as with the neighbours in lesson 01.


# %%
def convolve(image, kernel):
    """A weighted sum of the window around each pixel: (H, W), (k, k) with an odd k -> (H, W)."""
    H, W = image.shape
    reach = len(kernel) // 2  # how far the kernel looks in each direction
    padded = np.pad(image, reach)
    result = np.zeros((H, W))
    for r, c in np.ndindex(kernel.shape):
        result = result + kernel[r, c] * padded[r : r + H, c : c + W]
    return result


image = rng.normal(size=(7, 7))
kernel = rng.normal(size=(3, 3))
ours = convolve(image, kernel)
by_library = mp.ops.conv2d(image[:, :, None, None], kernel[:, :, None, None], None)[:, :, 0, 0]
assert np.allclose(ours, by_library)

# %% [markdown]
# Values that a network computes from its input are called **features**. A convolution turns an image into features, one
# or several per pixel, and a second convolution turns these into new features. Each such step is a **layer**. The
# weights are the numbers that the network learns.
#
# ## Two masks
#
# Raster order sorts the pixels: first by row, then by column. It sorts the taps of a kernel in the same way. Python
# compares pairs just like that: `(0, 2) < (1, 1)` is true, since 0 is less than 1, and `(1, 2) < (1, 1)` is false.
#
# - **Mask A** opens the taps strictly before the centre of the kernel. All others are shut.
# - **Mask B** opens the taps before the centre, and the centre itself.


# %%
def mask(kind, size):
    """The open taps of a kernel, 1 for open and 0 for shut: (size, size)."""
    centre = (size // 2, size // 2)
    opened = np.zeros((size, size))
    for tap in np.ndindex(size, size):
        if tap < centre or (kind == "B" and tap == centre):
            opened[tap] = 1
    return opened


print(mask("A", 3))
print(mask("B", 3))
show(
    lesson_02.masks({"mask A, 3x3": mask("A", 3), "mask B, 3x3": mask("B", 3), "mask A, 7x7": mask("A", 7)}),
    "02_masks",
    "The taps of three kernels. Blue taps are open. The centre, in its frame, is shut under mask A and open under B.",
)

# %% [markdown]
# A **masked convolution** is a convolution whose kernel is multiplied by its mask: `convolve(image, kernel * mask)`. A
# shut tap has the weight 0, whatever stands in the kernel.
#
# ## Why first A, and B ever after
#
# The first layer reads the image. Its centre tap lies on the very pixel that is to be predicted, so mask A must shut
# it.
#
# The second layer reads features. The feature at row r and column c was computed *without* the pixel (r, c), so it is
# safe to read: mask B opens the centre. We can check that by experiment. The function below stacks masked convolutions.
# Then it changes one pixel of the input at a time, and watches the output in the middle. If the output moves, it has
# read that pixel. All pixels that an output reads are its **receptive field**.


# %%
def stack(image, kernels):
    """One masked convolution after the other: (7, 7) -> (7, 7)."""
    features = image
    for kernel in kernels:
        features = convolve(features, kernel)
    return features


def receptive_field(kinds):
    """What the output at (3, 3) reads, for layers with these masks: boolean (7, 7)."""
    kernels = [rng.normal(size=(3, 3)) * mask(kind, 3) for kind in kinds]
    before = stack(image, kernels)[3, 3]
    moves = np.zeros((7, 7), bool)
    for pixel in np.ndindex(7, 7):
        changed = image.copy()
        changed[pixel] = changed[pixel] + 1
        moves[pixel] = stack(changed, kernels)[3, 3] != before
    return moves


# %% [markdown]
# Four stacks: a single layer with mask A, and three ways to choose the masks of two layers.

# %%
fields = {
    "A": receptive_field("A"),
    "A, then B": receptive_field("AB"),
    "A, then A": receptive_field("AA"),
    "B, then B": receptive_field("BB"),
}
show(
    lesson_02.fields(fields),
    "02_stacks",
    "What the output in the middle reads. Compare the middle pixel, and its left and upper right neighbours. "
    "Purple pixels lie beyond the reach of so few layers.",
)

# %% [markdown]
# A, then B: the output reads pixels before its own, more than one layer reads, and never its own. That is what we want.
#
# A, then A is safe as well, but it has lost the two neighbours that tell most about the pixel: the left one and the
# one at the upper right. With mask A each layer has to step back by at least one tap, and no two such steps add up to
# a step to the left, or to the upper right.
#
# B, then B reads the pixel itself. In the picture it is red: information flows in from where it must not. That is
# called a **leak**.
#
# A whole network therefore begins with one layer under mask A, and all layers after it have mask B. Now you have all
# that [lesson 03](03_pixelcnn_in_60_lines.py) needs. You may go there at once, and come back for the rest of this
# lesson when you have drawn your first digit.
#
# ## A leak, on purpose
#
# What happens if the first layer gets mask B by mistake? We borrow the library's PixelCNN, build it twice for images of
# 2 x 3 pixels in black and white, and give one of them the wrong mask. Nothing else differs. (`groups_in` and
# `groups_out` name the colours of a layer's channels; here all is grey.)

# %%
shape = (2, 3, 1)
right = mp.models.PixelCNN(shape, 2, hidden=8, blocks=2, rng=SEED, dtype="float64")
leaky = mp.models.PixelCNN(shape, 2, hidden=8, blocks=2, rng=SEED, dtype="float64")
first_layer = leaky.stem
start = mp.nn.Init(SEED, "float64")  # how weights begin
leaky.stem = mp.nn.Conv2d(first_layer.groups_in, first_layer.groups_out, (7, 7), "B", start)
print("the right one reads:", right.stem)
print("the leaky one reads:", leaky.stem)

# %% [markdown]
# One pass over all images that a model learns from is called an **epoch**. Both models now learn from fair coin flips:
# from all 64 possible images, each equally often. There is nothing to learn here. No honest model can predict a fair
# coin, and so none gets below 1 bit per pixel. And whatever a causal model has learnt, the probabilities of all 64
# images sum to 1, by the chain rule of lesson 01.

# %%
every_image = np.array(list(product([0, 1], repeat=6))).reshape(64, *shape)


def report(model):
    """The mean bits per pixel of coin flips, and the sum of the probabilities of all images."""
    return model.bits_per_dim(every_image), np.exp(model.log_prob(every_image)).sum()


right_rows = [report(right)]
leaky_rows = [report(leaky)]
for epochs in (5, 10, 25):
    for model, rows in ((right, right_rows), (leaky, leaky_rows)):
        mp.fit(model, every_image, epochs=epochs, batch_size=16, rng=SEED, progress=False)
        rows.append(report(model))

print("                      right model              leaky model")
print("epochs so far    bits/dim   sum of p      bits/dim   sum of p")
for row, epochs in enumerate((0, 5, 15, 40)):
    right_bits, right_sum = right_rows[row]
    leaky_bits, leaky_sum = leaky_rows[row]
    print(f"{epochs:13} {right_bits:11.3f} {right_sum:10.6f} {leaky_bits:13.3f} {leaky_sum:10.3f}")

# %% [markdown]
# The leaky model looks splendid. It predicts coin flips: it has learnt to copy each pixel from the input to the output.
# But the sum shows the fraud. It gives a probability of nearly 1 to *each* of the 64 images, so all together they have
# nearly 64. The product of its "predictions" is no probability. **A result that is too good to be true** is the usual
# sign of this mistake, and often the only one: such a model trains without any error message.
#
# Few models are small enough to sum over all images. The library finds a leak in a model of any size, and says where
# the future comes in. [Lesson 19](19_let_gradients_prove_it.py) shows how.
#
# The next cell asks about both. The report on the right model has one line for each of the five ways in which the
# library looks for a leak. The error about the leaky model names a pixel that reads what it must not, and the layer
# through which it does.

# %%
print(mp.check_causality(right))
error = ""
try:
    mp.assert_causal(leaky)
except mp.CausalityError as caught:
    error = str(caught)
print()
print("CausalityError:", error)

# %% [markdown]
# ## A mask is multiplied every time
#
# There are two ways to keep a shut tap at zero. One could set its weight to zero after each training step, and hope
# that nobody forgets. Or one multiplies the kernel by its mask **each time it is used**, and never writes to the
# weights. The library does the latter. Then nothing that happens to the weights can open a tap. As a test, we overwrite
# all weights of the right model with noise, those under the mask included.

# %%
for parameter in right.parameters():
    parameter.data = rng.normal(size=parameter.shape)
print("weights of the first layer that are not zero:", np.count_nonzero(right.stem.weight.data))
print("weights of the first layer that its mask opens:", right.stem.mask.sum())
print(f"the sum over all 64 images: {np.exp(right.log_prob(every_image)).sum():.12f}")

# %% [markdown]
# The model now computes nonsense, and it is still a probability distribution over all images.
#
# Two questions are left open. How do masks treat the three colours of one pixel? [Lesson 12](12_colour.py) answers
# that. And does a pixel really see its *whole* past through these windows? Not quite: there is a blind spot, which
# [lesson 09](09_the_blind_spot_and_two_stacks.py) finds and closes.
#
# ## What you should see

# %%
for kind, size in (("A", 3), ("B", 3), ("A", 7)):
    grey = np.zeros(1, int)
    by_library = mp.nn.causal_mask((size, size), grey, grey, kind)[:, :, 0, 0]
    assert np.array_equal(mask(kind, size), by_library)

place = np.arange(49).reshape(7, 7)
assert not fields["A, then B"][place >= place[3, 3]].any()  # nothing at the pixel, nothing after it
assert np.array_equal(
    fields["B, then B"], fields["A, then B"] | (place == place[3, 3])
)  # only the pixel itself differs
lost = fields["A, then B"] & ~fields["A, then A"]
assert np.argwhere(lost).tolist() == [[2, 4], [3, 2]]  # the upper right and the left neighbour of (3, 3)

for right_bits, right_sum in right_rows:  # after any amount of training
    assert abs(right_sum - 1) < 1e-9
    assert right_bits > 1 - 1e-9
leaky_bits, leaky_sum = leaky_rows[-1]
assert leaky_bits < 0.2
assert 40 < leaky_sum <= 64
assert "(0, 0) (its own value)" in error
assert "stem" in error
assert right.stem.weight.data.all()  # noise in every weight ...
assert abs(np.exp(right.log_prob(every_image)).sum() - 1) < 1e-9  # ... and still a distribution
assert mp.check_causality(right).ok

# %% [markdown]
# ## Exercises
#
# 1. *easy* How many taps does mask A leave open in a kernel of 3 x 3, 5 x 5 and 7 x 7? Find a formula for k x k.
# 2. *medium* Draw the pixels column by column instead of row by row. Which taps of the 3 x 3 masks change?
# 3. *medium* How many layers of 3 x 3 with mask B, after one of 7 x 7 with mask A, does the lower right pixel of an
#    image of 28 x 28 need, until it sees the first row?
# 4. *medium* Open the whole lower row of the kernel in one 3 x 3 layer of the right model, by giving the layer another
#    `mask`: `model.blocks[0].look.mask`. What does `mp.assert_causal` say, and what do the 64 images sum to?
# 5. *hard* A layer with mask B that reads the image is a leak. Is it one, too, if each later layer has mask A? Try "BA"
#    and "BAA" with `receptive_field`, and explain.
#
# Solutions: [solutions/02_masks_a_and_b.py](solutions/02_masks_a_and_b.py).
