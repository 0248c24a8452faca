# %% [markdown]
# # 15 Never compute a pixel twice
#
# - *You will* find when each value of a model is known, prove it causal by that, draw without doing any work twice.
# - *Reads* `minipixel/clock/`, `ops/local.py`, `sampling/cached.py`.
# - *Before* lesson 05 for masks, 08 for the two stacks, 12 for the Diagonal BiLSTM.
# - *Takes* half a minute on two cores; the first time somewhat more, to compile.
#
# ## One pixel in 784
# In training the image is there, and one pass serves all its pixels. In drawing, a pixel must be there before the next
# can be asked for. The plain way, below by hand, runs the whole network for each pixel, and looks at one pixel of what
# comes out. How many numbers is that? The trace of a clock lists the maps of a pass.

# %%
import os
import time
import warnings

import numpy as np
from matplotlib.colors import ListedColormap
from show import show

import minipixel as mp
from minipixel.clock import Clock, raster, smallest_slope
from minipixel.clock.schedule import RING, schedule

EPOCHS, N = (1, 2) if os.environ.get("MINIPIXEL_QUICK") == "1" else (12, 8)  # of training; images to be timed
M, H, W, SEED = mp.models, 5, 7, int(os.environ.get("MINIPIXEL_SEED", "0"))  # SEED: of what is trained and drawn
small = M.PixelCNN((H, W, 1), 2, hidden=4, blocks=2, dtype="float64")
by_hand, uniforms = np.zeros((3, H, W, 1), np.uint8), np.random.default_rng(0).random((3, H, W, 1))
for r, c in np.ndindex(H, W):
    parameters = small.predict(by_hand)[r, c]  # of all that the pass computed, one pixel
    by_hand[:, r, c, 0] = small.head.draw(parameters, by_hand[:, r, c], 0, uniforms[:, r, c, 0], 1.0)
large = M.PixelCNN((28, 28, 1), 2, hidden=8, blocks=3, dtype="float64")
clock = Clock.of(large)
image_node, *maps = clock.trace.nodes  # the image, then a map for each op
in_a_pass = sum(node.pixels * node.K for node in maps)
print(f"28x28: {in_a_pass:,} numbers a pass, {784 * in_a_pass:,} for one image")

# %% [markdown]
# ## When is a value known?
# Nearly all of these had been computed before, from the same pixels. Which? Ask when a value is *known*. Step 1 draws
# the first pixel, step 35 the last. Any other value is known as soon as all that it reads is: that is a *maximum*. A
# convolution reads its open taps. Here is a 7x7 under mask A by hand; 0 means: from the start.

# %%
image = np.arange(1, H * W + 1).reshape(H, W)  # the step that draws each pixel
mask, stem = mp.nn.causal_mask((7, 7), np.zeros(1), np.zeros(1), "A"), np.zeros((H, W), int)
for r, c, y, x in np.ndindex(H, W, 7, 7):
    row, column = r + y - 3, c + x - 3
    if mask[y, x, 0, 0] and 0 <= row < H and 0 <= column < W:
        stem[r, c] = max(stem[r, c], image[row, column])


def known(clock):
    """When each map is known, (h, w) by the name of its node, the last one as "output"."""
    nodes = {node.name: node for node in clock.trace.nodes} | {"output": clock.output.node}
    return {name: clock.ready[node].values[:, 0].reshape(node.size) for name, node in nodes.items()}


cnn = known(Clock.of(small))
titles = {"the image": "the image", "stem: 7x7, mask A": "stem (conv2d)", "block 1: 3x3, B": "blocks.0.look (conv2d)"}
show(mp.plots.clock({title: cnn[name] for title, name in titles.items()} | {"output": cnn["output"]}), "15_pixelcnn")

# %% [markdown]
# Drawn in step t, a pixel must have its output after step t - 1. It has; at the left border even much earlier. And from
# the stem on nothing changes: depth adds no waiting. Next, the Gated PixelCNN. The first vertical layer sees three
# pixels to the right in the rows above, the next one more: its left columns are known a step later. In the Diagonal
# BiLSTM the stem has the phantom column of lesson 12, which knows its whole row. There the right half starts, and knows
# nothing until its row is full. Moved down a row it is in time, but just: the left border has lost its lead.

# %%
gated = known(Clock.of(M.GatedPixelCNN((H, W, 1), 2, filters=4, layers=2)))
names = {f"{s}, layer {n + 1}": f"layers.{n}.{s} (conv2d)" for s in ("vertical", "horizontal") for n in (0, 1)}
show(mp.plots.clock({title: gated[name] for title, name in names.items()} | {"output": gated["output"]}), "15_gated")
lstm = known(Clock.of(bilstm := M.DiagonalBiLSTM((H, W, 1), 2, hidden=4, layers=1)))
left, right = (mp.ops.unskew(lstm[f"layers.0.{half} (lstm_scan)"][:, :, None, None]) for half in ("left", "right"))
halves = {"stem": lstm["stem (conv2d)"], "left half": left[:, :, 0, 0], "right half": mp.ops.mirror(right)[:, :, 0, 0]}
halves |= {"left + right one down": lstm["add after layers.0.right"], "output": lstm["output"]}
show(mp.plots.clock(halves), "15_bilstm")

# %% [markdown]
# ## That is a proof
# If no output comes later than its limit, none depends on its own pixel or on a later one: a proof for any weights,
# with no image tried and no gradient. Two planted mistakes: mask B in the first layer; the BiLSTM's zeros at the wrong
# end (lesson 12). What is too late has a frame. The samplers prove first, so they refuse both.

# %%
leaky, slipped = M.PixelCNN((H, W, 1), 2, hidden=4, blocks=2), M.DiagonalBiLSTM((H, W, 1), 2, hidden=4, layers=1)
leaky.stem.mask = mp.nn.causal_mask((7, 7), np.zeros(1), np.zeros(8), "B")
slipped.layers[0].left.taps = slipped.layers[0].right.taps = (0, 1)
wrong, limit, refused = {"mask B in the stem": leaky, "BiLSTM, wrong zeros": slipped}, image - 1, []
outputs = {"the limit": limit, "PixelCNN": cnn["output"]}
for title, model in wrong.items():
    outputs[title] = known(Clock.of(model))["output"]
    try:
        model.sample(1, rng=0)
    except mp.CausalityError as error:
        refused.append(title)
        print(f"{title}: {error}")
show(mp.plots.clock(outputs, dict.fromkeys(outputs, limit)), "15_proof")

# %% [markdown]
# ## Each value once
# So compute each value when it is known, keep it while somebody will read it, and never compute it again: `schedule`
# lists what to do when. The picture shows one moment. The stem is read on the spot; of the image the 7x7 wants three
# rows, of what it looks at a 3x3 wants one. (The first pixel of the next row is known early, and is there.) So a map
# needs no room for a map, but a *ring* of slots, used again and again. That is the whole cache.

# %%
plan, moment = schedule(clock), 14 * 28 + 10
count, born, last = ({node: np.zeros(784, int) for node in clock.trace.nodes} for _ in range(3))
born[image_node] = np.arange(784)
for step, unit, first, end in plan.steps:  # in the order of time
    node, pixels = plan.units[unit].node, plan.units[unit].pixels[first:end]
    count[node][pixels] += 1
    born[node][pixels] = step
    for source, look in node.reads:
        last[source][[p for p in look.index[pixels].flat if p >= 0]] = step
titles = {"the image": "image", "stem (conv2d)": "stem: 7x7", "relu after blocks.0.narrow": "block 1 looks at"}
titles |= {"blocks.0.look (conv2d)": "block 1: 3x3", "relu after blocks.1.narrow": "block 2 looks at"}
colours = {"still to come": mp.plots.SHUT, "let go": "#cfe0ec", "kept": mp.plots.OPEN, "computed now": mp.plots.CENTRE}
axes = (figure := mp.plots.figure(9.2, 2.5)).subplots(1, 5)
for ax, node in zip(axes, [node for node in clock.trace.nodes if node.name in titles], strict=True):
    state = np.select([born[node] > moment, born[node] == moment, last[node] >= moment], [0, 3, 2], 1).reshape(28, 28)
    ax.pcolormesh(state, cmap=ListedColormap(colours.values()), vmin=0, vmax=3, ec="white", lw=0.3)
    ax.set(aspect="equal", ylim=(28, 0), xticks=[], yticks=[], title=titles[node.name])
patches = [axes[0].fill([], [], color=colour, label=label)[0] for label, colour in colours.items()]
figure.legend(handles=patches, loc="outside lower center", ncols=4, frameon=False)
show(figure, "15_moment")
computed = sum(count[node].sum() * node.K for node in maps)
kept = sum((plan.slots[node] - RING) * node.K for node in maps)
print(f"computed for one image: {computed:,} numbers; kept at a time: {kept:,}, whole maps: {in_a_pass:,}")

# %% [markdown]
# ## Many pixels at once: the wavefront
# At the left border the output came early. So start a row before the last one is done: draw pixel (r, c) in step
# c + s r, where pixels on a slanted line share a step. How small may the slope s be? The clock tells: 4 holds, and at 3
# some outputs are late. They read, by the 7x7, pixel (r-1, c+3); its step c + 3 + s (r-1) must be below c + s r.
# The table asks other models. Where no slope holds, the wavefront goes pixel by pixel, and says so. Then the seconds.

# %%
waves = {"raster order": image}
for s in (4, 3):
    waves[f"slope {s}"] = raster((H, W, 1), s)[:, :, 0] + 1
    waves[f"output, slope {s}"] = known(Clock.of(small, s))["output"]
show(mp.plots.clock(waves, {f"output, slope {s}": waves[f"slope {s}"] - 1 for s in (4, 3)}), "15_wavefront")
shape, slopes, drawn = (28, 28, 1), {}, {}
models = {"PixelCNN": M.PixelCNN(shape, 2, hidden=2), "Row LSTM": M.RowLSTM(shape, 2, hidden=2)}
models |= {f"Gated, {layers} layers": M.GatedPixelCNN(shape, 2, filters=2, layers=layers) for layers in (2, 7)}
models |= {f"PixelCNN++, {n} level(s)": M.PixelCNNpp(shape, 4, filters=4, resnets=1, hierarchies=n) for n in (1, 2)}
models |= {f"BiLSTM, phantom {p}": M.DiagonalBiLSTM(shape, 2, hidden=2, phantom_column=p) for p in (False, True)}
for name, model in models.items():
    slopes[name] = smallest_slope(Clock.of(model).trace, model.head.groups, shape)
    print(f"{name:24}slope {slopes[name]!s:5}{raster(shape, slopes[name]).max() + 1:5} steps")
with warnings.catch_warnings(record=True, action="always") as notes:
    bilstm.sample(1, rng=0, method="wavefront")
for method in ("naive", "cached", "wavefront"):
    large.sample(1, rng=0, method=method)  # the first call makes the schedule, and compiles
    start = time.perf_counter()
    drawn[method] = large.sample(N, rng=0, method=method)
    print(f"{N} images, {method:10}{time.perf_counter() - start:8.3f} s")

# %% [markdown]
# ## Finish what is hidden
# `model.complete` keeps the pixels that are known, and draws the rest. Hide the lower half of some digits, and finish
# each four ways. Then hide the upper half. Only *earlier* pixels steer a drawn one: what was kept below steers nothing,
# the halves do not fit, and by bits/dim the whole is a surprise.

# %%
ds = mp.datasets.load("digits")
model = M.GatedPixelCNN(ds.image_shape, ds.levels, filters=24, layers=4, rng=SEED)
mp.fit(model, ds.train.images, epochs=EPOCHS, batch_size=32, optimizer=mp.optim.Adam(5e-3), rng=SEED, progress=False)
hundred, upper, done = ds.test.images[:100], np.indices((8, 8))[0] < 4, {}
for half, where in {"upper": upper, "lower": ~upper}.items():
    done[half] = model.complete(np.tile(hundred, (4, 1, 1, 1)), where, rng=SEED)
    ways = done[half].reshape(4, 100, 8, 8, 1)[:, :10]
    show(mp.plots.completion_grid(hundred[:10], where, ways, ds.levels), f"15_{half}_kept")
bits = {name: model.bits_per_dim(images) for name, images in (done | {"real": hundred}).items()}
print("bits/dim, kept half:", ", ".join(f"{name} {value:.2f}" for name, value in bits.items()))

# %% [markdown]
# ## What you should see

# %%
assert np.array_equal(by_hand, small.sample(3, rng=0, method="naive"))
assert np.array_equal(stem, cnn["stem (conv2d)"]) and np.array_equal(cnn["output"], stem)
assert (gated["output"] <= limit).all() and (lstm["output"][1:, 0] == limit[1:, 0]).all() and refused == [*wrong]
assert all((count[node] == 1).all() for node in maps) and computed == in_a_pass and 50 * kept < in_a_pass
assert raster(shape, 4).max() + 1 == 136 and list(slopes.values()) == [4, 4, 5, 10, 6, 18, 27, None]
assert "no slope" in str(notes[0].message) and np.array_equal(drawn["naive"], drawn["cached"])
assert np.array_equal(drawn["naive"], drawn["wavefront"]) and np.array_equal(done["upper"][:100, :4], hundred[:, :4])
other_lower = model.complete(np.tile(hundred[::-1], (4, 1, 1, 1)), ~upper, rng=SEED)
assert np.array_equal(other_lower[:, :4], done["lower"][:, :4]) and bits["upper"] < bits["lower"] - 0.1

# %% [markdown]
# ## Exercises
# 1. Draw the clock of a colour model: a column for each class of channels. When is the output for green known?
# 2. Which values of the Diagonal BiLSTM does nobody ever read? (Look for pixels that no unit of the schedule has.)
# 3. Predict the slope of a Gated PixelCNN with `layers=7, dilations=(1, 2, 4)`, then ask the clock.
