# %% [markdown]
# # Solutions of lesson 19, Let gradients prove it
#
# The lesson is [19 Let gradients prove it](../19_let_gradients_prove_it.py). Each solution begins with its exercise.
# This cell makes the lesson's model: a PixelCNN of two blocks on images of 9x12 pixels.

# %%
import numpy as np

import minipixel as mp

rng = np.random.default_rng(0)
H = 9
W = 12
model = mp.models.PixelCNN((H, W, 1), 2, hidden=16, blocks=2, dtype="float64")

# %% [markdown]
# ## Exercise 1
# > Compute from the matrix of dependencies which share of its past each of the 108 outputs sees, as a map (H, W).
# > Which pixels see least, and why?
#
# Row $i$ of the matrix has as many true entries as there are pixels that output $i$ sees. Its past has $i$ pixels.
# The first output has no past, so its share is not a number.
#
# The pixels of the two lower corners see least, and the left one least of all. These three layers reach five rows up
# and five columns to either side. In a corner, one side is outside the image. In the left corner that is the left
# side, which the model would see well; what remains is the right side, where the blind spot takes its part.

# %%
seen = mp.causality.dependencies(model)
past = np.arange(H * W)
share = np.full(H * W, np.nan)
share[1:] = seen.sum(axis=1)[1:] / past[1:]
share = share.reshape(H, W)
print(np.round(share, 2))
least = np.unravel_index(np.nanargmin(share), (H, W))
print("least of all:", least)

assert least == (8, 0)
assert share[8, 0] < share[8, 6]
assert (share[0, 1:6] == 1).all()

# %% [markdown]
# ## Exercise 2
# > Check the lesson's three sums once more, about integers from 0 to 255 (`inputs=("int64", 0, 255)`). Which verdict
# > changes, and why?
#
# Sums and differences of integers are exact. So with integers $(a + x) - x$ is $a$, to the last bit, and the third
# sum is causal. The verdict on the second does not change: its mistake has nothing to do with rounding.


# %%
def sum_padded(x):
    """The running sum, moved one pixel to the right, with a zero at the left."""
    moved = np.pad(x.cumsum(axis=2), ((0, 0), (0, 0), (1, 0), (0, 0)))
    return moved[:, :, :-1]


def sum_rolled(x):
    """The same with np.roll, which brings the last pixel in at the left."""
    return np.roll(x.cumsum(axis=2), 1, axis=2)


def sum_subtracted(x):
    """The running sum less the pixel itself."""
    return x.cumsum(axis=2) - x


verdicts = {}
for ask in (sum_padded, sum_rolled, sum_subtracted):
    of_floats = mp.check_causality(ask, (8, 8, 1)).ok
    of_integers = mp.check_causality(ask, (8, 8, 1), inputs=("int64", 0, 255)).ok
    verdicts[ask.__name__] = (of_floats, of_integers)
    print(f"{ask.__name__}: floats {of_floats}, integers {of_integers}")

assert verdicts == {"sum_padded": (True, True), "sum_rolled": (False, False), "sum_subtracted": (False, True)}

# %% [markdown]
# ## Exercise 3
# > Write perturbation by hand: change one pixel of an image after another, compare all outputs to the bit, and note
# > every change that at least one of four images shows. Is the matrix that of the gradients?
#
# Copy $j$ of a batch has pixel $j$ changed. Where the output of copy $j$ differs from that of the unchanged image, in
# a single bit, it depends on pixel $j$. Two things need care. Change the pixel by much: a small step may be lost in
# rounding. And compare with the unchanged image at the *same place of a batch of the same size*: for batches of
# another size a matrix product may add in another order, and then bits differ although nothing depends on the pixel.


# %%
def perturbed_by_hand(model, images=4):
    """Which outputs move when one pixel changes: boolean (S, S), row i for output i."""
    H, W, _ = model.image_shape
    S = H * W
    found = np.zeros((S, S), bool)
    for _ in range(images):
        image = rng.uniform(-1, 1, (H, W, 1, 1))
        copies = np.repeat(image, S, axis=2)
        before = model.forward(mp.Tensor(copies)).data
        changed = copies.copy()
        for j in range(S):
            here = changed[j // W, j % W, j]
            changed[j // W, j % W, j] = np.where(here > 0, -1, 1)  # to the far end of the range
        after = model.forward(mp.Tensor(changed)).data
        moved = (before != after).any(axis=3)  # (H, W, N), copy j in place j of the batch
        found = found | moved.reshape(S, S)
    return found


by_change = perturbed_by_hand(model)
print("the same matrix:", np.array_equal(by_change, seen))

assert np.array_equal(by_change, seen)

# %% [markdown]
# ## Exercise 4
# > A model of 2x2 pixels draws all reds first, then all greens, then all blues (`order="rgb-planes"`). Predict its
# > matrix, once in raster order, and once in the order of drawing. Then write a function that obeys this order, and
# > check it.
#
# Sub-pixels have the numbers 0 to 11 in raster order: R0 G0 B0 R1 G1 B1 ... In the order of drawing the four reds
# come first, then the greens, then the blues. With rows and columns in that order the matrix of a model that sees its
# whole past is full below the diagonal, as always. In raster order it is the same matrix with its rows and columns
# permuted. A red output reads the earlier reds only. A blue output reads *all* reds and *all* greens, of later pixels
# too, and these are entries above the diagonal.

# %%
place = np.arange(12).reshape(2, 2, 3)  # in raster order, as the library counts
order = np.zeros((2, 2, 3), int)
for channel in range(3):
    order[:, :, channel] = 4 * channel + np.arange(4).reshape(2, 2)
when = order.ravel()
predicted = when[None, :] < when[:, None]  # row i reads column j if j is drawn earlier


def planes(x):
    """The sum of all that is drawn earlier: (N, 2, 2, 3) -> (N, 2, 2, 3)."""
    flat = x.reshape(len(x), 12)
    return (flat @ predicted.T).reshape(x.shape)


report = mp.check_causality(planes, (2, 2, 3), order="rgb-planes", inputs=("int64", 0, 255))
print(report)
in_order_of_drawing = predicted[np.ix_(np.argsort(when), np.argsort(when))]

assert report.ok
assert np.array_equal(report.order, order)
assert np.array_equal(report.dependencies, predicted)
assert np.array_equal(in_order_of_drawing, np.tril(np.ones((12, 12), bool), -1))
assert np.triu(predicted).any()
assert not mp.check_causality(planes, (2, 2, 3), inputs=("int64", 0, 255)).ok  # in raster order it leaks

# %% [markdown]
# ## Exercise 5
# > Does training ever open the leak behind the dead rectifier? Look at the gradient of its bias. Then open it
# > yourself, by a bias that is less low.
#
# A dead rectifier passes no gradient. So the bias that keeps it shut gets a gradient of exactly 0, and so do all
# weights of its convolution: no step of Adam or of gradient descent changes any of them. The leak stays asleep,
# unless the layers before it come to send much larger numbers, or weight decay (a pull of every weight towards 0 at
# each step, whatever its gradient is) raises the bias. With a bias that is less low the rectifiers open, and the leak
# shows.


# %%
def noisy_model_with_a_tap(bias):
    """The lesson's PixelCNN with one tap too many, and a number added to the biases of that convolution."""
    model = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, dtype="float64")
    noise = np.random.default_rng(6)
    for weight in model.parameters():
        weight.data = noise.normal(0, 0.4, weight.shape)
    look = model.blocks[1].look
    mask = np.array(look.mask)
    mask[1, 2] = True
    look.mask = mask
    look.bias.data += bias
    return model


# %%
images = rng.integers(0, 2, (64, 2, 3, 1))
dead = noisy_model_with_a_tap(-100)
_, gradients = dead.value_and_gradients(images)
of_bias = gradients["blocks.1.look.bias"]
before = dead.blocks[1].look.bias.data.copy()
mp.fit(dead, images, epochs=5, batch_size=16, rng=0, progress=False)
print("the largest gradient of the bias:", np.abs(of_bias).max())
still_asleep = mp.causality.WITNESSES["gradients"](dead)
awake = mp.causality.WITNESSES["gradients"](noisy_model_with_a_tap(-1))
print("after training:", still_asleep)
print("with a higher bias:", awake)

assert (of_bias == 0).all()
assert np.array_equal(dead.blocks[1].look.bias.data, before)
assert still_asleep.holds
assert not awake.holds
