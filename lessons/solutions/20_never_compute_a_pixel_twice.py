# %% [markdown]
# # Solutions of lesson 20, Never compute a pixel twice
#
# The lesson is [20 Never compute a pixel twice](../20_never_compute_a_pixel_twice.py). Each solution begins with its
# exercise.

# %%
import numpy as np

import minipixel as mp
from minipixel.clock import Clock, smallest_slope
from minipixel.clock.schedule import schedule

# %% [markdown]
# ## Exercise 1
# > Give PixelCNN a first kernel of 5x5, then of 9x9. Predict the smallest slopes of its wavefront, then ask
# > `smallest_slope`.
#
# Pixel $(r, c)$ is drawn in step $c + s\, r$. A kernel of $k \times k$ reads, in the row above, $(k - 1) / 2$ columns
# to the right. The step of that pixel is $c + (k-1)/2 + s (r - 1)$, and it has to be below $c + s\, r$. So
# $s = (k - 1)/2 + 1$, which is 3 for 5x5 and 5 for 9x9. The rows further up allow a smaller slope, since each row
# between counts $s$ steps.

# %%
slopes = {}
for kernel in (5, 7, 9):
    model = mp.models.PixelCNN((28, 28, 1), 2, hidden=2, blocks=3, first_kernel=kernel)
    slopes[kernel] = smallest_slope(Clock.of(model).trace, model.head.groups, model.image_shape)
    print(f"first kernel {kernel}x{kernel}: slope {slopes[kernel]}")

assert slopes == {5: 3, 7: 4, 9: 5}

# %% [markdown]
# ## Exercise 2
# > The lesson's cache by hand keeps whole maps. Keep four rows of the image and two rows of each other map. Do the
# > images stay the same? How many numbers are kept for each image?
#
# Row $r$ of a map stands in slot $r$ modulo the number of rows that are kept. The 7x7 looks three rows up, so of the
# image four rows are kept: three above and the current one. A 3x3 looks one row up, so two rows of each other map are
# kept. A new row overwrites a row that nobody reads any more. One thing needs care: to the right of the current
# pixel, the slot of the current row still holds an *old* row. The masks are shut there, so it is not read.

# %%
H = 5
W = 7
HIDDEN = 4
model = mp.models.PixelCNN((H, W, 1), 2, hidden=HIDDEN, blocks=2, dtype="float64")
uniforms = np.random.default_rng(0).random((3, H, W, 1))


def relu(features):
    """What is below 0 becomes 0."""
    return np.maximum(features, 0)


def pointwise(layer, features):
    """A 1x1 convolution: (N, K_in) -> (N, K_out)."""
    return features @ (layer.weight.data * layer.mask) + layer.bias.data


# %%
def convolution_at(layer, ring, r, c):
    """A masked convolution at one pixel, of a map of which only some rows are kept: ring (rows, W, N, K_in)."""
    weight = layer.weight.data * layer.mask
    kh, kw = layer.kernel
    total = layer.bias.data
    for y, x in np.ndindex(kh, kw):
        row = r + y - kh // 2
        column = c + x - kw // 2
        inside = 0 <= row < H and 0 <= column < W
        if inside and layer.mask[y, x].any():
            total = total + ring[row % len(ring), column] @ weight[y, x]
    return total


# %%
N = len(uniforms)
images = np.zeros(uniforms.shape, np.uint8)
ring_of_image = np.zeros((4, W, N, 1))
rings = [np.zeros((2, W, N, HIDDEN)) for _ in model.blocks]
for r, c in np.ndindex(H, W):
    features = convolution_at(model.stem, ring_of_image, r, c)
    for block, ring in zip(model.blocks, rings, strict=True):
        ring[r % 2, c] = relu(pointwise(block.narrow, relu(features)))
        seen = convolution_at(block.look, ring, r, c)
        features = features + pointwise(block.widen, relu(seen))
    for layer in model.top.layers:
        features = pointwise(layer, relu(features))
    images[:, r, c, 0] = model.head.draw(features, images[:, r, c], 0, uniforms[:, r, c, 0], 1.0)
    ring_of_image[r % 4, c] = 2.0 * images[:, r, c] - 1

kept = (ring_of_image.size + sum(ring.size for ring in rings)) // N
whole = H * W * (1 + HIDDEN * len(rings))
print(f"kept for each image: {kept} numbers, whole maps: {whole}; for 28 rows these would be {28 * whole // H}")

assert np.array_equal(images, model.sample(3, rng=0, method="naive"))
assert kept == W * (4 * 1 + 2 * HIDDEN * 2)

# %% [markdown]
# ## Exercise 3
# > Print the clock of a colour model's output, with a map for each class of channels. When is the output for green
# > known?
#
# With colours there are three steps for each pixel. `clock.ready[node]` has a column for each class of channels that
# are known together; `of` names the class of each channel. The output for green at a pixel is known as soon as red
# has been drawn there, just before green is drawn. The output for blue is known as soon as green has been drawn. The
# outputs for red are known early at the left border, as in the lesson; those for green and blue are not, since they
# wait for the red of their own pixel.

# %%
colour = mp.models.PixelCNN((3, 6, 3), 4, hidden=6, blocks=1)
clock = Clock.of(colour)
known = clock.ready[clock.output.node]
steps = {}
for channel, name in enumerate(("red", "green", "blue")):
    parameter = np.flatnonzero(clock.groups == channel)[0]  # any parameter of that colour
    steps[name] = known.values[:, known.of[parameter]].reshape(3, 6)
    print(name)
    print(steps[name])

before_red = 3 * np.arange(18).reshape(3, 6)  # sub-pixels drawn before the red of each pixel
assert known.values.shape[1] == 3
assert np.array_equal(steps["green"], before_red + 1)
assert np.array_equal(steps["blue"], before_red + 2)
assert np.array_equal(steps["red"][:, 1:], before_red[:, 1:])
assert (steps["red"][1:, 0] < before_red[1:, 0]).all()

# %% [markdown]
# ## Exercise 4
# > Predict the slope of a Gated PixelCNN with `layers=7, dilations=(1, 2, 4)`: the layers after the first take these
# > dilations in turn. Then ask `smallest_slope`.
#
# In the lesson a Gated PixelCNN of $n$ layers had slope $n + 3$. The first layer of the vertical stack sees 3 columns
# to the right and each of the others one more, which makes $3 + (n - 1)$; one step is added because the slope must be
# larger than that: $n + 3$. With a dilation $d$ a layer sees $d$ columns to the right instead of one. The vertical
# kernels have taps in their middle row, too, so a path can go all these columns to the right without going further
# up. The layers after the first take the dilations in turn: 1, 2, 4, 1, 2, 4. Their sum is 14, so the slope is
# $3 + 14 + 1 = 18$.

# %%
dilated = mp.models.GatedPixelCNN((28, 28, 1), 2, filters=2, layers=7, dilations=(1, 2, 4))
of_layers = [layer.vertical.dilation for layer in dilated.layers]
slope = smallest_slope(Clock.of(dilated).trace, dilated.head.groups, dilated.image_shape)
print("dilations of the layers:", of_layers, "slope:", slope)

assert slope == 3 + sum(of_layers[1:]) + 1

# %% [markdown]
# ## Exercise 5
# > Which values of the Diagonal BiLSTM does nobody ever read? (Look for pixels that no unit of the schedule has.)
#
# A unit of the schedule lists the pixels at which a map is computed. What no unit lists is never read. We collect for
# each map the pixels that are missing, and print them as ones. The maps have 5x8 pixels, since the phantom column is
# the eighth.

# %%
bilstm = mp.models.DiagonalBiLSTM((5, 7, 1), 2, hidden=4, layers=1)
clock = Clock.of(bilstm)
plan = schedule(clock)
computed = {node: np.zeros(node.pixels, bool) for node in clock.trace.nodes}
for unit in plan.units:
    computed[unit.node][unit.pixels] = True

unread = {}
for node in clock.trace.nodes[1:]:
    missing = ~computed[node]
    if missing.any() and not node.constant:
        unread[node.name] = missing.reshape(node.size)
        print(f"{node.name}: {missing.sum()} of {node.pixels}")
        print(unread[node.name].astype(int))

# %% [markdown]
# - After the scans the eighth column is never read, because no pixel of the image stands there. For the same reason
#   the left half never needs its values there.
# - The right half needs the eighth column, because it starts there. But its map is moved down by a row, so its *last*
#   row falls out of the image, and with it the phantom feature of the last row in the stem.
# - Each scan runs over a skewed map of 12x5 places, of which 20 lie outside the image: two triangles of 10.

# %%
assert unread["stem (conv2d)"].sum() == 1
assert unread["stem (conv2d)"][4, 7]
assert unread["layers.0.right.see (linear)"][4].all()
assert unread["layers.0.right.see (linear)"].sum() == 8
assert unread["layers.0.left.see (linear)"][:, 7].all()
assert unread["add after layers.0.right"][:, 7].all()
assert unread["layers.0.right (lstm_scan)"].sum() == 20 + 8
assert unread["layers.0.left (lstm_scan)"].sum() == 20 + 5
