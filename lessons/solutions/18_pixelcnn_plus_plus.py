# %% [markdown]
# # Solutions to lesson 18: PixelCNN++ and its U
#
# The lesson is [18 PixelCNN++ and its U](../18_pixelcnn_plus_plus.py). Each solution begins with its exercise.

# %%
import os

import numpy as np

import minipixel as mp
from minipixel import ops

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## Exercise 1
# > How large must $R$ (`resnets`) be in a model of two sizes with the paper's kernels, so that on images of 28 columns
# > every pixel sees its whole past? Compute it from the formula, then ask the model.
#
# The last pixel of an odd row has 27 columns to its left, and sees $4R + 2$ of them. So $4R + 2 \ge 27$ is needed. The
# least such whole number is $R = 7$, which reaches 30 columns; $R = 6$ reaches 26, one too few. Images of four rows are
# enough to check that. With $R = 6$, in both odd rows, the last pixel does not see the first one. In the same way the
# first pixel of an odd row does not see the last one of the row above. That makes 4 pairs of a pixel and one that it
# does not see.

# %%
H = 4
W = 28
past = np.tri(H * W, k=-1, dtype=bool)
missed = {}
for resnets in (6, 7):
    model = mp.models.PixelCNNpp((H, W, 1), 4, filters=2, resnets=resnets, hierarchies=2, rng=SEED)
    saw = mp.causality.dependencies(model, images=1)
    missed[resnets] = np.argwhere(past & ~saw)
    print(f"R = {resnets}: in {len(missed[resnets])} cases a pixel does not see an earlier one")
for later, earlier in missed[6]:
    print("pixel", divmod(int(later), W), "does not see", divmod(int(earlier), W))
assert len(missed[6]) == 4
assert len(missed[7]) == 0

# %% [markdown]
# ## Exercise 2
# > Write down the matrix $A$ of the convolution with stride 2 from 7x9 to 4x5 pixels, column by column, and the matrix
# > of the transposed one. Compare.
#
# What a linear map makes of a unit vector is one column of its matrix. So we send maps through it that are 1 at a
# single pixel and 0 elsewhere.


# %%
def matrix_of(linear_map, H, W):
    """The matrix of a linear map of maps (H, W, 1, 1): one column per pixel of its input."""
    columns = []
    for pixel in range(H * W):
        unit = np.zeros(H * W)
        unit[pixel] = 1
        columns.append(linear_map(unit.reshape(H, W, 1, 1)).ravel())
    return np.stack(columns, axis=1)


kernel = rng.normal(size=(2, 3, 1, 1))
halving = matrix_of(lambda x: ops.conv2d(x, kernel, None, stride=2, centre=(0, 1)), 7, 9)
enlarging = matrix_of(lambda x: ops.transposed_conv2d(x, kernel, None, size=(7, 9), stride=2, centre=(0, 1)), 4, 5)
print("A has", halving.shape[0], "rows and", halving.shape[1], "columns; the other has the shape", enlarging.shape)
assert np.allclose(enlarging, halving.T)

# %% [markdown]
# ## Exercise 3
# > Give the enlarging kernels the centre that the halving ones have. Which pixels see the future now, and why?
#
# The halving kernel of u has its centre in its last row, (1, 1). With that centre the enlarging one writes from row $k$
# of the small map to the rows $2k - 1$ and $2k$. But row $k$ of the small map knows all rows above $2k$, and row
# $2k - 1$ is one of them. So the pixels of that odd row see their own values. We change u alone first, then ul alone.

# %%
leaks = {}
for number, stream in enumerate(("u", "ul")):
    model = mp.models.PixelCNNpp((6, 6, 1), 4, filters=4, resnets=1, hierarchies=2, rng=SEED)
    model.level.enlarge[number].centre = model.level.halve[number].centre
    leaks[stream] = mp.check_causality(model).leaks
    outputs = [tuple(output[:2]) for output, source in leaks[stream]]
    print(f"{stream:2}: {len(leaks[stream])} leaks, into the pixels", *sorted({(int(r), int(c)) for r, c in outputs}))

# %% [markdown]
# With u changed, pixels of odd rows see the future, and no others. With ul, pixels of odd columns do so as well: column
# $k$ of the small map is also written to the column $2k - 1$, and it knows, in its own row, all columns to the left of
# $2k$. Column $2k - 1$ is one of them. (The report names the layer: `print(mp.check_causality(model))`.)

# %%
assert {int(output[0]) % 2 for output, source in leaks["u"]} == {1}
assert all(output[0] % 2 == 1 or output[1] % 2 == 1 for output, source in leaks["ul"])
assert len(leaks["ul"]) > len(leaks["u"])

# %% [markdown]
# ## Exercise 4
# > Take the shortcuts away: wrap each pair of `way_back` in a module that gives it zeros in place of its twin's output.
# > What can a pixel of an odd row still see in a model of two sizes, and what in a model of one? What does it cost in
# > bits/dim?
#
# The module below gives its pair zeros, whatever the twin's output is. (The zeros are made by multiplying with a matrix
# of zeros, so that their shape is right for any batch.)


# %%
class WithoutTwin(mp.nn.Module):
    """A pair on the way back whose shortcut brings zeros."""

    def __init__(self, pair):
        self.pair = pair

    def __call__(self, u, ul, twin, condition=None, rng=None):
        nothing = np.zeros((twin[0].shape[-1], twin[0].shape[-1]), np.float32)
        zeros = tuple(ops.linear(features, nothing, None) for features in twin)
        return self.pair(u, ul, zeros, condition, rng)


def without_shortcuts(model):
    """The same model; its shortcuts bring zeros."""
    level = model.level
    while level is not None:
        level.way_back = [WithoutTwin(pair) for pair in level.way_back]
        level = level.below
    return model


# %% [markdown]
# What do the pixels (14, 20) and (15, 20) of an image of 28x28 see, with two sizes and with one?

# %%
numbers = [14 * 28 + 20, 15 * 28 + 20]
saw = {}
for hierarchies in (1, 2):
    model = mp.models.PixelCNNpp((28, 28, 1), 4, filters=4, resnets=2, hierarchies=hierarchies, rng=SEED)
    view = mp.causality.dependencies(without_shortcuts(model), images=1, outputs=numbers)
    saw[hierarchies] = view.reshape(2, 28, 28)
    print(f"{hierarchies} size(s): the even row sees {view[0].sum()} pixels, the odd row {view[1].sum()}")
    print("   the odd row sees of itself", saw[hierarchies][1, 15].sum(), "pixels")

# %% [markdown]
# With one size of map nothing is lost: there the way back begins with the last map of the way in, and 207 pixels are
# what the layers reach with shortcuts, too. With two sizes, all information has to pass through the small map. An odd
# row gets the same from it as the even row above: it sees nothing of its own row, nor even the pixel right above.
#
# To see what that costs, we train models of one and of two sizes, with and without shortcuts, for a short while.

# %%
assert np.array_equal(saw[2][0], saw[2][1])
assert not saw[2][1, 15].any()
assert not saw[2][1, 14, 20]
assert saw[1][1, 15].sum() > 5

# %%
digits = mp.datasets.load("digits")
images = digits.train.images[:96] if QUICK else digits.train.images
bits = {}
for hierarchies in (1, 2):
    for shortcuts in (True, False):
        model = mp.models.PixelCNNpp(
            digits.image_shape, digits.levels, filters=16, resnets=1, hierarchies=hierarchies, dropout=0.0, rng=SEED
        )
        if not shortcuts:
            without_shortcuts(model)
        optimizer = mp.optim.Adam(3e-3)
        epochs = 1 if QUICK else 3
        mp.fit(model, images, epochs=epochs, batch_size=16, optimizer=optimizer, rng=SEED, progress=False)
        bits[hierarchies, shortcuts] = model.bits_per_dim(digits.test.images)
        print(f"{hierarchies} size(s), shortcuts {shortcuts!s:5}: {bits[hierarchies, shortcuts]:.3f} bits/dim")

# %% [markdown]
# After three epochs the model of two sizes loses 0.21 bits/dim without its shortcuts: the seeds 0, 1 and 2 gave 1.917,
# 1.933 and 1.919 with them, and 2.123, 2.139 and 2.128 without. The model of one size loses nothing: there it was
# 1.955, 1.960 and 1.969 with shortcuts, and 1.959, 1.952 and 1.943 without.

# %%
if not QUICK:
    assert bits[2, False] > bits[2, True] + 0.1
    assert abs(bits[1, False] - bits[1, True]) < 0.06
