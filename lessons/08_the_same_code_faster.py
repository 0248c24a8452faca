# %% [markdown]
# # 08 The same code, faster
#
# - *You will* count the arithmetic that a training step cannot do without, find where the rest of its time goes, and
#   save that piece by piece, without changing the result.
# - *Reads* `minipixel/arena.py`, `minipixel/shards.py`, `minipixel/models/step.py`.
# - *Before* [lesson 05](05_a_tape_in_a_page.py) and [lesson 07](07_convolution_is_a_matrix_product.py).
# - *Takes* half a minute to run on two cores (the first time a minute more, to compile), and 30 minutes to read.
#
# A step of training computes the loss of a batch and the gradients of all weights. The code of lessons 05 to 07 does
# that correctly. But how long should it take? At least as long as its matrix products take, since these cannot be
# left out. Everything beyond that is waste. In this lesson we measure this least time, and then look for the waste
# in three places: in memory, in the many small steps between the products, and in processor cores that have nothing
# to do.

# %%
import os
import time
from unittest.mock import patch

import numpy as np
from drawings import lesson_08
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp
from minipixel import arena
from minipixel.kernels import as_written
from minipixel.shards import Tree
from minipixel.tensor import gradients, inputs_first

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
threadpool_limits(1)  # one thread for matrix products; several cores come at the end

# %% [markdown]
# Our example is a PixelCNN for pictures of 28x28 pixels in black and white, with seven blocks. The pictures are
# random, since time does not depend on what they show.

# %%
side = 14 if QUICK else 28
batch = 16 if QUICK else 64
rng = np.random.default_rng(SEED)
images = rng.integers(0, 2, (batch, side, side, 1), dtype=np.uint8)
model = mp.models.PixelCNN((side, side, 1), 2, hidden=16, blocks=7, rng=SEED)

# %% [markdown]
# ## What must be done
#
# Almost all arithmetic of a PixelCNN is done in matrix products. In a layer each weight that the mask leaves open is
# multiplied once per pixel, and the product is added to a sum: one **multiply-add**. So the forward pass of a layer
# takes
#
# $$(\text{pixels}) \times (\text{open weights})$$
#
# multiply-adds per image. The way back takes twice as many: lesson 05 says that a matrix product has two products in
# its vjp, one for the gradient of its input and one for that of its weights. (The first layer needs only the second
# of them, since nobody asks for the gradient of the picture.) Let us count.

# %%
layers = {"stem 7x7, mask A": [model.stem]}
layers["narrow 1x1"] = [block.narrow for block in model.blocks]
layers["look 3x3, mask B"] = [block.look for block in model.blocks]
layers["widen 1x1"] = [block.widen for block in model.blocks]
layers["top 1x1"] = model.top.layers

pixels = side * side
of_open_weights = 0
of_all_weights = 0
for name, alike in layers.items():
    products = 2 if name.startswith("stem") else 3
    opened = sum(int(layer.mask.sum()) for layer in alike)
    stored = sum(layer.mask.size for layer in alike)
    of_open_weights += products * pixels * opened
    of_all_weights += products * pixels * stored
    print(f"{name:18}{opened:7,} of {stored:7,} weights are open")
print(f"multiply-adds per image with the open weights: {of_open_weights / 1e6:.1f} million")
print(f"multiply-adds per image with all weights: {of_all_weights / 1e6:.1f} million")

# %% [markdown]
# A convolution that multiplies its kernel by a mask, and then convolves with all of it, does the larger number of
# multiply-adds. The rest of them are products with zero. Lesson 07 showed how a shut tap is left out: it gets no
# column.
#
# Now we measure how long the necessary products take on this machine. For each layer we time products of the same
# shapes, on matrices that have been made beforehand. Nothing else is done: no layout, no rectifiers, no Python in
# between.


# %%
def milliseconds(work, rounds=2 if QUICK else 9):
    """The median over some rounds. One more comes first and does not count, since it may compile."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[1:]))


def products_of(layer, rows):
    """The three products of a layer, for `rows` pixels of all images together."""
    K_out = layer.mask.shape[-1]
    open_rows = int(layer.mask.any(axis=-1).sum())  # T * K_in: what one pixel reads
    x = np.ones((rows, open_rows), "float32")
    weight = np.ones((open_rows, K_out), "float32")
    g = np.ones((rows, K_out), "float32")
    return [lambda: x @ weight, lambda: g @ weight.T, lambda: x.T @ g]


# %%
images_at_once = 8
least = 0.0
for name, alike in layers.items():
    for layer in alike:
        needed = products_of(layer, images_at_once * pixels)
        if name.startswith("stem"):
            needed = [needed[0], needed[2]]
        least += sum(milliseconds(product) for product in needed) / images_at_once
print(f"the products alone: {least:.2f} ms per image")

# %% [markdown]
# With this time we shall compare. Now a whole step, as lessons 05 to 07 would do it: op by op on the tape, forward
# and back. (Within `as_written()` the library works in this way. Otherwise it takes a shorter one, as we shall see.)


# %%
def step():
    loss = model.loss(images[:images_at_once])
    return [loss.data, *gradients(loss, model.parameters())]


times = {"the products alone": least}
with as_written():
    times["op by op"] = milliseconds(step) / images_at_once
print(f"op by op: {times['op by op']:.2f} ms per image, {times['op by op'] / least:.1f} times the products alone")

# %% [markdown]
# ## Waste in memory
#
# Where does the rest go? Some of it goes into getting memory. That may surprise, since `np.empty` only reserves
# some. But the operating system hands out memory in **pages** of a few kilobytes. When the program first touches a
# new page, the system has to find a free one, clear it and give it a place. For a large array these are thousands of
# pages. When the array is no longer used, the system takes the pages back, and for the next array all of this is
# done again.
#
# We measure it: we fill an array that is new, and one that has been filled before. (It is a large one, of 49 MiB.
# What becomes of smaller arrays depends on the system, which may keep their pages for a while.)

# %%
shape = (28, 28, 64, 256)
used_before = np.ones(shape, np.float32)
fresh = milliseconds(lambda: np.empty(shape, np.float32).fill(1))
again = milliseconds(lambda: used_before.fill(1))
print(
    f"{used_before.nbytes / 2**20:.0f} MiB filled: {fresh:.2f} ms in fresh memory, {again:.2f} ms in memory used before"
)

# %% [markdown]
# Both fill the same number of bytes; the difference is the price of new pages. A step of training makes hundreds of
# feature maps and drops them again. So a thread of minipixel that trains keeps the memory that it no longer uses in
# an **arena**: a store of memory blocks, sorted by size. What it hands out are ordinary arrays. When one of them is
# dropped and another of the same size is asked for, the new one gets the memory of the old one.
#
# How does the arena know that nobody uses an array any more? NumPy keeps the memory of an array alive as long as the
# array itself or any view of it exists, and tells its owner afterwards. We can watch that.

# %%
with arena.arena():
    first = arena.empty(shape, np.float32)
    address_of_first = first.ctypes.data
    view = first[0]
    del first
    second = arena.empty(shape, np.float32)  # the view still needs the memory of the first
    del view
    third = arena.empty(shape, np.float32)
second_is_elsewhere = second.ctypes.data != address_of_first
third_is_there = third.ctypes.data == address_of_first
print("while a view was left, the next array lay elsewhere:", second_is_elsewhere)
print("when the view was gone, the next array lay in the same place:", third_is_there)

# %% [markdown]
# The same step, within an arena:

# %%
with as_written(), arena.arena():
    times["in an arena"] = milliseconds(step) / images_at_once
print(f"op by op, in an arena: {times['in an arena']:.2f} ms per image")

# %% [markdown]
# ## Waste between the products
#
# How many steps does the tape have, and how much do they write? We ask the tape itself. Each Tensor that an op made
# is one call from Python, and one array that is written to memory, and is fetched from there when the next op reads
# it. (`inputs_first` lists the Tensors as in lesson 05; those without a `vjp` are the leaves.)

# %%
with as_written():
    nodes = [node for node in inputs_first(model.loss(images[:images_at_once])) if node.vjp is not None]
written = sum(node.data.nbytes for node in nodes)
print(f"{len(nodes)} ops, and as many again on the way back; forward alone writes {written / 2**20:.1f} MiB")

# %% [markdown]
# The arithmetic between the products, such as a rectifier, is next to nothing. But each op goes over a whole map,
# and a map of all these images does not fit into the cache. So a rectifier takes as long as it takes to fetch its
# map from memory and to write it back.
#
# The library therefore does not train op by op. It watches the ops of a model once, and makes a table of
# instructions from them. A compiled loop goes through this table for one row of pixels after the other. [Lesson
# 08b](08b_a_model_as_a_table.py) shows how. On the tape the whole model is then a single op. Here we only look at
# the time, and ask whether the result is the same.

# %%
with arena.arena():
    times["by a table"] = milliseconds(step) / images_at_once
    by_table = step()
with as_written():
    op_by_op = step()
furthest = max(np.abs(a - b).max() / np.abs(a).max() for a, b in zip(op_by_op, by_table, strict=True))
print(f"by a table: {times['by a table']:.2f} ms per image; loss and gradients differ by a share of {furthest:.0e}")

# %% [markdown]
# A float32 holds about seven digits, and the two ways add the same numbers in another order. So a difference in the
# last digits is to be expected, and a larger one would be a mistake. (In lesson 08b both run in float64, and agree
# to 15 digits.)
#
# ## Idle cores
#
# So far one core worked. The work on a batch can be shared out: the loss is a mean over images, so its gradient is a
# sum over parts of the batch. So the batch is cut into **shards**, and threads, called **workers**, take one shard
# after the other. (Python lets only one thread run Python code at a time. While NumPy or a compiled loop computes,
# the other threads may go on.)


# %%
def of_workers(workers):
    """Milliseconds per image for the whole batch, with so many workers."""
    return milliseconds(lambda: model.value_and_gradients(images, workers=workers)) / batch


times["1 worker"] = of_workers(1)
times["2 workers"] = of_workers(2)
print(f"1 worker: {times['1 worker']:.2f} ms per image, 2 workers: {times['2 workers']:.2f} ms per image")
show(
    lesson_08.where_it_goes(times),
    "08_where_it_goes",
    "The time of a step, as one kind of waste after the other is taken away. The dotted line is the time of the "
    "products alone. The last two bars are of the whole batch, cut into shards.",
)

# %% [markdown]
# (If your machine does other things at the same time, each bar may be too long by chance, even that of the products
# alone, and the second worker may gain little or nothing. With `MINIPIXEL_QUICK=1` each bar is the median of two
# rounds only.)
#
# How large should a shard be? Each shard is one call from Python, so tiny shards cost time. And there are only a few
# large ones: a batch of 64 cut into shards of 32 can keep only two cores busy. We measure the time by the size of a
# shard, with one worker. (`shard_of_batch` is the method by which a model chooses the size. Within the block,
# `patch.object` puts a function of ours in its place.)


# %%
def of_shards(size):
    """Milliseconds per image for the whole batch, cut into shards of `size` images."""
    with patch.object(mp.models.PixelCNN, "shard_of_batch", lambda model, N: size):
        return of_workers(1)


sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= batch]
by_size = [of_shards(size) for size in sizes]
own_size = model.shard_of_batch(batch)
show(
    lesson_08.shards(sizes, by_size, own_size),
    "08_shards",
    "Time per image by the size of a shard. The curve is steep at the left and soon flat, so there is room to "
    "choose; the broad line is what the library chooses.",
)

# %% [markdown]
# The library's choice depends on the width of the model and on the size of the batch: eight cores would find a shard
# each. It does not depend on how many cores there are. The next section says why.
#
# ## The same bits, whoever does the work
#
# Two people who run the same program with the same seed want the same weights, even if one has two cores and the
# other has eight. That is not easy, since a sum of floating-point numbers depends on the order of its terms.

# %%
left_first = (0.1 + 0.2) + 0.3
right_first = 0.1 + (0.2 + 0.3)
print(left_first, right_first, "equal:", left_first == right_first)

# %% [markdown]
# If the gradients of the shards were added as they arrive, the order would depend on which thread is faster, and
# each run would give weights that differ in the last digit. After a hundred steps the differences have grown. So two
# things are fixed: which images are in a shard, which depends on the model and the batch alone; and the order of the
# sums, which is that of a tree.

# %%
show(
    lesson_08.tree(5),
    "08_tree",
    "How the gradients of five shards are added, whichever is ready first. The sum of a pair is made as soon as both "
    "are there. A shard without a partner goes up a level as it is.",
)

# %% [markdown]
# `Tree` in `minipixel/shards.py` does that: `put` is told the number of a shard and what it computed. We give a tree
# 100 numbers in a random order, fifty times, and compare with sums in the order of arrival.

# %%
terms = rng.standard_normal(100).astype("float32")
sums_by_arrival = set()
sums_by_tree = set()
for _ in range(50):
    order = rng.permutation(len(terms))
    arrived = np.float32(0)
    tree = Tree(len(terms), lambda a, b: a + b)
    for i in order:
        arrived += terms[i]
        tree.put(int(i), terms[i])
    sums_by_arrival.add(float(arrived))
    sums_by_tree.add(float(tree.root))
print(f"50 random orders give {len(sums_by_arrival)} sums by arrival, and {len(sums_by_tree)} by the tree")

# %% [markdown]
# Now we do it with a model: we train a small one with one, two, three and four workers, and compare all weights bit
# by bit. We use dropout as well: it sets random features to zero in training (lesson 18), and its random numbers
# must not depend on the workers either.


# %%
def trained(workers):
    twin = mp.models.PixelCNN((side, side, 1), 2, hidden=16, blocks=2, dropout=0.2, rng=SEED)
    mp.fit(twin, images, epochs=2, batch_size=batch // 2, rng=SEED, workers=workers, progress=False)
    return twin.state_dict()


states = [trained(workers) for workers in (1, 2, 3, 4)]
same = True
for state in states[1:]:
    for name, weight in state.items():
        same = same and np.array_equal(weight, states[0][name])
print("weights after training with 1, 2, 3 and 4 workers are the same to the bit:", same)

# %% [markdown]
# ## What you should see
#
# How much faster a step became depends on the machine, and is not asserted here. The results do not depend on it.

# %%
assert of_open_weights < 0.75 * of_all_weights
assert int(model.stem.mask[..., 0, 0].sum()) == 24
assert int(model.blocks[0].look.mask[..., 0, 0].sum()) == 5
assert second_is_elsewhere
assert third_is_there
assert furthest < 1e-4
assert len(sums_by_tree) == 1
assert len(sums_by_arrival) > 1
assert left_first != right_first
assert same

# %% [markdown]
# ## Exercises
#
# 1. *easy* A PixelCNN for colour pictures has masks between its colours, too. Count its multiply-adds per pixel, with
#    and without shut weights. A tap that is open for some colours and shut for others is multiplied as a whole: what
#    share of the multiplications meets a zero for this reason?
# 2. *easy* Ask an arena for a small array of 100 numbers, twice, as above. Is it the same memory? Find out why in
#    `arena.py`.
# 3. *medium* Adam updates all weights in plain NumPy. What share of a training step is that, for a batch of 64?
#    Should somebody compile it?
# 4. *medium* Sum the gradients of the shards in a random order. In how many of 20 orders do the sums differ from
#    those of the first? (The gradients of a shard have to be weighed by its share of the batch.
#    `gradients(loss, weights, seed=share)` does that.)
# 5. *hard* Write `value_and_gradients` yourself: cut a batch, take the gradients of each shard, sum them with a
#    `Tree`. Compare with the library, to the bit.
#
# Solutions: [solutions/08_the_same_code_faster.py](solutions/08_the_same_code_faster.py).
