# %% [markdown]
# # 04 A convolution is a matrix product
#
# - *You will* turn a sliding window into a matrix, leave out shut taps, send gradients back, and time each step.
# - *Reads* `minipixel/ops/conv.py`, `minipixel/kernels/reference.py`, `minipixel/kernels/numba_cpu.py`.
# - *Before* lesson 03.
# - *Takes* about 7 seconds.

# %%
import os
import time
from functools import partial
from timeit import timeit

import numpy as np
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp
from minipixel.kernels import KERNELS, col2im, im2col
from minipixel.kernels.taps import open_taps

ROUNDS = 5 if os.environ.get("MINIPIXEL_QUICK") == "1" else 25  # how often each timing is repeated
clock = time.perf_counter if os.name == "nt" else time.thread_time  # the time of this thread, not of its neighbours
threadpool_limits(1)  # one thread for the matrix products, as in a training worker
rng = np.random.default_rng(4)

# %% [markdown]
# ## A window that slides
#
# Feature maps are pixels first, (H, W, N, K). A *tap* (dr, dc) is the offset from a pixel that is computed to a pixel
# that it reads. A convolution multiplies what each tap reads by that tap's weights, and adds up. Past the border is 0.


# %%
def slide(x, taps, weight):
    y = np.zeros((*x.shape[:3], weight.shape[-1]))
    for r, c in np.ndindex(x.shape[:2]):
        for (dr, dc), tap_weight in zip(taps, weight, strict=True):
            if 0 <= r + dr < x.shape[0] and 0 <= c + dc < x.shape[1]:
                y[r, c] += x[r + dr, c + dc] @ tap_weight
    return y


x = np.arange(1.0, 17).reshape(4, 4, 1, 1)  # one image of 4x4 pixels, one channel
weight = rng.integers(-2, 3, (3, 3, 1, 1)).astype(float)
taps = open_taps(np.ones(weight.shape, bool))
y = slide(x, taps, weight.reshape(9, 1, 1))
assert np.array_equal(y, mp.ops.conv2d(x, weight, np.zeros(1), mask=np.ones(weight.shape, bool)))

# %% [markdown]
# ## A matrix that stands still
#
# Now do all the reading first: `im2col` writes what each pixel reads into a row. The rest is one matrix product.

# %%
columns = im2col(x, taps)  # (4, 4, 1, 9): for each pixel the nine values it reads
assert np.array_equal(columns @ weight.reshape(9, 1), y)


def draw(ax, cells, title, r=0, c=0, h=0, w=0):
    ax.pcolormesh(cells, cmap="Blues", vmin=0, vmax=1.7 * cells.max(), edgecolors="white", linewidth=1)
    for (i, j), value in np.ndenumerate(cells):
        ax.text(j + 0.5, i + 0.5, f"{value:g}", ha="center", va="center", fontsize=8, color=mp.plots.INK)
    ax.fill([c, c + w, c + w, c], [r, r, r + h, r + h], fill=False, ec=mp.plots.CENTRE, linewidth=2.5, clip_on=False)
    ax.set(aspect="equal", ylim=(len(cells), 0))
    ax.set_title(title, fontsize=9, color=mp.plots.INK)
    ax.set_axis_off()


fig = mp.plots.figure(6.2, 5.7)
axes = fig.subplots(1, 4, width_ratios=[6, 9, 1, 1])
draw(axes[0], np.pad(x[:, :, 0, 0], 1), "the image,\nzeros past the border", 2, 3, 3, 3)
draw(axes[1], columns.reshape(16, 9), "columns: a row per pixel,\na column per tap", 11, 0, 1, 9)
draw(axes[2], weight.reshape(9, 1), "times\nweight")
draw(axes[3], y.reshape(16, 1), "is\ny", 11, 0, 1, 1)
show(fig, "04_columns")

# %% [markdown]
# The framed window of pixel (2, 3) is the framed row, number 2*4 + 3 = 11. Past the border the window reads zeros.
#
# ## Shut taps cost nothing
#
# PixelCNN shuts the taps that lie after the pixel in raster order. Why, is the matter of lesson 05; here only count.
# Nobody multiplies by zeros: a shut tap gets no column at all. Let us time a kernel with more and more open taps.

# %%
grey, wide = np.zeros(1, int), np.zeros(32, int)  # the colour of one channel, of 32 channels: all the same
masks = {"7x7 mask A": mp.nn.causal_mask((7, 7), grey, wide, "A")}
masks["3x3 mask B"] = mp.nn.causal_mask((3, 3), wide, wide, "B")


def medians(*functions):
    times = np.zeros((ROUNDS + 1, len(functions)))
    for row in times:
        for i in rng.permutation(len(functions)):  # whoever runs second may find the cache warm, so take turns
            row[i] = timeit(functions[i], timer=clock, number=1)
    return 1e3 * np.median(times[1:], axis=0)  # milliseconds; the first round does not count


x, weight = np.ones((16, 16, 16, 16), "float32"), np.ones((7, 7, 16, 16), "float32")
counts, place = [1, 5, 9, 17, 24, 33, 41, 49], np.arange(49).reshape(7, 7, 1, 1) + np.zeros(weight.shape)
by_taps = medians(*[partial(mp.ops.conv2d, x, weight, weight[0, 0, 0], mask=place < T) for T in counts])
fig = mp.plots.figure(8, 2.9)
axes = fig.subplots(1, 3, width_ratios=[7, 3, 12])
for ax, (name, mask) in zip(axes, masks.items(), strict=False):
    mp.plots.draw_mask(ax, mask.mean(axis=(2, 3)))
    ax.set_title(f"{name}:\n{len(open_taps(mask))} of {mask[..., 0, 0].size} taps", fontsize=9)
axes[2].plot(counts, by_taps, "o-", color=mp.plots.OPEN)
axes[2].set(xlabel="open taps of a 7x7 kernel", ylabel="milliseconds a convolution", ylim=0)
show(fig, "04_taps")

# %% [markdown]
# ## Back the same way
#
# Reading is linear: columns = A x, where A holds ones and zeros. Number the pixels 1 to 16, and let 0 be the border.
# The column matrix of these *numbers* says where each cell was read: reading is a *gather*. The gradient goes back by A
# transposed: each cell returns what it got to the pixel it came from, and a pixel read five times adds up five parts,
# a *scatter-add*. That is `col2im`, the *adjoint* of `im2col`, and <A x, y> = <x, A' y> is its test.

# %%
index = im2col(np.arange(1, 17).reshape(4, 4, 1, 1), taps)
x, y, back = rng.standard_normal((4, 4, 1, 1)), rng.standard_normal(index.shape), np.zeros(17)
assert np.array_equal(np.append(0, x)[index], im2col(x, taps))  # the gather
np.add.at(back, index, y)  # the scatter-add
assert np.allclose(back[1:], col2im(y, taps, 1).ravel(), rtol=1e-13, atol=1e-13)
taps_a = open_taps(masks["7x7 mask A"])
x, y = rng.standard_normal((8, 8, 4, 3)), rng.standard_normal((8, 8, 4, 24 * 3))
forth, and_back = (im2col(x, taps_a) * y).sum(), (x * col2im(y, taps_a, 3)).sum()
print(f"<A x, y> = {forth:.12f}\n<x, A' y> = {and_back:.12f}")
fig = mp.plots.figure(6.2, 3.75)
reads = [col2im(np.ones((8, 8, 1, len(some))), some, 1)[:, :, 0, 0] for some in (taps, taps_a)]
for ax, counted, name in zip(fig.subplots(1, 2), reads, ("all taps of a 3x3", "7x7 mask A"), strict=True):
    draw(ax, counted, f"how often each pixel is read:\n{name}")
show(fig, "04_reads")

# %% [markdown]
# This is A' applied to ones. A pixel at the border has fewer neighbours to read it; under mask A the last has none.
#
# ## What it costs
#
# One can do without the column matrix: shift the map, multiply by one tap's weights, add to y, go on to the next tap.
# And one can copy without NumPy, pixel by pixel, in loops that Numba compiles. Ask the clock, with N = 16 images.


# %%
def tap_by_tap(x, taps, weight):
    H, W, N, K = x.shape
    padded = np.pad(x, ((3, 3), (3, 3), (0, 0), (0, 0)))
    y = np.zeros((H, W * N, weight.shape[-1]), x.dtype)
    for (dr, dc), tap_weight in zip(taps, weight, strict=True):
        y += padded[3 + dr :, 3 + dc :][:H, :W].reshape(H, W * N, K) @ tap_weight
    return y.reshape(H, W, N, -1)


table = {}
heads = ("map MB", "columns MB", "im2col", "Numba", "ratio", "col2im", "Numba", "ratio", "product", "tap by tap")
print(f"times in ms; Numba runs: {mp.kernels.numba_enabled()}\n{'':17}" + "".join(f"{head:>11}" for head in heads))
for size, name in ((8, "7x7 mask A"), (28, "7x7 mask A"), (8, "3x3 mask B"), (16, "3x3 mask B")):
    taps, K = open_taps(masks[name]), masks[name].shape[2]
    x = rng.standard_normal((size, size, 16, K)).astype("float32")
    weight = rng.standard_normal((len(taps), K, 32)).astype("float32")
    columns = im2col(x, taps)
    jobs = [partial(np.matmul, columns, weight.reshape(-1, 32)), partial(tap_by_tap, x, taps, weight)]
    assert np.allclose(jobs[0](), jobs[1](), rtol=1e-4, atol=1e-3)
    for kernel, inputs in ((KERNELS["im2col"], (x, taps)), (KERNELS["col2im"], (columns, taps, K))):
        jobs += [partial(kernel.reference, *inputs), partial(kernel.override or kernel.reference, *inputs)]
    product, shifts, gather, gather_numba, scatter, scatter_numba = medians(*jobs)
    table[size, name] = row = [x.nbytes / 1e6, columns.nbytes / 1e6, gather, gather_numba, gather / gather_numba]
    row += [scatter, scatter_numba, scatter / scatter_numba, product, shifts]
    print(f"{size:2}x{size:<2} {name:11}" + "".join(f"{value:11.2f}" for value in row))

# %% [markdown]
# The column matrix is T times its map. Tap by tap needs none, but walks over all of y once a tap. With one channel in,
# mask A, there is hardly any arithmetic on the way, and one product wins by far. With 32, mask B, it is much closer.
#
# NumPy fills the column matrix tap after tap, in runs of K values. The compiled loops finish a pixel first: what they
# touch stays in cache, and a small map is spared T NumPy calls. A ratio below 1 is a loss. (The first call, which
# compiles, is not counted.) With `MINIPIXEL_NUMBA=0` both columns time the reference: how far to trust a ratio.
#
# ## What you should see

# %%
assert [len(open_taps(mask)) for mask in masks.values()] == [24, 5] and by_taps[-1] > 2 * by_taps[1]  # 49 taps, 5 taps
assert abs(forth - and_back) < 1e-12 * abs(forth)
assert (reads[0][0, 0], reads[0][4, 4], reads[1].max(), reads[1][7, 7]) == (4, 9, 24, 0)
assert all(np.isclose(row[1] / row[0], len(open_taps(masks[name]))) for (_, name), row in table.items())
lead = [row[9] / (row[2] + row[8]) for row in table.values()]  # of one product over tap by tap
assert min(lead[:2]) > max(1, *lead[2:])
assert not mp.kernels.numba_enabled() or max(row[4] for row in table.values()) > 1

# %% [markdown]
# ## Exercises
#
# 1. Use `back[index] += y` in place of `np.add.at`. Which pixels come out wrong, and why?
# 2. Write the gradient of `tap_by_tap` with respect to x without `col2im`. Put it before `mp.gradcheck`.
# 3. With a stride of 2 only every second pixel of every second row is computed. What changes in A, what in its adjoint?
