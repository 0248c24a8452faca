# %% [markdown]
# # 02 Masks A and B: solutions
#
# Each solution begins with its exercise. First comes what they need from [the lesson](../02_masks_a_and_b.py).

# %%
import numpy as np

import minipixel as mp

rng = np.random.default_rng(5)


def mask(kind, size):
    centre = (size // 2, size // 2)
    opened = np.zeros((size, size))
    for tap in np.ndindex(size, size):
        if tap < centre or (kind == "B" and tap == centre):
            opened[tap] = 1
    return opened


def convolve(image, kernel):
    H, W = image.shape
    reach = len(kernel) // 2
    padded = np.pad(image, reach)
    result = np.zeros((H, W))
    for r, c in np.ndindex(kernel.shape):
        result = result + kernel[r, c] * padded[r : r + H, c : c + W]
    return result


# %% [markdown]
# ## Exercise 1
#
# > How many taps does mask A leave open in a kernel of 3 x 3, 5 x 5 and 7 x 7? Find a formula for k x k.
#
# A kernel of k x k has $k^2$ taps. One is the centre, and of the others half come before it: $(k^2 - 1) / 2$.

# %%
for k in (3, 5, 7, 9):
    print(f"{k} x {k}: {int(mask('A', k).sum())} taps open")
    assert mask("A", k).sum() == (k * k - 1) / 2

# %% [markdown]
# ## Exercise 2
#
# > Draw the pixels column by column instead of row by row. Which taps of the 3 x 3 masks change?
#
# Now the column comes first, and within a column the row decides. So we compare (c, r), not (r, c). The mask is the
# old one with rows and columns exchanged: the tap at the upper right shuts, the one at the lower left opens.

# %%
by_columns = np.zeros((3, 3))
for r, c in np.ndindex(3, 3):
    if (c, r) < (1, 1):
        by_columns[r, c] = 1
print(by_columns)
assert np.array_equal(by_columns, mask("A", 3).T)
assert np.argwhere(by_columns != mask("A", 3)).tolist() == [[0, 2], [2, 0]]

# %% [markdown]
# ## Exercise 3
#
# > How many layers of 3 x 3 with mask B, after one of 7 x 7 with mask A, does the lower right pixel of an image of
# > 28 x 28 need, until it sees the first row?
#
# The first layer looks 3 rows up, and each layer with mask B one row more. From row 27 to row 0 these are
# $27 = 3 + 24$ rows, so 24 layers are needed. We follow what is read, from the last layer back to the first. An output
# reads a pixel if one of its open taps lies there. Seen from that pixel, the output lies on the other side, so we turn
# the kernel around.

# %%
reads = np.zeros((28, 28))
reads[27, 27] = 1
layers = 0
while not convolve(reads, mask("A", 7)[::-1, ::-1])[0].any():
    reads = (convolve(reads, mask("B", 3)[::-1, ::-1]) > 0).astype(float)
    layers = layers + 1
print("layers with mask B:", layers)
assert layers == 24

# %% [markdown]
# ## Exercise 4
#
# > Open the whole lower row of the kernel in one 3 x 3 layer of the right model, by giving the layer another `mask`:
# > `model.blocks[0].look.mask`. What does `mp.assert_causal` say, and what do the 64 images sum to?
#
# `Conv2d` builds its mask when it is first asked for; we put another one in its place, and noise into the weights that
# it opens. `assert_causal` names a pixel that reads one below, and the layer through which it does. The sum over all
# images is not 1: the product is no probability any more.

# %%
model = mp.models.PixelCNN((2, 3, 1), 2, hidden=8, blocks=2, rng=0, dtype="float64")
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
sum_before = np.exp(model.log_prob(every_image)).sum()

layer = model.blocks[0].look
opened = layer.mask.copy()
opened[2] = True
layer.mask = opened
layer.weight.data = rng.normal(size=layer.weight.shape)

sum_after = np.exp(model.log_prob(every_image)).sum()
print(f"the sum over all 64 images: {sum_before:.6f} before, {sum_after:.6f} after")
error = ""
try:
    mp.assert_causal(model)
except mp.CausalityError as caught:
    error = str(caught)
print("CausalityError:", error)
assert abs(sum_before - 1) < 1e-9
assert abs(sum_after - 1) > 1e-6
assert "blocks.0.look" in error

# %% [markdown]
# ## Exercise 5
#
# > A layer with mask B that reads the image is a leak. Is it one, too, if each later layer has mask A? Try "BA" and
# > "BAA" with `receptive_field`, and explain.
#
# It is no leak. Along a path from the output to the input each layer takes a step: mask A one that goes back, mask B
# one that goes back or stays. The whole path goes back if at least *one* of its layers has mask A, wherever it stands.
#
# In a PixelCNN it would be a leak all the same: its residual connections carry features around the layers, and so
# around a mask A that comes later. Only the first layer cannot be bypassed.


# %%
def receptive_field(kinds):
    image = rng.normal(size=(7, 7))
    kernels = [rng.normal(size=(3, 3)) * mask(kind, 3) for kind in kinds]

    def output(image):
        features = image
        for kernel in kernels:
            features = convolve(features, kernel)
        return features[3, 3]

    moves = np.zeros((7, 7), bool)
    for pixel in np.ndindex(7, 7):
        changed = image.copy()
        changed[pixel] = changed[pixel] + 1
        moves[pixel] = output(changed) != output(image)
    return moves


assert np.array_equal(receptive_field("BA"), receptive_field("AB"))
assert not receptive_field("BAA")[3, 3:].any()
assert receptive_field("BB")[3, 3]
print(receptive_field("BA").astype(int))
