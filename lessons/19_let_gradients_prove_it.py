# %% [markdown]
# # 06 Let gradients prove it
#
# - *You will* find what each pixel is predicted from, all in one backward pass; plant leaks, and catch each of them.
# - *Reads* `minipixel/causality/`: `gradients.py`, `structure.py`, `perturbation.py`, `witnesses.py`.
# - *Before* lesson 02 for gradients, lesson 05 for the masks.
# - *Takes* about 10 seconds on two cores.
#
# ## Is this really causal?
# A model claims to predict each pixel from earlier ones. It has masks, shifts and a dozen layers. Who believes it? Ask
# for a gradient: how does one output, at pixel (r, c), move with each pixel of the image? Where it never reads, that is
# zero. Not a small number, but exactly zero: a shut weight is multiplied by 0, and zeros sum to zero. So there is no
# tolerance to choose, and a leak of 1e-12 is a leak.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp
from minipixel.causality.pictures import SHADES  # later, seen, blind, itself, leak

SIZE, SEED = 12 if os.environ.get("MINIPIXEL_QUICK") == "1" else 28, int(os.environ.get("MINIPIXEL_SEED", "0"))
rng, M, ops = np.random.default_rng(SEED), mp.models, mp.ops


def gradient(model, r, c):
    """How the output at (r, c) moves with each pixel of one random grey image: (H, W)."""
    H, W, _ = model.image_shape
    image = mp.Tensor(rng.uniform(-1, 1, (H, W, 1, 1)))  # (H, W, N, C)
    output = model.forward(image)
    seed = np.zeros(output.shape)
    seed[r, c] = 1
    output.backward(seed)
    return image.grad[:, :, 0, 0]


shape, S, r, c = (9, 12, 1), 108, 6, 5
model = M.PixelCNN(shape, 2, hidden=16, blocks=2, dtype="float64")
one = gradient(model, r, c)
size = np.log10(np.abs(one), out=np.full(one.shape, np.nan), where=one != 0)
views = {"the gradient": (one, "RdBu", -0.3), "log10 of its size; grey: exactly 0": (size, "Blues", -5)}
figure = mp.plots.figure(8.4, 2.8)
for ax, (title, (cells, colours, low)) in zip(figure.subplots(1, 2), views.items(), strict=True):
    figure.colorbar(ax.pcolormesh(cells, cmap=colours, vmin=low, vmax=0.3, ec="white"), ax=ax)
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.CENTRE, markersize=9)
    ax.set(aspect="equal", ylim=(9, 0), xticks=[], yticks=[], facecolor="#d9d9d9", title=title)
show(figure, "06_one_pixel")

# %% [markdown]
# On the left one cannot tell small from zero; on the right one can. That is the *receptive field* of the orange pixel.
#
# ## All pixels in one backward pass
# There are S = 108 outputs. That need not take 108 passes, since the images of a batch do not see each other. Put S
# copies of one image into a batch, and let copy i carry the seed of output i. One backward pass gives a row to each.
# A rectifier that is shut passes no gradient, and may hide something. So we join what four images show.

# %%
by_hand, i = np.zeros((S, S), bool), np.arange(S)
for _ in range(4):
    copies = mp.Tensor(np.repeat(rng.uniform(-1, 1, (9, 12, 1, 1)), S, axis=2))
    output = model.forward(copies)
    seed = np.zeros(output.shape)  # (H, W, N, P)
    seed[i // 12, i % 12, i] = 1  # pixel i of copy i
    output.backward(seed)
    by_hand |= copies.grad.reshape(S, S).T != 0  # [i, j]: copy i, pixel j
assert np.array_equal(by_hand, mp.causality.dependencies(model))


def paint(ax, seen, inputs, output, title):
    """What sub-pixels, given by their places, are to outputs: blue seen, yellow blind, black itself, red leaked."""
    itself, earlier = inputs == output, inputs < output
    kinds = np.select([seen & ~earlier, itself, seen, earlier], [4, 3, 1, 2], 0)
    ax.pcolormesh(kinds, cmap=ListedColormap(SHADES), vmin=0, vmax=4, ec="white", lw=0.5 * (seen.size < 400))
    ax.set(aspect="equal", ylim=(len(seen), 0), xticks=[], yticks=[], title=title)


colour = mp.causality.dependencies(M.PixelCNN((2, 2, 3), 4, hidden=12, blocks=2))
matrices = {"PixelCNN, 9 x 12 grey pixels": by_hand, "2 x 2 pixels in colour": colour}
figure = mp.plots.figure(7.8, 4.4)
for ax, (title, matrix) in zip(figure.subplots(1, 2), matrices.items(), strict=True):
    places = np.arange(len(matrix))
    paint(ax, matrix, places, places[:, None], title)
    ax.set(xlabel="is read", ylabel="output")
ax.set(xticks=places + 0.5, yticks=places + 0.5, xticklabels="RGB" * 4, yticklabels="RGB" * 4)
show(figure, "06_matrices")

# %% [markdown]
# Causal means: a strict lower triangle, in colour too, where each sub-pixel has a row. Yellow: earlier, but not seen.
#
# ## Two directions
# To see too much is a *leak*: the model is wrong. To see too little is a *blind spot*: it is honest, but weaker.
# `mp.check_causality` counts both, and asks more witnesses than gradients; `report.plot()` draws what they found. Here
# are PixelCNN and the Gated PixelCNN of lesson 08, six layers each; then the share of the past that is seen, by depth.

# %%
reports = {"pixelcnn": mp.check_causality(M.PixelCNN(shape, 2, hidden=8, blocks=5))}
reports["gated"] = mp.check_causality(M.GatedPixelCNN(shape, 2, filters=8, layers=6))
for name, report in reports.items():
    print(report)
    show(report.plot(), f"06_report_{name}")
large, shares, pairs = (SIZE, SIZE, 1), {}, SIZE**2 * (SIZE**2 - 1) // 2  # each pixel with all before it
print(f"\nlayers{'PixelCNN':>10}{'Gated':>8}")
for n in (2, 4, 8, 16, 32):
    both = M.PixelCNN(large, 2, hidden=1, blocks=n - 1), M.GatedPixelCNN(large, 2, filters=1, layers=n)
    shares[n] = [mp.causality.structure(each).sum() / pairs for each in both]
    print("{:6}{:10.1%}{:8.1%}".format(n, *shares[n]))

# %% [markdown]
# ## Plant a leak, find it
# Four classics, in a PixelCNN of two blocks: mask B in the first layer; one tap too many in a later one; mask B with a
# shift, whose zeros come in at the wrong end, so that it shifts left; a batch normalisation (it takes off the mean).
# Then the extra tap twice more, asleep: its weights are 0, as in a mask that was changed after construction; or what it
# feeds are rectifiers that are always shut. All other weights are noise.


# %%
@mp.tensor.op
def off_mean(x):  # for each channel, over all pixels of all images
    return x - x.mean(axis=(0, 1, 2), keepdims=True), lambda g: (g - g.mean(axis=(0, 1, 2), keepdims=True),)


def planted(shape, name):
    """A PixelCNN with one of the mistakes."""
    model, noise = M.PixelCNN(shape, 2, hidden=8, blocks=2, dtype="float64"), np.random.default_rng(6)
    for weight in model.parameters():
        weight.data = noise.normal(0, 0.4, weight.shape)
    stem, look, block = model.stem, model.blocks[1].look, model.blocks[0]
    if name in ("mask B first", "zeros, wrong end"):
        stem.mask = mp.nn.causal_mask((7, 7), stem.groups_in, stem.groups_out, "B")
    if name == "zeros, wrong end":
        model.stem = lambda x: ops.mirror(ops.shift_right(ops.mirror(stem(x))))
    if name == "batch norm":
        model.blocks[0] = lambda x, *rest: off_mean(block(x, *rest))
    if name in ("one tap too many", "asleep: weight 0", "asleep: rectifier"):
        look.mask = look.mask | (np.arange(9).reshape(3, 3, 1, 1) == 5)  # masks are values: a new one takes its place
        look.weight.data[1, 2] *= name != "asleep: weight 0"
        look.bias.data -= 100 * (name == "asleep: rectifier")
    return model


names = ("nothing wrong", "mask B first", "one tap too many", "zeros, wrong end", "batch norm")
figure = mp.plots.figure(9.2, 2.0)
for ax, name in zip(figure.subplots(1, 5), names, strict=True):
    paint(ax, gradient(planted((7, 9, 1), name), 4, 4) != 0, np.arange(63).reshape(7, 9), 4 * 9 + 4, name)
show(figure, "06_leaks")
verdicts = {name: {} for name in (*names, "asleep: weight 0", "asleep: rectifier")}
print(f"{'':18}", *(f"{witness:>13}" for witness in mp.causality.WITNESSES))
for name, row in verdicts.items():
    for witness, ask in mp.causality.WITNESSES.items():
        try:
            found = ask(planted((2, 3, 1), name), **({"methods": ["naive"]} if witness == "replay" else {}))
            layer = found.line.partition("comes in at ")[2].partition(" ")[0]  # the clock names one
            row[witness] = "ok" if found.holds else layer or "LEAK"
        except ValueError:  # off_mean does not say what it reads
            row[witness] = "cannot say"
    print(f"{name:18}", *(f"{verdict:>13}" for verdict in row.values()))
print(mp.check_causality(planted((2, 3, 1), "one tap too many")).why)

# %% [markdown]
# Red is a leak. The clock (lesson 15) names the layer to mend, or the op where a layer is none of the model's. The
# "usual cause" goes by the look of a leak: mask B has the same but at the right side. Batch normalisation leaks between
# images; enumeration has all 64 in one batch, of one mean, and sees nothing. What sleeps fools all who go by values.
# `structure` and the clock ask who reads whom, whatever the weights. Rightly: training wakes the first in one step.

# %%
sleeper = planted((2, 3, 1), "asleep: weight 0")
mp.fit(sleeper, rng.integers(0, 2, (16, 2, 3, 1)), epochs=1, batch_size=16, rng=SEED, progress=False)
print("after one step,", awake := mp.causality.WITNESSES["gradients"](sleeper))

# %% [markdown]
# ## A model that is not ours
# Any function on arrays can be asked, by changing one pixel after another and comparing bits. Three ways to sum a row
# up to a pixel follow. The last is right on paper; but (a + x) - x is rounded, and the rounding knows x. Modules of
# PyTorch and functions of JAX are checked too, by gradients besides: see docs/causality-plugin.md.

# %%
ways = {"pad": lambda x: np.pad(x.cumsum(2), ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]}  # x is (N, H, W, C)
ways |= {"roll": lambda x: np.roll(x.cumsum(2), 1, axis=2), "subtract": lambda x: x.cumsum(2) - x}
whys = {name: mp.check_causality(way, (8, 8, 1)).why for name, way in ways.items()}
print("\n".join(f"{name}: {why or 'causal'}" for name, why in whys.items()))

# %% [markdown]
# ## What you should see

# %%
assert (one != 0).sum() == by_hand[r * 12 + c].sum() == 57 and not np.triu(by_hand).any() and not np.triu(colour).any()
assert all(report.ok for report in reports.values()) and len(reports["gated"].blind) < len(reports["pixelcnn"].blind)
assert shares[32][1] == 1 > shares[32][0] and all(gated >= plain for plain, gated in shares.values())
table = ["".join(verdict[0] for verdict in row.values()) for row in verdicts.values()]  # the first letters
assert table == ["ooooooo", "LLsLoLL", "LLbLoLL", "LLcLoLL", "LccLLoL", "oLboooo", "oLboooo"] and not awake.holds
assert [name for name, why in whys.items() if "(its own value)" in why] == ["roll", "subtract"] and not whys["pad"]

# %% [markdown]
# ## Exercises
# 1. Wake the leak behind the rectifier. Does training ever do so by itself? What is the gradient of its bias?
# 2. Check the three sums with `inputs=("int64", 0, 255)`. Which verdict changes, and why?
# 3. Predict the matrix of a model that draws all red first, in raster order and in its own (`order="rgb-planes"`).
