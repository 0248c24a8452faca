# %% [markdown]
# # Solutions of lesson 09: the blind spot, and two stacks
#
# The lesson is [09 The blind spot, and two stacks](../09_the_blind_spot_and_two_stacks.py). Each solution begins with
# its exercise. First come two functions of the lesson that several solutions need: which pixels are seen, and which are
# past.

# %%
import functools

import numpy as np

import minipixel as mp


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
# ## Exercise 1
#
# > Give the blocks of PixelCNN a kernel of 3x5 taps in place of 3x3. How steep is the edge of the blind spot now? Is
# > the blind spot gone?
#
# A step through the kernel of 3x5 taps can lead two columns to the right for one row up. With $d$ for the rows up and
# $j$ for the columns to the right, the rule becomes $j \le 3 + 2(d - 1) = 2d + 1$. The edge of the blind spot is half
# as steep, and the blind spot is smaller. It is not gone. In the row above the pixel, the 7x7 layer takes the only step
# up. So there the pixel four columns to the right is missed as before.

# %%
predicted = (12, 5)
past = past_of(predicted, 15, 15)
model = mp.models.PixelCNN((15, 15, 1), 2, hidden=4, blocks=9)
for block in model.blocks:
    groups = block.look.groups_in
    block.look = mp.nn.Conv2d(groups, groups, (3, 5), "B", model.init)
seen = seen_from(model, predicted)
rows, columns = np.indices((15, 15))
d = predicted[0] - rows
j = columns - predicted[1]
blind = past & ~seen
blind_with_3x3 = past & (j > d + 2)
print(f"blind to {blind.sum()} pixels, with 3x3 taps to {blind_with_3x3.sum()}")
assert np.array_equal(seen, past & (j <= 2 * d + 1))
assert 0 < blind.sum() < blind_with_3x3.sum()
assert mp.check_causality(model, images=1).ok

# %% [markdown]
# ## Exercise 2
#
# > Build four small models for images of 2x3 pixels, which leave out row r in the four ways of the lesson: in neither
# > place, in the first mask, at each link, in both places. Train them a little on coin flips. What do the probabilities
# > of all 64 binary images sum to?
#
# The chain rule does not hold for a model that leaks, so its probabilities need not sum to 1. Trained on coin flips,
# the model learns to copy, and gives many images a probability far above 1/64. The model that loses a row is causal, so
# its probabilities sum to 1. It only predicts from less.


# %%
def two_layers(first_reads_own_row, link_reads_one_row_up):
    """A small model on images of 2x3 pixels, with the first mask and the links of the lesson's four ways."""
    model = mp.models.GatedPixelCNN((2, 3, 1), 2, filters=6, layers=2, dtype="float64")
    one_channel = np.zeros(1, int)
    channels = np.zeros(12, int)
    if first_reads_own_row:
        model.layers[0].vertical = mp.nn.VerticalConv2d(one_channel, channels, (7, 7), "B", model.init)
    if link_reads_one_row_up:
        for layer in model.layers:
            layer.link = mp.nn.VerticalConv2d(channels, channels, (3, 1), "A", model.init)
    return model


# %%
every_image = np.indices((2,) * 6).reshape(6, 64).T.reshape(64, 2, 3, 1)
sums = {}
for name, way in {
    "in neither": (True, False),
    "in the first mask": (False, False),
    "at each link": (True, True),
    "in both": (False, True),
}.items():
    model = two_layers(*way)
    mp.fit(model, every_image, epochs=30, batch_size=16, optimizer=mp.optim.Adam(1e-2), progress=False)
    sums[name] = np.exp(model.log_prob(every_image)).sum()
    print(f"one row left out {name:18} sum of all probabilities {sums[name]:.9f}")
assert sums.pop("in neither") > 10
assert np.allclose(list(sums.values()), 1, rtol=0, atol=1e-9)

# %% [markdown]
# ## Exercise 3
#
# > Use the rule $j \le d + 2$ to find a formula in W, r and c for the number of blind pixels of a deep PixelCNN.
# > Compare it with gradients at some pixels.
#
# In the row that lies $d$ rows above, $W - 1 - c$ columns lie to the right of column $c$, and $d + 2$ of them are
# reached. With $m = W - c - 3$ this leaves $m - d$ blind pixels in that row, as long as this is more than 0. There are
# $r$ rows above. So something is missing in the first $k = \min(r, m - 1)$ of them, or in none if $m$ is below 2. The
# number of blind pixels is
#
# $$ \sum_{d=1}^{k} (m - d) = k m - \frac{k (k + 1)}{2}. $$


# %%
def number_of_blind_pixels(W, r, c):
    m = W - c - 3
    k = max(0, min(r, m - 1))
    return k * m - k * (k + 1) // 2


deep = mp.models.PixelCNN((15, 15, 1), 2, hidden=4, blocks=14)
for position in ((12, 5), (3, 0), (14, 7), (14, 12), (0, 4)):
    missed = past_of(position, 15, 15) & ~seen_from(deep, position)
    by_formula = number_of_blind_pixels(15, *position)
    print(f"{position}: {missed.sum()} pixels are blind by gradients, {by_formula} by the formula")
    assert missed.sum() == by_formula

# %% [markdown]
# ## Exercise 4
#
# > Each later layer climbs one row. How many layers do the two stacks need to see everything with `dilations=(1, 2, 1,
# > 4)`? The taps of the later layers then lie 1, 2, 1 and 4 pixels apart, in turn.
#
# From the bottom one of 28 rows there are 27 rows to climb. The first layer climbs three, so 24 are left. A cycle of
# the dilations 1, 2, 1, 4 climbs 8 rows in four layers, and three cycles climb 24. So 13 layers are needed, the first
# one included; without dilation it was 25. The layers with dilation 1 see to it that no pixel is skipped.

# %%
bottom = (27, 14)
shares = {}
for layers in (12, 13):
    model = mp.models.GatedPixelCNN((28, 28, 1), 2, filters=8, layers=layers, dilations=(1, 2, 1, 4))
    shares[layers] = seen_from(model, bottom).sum() / past_of(bottom, 28, 28).sum()
    print(f"{layers} layers: {shares[layers]:.1%}")
assert shares[12] < 1
assert shares[13] == 1

# %% [markdown]
# ## Exercise 5
#
# > Make each link read one row *down*. Which pair does the error name first, and why that one?
#
# The vertical features one row *down* know the pixel's own row, as far as their kernel reaches to the left and to the
# right. So each pixel is predicted from itself, except in the last row, below which there are only zeros. The error
# names the pair that comes first in raster order: (0, 0) depends on (0, 0).
#
# The place that the error names needs a second look. "At (1, 0)" the vertical convolution reads row 0. That is what it
# should do. But it is the first place on the way from pixel (0, 0) to the prediction for (0, 0), and the error names
# where the future comes in. The mistake lies further on, where the link carries row 1 to row 0.
#
# We write the link as a class, so that its weights begin with this mask in place.


# %%
class LinkFromBelow(mp.nn.Conv2d):
    """A kernel of 3x1 taps of which only the lowest is open."""

    @functools.cached_property
    def mask(self):
        mask = np.zeros((3, 1, len(self.groups_in), len(self.groups_out)), bool)
        mask[2] = True
        return mask


# %%
model = mp.models.GatedPixelCNN((4, 5, 1), 2, filters=6, layers=3, dtype="float64")
channels = np.zeros(12, int)
for layer in model.layers:
    layer.link = LinkFromBelow(channels, channels, (3, 1), "B", model.init)
error = ""
try:
    mp.assert_causal(model)
except mp.CausalityError as caught:
    error = str(caught)
print(error)
assert "(0, 0) depends on (0, 0)" in error
assert "layers.0.vertical" in error
assert "at (1, 0) it reads (0, 2) of the image" in error
leaking_rows = {int(first[0]) for first, second in mp.check_causality(model).leaks}
print("rows with a leak:", leaking_rows)
assert leaking_rows == {0, 1, 2}
