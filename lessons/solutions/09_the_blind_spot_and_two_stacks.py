# %% [markdown]
# # Solutions of lesson 09: the blind spot, and two stacks
#
# First what several solutions need, as in the lesson.

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
# The kernel of 3x5 taps may go two columns to the right for each row that it climbs. So the rule becomes
# $j \le 3 + 2(d - 1) = 2d + 1$: the bite has half the slope, and is smaller. It is not gone: in the row above, the
# pixel four columns to the right is missed as before, since there the 7x7 layer alone decides.

# %%
asks = (12, 5)
past = past_of(asks, 15, 15)
model = mp.models.PixelCNN((15, 15, 1), 2, hidden=4, blocks=9)
for block in model.blocks:
    groups = block.look.groups_in
    block.look = mp.nn.Conv2d(groups, groups, (3, 5), "B", model.init)
seen = seen_from(model, asks)
rows, columns = np.indices((15, 15))
d = asks[0] - rows
j = columns - asks[1]
print(f"blind to {(past & ~seen).sum()} pixels, with 3x3 taps to {(past & (j > d + 2)).sum()}")
assert np.array_equal(seen, past & (j <= 2 * d + 1))
assert 0 < (past & ~seen).sum() < (past & (j > d + 2)).sum()
assert mp.check_causality(model, images=1).ok

# %% [markdown]
# ## Exercise 2
#
# A model that leaks has no chain rule, and nothing makes its probabilities sum to 1. Before training they are only a
# little off; after some training on coin flips the model has learnt to copy, and every image gets a probability near 1.
# The model that loses a row is a proper distribution all the same: it knows less, and it is honest about it.


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
# In the row that lies d rows above, W - 1 - c columns lie to the right of column c, and d + 2 of them are reached. So
# m - d are blind there, with $m = W - c - 3$, as long as that is more than 0. There are r rows above. With
# $k = \min(r, m - 1)$ rows in which something is missing (and none if m is below 2),
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
# The first layer climbs three rows. The bottom pixel of 28 rows has to climb 27, so 24 rows are left. A cycle of the
# dilations 1, 2, 1, 4 climbs 8 rows in four layers. Three cycles do it: 13 layers with the first, where 25 were needed
# without dilation. The layers with dilation 1 see to it that nothing is skipped.

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
# The vertical features one row *down* know all of the pixel's own row, as far as their kernel reaches to the left and
# to the right. So already the first pixel reads its own value, and the error names the pair that comes first in raster
# order: (0, 0) on (0, 0). The place that it names needs a second look. "At (1, 0)" the vertical convolution reads row
# 0: that is what it should do, and yet it is the first place on the way from the future to the prediction for (0, 0).
# The fault lies further on, where the link carries row 1 to row 0. A proof says where something comes in; who is to
# blame for it, the reader has to say. Only the last row is safe: below it there are zeros.


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
