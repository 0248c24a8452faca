# %% [markdown]
# # 08c The same model on a GPU
#
# - *You will* move a model to a GPU by one line, count what the host has to ask of the GPU in a step of training,
#   bring tens of thousands of requests down to a few dozen, and compute on paper when a GPU pays and when it does not.
# - *Reads* `minipixel/kernels/cuda/`, `minipixel/plan/launches.py`, `minipixel/plan/cuda.py`, `minipixel/stand_in/`;
#   `docs/gpu.md`.
# - *Before* [lesson 08b](08b_a_model_as_a_table.py).
# - *Takes* about 20 seconds to run, and 40 minutes to read. No GPU is needed.
#
# A GPU does thousands of multiplications at the same time. So is a model a thousand times faster there? It may well
# be slower. A GPU does nothing by itself: the program on the host has to ask for each piece of work, and each request
# takes time. In this lesson we count the requests. That needs no GPU: minipixel comes with a **stand-in**, which does
# the work of a GPU on the host, slowly, and counts what it was asked to do.

# %%
import inspect
import os
import re
import time
from contextlib import nullcontext
from functools import partial
from importlib.resources import files
from unittest.mock import patch

import numpy as np
from drawings import lesson_08c
from show import show

import minipixel as mp
from minipixel import backend, kernels, plan, stand_in
from minipixel.errors import DeviceError
from minipixel.kernels import cuda, opcodes
from minipixel.stand_in.compiler import compiler

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
rng = np.random.default_rng(SEED)

# %% [markdown]
# What is there on this machine? A GPU would give us real times at the end. A C++ compiler lets the stand-in run the
# kernels that were written for a GPU. Without one it can still count what happens op by op.

# %%
try:
    card = backend.gpu()
    print("a GPU:", card)
except (ImportError, DeviceError) as reason:
    card = None
    print("no GPU:", reason)
try:
    compiler()
    compiles = True
except RuntimeError as reason:
    compiles = False
    print(f"{reason}; this lesson then counts op by op alone, and runs no kernel")

# %% [markdown]
# ## The data choose the library
#
# An array on a GPU belongs to another library, CuPy, whose functions have the names of NumPy's. The ops of minipixel
# never name one of the two. They ask the data:

# %%
print(inspect.getsource(mp.ops.relu))

# %% [markdown]
# `array_module(x)` is NumPy if x is an array of NumPy, and CuPy if it is one of CuPy. We call this op with an array
# on the host, and with one on the device. (Within `stand_in.installed()` the stand-in is taken for CuPy. On a machine
# with a GPU you would leave this line out.)

# %%
with stand_in.installed():
    here = np.array([-1, 2], "float32")
    there = backend.to_device(here)
    for array in (here, there):
        print(type(array).__name__, "->", type(mp.ops.relu(array)).__name__)

# %% [markdown]
# So to move a model means to move its weights. Whatever is computed with them is then computed there. That is one
# line, and no other line of a program changes:

# %%
images = rng.integers(0, 2, (2, 8, 8, 1), dtype=np.uint8)
model = mp.models.PixelCNN((8, 8, 1), 2, hidden=8, blocks=3, dtype="float64", rng=SEED)
with stand_in.installed(), kernels.as_written():
    loss_here, gradients_here = model.value_and_gradients(images)
    model.to("cuda")  # this is the line
    loss_there, gradients_there = model.value_and_gradients(images)
    print(model.device, type(gradients_there["stem.bias"]).__name__)
print(f"loss on the host {loss_here:.6f}, on the device {loss_there:.6f}")

# %% [markdown]
# ## Three things that cost
#
# A function that runs on a GPU is called a **kernel**. (It has nothing to do with the kernel of a convolution.) To
# ask for it is a **launch**. The host puts the launch into a queue and goes on; the GPU takes one after the other out
# of the queue. If the host is fast enough, the queue is never empty and the GPU never idle. But a launch takes the
# host about 5 microseconds. In this time a large GPU could do some twenty-five million multiply-adds.
#
# The memory of a GPU is its own. So data have to be **copied** to it and back. And to copy a result back is to
# **wait**: the host cannot have a number before the whole queue up to it has been worked off. Meanwhile it launches
# nothing, so that the GPU is idle afterwards. `counted()` counts all three.

# %%
with stand_in.installed(), stand_in.counted() as counts_of_example:
    x = backend.to_device(rng.random((100, 16), "float32"))  # a copy
    weight = backend.to_device(rng.random((16, 8), "float32"))  # and another one
    y = mp.ops.relu(x @ weight + 1)  # three launches: a product, a sum, a maximum
    total = float(y.sum())  # one launch, and then a copy to the host, which waits
print(f"{counts_of_example.launches} launches, {counts_of_example.to_device.copies} copies there, 1 back")
print(f"{counts_of_example.waits} wait")

# %% [markdown]
# ## A step, op by op
#
# Now we count a step: the loss of a batch and the gradients of all weights. We take five models. They are narrow,
# which does not matter: the number of launches depends on how many ops there are, and not on how large their arrays
# are. The last two models read an image step by step, row after row or diagonal after diagonal, and each of their
# steps takes several ops (lessons 13 and 14).

# %%
side, layers = (8, 2) if QUICK else (28, 7)
shape = (side, side, 1)
MODELS = {
    "PixelCNN": lambda: mp.models.PixelCNN(shape, 2, hidden=4, blocks=15, rng=SEED),
    "Gated PixelCNN": lambda: mp.models.GatedPixelCNN(shape, 2, filters=4, layers=layers, rng=SEED),
    "PixelCNN++": lambda: mp.models.PixelCNNpp(shape, 4, filters=4, resnets=2, hierarchies=2, rng=SEED),
    "Row LSTM": lambda: mp.models.RowLSTM(shape, 2, hidden=4, layers=layers, rng=SEED),
    "Diagonal BiLSTM": lambda: mp.models.DiagonalBiLSTM(shape, 2, hidden=4, layers=layers, rng=SEED),
}


def one_step(model, N):
    """What a step with a batch of N images costs."""
    batch = rng.integers(0, 2, (N, *model.image_shape), dtype=np.uint8)
    with stand_in.counted() as counts:
        model.value_and_gradients(batch)
    return counts


# %%
op_by_op = {}
for name, make in MODELS.items():
    with stand_in.installed(), kernels.as_written():
        op_by_op[name] = one_step(make().to("cuda"), 2).launches
    milliseconds_of_host = 5e-3 * op_by_op[name]
    print(f"{name:16}{op_by_op[name]:7,} launches; at 5 microseconds each {milliseconds_of_host:6.1f} ms")

# %% [markdown]
# With maps of 28x28 and seven layers the Diagonal BiLSTM keeps the host busy for a fifth of a second, just to say what
# is to be done. It does not matter how fast the GPU is, or whether it has 2 images to work on or 200.
#
# ## A step, map by map
#
# Lesson 08b has the way out: the table of instructions that the library makes of a model. On the host it is run row
# after row, so that rows stay in the cache. For a GPU this would be the wrong order, since a row is far too little
# work for one launch. So each instruction runs over its whole map, of all images. The instructions are the same; only
# the order differs, which is that of `plan.whole_maps()`. An instruction takes one launch, or two or three.
#
# The table helps in two more ways. A whole scan of an LSTM is a single launch. And all places in memory are given out
# before the first pass. So each pass launches the same kernels, with the same numbers, on the same places.
#
# ## A step, as two graphs
#
# Whatever is always the same can be recorded. CUDA, the system that programs NVIDIA's GPUs, calls a recording a
# **graph**: while a queue is being *captured*, nothing runs, but every launch is noted down. Afterwards one launch
# starts all of them. This is the code of the library:

# %%
print(inspect.getsource(cuda.captured))

# %% [markdown]
# There are two graphs, one for the way there and one for the way back; the loss stands between them. Let us count
# both ways to run a table. To see it run map by map we put a function in the place of `captured` that records nothing.
# (A graph belongs to a number of images. So for 3 images the library has to make another one than for 2.)


# %%
def one_by_one(xp, launches):
    return lambda: [launch() for launch in launches]


def by_table(make):
    """What a step costs map by map, and as two graphs."""
    with stand_in.installed():
        model = make().to("cuda")
        with patch("minipixel.plan.cuda.captured", one_by_one):
            model.value_and_gradients(images_for(model, 2))  # this makes the table, and copies it there
            by_maps = one_step(model, 2)
        model.value_and_gradients(images_for(model, 3))  # launched one by one, since nothing has been compiled yet
        return by_maps, one_step(model, 3)


def images_for(model, N):
    return rng.integers(0, 2, (N, *model.image_shape), dtype=np.uint8)


# %%
table_of_launches = {"op by op": op_by_op}
nodes = {}
if compiles:
    map_by_map = {}
    as_graphs = {}
    for name, make in MODELS.items():
        by_maps, by_graphs = by_table(make)
        map_by_map[name] = by_maps.launches
        as_graphs[name] = by_graphs.launches
        nodes[name] = by_graphs.graph_nodes
        print(f"{name:16}{op_by_op[name]:7,} op by op,{map_by_map[name]:6,} map by map,{as_graphs[name]:4} as graphs")
    table_of_launches |= {"map by map": map_by_map, "as two graphs": as_graphs}

# %%
show(
    lesson_08c.launches(table_of_launches),
    "08c_launches",
    "What the host has to launch in a step. The scale is logarithmic: from one line to the next is ten times as many. "
    "Op by op the models that scan stand out; as graphs all are nearly alike.",
)

# %% [markdown]
# What are the few dozen launches that are left? Two are the graphs. The rest bring weights to the table and gradients
# back from it, and compute the loss from the model's output op by op, since the table ends there. The loss of
# PixelCNN++ is a mixture (lesson 16), which takes more ops than the others.
#
# ## Waits and copies
#
# A training that reads its loss after each step waits after each step. minipixel reads one short row of numbers once
# a step: the loss, the size of the gradients, and whether all numbers are finite. It reads them at the very end, when
# the launches of the whole step are in the queue. We let `fit` train for two epochs and for three, and take the
# difference: what begins and ends a training falls out.


# %%
def training(epochs):
    model = mp.models.PixelCNN((8, 8, 1), 2, hidden=4, blocks=2, rng=SEED)
    data = rng.integers(0, 2, (32, 8, 8, 1), dtype=np.uint8)
    optimizer = mp.optim.Adam() if compiles else mp.optim.SGD(0.01)  # Adam has a kernel of its own
    with stand_in.installed(), stand_in.counted() as counts, nullcontext() if compiles else kernels.as_written():
        mp.fit(model.to("cuda"), data, epochs=epochs, batch_size=8, progress=False, optimizer=optimizer)
    return counts


shorter, longer, steps = training(2), training(3), 4
waits_per_step = (longer.waits - shorter.waits) / steps
bytes_per_step = (longer.to_device.bytes - shorter.to_device.bytes) / steps
launches_per_step = (longer.launches - shorter.launches) / steps
print(f"a step of fit: {launches_per_step:.0f} launches, {waits_per_step:.0f} wait, {bytes_per_step:,.0f} bytes there")

# %% [markdown]
# A batch has 8 images of 64 pixels, each of them a byte: these are the 512 bytes. (Without a compiler, op by op, masks
# go over as well.) The weights are there already, and stay there.
#
# ## When does it pay?
#
# We can estimate the time of a step. *What follows is arithmetic and no measurement.* We assume a GPU and a host with
# round numbers: about those of a large card, and of two cores of a laptop, where rows stay in the cache.

# %%
LAUNCH = 5e-6  # seconds in which the host asks for a kernel, or for a graph
KERNEL = 1.5e-6  # seconds that the GPU takes for a kernel with next to nothing to do
GPU = {"numbers": 2.5e11, "multiply-adds": 5e12}  # per second: 1,000 GB of float32; 10 million million operations
HOST = {"numbers": 2.5e10, "multiply-adds": 5e10}


def work_time(work, machine):
    """Seconds to read and write so many numbers, and to do so many multiply-adds."""
    return sum(work[what] / machine[what] for what in work)


def gpu_time(launches, kernels_run, work):
    """Host and GPU work side by side, so the slower one decides."""
    return max(launches * LAUNCH, kernels_run * KERNEL + work_time(work, GPU))


# %% [markdown]
# How much work is a step? The table knows. An instruction reads a map with as many channels as operand A has, and
# writes one with those of B. Products also multiply. Where T taps look at neighbours, the GPU first lays side by side
# what each pixel sees, as in lesson 07: T times as many numbers are written, and then read by the product.

# %%
NAMES = {number: name for name, number in opcodes.OPCODES.items()}
WITH_TAPS = ("TAPS", "LAID", "TAPS_X", "TAPS_W", "LAID_W")


def work_of(table):
    """The numbers that go to and from memory, and the multiply-adds, for one image."""
    work = {"numbers": 0, "multiply-adds": 0}
    for first, last, steps, *_ in (*table.forward, *table.back):
        for line in table.rows[first:last]:
            name = NAMES[line[opcodes.OP]]
            starts = table.starts[line[opcodes.STARTS] :]
            pixels = int(starts[steps] - starts[0])
            K_A, K_B = int(line[opcodes.A + 3]), int(line[opcodes.B + 3])
            T = max(1, int(line[opcodes.T])) if name in WITH_TAPS else 0
            work["numbers"] += pixels * (K_A + K_B + 2 * T * K_A)
            if T or name.startswith("MATMUL"):
                work["multiply-adds"] += pixels * max(1, T) * K_A * K_B
    return work


# %% [markdown]
# We take three models: a small one for digits of 8x8 pixels, one for digits of 28x28, and a wide one for photographs.
# To count their launches we take twins that are narrower and draw smaller pictures; they launch about as much.

# %%
SIZES = {
    "8x8x1, 32 features": ((8, 8, 1), 2, {"hidden": 16, "blocks": 5}),
    "28x28x1, 64 features": ((28, 28, 1), 2, {"hidden": 32, "blocks": 10}),
    "32x32x3, 384 features": ((32, 32, 3), 256, {"hidden": 192, "blocks": 15}),
}
works = {}
requests = {}  # launches, and kernels that run
for title, (shape_of, levels, options) in SIZES.items():
    with plan.whole_maps():
        works[title] = work_of(plan.table_of(mp.models.PixelCNN(shape_of, levels, **options, rng=SEED), 64))
    twin = partial(mp.models.PixelCNN, (6, 6, shape_of[2]), levels, **options | {"hidden": 6}, rng=SEED)
    with stand_in.installed(), kernels.as_written():
        launches = one_step(twin().to("cuda"), 2).launches
    requests[title] = {"GPU, op by op": (launches, launches)}
    if compiles:
        counts = by_table(twin)[1]
        requests[title]["GPU, as two graphs"] = (counts.launches, counts.launches + counts.graph_nodes)
    print(f"{title}: {works[title]['multiply-adds'] / 1e6:,.1f} million multiply-adds per image")

# %%
batches = 2 ** np.arange(11)
curves = {}
pays_from = {}
for title in SIZES:
    of_batches = [{what: N * number for what, number in works[title].items()} for N in batches]
    lines = {way: [gpu_time(*asked, work) for work in of_batches] for way, asked in requests[title].items()}
    lines["host"] = [work_time(work, HOST) for work in of_batches]
    curves[title] = {way: np.array(seconds) / batches for way, seconds in lines.items()}
    for way in requests[title]:
        faster = batches[curves[title][way] < curves[title]["host"]]
        pays_from[title, way] = int(faster[0]) if len(faster) else None
        print(f"{title}, {way}: pays from a batch of {pays_from[title, way]} on")
show(
    lesson_08c.when_it_pays(batches, curves),
    "08c_when_it_pays",
    "Computed from our assumptions, not measured. Where a line falls, a batch costs the same however few images it "
    "has. Where it is flat, the work itself takes the time, and more images per batch gain nothing.",
)

# %% [markdown]
# The small model gives a GPU next to nothing to do. Op by op it takes a batch of many images to be worth the launches;
# as graphs, a smaller one. The wide model keeps the GPU busy with a single image, and launches do not matter. Do not
# trust the numbers, which are as good as our assumptions: products of few channels are far from the speed of large
# ones, on either machine. Trust the form of the lines, and measure what your own machine does.
#
# **Drawing images** is another matter. Each pixel waits for the one before, and a step computes one pixel of each map
# (lesson 20). So all kernels of a forward pass run once for *each pixel*, with the work of a single pixel. Even if
# each step is one graph, its kernels take their least time. (We leave out that all weights are read once a step.)

# %%
ms_per_image = {}
for title, (shape_of, levels, options) in SIZES.items():
    with plan.whole_maps():
        scoring = plan.table_of(mp.models.PixelCNN(shape_of, levels, **options, rng=SEED), 64, back=False)
    pixels, work = shape_of[0] * shape_of[1], work_of(scoring)
    for N in (1, 1024):
        all_images = {what: N * number for what, number in work.items()}
        on_gpu = pixels * len(scoring.rows) * KERNEL + work_time(all_images, GPU)
        ms_per_image[title, N] = (1e3 * on_gpu / N, 1e3 * work_time(all_images, HOST) / N)
        print("{}, {:4} images: GPU {:.3f} ms per image, host {:.3f}".format(title, N, *ms_per_image[title, N]))

# %% [markdown]
# One image is drawn faster on the host. With a thousand at a time it is the other way round. minipixel draws on the
# host unless it is told otherwise, until somebody has measured on a card from which sizes on it should not. With
# `method="cached"` it draws on the GPU, by a single kernel that walks through all pixels of an image in one block: then
# no step is launched at all.
#
# ## Reading a kernel
#
# What does a kernel look like? It is written in CUDA C, which is C++ with a few words more. It runs in many **threads**
# at once, and threads stand together in **blocks**, here of 256. Each thread runs the same text, and knows who it is:
# `threadIdx.x` is its number within its block, and `blockIdx.x` is the number of the block. This kernel is the first
# half of the gradient of a bias, which is the sum of g over all pixels and images, for each channel:


# %%
def source_of(name):
    """The text of a kernel."""
    return re.search(rf"^[A-Z_]+ {name}\(.*?^}}", cuda.source(), re.MULTILINE | re.DOTALL)[0]


print(source_of("column_sums"))

# %% [markdown]
# - `KERNEL` stands for the words by which CUDA knows a kernel, and `REAL` for float or double.
# - `for (int block ...)`: the rows are cut into as many parts as `blocks` says, and each block takes every part whose
#   turn it is. If there are fewer blocks than parts, a block takes several.
# - `OF_BLOCK(j, n)` is a loop, too: `for (int j = threadIdx.x; j < n; j += blockDim.x)`. So the threads of a block
#   share out j. Both loops are right for *any* number of blocks and threads, even for one.
# - `k = j % K` is the channel, and `j / K` is one of several lanes: lane 0 takes the rows 0, `lanes`, 2 `lanes` and so
#   on. Neighbouring threads read neighbouring numbers, which the memory of a GPU delivers together.
# - `of` chooses what is added up: g, or g times something that gives the gradient of a slope or of a factor.
# - `partial[...] = sum`: each sum is written by one thread, in a place of its own. Another kernel, `add_column`, adds
#   up the parts.
#
# Why two kernels? In a shorter way each thread would add its number to the result. Two threads may do that at the same
# time: both read the old sum, both write a new one, and one of the two numbers is lost. GPUs have **atomic**
# additions for this purpose, which wait for one another. But they add in the order in which the threads come, and that
# is another one in each run. A sum in another order has other last bits (lesson 08). So the kernels of minipixel use no
# atomics, so that two runs of a training can be equal to the bit.

# %%
g = rng.standard_normal((2000, 6)).astype("float32")
by_arrival = set()
for _ in range(50):
    arrived = np.add.accumulate(g[rng.permutation(len(g)), 0])  # one number after the other, as atomics do
    by_arrival.add(float(arrived[-1]))
print(f"channel 0, 50 orders of arrival: {len(by_arrival)} sums")

# %%
by_kernel = set()
if compiles:
    text = "".join(files(cuda).joinpath(name).read_text() for name in ("common.h", "sums.cu"))
    with stand_in.installed():
        column_sums = stand_in.device.RawModule(code=text, options=("-DREAL=float",)).get_function("column_sums")
        there = backend.to_device(g)
        partial_sums = backend.to_device(np.empty((5, 8, 6), "float32"))  # 5 blocks, 8 lanes, 6 channels
        numbers = map(np.int32, (*g.shape, 8, 5, 0))  # rows, K, lanes, blocks, of
        arguments = (there, there, partial_sums, *numbers)
        for threads in (1, 2, 4, 4):
            with stand_in.threads_in_a_block(threads):
                column_sums((5,), (threads,), arguments)  # a launch: how many blocks, how many threads, and with what
            by_kernel.add(partial_sums.get().tobytes())
        sums = partial_sums.get().sum(axis=(0, 1))
    print(f"the kernel with 1, 2, 4 and again 4 threads: {len(by_kernel)} result")
    print(f"it differs from NumPy's by {np.abs(sums - g.sum(0)).max():.0e}")

# %% [markdown]
# This is how kernels are tested without a GPU. A C++ compiler gets the text of the kernel and a few definitions for
# the words that only CUDA has. In the fast build a block has one thread, and the loops do all the work. In another
# build a block has several real threads of the processor, so that a kernel whose threads get in each other's way is
# found. Besides, NVIDIA's own compiler, which needs no GPU either, has to accept each kernel without a warning.
#
# ## The way back of a gather
#
# To look at neighbours is to **gather**: the kernel `lay` has a table that tells for each pixel, and each tap, which
# pixel is seen. A thread writes one number, and nobody else writes it. The way back is a scatter-add, as in lesson 07:
# pixel s gets the gradients of all numbers that were read from it. Say that in a row of six pixels tap 0 sees the left
# neighbour and tap 1 the pixel itself (-1 stands for the border):

# %%
seen = np.array([[-1, 0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5]])  # [pixel, tap]
ones = np.ones(seen.shape)  # the gradient of each number that was laid down

lost = np.zeros(7)  # place -1 is the last one, and takes what comes from the border
lost[seen] += ones
print("each number is added by itself:", lost[:6])

# %% [markdown]
# All but the last pixel have two readers, so the gradient should be 2 there. NumPy does here what threads do that get
# in each other's way: it reads all old numbers, adds, and then writes, so that one of two additions is lost. The remedy
# is to turn the table around once, before the first pass: for each pixel, the **list of its readers**. Then a thread
# has one pixel, and adds up what is in its list, in the order of the list.

# %%
readers = np.argsort(seen.ravel(), kind="stable")  # as pixel * T + tap
readers = readers[np.count_nonzero(seen < 0) :]
start = np.searchsorted(seen.ravel()[readers], np.arange(7))
by_lists = [float(ones.ravel()[readers[start[s] : start[s + 1]]].sum()) for s in range(6)]
print("each pixel adds up its readers:", by_lists)
show(
    lesson_08c.readers(seen),
    "08c_readers",
    "What has a thread is filled with colour, where pixel 2 is concerned. Left: to gather, each thread writes one "
    "number. Middle: back, two threads add to one pixel. Right: with a list of readers, one thread does.",
)

# %% [markdown]
# ## A scan is one kernel
#
# In an LSTM each step needs the states of the step before. One launch for each step would be 55 of them for a map of
# 28x28 by diagonals; op by op it was several for each. Between two launches the GPU makes sure that all blocks have
# finished. *Within* a block that is cheaper: `__syncthreads()` waits for the threads of this block alone. Images have
# nothing to do with one another. So each image gets a block of its own, which goes through all steps:

# %%
print(source_of("scan"))

# %% [markdown]
# (`OF_IMAGES` is `KERNEL`, for blocks of 512 threads.) Read it from outside in. The loop over n shares out the images
# among the blocks, and the loop over r takes the steps one after the other. The first `OF_BLOCK` adds to each gate what
# comes from the states that its taps see. Then all threads wait, since the gates of a cell were computed by several of
# them. The second `OF_BLOCK` computes the cell and its state, and all wait again before the next step reads them. The
# gradient of the weights is not computed in the scan of the way back: once all gradients of gates are there, it is one
# large matrix product.
#
# The price: a large GPU has over a hundred processors, each of which works on a few blocks. A batch of 16 images keeps
# 16 of them busy. A scan wants large batches more than a convolution does.
#
# ## Do the numbers agree?
#
# The stand-in has run the kernels above all along, so we can compare: the gradients of a model op by op on the
# host, which is its definition, and by the table on the device, in the end as two graphs.

# %%
furthest = {}
for kind in (mp.models.PixelCNN, mp.models.DiagonalBiLSTM) if compiles else ():
    model = kind((5, 5, 1), 2, hidden=4, dtype="float64", rng=SEED)
    batch = images_for(model, 3)
    with kernels.as_written():
        wanted = model.value_and_gradients(batch)[1]
    with stand_in.installed():
        model.to("cuda")
        for _ in range(3):
            found = model.value_and_gradients(batch)[1]
        furthest[kind] = max(float(np.abs(backend.to_cpu(found[name]) - wanted[name]).max()) for name in wanted)
    print(f"{kind.__name__}: gradients on the device differ by {furthest[kind]:.0e}")

# %% [markdown]
# ## On a real GPU
#
# If this machine has a GPU, we now measure in milliseconds what a step takes there, with a batch of 64 images. The
# program is the same; the stand-in is gone.


# %%
def milliseconds(model, batch):
    """The median of some steps, after three that compile and record. Reading the loss waits for the GPU."""
    times = []
    for _ in range(8):
        began = time.perf_counter()
        model.value_and_gradients(batch)
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times[3:]))


# %%
if card is None:
    print("no GPU here, so there are no times")
for name, make in MODELS.items() if card else ():
    model = make().to("cuda")
    batch = images_for(model, 64)
    with kernels.as_written():
        slow = milliseconds(model, batch)
    print(f"{card}: {name} {slow:.1f} ms op by op, {milliseconds(model, batch):.1f} ms as two graphs")

# %% [markdown]
# ## What you should see
#
# The device computes what the host does. Models that scan launch most, op by op. A step of `fit` waits once and copies
# its batch. A sum in the order of arrival is another one each time.

# %%
assert np.isclose(loss_here, loss_there, rtol=1e-12)
assert (counts_of_example.launches, counts_of_example.to_device.copies, counts_of_example.waits) == (4, 2, 1)
assert op_by_op["Diagonal BiLSTM"] > 4 * op_by_op["PixelCNN"]
assert waits_per_step == 1
assert len(by_arrival) > 1
assert list(lost[:6]) == [1] * 6
assert by_lists == [2, 2, 2, 2, 2, 1]
assert ms_per_image["8x8x1, 32 features", 1][0] > ms_per_image["8x8x1, 32 features", 1][1]

# %% [markdown]
# The table launches less than op by op, and a graph launches each of its kernels at no cost to the host. Every number
# of threads gives the same bits.

# %%
if compiles:
    for name in MODELS:
        assert map_by_map[name] < op_by_op[name]
        assert map_by_map[name] == as_graphs[name] - 2 + nodes[name]
    assert max(as_graphs.values()) < 150
    assert bytes_per_step == 8 * 64
    assert len(by_kernel) == 1
    assert max(furthest.values()) < 1e-11
    small = "8x8x1, 32 features"
    assert pays_from[small, "GPU, as two graphs"] < pays_from[small, "GPU, op by op"]

# %% [markdown]
# ## Exercises
#
# 1. *easy* Count the launches of a PixelCNN with 5, 10 and 15 blocks, op by op. How many does a block take? Predict
#    the number for 20 blocks, then count.
# 2. *easy* Take two imaginary cards. With one, launches and kernels cost half; the other has twice the speed at work.
#    Which of them does a batch of 16 images of the small model like better, and which the wide model?
# 3. *medium* Write a kernel of your own: the largest number of each column of a matrix. Compile and run it with
#    `stand_in.device.RawModule`, with one thread and with four, and compare it with NumPy.
# 4. *medium* Put a mistake into a kernel: leave out the `__syncthreads()` between two loops of which the second reads
#    what the first has written. What do you see with one thread? Within `stand_in.examined("threads")` a tool looks
#    for numbers that two threads use at the same time. What does it say?
# 5. *hard* Compute how long the scan of a map of 28x28 by diagonals takes, with 64 channels and two taps: in one kernel
#    with a block for each image, and with two kernels for each diagonal, in a graph, that may use the whole GPU. For
#    which numbers of images is one kernel faster? State what you assume about a GPU with 100 processors.
#
# Solutions: [solutions/08c_the_same_model_on_a_gpu.py](solutions/08c_the_same_model_on_a_gpu.py).
