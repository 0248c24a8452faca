# %% [markdown]
# # 07 A convolution is a matrix product
#
# - *You will* turn a sliding window into a matrix, leave out shut taps, send gradients back, and time each step.
# - *Reads* `minipixel/ops/conv.py`, `minipixel/kernels/reference.py`, `minipixel/kernels/numba_cpu.py`; K.
#   Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document processing"
#   (2006).
# - *Before* [lesson 02](02_masks_a_and_b.py) for the masks, [lesson 05](05_a_tape_in_a_page.py) and [lesson
#   06](06_trust_but_check.py).
# - *Takes* about 10 seconds to run, and 30 minutes to read.
#
# In lesson 03 a masked convolution was given. In lesson 05 we learnt that the way back of a matrix product is two
# more matrix products, and matrix products are what computers are best at. A convolution does not look like one: a
# window slides over a picture, with loops over rows, columns and taps. Can it be written as one matrix product all
# the same? What is its way back then? And does it save time?

# %%
import os
import time
from functools import partial

import numpy as np
from drawings import lesson_07
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp
from minipixel.kernels import KERNELS, col2im, im2col
from minipixel.kernels.taps import open_taps

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
rng = np.random.default_rng(4)

# %% [markdown]
# ## A window that slides
#
# A picture, or what a layer made of one, is called a **feature map**. minipixel stores it *pixels first*, as
# `(H, W, N, K)`: rows, columns, images, channels. So the features of one pixel, of all images, lie side by side in
# memory.
#
# A tap is one place of the kernel. We write it as the offset $(dr, dc)$ from the pixel that is computed to the pixel
# that is read. A 3x3 kernel has nine taps; a mask B of lesson 02 leaves five of them open. The library's
# `causal_mask` makes such a mask, and `open_taps` lists what it leaves open. (`causal_mask` is also told the colour
# of each channel that goes in and of each that comes out, which lesson 12 needs. A grey channel has the colour 0.)

# %%
one_channel = np.zeros(1, int)  # the colours of the channels: there is one channel, of colour 0
mask_b = mp.nn.causal_mask((3, 3), one_channel, one_channel, "B")
taps_b = open_taps(mask_b)
print("open taps of a 3x3 mask B:", taps_b)

# %% [markdown]
# A convolution multiplies what each tap reads by the weights of that tap, and adds up:
#
# $$y_{r,c} = \sum_{t=1}^{T} x_{r + dr_t,\; c + dc_t}\, W_t,$$
#
# where $W_t$ is the matrix of tap t, with a row for each channel in and a column for each channel out. Past the
# border a tap reads zero. Here is the formula as a program.


# %%
def slide(x, taps, weight):
    """x (H, W, N, K_in), T taps, weight (T, K_in, K_out) -> (H, W, N, K_out)."""
    H, W, N, _ = x.shape
    y = np.zeros((H, W, N, weight.shape[-1]))
    for r in range(H):
        for c in range(W):
            for (dr, dc), tap_weight in zip(taps, weight, strict=True):
                inside = 0 <= r + dr < H and 0 <= c + dc < W
                if inside:
                    y[r, c] += x[r + dr, c + dc] @ tap_weight
    return y


# %% [markdown]
# Let one picture of 4x4 pixels hold the numbers 1 to 16, so that we can see which pixel is read where. The library's
# masked convolution gives the same result.

# %%
picture = np.arange(1.0, 17).reshape(4, 4, 1, 1)
kernel = np.array([[2.0, -1.0, 1.0], [-2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]).reshape(3, 3, 1, 1)
weight = kernel.reshape(9, 1, 1)[:5]  # the five open taps come first in raster order
slid = slide(picture, taps_b, weight)
from_library = mp.ops.conv2d(picture, kernel, np.zeros(1), mask=mask_b)
print(slid[:, :, 0, 0])
print("the library gives the same:", np.array_equal(slid, from_library))

# %% [markdown]
# ## A matrix that stands still
#
# The loop reads and multiplies by turns. Let us do all the reading first. For each pixel we write down, side by
# side, what its T taps read. This table is called the **column matrix**, and to make it is called **im2col** ("image
# to columns"). One tap fills one column. It is the picture itself, shifted by the offset of the tap.


# %%
def lay_out(x, taps):
    """What each pixel reads, side by side: (H, W, N, K), T taps -> (H, W, N, T * K). Offsets of at most 3."""
    H, W, N, K = x.shape
    padded = np.pad(x, ((3, 3), (3, 3), (0, 0), (0, 0)))
    columns = np.zeros((H, W, N, len(taps), K), x.dtype)
    for t, (dr, dc) in enumerate(taps):
        columns[:, :, :, t] = padded[3 + dr : 3 + dr + H, 3 + dc : 3 + dc + W]
    return columns.reshape(H, W, N, len(taps) * K)


columns = lay_out(picture, taps_b)
print("the picture has shape", picture.shape, "and its columns", columns.shape)
print("the library lays out the same:", np.array_equal(columns, im2col(picture, taps_b)))

# %% [markdown]
# What is left of the convolution is one matrix product. Write the weights of all taps below each other. A row of the
# column matrix times these weights is the sum in our formula.

# %%
multiplied = columns @ weight.reshape(5, 1)
print("columns @ weight is the convolution:", np.array_equal(multiplied, slid))

show(
    lesson_07.product(picture[:, :, 0, 0], columns.reshape(16, 5), weight.ravel(), slid.ravel(), taps_b, (2, 2)),
    "07_columns",
    "Pixel (2, 2), counted from 0 within the black frame, reads five pixels: four of the past and itself. They are "
    "row 2*4 + 2 = 10 of the column matrix. That row times the weights is entry 10 of y. The zeros are reads past "
    "the border.",
)

# %% [markdown]
# The column matrix is T times as large as the map. That is the price. We get two things for it: the product is done
# by a routine that people have tuned for decades, and the four shut taps of the 3x3 are not there at all.
#
# ## Shut taps cost nothing
#
# One could also multiply the kernel by the mask, as in lesson 03, and convolve with all of it. Then nearly half of
# all products are products with zero. If `mp.ops.conv2d` is given the mask as an argument, this does not happen: a
# shut tap has no column. Let us count for the two masks of a PixelCNN.

# %%
channels_32 = np.zeros(32, int)
mask_stem = mp.nn.causal_mask((7, 7), one_channel, channels_32, "A")
mask_block = mp.nn.causal_mask((3, 3), channels_32, channels_32, "B")
for name, mask in (("7x7 mask A", mask_stem), ("3x3 mask B", mask_block)):
    print(f"{name}: {len(open_taps(mask))} of {mask.shape[0] * mask.shape[1]} taps are open")

# %% [markdown]
# Does the time really depend on the open taps alone? We have to measure it. On a computer that does other things as
# well, a measured time depends on those things, too. So we take some care. We use one thread, and ask for the time
# of that thread alone. The functions that we compare take turns in a random order, since whichever runs second may
# find its data still at hand. And of several rounds we take the median.

# %%
threadpool_limits(1)  # one thread for matrix products
rounds = 5 if QUICK else 25
clock = time.perf_counter if os.name == "nt" else time.thread_time  # that of a thread is coarse on Windows


def medians(*functions):
    """How many milliseconds each function takes: the median of some rounds."""
    times = np.zeros((rounds + 1, len(functions)))
    for row in times:
        for i in rng.permutation(len(functions)):
            start = clock()
            functions[i]()
            row[i] = 1e3 * (clock() - start)
    return np.median(times[1:], axis=0)  # the first round does not count


# %% [markdown]
# We take a 7x7 kernel between maps of 16 channels, and open from 1 to all 49 of its taps.

# %%
maps = np.ones((16, 16, 16, 16), "float32")
kernel_7 = np.ones((7, 7, 16, 16), "float32")
bias = np.zeros(16, "float32")
place = np.arange(49).reshape(7, 7, 1, 1)
counts = [1, 5, 9, 17, 24, 33, 41, 49]
candidates = []
for count in counts:
    first_taps = np.broadcast_to(place < count, kernel_7.shape)
    candidates.append(partial(mp.ops.conv2d, maps, kernel_7, bias, mask=first_taps))
times_by_taps = medians(*candidates)

open_of = {"7x7 mask A": mask_stem.any(axis=(2, 3)), "3x3 mask B": mask_block.any(axis=(2, 3))}
show(
    lesson_07.taps(open_of, counts, times_by_taps),
    "07_taps",
    "Left: the taps of two masks. Right: time against the number of open taps. It is close to a line through 0, so "
    "half as many taps take about half the time.",
)

# %% [markdown]
# ## Back the same way
#
# Now the gradient. For the product lesson 05 has the answer: $g_\text{columns} = g_y W^\top$ and
# $g_W = \text{columns}^\top g_y$. It remains to take the gradient of the column matrix back to the picture.
#
# To see the way back, we look at the way forward once more. Let us number the pixels from 1 to 16, and let 0 stand
# for "past the border". If we lay out these *numbers*, each cell of the column matrix says which pixel it was read
# from. To read by such a list of places is called a **gather**. So we can lay out any picture by a gather:

# %%
where = lay_out(np.arange(1, 17).reshape(4, 4, 1, 1), taps_b)
some_picture = rng.standard_normal((4, 4, 1, 1))
with_border = np.append(0.0, some_picture)  # 17 numbers; at place 0 the zero that is read past the border
gathered = with_border[where]
print("a gather is a layout:", np.array_equal(gathered, lay_out(some_picture, taps_b)))

# %% [markdown]
# Each cell has its number from one pixel. On the way back each cell returns its gradient to that pixel. A pixel that
# was read five times gets five parts, which add up, as in lesson 05. To write by a list of places, and to add where
# several write to one, is called a **scatter-add**. In the library it is `col2im`.

# %%
cell_gradients = rng.standard_normal(where.shape)
returned = np.zeros(17)
np.add.at(returned, where, cell_gradients)
from_col2im = col2im(cell_gradients, taps_b, 1)
print("a scatter-add is col2im:", np.allclose(returned[1:], from_col2im.ravel()))

# %% [markdown]
# Such a pair has a name. To lay out is linear: $\text{columns} = A x$, where $A$ is a matrix of zeros and ones. The
# way back multiplies by its transpose, $A^\top$, which is called the **adjoint** of $A$. There is a test for such a
# pair that does not need $A$ itself. Take any array $x$ of the shape of the map and any array $y$ of the shape of
# the columns. Then
#
# $$\langle A x,\; y\rangle = \langle x,\; A^\top y\rangle.$$
#
# The brackets stand for the sum of all products of two elements in the same place. Here is the test for the 24 taps
# of the stem, a map of three channels, and random numbers for $x$ and $y$.

# %%
taps_stem = open_taps(mask_stem)
x = rng.standard_normal((8, 8, 4, 3))
y = rng.standard_normal((8, 8, 4, 24 * 3))
forth = (im2col(x, taps_stem) * y).sum()
back = (x * col2im(y, taps_stem, 3)).sum()
print(f"<A x, y>  = {forth:.12f}")
print(f"<x, A' y> = {back:.12f}")

# %% [markdown]
# If every cell returns a 1, each pixel receives as many ones as there are cells that read it. So we can draw the
# adjoint as a picture.

# %%
all_taps = open_taps(np.ones((3, 3, 1, 1), bool))
reads = {}
for name, taps in (("3x3, all nine taps", all_taps), ("3x3 mask B", taps_b), ("7x7 mask A", taps_stem)):
    ones = np.ones((8, 8, 1, len(taps)))
    reads[name] = col2im(ones, taps, 1)[:, :, 0, 0]
show(
    lesson_07.reads(reads),
    "07_reads",
    "How often each pixel of an 8x8 picture is read. Fewer neighbours look at a pixel of the border. Under a mask A "
    "the last pixel, in the lower right corner, is read by nobody: there is no later pixel that could.",
)

# %% [markdown]
# ## The op
#
# Now we have both ways, and can write a masked convolution as an op in a few lines. The check of lesson 06 tells us
# whether the way back is right.


# %%
@mp.op
def convolution(x, weight, *, taps):
    """A convolution with those taps: x (H, W, N, K_in), weight (T * K_in, K_out) -> (H, W, N, K_out)."""
    columns = im2col(x, taps)
    flat = columns.reshape(-1, columns.shape[-1])
    y = flat @ weight

    def vjp(g):
        flat_g = g.reshape(y.shape)
        columns_g = (flat_g @ weight.T).reshape(columns.shape)
        return col2im(columns_g, taps, x.shape[-1]), flat.T @ flat_g

    return y.reshape(*x.shape[:3], -1), vjp


x = rng.standard_normal((4, 4, 2, 3))
weight_3_to_2 = rng.standard_normal((5 * 3, 2))
error = mp.gradcheck(partial(convolution, taps=taps_b), x, weight_3_to_2)
print(f"gradcheck of the op: {error:.0e}")

# %% [markdown]
# Now read `minipixel/ops/conv.py`. Its `conv2d` is this op with a bias, and with a stride and a dilation, which
# exercises 3 and 5 explain.
#
# ## Does it save time?
#
# One can also do without the column matrix. For each tap, shift the map, multiply by the weights of that tap alone,
# and add the result to y.


# %%
def tap_by_tap(x, taps, weight):
    """The same convolution without a column matrix: weight (T, K_in, K_out)."""
    H, W, N, K = x.shape
    padded = np.pad(x, ((3, 3), (3, 3), (0, 0), (0, 0)))
    y = np.zeros((H, W * N, weight.shape[-1]), x.dtype)
    for (dr, dc), tap_weight in zip(taps, weight, strict=True):
        shifted = padded[3 + dr : 3 + dr + H, 3 + dc : 3 + dc + W]
        y += shifted.reshape(H, W * N, K) @ tap_weight
    return y.reshape(H, W, N, -1)


# %% [markdown]
# We measure both, with 16 images, for the stem (one channel in, 24 taps) and for a block (32 channels in, 5 taps),
# on small and on larger pictures. The time of the matrix product is split into laying out and multiplying. (The
# function `KERNELS["im2col"].reference` is the library's layout in NumPy.)

# %%
cases = [("7x7 mask A", mask_stem, 8), ("7x7 mask A", mask_stem, 28)]
cases += [("3x3 mask B", mask_block, 8), ("3x3 mask B", mask_block, 16)]
costs = {}
for name, mask, size in cases:
    taps = open_taps(mask)
    K = mask.shape[2]
    x = rng.standard_normal((size, size, 16, K)).astype("float32")
    weight = rng.standard_normal((len(taps), K, 32)).astype("float32")
    flat_weight = weight.reshape(-1, 32)
    columns = im2col(x, taps)
    assert np.allclose(columns @ flat_weight, tap_by_tap(x, taps, weight), rtol=1e-4, atol=1e-3)
    lay, product, shifts = medians(
        partial(KERNELS["im2col"].reference, x, taps),
        partial(np.matmul, columns, flat_weight),
        partial(tap_by_tap, x, taps, weight),
    )
    costs[f"{name}, {size}x{size}"] = {"lay out": lay, "product": product, "tap by tap": shifts}
    megabytes = f"map {x.nbytes / 1e6:.2f} MB, columns {columns.nbytes / 1e6:.2f} MB"
    print(
        f"{name}, {size}x{size}: {megabytes}; lay out {lay:.2f} ms, product {product:.2f} ms, by taps {shifts:.2f} ms"
    )

# %%
show(
    lesson_07.cost(costs),
    "07_cost",
    "The convolution as one product, with the layout that it needs, beside the same convolution tap by tap. The "
    "scale differs from panel to panel. Compare the two bars of each.",
)

# %% [markdown]
# The two differ most for the stem. It has one channel in, so tap by tap goes over all of y 24 times and does hardly
# any arithmetic each time; one product is faster by far. In a block it goes over y only five times, and each time
# has 32 channels to multiply. There the two are close, and which is faster depends on the machine.
#
# ## Loops that are compiled
#
# The layout can be made faster still. NumPy fills the column matrix tap after tap, and so goes over its whole memory
# T times. The package **Numba** compiles Python loops to machine code, so that a plain loop over pixels is as fast
# as C. The compiled loops of `numba_cpu.py` finish one pixel before they begin the next: what they need again is
# still in the **cache**, the small fast memory beside the processor. But `reference.py`, in NumPy, stays the
# definition, and every compiled function is tested against it. (Such a function is called a kernel, too. So the word
# has two meanings: the weights of a convolution, and a small function that does most of the work. In the next cell,
# `override` is the compiled function, or None where Numba is missing.)

# %%
print("Numba runs:", mp.kernels.numba_enabled())
ratios = []
for name, mask, size in cases:
    taps = open_taps(mask)
    K = mask.shape[2]
    x = rng.standard_normal((size, size, 16, K)).astype("float32")
    columns = im2col(x, taps)
    for kernel_name, inputs in (("im2col", (x, taps)), ("col2im", (columns, taps, K))):
        kernel = KERNELS[kernel_name]
        compiled = kernel.override or kernel.reference
        in_numpy, in_numba = medians(partial(kernel.reference, *inputs), partial(compiled, *inputs))
        ratios.append(in_numpy / in_numba)
        print(f"{name}, {size}x{size}, {kernel_name}: {in_numpy:.2f} ms, compiled {in_numba:.2f} ms")

# %% [markdown]
# Where the second time is the larger one, compiling has gained nothing; that can happen with large maps, where both
# wait for memory. (The first call of a compiled function, which compiles it, is not counted.) Run the lesson again
# with `MINIPIXEL_NUMBA=0`: then both times are those of NumPy, and their difference tells you how far to trust such
# a measurement.
#
# ## What you should see
#
# The sliding window, the matrix product and the library agree; so do the two sides of the adjoint.

# %%
assert np.array_equal(slid, from_library)
assert np.array_equal(multiplied, slid)
assert np.array_equal(gathered, lay_out(some_picture, taps_b))
assert np.allclose(returned[1:], from_col2im.ravel(), rtol=1e-13, atol=1e-13)
assert abs(forth - back) < 1e-12 * abs(forth)
assert error < 1e-10

# %% [markdown]
# A pixel in the middle is read once per open tap, and under mask A the last one is read by nobody.

# %%
assert reads["3x3, all nine taps"][0, 0] == 4
assert reads["3x3, all nine taps"][4, 4] == 9
assert reads["3x3 mask B"][4, 4] == 5
assert reads["7x7 mask A"].max() == 24
assert reads["7x7 mask A"][7, 7] == 0

# %% [markdown]
# The time depends on the open taps: 49 take more than twice as long as 5. One product gains more over tap by tap in
# the stem than in a block.

# %%
assert len(taps_stem) == 24
assert times_by_taps[-1] > 2 * times_by_taps[1]
gains = [times["tap by tap"] / (times["lay out"] + times["product"]) for times in costs.values()]
assert min(gains[:2]) > 1
assert min(gains[:2]) > max(gains[2:])
if mp.kernels.numba_enabled():
    assert max(ratios) > 1

# %% [markdown]
# ## Exercises
#
# 1. *easy* How many bytes has the column matrix of a 7x7 mask A, for 64 pictures of 28x28 pixels with 32 channels, in
#    float32? How many would it have with all 49 taps?
# 2. *easy* Write `returned[where] += cell_gradients` in the place of `np.add.at`. Which pixels come out wrong, and
#    why?
# 3. *medium* With a **dilation** of 2 the taps of a kernel lie two pixels apart. Make such a convolution from
#    `im2col`, and compare with `conv2d(..., dilation=2)`.
# 4. *medium* Write the gradient of `tap_by_tap` with respect to x without `col2im`, and give it to `mp.gradcheck`.
# 5. *hard* With a **stride** of 2 only every second pixel of every second row is computed. What changes in $A$, and
#    what in its adjoint? Write both from the layout of this lesson, and test the pair.
#
# Solutions: [solutions/07_convolution_is_a_matrix_product.py](solutions/07_convolution_is_a_matrix_product.py).
