# %% [markdown]
# # 16 The same code, faster
#
# - *You will* count what a training step must cost, find where the rest goes, and take most of it back.
# - *Reads* `minipixel/kernels/`, `arena.py`, `shards.py`; and `tensor.py` again, which did not change.
# - *Before* lesson 04 for convolutions, 05 for masks, 07 for PixelCNN.
# - *Takes* half a minute on two cores; the first time a minute more, to compile (`minipixel warmup` does that alone).
#
# ## What must be done
# A step is products of matrices, and little else. A convolution that multiplies its kernel by a mask, and then
# convolves with all of it, spends most of its products on zeros. The mask is known beforehand: count its open taps.

# %%
import os
import time
from functools import partial

import numpy as np
from show import show

import minipixel as mp
from minipixel import arena, kernels, plots
from minipixel.tensor import gradients

QUICK, SEED = os.environ.get("MINIPIXEL_QUICK") == "1", int(os.environ.get("MINIPIXEL_SEED", "0"))
ROUNDS, BATCH, SIDE = (2, 8, 14) if QUICK else (9, 64, 28)  # of timing; images a batch; how wide and high they are
grey, rng = np.zeros(1, int), np.random.default_rng(SEED)
opened = {}
for name, size, kind in [("stem, 7x7", 7, "A"), ("block, 3x3", 3, "B"), ("Row LSTM, 1x3", (1, 3), "B")]:
    kernel = (size, size) if isinstance(size, int) else size
    opened[name] = int(mp.nn.causal_mask(kernel, grey, grey, kind).sum()), kernel[0] * kernel[1]
    print(f"{name:16}{opened[name][0]:3} of {opened[name][1]} taps are open")

# %% [markdown]
# ## One convolution, three ways
# Here is a 3x3 under mask B. *Laid side by side*: copy what every pixel reads into one wide matrix, then one product,
# as in lesson 04. That is how the op is written. *Tap by tap*: features stand with pixels first, (H, W, N, K), so what
# a tap sees of a row is that row moved by one, a block of memory: no copy, but a product a tap, and a sum. *Compiled*:
# the same products, each added in place by BLAS, a row at a time, so that a row is still in the cache for its next tap.

# %%
H, W, N, K = SIDE, SIDE, 8, 16
x = rng.standard_normal((H, W, N, K), np.float32)
mask = mp.nn.causal_mask((3, 3), np.zeros(K, int), np.zeros(K, int), "B")
weight, bias = rng.standard_normal((3, 3, K, K), np.float32) * mask, np.zeros(K, np.float32)


def tap_by_tap():
    y = np.zeros((H, W, N, K), np.float32)
    for dr, dc in [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0)]:
        to, of = slice(max(0, -dc), W - max(0, dc)), slice(max(0, dc), W + min(0, dc))
        y[-dr:, to] += x[: H + dr, of] @ weight[1 + dr, 1 + dc]
    return y


ways = {
    "laid side by side": lambda: mp.ops.conv2d.arrays(x, weight, bias, mask=mask)[0],
    "tap by tap": tap_by_tap,
    "compiled": lambda: mp.ops.conv2d(x, weight, bias, mask=mask),
}


def milliseconds(work, rounds=ROUNDS):
    """The median over some rounds; before that one that does not count, since it may compile."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


results = [way() for way in ways.values()]
for name, way in ways.items():
    print(f"{name:20}{milliseconds(way):8.3f} ms")

# %% [markdown]
# ## Memory that is new each time
# A large array is no list entry: the system has to find pages for it, clear them, and map them, at their first touch.
# When it is let go of, sooner or later it takes them back, and all begins anew. A worker that trains keeps them
# instead: an *arena*. What it hands out are ordinary arrays. Let go of one, ask for another, and it is the same memory.

# %%
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
# ## Layers in one call
# What costs next is Python. Two workers share one interpreter, which runs one of them at a time; only compiled loops,
# NumPy and BLAS let go of it. A residual block of PixelCNN is seven ops, forward and backward fourteen calls, each with
# a map that goes to memory and comes back. So all blocks together have a compiled body as well: the seven ops of each,
# a row of pixels at a time. The blocks *as they are written* stay what they were, and stay the definition.
# `kernels.as_written()` runs them; so does a machine without Numba; the clock of lesson 15 reads nothing else. Both:

# %%
model = mp.models.PixelCNN((SIDE, SIDE, 1), 2, hidden=16, blocks=7)
images = rng.integers(0, 2, (BATCH, SIDE, SIDE, 1), dtype=np.uint8)


def step(images=images[:8]):
    loss = model.loss(images)
    return [loss.data, *gradients(loss, model.parameters())]


def ops_of_a_step():
    return [node.op for node in mp.tensor.inputs_first(model.loss(images[:8])) if node.vjp]


with arena.arena():
    by_body, fast, few = step(), milliseconds(step), ops_of_a_step()
    with kernels.as_written():
        by_ops, slow, many = step(), milliseconds(step), ops_of_a_step()
worst = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(by_body, by_ops, strict=True))
print(f"{len(many)} ops in {slow:.1f} ms; {len(few)} in {fast:.1f} ms; gradients differ by {worst:.0e} of the largest")

# %% [markdown]
# ## Shards
# One batch, cut into shards. Small ones stay in the cache, but every shard pays for its Python; large ones spill. The
# curve is flat in between, so the size need not suit the machine: it is fixed by the width of the model, and by the
# batch, in which eight cores should find a shard each. That buys something better. Sums are taken in the order of
# shards, and each shard is computed by one thread from its own numbers alone. So weights come out *the same to the
# bit*, whoever does the work.

# %%
sizes, cost = [1, 2, 4, 8, 16, 32, 64], []
own_size = model.shard_of_batch(BATCH)
for size in sizes:
    with arena.arena():
        cost.append(milliseconds(partial(step, images[:size])) / min(size, BATCH))
figure = plots.figure(5.6, 3.2)
axes = figure.add_subplot()
axes.plot(sizes, cost, "o-")
axes.axvline(own_size, color="0.7", zorder=0)
axes.annotate(f"what a batch of {BATCH} takes: {own_size}", (own_size, max(cost)), (6, -4), textcoords="offset points")
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, [str(size) for size in sizes])
axes.set(xlabel="images a shard", ylabel="milliseconds an image, one worker", ylim=(0, None))
show(figure, "16_shards")


def trained(workers):
    twin = mp.models.PixelCNN((SIDE, SIDE, 1), 2, hidden=16, blocks=2, dropout=0.2, rng=SEED)
    mp.fit(twin, images, epochs=2, batch_size=BATCH // 2, rng=SEED, workers=workers, progress=False)
    return twin.state_dict()


states = [trained(workers) for workers in (1, 2, 3, 4)]
same = all(np.array_equal(states[0][name], state[name]) for state in states[1:] for name in state)
print("weights after training with 1, 2, 3 and 4 workers: " + ("the same to the bit" if same else "different"))

# %% [markdown]
# ## When it does not help
# A compiled loop wins where NumPy would go over memory several times, or copy, or where Python runs between small
# pieces. It does not win where there is next to nothing to win. Adam's update of all weights, in plain NumPy:

# %%
optimizer = mp.optim.Adam()
for parameter, gradient in zip(model.parameters(), by_body[1:], strict=True):
    parameter.grad = gradient
update = milliseconds(lambda: optimizer.step(model))
share = update / (fast * BATCH / 8)
print(f"Adam: {update:.2f} ms for {model.num_parameters:,} weights, {100 * share:.1f} % of a batch")

# %% [markdown]
# Nor is faster always allowed. For tanh a loop can have a quotient of polynomials, which processors evaluate for many
# numbers at once; but it is right to some units in the last place only, where the C library is right to one. Gates may
# have it. Losses may not: the tail of a probability is what counts there.

# %%
z = rng.standard_normal(2**18, np.float32)
exact = np.tanh(z.astype(np.float64))
gates = mp.ops.gate(np.concatenate([z[:, None], np.full_like(z[:, None], 100)], axis=-1))[:, 0]  # sigmoid(100) is 1
ulp = float((np.abs(gates - exact) / np.spacing(np.abs(exact.astype(np.float32)))).max())
print(f"the tanh of a gate: {ulp:.1f} units in the last place, at most, over {z.size:,} numbers")

# %% [markdown]
# ## What you should see

# %%
assert opened == {"stem, 7x7": (24, 49), "block, 3x3": (5, 9), "Row LSTM, 1x3": (2, 3)}
assert all(np.allclose(result, results[0], atol=1e-4) for result in results[1:])
assert second.ctypes.data != where and third.ctypes.data == where
assert worst < 1e-5 and same and ulp < 7
assert (len(few) < len(many) / 4) == kernels.numba_enabled()

# %% [markdown]
# ## Exercises
# 1. Set `MINIPIXEL_NUMBA=0` and run the lesson again. Which lines change, and which must not?
# 2. Make the 3x3 of the tap-by-tap convolution a mask A. Which tap goes? Check it against `mp.ops.conv2d`.
# 3. Sum the gradients of shards in the order in which they are done. How many runs until the weights differ?
