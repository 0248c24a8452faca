# %% [markdown]
# # 04 Convolution is a matrix product: lay out what each pixel reads, multiply once
#
# *You will* turn a sliding window into a matrix, leave out shut taps, send gradients back, and time each step.
#
# *Reads* `minipixel/ops/conv.py`, `minipixel/kernels/reference.py`, `minipixel/kernels/numba_cpu.py`.
#
# *Before* lesson 03.
#
# *Takes* about 5 seconds.

# %%
import os
from functools import partial
from timeit import timeit

import numpy as np
from matplotlib.patches import Rectangle
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp
from minipixel.kernels import KERNELS, col2im, im2col
from minipixel.ops.conv import open_taps

ROUNDS = 5 if os.environ.get("MINIPIXEL_QUICK") else 25  # how often each timing is repeated
threadpool_limits(1)  # one thread for the matrix products, as in a training worker
rng = np.random.default_rng(4)

# %% [markdown]
# ## A window that slides
#
# Feature maps are pixels first, (H, W, N, K). A *tap* (dr, dc) is an offset from the pixel that is computed to one that
# is read. A convolution goes to every pixel, reads every tap, multiplies by that tap's weights, and adds up. Past the
# border it reads zero. Here it is in plain loops, and the library agrees.


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
assert np.array_equal(y, mp.ops.conv2d(x, weight, np.zeros(1), mask=np.ones(weight.shape, bool)).data)

# %% [markdown]
# ## A matrix that stands still
#
# Now do all the reading first. `im2col` writes what each pixel reads into a row of its own: T taps of K channels. The
# adding up is then one matrix product, and matrix products are what a processor does best.

# %%
columns = im2col(x, taps)  # (4, 4, 1, 9): for each pixel the nine values it reads
assert np.array_equal(columns @ weight.reshape(9, 1), y)


def draw(ax, cells, title, window=(0, 0, 0, 0)):
    ax.imshow(cells, cmap="Blues", vmin=0, vmax=1.7 * cells.max())
    for (r, c), value in np.ndenumerate(cells):
        ax.text(c, r, f"{value:g}", ha="center", va="center", fontsize=8, color=mp.plots.INK)
    r, c, h, w = window
    ax.add_patch(Rectangle((c - 0.5, r - 0.5), w, h, fill=False, edgecolor=mp.plots.CENTRE, linewidth=2.5 * bool(w)))
    ax.set_title(title, fontsize=9, color=mp.plots.INK)
    ax.set_axis_off()


fig = mp.plots.figure(7.4, 5.6)
axes = fig.subplots(1, 4, width_ratios=[6, 9, 1.6, 1.6])
draw(axes[0], np.pad(x[:, :, 0, 0], 1), "the image,\nzeros past the border", (2, 3, 3, 3))
draw(axes[1], columns.reshape(16, 9), "columns: a row a pixel,\na column a tap", (11, 0, 1, 9))
draw(axes[2], weight.reshape(9, 1), "times\nweight")
draw(axes[3], y.reshape(16, 1), "is\ny", (11, 0, 1, 1))
show(fig, "04_columns")

# %% [markdown]
# The framed window of pixel (2, 3) is the framed row of the matrix, row 2*4 + 3 = 11. Its last column fell off the map.
#
# ## Shut taps cost nothing
#
# PixelCNN shuts the taps that lie after the pixel in raster order. Why, is the matter of lesson 05; here only count.
# There is no need to multiply by zeros: a shut tap gets no column at all. Let us time a kernel with more and more taps.

# %%
grey, wide = np.zeros(1, int), np.zeros(32, int)  # the colour of one channel, of 32 channels: all the same
masks = {
    "7x7 mask A": mp.nn.causal_mask((7, 7), grey, wide, "A"),
    "3x3 mask B": mp.nn.causal_mask((3, 3), wide, wide, "B"),
}


def medians(*functions):
    """Median milliseconds of each. They take turns, so that a busy moment hits all; the first round does not count."""
    rounds = [[timeit(function, number=1) for function in functions] for _ in range(ROUNDS + 1)]
    return 1e3 * np.median(rounds[1:], axis=0)


x = rng.standard_normal((16, 16, 16, 16)).astype("float32")
weight = rng.standard_normal((7, 7, 16, 16)).astype("float32")
counts = [1, 5, 9, 17, 24, 33, 41, 49]
first = [np.broadcast_to(np.arange(49).reshape(7, 7, 1, 1) < T, weight.shape) for T in counts]
by_taps = medians(*[partial(mp.ops.conv2d, x, weight, weight[0, 0, 0], mask=mask) for mask in first])

fig = mp.plots.figure(8, 2.9)
axes = fig.subplots(1, 3, width_ratios=[7, 3, 12])
for ax, (name, mask) in zip(axes, masks.items(), strict=False):
    mp.plots.draw_mask(ax, mask.mean(axis=(2, 3)))
    ax.set_title(f"{name}:\n{len(open_taps(mask))} of {mask[..., 0, 0].size} taps", fontsize=9)
axes[2].plot(counts, by_taps, "o-", color=mp.plots.OPEN)
axes[2].set(xlabel="open taps of a 7x7 kernel", ylabel="milliseconds", ylim=0)
axes[2].set_title("time follows the open taps", fontsize=9)
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
x, y, back = rng.standard_normal((4, 4, 1, 1)), rng.standard_normal(index.shape), np.zeros(17)
assert np.array_equal(np.append(0, x)[index], im2col(x, taps))  # the gather
np.add.at(back, index, y)  # the scatter-add
assert np.allclose(back[1:], col2im(y, taps, 1).ravel(), rtol=1e-13, atol=1e-13)

taps_a = open_taps(masks["7x7 mask A"])
x, y = rng.standard_normal((8, 8, 4, 3)), rng.standard_normal((8, 8, 4, 24 * 3))
forth, and_back = (im2col(x, taps_a) * y).sum(), (x * col2im(y, taps_a, 3)).sum()
print(f"<A x, y> = {forth:.12f}\n<x, A' y> = {and_back:.12f}")

fig = mp.plots.figure(6.6, 3.6)
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
# And one can do the copying without NumPy: `kernels/numba_cpu.py` writes the loops out, pixel by pixel, and Numba
# compiles them at their first call. Which pays? Ask the clock, for 16 maps of 8x8 and of 28x28 pixels.


# %%
def tap_by_tap(x, taps, weight):
    H, W, N, K = x.shape
    padded = np.pad(x, ((3, 3), (3, 3), (0, 0), (0, 0)))
    y = np.zeros((H, W * N, weight.shape[-1]), x.dtype)
    for (dr, dc), tap_weight in zip(taps, weight, strict=True):
        y += padded[3 + dr :, 3 + dc :][:H, :W].reshape(H, W * N, K) @ tap_weight
    return y.reshape(H, W, N, -1)


numba_runs, table, megabytes = mp.kernels.numba_enabled(), {}, {}
print("milliseconds       megabytes          im2col: NumPy, Numba  col2im: NumPy, Numba  product  a product")
print("                   map  columns                   ratio                 ratio             a tap")
for size, name in ((8, "7x7 mask A"), (8, "3x3 mask B"), (28, "7x7 mask A"), (28, "3x3 mask B")):
    taps, K = open_taps(masks[name]), masks[name].shape[2]
    x = rng.standard_normal((size, size, 16, K)).astype("float32")
    weight = rng.standard_normal((len(taps), K, 32)).astype("float32")
    columns = im2col(x, taps)
    product = partial(np.matmul, columns, weight.reshape(-1, 32))
    assert np.allclose(tap_by_tap(x, taps, weight), product(), rtol=1e-4, atol=1e-3)
    bodies = [(KERNELS[kernel].reference, KERNELS[kernel].override or KERNELS[kernel].reference) for kernel in ("im2col", "col2im")]
    jobs = [partial(body, x, taps) for body in bodies[0]] + [partial(body, columns, taps, K) for body in bodies[1]]
    row = table[size, name] = medians(*jobs, product, partial(tap_by_tap, x, taps, weight))
    megabytes[size, name] = x.nbytes / 1e6, columns.nbytes / 1e6
    print("{:2} {}{:9.2f}{:9.2f}".format(size, name, *megabytes[size, name]), end="")
    print("{:10.2f}{:7.2f}{:6.1f}{:10.2f}{:7.2f}{:6.1f}{:9.2f}{:9.2f}".format(*row[:2], row[0]/row[1], *row[2:4], row[2]/row[3], *row[4:]))
