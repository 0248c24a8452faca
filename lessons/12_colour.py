# %% [markdown]
# # 10 Colour: red, then green, then blue
#
# - *You will* measure what the colours of a pixel tell of one another, model them in turn, and break that in two ways.
# - *Reads* `minipixel/nn/masks.py`, `heads/categorical.py`; van den Oord et al. 2016, arXiv:1601.06759, 3.4.
# - *Before* lesson 05 for the masks with groups, lesson 07 for the model.
# - *Takes* about 50 seconds on two cores.
#
# ## Three steps per pixel
# A pixel of three colours has 64 values at 4 levels, and 16.7 million at 256. No softmax names so many. So the pixel is
# a short sequence of its own: `p(R) p(G | R) p(B | R, G)`, all given the earlier pixels. Three small questions for one
# large one, and nothing is lost: the chain rule again.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
N, EPOCHS, DRAWN = (160, 1, 2) if os.environ.get("MINIPIXEL_QUICK") == "1" else (1373, 3, 8)

ds = mp.datasets.load("emoji")
train, test = (mp.datasets.quantize(split.images, ds.levels, 4) for split in (ds.train, ds.test))
(H, W, C), Q, names = ds.image_shape, 4, ("red", "green", "blue")
COLOURS = ListedColormap([mp.plots.SHUT, mp.plots.OPEN, mp.plots.CENTRE])  # not read, read, read but not earlier

# %% [markdown]
# ## What one colour tells of another
# For now we forget all neighbours and look at single pixels. *Entropy* is the least a value costs on average, in bits.
# What green costs when red is known is `H(R, G) - H(R)`. What that saves is the *mutual information*.


# %%
def entropy(*colours):
    """Bits of a pixel's colours together, from their counts in training images."""
    code = sum(train[..., k].astype(int) * Q**i for i, k in enumerate(colours))
    p = np.bincount(code.ravel(), minlength=Q ** len(colours)) / code.size
    return -(p[p > 0] * np.log2(p[p > 0])).sum()


alone = np.array([entropy(k) for k in range(C)])
given = np.array([entropy(0), entropy(0, 1) - entropy(0), entropy(0, 1, 2) - entropy(0, 1)])
print("one pixel, no neighbours      " + "".join(f"{name:>8}" for name in names) + "     sum")
print("bits of the colour alone      " + "".join(f"{cost:8.3f}" for cost in alone) + f"{alone.sum():8.3f}")
print("bits, earlier colours known   " + "".join(f"{cost:8.3f}" for cost in given) + f"{given.sum():8.3f}")

joint = np.zeros((Q, Q))
np.add.at(joint, (train[..., 0], train[..., 1]), 1)
figure = mp.plots.figure(7.4, 2.4)
for red, ax in enumerate(figure.subplots(1, Q, sharey=True)):
    ax.bar(range(Q), joint.sum(axis=0) / joint.sum(), color="#d8d8d4", width=0.95)
    ax.bar(range(Q), joint[red] / joint[red].sum(), color="#5aa05a", width=0.55)
    ax.set(title=f"red = {red}", xlabel="level of green", ylim=(0, 1), xticks=range(Q))
figure.suptitle("Green when red is known (green), and green alone (grey)", fontsize=11)
show(figure, "10_green_given_red")

# %% [markdown]
# Alone, red is the cheapest: emoji are warm, so it varies least. In turn it is the dearest, since nothing helps it.
# The sum is the same in any order of the colours. Only its shares change.
#
# ## The order in the masks
# Each feature belongs to a colour, its *group*: lesson 05. The stem's mask A lets green features see red, and blue ones
# red and green, of the pixel itself. Mask B keeps it so in all later layers. The last layer gives Q logits per colour,
# and the logits of colour k belong to group k. So green's logits know red. The number of features need not be a
# multiple of three: groups are dealt out like cards, and somebody may get one more.
#
# We ask by gradients which colours of a pixel (rows) read which colours of the same pixel (columns). Then we break it.
# In `blind` the stem's groups are all 0. To mask A that is a single colour, and the centre tap is shut for all three.


# %%
def within(model):
    """Which colours of one pixel in the middle are predicted from which of its own: boolean (3, 3)."""
    first = (model.image_shape[0] // 2 * model.image_shape[1] + model.image_shape[1] // 2) * C
    return mp.causality.dependencies(model, outputs=range(first, first + C))[:, first : first + C]


def blinded(model):
    """The model with another stem, one that shows no colour anything of its own pixel."""
    image, features = np.zeros(C, int), np.zeros(model.features, int)
    model.stem = mp.nn.Conv2d(image, features, (7, 7), "A", mp.nn.Init(SEED, model.dtype))
    return model


size = {"hidden": 24, "blocks": 3, "rng": SEED}
model, blind = mp.models.PixelCNN((H, W, C), Q, **size), blinded(mp.models.PixelCNN((H, W, C), Q, **size))
print("groups of the logits:", *model.head.groups)

# %% [markdown]
# ## A gate that mixes
# The groups go along with the features, as an array. Why not say "the first third is red"? Later models have gates:
# a layer makes 2K features, and one half is multiplied by the sigmoid of the other. Cut "thirds" into halves, and green
# meets red's place. Red's next feature is made of green. Two layers make the two halves here; it is the same thing.

# %%
thirds = np.repeat([0, 1, 2], 4)
dealt = mp.nn.colour_groups(10, C)
halves = {"thirds, cut": np.split(thirds, 2), "dealt out, cut": np.split(dealt, 2), "doubled": [dealt[:5]] * 2}


class Gate(mp.nn.Module):
    """Half of the features times the sigmoid of the other half, and back to the groups that came in."""

    def __init__(self, groups, halves, init):
        self.value, self.gate = (mp.nn.Pointwise(groups, half, init) for half in halves)
        self.back = mp.nn.Pointwise(halves[0], groups, init)

    def __call__(self, x, condition, rng):
        return self.back(self.value(x) * mp.ops.sigmoid(self.gate(x)))


lower = np.tri(3, k=-1, dtype=bool)  # each colour reads those before it
matrices = {"right": within(model), "blind": within(blind)}
for name, (value, gate) in halves.items():
    gated = mp.models.PixelCNN((3, 3, C), Q, hidden=6, blocks=1)
    gated.blocks.append(Gate(gated.top.layers[0].groups_in, (value, gate), mp.nn.Init(0, "float32")))
    matrices[name] = within(gated)
    pairs = " ".join(f"{'RGB'[a]}*{'RGB'[b]}" for a, b in zip(value, gate, strict=True))
    print(f"{name:17} {pairs:25}", "leaks" if not mp.check_causality(gated).ok else "causal")

figure = mp.plots.figure(7.6, 2.1)
for ax, (name, matrix) in zip(figure.subplots(1, 5), matrices.items(), strict=True):
    ax.pcolormesh(np.where(matrix, np.where(lower, 1, 2), 0), cmap=COLOURS, vmin=0, vmax=2, edgecolors="white")
    ax.set(aspect="equal", ylim=(3, 0), title=name, xlabel="is read", ylabel="reads" if name == "right" else "")
    ax.set_xticks(np.arange(3) + 0.5, "RGB")
    ax.set_yticks(np.arange(3) + 0.5, "RGB")
show(figure, "10_who_reads_whom")

# %% [markdown]
# With `np.concatenate([groups, groups])` for both halves each feature meets its own colour, at any width. Orange is
# what may not be read. Blue's own value is safe even so: mask A never let it in.
#
# ## Train both
# One has the colours in turn, the other has each from the earlier pixels alone. Both are honest distributions.

# %%
bits, both = {}, {"in turn": model, "blind": blind}
for name, trained in both.items():
    mp.fit(trained, train[:N], epochs=EPOCHS, batch_size=16, optimizer=mp.optim.Adam(3e-3), rng=SEED)
    bits[name] = trained.log_prob_map(test).mean(axis=(0, 1, 2)) / -np.log(2)
print("test emoji, bits     " + "".join(f"{name:>8}" for name in names) + "    bits/dim")
for name, costs in bits.items():
    print(f"colours {name:13}" + "".join(f"{cost:8.3f}" for cost in costs) + f"{costs.mean():12.3f}")
saved = (bits["blind"] - bits["in turn"]).sum()
print(f"saved in a pixel: {saved:.3f} bits; without any neighbours it was {alone.sum() - given.sum():.3f}")

# %% [markdown]
# Red costs both about the same: it is told nothing of its own pixel. Green and blue make the difference. It is smaller
# than in the table above, since the neighbours have told much already.
#
# ## Look
# So short a training is little. Expect patches of colour, and not a single face. But the blind model throws three dice
# a pixel, and they do not match. To count that, both draw one pixel in 16 of the test images anew, from the real pixels
# before it, with the same uniforms. How often is its colour *rare*, less than one in 500 training pixels? Values come
# pixel by pixel, in each red, then green, then blue; sorted by colour, in the last figure, they are three layers.

# %%
mix, hidden = Q ** np.arange(C), (np.indices((H, W)) % 4 == 3).all(axis=0)
rare = np.bincount((train @ mix).ravel(), minlength=Q**C) / train[..., 0].size < 1 / 500
drawn = {name: drawer.sample(DRAWN, rng=SEED) for name, drawer in both.items()}
redrawn = {"test": test} | {name: drawer.complete(test[:N], ~hidden, rng=SEED) for name, drawer in both.items()}
odd = {name: rare[images[:, hidden] @ mix].mean() for name, images in redrawn.items()}
print(rare.sum(), "colours are rare; share of such pixels:", {name: f"{share:.1%}" for name, share in odd.items()})
figure = mp.plots.sample_grid(test[::40], np.concatenate(list(drawn.values())), Q, columns=8)
figure.axes[1].set_ylabel("blind      in turn")
show(figure, "10_samples")

growing = np.concatenate([drawn["in turn"] * known for known in np.tri(3, dtype=np.uint8)])
figure = mp.plots.image_grid(growing, Q, columns=DRAWN, title="One draw, colour by colour")
figure.axes[0].set_yticks(np.arange(C) * (H + 1) + 7.5, ["red", "and green", "and blue"])
show(figure, "10_growing")

# %% [markdown]
# ## What you should see

# %%
assert (given[1:] < alone[1:]).all() and alone.argmin() == 0 and given.argmax() == 0
assert np.isclose(given.sum(), entropy(2, 1, 0))  # from the other end
assert np.array_equal(matrices["right"], lower) and np.array_equal(matrices["doubled"], lower)
assert not matrices["blind"].any()
assert all((matrices[f"{name}, cut"] & ~lower).any() for name in ("thirds", "dealt out"))
every = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 1, 2, C)  # two pixels of two levels: 64 images
for change in (lambda model: model, blinded):
    tiny = change(mp.models.PixelCNN((1, 2, C), 2, hidden=7, blocks=1, dtype="float64"))
    assert np.isclose(np.exp(tiny.log_prob(every)).sum(), 1, rtol=0, atol=1e-12)
if EPOCHS == 3:  # the full length
    red, green, blue = bits["in turn"]
    assert red > green > blue and abs(red - bits["blind"][0]) < 0.03 and 0.2 < saved < alone.sum() - given.sum()
    assert odd["blind"] > 1.5 * odd["in turn"]

# %% [markdown]
# ## Exercises
# 1. Draw blue first, then green, then red: reverse the channels of all images. Which of the three numbers change?
# 2. Turn RGB into brightness and two differences of colours, in integers. What do you have to do to keep bits/dim fair?
# 3. Shut the centre tap of the stem only for blue. What is lost, and is the model still causal?
# 4. Quantise to 2 levels: 8 colours. Compare three sub-pixels with one softmax of eight, by hand on counts.
