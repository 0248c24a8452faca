# %% [markdown]
# # 14 PixelCNN++: two streams through a U
#
# - *You will* build causal streams without a mask, halve and enlarge them, bring a deep net into range, and train it.
# - *Reads* `minipixel/models/pixelcnnpp.py`, `nn/shifted.py`, `nn/weight_norm.py`; Salimans et al., arXiv:1701.05517.
# - *Before* lesson 08 for two stacks, 09 for conditions, 13 for mixtures of logistics.
# - *Takes* less than a minute on two cores.
#
# ## No mask: shift, then look
# Five changes to the Gated PixelCNN, each simple. First: throw the masks away. A kernel that *ends* at its pixel, with
# taps above and to the left only, reads no future. It does read the pixel itself. So the first layer moves everything
# it has found by one row (or one column), and from then on nothing in a stream knows its own pixel.
# *u* looks up: what it found moves down by a row. *ul* looks up and left: it starts as the row above, moved down, plus
# the column to the left, moved right. In every pair of layers ul is told what u knows.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp
from minipixel import ops

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
IMAGES, EPOCHS = (320, 1) if os.environ.get("MINIPIXEL_QUICK") == "1" else (1295, 6)
INK, BLUE, ORANGE = mp.plots.INK, mp.plots.OPEN, mp.plots.CENTRE

rng = np.random.default_rng(14)
H, W, r, c = 7, 9, 4, 4  # the pixel (4, 4) of a map of 7x9
model = mp.models.PixelCNNpp((H, W, 1), 4, filters=8, resnets=1, hierarchies=1, dtype="float64")
shades, seen = ListedColormap([mp.plots.SHUT, BLUE]), {}
figure = mp.plots.figure(8.6, 1.9)
for column, ax in enumerate(figure.subplots(1, 4)):
    pairs, which = divmod(column, 2)
    stream, x = ("u", "ul")[which], mp.Tensor(rng.uniform(-1, 1, (H, W, 1, 1)))
    pixels = ops.concat(x, np.ones(x.shape))  # with a channel of ones, which ends where the image does
    u = ops.shift_down(model.above(pixels))
    ul = ops.shift_down(model.up(pixels)) + ops.shift_right(model.left(pixels))
    feature = model.level.way_in[0](u, ul)[which] if pairs else (u, ul)[which]
    seed = np.zeros(feature.shape)
    seed[r, c] = 1
    feature.backward(seed)
    seen[stream, pairs] = x.grad[:, :, 0, 0] != 0
    ax.pcolormesh(seen[stream, pairs], cmap=shades, vmin=0, vmax=1, ec="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=INK, markersize=6)
    title = f"{stream} after a pair of layers" if pairs else f"{stream} at the start"
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[], title=title)
show(figure, "14_streams")

# %% [markdown]
# ## Down and up again
# Second: layers that see far are cheap on small maps. So halve: a convolution with stride 2 computes every second row
# and column. And go back: the *transposed* convolution writes where the strided one would read. As linear maps, each is
# the other turned round: <A x, y> = <x, A'y>. It writes down and to the right only, so causality survives. Maps of odd
# size are rounded up on the way in, and cropped on the way back.

# %%
kernel, (low, high) = rng.normal(size=(2, 3, 1, 1)), (rng.normal(size=(4, 5, 1, 1)), rng.normal(size=(7, 9, 1, 1)))
zero, where = np.zeros(1), {"stride": 2, "centre": (0, 1)}
halved = ops.conv2d(high, kernel, zero, **where)
enlarged = ops.transposed_conv2d(low, kernel, zero, size=(7, 9), **where)
print(f"7x9 -> 4x5 -> 7x9;  <A x, y> = {np.vdot(halved, low):.12f}, <x, A'y> = {np.vdot(high, enlarged):.12f}")

# %% [markdown]
# Third: what is small has lost detail. So each layer on the way back is told what its *twin* on the way in had found.
# The usual code keeps one list of all that was made on the way in, and takes it back from its end. `Level` calls itself
# instead. Here is the list, by hand, for two sizes; the numbers are those of the library.

# %%
deep = mp.models.PixelCNNpp((H, W, 1), 4, filters=8, resnets=2, hierarchies=2, dtype="float64")
fine, coarse = deep.level, deep.level.below
start = [mp.Tensor(rng.normal(size=(H, W, 3, 8))) for _ in range(2)]
made = [start]
for level in (fine, coarse):
    if level is coarse:
        made.append([halve(stream) for halve, stream in zip(fine.halve, made[-1], strict=True)])
    for pair in level.way_in:
        made.append(pair(*made[-1]))
now = made.pop()
for level in (coarse, fine):
    if level is fine:
        now = [enlarge(stream) for enlarge, stream in zip(fine.enlarge, now, strict=True)]
    for pair in level.way_back:
        now = pair(*now, made.pop())  # the twin: the last that was made and not yet taken back
apart = max(np.abs(a.data - b.data).max() for a, b in zip(now, fine(*start), strict=True))
print(f"left in the list: {len(made)}; largest difference to Level: {apart:.1e}")

# %% [markdown]
# ## How far it sees
# Published as a model of the whole past. Ask it, on 28x28: orange is what a pixel should see and cannot. One level sees
# a little way. Smaller maps see far; yet a pixel of an *odd* row misses the far end of its own row (and one at the left
# that of the row above). Row k of the small map serves rows 2k and 2k + 1: it may know only what is safe for row 2k.
# All that is newer comes through the finest level, which reaches as far as it has layers. Wider kernels cure it.

# %%
verdicts, views = ListedColormap([mp.plots.SHUT, BLUE, ORANGE]), {}  # not to be seen, seen, missed
wide = {"vertical_kernel": (2, 7), "horizontal_kernel": (2, 4)}
variants = {"one level": (1, {}), "two levels": (2, {}), "three": (3, {}), "two, wider kernels": (2, wide)}
places = np.array([14 * 28 + 20, 15 * 28 + 20])
axes = (figure := mp.plots.figure(8.6, 4.5)).subplots(2, 4)
for column, (title, (hierarchies, kernels)) in enumerate(variants.items()):
    large = mp.models.PixelCNNpp((28, 28, 1), 4, filters=4, resnets=2, hierarchies=hierarchies, **kernels)
    saw, past = mp.causality.dependencies(large, images=1, outputs=places), np.arange(784) < places[:, None]
    views[title] = (past & ~saw).sum(axis=1)
    for ax, place, shade in zip(axes[:, column], places, (saw + 2 * (past & ~saw)).reshape(2, 28, 28), strict=True):
        ax.pcolormesh(shade, cmap=verdicts, vmin=0, vmax=2)
        ax.plot(place % 28 + 0.5, place // 28 + 0.5, "s", color=INK, markersize=4)
        ax.set(aspect="equal", ylim=(28, 0), xticks=[], yticks=[], title=title if ax is axes[0, column] else "")
axes[0, 0].set_ylabel("an even row")
axes[1, 0].set_ylabel("an odd row")
show(figure, "14_reach")
print("not seen, even row and odd row:", {title: missed.tolist() for title, missed in views.items()})

# %% [markdown]
# ## A first batch brings it into range
# Fourth: weights are learned as a direction and a length, W = g v / |v|. A first batch sets each length and each bias,
# so that every layer's output, with V h where a gate is told of h, has mean 0 and variance 1. In order, from the first
# on, and each output is computed *again* after its length was set: else the next is fitted to what it never gets.

# %%
ds = mp.datasets.load("digits")
train, test, labels, test_labels = ds.train.images, ds.test.images, ds.train.labels, ds.test.labels
size = {"filters": 24, "resnets": 1, "hierarchies": 2, "dropout": 0.1, "mixtures": 5, "rng": SEED}
model = mp.models.PixelCNNpp(ds.image_shape, ds.levels, num_classes=10, **size)


def deviations(model):
    """The standard deviation of what each normalised layer puts out, in order, on a batch of 64 digits."""
    found, call = [], mp.nn.WeightNorm.__call__

    def listen(layer, *inputs):
        found.append(call(layer, *inputs).data)
        return mp.Tensor(found[-1])

    mp.nn.WeightNorm.__call__ = listen
    with mp.kernels.as_written():
        model.predict(train[:64], labels[:64])
    mp.nn.WeightNorm.__call__ = call
    return [y.std() for y in found]


before, _, after = deviations(model), model.initialize(train[:64], labels[:64]), deviations(model)
ax = (figure := mp.plots.figure(7.4, 2.4)).subplots()
ax.plot(before, "o-", color=ORANGE, label="as it starts")
ax.plot(after, "o-", color=BLUE, label="after the first batch")
ax.set(xlabel="layer, in the order of the computation", ylabel="standard deviation", ylim=(0, None))
ax.legend(frameon=False)
show(figure, "14_first_batch")

# %% [markdown]
# ## Train it
# Fifth, from lesson 13: a mixture of logistics in place of a softmax. It joins the colours of a pixel itself, so the
# streams need none. (`fit` gives the first batch, unless somebody has.) Test and draw with averaged weights.

# %%
recipe = {"optimizer": mp.optim.Adam(3e-3), "callbacks": [mp.callbacks.EMA(0.99)], "rng": SEED}
mp.fit(model, train[:IMAGES], labels[:IMAGES], epochs=EPOCHS, batch_size=16, **recipe)
bits = model.bits_per_dim(test, test_labels)
print(f"{model.num_parameters:,} weights, told the class: {bits:.3f} bits/dim on test digits")
drawn = model.sample(40, np.tile(np.arange(10), 4), rng=SEED)
real = test[[np.flatnonzero(test_labels == label)[0] for label in range(10)]]
show(mp.plots.sample_grid(real, drawn, ds.levels, title="Asked for 0, 1, 2 ... 9"), "14_digits")

# %% [markdown]
# ## The same model by another door
# People who know TensorFlow Probability find it under their own names; `docs/tfp.md` translates a script line by line.

# %%
small = {"num_resnet": 1, "num_hierarchies": 2, "num_filters": 8}
dist = mp.distributions.PixelCNN(ds.image_shape, conditional_shape=(), high=ds.levels - 1, **small)
values, told = test[:5].astype(float), test_labels[:5].astype(float)
log_prob = dist.log_prob(values, conditional_input=told)
print("log_prob of five digits, untrained:", *(f"{nats:.0f}" for nats in log_prob))
print("five threes:", dist.sample(5, conditional_input=3.0, seed=0).shape)

# %% [markdown]
# ## What you should see

# %%
past = np.arange(H * W).reshape(H, W) < r * W + c
assert not any((view & ~past).any() for view in seen.values()) and not seen["u", 1][r:].any()
assert seen["ul", 0].sum() == 4 and (seen["ul", 1] & ~seen["u", 1])[r, :c].any()  # its own row is what ul has alone
assert np.isclose(np.vdot(halved, low), np.vdot(high, enlarged), rtol=1e-12) and apart < 1e-12
assert (
    views["one level"][0] > views["two levels"][0] == 0 < views["two levels"][1]
    and not views["two, wider kernels"].any()
)
assert np.allclose(after, 1, atol=1e-4) and np.ptp(before) > 0.3
np.testing.assert_allclose(log_prob, dist.model.log_prob(test[:5], told), rtol=1e-6)
if EPOCHS == 6:  # the full length
    assert bits < 1.8

# %% [markdown]
# ## Exercises
# 1. Leave out `ops.shift_right` and let `mp.check_causality` tell you who sees what.
# 2. Let `_fit` put out what it computed before the length was set. How do the deviations grow with depth?
# 3. Take the twins away (hand each layer zeros). What does a model of two levels lose, and what one of one level?
