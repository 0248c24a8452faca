# %% [markdown]
# # 08b A model as a table
#
# - *You will* compute two layers row after row, with two rows of memory between them; then read the table that
#   minipixel makes of a whole model, and see in a picture what of the memory it touches.
# - *Reads* `minipixel/plan/` (begin with `interpreter.py`), `minipixel/kernels/walker.py`; `docs/plan.md`.
# - *Before* lesson 08.
# - *Takes* about ten seconds to run (the first time a minute more, to compile), and 45 minutes to read.
#
# In lesson 08 the largest part of the waste lay between the matrix products: each op writes a whole map to memory,
# and the next op fetches it from there. But the second op does not need the whole map of the first one before it can
# begin. Which part does it need? And can a program find that out for any model, and arrange the work by it?

# %%
import inspect
import os
import time
from contextlib import nullcontext

import numpy as np
from drawings import lesson_08b
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp
from minipixel import arena, kernels, plan
from minipixel.kernels import opcodes
from minipixel.plan import interpreter
from minipixel.tensor import gradients

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
threadpool_limits(1)  # one thread for matrix products
clock = time.perf_counter if os.name == "nt" else time.thread_time  # the time of this thread, not of its neighbours

# %% [markdown]
# ## A cache is small
#
# Between the processor and the memory lie caches: a few hundred kilobytes that answer in a few nanoseconds, then some
# megabytes that are slower, and then the memory, which is slower still. Whatever has been used lately is in a cache;
# what is new pushes out what is oldest.
#
# Take three steps on a large array: multiply by 2, subtract 1, rectify. We do it in two ways. In the first each step
# goes over the whole array. In the second all three steps are done for a few rows, then for the next few.

# %%
size = 1024 if QUICK else 4096
x = np.linspace(-1, 1, size * size, dtype="float32").reshape(size, size)
y = np.zeros_like(x)


def map_after_map():
    np.multiply(x, 2, out=y)
    np.subtract(y, 1, out=y)
    np.maximum(y, 0, out=y)


def rows_after_rows():
    together = 2**15 // size  # so many rows have about 32,000 numbers
    for r in range(0, size, together):
        part = y[r : r + together]
        np.multiply(x[r : r + together], 2, out=part)
        np.subtract(part, 1, out=part)
        np.maximum(part, 0, out=part)


# %%
def milliseconds(work, rounds=3 if QUICK else 9):
    """The median over some rounds. One more comes first and does not count, since it may compile."""
    times = []
    for _ in range(rounds + 1):
        start = clock()
        work()
        times.append(1e3 * (clock() - start))
    return float(np.median(times[1:]))


by_maps = milliseconds(map_after_map)
result_by_maps = y.copy()
by_rows = milliseconds(rows_after_rows)
same_toy = np.array_equal(y, result_by_maps)
print(f"{x.nbytes / 2**20:.0f} MiB, three steps: {by_maps:.1f} ms map after map, {by_rows:.1f} ms rows after rows")
print("the results are equal:", same_toy)

# %% [markdown]
# The arithmetic is the same. In the second way the rows are still in the cache when the next step wants them. How
# much that gains depends on the machine, on the size of its caches and on who else uses its memory. And in this
# example NumPy eats up a good part of the gain, since it is called hundreds of times as often. We keep both in mind:
# the order of the work should leave rows in the cache, and the loop over the rows should not be Python's.
#
# ## Two layers, row after row
#
# A rectifier reads only its own pixel, so any order will do. A convolution reads neighbours. Here our masks help a
# second time: a mask B reads the row above and its own row, and *never a row below*. So a row of the second layer can
# be computed as soon as that row of the first layer is there.
#
# Let us write it down for one channel. One row of a 3x3 convolution with a mask B needs two rows of its input:


# %%
def masked_row(above, here, kernel):
    """One row of a convolution with a 3x3 mask B, from two rows of its input: each (W,)."""
    above = np.pad(above, 1)
    here = np.pad(here, 1)
    from_above = kernel[0, 0] * above[:-2] + kernel[0, 1] * above[1:-1] + kernel[0, 2] * above[2:]
    from_here = kernel[1, 0] * here[:-2] + kernel[1, 1] * here[1:-1]
    return from_above + from_here


def masked(x, kernel):
    """The whole convolution: (H, W) -> (H, W)."""
    nothing = np.zeros(x.shape[1])
    rows = [masked_row(x[r - 1] if r > 0 else nothing, x[r], kernel) for r in range(len(x))]
    return np.stack(rows)


rng = np.random.default_rng(SEED)
image = rng.standard_normal((12, 10))
kernel_1 = rng.standard_normal((3, 3))
kernel_2 = rng.standard_normal((3, 3))
hidden = np.maximum(masked(image, kernel_1), 0)
output_by_maps = masked(hidden, kernel_2)

# %% [markdown]
# This was map after map: `hidden` is kept whole. Row after row we need only two rows of it at any time. So we keep
# two, and let row r stand in place r % 2, where it overwrites row r - 2, which nobody needs any more. Such a store is
# called a **line buffer**.

# %%
H, W = image.shape
line_buffer = np.zeros((2, W))
output_by_rows = np.zeros((H, W))
image_above = np.zeros(W)
for r in range(H):
    line_buffer[r % 2] = np.maximum(masked_row(image_above, image[r], kernel_1), 0)
    output_by_rows[r] = masked_row(line_buffer[(r - 1) % 2], line_buffer[r % 2], kernel_2)
    image_above = image[r]
print("the results are equal:", np.array_equal(output_by_rows, output_by_maps))
print(f"between the layers: {hidden.size} numbers map after map, {line_buffer.size} row after row")

# %% [markdown]
# It is the same result with a sixth of the memory in between, and that part no longer grows with the height of the
# picture. With an ordinary kernel, which reads the row below as well, the second layer would have to wait. A causal
# model is easier to compute than another one.
#
# ## A table of instructions
#
# This loop was written for two layers. For a whole model, and for any model that somebody may write, the loop is to
# be made by a program. minipixel does it in two steps.
#
# First it *watches*: it runs the model's `forward` once, and notes each op. Every op of the library can say which
# pixels of its input it reads at a given pixel. (Lesson 20 builds fast sampling on the same knowledge.)
#
# Then it makes a **plan**: a table, each line of which is an **instruction**. An instruction computes one row of
# pixels, of all images, and names the places in memory where its input and its output stand. Here is the plan of a
# small PixelCNN with one block, for pictures of 6x6 pixels. We ask for the way there (the forward pass) alone, as in
# scoring.

# %%
small = mp.models.PixelCNN((6, 6, 1), 2, hidden=8, blocks=1, dtype="float64", rng=SEED)
scoring = plan.table_of(small, 1000, back=False)  # of 1,000 images one row is enough work for a step
print(scoring)
print(scoring.show())

# %% [markdown]
# Let us read it. `A` is what an instruction reads, and `B` is what it writes.
#
# - `FILL` sets a row of 16 channels to the bias of the stem.
# - `LAID` lays out what the 24 open taps of the 7x7 see of the picture, as in lesson 07, and adds one product.
# - `RELU` writes what the block reads, to a place of its own, since the stem is wanted again at the end of the block.
# - `MATMUL` is the 1x1 layer that narrows 16 channels to 8, and `BIASRELU` adds its bias and rectifies.
# - `TAPS` adds one product for each of the five open taps of the 3x3. It reads `2 rows`: that is our line buffer.
# - `ADDBIAS` and `MATMUL` with `FLAG 1`, which adds to what is there, are the residual connection, x + widen(...).
# - The rest are the 1x1 layers at the top. The last map has one channel: the logit of each pixel.
#
# `at` is where something stands, counted in numbers per image, and `W` is where the weights stand in one long array.
# A `map` is kept whole, and a `row` is overwritten by the next row. Only the picture and the logits are maps here.
#
# ## What an instruction means
#
# The table is only numbers. Who says what they mean? A file of plain NumPy, `plan/interpreter.py`. It is short and
# slow, and it is the definition. Here is what it says of `TAPS`. A *run* is a stretch of pixels in this row that all
# see an unbroken stretch of another row through one tap; at the border it is shorter. So read the last line as: the
# pixels of B that this run is about receive the pixels of A that they see, times the weight of the tap.

# %%
print(inspect.getsource(interpreter._taps))

# %% [markdown]
# The program that does the work, `kernels/walker.py`, is compiled by Numba and harder to read. It is tested against
# the interpreter, instruction by instruction, and the interpreter is tested against the model as it is written.
#
# ## Who comes when
#
# The table does not say yet in which order the instructions run. They stand in **groups**. All instructions of a
# group run for row 0, then all for row 1, and so on. A group goes on as long as none of its instructions reads a row
# below its own in what another one of the group writes. In our model nothing ever reads a row below, so there is one
# group.
#
# The function below lists the order: which way, the name of the instruction, its line in the table, and the row. On
# the way back, which comes soon, the rows go upwards, and some instructions run a few rows ahead of the others.

# %%
NAMES = {number: name for name, number in opcodes.OPCODES.items()}


def moments(table):
    """Each instruction at each of its rows, in order: (way, name, line, row)."""
    for way, groups in (("there", table.forward), ("back", table.back)):
        for first, last, steps, lead, upwards in groups:
            for k in range(steps + lead):
                moment_row = steps - 1 + lead - k if upwards else k
                for line in table.rows[first:last]:
                    row = moment_row - line[opcodes.LEAD]
                    if 0 <= row < steps:
                        yield way, NAMES[line[opcodes.OP]], line, row


with plan.whole_maps():
    scoring_by_maps = plan.table_of(small, 1000, back=False)
orders = {"map after map": list(moments(scoring_by_maps)), "row after row": list(moments(scoring))}
print([(name, int(row)) for _, name, _, row in orders["row after row"][:4]], "...")

# %% [markdown]
# Within `plan.whole_maps()` each instruction is a group of its own, and goes over its whole map before the next
# begins. That is the order of the tape. The two orders side by side:

# %%
show(
    lesson_08b.order(orders),
    "08b_order",
    "Each square is one instruction at one row of pixels; time goes to the right. Left: an instruction does its six "
    "rows and is done. Right: all instructions do row 0 (dark), then all do row 1, up to row 5 (bright).",
)

# %% [markdown]
# ## The way back
#
# For training the table has a second part, which is walked from the last row up. Each instruction has an **adjoint**,
# in the sense of lesson 07. A name that ends in `_X` takes the gradient to what was read. A name that ends in `_W`
# adds to the gradient of the weights.

# %%
training = plan.table_of(small, 1000)
print(training)
way_back = training.show().split("the way back, 6 steps:")[1]
print("the way back:" + way_back)

# %% [markdown]
# Four things in this list are worth a thought.
#
# - **Gradients are rows, too.** All that read a row of a value read it from the same row or from one below. The way
#   back comes from below. So when it arrives at a row, the gradient of that row is complete, is handed on at once,
#   and its place is free again. Only where a 3x3 gives to two rows at once is there a line buffer of two.
# - **Values have to stand.** `MATMUL_W` multiplies what a layer read by the gradient of what it wrote. So most maps
#   of the way there are kept whole until the way back comes by. This is why training takes so much more memory than
#   scoring.
# - **Some values are computed again.** Each `RELU`, `BIASRELU` and `ADDBIAS` in this list was on the way there as
#   well. To compute a row once more takes less time than to fetch a whole map from memory. This is called
#   **rematerialisation**.
# - **Gradients change in place.** `RELU_X` sets to zero, where it stands, the gradient of whatever was not positive.
#   Nothing is copied.
#
# ## Memory, drawn
#
# Now we can draw what each instruction touches in memory, and when: in training map after map, in training row after
# row, and in scoring.

# %%
with plan.whole_maps():
    training_by_maps = plan.table_of(small, 1000)
tables = {"map after map": training_by_maps, "row after row": training, "scoring": scoring}
for name, table in tables.items():
    print(f"{name}: {table.work:,} numbers per image")

show(
    lesson_08b.memory(tables, moments),
    "08b_memory",
    "Time goes to the right, and a place in memory upwards. A slanted line walks through a whole map. A flat band "
    "stays in one place, and so in the cache. Look for the gradients: slanted at the left, a flat band in the "
    "middle.",
)

# %% [markdown]
# At the left, whole maps climb on the way there, and are read again on the way back, downwards. In the middle the
# maps that the way back wants climb as before, since they have to stand. But all else is flat: it stays in place, and
# in the cache. At the right, where there is no way back, nearly everything is flat.
#
# ## One model, four ways
#
# So there are four ways to run one model: op by op on the tape, which is its definition; by the interpreter, which is
# the definition of the table; and compiled, map after map or row after row. They must agree. We compare the loss and
# all gradients of the small model, in float64, and time a larger one.

# %%
side = 14 if QUICK else 28
model = mp.models.PixelCNN((side, side, 1), 2, hidden=16, blocks=7, rng=SEED)
images = rng.integers(0, 2, (8, side, side, 1), dtype=np.uint8)


def step(model, images):
    loss = model.loss(images)
    return [loss.data, *gradients(loss, model.parameters())]


ways = {
    "op by op": kernels.as_written(),
    "interpreter": plan.interpreted(),
    "map after map": plan.whole_maps(),
    "row after row": nullcontext(),
}
results = {}
for name, way in ways.items():
    with arena.arena(), way:
        results[name] = step(small, images[:3, :6, :6])
        cost = milliseconds(lambda: step(model, images), 3)
    print(f"{name:14}{cost:8.1f} ms for {len(images)} images")

# %%
furthest = {}
for name, result in results.items():
    differences = [np.abs(a - b).max() for a, b in zip(result, results["op by op"], strict=True)]
    furthest[name] = max(differences)
    print(f"{name:14} loss and gradients differ from op by op by {furthest[name]:.0e}")

# %% [markdown]
# The large step in time is the one from op by op to the table: no column matrix, no calls from Python, several ops in
# one instruction. What row after row gains over map after map depends on the caches; what it saves of memory we saw
# above.
#
# Map after map and row after row give the same bits, since each row sees the same operations in the same order. Op by
# op differs in the fifteenth digit: there one large product adds up what the table adds up row by row.
#
# What if a model does something for which there is no instruction, say an op that you wrote yourself? Then it trains
# as it is written, op by op, and one warning says which op it was. `docs/plan.md` tells how to add an instruction.
#
# ## What you should see
#
# Row after row is the same as map after map, by hand and in the library; all ways agree with the model as it is
# written.

# %%
assert same_toy
assert np.array_equal(output_by_rows, output_by_maps)
assert line_buffer.size * 6 == hidden.size
assert max(furthest.values()) < 1e-11
for by_row, by_map in zip(results["row after row"], results["map after map"], strict=True):
    assert np.array_equal(by_row, by_map)

# %% [markdown]
# Both orders do the same work, and row after row needs less memory, least of all in scoring.

# %%
for name in orders:
    assert len(orders[name]) == 6 * len(scoring.rows)
work_by_row = sorted((name, int(row)) for _, name, _, row in orders["row after row"])
work_by_map = sorted((name, int(row)) for _, name, _, row in orders["map after map"])
assert work_by_row == work_by_map
assert len(scoring.forward) == 1
assert len(scoring_by_maps.forward) == len(scoring.rows)
assert scoring.work < training.work < training_by_maps.work

# %% [markdown]
# ## Exercises
#
# 1. *easy* Make the tables of `small` for pictures of 6x6, 12x12 and 24x24 pixels. How does the memory per image grow
#    in training, and how in scoring?
# 2. *easy* Give `small` a second block, and then `activation="prelu"`. Which instructions are new?
# 3. *medium* With a dilation of 2 a mask B reads the row two above and its own. Write `masked_row` for it, and both
#    layers row after row. How many rows does the line buffer need?
# 4. *medium* Run a step within `plan.poisoned()`, which fills the memory with NaN before each pass. Why is it a good
#    test that the result stays the same? Break a table, so that the test fails.
# 5. *hard* How far away is what an instruction reads? For each read, count how many numbers have been touched since
#    that place was last touched. Compare the two orders of scoring.
#
# The solutions are in `solutions/08b_a_model_as_a_table.py`.
