# %% [markdown]
# # 06 Let gradients prove it
#
# - *You will* draw what a pixel is predicted from, for all pixels in one pass, then plant leaks and catch each of them.
# - *Reads* `minipixel/causality/`: `gradients.py`, `structure.py`, `perturbation.py`, `witnesses.py`.
# - *Before* lesson 02 for gradients, lesson 05 for the masks.
# - *Takes* about 20 seconds on two cores.
#
# ## Is this really causal?
# A model claims to predict each pixel from earlier ones. The code has masks, shifts and a dozen layers. Who believes it?
# Ask for a gradient. We take one output, at pixel (r, c), and ask how it moves when each pixel of the image does. If
# the output never reads a pixel, its gradient there is zero, and not a small number: exactly zero. A shut weight was
# multiplied by 0, and sums of zeros are zero. So no tolerance is needed, and a leak of 1e-12 is a leak.

# %%
import os
import time

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp
from minipixel.causality.pictures import SHADES  # later, seen, blind, itself, leak

SIZE = 12 if os.environ.get("MINIPIXEL_QUICK") == "1" else 28  # of the large image, further down
rng, M = np.random.default_rng(6), mp.models


def gradient(model, r, c):
    """How the output at (r, c) moves with each pixel of one random grey image: (H, W)."""
    H, W, _ = model.image_shape
    x = mp.Tensor(rng.uniform(-1, 1, (H, W, 1, 1)))  # (H, W, N, C)
    output = model.forward(x)
    seed = np.zeros(output.shape)
    seed[r, c] = 1
    output.backward(seed)
    return x.grad[:, :, 0, 0]


shape, r, c = (9, 12, 1), 6, 5
model = M.PixelCNN(shape, 2, hidden=16, blocks=2, dtype="float64")
one = gradient(model, r, c)
size = np.log10(np.abs(one), out=np.full(one.shape, np.nan), where=one != 0)
figure = mp.plots.figure(8.4, 2.8)
limit, pictures = np.abs(one).max(), {}
pictures["the gradient"] = one, {"cmap": "RdBu", "vmin": -limit, "vmax": limit}
pictures["log10 of its size; grey: exactly 0"] = size, {"cmap": "Blues", "vmin": -5}
for ax, (title, (cells, look)) in zip(figure.subplots(1, 2), pictures.items(), strict=True):
    ax.set(aspect="equal", ylim=(9, 0), xticks=[], yticks=[], facecolor=mp.plots.BETWEEN * np.ones(3), title=title)
    figure.colorbar(ax.pcolormesh(cells, edgecolors="white", linewidth=0.5, **look), ax=ax)
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.CENTRE, markersize=9)
show(figure, "06_one_pixel")
print(f"{(one != 0).sum()} of 108 are not zero; the smallest of these is {np.abs(one[one != 0]).min():.1e}")

# %% [markdown]
# The right picture is the *receptive field*. It ends before the orange square, which is the pixel itself.
#
# ## All pixels in one backward pass
# There are S = 108 outputs. That need not be 108 passes: images of a batch do not see each other. So we put S copies of
# the image into one batch, and let copy i carry the seed of output i. One backward pass gives all rows at once.
# A rectifier that is shut passes no gradient, and might hide something. So we join what a few images show.


# %%
def dependencies_by_hand(model, images):
    """[i, j]: whether output i depends on pixel j, in raster order: boolean (S, S)."""
    H, W, _ = model.image_shape
    found = np.zeros((H * W, H * W), bool)
    for _ in range(images):
        x = mp.Tensor(np.repeat(rng.uniform(-1, 1, (H, W, 1, 1)), H * W, axis=2))  # S copies
        output = model.forward(x)
        seed = np.zeros(output.shape)
        seed.reshape(H * W, H * W, -1)[np.arange(H * W), np.arange(H * W)] = 1  # pixel i of copy i
        output.backward(seed)
        found |= x.grad.reshape(H * W, H * W).T != 0  # a row for each copy
    return found


by_hand = dependencies_by_hand(model, 4)
assert np.array_equal(by_hand, mp.causality.dependencies(model))
matrices = {"PixelCNN, 3 x 4": mp.causality.dependencies(M.PixelCNN((3, 4, 1), 2, blocks=1)), "9 x 12": by_hand}
matrices["colour, 2 x 2"] = mp.causality.dependencies(M.PixelCNN((2, 2, 3), 4, hidden=12, blocks=2))


def paint(ax, seen, places, title):
    """Rows (or a map) of what the outputs at `places` see: boolean, one cell a sub-pixel, in SHADES."""
    S = seen.size if np.ndim(places) == 0 else len(seen)
    inputs = np.arange(S).reshape(seen.shape) if np.ndim(places) == 0 else np.arange(S)
    itself, earlier = inputs == places, inputs < places
    kinds = np.select([seen & ~earlier, itself, seen, earlier], [4, 3, 1, 2], 0)
    ax.pcolormesh(kinds, cmap=ListedColormap(SHADES), vmin=0, vmax=4, edgecolors="white", linewidth=0.5 * (S < 99))
    ax.set(aspect="equal", ylim=(len(seen), 0), xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)


figure = mp.plots.figure(9.2, 3.3)
for ax, (title, matrix) in zip(figure.subplots(1, 3), matrices.items(), strict=True):
    paint(ax, matrix, np.arange(len(matrix))[:, None], title)
    ax.set(xlabel="is read", ylabel="output")
ax.set_xticks(np.arange(12) + 0.5, [*"RGB" * 4])
ax.set_yticks(np.arange(12) + 0.5, [*"RGB" * 4])
show(figure, "06_matrices")

# %% [markdown]
# Row i is what output i depends on: blue is seen, yellow is earlier and not seen, black is the pixel itself. Causal
# means: nothing on the diagonal, nothing above it. In colour each sub-pixel has its row, green after red.
#
# ## Two directions
# Seen too much is a leak: the model is wrong. Seen too little is a *blind spot*: it is honest, but weaker.
# `mp.check_causality` counts both, and asks more witnesses than gradients; `report.plot()` draws what they found.

# %%
reports = {"PixelCNN": mp.check_causality(M.PixelCNN(shape, 2, hidden=8, blocks=5))}
reports["Gated"] = mp.check_causality(M.GatedPixelCNN(shape, 2, filters=8, layers=6))
for name, report in reports.items():
    print(report)
    show(report.plot(), f"06_report_{name.lower()}")

# %% [markdown]
# Both have six layers. The Gated PixelCNN (lesson 08) has no bite at the upper right. It is blind only where it is not
# yet deep enough. How does the share of the past that is seen grow with depth? Then the price of a whole matrix.

# %%
large, shares = (SIZE, SIZE, 1), {}
past = SIZE**2 * (SIZE**2 - 1) // 2  # pairs: each pixel and all before it
print(f"{'layers':>6}{'PixelCNN':>10}{'Gated':>8}")
for layers in (2, 4, 8, 16, 32):
    pair = M.PixelCNN(large, 2, hidden=1, blocks=layers - 1), M.GatedPixelCNN(large, 2, filters=1, layers=layers)
    shares[layers] = [mp.causality.structure(each).sum() / past for each in pair]
    print("{:6}{:10.1%}{:8.1%}".format(layers, *shares[layers]))
start = time.perf_counter()
matrix = mp.causality.dependencies(M.PixelCNN(large, 2, hidden=8, blocks=4), images=1)
print(f"{matrix.shape[0]} x {matrix.shape[1]} gradients of a PixelCNN: {time.perf_counter() - start:.1f} s")

# %% [markdown]
# ## Plant a leak, find it
# Four classic mistakes, in a PixelCNN of two blocks: mask B in the first layer; one tap too many in a later one; a
# shift to the right whose zeros come in at the wrong end, so that it shifts to the left; a batch normalisation (its
# first half, each channel minus its mean over the batch). Then the second once more, twice, but asleep: the weights of
# the open tap are still 0, as they are if a mask is changed after construction; or its features go into rectifiers
# that are always shut. Elsewhere noise in all weights.


# %%
class WrongEnd(mp.nn.Conv2d):
    def __call__(self, x):
        return mp.ops.mirror(mp.ops.shift_right(mp.ops.mirror(super().__call__(x))))


@mp.tensor.op
def centred(x):
    def off_mean(y):
        return y - y.mean(axis=(0, 1, 2), keepdims=True)

    return off_mean(x), lambda g: (off_mean(g),)


def planted(shape):
    """The six mistakes, and a model without one, by name."""
    names = "nothing wrong", "mask B first", "one tap too many", "zeros, wrong end", "batch norm", "asleep: weights 0"
    models = {name: M.PixelCNN(shape, 2, hidden=8, blocks=2, dtype="float64") for name in (*names, "asleep: rectifier")}
    for name, model in models.items():
        stem, look, block = model.stem, model.blocks[1].look, model.blocks[0]
        for weight in model.parameters():
            weight.data = np.random.default_rng(6).normal(0, 0.4, weight.shape)
        if name in ("mask B first", "zeros, wrong end"):
            stem.mask = mp.nn.causal_mask((7, 7), stem.groups_in, stem.groups_out, "B")
        if name == "zeros, wrong end":
            stem.__class__ = WrongEnd
        if name == "batch norm":
            model.blocks[0] = lambda x, condition, rng=None, block=block: centred(block(x, condition, rng))
        if name in ("one tap too many", "asleep: weights 0", "asleep: rectifier"):
            look.mask[1, 2] = True
            look.weight.data[1, 2] *= name != "asleep: weights 0"
            look.bias.data -= 100 * (name == "asleep: rectifier")
    return models


figure = mp.plots.figure(9.2, 2.0)
for ax, (name, model) in zip(figure.subplots(1, 5), planted((7, 9, 1)).items(), strict=False):
    paint(ax, gradient(model, 4, 4) != 0, 4 * 9 + 4, name)
show(figure, "06_leaks")
leaky, verdicts = planted((2, 3, 1)), {}
print(f"{'':18}", *(f"{name:>12}" for name in mp.causality.WITNESSES))
for title, model in leaky.items():
    verdicts[title] = {}
    for name, witness in mp.causality.WITNESSES.items():
        options = {"methods": ["naive"]} if name == "replay" else {}
        try:
            verdicts[title][name] = "ok" if witness(model, **options).holds else "LEAK"
        except ValueError:  # an op that does not say what it reads
            verdicts[title][name] = "cannot say"
    print(f"{title:18}", *(f"{verdict:>12}" for verdict in verdicts[title].values()))
for title, model in leaky.items():
    if verdicts[title]["clock"] == "LEAK":
        print(f"{title}: {mp.causality.WITNESSES['clock'](model).line}")
