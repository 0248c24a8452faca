# %% [markdown]
# # 03 PixelCNN in 60 lines
#
# - *You will* write a whole PixelCNN: the network, its loss, its optimiser, the training loop and the sampler; train
#   it, and draw your first digits. Then you will see that the library's model computes the same numbers.
# - *Reads* `minipixel/models/pixelcnn.py`; van den Oord et al. 2016,
#   [arXiv:1601.06759](https://arxiv.org/abs/1601.06759), table 1 and section 3.3; Kingma and Ba 2015,
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980), algorithm 1.
# - *Before* [lesson 01](01_an_image_is_a_sequence.py), and the first half of [lesson 02](02_masks_a_and_b.py).
# - *Takes* about a minute to run, and 25 minutes to read; the first digits come after ten.
#
# In lesson 01 a table said how probable each level of a pixel is. It could look at two neighbours and no further: a
# table of the whole past would need more rows than anybody can fill. How do we put something in its place that reads
# the whole past, and that learns? Here is the answer: a neural network under masks. Nothing is hidden in it. From
# "Images go in" to "Draw" it takes about 60 lines of code, and eleven more that give the weights their first values.
# You will have read each of them.

# %%
import os

import numpy as np
from drawings import lesson_01, lesson_03
from show import show
from threadpoolctl import threadpool_limits

import minipixel as mp

SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # training may begin elsewhere: what is said holds for others, too
QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 1 if QUICK else 15
WIDE = 64  # features per pixel between the blocks
NARROW = 32  # features per pixel inside of a block
BLOCKS = 5

threadpool_limits(1)  # matrix products take one thread
ds = mp.datasets.load("digits")
H, W, C = ds.image_shape
Q = ds.levels

# %% [markdown]
# Our matrices are small. If several threads share such a product, they spend more time on waiting for each other than
# on computing, so we let NumPy use one. (The library does the same within `mp.fit`.)
#
# ## One thing is given: the tape
#
# A network learns by small changes of its weights. For each weight we need to know: if it grows a little, does the
# model's error grow or fall, and how fast? This is the derivative of the error with respect to that weight. All
# derivatives together are the **gradient**.
#
# We do not work them out by hand. A `mp.Tensor` is an array that remembers how it was computed. The functions of
# `mp.ops` take Tensors and return Tensors, and write down what they did; this record is called the **tape**. Plain
# arrays may be mixed in; they count as constants. Calling `.backward()` on a single number at the end goes through the
# record in reverse, and leaves in `.grad` of each Tensor at the beginning the derivative with respect to it, in the
# place of what was there before. How that works is the subject of [lesson 05](05_a_tape_in_a_page.py), which builds a
# tape in a page. Today we just use it.

# %%
w = mp.Tensor(np.array([1.0, 2.0, 3.0]))
error = mp.ops.total(w * w)  # the sum of the squares
error.backward()
print("the error:", error.data)
print("its derivative with respect to each weight:", w.grad)  # of w**2, that is 2 w

# %% [markdown]
# ## Images go in
#
# Our functions hold the images as an array of the shape (H, W, N, 1): rows, columns, images, channels. In this order
# `x[r, c]` is one pixel of all images. The levels 0 to 16 are scaled to numbers between -1 and 1, since networks learn
# best from numbers of about that size.


# %%
def scale(levels):
    return (levels * (2 / (Q - 1)) - 1).astype("float32")


train = ds.train.images.transpose(1, 2, 0, 3)  # (N, H, W, C) -> (H, W, N, C)
test = ds.test.images.transpose(1, 2, 0, 3)
N = 320 if QUICK else train.shape[2]  # how many images we train on
print("training images:", train.shape, "of which we take", N)

# %% [markdown]
# ## Masked convolution
#
# Lesson 02 turned one number per pixel into one number per pixel. A network keeps more: 64 features per pixel, say. A
# kernel then has the shape $(k_h, k_w, K_\text{in}, K_\text{out})$. Each of its $T = k_h \cdot k_w$ taps is no longer a
# number but a matrix, which turns the $K_\text{in}$ features that it finds there into a share of the $K_\text{out}$ new
# ones:
#
# $$y_{r,c} = b + \sum_{\text{open taps } (i,j)} x_{r+i,\,c+j} \, W_{i,j}.$$
#
# $b$ is the **bias**: one number for each new feature, added everywhere. In code, with the masks of lesson 02:


# %%
def mask(kind, size):
    place = np.arange(size * size).reshape(size, size)  # of each tap, in raster order
    centre = size * size // 2
    opened = place < centre if kind == "A" else place <= centre
    return opened[:, :, None, None].astype("float32")  # the same for all features: (size, size, 1, 1)


weights = {}


def convolution(x, name, opened):
    return mp.ops.conv2d(x, weights[name + ".weight"] * opened, weights[name + ".bias"])


def linear(x, name):
    return mp.ops.linear(x, weights[name + ".weight"], weights[name + ".bias"])


# %% [markdown]
# All weights live in one dictionary, under names such as `stem.weight`. `convolution` multiplies the kernel by its mask
# each time, so that a shut tap is zero whatever training does. `linear` is a convolution whose kernel is a single tap:
# the features of each pixel, multiplied by one matrix.
#
# Does `mp.ops.conv2d` do what the formula says? We compare it with the formula, tap by tap, in NumPy. As in lesson 02,
# zeros are put around the image first, so that $i$ and $j$ count from 0. (This cell is a check; the 60 lines do not
# need it.)

# %%
rng = np.random.default_rng(SEED)
x = rng.normal(size=(H, W, 2, 3))  # two images with three features per pixel
kernel = rng.normal(size=(3, 3, 3, 5)) * mask("B", 3)
bias = rng.normal(size=5)

padded = np.pad(x, ((1, 1), (1, 1), (0, 0), (0, 0)))
by_hand = np.zeros((H, W, 2, 5))
for i, j in np.ndindex(3, 3):
    by_hand = by_hand + padded[i : i + H, j : j + W] @ kernel[i, j]
by_hand = by_hand + bias
assert np.allclose(by_hand, mp.ops.conv2d(x, kernel, bias))

# %% [markdown]
# ## The network
#
# Convolutions and matrix products only add and multiply by constants. Two of them in a row are no more powerful than
# one. So between them stands a function whose graph has a bend: $\text{relu}(x) = \max(x, 0)$, the **rectifier**.
#
# The **stem** reads the image once, under mask A, through a wide window of 7 x 7. Then come five equal **blocks**. Each
# narrows the 64 features to 32, looks around through 3 x 3 taps under mask B, and widens them to 64 again. What it has
# found is *added* to what came in. This is called a **residual** connection: a block need only learn what to change,
# and with weights near zero it changes nothing. Deep stacks of layers train well because of it. At the end, three
# linear layers mix the features of each pixel and leave Q numbers per pixel.

# %%
show(
    lesson_03.network(),
    "03_network",
    "The network, and one of its blocks. Follow the arrow around the block: what came in is added to what was found.",
)

# %% [markdown]
# Here are the block and the network in code. Each line is one box of the figure, from the bottom upwards.


# %%
def residual_block(x, name):
    y = linear(mp.ops.relu(x), name + ".narrow")
    y = convolution(mp.ops.relu(y), name + ".look", mask("B", 3))
    y = linear(mp.ops.relu(y), name + ".widen")
    return x + y


def network(levels):
    x = convolution(scale(levels), "stem", mask("A", 7))
    for number in range(BLOCKS):
        x = residual_block(x, f"blocks.{number}")
    for number in range(3):
        x = linear(mp.ops.relu(x), f"top.layers.{number}")
    return x  # (H, W, N, Q)


# %% [markdown]
# There is no pooling and no stride: each pixel wants an answer of its own, so every layer keeps the size of the image.
#
# The weights begin as random numbers. If an output is a sum of $n$ inputs, weights between $-\sqrt{3/n}$ and
# $\sqrt{3/n}$ make outputs vary about as much as the inputs do, and signals neither fade nor explode on their way
# through the layers. The biases begin at zero.


# %%
def new_layer(name, shape, inputs):
    weight = rng.uniform(-1, 1, shape) * np.sqrt(3 / inputs)
    weights[name + ".weight"] = mp.Tensor(weight.astype("float32"))
    weights[name + ".bias"] = mp.Tensor(np.zeros(shape[-1], "float32"))


new_layer("stem", (7, 7, 1, WIDE), inputs=24)  # 24 taps are open
for number in range(BLOCKS):
    new_layer(f"blocks.{number}.narrow", (WIDE, NARROW), inputs=WIDE)
    new_layer(f"blocks.{number}.look", (3, 3, NARROW, NARROW), inputs=5 * NARROW)  # 5 taps are open
    new_layer(f"blocks.{number}.widen", (NARROW, WIDE), inputs=NARROW)
for number, outputs in enumerate((WIDE, WIDE, Q)):
    new_layer(f"top.layers.{number}", (WIDE, outputs), inputs=WIDE)

# %% [markdown]
# ## From numbers to probabilities
#
# The network leaves Q numbers per pixel, one for each level. They are called **logits**, and may be any numbers. To
# make probabilities of them, we raise $e$ to each, so that all are positive, and divide by the sum, so that their sum
# is one. This is the **softmax**:
#
# $$p(q) = \frac{e^{\ell_q}}{\sum_{j} e^{\ell_j}}, \qquad -\ln p(q) = \ln \sum_j e^{\ell_j} - \ell_q.$$
#
# What should the model learn? In lesson 01 we called the probability of an image the likelihood of the model. We choose
# the weights for which the likelihood of the training images is as large as possible. This rule is called **maximum
# likelihood**. The largest likelihood is the smallest $-\ln p(x)$, the surprise, and that is a sum over the pixels. The
# mean of it over images is called the **cross-entropy**, and it is our error, or **loss**:
#
# $$L = \frac{1}{N} \sum_{n} \sum_{t} -\ln p(x_{n,t} \mid x_{n,<t}).$$


# %%
def cross_entropy(logits, levels):
    logits = logits - logits.data.max(axis=-1, keepdims=True)  # changes no p, and keeps e ** logit from overflowing
    log_of_sum = mp.ops.log(mp.ops.total(mp.ops.exp(logits), axes=-1))
    is_the_level = levels == np.arange(Q)  # (H, W, N, Q), true at one of the Q
    logit_of_level = mp.ops.total(logits * is_the_level, axes=-1)
    return mp.ops.total(log_of_sum - logit_of_level) / levels.shape[2]  # nats per image


def bits_per_dim(levels):
    loss = cross_entropy(network(levels), levels)
    return float(loss.data) / (H * W * C * np.log(2))


before = bits_per_dim(test)
print(f"before training: {before:.2f} bits/dim; the uniform model of lesson 01: {np.log2(Q):.2f}")

# %% [markdown]
# The untrained network is about as good as the uniform model: it does not know anything yet.
#
# ## Learn
#
# The gradient points to where the loss grows fastest. So we take a small step the other way. That is **gradient
# descent**, and the length of the step is the **learning rate**. How small is small? For one weight the loss may be
# steep, for another one flat. **Adam** measures, for each weight, the mean $m$ of its recent gradients $g$ and the mean
# $v$ of their squares, and divides one by the root of the other. Then each step is about as long as the learning rate
# $\alpha$, however steep the loss is:
#
# $$m \leftarrow 0.9\, m + 0.1\, g, \qquad v \leftarrow 0.999\, v + 0.001\, g^2, \qquad
# w \leftarrow w - \alpha \, \frac{m / (1 - 0.9^s)}{\sqrt{v / (1 - 0.999^s)} + 10^{-8}}.$$
#
# The two divisions by $1 - 0.9^s$ and $1 - 0.999^s$ make up for the fact that both means begin at zero; $s$ counts the
# steps from 1.


# %%
def adam(memory, step, rate=1e-3):
    for name, weight in weights.items():
        m, v = memory.get(name, (0, 0))  # both means begin at zero
        m = 0.9 * m + 0.1 * weight.grad
        v = 0.999 * v + 0.001 * weight.grad**2
        memory[name] = (m, v)
        corrected_m = m / (1 - 0.9**step)
        corrected_v = v / (1 - 0.999**step)
        weight.data = weight.data - rate * corrected_m / (np.sqrt(corrected_v) + 1e-8)


# %% [markdown]
# One step needs the gradient for a few images only, a **batch** of 64. Once all images have had their turn, an
# **epoch** is over. We shuffle the images and begin again.
#
# Note what goes in: the batch is both the input of the network and its target. While it learns, every pixel is
# predicted from the *true* pixels before it, even where the model would have drawn others. This is called **teacher
# forcing**. It is why a single pass trains all 64 predictions at once. The masks see to it that none of them reads its
# own answer.

# %%
memory = {}
losses = []
for epoch in range(EPOCHS):
    steps_before = len(losses)
    shuffled = rng.permutation(N)
    for start in range(0, N, 64):
        batch = train[:, :, shuffled[start : start + 64]]
        loss = cross_entropy(network(batch), batch)
        loss.backward()
        losses.append(float(loss.data))
        adam(memory, step=len(losses))
    print(f"epoch {epoch + 1:2} of {EPOCHS}: {np.mean(losses[steps_before:]):6.1f} nats per image")

# %%
after = bits_per_dim(test)
print(f"after training: {after:.3f} bits/dim on the test images; the best table of lesson 01: 2.135")
bits_of_batches = np.array(losses) / (H * W * C * np.log(2))
show(
    lesson_03.loss_curve(bits_of_batches, {"uniform model": 4.087, "best table of lesson 01": 2.135}),
    "03_loss",
    "The loss of every batch, in bits/dim. It falls below what the tables of lesson 01 need (dotted lines).",
)

# %% [markdown]
# ## Draw
#
# Now the model has no teacher. It begins with an empty image, asks for the probabilities of the first pixel, draws a
# level, and writes it in. For the next pixel it reads what it has just drawn. A level is drawn as in lesson 01: lay the
# probabilities end to end, and see on whose piece a uniform number falls.


# %%
def sample(uniforms):
    images = np.zeros(uniforms.shape, int)  # (H, W, N, 1)
    for r, c in np.ndindex(H, W):
        p = mp.ops.softmax(network(images)).data[r, c]  # (N, Q)
        ends = p.cumsum(axis=-1)
        images[r, c] = (ends[:, :-1] <= uniforms[r, c]).sum(axis=-1, keepdims=True)  # (N, 1)
    return images


uniforms = np.random.default_rng(SEED).random((20, H, W, C))  # in the order in which the library draws its own
generated = sample(uniforms.transpose(1, 2, 0, 3)).transpose(2, 0, 1, 3)  # (N, H, W, C) again
rows = {"real": ds.test.images[:10, :, :, 0], "drawn": generated[:10, :, :, 0], "": generated[10:, :, :, 0]}
show(
    lesson_01.rows_of_images(rows, levels=Q),
    "03_first_digits",
    "Ten real digits, and twenty that nobody has written. Which of them can you read?",
)

# %% [markdown]
# These are your first generated digits. Some can be read, and some only resemble a digit: the model is small, and it
# has learnt for a minute. But compare them with the smears of lesson 01. The strokes are as thick as they should be,
# they bend, they close into loops, and the margins are empty. None of them was picked from the data: every pixel was
# drawn, one after the other.

# %%
show(
    lesson_03.growing(generated[:4, :, :, 0], moments=(0, 13, 19, 27, 35, 43, 51, 59, 64), levels=Q),
    "03_growing",
    "Four digits grow. The orange pixel is being drawn: it reads those before it. The rest is its future.",
)

# %% [markdown]
# ## The same from the library
#
# The library's `PixelCNN` has the same layers, under the same names. So we can hand it our weights.

# %%
model = mp.models.PixelCNN((H, W, C), Q, hidden=NARROW, blocks=BLOCKS)
model.load_state_dict({name: weight.data for name, weight in weights.items()})

our_logits = network(test).data
their_logits = model.predict(ds.test.images)
our_bits = bits_per_dim(test)
their_bits = model.bits_per_dim(ds.test.images)
print(f"the largest difference between the logits: {np.abs(our_logits - their_logits).max():.1e}")
print(f"bits/dim: {our_bits:.6f} and {their_bits:.6f}")

# %% [markdown]
# It draws the same digits from the same uniform numbers, though in another way (it never computes a pixel twice:
# [lesson 20](20_never_compute_a_pixel_twice.py)).

# %%
theirs = model.sample(20, rng=SEED)  # rng=SEED makes the uniform numbers that we made above
same = (theirs == generated).all(axis=(1, 2, 3))
print("digits that are the same in every pixel:", same.sum(), "of", len(same))

# %% [markdown]
# It also learns in the same way: the same loss, the same gradient, the same step of Adam. We take one more step with
# each and compare.

# %%
batch = train[:, :, :64]
loss = cross_entropy(network(batch), batch)
loss.backward()
our_gradients = {name: weight.grad for name, weight in weights.items()}
their_loss, their_gradients = model.value_and_gradients(ds.train.images[:64])

optimizer = mp.optim.Adam(1e-3)
optimizer.step(model, our_gradients)
adam({}, step=1)
their_weights = model.state_dict()
print(f"loss: {float(loss.data):.4f} and {their_loss:.4f} nats per image")

# %% [markdown]
# So this is all there is to it. What we wrote in 60 lines, the library does in three, faster, and on all cores:
#
# ```python
# model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=32, blocks=5)
# mp.fit(model, ds.train.images, epochs=15)
# images = model.sample(20)
# ```
#
# [Lesson 04](04_train_sample_look.py) goes on with these three lines, and looks closely at what such a model knows.
#
# ## What you should see

# %%
assert np.allclose(w.grad, [2, 4, 6])
assert after < before
assert np.allclose(our_logits, their_logits, atol=1e-3)
assert abs(our_bits - their_bits) < 1e-5
assert same.mean() > 0.8  # rounding in the last digit may turn a pixel, and with it what follows

assert np.isclose(float(loss.data), their_loss, rtol=1e-5)
for name, gradient in our_gradients.items():
    largest = np.abs(gradient).max()  # a feature within rounding of 0 may pass one relu and not the other
    assert np.abs(gradient - their_gradients[name]).max() < 0.01 * largest
    assert np.allclose(weights[name].data, their_weights[name], atol=1e-6)

assert not our_gradients["stem.weight"][mask("A", 7)[:, :, 0, 0] == 0].any()  # what a mask shuts learns nothing
mp.assert_causal(model)
if not QUICK:
    assert after < 2.0  # the best table of lesson 01 needs 2.135

# %% [markdown]
# ## Exercises
#
# 1. *easy* How many weights has our network, and how many of them do the masks leave open? Check with
#    `model.summary()`.
# 2. *easy* Compute by hand the softmax of the logits 0, ln 2 and ln 5, and the loss if the true level is the last one.
# 3. *medium* Show that the same constant may be added to all logits of a pixel. Then take away the line of
#    `cross_entropy` that does this, and find logits for which it fails.
# 4. *medium* Give the stem mask B. Train for an epoch: what happens to the loss? What do the samples look like?
# 5. *medium* Replace Adam by plain gradient descent, `weight.data = weight.data - rate * weight.grad`. Find the largest
#    rate that does not explode. How far does it get in three epochs, compared with Adam?
# 6. *hard* Take the additions `x + y` out of the residual blocks, so that they return `y`. What changes with 5 blocks,
#    and with 15?
#
# Solutions: [solutions/03_pixelcnn_in_60_lines.py](solutions/03_pixelcnn_in_60_lines.py).
