# %% [markdown]
# # 04 Convolution is a matrix product: lay out what each pixel reads, multiply once
#
# *You will* turn a sliding window into a matrix, leave out the taps that are shut, send gradients back, and time it all.
#
# *Reads* `minipixel/ops/conv.py`, `minipixel/kernels/reference.py`, `minipixel/kernels/numba_cpu.py`.
#
# *Before* lesson 03.
#
# *Takes* about 5 seconds.

# %%
import os
import time
from functools import partial

import numpy as np
from matplotlib.patches import Rectangle
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp

ROUNDS = 5 if os.environ.get("MINIPIXEL_QUICK") else 25  # how often each timing is repeated
threadpool_limits(1)  # one thread for the matrix products, as in a training worker
rng = np.random.default_rng(4)
im2col, col2im, open_taps = mp.kernels.im2col, mp.kernels.col2im, mp.ops.conv.open_taps

# %% [markdown]
# ## A window that slides
#
# Feature maps are pixels first, (H, W, N, K). A *tap* (dr, dc) is an offset from the pixel that is computed to one that
# is read. A convolution goes to every pixel, reads every tap, multiplies by that tap's weights, and adds up. Past the
# border it reads zero. In plain loops it is four lines, and the library agrees with it.


# %%
def slide(x, taps, weight, bias):
    H, W, N, _ = x.shape
    y = np.zeros((H, W, N, weight.shape[-1])) + bias
    for r, c in np.ndindex(H, W):
        for (dr, dc), tap_weight in zip(taps, weight, strict=True):
            if 0 <= r + dr < H and 0 <= c + dc < W:
                y[r, c] += x[r + dr, c + dc] @ tap_weight
    return y


x = np.arange(1.0, 17).reshape(4, 4, 1, 1)  # one image of 4x4 pixels, one channel
weight = rng.integers(-2, 3, (3, 3, 1, 1)).astype(float)
everything = np.ones(weight.shape, bool)
taps = open_taps(everything)
y = slide(x, taps, weight.reshape(9, 1, 1), bias=0.0)
assert np.array_equal(y, mp.ops.conv2d(x, weight, np.zeros(1), mask=everything).data)

# %% [markdown]
# ## A matrix that stands still
#
# Now do all the reading first. `im2col` writes what each pixel reads into a row of its own: T taps of K channels. The
# adding up is then one matrix product, and matrix products are what a processor does best.

# %%
columns = im2col(x, taps)  # (4, 4, 1, 9): for each pixel the nine values it reads
assert np.array_equal(columns @ weight.reshape(9, 1), y)
print("x", x.shape, " columns", columns.shape, " weight", weight.reshape(9, 1).shape, " y", y.shape)


def draw(ax, cells, title, window=()):
    ax.imshow(cells, cmap="Blues", vmin=0, vmax=1.7 * cells.max())
    for (r, c), value in np.ndenumerate(cells):
        ax.text(c, r, f"{value:g}", ha="center", va="center", fontsize=8, color=mp.plots.INK)
    for r, c, h, w in window:
        ax.add_patch(Rectangle((c - 0.5, r - 0.5), w, h, fill=False, edgecolor=mp.plots.CENTRE, linewidth=2.5))
    ax.set_title(title, fontsize=9, color=mp.plots.INK)
    ax.set_axis_off()


fig = mp.plots.figure(7.4, 5.6)
image_ax, columns_ax, weight_ax, y_ax = fig.subplots(1, 4, width_ratios=[6, 9, 1.6, 1.6])
draw(image_ax, np.pad(x[:, :, 0, 0], 1), "the image,\nzeros past the border", [(2, 3, 3, 3)])
draw(columns_ax, columns.reshape(16, 9), "columns: a row a pixel,\na column a tap", [(11, 0, 1, 9)])
draw(weight_ax, weight.reshape(9, 1), "times\nweight")
draw(y_ax, y.reshape(16, 1), "is\ny", [(11, 0, 1, 1)])
show(fig, "04_columns")

# %% [markdown]
# The framed window of pixel (2, 3) is the framed row of the matrix, number 2*4 + 3 = 11. Two thirds of it lie inside.
#
# ## Shut taps cost nothing
#
# PixelCNN shuts every tap that lies after the pixel in raster order; why, is the matter of lesson 05. Here only count.
# We need not multiply by zeros: a tap that is shut gets no column at all. So we time one kernel with more and more taps.

# %%
grey, wide = np.zeros(1, int), np.zeros(32, int)  # one channel, 32 channels, all of one colour
masks = {
    "7x7 mask A": mp.nn.causal_mask((7, 7), grey, wide, "A"),
    "3x3 mask B": mp.nn.causal_mask((3, 3), wide, wide, "B"),
}


def medians(*functions):
    """Median milliseconds of each, taken in turns, so that a busy moment hits all; the first call does not count."""
    times = np.zeros((ROUNDS + 1, len(functions)))
    for row in times:
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            row[i] = time.perf_counter() - start
    return 1e3 * np.median(times[1:], axis=0)


x = rng.standard_normal((16, 16, 16, 16)).astype("float32")
weight, bias = rng.standard_normal((7, 7, 16, 16)).astype("float32"), np.zeros(16, "float32")
counts = [1, 5, 9, 17, 24, 33, 41, 49]
first = [np.broadcast_to(np.arange(49).reshape(7, 7, 1, 1) < T, weight.shape) for T in counts]
by_taps = medians(*[partial(mp.ops.conv2d, x, weight, bias, mask=mask) for mask in first])

fig = mp.plots.figure(8, 2.9)
*mask_axes, ax = fig.subplots(1, 3, width_ratios=[7, 3, 12])
for mask_ax, (name, mask) in zip(mask_axes, masks.items(), strict=True):
    mp.plots.draw_mask(mask_ax, mask.mean(axis=(2, 3)))
    mask_ax.set_title(f"{name}:\n{len(open_taps(mask))} taps of {mask[..., 0, 0].size}", fontsize=9)
    print(f"{name}: {len(open_taps(mask))} of {mask[..., 0, 0].size} taps are open")
ax.plot(counts, by_taps, "o-", color=mp.plots.OPEN)
ax.set(xlabel="open taps of a 7x7 kernel", ylabel="milliseconds", ylim=0)
ax.set_title("time follows the taps that are open", fontsize=9)
ax.grid(alpha=0.25)
show(fig, "04_taps")

# %% [markdown]
# ## Back the same way
#
# Reading is linear: columns = A x, where A holds ones and zeros. Number the pixels 1 to 16, and let 0 be the border.
# The column matrix of these *numbers* says where each cell was read: a gather by an index. The gradient goes back by
# A transposed. Each cell returns what it got to the pixel it came from, and a pixel read five times adds five parts.
# So the gradient of a gather is a *scatter-add*. That is `col2im`, the *adjoint*, and <A x, y> = <x, A' y> is its test.

# %%
index = im2col(np.arange(1, 17).reshape(4, 4, 1, 1), taps)
x = rng.standard_normal((4, 4, 1, 1))
assert np.array_equal(np.append(0, x)[index], im2col(x, taps))  # the gather
y, back = rng.standard_normal(index.shape), np.zeros(17)
np.add.at(back, index, y)  # the scatter-add
assert np.allclose(back[1:], col2im(y, taps, 1).ravel(), rtol=1e-14, atol=1e-14)

x, taps_a = rng.standard_normal((8, 8, 4, 3)), open_taps(masks["7x7 mask A"])
y = rng.standard_normal(im2col(x, taps_a).shape)
forth, and_back = (im2col(x, taps_a) * y).sum(), (x * col2im(y, taps_a, 3)).sum()
print(f"<A x, y> = {forth:.12f}\n<x, A' y> = {and_back:.12f}")

fig = mp.plots.figure(6.6, 3.6)
reads = {}
for ax, (name, some) in zip(fig.subplots(1, 2), {"all taps of a 3x3": taps, "7x7 mask A": taps_a}.items(), strict=True):
    reads[name] = col2im(np.ones((8, 8, 1, len(some))), some, 1)[:, :, 0, 0]
    draw(ax, reads[name], f"how often each pixel is read:\n{name}")
show(fig, "04_reads")

# %% [markdown]
# What is pictured is A' applied to ones. A pixel at the border has fewer neighbours to read it. Under mask A the last
# pixel is read by nobody: no pixel comes after it.
#
# ## The other way: a product a tap
#
# One can do without the column matrix. Shift the whole map, multiply it by one tap's weights, add it to y. Pixels first
# makes this easy: a shifted map is a block of whole rows. It saves memory. Does it save time?


# %%
def tap_by_tap(x, taps, weight, bias):
    H, W, N, K = x.shape
    reach = np.abs(taps).max()
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0), (0, 0)))
    y = np.zeros((H, W * N, weight.shape[-1]), x.dtype) + bias
    for (dr, dc), tap_weight in zip(taps, weight, strict=True):
        y += padded[reach + dr :, reach + dc :][:H, :W].reshape(H, W * N, K) @ tap_weight
    return y.reshape(H, W, N, -1)


duel = {}
print("16 maps of 16x16  taps     map  columns   one product   a product a tap")
for name, mask in masks.items():
    taps, K = open_taps(mask), mask.shape[2]
    x, weight = (
        rng.standard_normal((16, 16, 16, K)).astype("float32"),
        rng.standard_normal(mask.shape).astype("float32"),
    )
    whole = partial(mp.ops.conv2d, x, weight, np.zeros(32, "float32"), mask=mask)
    parts = partial(tap_by_tap, x, taps, (weight * mask)[mask.any(axis=(2, 3))], np.zeros(32, "float32"))
    assert np.allclose(whole().data, parts(), rtol=1e-4, atol=1e-4)
    duel[name] = medians(whole, parts)
    sizes = f"{x.nbytes / 1e6:6.2f} {im2col(x, taps).nbytes / 1e6:6.2f} MB"
    print(f"{name}, {K:2} -> 32 {len(taps):4} {sizes:>17}{duel[name][0]:11.2f} ms{duel[name][1]:15.2f} ms")

# %% [markdown]
# The column matrix is T times its map: that is the price of one product. A product a tap pays in another coin. It
# walks over all of y once a tap. With one channel in there is next to no arithmetic on the way, and it loses by far.
# With 32 channels the two are near each other. The library takes the column matrix.
#
# ## What Numba buys
#
# `kernels/reference.py` copies one tap of the whole map at a time, in NumPy. `kernels/numba_cpu.py` writes the same
# loops out and compiles them. It finishes a pixel before it goes to the next, so what it writes is still in cache.

# %%
ratios = []
print("16 maps                   kernel    reference    override   ratio")
for size, name in ((8, "7x7 mask A"), (8, "3x3 mask B"), (28, "7x7 mask A"), (28, "3x3 mask B")):
    taps, K = open_taps(masks[name]), masks[name].shape[2]
    x = rng.standard_normal((size, size, 16, K)).astype("float32")
    for kernel, inputs in (("im2col", (x, taps)), ("col2im", (im2col(x, taps), taps, K))):
        body = mp.kernels.KERNELS[kernel]
        if body.override is None:
            print(
                f"{size:2}x{size:<2} {name}, K = {K:<5} {kernel}   {medians(partial(body.reference, *inputs))[0]:7.2f} ms"
            )
            continue
        assert np.allclose(body.reference(*inputs), body.override(*inputs), rtol=1e-5, atol=1e-5)
        slow, fast = medians(partial(body.reference, *inputs), partial(body.override, *inputs))
        ratios.append(slow / fast)
        print(f"{size:2}x{size:<2} {name}, K = {K:<5} {kernel}   {slow:7.2f} ms  {fast:7.2f} ms{ratios[-1]:8.1f}")

# %% [markdown]
# Your numbers will differ. The gain is no wonder: neither version computes much, so the order of memory is all there is.
# Where a line says 1.0, Numba bought nothing. The first call is not in the table, as it compiles, or loads what an
# earlier run has compiled. Without Numba, or with `MINIPIXEL_NUMBA=0`, the reference runs, and everything still works.
#
# ## What you should see

# %%
assert [len(open_taps(mask)) for mask in masks.values()] == [24, 5]
assert by_taps[-1] > 2 * by_taps[1]  # 49 taps against 5
assert abs(forth - and_back) < 1e-12 * np.abs(forth)
assert reads["all taps of a 3x3"][0, 0] == 4 and reads["all taps of a 3x3"][4, 4] == 9
assert reads["7x7 mask A"].max() == 24 and reads["7x7 mask A"][7, 7] == 0
assert duel["7x7 mask A"][1] > duel["7x7 mask A"][0]
assert not ratios or max(ratios) > 1
assert im2col(x, taps).nbytes == len(taps) * x.nbytes

# %% [markdown]
# ## Exercises
#
# 1. Use `back[index] += y` in place of `np.add.at`. Which pixels come out wrong, and why?
# 2. Which taps read the pixel to the right in the row above? Shut that one in mask B and count how often it is read.
# 3. Write the gradient of `tap_by_tap` with respect to x without `col2im`. Put it before `mp.gradcheck`.
# 4. A stride of 2 computes every second pixel of every second row. What changes in `im2col`, and what in its adjoint?
