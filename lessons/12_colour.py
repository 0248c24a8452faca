# %% [markdown]
# # 12 Colour: red, then green, then blue
#
# - *You will* measure what the colours of a pixel tell of one another, put their order into masks, get it wrong in
#   three ways, and train.
# - *Reads* `minipixel/nn/masks.py`, `minipixel/heads/categorical.py`; van den Oord et al. 2016, arXiv:1601.06759,
#   section 3.4.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 04](04_train_sample_look.py) for training, [lesson
#   09](09_the_blind_spot_and_two_stacks.py) for the gate.
# - *Takes* about a minute to run on two cores, and 25 minutes to read.
#
# A pixel of a grey image is one number. A pixel of a colour image is three numbers: red, green and blue. They depend on
# each other. In a yellow face, for example, much red comes with much green and with little blue. How does a model
# predict three numbers that belong together? And what becomes of the masks, which so far know an order of pixels, but
# no order of colours?

# %%
import os

import numpy as np
from drawings import lesson_12
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: the text holds for others, too
EPOCHS = 1 if QUICK else 3
IMAGES = 160 if QUICK else 1373
DRAWN = 2 if QUICK else 8

ds = mp.datasets.load("emoji")
Q = 4
train = mp.datasets.quantize(ds.train.images, ds.levels, Q)
test = mp.datasets.quantize(ds.test.images, ds.levels, Q)
H, W, C = ds.image_shape
names = ("red", "green", "blue")
print(f"{len(train)} emoji of {H}x{W} pixels and {C} colours, {Q} levels each")

# %% [markdown]
# ## A pixel is a short sequence
#
# Our emoji have four levels per colour, so a pixel has one of $4^3 = 64$ values. One softmax over 64 values could
# predict it. With 256 levels there are 16.7 million values, which are too many for a softmax. So we make a short
# sequence of the pixel: first red, then green, then blue. By the chain rule this is exact:
#
# $$ p(R, G, B) = p(R)\; p(G \mid R)\; p(B \mid R, G). $$
#
# All three factors are given the earlier pixels, too. So the model needs three softmaxes over Q levels each, one for
# each sub-pixel.

# %%
caption = "What each colour of a pixel is predicted from. The dots stand for all colours of the earlier pixels."
show(lesson_12.order(), "12_order", caption)

# %% [markdown]
# ## What one colour tells of another
#
# For now we leave out the neighbours and look at single pixels. The **entropy** of a value $X$ is the least number of
# bits that saying it costs on average. It is computed from how common each of its values $x$ is:
#
# $$ \operatorname{entropy}(X) = -\sum_x p(x) \log_2 p(x). $$
#
# For the entropy of several colours together we count how common each *combination* is. Once red is known, green costs
# the difference, $\operatorname{entropy}(R, G) - \operatorname{entropy}(R)$. This is less than
# $\operatorname{entropy}(G)$. The number of bits that knowing red saves is called the **mutual information** of red and
# green.


# %%
def entropy(*colours):
    """Bits of some colours of a pixel together, from their counts in the training images."""
    combination = np.zeros(train.shape[:3], int)  # for each pixel a number that names its combination
    for k in colours:
        combination = combination * Q + train[..., k]
    counts = np.bincount(combination.ravel())
    p = counts[counts > 0] / counts.sum()
    return -(p * np.log2(p)).sum()


alone = np.array([entropy(0), entropy(1), entropy(2)])
in_turn = np.array([entropy(0), entropy(0, 1) - entropy(0), entropy(0, 1, 2) - entropy(0, 1)])
print(f"one pixel, no neighbours     {'red':>8}{'green':>8}{'blue':>8}{'sum':>8}")
for title, costs in {"bits of the colour alone": alone, "bits, earlier colours known": in_turn}.items():
    print(f"{title:29}{costs[0]:8.3f}{costs[1]:8.3f}{costs[2]:8.3f}{costs.sum():8.3f}")

# %% [markdown]
# In the first row red costs least. Most emoji have warm colours, so their red is nearly always high. In the second row
# red costs most, since no other colour helps to predict it. Knowing the earlier colours saves a third of a bit of
# green, and half a bit of blue. (With another order of the colours the three numbers of this row would change, but not
# their sum.) The figure shows, for green, what knowing red changes.

# %%
joint = np.zeros((Q, Q))  # how many pixels have which red (rows) and which green (columns)
np.add.at(joint, (train[..., 0], train[..., 1]), 1)
caption = "Green once red is known. Compare the dark bars with the pale ones, which are the same in all four."
show(lesson_12.green_given_red(joint), "12_green_given_red", caption)

# %% [markdown]
# ## The order in the masks
#
# In a network all three colours go through the same layers. So each feature channel is given to one colour, its
# **group**: 0 for red, 1 for green, 2 for blue. There is one rule: *of its own pixel, a feature of group k knows only
# colours before colour k*. The other taps need no rule, since all colours of earlier pixels are known.
#
# So the centre tap of a mask is a table, which says which group may read which. The first layer reads the image itself.
# There mask A lets group k read the colours *before* k. Later layers read features. Features of group k know nothing of
# colour k, so mask B lets group k read these, too. We write both tables by hand, for six features that are given to the
# colours in turn: 0 1 2 0 1 2. (If the number of features is not a multiple of three, some colour gets one more.)

# %%
image_groups = np.array([0, 1, 2])
feature_groups = np.array([0, 1, 2, 0, 1, 2])
table_a = np.zeros((6, 3), bool)  # a row for each feature that reads, a column for each colour that is read
table_b = np.zeros((6, 6), bool)
for reads in range(6):
    for is_read in range(3):
        table_a[reads, is_read] = image_groups[is_read] < feature_groups[reads]
    for is_read in range(6):
        table_b[reads, is_read] = feature_groups[is_read] <= feature_groups[reads]

mask_a = mp.nn.causal_mask((7, 7), image_groups, feature_groups, "A")  # (kh, kw, K_in, K_out)
mask_b = mp.nn.causal_mask((3, 3), feature_groups, feature_groups, "B")
# The centre of the 7x7 kernel is its tap (3, 3), that of the 3x3 kernel its tap (1, 1).
print("mask A as in the library:", np.array_equal(mask_a[3, 3].T, table_a))
print("mask B as in the library:", np.array_equal(mask_b[1, 1].T, table_b))
print("groups of six features in the library:", mp.nn.colour_groups(6, 3))
caption = "The weights of the centre tap. Look at the rows of G: under mask A they read R, and under mask B R and G."
show(lesson_12.tables({"centre tap, mask A": table_a, "centre tap, mask B": table_b}), "12_tables", caption)

# %% [markdown]
# The last layer makes Q logits for each colour. The logits of a colour belong to its group, so those of green know red.
# Does the whole model keep the order? We ask by gradients from which of its own colours each colour of the middle pixel
# is predicted.


# %%
def within(model):
    """Which colours of a pixel are predicted from which of its own colours: boolean (3, 3)."""
    H, W, C = model.image_shape
    middle = (H // 2 * W + W // 2) * C  # the place of the pixel's red in raster order
    reads = mp.causality.dependencies(model, outputs=range(middle, middle + C))
    return reads[:, middle : middle + C]


size = {"hidden": 24, "blocks": 3, "rng": SEED}
model = mp.models.PixelCNN((H, W, C), Q, **size)
right = within(model)
print("groups of the logits:", *model.head.groups)
for k, name in enumerate(names):
    print(f"{name:5} reads:", *(names[j] for j in range(C) if right[k, j]))

# %% [markdown]
# ## Three ways to get it wrong
#
# **A 1x1 convolution without a mask.** A 1x1 convolution has no tap but the centre. On grey images its mask B is all
# open, so it is easily forgotten. On colour images a layer without it is a leak: every group reads every other. We
# replace one 1x1 layer of a small model by one without a mask: all its channels get group 0.

# %%
matrices = {"right": right}
tiny = mp.models.PixelCNN((3, 3, C), Q, hidden=6, blocks=1)
channels = np.zeros(12, int)
tiny.top.layers[0] = mp.nn.Pointwise(channels, channels, tiny.init)
matrices["1x1 unmasked"] = within(tiny)
print(mp.check_causality(tiny))

# %% [markdown]
# There are three leaks in each of the nine pixels: red reads red and green, and green reads green. Blue leaks nowhere,
# since mask A of the first layer does not let it in.
#
# **A gate that mixes.** Why is the group of each channel kept in an array? One could simply make the first third of the
# channels red, the second green and the last blue. But a gate ([lesson 09](09_the_blind_spot_and_two_stacks.py)) cuts
# the channels into *halves*, and multiplies the first channel of one half by the first of the other, and so on. If
# thirds are cut into halves, a red channel is multiplied by a green or a blue one. The product is taken for red, and
# yet it knows what green or blue knows.
#
# We put a gate behind the blocks of a small model, and try three ways to give groups to its channels. Two arrays hold
# the groups, one for each half.

# %%
thirds = np.repeat([0, 1, 2], 4)  # 0 0 0 0 1 1 1 1 2 2 2 2
by_turns = mp.nn.colour_groups(10, C)  # 0 1 2 0 1 2 0 1 2 0
halves = {
    "thirds, cut": (thirds[:6], thirds[6:]),
    "by turns, cut": (by_turns[:5], by_turns[5:]),
    "doubled": (by_turns[:5], by_turns[:5]),
}


class Gate(mp.nn.Module):
    """One half of the channels times the sigmoid of the other; then a 1x1 layer back to the groups that came in."""

    def __init__(self, groups, value_groups, gate_groups, init):
        self.value = mp.nn.Pointwise(groups, value_groups, init)
        self.gate = mp.nn.Pointwise(groups, gate_groups, init)
        self.back = mp.nn.Pointwise(value_groups, groups, init)

    def __call__(self, x, condition, rng):
        return self.back(self.value(x) * mp.ops.sigmoid(self.gate(x)))


# %% [markdown]
# Each line below shows which colours are multiplied.

# %%
gates_are_causal = {}
for name, (value_groups, gate_groups) in halves.items():
    gated = mp.models.PixelCNN((3, 3, C), Q, hidden=6, blocks=1)
    groups = mp.nn.colour_groups(gated.features, C)
    gated.blocks.append(Gate(groups, value_groups, gate_groups, gated.init))
    matrices[name] = within(gated)
    gates_are_causal[name] = mp.check_causality(gated).ok
    pairs = [f"{'RGB'[i]}*{'RGB'[j]}" for i, j in zip(value_groups, gate_groups, strict=True)]
    print(f"{name:15} {' '.join(pairs):25} {'causal' if gates_are_causal[name] else 'leaks'}")

# %% [markdown]
# Channels that get their colours by turns are mixed, too, unless their number is a multiple of six. The third way is
# right at any width: both halves have the same groups. The library does this with `np.concatenate([groups, groups])`.
#
# **A first layer that shuts too much.** The last model has no leak, but it loses something. All groups of its first
# layer are 0. Mask A takes this for a single colour, and shuts the centre tap for all three. So no colour is predicted
# from a colour of its own pixel. We call this model `blind`.


# %%
def blinded(model):
    """The model with another first layer, one that reads nothing of the pixel itself."""
    image = np.zeros(C, int)
    features = np.zeros(model.features, int)
    model.stem = mp.nn.Conv2d(image, features, (7, 7), "A", mp.nn.Init(SEED, model.dtype))
    return model


blind = blinded(mp.models.PixelCNN((H, W, C), Q, **size))
matrices["blind"] = within(blind)
caption = "Which colour of a pixel reads which. Red: three of the models leak. Violet: the last one sees too little."
show(lesson_12.who_reads_whom(matrices), "12_who_reads_whom", caption)

# %% [markdown]
# ## Train both
#
# The right model predicts the colours in turn. The blind one predicts each colour from earlier pixels alone. Neither
# leaks, so the probabilities of both sum to 1, and we may compare what a colour costs in each.

# %%
both = {"in turn": model, "blind": blind}
bits = {}
for name, trained in both.items():
    rule = mp.optim.Adam(3e-3)
    mp.fit(trained, train[:IMAGES], epochs=EPOCHS, batch_size=16, optimizer=rule, rng=SEED, progress=False)
    nats = trained.log_prob_map(test)  # (N, H, W, C): log p(sub-pixel | all earlier ones)
    bits[name] = -nats.mean(axis=(0, 1, 2)) / np.log(2)

print(f"bits on test emoji {'red':>8}{'green':>8}{'blue':>8}{'bits/dim':>12}")
for name, costs in bits.items():
    print(f"colours {name:11}{costs[0]:8.3f}{costs[1]:8.3f}{costs[2]:8.3f}{costs.mean():12.3f}")
saved = (bits["blind"] - bits["in turn"]).sum()
saved_alone = alone.sum() - in_turn.sum()
print(f"saved per pixel: {saved:.3f} bits; without any neighbours it was {saved_alone:.3f}")

# %% [markdown]
# Red costs about the same in both, since neither predicts it from its own pixel. The difference lies in green and blue.
# It is smaller than in the table of single pixels, since the neighbours tell much of what the other colours of the
# pixel tell.
#
# ## What both models draw
#
# After so short a training we can expect patches of colour, but no faces.

# %%
drawn = {name: drawer.sample(DRAWN, rng=SEED) for name, drawer in both.items()}
real = test[:: len(test) // DRAWN][:DRAWN]
caption = "Look for single pixels whose colour does not fit. There are more of them in the last row."
show(lesson_12.samples(real, drawn["in turn"], drawn["blind"], Q), "12_samples", caption)

# %% [markdown]
# The blind model draws the three colours of a pixel independently of each other, like three dice. So it draws
# combinations that hardly occur. To count them, we let both models draw one pixel in 16 of the test images anew, from
# the pixels before it and with the same random numbers. We call a combination *rare* if fewer than one in 500 training
# pixels have it. How many of the drawn pixels have a rare combination?

# %%
place_values = Q ** np.arange(C)  # a combination as one number: R + 4 G + 16 B
counts = np.bincount((train @ place_values).ravel(), minlength=Q**C)
rare = counts / counts.sum() < 1 / 500
print(f"{rare.sum()} of {Q**C} combinations are rare")

rows, columns = np.indices((H, W))
hidden = (rows % 4 == 3) & (columns % 4 == 3)
redrawn = {"test images": test}
for name, drawer in both.items():
    redrawn[name] = drawer.complete(test[:IMAGES], ~hidden, rng=SEED)
rare_share = {name: rare[images[:, hidden] @ place_values].mean() for name, images in redrawn.items()}
for name, share in rare_share.items():
    print(f"{name:12} {share:.1%} of the pixels have a rare combination")

# %% [markdown]
# At full length, with seed 0, these are 1.9 % of the pixels for the colours in turn, and 4.6 % for the blind model.
#
# Finally we take the draws of the model in turn apart by colour. Remember that the model does not draw one colour of
# the whole picture after the other. It draws pixel by pixel, and in each pixel red, then green, then blue.

# %%
caption = "The draws of the model in turn: their red alone, red with green, and all three colours."
show(lesson_12.growing(drawn["in turn"], Q), "12_growing", caption)

# %% [markdown]
# ## What you should see

# %%
assert (in_turn[1:] < alone[1:]).all()
assert alone.argmin() == 0
assert in_turn.argmax() == 0
assert np.isclose(in_turn.sum(), entropy(2, 1, 0))  # the same sum from the other end
assert np.array_equal(mask_a[3, 3].T, table_a)
assert np.array_equal(mask_b[1, 1].T, table_b)

lower = np.tri(3, k=-1, dtype=bool)  # each colour reads those before it
assert np.array_equal(matrices["right"], lower)
assert np.array_equal(matrices["doubled"], lower)
assert np.array_equal(matrices["1x1 unmasked"], [[1, 1, 0]] * 3)
assert not matrices["blind"].any()
assert gates_are_causal == {"thirds, cut": False, "by turns, cut": False, "doubled": True}

# %% [markdown]
# Both kinds of model are distributions. There are 64 images of two pixels with two levels, and their probabilities sum
# to 1.

# %%
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 1, 2, C)
small = mp.models.PixelCNN((1, 2, C), 2, hidden=7, blocks=1, dtype="float64")
assert np.isclose(np.exp(small.log_prob(every_image)).sum(), 1, rtol=0, atol=1e-12)
assert np.isclose(np.exp(blinded(small).log_prob(every_image)).sum(), 1, rtol=0, atol=1e-12)
if not QUICK:
    red, green, blue = bits["in turn"]
    assert red > green > blue
    assert abs(red - bits["blind"][0]) < 0.03
    assert 0.2 < saved < saved_alone
    assert rare_share["blind"] > 1.5 * rare_share["in turn"]

# %% [markdown]
# ## Exercises
# 1. *easy* Take blue first, then green, then red. Which numbers of the first table change, and which do not?
# 2. *easy* With 2 levels a pixel has one of eight values. Compare what the three colours cost in turn with the entropy
#    of these eight values.
# 3. *medium* Train a model with one unmasked 1x1 layer on all eight binary images of shape (1, 1, 3). What do the
#    probabilities of the eight images sum to, and why?
# 4. *medium* Give the features of the first layer the groups 0 1 0 0 1 0 ... in place of 0 1 2 0 1 2 ..., so that the
#    features of blue read nothing of their own pixel there. Is the model still causal? From which colours of its own
#    pixel is blue predicted in the end?
# 5. *hard* Turn red, green and blue into a brightness and two differences, in integers and so that nothing is lost.
#    Which entropies become smaller? What do you have to do to keep bits/dim fair?
#
# Solutions: [solutions/12_colour.py](solutions/12_colour.py).
