# %% [markdown]
# # 05 Masks A and B
#
# - *You will* build both masks of PixelCNN by hand, see what each lets through, break a model on purpose and catch it.
# - *Reads* `minipixel/nn/masks.py`, `nn/conv.py`, `causality/`; van den Oord et al. 2016, arXiv:1601.06759, 3.4.
# - *Before* lesson 04, for the convolution.
# - *Takes* about 10 seconds.
#
# ## The answer is in the question
# In training the whole image is known. One forward pass can therefore predict all its pixels: H*W answers at once.
# But the image that goes in is also the image that is asked for. Whatever can copy, will copy.
# So a pixel must be predicted from the pixels before it in raster order. A kernel needs the same order of its taps.
# Python compares tuples in just that way: first the row, then the column.

# %%
import os

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: what holds for others, too?
rng, init = np.random.default_rng(5), mp.nn.Init(5, "float64")
grey = np.zeros(1, int)  # the groups of one grey channel: a single colour, number 0
by_hand = {
    "A": np.array([[(r, c) < (1, 1) for c in range(3)] for r in range(3)]),  # strictly before the centre
    "B": np.array([[(r, c) <= (1, 1) for c in range(3)] for r in range(3)]),  # before it, or the centre itself
}
for kind, mask in by_hand.items():
    assert np.array_equal(mask, mp.nn.causal_mask((3, 3), grey, grey, kind)[:, :, 0, 0])
stem_mask = mp.nn.causal_mask((7, 7), grey, grey, "A")[:, :, 0, 0]
pictures = {"mask A, 3x3": by_hand["A"], "mask B, 3x3": by_hand["B"], "mask A, 7x7: the first layer": stem_mask}
figure = mp.plots.figure(6.6, 3.6)
for ax, (title, mask) in zip(figure.subplots(1, 3, width_ratios=[3, 3, 7]), pictures.items(), strict=True):
    mp.plots.draw_mask(ax, mask.astype(float))
    ax.set_title(f"{title}\n{mask.sum()} of {mask.size} taps open", fontsize=9)
show(figure, "05_masks")

# %% [markdown]
# ## Why A first, and B ever after
# Layer 1 reads the image. Its centre tap is the very pixel to be predicted: mask A shuts it.
# Layer 2 reads features. The feature at (r, c) was made without pixel (r, c), so its centre is safe: mask B opens it.
# We stack 3x3 layers and ask by gradients which inputs the centre output reads.


# %%
def field(kinds):
    """The inputs that the middle output of a stack of 3x3 layers reads: one mask per layer -> boolean (7, 7)."""
    image = features = mp.Tensor(rng.normal(size=(7, 7, 1, 1)))  # (H, W, N, K)
    for kind in kinds:
        features = mp.nn.Conv2d(grey, grey, (3, 3), kind, init)(features)
    seed = np.zeros((7, 7, 1, 1))
    seed[3, 3] = 1
    features.backward(seed)
    return image.grad[:, :, 0, 0] != 0


stacks = {"A": "one layer", "AB": "right", "AA": "neighbours lost", "BB": "leaks"}
fields = {kinds: field(kinds) for kinds in stacks}
figure = mp.plots.figure(7.6, 2.3)
for ax, (kinds, verdict) in zip(figure.subplots(1, 4), stacks.items(), strict=True):
    mp.plots.draw_mask(ax, fields[kinds].astype(float))
    ax.set_title(f"{', then '.join(kinds)}: {verdict}", fontsize=9)
show(figure, "05_stacks")

# %% [markdown]
# A then B sees what lies before the pixel, and never the pixel. A twice is safe, but it loses the pixel's best
# informants: its left and its upper right neighbour. B twice sees the pixel itself.
#
# ## A leak, on purpose
# We give a PixelCNN the wrong mask in its first layer. Nothing else changes. Two tests find it.
# The first follows gradients from every output to every input.

# %%
shape = (2, 3, 1)
right = mp.models.PixelCNN(shape, 2, hidden=8, blocks=2, rng=SEED, dtype="float64")
leaky = mp.models.PixelCNN(shape, 2, hidden=8, blocks=2, rng=SEED, dtype="float64")
leaky.stem = mp.nn.Conv2d(leaky.stem.groups_in, leaky.stem.groups_out, (7, 7), "B", mp.nn.Init(SEED, "float64"))
print(mp.check_causality(right))
try:
    mp.assert_causal(leaky)
except mp.CausalityError as caught:
    print("CausalityError:", error := str(caught))

# %% [markdown]
# The second test needs no gradients. There are 64 binary images of 2x3 pixels. By the chain rule the probabilities of
# all of them sum to 1, whatever the weights. If a pixel's "prediction" has read that pixel, there is no chain rule.
# Both models now train on fair coin flips: each of the 64 images, equally often. Nothing can be learnt from these.
# No honest model gets below 1 bit a pixel.

# %%
every = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, *shape)
print(f"{'epochs':>6}{'right: bits/dim':>18}{'sum of p':>12}{'leaky: bits/dim':>20}{'sum of p':>12}")
rows = []
for epochs, more in ((0, 0), (5, 5), (15, 10), (40, 25)):
    rows.append([])
    for model in (right, leaky):
        if more:
            mp.fit(model, every, epochs=more, batch_size=16, rng=SEED, progress=False)
        rows[-1] += [model.bits_per_dim(every), np.exp(model.log_prob(every)).sum()]
    print("{:6}{:18.3f}{:12.6f}{:20.3f}{:12.3f}".format(epochs, *rows[-1]))

# %% [markdown]
# The leaky model looks splendid: it predicts coin flips. It has learnt to copy. Its sum shows the fraud: 64 images
# would each get probability 1. A loss that is too good to be true is the usual sign of this mistake.
#
# ## A mask is a value
# The convolution multiplies weight by mask in every forward pass. It never writes to its weights. So nothing that
# happens to the weights can open a tap. We overwrite all of them with noise.

# %%
for parameter in right.parameters():
    parameter.data = rng.normal(size=parameter.shape)
print(f"weights of the stem: {np.count_nonzero(right.stem.weight.data)} are not zero, {right.stem.mask.sum()} are open")
print(f"sum of p: {np.exp(right.log_prob(every)).sum():.12f}\n{mp.check_causality(right)}")

# %% [markdown]
# ## Colours: red, then green, then blue
# A pixel has three sub-pixels, drawn in that order. Green may know red; blue may know both. So each feature channel
# belongs to a colour, its *group*, and the centre tap becomes a table: who may read whom?
# Mask A opens the groups below one's own, mask B one's own too. All other open taps connect all groups.

# %%
image, groups = np.arange(3), mp.nn.colour_groups(6, 3)  # 0 1 2 and 0 1 2 0 1 2
table_a = mp.nn.causal_mask((7, 7), image, groups, "A")[3, 3].T  # K_out rows, K_in columns
table_b = mp.nn.causal_mask((3, 3), groups, groups, "B")[1, 1].T
i_out, i_in = np.indices((6, 6))
green_reads_red = (i_out % 3 == 1) & (i_in % 3 == 0)
assert np.array_equal(table_b, i_in % 3 <= i_out % 3) and table_b[green_reads_red].all()
ink = np.array([[200, 80, 70], [90, 160, 90], [70, 110, 190], [236, 236, 232]]) / 255  # the last for a closed weight
figure = mp.plots.figure(6.6, 3.7)
for ax, table, kind in zip(figure.subplots(1, 2, width_ratios=[3, 6]), (table_a, table_b), "AB", strict=True):
    K_in = table.shape[1]
    ax.pcolormesh(ink[np.where(table, np.arange(K_in) % 3, 3)], edgecolors="white", linewidth=2)
    ax.set(aspect="equal", xlabel="is read", ylabel="reads", title=f"centre tap, mask {kind}", ylim=(6, 0))
    ax.set_xticks(np.arange(K_in) + 0.5, [*"RGBRGB"][:K_in])
    ax.set_yticks(np.arange(6) + 0.5, [*"RGBRGB"])
show(figure, "05_colours")

# %% [markdown]
# A 1x1 convolution has nothing but a centre. On grey images its mask B is all open, and is easily forgotten. On colour
# images that is a leak. We replace one 1x1 layer by an unmasked one: all its channels get group 0.
# Who reads whom, in an image of a single pixel?

# %%
colour = mp.models.PixelCNN((1, 1, 3), 4, hidden=6, blocks=1)
masked = mp.check_causality(colour).dependencies
colour.top.layers[0] = mp.nn.Pointwise(np.zeros(12, int), np.zeros(12, int), mp.nn.Init(0, "float32"))
opened = mp.check_causality(colour).dependencies
names = np.array(["red", "green", "blue"])
for who, before, after in zip(names, masked, opened, strict=True):
    print(f"{who:5} reads: {', '.join(names[before]) or '-':10}   with one 1x1 unmasked: {', '.join(names[after])}")

# %% [markdown]
# The open layer hands everything to everyone. Blue's own value is not there to be handed on: mask A never let it in.
#
# ## What the masks cannot see
# No leak is half of the matter. Does a pixel see its *whole* past? We ask three PixelCNNs, ever deeper.
# Blue is seen, orange is past but unseen; the dark square is the pixel.

# %%
H, W, r, c = 15, 15, 12, 5
past, seen = np.arange(H * W).reshape(H, W) < r * W + c, {}
colours = ListedColormap([mp.plots.SHUT, mp.plots.CENTRE, mp.plots.OPEN])  # not past, blind, seen
figure = mp.plots.figure(7.6, 2.9)
for ax, blocks in zip(figure.subplots(1, 3), (1, 4, 9), strict=True):
    deep = mp.models.PixelCNN((H, W, 1), 2, hidden=4, blocks=blocks)
    seen[blocks] = mp.causality.dependencies(deep)[r * W + c].reshape(H, W)
    ax.pcolormesh(1 * past + seen[blocks], cmap=colours, vmin=0, vmax=2, edgecolors="white")
    ax.plot(c + 0.5, r + 0.5, "s", color=mp.plots.INK, markersize=6)
    ax.set(aspect="equal", ylim=(H, 0), xticks=[], yticks=[])
    ax.set_title(f"blocks: {blocks}, blind to {(past & ~seen[blocks]).sum()} of {past.sum()}", fontsize=9)
show(figure, "05_blind_spot")

# %% [markdown]
# A 3x3 mask B goes right only by going up. So a bite is missing at the upper right. No depth closes it.
# A later lesson does.
#
# ## What you should see

# %%
assert np.array_equal(fields["AB"], fields["BB"] & (np.arange(49).reshape(7, 7) != 24))  # only the pixel itself differs
assert np.argwhere(fields["AB"] & ~fields["AA"]).tolist() == [[2, 4], [3, 2]]  # lost: upper right and left of (3, 3)
assert "(0, 0) (its own value)" in error and mp.check_causality(right).ok
right_bits, right_sum, leaky_bits, leaky_sum = np.transpose(rows)
assert np.allclose(right_sum, 1, rtol=0, atol=1e-9) and right_bits.min() > 1 - 1e-9  # at any weights
assert leaky_bits[-1] < 0.2 and 40 < leaky_sum[-1] <= 64  # it copies
assert abs(np.exp(right.log_prob(every)).sum() - 1) < 1e-9 and right.stem.weight.data.all()  # noise in every weight
assert np.array_equal(masked, np.tri(3, k=-1, dtype=bool)) and np.array_equal(opened, [[1, 1, 0]] * 3)
assert not any((picture & ~past).any() for picture in seen.values())
assert not any(picture[r - 1, c + 4 :].any() for picture in seen.values())  # the bite stays, at every depth

# %% [markdown]
# ## Exercises
# 1. Draw the pixels column by column instead of row by row. Which taps of the 3x3 masks change?
# 2. Open the whole lower row of one 3x3 layer. What does `mp.assert_causal` say, and what do the 64 images sum to?
# 3. Enumerate the eight binary images of shape (1, 1, 3) under a model with one 1x1 layer unmasked.
# 4. Find a formula in W, r and c for the size of the bite once the stack is deep.
