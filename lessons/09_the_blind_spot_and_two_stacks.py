# %% [markdown]
# # 09 The blind spot, and two stacks
#
# - *You will* count what PixelCNN never sees, close the gap with two stacks of convolutions, and break them.
# - *Reads* `minipixel/models/gated_pixelcnn.py`, `minipixel/nn/gated.py`, `minipixel/nn/masks.py`; van den Oord et al.
#   2016, arXiv:1606.05328, section 2.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 03](03_pixelcnn_in_60_lines.py) for PixelCNN,
#   [lesson 04](04_train_sample_look.py) for training.
# - *Takes* about a minute to run on two cores, and 30 minutes to read.
#
# A mask keeps a pixel from reading its own future. That is half of what we want. The other half: does a pixel read the
# *whole* past? You could look at the rows above the pixel, and at its own row to the left, and expect that a deep stack
# of layers gets everywhere. It does not. This lesson asks which pixels are missed, why more layers do not help, and
# how a second stack of layers does.

# %%
import os

import numpy as np
from drawings import lesson_09
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained: what the text says holds for others, too
EPOCHS = 1 if QUICK else 10
IMAGES = 160 if QUICK else 1295

# %% [markdown]
# ## Safe is not the same as complete
#
# The pixels that the prediction for one pixel depends on are its receptive field. A causal model has a receptive field
# that lies within the past. We ask for more than that: it should *be* the past.
#
# To find it, we start at the prediction for the pixel (r, c) and follow gradients back to the image. Where the gradient
# is not zero, the pixel is read. The library does this for us; [lesson 19](19_let_gradients_prove_it.py) shows how. Its
# answer is a yes or no for each pixel of the image, in raster order, so we give it the shape of the image again.


# %%
def seen_from(model, position):
    """The pixels from which the pixel at `position` is predicted: boolean (H, W)."""
    H, W, _ = model.image_shape
    r, c = position
    reads = mp.causality.dependencies(model, outputs=[r * W + c])
    return reads.reshape(H, W)


def past_of(position, H, W):
    """The pixels before the one at `position` in raster order: boolean (H, W)."""
    r, c = position
    place = np.arange(H * W).reshape(H, W)
    return place < r * W + c


# %% [markdown]
# We ask three PixelCNNs of growing depth on images of 15x15 pixels. The pixel that asks is the one at (12, 5). Each
# model has one 7x7 layer with mask A, and then one 3x3 layer with mask B per block.

# %%
asks = (12, 5)
past = past_of(asks, 15, 15)
seen = {}
views = {}
for blocks in (1, 4, 9):
    model = mp.models.PixelCNN((15, 15, 1), 2, hidden=4, blocks=blocks)
    seen[blocks] = seen_from(model, asks)
    missed = past & ~seen[blocks]
    views[f"blocks: {blocks}, blind to {missed.sum()}"] = seen[blocks]
    print(f"blocks: {blocks}, {seen[blocks].sum()} of {past.sum()} pixels of the past are seen")
caption = "Look at the upper right of the last map: the violet triangle is past, and no depth reaches it."
show(lesson_09.views(views, asks), "09_blind_spot", caption)

# %% [markdown]
# With one block the field is small, as one would expect. Each further block lets it grow upwards and to the sides,
# until it meets the border. But at the upper right a triangle stays missing, as if somebody had taken a bite out of the
# past. It is the **blind spot** of PixelCNN: pixels that are past, and are never read.
#
# ## Why no depth closes it
#
# Follow a piece of information on its way to the pixel. Each 3x3 layer with mask B moves it by one tap. There are five
# open taps: the centre, left, up-left, up, and up-right. Only one of them goes to the right, and that one goes up as
# well. To the right in its own row a layer may not look, since there lies the future. So whoever wants to go one more
# column to the right has to pay with one more row up.
#
# The 7x7 layer is more generous: its best tap goes one row up and three columns to the right. Let $d$ be the number
# of rows between the pixel and what it wants to read, and $j$ the number of columns to the right. With the 7x7 layer
# first and 3x3 layers after it, the furthest column that can be reached is
#
# $$ j \le 3 + (d - 1) = d + 2. $$
#
# No number of layers stands in this formula. We compare it with what the gradients said of nine blocks.

# %%
rows, columns = np.indices((15, 15))
d = asks[0] - rows
j = columns - asks[1]
by_the_rule = past & (j <= d + 2)
print("the rule and the gradients agree at all pixels:", np.array_equal(by_the_rule, seen[9]))

# %% [markdown]
# How much is lost? We take images of 28x28 pixels, the size of MNIST, and the pixel in the middle of the bottom row:
# 770 pixels come before it. Up to 30 layers, counting the 7x7 layer:

# %%
bottom = (27, 14)
depths = (2, 5, 8, 12, 16, 20, 25, 30)
size_of_past = past_of(bottom, 28, 28).sum()
plain_seen = []
for layers in depths:
    model = mp.models.PixelCNN((28, 28, 1), 2, hidden=8, blocks=layers - 1)
    plain_seen.append(seen_from(model, bottom).sum())
    print(f"{layers:2} layers: {plain_seen[-1]} of {size_of_past} pixels, {plain_seen[-1] / size_of_past:.1%}")

# %% [markdown]
# The last two rows are equal: this is all that PixelCNN ever sees. 7 % of the past are lost for good. That does not
# sound like much. But close neighbours tell more about a pixel than far ones do, and the bite begins close to the
# pixel, one row up and four columns to the right.
#
# ## Divide the past in two
#
# The mask had to shut the tap to the right because of a single row, the pixel's own. In all rows above there is no
# future. So the past has two parts, and they need different kernels:
#
# - all rows above the pixel's, from end to end: a kernel for these may look to the left *and to the right*;
# - the pixel's own row, up to the pixel: a kernel for this part may look to the left only.
#
# Gated PixelCNN gives each part a stack of layers of its own. The **vertical stack** knows the rows above and no part
# of the pixel's own row. The **horizontal stack** looks along the row. We write down the masks of both. The first layer
# of each reads the image, so it leaves out what may not be read: the own row, or the pixel. The later layers read
# features, which have left it out already, so they may include the own row, or the centre.

# %%
vertical_first = np.zeros((7, 7), bool)
vertical_first[:3] = True  # the three rows above the centre, whole
horizontal_first = np.zeros((1, 7), bool)
horizontal_first[0, :3] = True  # the three taps to the left of the centre
vertical_later = np.zeros((3, 3), bool)
vertical_later[:2] = True  # the row above and the own one, whole
horizontal_later = np.zeros((1, 3), bool)
horizontal_later[0, :2] = True  # the tap to the left, and the centre
by_hand = {
    "first, vertical": vertical_first,
    "first, horizontal": horizontal_first,
    "later, vertical": vertical_later,
    "later, horizontal": horizontal_later,
}
grey = np.zeros(1, int)  # the groups of a single grey channel
plain_later = mp.nn.causal_mask((3, 3), grey, grey, "B")[:, :, 0, 0]
drawn = by_hand | {"PixelCNN, later": plain_later}
caption = "Look at the third kernel: unlike the last one it may look to the right, in its own row, too."
show(lesson_09.masks(drawn), "09_masks", caption)

# %% [markdown]
# The vertical kernel of the later layers looks to its right at the same row. Is that no leak? It reads *vertical*
# features there. The vertical feature at (r, c+1) was made from the rows above row r, and knows nothing of row r. So
# there is nothing secret to be learnt from the neighbour at the right.
#
# In the library these are the masks of the two convolutions in a `GatedLayer`. And in the first layer both together
# open the same taps as the 7x7 mask A of PixelCNN, each once.

# %%
small = mp.models.GatedPixelCNN((15, 15, 1), 2, filters=1, layers=2)
first, later = small.layers
in_library = {
    "first, vertical": first.vertical,
    "first, horizontal": first.horizontal,
    "later, vertical": later.vertical,
    "later, horizontal": later.horizontal,
}
for name, layer in in_library.items():
    assert np.array_equal(layer.mask[:, :, 0, 0], by_hand[name]), name
together = vertical_first.copy()
together[3] = together[3] | horizontal_first[0]
mask_a = mp.nn.causal_mask((7, 7), grey, grey, "A")[:, :, 0, 0]
print("both first layers together open the taps of mask A:", np.array_equal(together, mask_a))

# %% [markdown]
# ## A gate in place of a rectifier
#
# One more thing is new in this model. PixelCNN puts a rectifier, max(0, x), between its layers. Gated PixelCNN has a
# **gate** instead. A layer makes twice as many channels as it hands on, 2K. The first K of them are called $a$, the
# last K are called $b$, and what is handed on is
#
# $$ y = \tanh(a) \cdot \sigma(b), \qquad \sigma(b) = \frac{1}{1 + e^{-b}}. $$
#
# The hyperbolic tangent lies between -1 and 1, the sigmoid $\sigma$ between 0 and 1. So $a$ says *what* is
# handed on, and $b$ says *how much* of it.

# %%
line = np.linspace(-4, 4, 81)
a, b = np.meshgrid(line, line)
y = np.tanh(a) / (1 + np.exp(-b))
both_halves = np.stack([a, b], axis=-1)  # one channel of each half: 2K = 2
assert np.allclose(mp.ops.gate(both_halves)[..., 0], y)
show(lesson_09.gated_block(), "09_gated_block", "The gate: 2K channels come in, two halves are multiplied, K come out.")
show(lesson_09.gate(a, b, y), "09_gate", "Look at the right: a small b closes the gate, whatever a is.")

# %% [markdown]
# Both halves are made from the same inputs. So the network can multiply one thing that it sees with another: how bright
# the left neighbour is, say, with whether a stroke has begun above. The idea comes from the LSTM, of which [lesson
# 13](13_an_lstm_step_then_a_whole_row.py) tells. The authors of the paper suspected that these products were one reason
# why their PixelRNN was better than their PixelCNN.
#
# ## A layer of both stacks
#
# Now we can write a whole layer. The vertical stack makes 2K channels from the rows above. A 1x1 convolution, the
# **link**, tells them to the horizontal stack, *before* the gate. There they are added to what the row itself tells.
# The sum goes through the gate and through one more 1x1 convolution. Last, the layer's input is added to its output:
# this is a residual connection, as in the blocks of PixelCNN. The vertical stack has none, and neither has the very
# first layer, since what it reads is the image.

# %%
show(lesson_09.two_stacks(), "09_two_stacks", "One layer, from below. Look at the link: arrows go to the right only.")

# %% [markdown]
# As code it is six lines. We run them on the layer of a model of the library, with its weights, and compare. (The
# library leaves the gate of the vertical stack to the layer that comes next, since the last layer needs none.)


# %%
def one_layer(layer, v, h):
    """Both stacks one layer further: v and h (H, W, N, K) -> the next v and h (H, W, N, K)."""
    above = layer.vertical(v)
    row = layer.horizontal(h) + layer.link(above)
    next_v = mp.ops.gate(above)
    next_h = h + layer.out(mp.ops.gate(row))
    return next_v, next_h


small = mp.models.GatedPixelCNN((15, 15, 1), 2, filters=6, layers=2, dtype="float64")
rng = np.random.default_rng(9)
v = rng.normal(size=(15, 15, 1, 6))  # (H, W, N, K): a single image
h = rng.normal(size=(15, 15, 1, 6))
next_v, next_h = one_layer(small.layers[1], mp.Tensor(v), mp.Tensor(h))
library_above, library_h = small.layers[1](mp.Tensor(v), mp.Tensor(h), None)
library_v = mp.ops.gate(library_above)
print("largest difference, v:", abs(next_v.data - library_v.data).max())
print("largest difference, h:", abs(next_h.data - library_h.data).max())

# %% [markdown]
# ## What each stack brings
#
# We silence one stack at a time in a model of six layers, on images of 11x11 pixels, and ask again by gradients. To
# silence the vertical stack, a function that always answers 0 takes the place of its link. To silence the horizontal
# stack, that function takes the place of its convolution.


# %%
def silent(features):
    return 0


position = (7, 4)


def six_layers():
    return mp.models.GatedPixelCNN((11, 11, 1), 2, filters=6, layers=6, dtype="float64")


only_vertical = six_layers()
only_horizontal = six_layers()
for layer in only_vertical.layers:
    layer.horizontal = silent
for layer in only_horizontal.layers:
    layer.link = silent
stacks = {"vertical stack": only_vertical, "horizontal stack": only_horizontal, "both": six_layers()}
stack_views = {name: seen_from(model, position) for name, model in stacks.items()}
show(lesson_09.views(stack_views, position), "09_stacks", "Each stack has its own half. Together there is no violet.")

# %% [markdown]
# The two halves meet without a gap and without an overlap. So the bite is gone, and the curve of the share that is
# seen rises to 1. It takes as many layers as are needed to get up to row 0: the first layer climbs three rows, and each
# later one a single row.

# %%
gated_seen = []
for layers in depths:
    model = mp.models.GatedPixelCNN((28, 28, 1), 2, filters=8, layers=layers)
    gated_seen.append(seen_from(model, bottom).sum())
curves = {
    "two stacks": np.array(gated_seen) / size_of_past,
    "PixelCNN": np.array(plain_seen) / size_of_past,
}
caption = "28x28 pixels, seen from the bottom row: the dashed line stops short of 1, at any depth."
show(lesson_09.shares(depths, curves), "09_share_seen", caption)

# %% [markdown]
# ## Where one row is left out
#
# At the link it is easy to go wrong. The horizontal stack at (r, c) reads the vertical features at (r, c), and these
# must know nothing of row r. So *somewhere* the vertical stack has to look one row up. There are two usual ways:
#
# - in the first mask, once: this is what we did above, and what the library does;
# - at the link: the first mask includes the own row, and each link reads the vertical features *one row up*.
#
# Either of them is right. A program that does neither has a leak. A program that does both is safe, but it loses a row,
# and that is the very row that matters most. We build all four.


# %%
def with_links(first_reads_own_row, link_reads_one_row_up):
    """Six layers with another first mask, or other links."""
    model = six_layers()
    one_channel = np.zeros(1, int)
    channels = np.zeros(12, int)  # 2K of them: what goes into a gate
    init = mp.nn.Init(0, "float64")
    if first_reads_own_row:
        model.layers[0].vertical = mp.nn.VerticalConv2d(one_channel, channels, (7, 7), "B", init)
    if link_reads_one_row_up:
        for layer in model.layers:
            layer.link = mp.nn.VerticalConv2d(channels, channels, (3, 1), "A", init)  # of three taps the upper one
    return model


# %% [markdown]
# `VerticalConv2d` is the convolution over whole rows. With mask B its kernel includes the own row. A kernel of 3x1 taps
# with mask A has a single open tap, which lies one row up.

# %%
ways = {
    "in neither": with_links(True, False),
    "in the first mask": with_links(False, False),
    "at each link": with_links(True, True),
    "in both": with_links(False, True),
}
way_views = {name: seen_from(model, position) for name, model in ways.items()}
caption = "Where one row is left out. Left: a leak, in red. Right: no leak, but the row above is lost, in violet."
show(lesson_09.views(way_views, position), "09_links", caption)
error = ""
try:
    mp.assert_causal(ways["in neither"], images=1)
except mp.CausalityError as caught:
    error = str(caught)
print("in neither: CausalityError:", error)

# %% [markdown]
# The first model reads its own pixel and all that lies to the right. Its training would look splendid, like that of the
# leaky model in [lesson 02](02_masks_a_and_b.py), and mean nothing.
#
# ## Nothing goes back
#
# The arrows of the diagram go from the vertical stack to the horizontal one. Why not in both directions? The vertical
# kernel reads its right neighbour. What the horizontal stack knows at that neighbour includes the pixel that we are
# about to draw. We try it in one layer: both of its stacks now read h.


# %%
class Crossed(mp.nn.Module):
    """A layer whose vertical stack reads what the horizontal one knows."""

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, v, h, condition):
        return self.layer(h, h, condition)


crossed = mp.models.GatedPixelCNN((3, 4, 1), 2, filters=6, layers=2)
crossed.layers[1] = Crossed(crossed.layers[1])
crossed_report = mp.check_causality(crossed)
print(crossed_report)

# %% [markdown]
# ## Does it pay?
#
# We train both models on the 8x8 digits, for as many epochs, with about as many open weights. The validation digits
# are watched. First the two models, what their weights are, and how many pairs of pixels (one that predicts, and one of
# its past) are blind.

# %%
ds = mp.datasets.load("digits")
models = {
    "Gated PixelCNN": mp.models.GatedPixelCNN(ds.image_shape, ds.levels, filters=17, layers=6, rng=SEED),
    "PixelCNN": mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=24, blocks=5, rng=SEED),
}
open_weights = {}
blind_pairs = {}
for name, model in models.items():
    last_number = model.summary().split()[-1]  # the summary ends with the number of weights that no mask shuts
    open_weights[name] = int(last_number.replace(",", ""))
    blind_pairs[name] = len(mp.check_causality(model).blind)
    print(f"{name:15} {open_weights[name]:,} open weights, blind in {blind_pairs[name]} of {64 * 63 // 2} pairs")

# %%
bits = {}
for name, model in models.items():
    fitted = mp.fit(
        model,
        ds.train.images[:IMAGES],
        validation=ds.validation.images,
        epochs=EPOCHS,
        optimizer=mp.optim.Adam(3e-3),
        rng=SEED,
        progress=False,
    )
    bits[name] = fitted.history["val_bits_per_dim"]
    print(f"{name:15} {bits[name][-1]:.3f} bits/dim, {sum(fitted.history['seconds']):.0f} seconds")
show(lesson_09.training(bits), "09_training", "Both learn alike: 8x8 pixels are too few for the blind spot to matter.")

# %% [markdown]
# Not much, here. With the seeds 0, 1 and 2 ten epochs gave 1.911, 1.900 and 1.879 bits/dim for PixelCNN, and 1.895,
# 1.896 and 1.910 for the two stacks: ahead twice in three times, and by no more than another seed changes. On images of
# 8x8 pixels PixelCNN misses 6 % of the pairs, and hardly needs them. On photographs of 32x32 pixels, CIFAR-10, the
# paper has 3.14 bits/dim for PixelCNN and 3.03 for Gated PixelCNN (table 1). An honest experiment says on which images
# a difference was seen.
#
# ## What you should see

# %%
assert np.array_equal(by_the_rule, seen[9])
assert not any(view[asks[0] - 1, asks[1] + 4 :].any() for view in seen.values())  # the bite begins close to the pixel
assert not any((view & ~past).any() for view in seen.values())  # nothing but past is read
assert plain_seen[1] == 102 and plain_seen[2] == 192 and plain_seen[4] == 463  # 5, 8 and 16 layers
assert plain_seen[-2] == plain_seen[-1] < size_of_past
assert gated_seen[-2] == gated_seen[-1] == size_of_past  # three rows up in the first layer, then 24 more
assert np.array_equal(together, mask_a)
assert np.allclose(next_v.data, library_v.data, rtol=0, atol=1e-12)
assert np.allclose(next_h.data, library_h.data, rtol=0, atol=1e-12)

# %% [markdown]
# Next, what each stack sees, what the four ways see, and which of them leak.

# %%
before = past_of(position, 11, 11)
own_row = np.arange(11)[:, None] == position[0]
row_above = np.arange(11)[:, None] == position[0] - 1
assert np.array_equal(stack_views["vertical stack"], before & ~own_row)
assert np.array_equal(stack_views["horizontal stack"], before & own_row)
assert np.array_equal(stack_views["both"], before)
assert np.array_equal(way_views["in the first mask"], before)
assert np.array_equal(way_views["at each link"], before)
assert np.array_equal(way_views["in both"], before & ~row_above)
assert "(0, 0) (its own value)" in error
assert mp.check_causality(ways["in the first mask"], images=1).ok
assert mp.check_causality(ways["at each link"], images=1).ok
assert mp.check_causality(ways["in both"], images=1).ok
assert len(crossed_report.leaks) > 0
assert blind_pairs["Gated PixelCNN"] == 0 < blind_pairs["PixelCNN"]
assert max(open_weights.values()) < 1.05 * min(open_weights.values())
if not QUICK:
    assert max(curve[-1] for curve in bits.values()) < 1.95

# %% [markdown]
# ## Exercises
# 1. *easy* Give the blocks of PixelCNN a kernel of 3x5 taps in place of 3x3. What becomes of the slope of the bite? Is
#    the bite gone?
# 2. *easy* Enumerate the 64 binary images of 2x3 pixels under four small models that leave out one row in the four ways
#    above. What do their probabilities sum to?
# 3. *medium* Use the rule $j \le d + 2$ to find a formula in W, r and c for the number of blind pixels of a deep
#    PixelCNN. Compare it with gradients at some pixels.
# 4. *medium* Each later layer reaches one row up. After how many layers does the curve of the two stacks reach 1 with
#    `dilations=(1, 2, 1, 4)`, where the taps of a layer lie 1, 2, 1, 4 pixels apart in turn?
# 5. *hard* Make the link read one row *down*. Which pair does the error name first, and why that one?
