# %% [markdown]
# # 08b A model as a table
#
# - *You will* compute two layers row after row, with two rows of memory between them; then read the table that
#   minipixel makes of a whole model, and see in a picture which parts of the memory it uses, and when.
# - *Reads* `minipixel/plan/` (begin with `interpreter.py`), `minipixel/kernels/walker.py`; `docs/plan.md`.
# - *Before* [lesson 08](08_the_same_code_faster.py).
# - *Takes* about ten seconds to run (the first time a minute more, to compile), and 30 minutes to read.
#
# In lesson 08 the largest part of the waste lay between the matrix products: each op writes a whole map to memory,
# and the next op fetches it from there. But the second op does not need the whole map of the first one before it can
# begin. Which part does it need? And can a program find that out for any model, and arrange the work accordingly?

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
# Between the processor and the memory lie caches: first a few hundred kilobytes that answer in a few nanoseconds,
# then some megabytes that are slower. The memory behind them is slower still. Whatever has been used lately is in a
# cache; what is new takes the place of what has not been used for longest.
#
# Take three steps on a large array: multiply by 2, subtract 1, rectify. We do them in two ways. In the first way
# each step goes over the whole array. In the second way all three steps are done for a few rows, then for the next
# few.

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
# The arithmetic is the same. In the second way the rows are still in the cache when the next step needs them. How
# much time that saves depends on the machine, on the size of its caches and on the other programs that use its
# memory. And in this example a good part of it is lost again, since NumPy is called hundreds of times as often. We
# learn two things: the order of the work should leave rows in the cache, and the loop over the rows should not be a
# Python loop.
#
# ## Two layers, row after row
#
# A rectifier reads only the pixel that it computes, so any order will do. A convolution reads neighbours. Here our
# masks help once more: under a 3x3 mask B a pixel reads the row above and its own row, and *never a row below*. So a
# row of the second layer can be computed as soon as the same row of the first layer is there.
#
# We write it down for one channel. One row of a 3x3 convolution with a mask B needs two rows of its input:


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
# two. Row r is written to place r % 2, over row r - 2, which is not needed any more. Such a store is called a **line
# buffer**.

# %%
H, W = image.shape
line_buffer = np.zeros((2, W))  # row 0 finds zeros in the other place, since there is no row above it
output_by_rows = np.zeros((H, W))
image_above = np.zeros(W)
for r in range(H):
    line_buffer[r % 2] = np.maximum(masked_row(image_above, image[r], kernel_1), 0)
    output_by_rows[r] = masked_row(line_buffer[(r - 1) % 2], line_buffer[r % 2], kernel_2)
    image_above = image[r]
print("the results are equal:", np.array_equal(output_by_rows, output_by_maps))
print(f"between the layers: {hidden.size} numbers map after map, {line_buffer.size} row after row")

# %% [markdown]
# It is the same result with a sixth of the memory between the layers, and this part no longer grows with the height
# of the picture. With an ordinary kernel, which reads the row below as well, each layer would have to wait for one
# more row of the layer before it. In this respect a causal model is easier to compute than others.
#
# ## A table of instructions
#
# We wrote this loop by hand for two layers. For a whole model, and for any model that somebody may write, a program
# has to make the loop. minipixel does it in two steps.
#
# First it *watches*: it runs the model's `forward` once, and notes each op. Every op of the library can say which
# pixels of its input it reads to compute a given pixel. ([Lesson 20](20_never_compute_a_pixel_twice.py) builds fast
# sampling on the same knowledge.)
#
# Then it makes a **plan**: a table, each line of which is an **instruction**. An instruction computes one row of
# pixels, of all images, and names the places in memory where its input and its output stand. Here is the plan of a
# small PixelCNN with one block, for pictures of 6x6 pixels. We ask for *the way there* alone, which is the forward
# pass: this is all that one needs for **scoring**, that is, for computing likelihoods without training. (`table_of`
# is also told how many images there will be. With a few, an instruction would take several rows at once, to have
# enough work; with 1,000 it takes one.)

# %%
small = mp.models.PixelCNN((6, 6, 1), 2, hidden=8, blocks=1, dtype="float64", rng=SEED)
scoring = plan.table_of(small, 1000, back=False)
print(scoring)
print(scoring.show())

# %% [markdown]
# Let us read it. `A` is what an instruction reads, and `B` is what it writes.
#
# - `FILL` sets a row of 16 channels to the bias of the stem.
# - `LAID` lays out what the 24 open taps of the 7x7 see of the picture, as in lesson 07, and adds one product.
# - `RELU` writes what the block reads to a place of its own, since the features of the stem are needed again at the
#   end of the block.
# - `MATMUL` is the 1x1 layer that narrows 16 channels to 8, and `BIASRELU` adds its bias and rectifies.
# - `TAPS` adds one product for each of the five open taps of the 3x3. It reads from `2 rows`, which is a line buffer
#   like ours.
# - `ADDBIAS` and the next `MATMUL` are the residual connection, x + widen(...). `FLAG 1` says that the product is
#   added to what is there.
# - The rest are the 1x1 layers at the top. The last map has one channel: the logit of each pixel.
#
# `at` is where something stands in memory, counted in numbers per image. (The first 384 numbers are a workspace, for
# example for the columns of `LAID`.) A `map` is kept whole, and a `row` is overwritten by the next row. Only the
# picture and the logits are maps here.
#
# `W` is where the weights stand, in one long array of all weights. `L` is how many numbers a bias takes there: it is
# repeated, so that it can be added to several pixels at once. `T` is the number of taps, and `RUNS` is explained in
# the next section.
#
# ## What an instruction means
#
# The table holds nothing but numbers. What they mean is defined in a file of plain NumPy, `plan/interpreter.py`,
# which is short and slow. Here is its definition of `TAPS`. Through one tap, neighbouring pixels of this row see
# neighbouring pixels of another row, except where they look past the border. Such pixels together are a *run*, and
# the table has a list of all runs. So the last line means: the pixels of B in this run receive the pixels of A that
# they see, times the weight of the tap.

# %%
print(inspect.getsource(interpreter._taps))

# %% [markdown]
# The program that does the work, `kernels/walker.py`, is compiled by Numba and harder to read. It is tested against
# the interpreter, instruction by instruction, and the interpreter is tested against the model as it is written.
#
# ## In which order
#
# In which order do the instructions run? They stand in **groups**. All instructions of a group run for row 0, then
# all for row 1, and so on. This is possible as long as no instruction of a group reads a row below its own that
# another one of the group writes. Where one does, a new group has to begin. In our model nothing ever reads a row
# below, so there is one group.
#
# The function below lists the order: there or back, the name of the instruction, its line in the table, and the row.
# It serves for the way back, too, which comes soon: there the rows go upwards, and some instructions may run a few
# rows ahead of the others, up to `lead`.

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
# begins. That is the order of the tape. The next figure shows both orders.

# %%
show(
    lesson_08b.order(orders),
    "08b_order",
    "Each square is one instruction at one row of pixels; time goes to the right. Left: each instruction does all six "
    "rows before the next one begins. Right: all instructions do row 0 (dark), then row 1, up to row 5 (bright).",
)

# %% [markdown]
# ## The way back
#
# For training the table has a second part, which goes from the last row up to the first. Each instruction has an
# **adjoint**, in the sense of lesson 07. An instruction whose name ends in `_X` takes the gradient to what was read.
# One whose name ends in `_W` adds to the gradient of the weights, and `SUMS` to that of a bias. `MATMUL` with
# weights that are `turned`, that is, transposed, is the adjoint of `MATMUL`. `ZERO` clears a row, and `ADDROW` adds
# one row to another.

# %%
training = plan.table_of(small, 1000)
print(training)
way_back = training.show().split("the way back, 6 steps:")[1]
print("the way back:" + way_back)

# %% [markdown]
# Look at four things in this list.
#
# - **Gradients are rows, too.** A row of a map is read by the same row of the next layer and by rows below it, and
#   the way back begins below. So when the way back arrives at a row, the gradient of that row is complete. It is
#   handed on at once, and its place is free for the next row. Only the 3x3 gives gradients to two rows at once, and
#   so needs a line buffer of two.
# - **Values have to be kept.** `MATMUL_W` multiplies what a layer read by the gradient of what it wrote. So most
#   maps of the way there are kept whole until the way back needs them. This is why training takes so much more
#   memory than scoring.
# - **Some values are computed again.** Each `RELU`, `BIASRELU` and `ADDBIAS` in this list, and the two `MATMUL` that
#   are not turned, were on the way there as well. To compute a row once more takes less time than to fetch a whole
#   map from memory. This is called **rematerialisation**.
# - **Gradients change in place.** `RELU_X` does not write a new row. It takes the row of gradients at A as it
#   stands, and sets to zero what belongs to values of B that are not positive. Nothing is copied. (Where its line
#   has an `L`, it adds up the gradient of a bias as well.)
#
# ## Memory, drawn
#
# Now we can draw which places in memory each instruction reads and writes, and when: in training map after map, in
# training row after row, and in scoring.

# %%
with plan.whole_maps():
    training_by_maps = plan.table_of(small, 1000)
tables = {"map after map": training_by_maps, "row after row": training, "scoring": scoring}
for name, table in tables.items():
    print(f"{name}: {table.work:,} numbers per image")

show(
    lesson_08b.memory(tables, moments),
    "08b_memory",
    "Time goes to the right, and places in memory go upwards, from the end of the workspace on. Where a whole map is "
    "read or written there is a slanted line. A flat band stays in one place, and so in the cache. Look for the "
    "gradients: slanted lines at the left, a flat band in the middle.",
)

# %% [markdown]
# At the left all maps are slanted: they are written upwards on the way there, and read downwards on the way back. In
# the middle this still holds for the maps that the way back needs, since they have to be kept. But everything else
# is flat: it stays in one place, and in the cache. At the right, where there is no way back, nearly everything is
# flat.
#
# ## One model, four ways
#
# So there are four ways to run one model: op by op on the tape, which is the definition of the model; by the
# interpreter, which is the definition of the table; and compiled, map after map or row after row. They must agree.
# We compare the loss and all gradients of the small model, in float64, and measure the time of a larger one.

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
    "row after row": nullcontext(),  # this is what the library does anyway
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
# The interpreter is slow, as it may be. The compiled table saves much time over op by op: there is no column matrix
# of the whole picture and no call from Python for each op, and one instruction may do several ops. How much time row
# after row saves over map after map depends on the caches; how much memory it saves we saw above.
#
# Map after map and row after row give the same bits, since the same operations are done for each row in the same
# order. Op by op differs in the last digits: there one large product adds up what the table adds up row by row.
#
# What if a model does something for which there is no instruction, say an op that you wrote yourself? Then the model
# trains as it is written, op by op, and a warning says which op it was. [The page on the plan](../docs/plan.md)
# tells how to add an instruction.
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
# 2. *easy* Give `small` a second block, and then `activation="prelu"`. Which instructions are new? (In `table.rows`,
#    column `opcodes.OP` holds the number of each instruction.)
# 3. *medium* With a dilation of 2 a mask B reads the row two above and its own. Write `masked_row` for it, and both
#    layers row after row. How many rows does the line buffer need?
# 4. *medium* Run a step within `plan.poisoned()`, which fills the memory with NaN before each pass. Why is it a good
#    test that the result stays the same? Break a table, so that the test fails. (`plan.table_of(model, N)` is the
#    very table that the model uses for N images, and its `rows` may be changed. Within `plan.interpreted()` the
#    interpreter runs it.)
# 5. *hard* How far away is what an instruction reads? For each read, count how many numbers have been read or
#    written since that place was last used. Compare the two orders of scoring. (`_touched` in
#    `drawings/lesson_08b.py` works out which places an instruction uses.)
#
# Solutions: [solutions/08b_a_model_as_a_table.py](solutions/08b_a_model_as_a_table.py).
