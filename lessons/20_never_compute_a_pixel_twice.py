# %% [markdown]
# # 20 Never compute a pixel twice
#
# - *You will* write a sampler that computes each value once, find out when each value of any model is known, and use
#   that both to prove the model causal and to draw a whole slanted line of pixels at a time.
# - *Reads* `minipixel/clock/`, `ops/local.py`, `sampling/cached.py`; P. Ramachandran et al., "Fast Generation for
#   Convolutional Autoregressive Models", 2017, arXiv:1704.06001.
# - *Before* [lesson 02](02_masks_a_and_b.py) for masks, [lesson 09](09_the_blind_spot_and_two_stacks.py) for the two
#   stacks, [lesson 14](14_the_diagonal_bilstm.py) for the Diagonal BiLSTM.
# - *Takes* 30 seconds on two cores, the first time somewhat more, to compile; 40 minutes to read.
#
# Training is fast, because the whole image is known: one pass of the network serves all pixels at once. Drawing is
# slow, because each pixel must be drawn before the network can be asked about the next one. The plain way runs the
# whole network for each of the 784 pixels of a small picture, and looks at one pixel of what comes out. It has
# computed almost all of these numbers in the steps before. How can a program find out *which* numbers it already has,
# for any model, and never compute one of them twice?

# %% [markdown]
# ## One pixel in 784
# We begin with the plain way, written out. The model is a tiny PixelCNN with random weights, for images of 5x7 black
# or white pixels. For each pixel we run `model.predict`, and take the parameters at that pixel. The model's head
# turns them and a uniform random number into a level, as our loop in lesson 04 did by hand: `head.draw` takes the
# parameters, the pixel as far as it is drawn, the channel (a grey image has channel 0 only), the uniform numbers, and
# the temperature.

# %%
import os
import time
import warnings

import numpy as np
from drawings import lesson_20
from show import show

import minipixel as mp
from minipixel.clock import Clock, raster, smallest_slope
from minipixel.clock.schedule import RING, schedule

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
H = 5
W = 7
small = mp.models.PixelCNN((H, W, 1), 2, hidden=4, blocks=2, dtype="float64")
uniforms = np.random.default_rng(0).random((3, H, W, 1))  # for 3 images, one number for each pixel


# %%
def sample_plainly(model, uniforms):
    """Draw images, a whole pass of the network for each pixel: uniforms (N, H, W, 1) -> integers (N, H, W, 1)."""
    images = np.zeros(uniforms.shape, np.uint8)
    for r, c in np.ndindex(H, W):
        parameters = model.predict(images)[r, c]  # one pixel of all that the pass has computed
        images[:, r, c, 0] = model.head.draw(parameters, images[:, r, c], 0, uniforms[:, r, c, 0], 1.0)
    return images


plain = sample_plainly(small, uniforms)
print("the same as the library's:", np.array_equal(plain, small.sample(3, rng=0, method="naive")))

# %% [markdown]
# How many numbers does this compute? The library's `Clock` holds a list of all maps of a model, one for each op, in
# the order of the forward pass. The list is called its `trace`, and each map in it is a *node*, which has so many
# `pixels`, and `K` channels at each of them. We ask a model of 28x28 pixels.

# %%
large = mp.models.PixelCNN((28, 28, 1), 2, hidden=8, blocks=3, dtype="float64")
clock = Clock.of(large)
image_node = clock.trace.nodes[0]
maps = clock.trace.nodes[1:]  # the first one is the image
numbers_per_pass = 0
for node in maps:
    numbers_per_pass += node.pixels * node.K
print(f"one pass of 28x28 pixels: {numbers_per_pass:,} numbers")
print(f"784 passes: {784 * numbers_per_pass:,} numbers for one image")

# %% [markdown]
# ## A cache by hand
# Look at what changes from one step to the next. Pixel $(r, c)$ has been drawn, and nothing else is new. In a causal
# model no value at this place or at an earlier one reads that pixel, so all these values are what they were. We only
# need to compute the values at the next place, and keep them for the steps to come.
#
# For that we need one convolution at one pixel, rather than all over the map. With the taps $(y, x)$ of the kernel,
# the weights $w$, the mask $m$ and the bias $b$ it is
#
# $$\text{out}_{r,c} = b + \sum_{(y, x)\ \text{open}}
# \text{in}_{r + y - k_h // 2,\; c + x - k_w // 2}\; (w\, m)_{y, x},$$
#
# where each $\text{in}$ is a row of $K_{in}$ numbers, each $(w\, m)_{y,x}$ is a matrix, and $//$ is a division that
# rounds down.


# %%
def convolution_at(layer, feature_map, r, c):
    """A masked convolution at one pixel: feature_map (H, W, N, K_in) -> (N, K_out)."""
    weight = layer.weight.data * layer.mask
    kh, kw = layer.kernel
    total = layer.bias.data
    for y, x in np.ndindex(kh, kw):
        row = r + y - kh // 2
        column = c + x - kw // 2
        inside = 0 <= row < H and 0 <= column < W
        if inside and layer.mask[y, x].any():
            total = total + feature_map[row, column] @ weight[y, x]
    return total


def pointwise(layer, features):
    """A 1x1 convolution, which reads no other pixel: (N, K_in) -> (N, K_out)."""
    return features @ (layer.weight.data * layer.mask) + layer.bias.data


def relu(features):
    """What is below 0 becomes 0."""
    return np.maximum(features, 0)


# %% [markdown]
# Which values does a later step read again? Only a convolution with a kernel looks at other pixels. PixelCNN has one
# in the first layer, which reads the image, and one in each block (`block.look`), which reads what `block.narrow` has
# made. So the image and one map for each block are all that has to be kept. The function below is the whole sampler.
# It computes at one place what `PixelCNN.forward` computes at all places.


# %%
def sample_with_a_cache(model, uniforms):
    """Draw images, and compute each value once: uniforms (N, H, W, 1) -> integers (N, H, W, 1)."""
    N = len(uniforms)
    images = np.zeros(uniforms.shape, np.uint8)
    numbers = np.zeros((H, W, N, 1))  # the image as the network reads it, from -1 to 1
    kept = [np.zeros((H, W, N, 4)) for _ in model.blocks]  # the cache: a map of 4 channels for each block
    for r, c in np.ndindex(H, W):
        features = convolution_at(model.stem, numbers, r, c)
        for block, kept_map in zip(model.blocks, kept, strict=True):
            kept_map[r, c] = relu(pointwise(block.narrow, relu(features)))
            seen = convolution_at(block.look, kept_map, r, c)
            features = features + pointwise(block.widen, relu(seen))
        for layer in model.top.layers:
            features = pointwise(layer, relu(features))
        images[:, r, c, 0] = model.head.draw(features, images[:, r, c], 0, uniforms[:, r, c, 0], 1.0)
        numbers[r, c] = 2.0 * images[:, r, c] - 1
    return images


# %% [markdown]
# Does it draw the images that the plain way draws? The figure shows what either way computes in one step.

# %%
by_hand = sample_with_a_cache(small, uniforms)
print("the same images:", np.array_equal(by_hand, plain))
show(
    lesson_20.one_step((H, W), (2, 3)),
    "20_one_step",
    "One map of the network, in the step before pixel (2, 3) is drawn. The plain way computes it all over; with a "
    "cache one place is computed, and earlier ones are kept.",
)

# %% [markdown]
# The images are the same, since the numbers are the same. In language models this is called a **KV cache**. In a
# transformer each position has a *key* and a *value*, two vectors that later positions look at. They depend on
# earlier positions only, so they are computed once, when the position is new, and kept. Our `kept` is the same idea:
# the values at an earlier place are kept for all that read them later. There is one difference. In a transformer
# every later position looks at *all* earlier ones, so a KV cache grows with the text. Our 3x3 kernel looks back by
# one row and one pixel, so most of `kept` could be thrown away again. We come back to that.
#
# This sampler was written for one model, and its author had to think: what is read again, and when? For LSTMs that
# run along diagonals, for two stacks, or for the U of PixelCNN++ that is hard to get right. So we want a program to
# work it out.

# %% [markdown]
# ## When is a value known?
# Let the pixels of an image be drawn in steps 1, 2, 3, ... A value of the network is **known** after the first step
# from which on it can be computed and will never change again. Pixel $t$ of the image is known after step $t$. Any
# other value is known as soon as everything that it reads is known. That is a *maximum*:
#
# $$\text{known}(v) = \max_{u \,\text{read by}\, v} \text{known}(u).$$
#
# A value that reads nothing, or only zeros beyond the border, is known from the start, which is step 0. We compute
# the steps by hand for the first layer, 7x7 under mask A.

# %%
step_of_pixel = np.arange(1, H * W + 1).reshape(H, W)
mask = mp.nn.causal_mask((7, 7), np.zeros(1), np.zeros(1), "A")[:, :, 0, 0]
stem_known = np.zeros((H, W), int)
for r, c, y, x in np.ndindex(H, W, 7, 7):
    row = r + y - 3
    column = c + x - 3
    inside = 0 <= row < H and 0 <= column < W
    if inside and mask[y, x]:
        stem_known[r, c] = max(stem_known[r, c], step_of_pixel[row, column])
print(stem_known)

# %% [markdown]
# `Clock.of(model)` does the same for all maps of a model, in one walk over its graph. `clock.ready[node].values` has
# a row for each pixel of a map and a column for each class of channels. (With colours, the channels that know of red
# only are one class, and so on. A grey model has one class, so we take column 0.) The function below collects the
# maps by name.


# %%
def known_steps(clock):
    """After which step each value is known: a map (h, w) by the name of its node, the last one as "output"."""
    found = {}
    for node in clock.trace.nodes:
        found[node.name] = clock.ready[node].values[:, 0].reshape(node.size)
    found["output"] = found[clock.output.node.name]
    return found


cnn = known_steps(Clock.of(small))
maps_of_cnn = {
    "the image": cnn["the image"],
    "stem: 7x7, mask A": cnn["stem (conv2d)"],
    "block 1: 3x3, mask B": cnn["blocks.0.look (conv2d)"],
    "output": cnn["output"],
}
show(
    mp.plots.clock(maps_of_cnn),
    "20_pixelcnn",
    "PixelCNN: after which step each value is known. The pixel that is drawn in step t has its output after step "
    "t - 1, just in time; at the left border it has it much earlier.",
)

# %% [markdown]
# Compare the second map with the first. Where the image has $t$, the first layer has $t - 1$, because it reads the
# pixel before. At the left border its values are known long before: there is no pixel to the left, and what remains
# is in the rows above, at most three columns to the right. From the first layer on *nothing changes*: the blocks
# never have to wait for another pixel, however many they are.

# %% [markdown]
# ## Other models have other clocks
# In the Gated PixelCNN of lesson 09 the vertical stack reads the rows above. Its first layer sees three columns to
# the right, and each further layer sees one column more. So with each layer the values at the left are known one step
# later. (The maps of the horizontal stack are its convolutions alone, before the link adds what the vertical stack
# knows. That is why the first of them has a 0 in the first column, where its convolution reads zeros only.)

# %%
gated = known_steps(Clock.of(mp.models.GatedPixelCNN((H, W, 1), 2, filters=4, layers=2)))
maps_of_gated = {
    "vertical, layer 1": gated["layers.0.vertical (conv2d)"],
    "vertical, layer 2": gated["layers.1.vertical (conv2d)"],
    "horizontal, layer 1": gated["layers.0.horizontal (conv2d)"],
    "horizontal, layer 2": gated["layers.1.horizontal (conv2d)"],
}
show(
    mp.plots.clock(maps_of_gated | {"output": gated["output"]}),
    "20_gated",
    "Gated PixelCNN. The vertical stack waits for no pixel of its own row. With each layer it looks one column further "
    "to the right, and so its left columns are known one step later.",
)

# %% [markdown]
# The Diagonal BiLSTM of lesson 14 leaves the least time. Its two halves scan the image from the left and from the
# right. The right half starts in the phantom column, the extra column at the right (the maps have 8 columns here),
# and that column's feature reads the last pixel of its row. So the right half knows nothing in a row until that row
# is full. Then its map is moved down by one row, and so it is just in time. Inside the model the maps of the halves
# are skewed; `mp.ops.unskew` straightens them, and `mirror` turns the right half round.

# %%
bilstm = mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=4, layers=1)
lstm = known_steps(Clock.of(bilstm))
left_half = mp.ops.unskew(lstm["layers.0.left (lstm_scan)"][:, :, None, None])
right_half = mp.ops.mirror(mp.ops.unskew(lstm["layers.0.right (lstm_scan)"][:, :, None, None]))
maps_of_lstm = {
    "stem": lstm["stem (conv2d)"],
    "left half": left_half[:, :, 0, 0],
    "right half": right_half[:, :, 0, 0],
    "left + right one down": lstm["add after layers.0.right"],
    "output": lstm["output"],
}
show(
    mp.plots.clock(maps_of_lstm),
    "20_bilstm",
    "Diagonal BiLSTM with the phantom column. Each row of the right half waits for the end of its own row, just in "
    "time for the row below. So the outputs at the left border are no longer known early.",
)

# %% [markdown]
# ## That is a proof
# Pixel $t$ is drawn in step $t$ from the output at its place. So that output must be known after step $t - 1$. We
# call this its *limit*. If no output is known later than its limit, then none depends on its own pixel or on a later
# one:
#
# $$\text{known}(\text{output}_t) \le t - 1 \quad \text{for all } t \qquad \Longrightarrow \qquad
# \text{the model is causal, whatever its weights are.}$$
#
# We did not have to try an image or take a gradient. ([Lesson 19](19_let_gradients_prove_it.py) lists this proof
# among its witnesses, under the name of *clock*.) Two planted mistakes show what the proof makes of a model that is
# wrong: mask B in the first layer of PixelCNN; and in the Diagonal BiLSTM, as in lesson 14, zeros that come in at the
# wrong end, so that each scan reads one place too far.

# %%
leaky = mp.models.PixelCNN((H, W, 1), 2, hidden=4, blocks=2)
leaky.stem.mask = mp.nn.causal_mask((7, 7), np.zeros(1), np.zeros(8), "B")
slipped = mp.models.DiagonalBiLSTM((H, W, 1), 2, hidden=4, layers=1)
slipped.layers[0].left.taps = (0, 1)
slipped.layers[0].right.taps = (0, 1)

refused = []
for model in (leaky, slipped):
    try:
        model.sample(1, rng=0)
    except mp.CausalityError as error:
        refused.append(model)
        print(error, "\n")

# %% [markdown]
# The samplers look at the clock first, and refuse: a model that reads what is not drawn yet cannot be drawn from. The
# error names the layer in which the future comes in. The next figure compares the clocks of right and wrong models
# with the limit.

# %%
limit = step_of_pixel - 1
outputs = {
    "the limit": limit,
    "PixelCNN": cnn["output"],
    "mask B in the stem": known_steps(Clock.of(leaky))["output"],
    "BiLSTM, wrong zeros": known_steps(Clock.of(slipped))["output"],
}
limits = dict.fromkeys(outputs, limit)
show(
    mp.plots.clock(outputs, limits),
    "20_proof",
    "When outputs have to be known, and when they are. Those that come too late have a red frame. With mask B every "
    "output waits for its own pixel. In the BiLSTM each place waits for a later one, so the delay grows along a scan.",
)

# %% [markdown]
# ## Each value once, for any model
# Now we build the cache for any model: compute each value as soon as it is known, keep it as long as another value
# will still read it, then let it go. `schedule(clock)` makes a plan of what to do when, for any model whose proof
# holds. `plan.steps` has rows (step, unit, first, end). Each says: in this step compute that unit, which is a map or
# some channels of a map, at its pixels from `first` to `end`.
#
# We walk through the plan and note for each value of each map how often it is computed, in which step, and in which
# step it is read for the last time. What a map reads is in `node.reads`, as pairs of another map, `source`, and a
# `look`: `look.index[p]` lists the pixels of the source that pixel `p` reads.

# %%
plan = schedule(clock)
computed = {node: np.zeros(784, int) for node in clock.trace.nodes}
computed_in = {node: np.zeros(784, int) for node in clock.trace.nodes}
last_read = {node: np.zeros(784, int) for node in clock.trace.nodes}
computed_in[image_node] = np.arange(784)
for step, unit, first, end in plan.steps:
    node = plan.units[unit].node
    pixels = plan.units[unit].pixels[first:end]
    computed[node][pixels] += 1
    computed_in[node][pixels] = step
    for source, look in node.reads:
        places = look.index[pixels].ravel()
        inside = places[places >= 0]  # -1 stands for the zeros beyond the border
        last_read[source][inside] = step

once = all((computed[node] == 1).all() for node in maps)
print("every value is computed exactly once:", once)

# %% [markdown]
# Here is one moment: the step in which pixel (14, 10) is drawn. (The library counts steps from 0.) Of the maps we
# show the image, the first layer, and three maps of the first two blocks. "Block 1 looks at" is the map that the 3x3
# kernel of block 1 reads.

# %%
moment = 14 * 28 + 10
names = {
    "the image": "the image",
    "stem (conv2d)": "stem: 7x7",
    "relu after blocks.0.narrow": "block 1 looks at",
    "blocks.0.look (conv2d)": "block 1: 3x3",
    "relu after blocks.1.narrow": "block 2 looks at",
}
states = {}
for node in clock.trace.nodes:
    if node.name in names:
        state = np.where(last_read[node] >= moment, 2, 1)  # kept, or let go
        state[computed_in[node] == moment] = 3  # computed now
        state[computed_in[node] > moment] = 0  # still to come
        states[names[node.name]] = state.reshape(28, 28)
show(
    lesson_20.moment(states),
    "20_moment",
    "Five maps in one step. The first layer is read in the same step and let go. Of the image about three rows are "
    "kept, since the 7x7 looks three rows up. Of each map that a 3x3 looks at about one row is kept.",
)

# %% [markdown]
# (The first pixel of the next row is there already: at the left border a value is known early, so it was computed
# together with others.) So a map of 28 rows needs room for one row or three. It gets a **ring buffer**: a short row
# of slots that are used again and again, each for a new value when the old one has had its last reader. This is where
# a convolution is better off than a transformer: its cache does not grow with the height of the image.

# %%
numbers_computed = 0
numbers_kept = 0
for node in maps:
    numbers_computed += computed[node].sum() * node.K
    numbers_kept += (plan.slots[node] - RING) * node.K  # the first RING slots stand for zeros beyond the border
print(f"computed for one image: {numbers_computed:,} numbers, as many as in one pass")
print(f"kept at a time: {numbers_kept:,} numbers, where whole maps would be {numbers_per_pass:,}")

# %% [markdown]
# ## Many pixels at once: the wavefront
# The clock gives us one thing more. At the left border the output was known long before its step. So there is no need
# to wait for the end of a row: the next row can start while the last one is still being drawn. Let pixel $(r, c)$ be
# drawn in step
#
# $$t(r, c) = c + s\, r.$$
#
# All pixels on a slanted line share a step, and are drawn at once: a **wavefront**. The number $s$ is its *slope*:
# the next row starts $s$ steps later. With $s = W$ we have the usual order, one pixel per step. How small may $s$ be?
# The clock can tell: give it these steps, and look whether any output comes too late. `raster` makes a map of the
# steps, from 0.

# %%
waves = {"raster order": step_of_pixel}
wave_limits = {}
for s in (4, 3):
    steps = raster((H, W, 1), s)[:, :, 0] + 1  # the step of each pixel, counted from 1
    waves[f"slope {s}"] = steps
    waves[f"output, slope {s}"] = known_steps(Clock.of(small, s))["output"]
    wave_limits[f"output, slope {s}"] = steps - 1
show(
    mp.plots.clock(waves, wave_limits),
    "20_wavefront",
    "Steps of the pixels, and when their outputs are known. With slope 4 all are in time. With slope 3 those in the "
    "red frames are late: they read a pixel that is drawn in the same step.",
)

# %% [markdown]
# It is easy to see why. Through its 7x7 the output at $(r, c)$ reads pixel $(r-1, c+3)$, whose step is
# $c + 3 + s (r - 1)$. This must be smaller than $c + s\, r$, so $s > 3$. With $s = 4$ an image of 28x28 takes
# $27 + 4 \cdot 27 + 1 = 136$ steps instead of 784, and that is so for any number of blocks.
#
# Other models look further to the right, and need larger slopes. `smallest_slope` finds the smallest one by
# bisection. It takes the model's trace, the groups of its outputs (their colours), and the shape of the image.

# %%
shape = (28, 28, 1)
models = {
    "PixelCNN": mp.models.PixelCNN(shape, 2, hidden=2),
    "Row LSTM": mp.models.RowLSTM(shape, 2, hidden=2),
    "Gated, 2 layers": mp.models.GatedPixelCNN(shape, 2, filters=2, layers=2),
    "Gated, 7 layers": mp.models.GatedPixelCNN(shape, 2, filters=2, layers=7),
    "PixelCNN++, 1 level": mp.models.PixelCNNpp(shape, 4, filters=4, resnets=1, hierarchies=1),
    "PixelCNN++, 2 levels": mp.models.PixelCNNpp(shape, 4, filters=4, resnets=1, hierarchies=2),
    "BiLSTM, no phantom": mp.models.DiagonalBiLSTM(shape, 2, hidden=2, phantom_column=False),
    "BiLSTM, phantom": mp.models.DiagonalBiLSTM(shape, 2, hidden=2, phantom_column=True),
}
slopes = {}
for name, model in models.items():
    slopes[name] = smallest_slope(Clock.of(model).trace, model.head.groups, shape)
    steps = raster(shape, slopes[name]).max() + 1
    print(f"{name:21} slope {slopes[name]!s:>4}, {steps:3} steps")

# %% [markdown]
# Where no slope below $W$ holds, there is no wavefront. The Diagonal BiLSTM with its phantom column needs the whole
# row above, so its pixels are drawn one by one, and the sampler says so.

# %%
with warnings.catch_warnings(record=True, action="always") as notes:
    bilstm.sample(1, rng=0, method="wavefront")
print(notes[0].message)

# %% [markdown]
# ## Seconds
# At last we measure the time. The first call of each method makes the schedule, and compiles; so each method draws
# one image before we measure.

# %%
N = 2 if QUICK else 8
drawn = {}
seconds_per_image = {}
for method in ("naive", "cached", "wavefront"):
    large.sample(1, rng=0, method=method)
    start = time.perf_counter()
    drawn[method] = large.sample(N, rng=0, method=method)
    seconds_per_image[method] = (time.perf_counter() - start) / N
    print(f"{method:10} {seconds_per_image[method]:.4f} seconds per image")
show(
    lesson_20.seconds(seconds_per_image),
    "20_seconds",
    "Three ways to draw the same images. The scale is logarithmic: one mark further to the right is ten times slower.",
)

# %% [markdown]
# All three draw *the same images*: they turn the same uniform numbers into the same levels. They differ only in how
# often they compute numbers that they already have.

# %% [markdown]
# ## What you should see

# %%
assert np.array_equal(plain, small.sample(3, rng=0, method="naive"))
assert np.array_equal(by_hand, plain)

assert np.array_equal(stem_known, cnn["stem (conv2d)"])
assert np.array_equal(cnn["output"], stem_known)
assert (cnn["output"] <= limit).all()
assert (gated["output"] <= limit).all()
assert (lstm["output"] <= limit).all()
assert (lstm["output"][1:, 0] == limit[1:, 0]).all()  # no lead at the left border
assert refused == [leaky, slipped]

assert once
assert numbers_computed == numbers_per_pass
assert 50 * numbers_kept < numbers_per_pass

assert raster(shape, 4).max() + 1 == 136
assert list(slopes.values()) == [4, 4, 5, 10, 6, 18, 27, None]
assert "no slope" in str(notes[0].message)

assert np.array_equal(drawn["naive"], drawn["cached"])
assert np.array_equal(drawn["naive"], drawn["wavefront"])
assert seconds_per_image["cached"] < seconds_per_image["naive"]

# %% [markdown]
# ## Exercises
# 1. *easy* Give PixelCNN a first kernel of 5x5 (`first_kernel=5`), then of 9x9. Predict the smallest slopes, then ask
#    `smallest_slope`.
# 2. *medium* Our cache by hand keeps whole maps. Keep four rows of the image and two rows of each other map. Do the
#    images stay the same? How many numbers are kept for each image?
# 3. *medium* Print the clock of a colour model's output, with a map for each class of channels. When is the output
#    for green known?
# 4. *medium* Predict the slope of a Gated PixelCNN with `layers=7, dilations=(1, 2, 4)`: the layers after the first
#    take these dilations in turn. Then ask `smallest_slope`.
# 5. *hard* Which values of the Diagonal BiLSTM does nobody ever read? (Look for pixels that no unit of the schedule
#    has. `plan.units` lists the units, each with its `node` and its `pixels`.)
