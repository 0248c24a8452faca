# %% [markdown]
# # 16 The same code, faster
#
# - *You will* count what a training step must cost, find where the rest goes, and see a model become a table.
# - *Reads* `minipixel/plan/`, `kernels/walker.py`, `arena.py`, `shards.py`.
# - *Before* lesson 04 for convolutions, 05 for masks, 07 for PixelCNN, 15 for what a pixel reads.
# - *Takes* half a minute on two cores; the first time a minute more, to compile (`minipixel warmup` does that alone).
#
# ## What must be done
# A step is products of matrices, and little else. A convolution that multiplies its kernel by a mask, and then
# convolves with all of it, spends most of its products on zeros. The mask is known beforehand: count its open taps.

# %%
import os
import time
from contextlib import nullcontext
from unittest.mock import patch

import numpy as np
from show import show

import minipixel as mp
from minipixel import arena, kernels, plan, plots
from minipixel.kernels import opcodes
from minipixel.tensor import gradients

QUICK, SEED = os.environ.get("MINIPIXEL_QUICK") == "1", int(os.environ.get("MINIPIXEL_SEED", "0"))
ROUNDS, BATCH, SIDE = (2, 8, 14) if QUICK else (9, 64, 28)  # of timing; images per batch; how wide and high they are
grey, rng = np.zeros(1, int), np.random.default_rng(SEED)
opened = {}
for name, kernel, kind in [("stem, 7x7", (7, 7), "A"), ("block, 3x3", (3, 3), "B"), ("Row LSTM, 1x3", (1, 3), "B")]:
    opened[name] = int(mp.nn.causal_mask(kernel, grey, grey, kind).sum()), kernel[0] * kernel[1]
    print(f"{name:16}{opened[name][0]:3} of {opened[name][1]} taps are open")

# %% [markdown]
# ## Memory that is new each time
# A large array is no list entry: the system has to find pages for it, clear them, and map them, at their first touch.
# When it is let go of, sooner or later it takes them back, and all begins anew. A worker that trains keeps them
# instead: an *arena*. What it hands out are ordinary arrays. Let go of one, ask for another, and it is the same memory.


# %%
def milliseconds(work, rounds=ROUNDS):
    """The median over some rounds; before that one that does not count, since it may compile."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


shape = (SIDE, SIDE, 64, 256)  # as many numbers as the maps of a few layers have together
old = np.empty(shape, np.float32)
fresh, again = milliseconds(lambda: np.empty(shape, np.float32).fill(1)), milliseconds(lambda: old.fill(1))
print(f"{old.nbytes / 2**20:.1f} MiB filled: fresh {fresh:.2f} ms, used before {again:.2f} ms")
with arena.arena():
    first = arena.empty(shape, np.float32)
    where, view = first.ctypes.data, first[0]
    del first
    second = arena.empty(shape, np.float32)  # the view still needs the memory of the first
    del view
    third = arena.empty(shape, np.float32)
print("second elsewhere:", second.ctypes.data != where, " third in the same place:", third.ctypes.data == where)

# %% [markdown]
# ## A model as a table
# What costs next is Python, and memory again. A residual block is seven ops, fourteen calls there and back, each with a
# map that goes to memory and comes back. But the clock of lesson 15 knows what each op reads at each pixel, and from
# that alone a *plan* is made, whatever the model: a table of instructions, each for one row of pixels. All of them run
# for row 0, then all for row 1, while what one hands to the next is still in the cache. That is right as long as none
# reads a row below its own, and a mask B never does. The way back goes from the last row up. `docs/plan.md` explains
# each line. The model as it is written stays the definition.

# %%
small = mp.models.PixelCNN((6, 6, 1), 2, hidden=8, blocks=1, dtype="float64", rng=SEED)
with plan.whole_maps():
    tables = {"map after map": plan.table_of(small, 1000)}  # of so many images per step takes one row, not several
tables |= {"row after row": plan.table_of(small, 1000), "there alone": plan.table_of(small, 1000, back=False)}
print(tables["row after row"].show())


def moments(table):
    """Each instruction at each of its rows, in order: which way, its name, its line of the table, the row."""
    names = {number: name for name, number in opcodes.OPCODES.items()}
    for way, groups in (("there", table.forward), ("back", table.back)):
        for first, last, steps, lead, upwards in groups:
            for k in range(steps + lead):
                for line in table.rows[first:last]:
                    row = (steps - 1 + lead - k if upwards else k) - line[opcodes.LEAD]
                    if 0 <= row < steps:
                        yield way, names[line[opcodes.OP]], line, row


# %%
COLOURS = {"read": "#c3cad1", "a value": plots.OPEN, "a value, again": "#8a5a83", "a gradient": plots.CENTRE}


def touched(table):
    """What is read and written: its kind; then the moment, from which number on, how many."""
    for moment, (way, name, line, row) in enumerate(moments(table)):
        written = {"_X": "A", "_W": "", "MS": ""}.get(name[-2:], "B")  # SUMS and _W write gradients of weights
        kind = "a value" if way == "there" else "a value, again" if name == "RELU" else "a gradient"
        for letter in "AB":
            place, kept, width, K = line[getattr(opcodes, letter) :][:4]
            start, stop = table.starts[line[opcodes.STARTS] + row :][:2]
            slot = row % kept * width if kept else start
            yield kind if letter == written else "read", moment, place + slot * K, (stop - start) * K


# %% [markdown]
# Here are the numbers that each instruction touches, and when. Whole maps climb on the way there, and are read again on
# the way back, downwards. A line buffer of two rows, or a single row, stays where it is, and in the cache: all
# gradients do, if it goes row after row, and nearly everything, if there is no way back, as in `log_prob`. Purple is a
# rectifier computed again: its map need not be kept.

# %%
figure = plots.figure(7.8, 4)
panels = figure.subplots(1, 3, sharey=True, width_ratios=(3, 3, 1.3))
for axes, (title, table) in zip(panels, tables.items(), strict=True):
    for label, colour in COLOURS.items():
        bars = [bar for kind, *bar in touched(table) if kind == label and bar[2]]
        when, bottom, size = np.reshape(bars, (-1, 3)).T
        axes.bar(when, size, 1, bottom, align="edge", color=colour, edgecolor=colour, linewidth=0.7, label=label)
    turn = [way for way, *_ in moments(table)].count("there")
    axes.axvline(turn, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(title=title, xticks=[0, turn], xticklabels=["there", "back" if len(table.back) else ""])
panels[0].set_ylabel("place in memory, numbers per image")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
show(figure, "16_plan")

# %% [markdown]
# What an instruction means says `plan/interpreter.py`, short and slow, in NumPy. So one model runs in four ways:

# %%
model = mp.models.PixelCNN((SIDE, SIDE, 1), 2, hidden=16, blocks=7)
images = rng.integers(0, 2, (BATCH, SIDE, SIDE, 1), dtype=np.uint8)


def step(images=images[:8], model=model):
    loss = model.loss(images)
    return [loss.data, *gradients(loss, model.parameters())]


contexts = kernels.as_written(), plan.interpreted(), plan.whole_maps(), nullcontext()
found, cost, far = {}, {}, {}
for name, context in zip(["op by op", "in NumPy", *tables], contexts, strict=False):
    with arena.arena(), context:
        found[name], cost[name] = step(images[:3, :6, :6], small), milliseconds(step, 3)
    far[name] = max(np.abs(a - b).max() for a, b in zip(found[name], found["op by op"], strict=True))
    print(f"{name:16}{cost[name]:8.1f} ms; loss and gradients in float64 differ by {far[name]:.0e}")

# %% [markdown]
# ## Shards
# One batch, cut into shards. Every shard pays for its Python; but of large ones there are too few for many cores. The
# curve is soon flat, so the size need not suit the machine: it is fixed by the model's width and by the batch, in which
# eight cores should find a shard each. Each shard is computed by one thread from its own numbers alone, and sums are
# taken along a tree of pairs, whoever is done first. So weights come out *the same to the bit*, whoever does the work.

# %%
sizes, times = [1, 2, 4, 8, 16, 32, 64][: BATCH.bit_length()], []
own_size = model.shard_of_batch(BATCH)
for size in sizes:
    with patch.object(mp.models.PixelCNN, "shard_of_batch", lambda model, N, size=size: size):
        times.append(milliseconds(lambda: model.value_and_gradients(images, workers=1)) / BATCH)
figure = plots.figure(5.6, 3.2)
axes = figure.add_subplot()
axes.semilogx(sizes, times, "o-", base=2)
axes.axvline(own_size, color="0.7", zorder=0)
axes.text(own_size, 0.05, f"what a batch of {BATCH} takes: {own_size}  ", ha="right")
axes.set(xticks=sizes, xticklabels=sizes, xlabel="images per shard", ylabel="ms per image, one worker", ylim=(0, None))
show(figure, "16_shards")


def trained(workers):
    twin = mp.models.PixelCNN((SIDE, SIDE, 1), 2, hidden=16, blocks=2, dropout=0.2, rng=SEED)
    mp.fit(twin, images, epochs=2, batch_size=BATCH // 2, rng=SEED, workers=workers, progress=False)
    return twin.state_dict()


states = [trained(workers) for workers in (1, 2, 3, 4)]
same = all(np.array_equal(states[0][name], state[name]) for state in states[1:] for name in state)
print("weights after training with 1, 2, 3 and 4 workers are the same to the bit:", same)

# %% [markdown]
# ## What you should see

# %%
assert opened == {"stem, 7x7": (24, 49), "block, 3x3": (5, 9), "Row LSTM, 1x3": (2, 3)}
assert second.ctypes.data != where and third.ctypes.data == where
assert max(far.values()) < 1e-11 and same
assert all(np.array_equal(a, b) for a, b in zip(found["row after row"], found["map after map"], strict=True))
assert tables["there alone"].work < tables["row after row"].work < tables["map after map"].work

# %% [markdown]
# ## Exercises
# 1. Set `MINIPIXEL_NUMBA=0` and run the lesson again. Which lines change, and which must not?
# 2. Give `small` a second block, then `activation="prelu"`. Which instructions are new, and what is kept now?
# 3. Sum the gradients of shards in the order in which they are done. How many runs until the weights differ?
# 4. Adam updates all weights in plain NumPy. What share of a step is that? Should somebody compile it?
