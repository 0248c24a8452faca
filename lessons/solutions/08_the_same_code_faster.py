# %% [markdown]
# # Solutions of lesson 08: the same code, faster
#
# Each solution begins with its exercise. First comes a smaller copy of the model of [the
# lesson](../08_the_same_code_faster.py), with two blocks.

# %%
import os
import time

import numpy as np

import minipixel as mp
from minipixel import arena
from minipixel.kernels import as_written
from minipixel.shards import Tree
from minipixel.tensor import gradients

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
side = 14 if QUICK else 28
batch = 64
rng = np.random.default_rng(0)
images = rng.integers(0, 2, (batch, side, side, 1), dtype=np.uint8)
model = mp.models.PixelCNN((side, side, 1), 2, hidden=16, blocks=2, rng=0)

# %% [markdown]
# ## Exercise 1
#
# > A PixelCNN for colour pictures has masks between its colours, too. Count its multiply-adds per pixel, with and
# > without shut weights. A tap that is open for some colours and shut for others is multiplied as a whole: what
# > share of the multiplications meets a zero for this reason?
#
# A layer's mask says which weights are open. Between colours not every open *tap* is open in all of its weights: at
# the centre, red features must not read green ones. Such a tap is multiplied as a whole, with zeros where the mask is
# shut.

# %%
colour = mp.models.PixelCNN((side, side, 3), 4, hidden=15, blocks=7, rng=0)
layers = [colour.stem, *colour.top.layers]
for block in colour.blocks:
    layers += [block.narrow, block.look, block.widen]

opened = 0
in_open_taps = 0
stored = 0
for layer in layers:
    K_in, K_out = layer.mask.shape[-2:]
    by_tap = layer.mask.reshape(-1, K_in, K_out)
    open_taps = int(by_tap.any(axis=(1, 2)).sum())
    opened += int(layer.mask.sum())
    in_open_taps += open_taps * K_in * K_out
    stored += layer.mask.size
print(
    f"multiply-adds per pixel, forward: {opened:,} with open weights, {in_open_taps:,} in open taps, {stored:,} in all"
)
print(f"{1 - opened / in_open_taps:.0%} of what is multiplied meets a zero")

centre = colour.blocks[0].look.mask[1, 1]
print(f"of the centre of a 3x3 mask B {1 - centre.mean():.0%} is shut")
assert opened < in_open_taps < stored
assert np.isclose(1 - centre.mean(), 1 / 3)  # of nine pairs of colours three are shut: R-G, R-B, G-B

# %% [markdown]
# ## Exercise 2
#
# > Ask an arena for a small array of 100 numbers, twice, as above. Is it the same memory? Find out why in
# > `arena.py`.
#
# An array of 100 numbers has 400 bytes. Below `arena.SMALL` bytes the arena asks NumPy, which keeps small blocks by
# itself, and stores nothing. So it depends on NumPy whether it is the same memory; the arena's own store stays
# empty.

# %%
with arena.arena() as blocks:
    small = arena.empty((100,), np.float32)
    del small
    stored_after_small = len(blocks)
    large = arena.empty((100_000,), np.float32)
    del large
    stored_after_large = len(blocks)
print(
    f"arrays of fewer than {arena.SMALL:,} bytes are not stored: {stored_after_small} sizes, then {stored_after_large}"
)
assert 400 < arena.SMALL < 400_000
assert stored_after_small == 0
assert stored_after_large == 1

# %% [markdown]
# ## Exercise 3
#
# > Adam updates all weights in plain NumPy. What share of a training step is that, for a batch of 64? Should
# > somebody compile it?
#
# We time both parts of a training step. Adam does a dozen operations per weight; the gradients take millions of
# multiply-adds per image. So Adam's share is small, and it becomes smaller with larger pictures. To compile it would
# gain next to nothing. (It is otherwise where a model has many weights and little to do with each, such as an
# embedding of many codes.)


# %%
def milliseconds(work, rounds=5):
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[1:]))


optimizer = mp.optim.Adam(1e-3)
twin = mp.models.PixelCNN((side, side, 1), 2, hidden=16, blocks=2, rng=0)
loss, slopes = twin.value_and_gradients(images, workers=1)
of_gradients = milliseconds(lambda: twin.value_and_gradients(images, workers=1))
of_adam = milliseconds(lambda: optimizer.step(twin, slopes))
share = of_adam / (of_adam + of_gradients)
print(f"gradients {of_gradients:.1f} ms, Adam {of_adam:.2f} ms: {share:.1%} of a step")
assert share < 0.5

# %% [markdown]
# ## Exercise 4
#
# > Sum the gradients of the shards in a random order. In how many of 20 orders do the sums differ from those of the
# > first? (The gradients of a shard have to be weighed by its share of the batch.
# > `gradients(loss, weights, seed=share)` does that.)
#
# First the gradient of each shard, as one long array. Each is weighed by its share of the batch, so that their sum
# is the gradient of the mean over the batch.


# %%
def shard_gradient(part):
    """The share of some images in the loss of the batch, and in its gradients: a list of arrays."""
    with as_written():
        loss = model.loss(images[part])
        share = (part.stop - part.start) / batch
        found = gradients(loss, model.parameters(), seed=share)
    return float(loss.data) * share, found


size = model.shard_of_batch(batch)
parts = [slice(start, min(start + size, batch)) for start in range(0, batch, size)]
shares = [shard_gradient(part) for part in parts]
flat = [np.concatenate([array.ravel() for array in found]) for _, found in shares]
print(f"{len(parts)} shards of {size} images")

# %%
sums = []
for _ in range(20):
    total = np.zeros_like(flat[0])
    for i in rng.permutation(len(flat)):
        total = total + flat[i]
    sums.append(total)
different = sum(not np.array_equal(total, sums[0]) for total in sums[1:])
most = max(np.abs(total - sums[0]).max() for total in sums) / np.abs(sums[0]).max()
print(f"{different} of 19 other orders give another sum; they differ by a share of {most:.0e} of the largest element")
assert different > 0
assert most < 1e-5

# %% [markdown]
# ## Exercise 5
#
# > Write `value_and_gradients` yourself: cut a batch, take the gradients of each shard, sum them with a `Tree`.
# > Compare with the library, to the bit.
#
# The tree takes pairs of a loss and a list of gradients. We put the shards in, in a random order, as threads would.


# %%
def add(a, b):
    return a[0] + b[0], [x + y for x, y in zip(a[1], b[1], strict=True)]


def value_and_gradients():
    tree = Tree(len(parts), add)
    for i in rng.permutation(len(parts)):
        tree.put(int(i), shard_gradient(parts[i]))
    return tree.root


own_loss, own_gradients = value_and_gradients()
with as_written():
    library_loss, library_gradients = model.value_and_gradients(images, workers=2)

# %%
assert own_loss == library_loss
for (name, parameter), own in zip(model.named_parameters(), own_gradients, strict=True):
    assert own.shape == parameter.shape
    assert np.array_equal(own, library_gradients[name]), name
print(f"loss {own_loss:.6f} nats per image; the gradients of all {len(own_gradients)} weights are the same to the bit")
