# %% [markdown]
# # Solutions of lesson 07: a convolution is a matrix product
#
# Each solution begins with its exercise. First come the taps of [the
# lesson](../07_convolution_is_a_matrix_product.py), those of a 3x3 mask B and of a 7x7 mask A.

# %%
from functools import partial

import numpy as np

import minipixel as mp
from minipixel.kernels import col2im, im2col
from minipixel.kernels.taps import open_taps

rng = np.random.default_rng(4)
one_channel = np.zeros(1, int)
taps_b = open_taps(mp.nn.causal_mask((3, 3), one_channel, one_channel, "B"))
taps_a = open_taps(mp.nn.causal_mask((7, 7), one_channel, one_channel, "A"))

# %% [markdown]
# ## Exercise 1
#
# > How many bytes has the column matrix of a 7x7 mask A, for 64 pictures of 28x28 pixels with 32 channels, in
# > float32? How many would it have with all 49 taps?
#
# One row per pixel of each picture, one column per tap and channel, and four bytes per number. With all 49 taps it
# would be about twice as much, and the second half would be multiplied by zeros only.

# %%
pixels = 64 * 28 * 28
open_bytes = pixels * 24 * 32 * 4
all_bytes = pixels * 49 * 32 * 4
print(f"{open_bytes:,} bytes with 24 taps, {all_bytes:,} bytes with 49")

one_picture = im2col(np.zeros((28, 28, 1, 32), "float32"), taps_a)
assert 64 * one_picture.nbytes == open_bytes

# %% [markdown]
# ## Exercise 2
#
# > Write `returned[where] += cell_gradients` in the place of `np.add.at`. Which pixels come out wrong, and why?
#
# `returned[where] += g` first reads all places, then adds, then writes. Where several cells name one pixel, each adds
# to the same old value, and the last one that writes wins. So every pixel that is read more than once comes out
# wrong. Under a 3x3 mask B only the last pixel is read once, by itself.

# %%
numbers = np.arange(1.0, 17).reshape(4, 4, 1, 1)
where = im2col(numbers, taps_b).astype(int)
cell_gradients = rng.standard_normal(where.shape)

right = np.zeros(17)
np.add.at(right, where, cell_gradients)
wrong = np.zeros(17)
wrong[where] += cell_gradients

differs = ~np.isclose(right, wrong)[1:].reshape(4, 4)
reads = col2im(np.ones(where.shape), taps_b, 1)[:, :, 0, 0]
print("how often each pixel is read:")
print(reads.astype(int))
print("which come out wrong:")
print(differs.astype(int))
assert np.array_equal(differs, reads > 1)

# %% [markdown]
# ## Exercise 3
#
# > With a **dilation** of 2 the taps of a kernel lie two pixels apart. Make such a convolution from `im2col`, and
# > compare with `conv2d(..., dilation=2)`.
#
# A dilation multiplies all offsets. Nothing else changes: `im2col` takes any offsets.

# %%
x = rng.standard_normal((8, 8, 2, 3))
weight = rng.standard_normal((3, 3, 3, 4))
mask = mp.nn.causal_mask((3, 3), np.zeros(3, int), np.zeros(4, int), "B")
open_weight = weight.reshape(9, 3, 4)[:5].reshape(5 * 3, 4)

dilated_taps = [(2 * dr, 2 * dc) for dr, dc in taps_b]
ours = im2col(x, dilated_taps) @ open_weight
from_library = mp.ops.conv2d(x, weight, np.zeros(4), mask=mask, dilation=2)
print("taps:", dilated_taps, "difference:", np.abs(ours - from_library).max())
assert np.allclose(ours, from_library, rtol=1e-12, atol=1e-12)

# %% [markdown]
# ## Exercise 4
#
# > Write the gradient of `tap_by_tap` with respect to x without `col2im`, and give it to `mp.gradcheck`.
#
# On the way forward, tap by tap, y at $(r, c)$ received $x_{r + dr, c + dc} W_t$. On the way back x at $(r, c)$
# receives what y at $(r - dr, c - dc)$ got, times $W_t^\top$: the same shift, in the other direction. So the gradient
# of a convolution is a convolution too, with all offsets turned round and all weights transposed.


# %%
def shifted(x, dr, dc):
    """The map that is read at the offset (dr, dc), zero past the border: (H, W, N, K)."""
    H, W = x.shape[:2]
    padded = np.pad(x, ((3, 3), (3, 3), (0, 0), (0, 0)))
    return padded[3 + dr : 3 + dr + H, 3 + dc : 3 + dc + W]


@mp.op
def tap_by_tap(x, weight, *, taps):
    y = sum(shifted(x, dr, dc) @ tap_weight for (dr, dc), tap_weight in zip(taps, weight, strict=True))

    def vjp(g):
        x_g = sum(shifted(g, -dr, -dc) @ tap_weight.T for (dr, dc), tap_weight in zip(taps, weight, strict=True))
        weight_g = np.stack([np.einsum("hwnk,hwnl->kl", shifted(x, dr, dc), g) for dr, dc in taps])
        return x_g, weight_g

    return y, vjp


x = rng.standard_normal((4, 4, 2, 3))
weight = rng.standard_normal((5, 3, 2))
error = mp.gradcheck(partial(tap_by_tap, taps=taps_b), x, weight)
print(f"gradcheck: {error:.0e}")
assert error < 1e-10

# %% [markdown]
# ## Exercise 5
#
# > With a **stride** of 2 only every second pixel of every second row is computed. What changes in $A$, and what in
# > its adjoint? Write both from the layout of this lesson, and test the pair.
#
# With a stride of 2 most rows of $A$ are left out: those of the pixels that are not computed. To leave out rows of
# $A$ is to leave out columns of $A^\top$: the gradients of those pixels do not exist, or, what is the same, they are
# zero. So the adjoint puts what it gets on every second pixel of a map of zeros, and goes on as before. The size of
# the picture has to be an argument, since a picture of 7 rows and one of 8 rows both leave 4.


# %%
def lay_out_strided(x, taps):
    return im2col(x, taps)[::2, ::2]


def scatter_strided(columns, taps, K, size):
    H, W = size
    everywhere = np.zeros((H, W, *columns.shape[2:]))
    everywhere[::2, ::2] = columns
    return col2im(everywhere, taps, K)


for size in ((8, 8), (7, 5)):
    x = rng.standard_normal((*size, 2, 3))
    laid_out = lay_out_strided(x, taps_a)
    y = rng.standard_normal(laid_out.shape)
    returned = scatter_strided(y, taps_a, 3, size)
    forth = (laid_out * y).sum()
    back = (x * returned).sum()
    print(f"{size}: <A x, y> = {forth:.10f}, <x, A' y> = {back:.10f}")
    assert abs(forth - back) < 1e-10 * max(1, abs(forth))
    assert np.array_equal(laid_out, im2col(x, taps_a, 2))
    assert np.allclose(returned, col2im(y, taps_a, 3, 2, size), rtol=1e-12, atol=1e-12)
