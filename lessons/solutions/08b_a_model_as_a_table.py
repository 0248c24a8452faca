# %% [markdown]
# # Solutions of lesson 08b: a model as a table
#
# Each solution begins with its exercise. `small_model` makes the small PixelCNN of [the
# lesson](../08b_a_model_as_a_table.py), with other options where an exercise asks for them.

# %%
import numpy as np

import minipixel as mp
from minipixel import plan
from minipixel.kernels import opcodes

NAMES = {number: name for name, number in opcodes.OPCODES.items()}


def small_model(side=6, **options):
    options = {"hidden": 8, "blocks": 1, "dtype": "float64", "rng": 0} | options
    return mp.models.PixelCNN((side, side, 1), 2, **options)


# %% [markdown]
# ## Exercise 1
#
# > Make the tables of `small` for pictures of 6x6, 12x12 and 24x24 pixels. How does the memory per image grow in
# > training, and how in scoring?
#
# Twice the height and width are four times the pixels. In training most maps have to be kept until the way back
# needs them, so the memory grows nearly fourfold. In scoring there are rows and line buffers, which grow with the
# width alone; only the picture and the logits, one channel each, are kept whole.

# %%
training = []
scoring = []
for side in (6, 12, 24):
    model = small_model(side)
    training.append(plan.table_of(model, 1000).work)
    scoring.append(plan.table_of(model, 1000, back=False).work)
    print(f"{side:2}x{side:<2} training {training[-1]:7,} numbers per image, scoring {scoring[-1]:6,}")
assert training[2] > 3 * training[1]
assert scoring[2] < 3 * scoring[1]

# %% [markdown]
# ## Exercise 2
#
# > Give `small` a second block, and then `activation="prelu"`. Which instructions are new? (In `table.rows`, column
# > `opcodes.OP` holds the number of each instruction.)
#
# A second block brings more instructions, but no new kind. A prelu has a slope that is learnt, one per channel, for
# what is negative. So it needs an instruction of its own, and an adjoint that adds to the gradient of the slopes.


# %%
def kinds(model):
    return {NAMES[line[opcodes.OP]] for line in plan.table_of(model, 1000).rows}


one_block = kinds(small_model())
two_blocks = kinds(small_model(blocks=2))
with_prelu = kinds(small_model(activation="prelu"))
print("new with a second block:", sorted(two_blocks - one_block))
print("new with a prelu:", sorted(with_prelu - one_block), "and gone:", sorted(one_block - with_prelu))
assert two_blocks - one_block == set()
assert {"PRELU", "PRELU_X"} <= with_prelu - one_block

# %% [markdown]
# ## Exercise 3
#
# > With a dilation of 2 a mask B reads the row two above and its own. Write `masked_row` for it, and both layers row
# > after row. How many rows does the line buffer need?
#
# Row r of the second layer reads rows r - 2 and r of the first. When row r is written, row r - 2 must still be
# there, and so must row r - 1, which row r + 1 will read. That makes three rows.


# %%
def masked_row(above, here, kernel):
    """One row of a 3x3 mask B with a dilation of 2: `above` is two rows above."""
    above = np.pad(above, 2)
    here = np.pad(here, 2)
    from_above = kernel[0, 0] * above[:-4] + kernel[0, 1] * above[2:-2] + kernel[0, 2] * above[4:]
    from_here = kernel[1, 0] * here[:-4] + kernel[1, 1] * here[2:-2]
    return from_above + from_here


def masked(x, kernel):
    nothing = np.zeros(x.shape[1])
    rows = [masked_row(x[r - 2] if r >= 2 else nothing, x[r], kernel) for r in range(len(x))]
    return np.stack(rows)


rng = np.random.default_rng(0)
H, W = 12, 10
image = rng.standard_normal((H, W))
kernel_1 = rng.standard_normal((3, 3))
kernel_2 = rng.standard_normal((3, 3))
by_maps = masked(np.maximum(masked(image, kernel_1), 0), kernel_2)


# %%
def row_after_row(places):
    """Both layers, with so many rows in the line buffer."""
    line_buffer = np.zeros((places, W))
    output = np.zeros((H, W))
    nothing = np.zeros(W)
    for r in range(H):
        image_above = image[r - 2] if r >= 2 else nothing
        line_buffer[r % places] = np.maximum(masked_row(image_above, image[r], kernel_1), 0)
        hidden_above = line_buffer[(r - 2) % places] if r >= 2 else nothing
        output[r] = masked_row(hidden_above, line_buffer[r % places], kernel_2)
    return output


right = {places: np.array_equal(row_after_row(places), by_maps) for places in (2, 3, 4)}
print("is the result right with so many rows?", right)
assert right == {2: False, 3: True, 4: True}

# the library does not have a dilated PixelCNN, but its own convolution agrees
mask = np.zeros((3, 3, 1, 1), bool)
mask.reshape(9)[:5] = True
x = image[:, :, None, None]
from_library = mp.ops.conv2d(x, kernel_1[:, :, None, None], np.zeros(1), mask=mask, dilation=2)
assert np.allclose(masked(image, kernel_1), from_library[:, :, 0, 0], rtol=1e-12, atol=1e-12)

# %% [markdown]
# ## Exercise 4
#
# > Run a step within `plan.poisoned()`, which fills the memory with NaN before each pass. Why is it a good test that
# > the result stays the same? Break a table, so that the test fails. (`plan.table_of(model, N)` is the very table
# > that the model uses for N images, and its `rows` may be changed. Within `plan.interpreted()` the interpreter runs
# > it.)
#
# In memory that has been used before there are plausible numbers, left by an earlier pass. An instruction that reads
# a place which this pass has not written finds such numbers, and the result looks right most of the time. NaN makes
# the mistake visible: whatever is computed from NaN is NaN. If the result stays the same, no instruction has read
# what was not written.
#
# We break a table: the first `FILL` writes its bias to another place. Then `LAID` adds to a place that nothing has
# been written to. The interpreter runs the table, so that this works without Numba, too.

# %%
model = small_model()
images = rng.integers(0, 2, (3, 6, 6, 1), dtype=np.uint8)
right_loss = float(model.loss(images).data)
with plan.interpreted(), plan.poisoned():
    poisoned_loss = float(model.loss(images).data)
print(f"loss {right_loss:.6f}, in poisoned memory {poisoned_loss:.6f}")
assert np.isclose(right_loss, poisoned_loss, rtol=1e-12)

# %%
table = plan.table_of(model, len(images))
first_fill = table.rows[0]
assert NAMES[first_fill[opcodes.OP]] == "FILL"
right_place = int(first_fill[opcodes.B])
other_fill = next(line for line in table.rows[1:] if NAMES[line[opcodes.OP]] == "FILL")
first_fill[opcodes.B] = other_fill[opcodes.B]
with plan.interpreted(), plan.poisoned():
    broken_loss = float(model.loss(images).data)
first_fill[opcodes.B] = right_place
with plan.interpreted(), plan.poisoned():
    mended_loss = float(model.loss(images).data)
print(f"with the broken table {broken_loss}, mended {mended_loss:.6f}")
assert np.isnan(broken_loss)
assert mended_loss == poisoned_loss

# %% [markdown]
# ## Exercise 5
#
# > How far away is what an instruction reads? For each read, count how many numbers have been read or written since
# > that place was last used. Compare the two orders of scoring. (`_touched` in `drawings/lesson_08b.py` works out
# > which places an instruction uses.)
#
# We count all numbers that are read or written, and note for each place in memory the count at which it was used
# last. The distance of a read is how far the count has gone on since then. (We look at the row that an instruction
# reads in its own row; what a tap reads of the row above is left out.)


# %%
def moments(table):
    """Each instruction of the way there, at each of its rows, in order: (line, row)."""
    for first, last, steps, lead, _ in table.forward:
        for k in range(steps + lead):
            for line in table.rows[first:last]:
                if 0 <= k - line[opcodes.LEAD] < steps:
                    yield line, k - line[opcodes.LEAD]


def distances(table):
    last_touched = np.zeros(table.work)
    count = 0
    found = []
    for line, row in moments(table):
        start, stop = table.starts[line[opcodes.STARTS] + row :][:2]
        for operand in (opcodes.A, opcodes.B):
            place, kept, width, K = line[operand : operand + 4]
            first = place + (row % kept * width if kept else start) * K
            touched = slice(first, first + (stop - start) * K)
            if operand == opcodes.A and K:
                found.append(count - last_touched[touched].min())
            count += (stop - start) * K
            last_touched[touched] = count
    return np.array(found)


# %%
model = small_model(28)
with plan.whole_maps():
    by_maps = distances(plan.table_of(model, 1000, back=False))
by_rows = distances(plan.table_of(model, 1000, back=False))
for name, found in {"map after map": by_maps, "row after row": by_rows}.items():
    far = np.mean(found > 10_000)
    print(f"{name}: half of the reads are at most {np.median(found):,.0f} numbers away, {far:.0%} more than 10,000")

# %% [markdown]
# These are numbers per image. Map after map, at least one whole map of 28 rows has been used between the writing of
# a row and its reading. Row after row, most instructions read what the one before has just written. Multiply by the
# images and by four bytes, and compare with the caches of your machine.

# %%
assert np.median(by_maps) > 10 * np.median(by_rows)
assert np.mean(by_maps > 10_000) > 2 * np.mean(by_rows > 10_000)
