# %% [markdown]
# # Solutions of lesson 08c: the same model on a GPU
#
# Each solution begins with its exercise. [The lesson](../08c_the_same_model_on_a_gpu.py) says what a launch is, and
# what its estimates assume. Exercises 3 and 4 run kernels, for which a C++ compiler has to be there.

# %%
import numpy as np

import minipixel as mp
from minipixel import backend, kernels, stand_in
from minipixel.stand_in.compiler import compiler

try:
    compiler()
    compiles = True
except RuntimeError as reason:
    compiles = False
    print(f"{reason}; exercises 3 and 4 are not run")

# %% [markdown]
# ## Exercise 1
#
# > Count the launches of a PixelCNN with 5, 10 and 15 blocks, op by op. How many does a block take? Predict the number
# > for 20 blocks, then count.
#
# Each block does the same ops, there and back, so each five blocks add the same number.

# %%
rng = np.random.default_rng(0)
images = rng.integers(0, 2, (2, 8, 8, 1), dtype=np.uint8)


def launches_of(blocks):
    model = mp.models.PixelCNN((8, 8, 1), 2, hidden=4, blocks=blocks, rng=0)
    with stand_in.installed(), kernels.as_written():
        model.to("cuda")
        with stand_in.counted() as counts:
            model.value_and_gradients(images)
    return counts.launches


found = {blocks: launches_of(blocks) for blocks in (5, 10, 15)}
per_block = (found[10] - found[5]) / 5
predicted = found[15] + 5 * per_block
print(found, f"{per_block:.0f} launches per block; 20 blocks: {predicted:.0f} predicted, {launches_of(20)} counted")
assert found[15] - found[10] == found[10] - found[5]
assert predicted == launches_of(20)

# %% [markdown]
# ## Exercise 2
#
# > Take two imaginary cards. With one, launches and kernels cost half; the other has twice the speed at work. Which of
# > them does a batch of 16 images of the small model like better, and which the wide model?
#
# We take round numbers from the lesson. The small model launches some 300 kernels op by op, and does 2.9 million
# multiply-adds per image; the wide one launches some 800 and does 17,000 million. (We leave the memory out.)

# %%
LAUNCH, KERNEL, SPEED = 5e-6, 1.5e-6, 5e12


def seconds(launches, multiply_adds, cheaper=1, faster=1):
    asking = launches * LAUNCH / cheaper
    working = launches * KERNEL / cheaper + 16 * multiply_adds / (faster * SPEED)
    return max(asking, working)


gains = {}
for name, launches, multiply_adds in (("small", 300, 2.9e6), ("wide", 800, 1.7e10)):
    now = seconds(launches, multiply_adds)
    gains[name] = [now / seconds(launches, multiply_adds, *card) for card in ((2, 1), (1, 2))]
    print("{}: {:.2f} times as fast with cheaper launches, {:.2f} with faster work".format(name, *gains[name]))
assert gains["small"][0] > 1.9 and gains["small"][1] < 1.1
assert gains["wide"][0] < 1.1 and gains["wide"][1] > 1.9

# %% [markdown]
# A fast card is of no use to whom waits for launches. This is why a larger batch, or a graph, may gain more than a
# dearer card.

# %% [markdown]
# ## Exercise 3
#
# > Write a kernel of your own: the largest number of each column of a matrix. Compile and run it with
# > `stand_in.device.RawModule`, with one thread and with four, and compare it with NumPy.
#
# One thread has one column, and writes one number. The loop makes it right for any number of threads.

# %%
LARGEST = """
extern "C" __global__ void largest(const REAL* x, REAL* y, int rows, int K) {
    for (int k = blockIdx.x * blockDim.x + threadIdx.x; k < K; k += gridDim.x * blockDim.x) {
        REAL most = x[k];
        for (int row = 1; row < rows; row++) most = x[row * K + k] > most ? x[row * K + k] : most;
        y[k] = most;
    }
}
"""
x = rng.standard_normal((50, 7)).astype("float32")
results = []
for threads in (1, 4) if compiles else ():
    with stand_in.installed(), stand_in.threads_in_a_block(threads):
        kernel = stand_in.device.RawModule(code=LARGEST, options=("-DREAL=float",)).get_function("largest")
        there, largest = backend.to_device(x), backend.to_device(np.empty(7, "float32"))
        kernel((2,), (threads,), (there, largest, np.int32(50), np.int32(7)))
        results.append(largest.get())
print("equal to NumPy's:", [np.array_equal(result, x.max(axis=0)) for result in results])
assert all(np.array_equal(result, x.max(axis=0)) for result in results)

# %% [markdown]
# ## Exercise 4
#
# > Put a mistake into a kernel: leave out the `__syncthreads()` between two loops of which the second reads what the
# > first has written. What do you see with one thread? Within `stand_in.examined("threads")` a tool looks for numbers
# > that two threads use at the same time. What does it say?
#
# With one thread the first loop is finished when the second begins, so nothing is wrong. With several threads a
# thread may read what another one has not written yet. Most of the time the result is right even so, which makes such
# mistakes hard to find by looking at results. The tool notes who uses which number, and with which barrier between.

# %%
REVERSED = """
extern "C" __global__ void reversed(const REAL* x, REAL* y, REAL* z, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) y[i] = 2 * x[i];
    BARRIER
    for (int i = threadIdx.x; i < n; i += blockDim.x) z[i] = y[n - 1 - i];
}
"""


def run_reversed(barrier):
    """The result of the kernel, with such a barrier."""
    with stand_in.installed():
        options = ("-DREAL=float", f"-DBARRIER={barrier}")
        kernel = stand_in.device.RawModule(code=REVERSED, options=options).get_function("reversed")
        row, y, z = (backend.to_device(np.arange(8, dtype="float32")) for _ in range(3))
        kernel((1,), (4,), (row, y, z, np.int32(8)))
        return z.get()


said = {}
for barrier in ("__syncthreads();", ";") if compiles else ():
    with_one_thread = run_reversed(barrier)
    assert np.array_equal(with_one_thread, 2 * np.arange(8)[::-1])
    try:
        with stand_in.examined("threads"):
            run_reversed(barrier)
        said[barrier] = "nothing"
    except stand_in.KernelError as error:
        said[barrier] = str(error)
    except RuntimeError as error:  # not every compiler has the tool
        said = {}
        print(error)
        break
for barrier, words in said.items():
    print(f"{barrier:18}{words}")
if said:
    assert said["__syncthreads();"] == "nothing"
    assert said[";"] != "nothing"

# %% [markdown]
# ## Exercise 5
#
# > Compute how long the scan of a map of 28x28 by diagonals takes, with 64 channels and two taps: in one kernel with a
# > block for each image, and with two kernels for each diagonal, in a graph, that may use the whole GPU. For which
# > numbers of images is one kernel faster? State what you assume about a GPU with 100 processors.
#
# There are 55 diagonals, 784 cells, and 2 * 64 * 256 multiply-adds for a cell. We assume that 100 processors together
# do 5e12 multiply-adds a second, and one of them a hundredth of that; that a kernel in a graph takes 1.5 microseconds
# beside its work, and a barrier within a block half a microsecond, of which each diagonal has two; that a processor
# works on one block after the other; and that the whole GPU can be used even for the few cells of one diagonal.

# %%
DIAGONALS, PROCESSORS, BARRIER = 55, 100, 0.5e-6
of_an_image = 784 * 2 * 64 * 256


def one_kernel(N):
    in_turn = -(-N // PROCESSORS)  # so many images come one after another on the busiest processor
    return in_turn * (2 * DIAGONALS * BARRIER + of_an_image / (SPEED / PROCESSORS))


def kernel_by_kernel(N):
    return 2 * DIAGONALS * KERNEL + N * of_an_image / SPEED


for N in (1, 16, 64, 100, 128, 1000):
    print(f"{N:5} images: one kernel {1e3 * one_kernel(N):.2f} ms, two per diagonal {1e3 * kernel_by_kernel(N):.2f} ms")
one_is_faster = [N for N in range(1, 1001) if one_kernel(N) < kernel_by_kernel(N)]
print("one kernel is faster for", one_is_faster[0], "to", one_is_faster[-1], "images, with gaps")

# %% [markdown]
# With one image a single processor does all the work, and the other 99 have nothing to do: it takes three times as
# long. One kernel is a little faster only where the images nearly fill the processors. Without a graph, 110 launches
# take the host 0.55 ms, and then the two are about equal even for one image. So by this arithmetic a scan need not be
# one kernel for the sake of its speed, once it is in a graph; a measurement on a card may well change this choice of
# the library.

# %%
assert one_kernel(1) > 3 * kernel_by_kernel(1)
assert one_kernel(100) < kernel_by_kernel(100)
assert one_kernel(101) > kernel_by_kernel(101)
launched_one_by_one = max(2 * DIAGONALS * LAUNCH, kernel_by_kernel(1))
assert abs(launched_one_by_one / one_kernel(1) - 1) < 0.1
