# %% [markdown]
# # 18 PixelCNN++ and its U
#
# - *You will* halve maps and enlarge them again, connect the two by shortcuts, measure how far such a model sees, train
#   a PixelCNN++ on digits, and use it under the names of TensorFlow Probability.
# - *Reads* `minipixel/models/pixelcnnpp.py`, `minipixel/nn/shifted.py`, `minipixel/distributions.py`; Salimans et al.
#   2017 (PixelCNN++), [arXiv:1701.05517](https://arxiv.org/abs/1701.05517), section 2 and figure 2.
# - *Before* [lesson 16](16_logistic_mixtures.py) for mixtures, [lesson 17](17_streams_without_a_mask.py) for the
#   streams.
# - *Takes* less than a minute on two cores; 25 minutes to read.
#
# In lesson 17 two streams, u and ul, ran through the network without a mask. Each of their convolutions sees a little
# further than the one before: one row up, and one column to the side. To see all of a picture of 28x28 pixels in this
# way takes dozens of them, and each computes a value at every pixel. *How does a network look far with few layers, and
# without losing the details that lie close by?* The answer of PixelCNN++ is to halve the maps, and to enlarge them
# again.

# %%
import os

import numpy as np
from drawings import lesson_18
from scipy.special import expit
from show import show

import minipixel as mp
from minipixel import ops

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"  # a short training, to see that the lesson runs

# %% [markdown]
# ## One kind of layer: the gated residual
# The network is built of one kind of layer, for both streams. It is a residual layer, as in lesson 03: what comes in
# is added to what was computed from it. Inside it has two convolutions and a gate, as in lesson 09, with two small
# differences.
#
# The first difference is the **activation**, the function between two convolutions. In PixelCNN it is the rectifier,
# here it is **concat_elu**. It puts $\mathrm{elu}(x)$ and $\mathrm{elu}(-x)$ side by side, where $\mathrm{elu}(x)$ is
# $x$ above 0 and $e^x - 1$ below. A rectifier throws away what is negative. Here both signs survive, in channels of
# their own, so K channels become 2 K. The second difference is the gate, whose first factor has no tanh: where the
# Gated PixelCNN has $\tanh(a)\,\sigma(b)$, PixelCNN++ has $a \, \sigma(b)$. So a layer makes $x'$ of $x$ like this:
#
# $$y = \mathrm{conv}_1(\mathrm{concat\_elu}(x)), \qquad [a, b] = \mathrm{conv}_2(\mathrm{concat\_elu}(y)), \qquad
# x' = x + a \, \sigma(b)$$
#
# We take one such layer of an untrained model, the first one of the stream u, run its two convolutions `first` and
# `second` ourselves, and compare. (A layer may also read a *skip*, which comes below, and a condition. This one gets
# neither.)

# %%
rng = np.random.default_rng(18)
H = 7
W = 9
untrained = mp.models.PixelCNNpp((H, W, 1), 4, filters=8, resnets=2, hierarchies=2, dtype="float64", rng=SEED)
layer = untrained.level.way_in[0].u
x = rng.normal(size=(H, W, 3, 8))  # (H, W, N, K)

y = layer.first(ops.concat_elu(x)).data
a_and_b = layer.second(ops.concat_elu(y)).data
a = a_and_b[..., :8]
b = a_and_b[..., 8:]
by_hand = x + a * expit(b)
by_layer = layer(mp.Tensor(x), (), None, None).data  # no skip, no condition, no dropout
print(f"hand and layer differ by {np.abs(by_hand - by_layer).max():.1e}")

# %% [markdown]
# A layer of u, and the layer of ul that reads it, are called a *pair* in the code. A pair is one box in the diagram
# below.
#
# ## Halve: every second row and column
# On a map of half the height and half the width, the same kernel reaches twice as far, and costs a quarter. So we
# halve the maps: a convolution with stride 2 computes only every second row and every second column of its output. A
# map of 7x9 becomes one of 4x5; odd sizes are rounded up. Nothing has changed for causality: each value that is
# computed reads what it would have read without the stride.
#
# ## Enlarge: the transposed convolution
# In the end each pixel of the full-sized image needs a prediction of its own. So the small map must be enlarged. A
# convolution with a stride can be written as a matrix $A$, with a column for each pixel of the large map and a row for
# each pixel of the small one. The transposed matrix $A^T$ leads from the small map to a large one. It is the transposed
# convolution of lesson 15. Where the convolution reads several pixels and makes one, the transposed one reads one pixel
# and *writes* to several, and adds up where several write to the same place. Two linear maps are each other's transpose
# exactly if, for all $x$ and $y$,
#
# $$\langle A x, y \rangle = \langle x, A^T y \rangle,$$
#
# where $\langle \cdot, \cdot \rangle$ is the sum of the products of all entries. We check this with random maps: in the
# code, $x$ is `large` and $y$ is `small`.

# %%
kernel = rng.normal(size=(2, 3, 1, 1))
large = rng.normal(size=(7, 9, 1, 1))
small = rng.normal(size=(4, 5, 1, 1))
halved = ops.conv2d(large, kernel, None, stride=2, centre=(0, 1))
enlarged = ops.transposed_conv2d(small, kernel, None, size=(7, 9), stride=2, centre=(0, 1))
left_side = np.vdot(halved, small)
right_side = np.vdot(large, enlarged)
print(f"7x9 -> {halved.shape[0]}x{halved.shape[1]} -> {enlarged.shape[0]}x{enlarged.shape[1]}")
print(f"<A x, y> = {left_side:.12f}, <x, A^T y> = {right_side:.12f}")

# %% [markdown]
# In the model, halving and enlarging have kernels of their own, and their centres are at different places. Causality
# depends on that. The kernel that halves the stream u has its centre in its last row, so it reads the row above. The
# kernel that enlarges it has its centre in its *first* row, so it writes downwards: from row $k$ of the small map to
# the rows $2k$ and $2k + 1$ of the large one, never to an earlier row. (In the same way, the kernels of ul read from
# the left and write to the right.) We look at one pixel of the small map: what it is computed from, and where it is
# written to.

# %%
place = (2, 2)
one_pixel = np.zeros((4, 5, 1, 1))
one_pixel[place] = 1

tracked = mp.Tensor(large)
output = ops.conv2d(tracked, kernel, None, stride=2, centre=(1, 1))
output.backward(one_pixel)
read = tracked.grad[:, :, 0, 0] != 0
written = ops.transposed_conv2d(one_pixel, kernel, None, size=(7, 9), stride=2, centre=(0, 1))[:, :, 0, 0] != 0
show(
    lesson_18.halve_and_enlarge(read, written, place),
    "18_halve_and_enlarge",
    "Left: the pixel (2, 2) of the small map stands at (4, 4) of the large one, and is computed from kept values of "
    "the rows 3 and 4. Right: when the map is enlarged, it is written to the rows 4 and 5, and to none above. Pale "
    "cells have no part in it.",
)

# %% [markdown]
# ## Shortcuts, from twin to twin
# A small map has lost detail: four pixels became one. Yet nothing tells more about a pixel than its nearest neighbours.
# So the *way back*, on which maps are enlarged, gets the details from the *way in*, on which they were halved. Each
# pair on the way back has a **twin** on the way in, a layer whose map has the same size. It is told the twin's output:
# a 1x1 convolution of that output is added to $y$ between its own two convolutions. (In every pair, ul reads u in this
# same way.) Such a connection, which leaves out everything between, is called a **shortcut** or *skip connection*. The
# whole network is called a **U**, after its shape.

# %%
show(
    lesson_18.u_of_three_sizes(),
    "18_u",
    "A PixelCNN++ of three sizes with resnets=1. Follow the black arrows down to the smallest map and up again; the "
    "arcs are the shortcuts. The start is the one of lesson 17, the top a 1x1 convolution to the mixture's parameters.",
)

# %% [markdown]
# Every map made on the way in is used once more on the way back, the last one first. So the code of the paper keeps one
# list of all maps that were made on the way in, and takes them back from its end. Here we keep that list by hand, for
# the model from above, which has two sizes. The layers are the library's, so the numbers must be those of the library,
# too. (`halve` holds the layer of u and that of ul, and so does `enlarge`.)

# %%
fine = untrained.level
coarse = fine.below
streams = [mp.Tensor(rng.normal(size=(H, W, 3, 8))), mp.Tensor(rng.normal(size=(H, W, 3, 8)))]  # u and ul

u, ul = streams
made = [(u, ul)]
for pair in fine.way_in:
    u, ul = pair(u, ul)
    made.append((u, ul))
u = fine.halve[0](u)
ul = fine.halve[1](ul)
made.append((u, ul))
for pair in coarse.way_in:
    u, ul = pair(u, ul)
    made.append((u, ul))
print(f"on the way in {len(made)} pairs of maps were made, of heights", *(u.shape[0] for u, ul in made))

# %% [markdown]
# On the way back we begin with the last maps that were made, at the bottom of the U. Each pair takes its twin's output
# from the end of the list.

# %%
u, ul = made.pop()
for pair in coarse.way_back:
    twin = made.pop()
    u, ul = pair(u, ul, twin)
u = fine.enlarge[0](u)
ul = fine.enlarge[1](ul)
for pair in fine.way_back:
    twin = made.pop()
    u, ul = pair(u, ul, twin)

u_by_library, ul_by_library = fine(*streams)
apart = max(np.abs(u.data - u_by_library.data).max(), np.abs(ul.data - ul_by_library.data).max())
print(f"left in the list: {len(made)}; largest difference to the library: {apart:.1e}")

# %% [markdown]
# The library has no list for the whole network. Its class `Level` stands for one size of map. It runs some pairs; then,
# if there is a smaller size, it halves the maps, calls another `Level` and enlarges the result; then it runs pairs
# again.
#
# ## How far it sees
# PixelCNN++ is often called a model of the whole past. We check that. On images of 28x28 pixels, we take one pixel in
# an even row and the one below it, in an odd row, and ask for four models from what each of the two is predicted.

# %%
places = [(14, 20), (15, 20)]
numbers = [r * 28 + c for r, c in places]
wide_kernels = {"vertical_kernel": (2, 7), "horizontal_kernel": (2, 4)}
variants = {
    "one size": {"hierarchies": 1},
    "two sizes": {"hierarchies": 2},
    "three sizes": {"hierarchies": 3},
    "two, wide kernels": {"hierarchies": 2, **wide_kernels},
}
saw = {}
missed = {}
for title, options in variants.items():
    shape_only = mp.models.PixelCNNpp((28, 28, 1), 4, filters=4, resnets=2, **options)
    saw[title] = mp.causality.dependencies(shape_only, images=1, outputs=numbers).reshape(2, 28, 28)
    missed[title] = [number - int(view.sum()) for number, view in zip(numbers, saw[title], strict=True)]
    print(f"{title:18} earlier pixels that are not seen: even row {missed[title][0]:3}, odd row {missed[title][1]:3}")
show(
    lesson_18.reach(saw, places),
    "18_reach",
    "What a pixel is predicted from, in an even row (above) and in the odd row below it. Look at the lower row of "
    "pictures: with two or three sizes of map, the pixel is blind to the far end of its own row.",
)

# %% [markdown]
# With one size of map the model sees only what is near. With two it sees far. But a pixel of an *odd* row misses the
# far end of its own row, however many sizes there are. (A pixel at the left edge of an odd row misses the far right of
# the row above in the same way.)
#
# The reason is the enlarging. Row $k$ of the small map is written to two rows of the large one, $2k$ and $2k + 1$. So
# it may only know what both of them may know. Row $2k$ may know nothing of row $2k + 1$, and of itself only what lies
# to the left. For row $2k + 1$ that is not enough. The rest of row $2k$, and its own row, reach it only through the
# layers of the finest size. Let $R$ be the number of pairs of each size on the way in (`resnets`). With the kernels of
# the paper, the convolutions of the finest size reach $4R + 2$ columns. In the model above, with $R = 2$, these are 10
# of the 20 columns to the left of the pixel. The paper's own model, with $R = 5$, reaches 22 of its 32 columns. What is
# missing is far away and matters little. A model with wider kernels, as in the last column of the figure, or with more
# pairs (exercise 1) sees all of it.
#
# ## Train it
# The paper names five changes to PixelCNN:
#
# 1. The mixture of logistics takes the place of a softmax (lesson 16).
# 2. The colours of a pixel are joined in that mixture, so that no stream needs to know them (lesson 16).
# 3. Maps are halved and enlarged again.
# 4. Shortcuts lead from the way in to the way back.
# 5. **Dropout** is a remedy against overfitting: in training, each feature inside a residual layer is set to zero with
#    some probability, so that no layer relies on a single one.
#
# The model also has the two streams without a mask and the weight normalisation of lesson 17.
#
# One more thing belongs to the training: the model that is tested, and that draws, has *averaged* weights. The weights
# themselves jump about from batch to batch. So an **exponential moving average** (EMA) of them is kept. After each step
# it moves a hundredth of the way towards the present weights. The average lies in the middle of the jumps.

# %%
digits = mp.datasets.load("digits")
train = digits.train.images
labels = digits.train.labels
test = digits.test.images
test_labels = digits.test.labels
epochs = 6
if QUICK:
    epochs = 1
    train = train[:160]
    labels = labels[:160]

model = mp.models.PixelCNNpp(
    digits.image_shape, digits.levels, num_classes=10, filters=24, resnets=1, hierarchies=2, dropout=0.1, rng=SEED
)
average = mp.callbacks.EMA(0.99)
optimizer = mp.optim.Adam(3e-3)
mp.fit(model, train, labels, epochs=epochs, batch_size=16, optimizer=optimizer, callbacks=[average], rng=SEED)
bits = model.bits_per_dim(test, test_labels)
print(f"{model.num_parameters:,} weights, told the class: {bits:.3f} bits/dim on test digits")

# %% [markdown]
# (`fit` began by fitting gains and biases to a first batch, as in lesson 17. It ended by putting the averaged weights
# in place.) Now we let the model draw the digits that we ask for.

# %%
asked_for = np.tile(np.arange(10), 1 if QUICK else 4)
drawn = model.sample(len(asked_for), asked_for, rng=SEED)
first_of_each = [np.flatnonzero(test_labels == label)[0] for label in range(10)]
show(
    mp.plots.sample_grid(test[first_of_each], drawn, digits.levels, title="Asked for 0, 1, 2 ... 9"),
    "18_digits",
    "Top: a test digit of each class. Below: digits drawn for the classes 0 to 9, from left to right.",
)

# %% [markdown]
# ## The same model under other names
# TensorFlow Probability has this model, too. For people who know it from there, the class
# `mp.distributions.PixelCNN` takes the arguments of `tfp.distributions.PixelCNN`, and has its methods. Its attribute
# `model` is a `PixelCNNpp`. Here is one with a condition of a single number per image (`conditional_shape=()`);
# [docs/tfp.md](../docs/tfp.md) translates a whole script line by line.

# %%
dist = mp.distributions.PixelCNN(
    digits.image_shape,
    conditional_shape=(),
    num_resnet=1,
    num_hierarchies=2,
    num_filters=8,
    high=digits.levels - 1,
)
five_labels = test_labels[:5].astype(float)
log_prob = dist.log_prob(test[:5].astype(float), conditional_input=five_labels)
threes = dist.sample(5, conditional_input=3.0, seed=0)
print("log_prob of five digits, untrained, in nats:", *log_prob.round(0))
print("five threes have the shape", threes.shape)

# %% [markdown]
# ## What you should see

# %%
assert np.allclose(by_hand, by_layer, atol=1e-12)
assert np.isclose(left_side, right_side, rtol=1e-12)
assert not written[:4].any()  # nothing is written above row 4
assert not read[5:].any()  # nothing is read below row 4
assert len(made) == 0
assert apart < 1e-12
assert missed["one size"][0] > 0
assert missed["two sizes"] == missed["three sizes"] == [0, 10]  # 20 columns lie to the left, 4 * 2 + 2 are seen
assert missed["two, wide kernels"] == [0, 0]
assert drawn.shape == (len(asked_for), 8, 8, 1)
assert np.allclose(log_prob, dist.model.log_prob(test[:5], five_labels), rtol=1e-6)
mp.assert_causal(model)
if not QUICK:
    assert bits < 1.8

# %% [markdown]
# ## Exercises
# 1. *easy* How large must $R$ (`resnets`) be in a model of two sizes with the paper's kernels, so that on images of 28
#    columns every pixel sees its whole past? Compute it from the formula, then ask the model.
# 2. *medium* Write down the matrix $A$ of the convolution with stride 2 from 7x9 to 4x5 pixels, column by column, and
#    the matrix of the transposed one. Compare.
# 3. *medium* Give the enlarging kernels the centre that the halving ones have (`model.level.enlarge[0].centre` for u, 1
#    in place of 0 for ul). Which pixels see the future now, and why?
# 4. *hard* Take the shortcuts away: wrap each pair of `way_back` in a module that gives it zeros in place of its twin's
#    output. What can a pixel of an odd row still see in a model of two sizes, and what in a model of one? What does it
#    cost in bits/dim?
#
# Solutions: [solutions/18_pixelcnn_plus_plus.py](solutions/18_pixelcnn_plus_plus.py).
