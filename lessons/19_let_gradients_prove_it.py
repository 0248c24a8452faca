# %% [markdown]
# # 19 Let gradients prove it
#
# - *You will* measure what each pixel is predicted from, for all pixels in one backward pass; then plant leaks in a
#   model, and catch each of them.
# - *Reads* `minipixel/causality/`: `gradients.py`, `structure.py`, `perturbation.py`, `witnesses.py`; M. Germain, K.
#   Gregor, I. Murray, H. Larochelle, "MADE", 2015, arXiv:1502.03509, for where masks like ours come from.
# - *Before* [lesson 02](02_masks_a_and_b.py) for the masks, [lesson 05](05_a_tape_in_a_page.py) for gradients,
#   [lesson 09](09_the_blind_spot_and_two_stacks.py) for the blind spot.
# - *Takes* 15 seconds on two cores; 35 minutes to read.
#
# A model claims that it predicts each pixel from earlier pixels only. It has masks, shifts, and a dozen layers, and
# one wrong tap among thousands is enough to make the claim false. Such a mistake raises no error. The model even
# trains better than before, because it is allowed to copy the answer, and only its samples are bad. How can we be
# *sure* that a model is causal, without reading every line of its code?

# %% [markdown]
# ## A question with an exact answer
# Take one output of the network, the one at pixel $(r, c)$, and ask how it changes when one pixel $x_j$ of the image
# changes a little. That is a derivative, $\partial\,\text{output}_{(r, c)} / \partial x_j$, and one backward pass
# gives it for all $j$ at once. If the output never reads $x_j$, this derivative is not merely small, it is *exactly*
# zero: a shut weight is multiplied by 0, the product with 0 is 0, and a sum of zeros is 0, in floating point as well
# as on paper. So there is no tolerance to choose. A derivative of $10^{-12}$ does not mean that the model is nearly
# causal; it means that there is a leak.
#
# First the settings of this lesson. `SEED` decides all random numbers.

# %%
import os

import numpy as np
from drawings import lesson_19
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))
rng = np.random.default_rng(SEED)

# %% [markdown]
# The function below computes the gradient of one output. `model.forward` takes images that are scaled to [-1, 1],
# rows and columns first: (H, W, N, C). We wrap the image into an `mp.Tensor`, so that the tape of lesson 05 follows
# it. `backward` takes a number for each output, with which that output counts: 1 for those at $(r, c)$, which we ask
# about, and 0 for all others. (If a model puts out several numbers per pixel, such as the logits of its levels, we
# ask about their sum.)


# %%
def gradient_of_output(model, r, c):
    """How the output at (r, c) changes with each pixel of one random grey image: (H, W)."""
    H, W, C = model.image_shape
    image = mp.Tensor(rng.uniform(-1, 1, (H, W, 1, C)))
    output = model.forward(image)
    asked = np.zeros(output.shape)
    asked[r, c] = 1
    output.backward(asked)
    return image.grad[:, :, 0, 0]


H = 9
W = 12
model = mp.models.PixelCNN((H, W, 1), 2, hidden=16, blocks=2, dtype="float64")
gradient = gradient_of_output(model, 6, 5)
print(f"{(gradient != 0).sum()} of {H * W} derivatives are not zero")
show(
    lesson_19.one_gradient(gradient, (6, 5)),
    "19_one_gradient",
    "The gradient of the output at (6, 5). Left: a small number and a zero look alike. Right: the logarithm of the "
    "size tells them apart. All grey cells are exactly zero, and all pixels that are drawn later are among them.",
)

# %% [markdown]
# The blue cells at the right are the **receptive field** of the output at (6, 5): all pixels that it reads. Neither
# (6, 5) itself nor any later pixel is among them. That is the whole test, for one pixel.

# %% [markdown]
# ## All outputs in one backward pass
# There are $S = H W = 108$ outputs. It looks as if 108 backward passes were needed. One is enough, because the images
# of a batch do not see each other. Put $S$ copies of one image into a batch, and let copy $i$ ask about output $i$
# alone. In raster order, with numbers from 0, we get
#
# $$J_{ij} = \frac{\partial\,\text{output}_i}{\partial x_j}, \qquad i, j = 0, \dots, S - 1.$$
#
# The gradient that arrives at copy $i$ is row $i$ of this matrix. It is the **Jacobian** of the network: the matrix
# of all derivatives of all outputs with respect to all inputs. (Lesson 05 met the Jacobian of a single op.)


# %%
def jacobian(model):
    """All derivatives at one random grey image: (S, S), row i for output i, column j for pixel j."""
    H, W, _ = model.image_shape
    S = H * W
    image = rng.uniform(-1, 1, (H, W, 1, 1))
    copies = mp.Tensor(np.repeat(image, S, axis=2))  # (H, W, N, C) with N = S
    output = model.forward(copies)
    asked = np.zeros(output.shape)
    for i in range(S):
        asked[i // W, i % W, i] = 1  # copy i asks about output i
    output.backward(asked)
    return copies.grad.reshape(S, S).T  # (pixel j, copy i) turned into (i, j)


one_row = jacobian(model)[6 * W + 5]
print(f"row (6, 5) of the Jacobian has {(one_row != 0).sum()} numbers that are not zero")

# %% [markdown]
# One thing can hide a dependency. A rectifier, `relu`, passes no gradient where its input is negative, so with a
# single image some path may be shut by chance. Therefore we try four random images, and note every dependency that at
# least one of them shows. The result is a boolean matrix: does output $i$ depend on pixel $j$? The library's function
# for this is `mp.causality.dependencies`; it takes colour images as well.

# %%
by_hand = np.zeros((H * W, H * W), bool)
for _ in range(4):
    by_hand = by_hand | (jacobian(model) != 0)

from_library = mp.causality.dependencies(model)
print("the same as the library's:", np.array_equal(by_hand, from_library))

# %% [markdown]
# The library counts *sub-pixels*: in a colour image each of the three colours of a pixel has a row and a column of
# its own. Here is the matrix of our model, beside that of a tiny model of 2x2 pixels in colour. Each row shows what
# one output reads, in the fixed colours of the course.

# %%
colour_model = mp.models.PixelCNN((2, 2, 3), 4, hidden=12, blocks=2)
colour = mp.causality.dependencies(colour_model)
show(
    lesson_19.matrices({"PixelCNN, 9x12 grey pixels": by_hand, "PixelCNN, 2x2 pixels in colour": colour}),
    "19_matrices",
    "Each row is an output, each column a sub-pixel that it may read. A causal model reads nothing on the diagonal and "
    "nothing above it. With colours, red, green and blue of one pixel are three steps of the order.",
)

# %% [markdown]
# So one can *see* whether a model is causal: its matrix is **strictly lower triangular**, which means that all
# entries that are not zero lie below the diagonal. The blue bands of the left matrix come from the rows of pixels: an
# output reads some pixels of its own row, and some of each of the five rows above.

# %% [markdown]
# ## Two ways to be wrong
# The matrix can differ from a full triangle below the diagonal in two ways, and they are not equally bad.
#
# - An output reads itself or something later. This is a **leak**, and the model is *wrong*: its probabilities need
#   not sum to 1.
# - An output does not read something earlier. This is a **blind spot**, and the model is *right, but weaker* than it
#   might be.
#
# `mp.check_causality` counts both. It asks several independent tests, which the library calls **witnesses**;
# gradients are one of them, and the others come below. We give it PixelCNN and the Gated PixelCNN of lesson 09, with
# six layers each. (A PixelCNN of five blocks has six layers that look at other pixels: its first layer, and one in
# each block.)

# %%
plain = mp.models.PixelCNN((H, W, 1), 2, hidden=8, blocks=5)
gated = mp.models.GatedPixelCNN((H, W, 1), 2, filters=8, layers=6)
report_plain = mp.check_causality(plain)
report_gated = mp.check_causality(gated)
print(report_plain)
print(report_gated)

# %% [markdown]
# The first line of each report is the verdict, and then each witness has a line. Both models are causal. There are
# $108 \cdot 107 / 2 = 5778$ pairs of an output and an earlier pixel. PixelCNN does not see 1031 of them, the Gated
# PixelCNN does not see 486 of them. A report can draw its findings as well: the matrix, what one output sees, and for
# each pixel which share of its past it sees.

# %%
show(
    report_plain.plot(),
    "19_report_plain",
    "PixelCNN with six layers. Middle: the blind spot above and to the right of the pixel. Right: the pixels of the "
    "left columns miss the most, because most of what is above them lies to their right.",
)
show(
    report_gated.plot(),
    "19_report_gated",
    "Gated PixelCNN with six layers. What it misses is only too far away: more layers will reach it.",
)

# %% [markdown]
# Do more layers help? We count the pairs of an output and an earlier pixel that are seen, as a share of all
# $S (S - 1) / 2$ such pairs. For larger images `mp.causality.structure` is the quicker witness: it computes no
# gradients, it follows through the graph which value reads which. So one feature channel is enough here.

# %%
size = 12 if QUICK else 28
pairs = size**2 * (size**2 - 1) / 2
share_plain = {}
share_gated = {}
for layers in (2, 4, 8, 16, 32):
    deep_plain = mp.models.PixelCNN((size, size, 1), 2, hidden=1, blocks=layers - 1)
    deep_gated = mp.models.GatedPixelCNN((size, size, 1), 2, filters=1, layers=layers)
    share_plain[layers] = mp.causality.structure(deep_plain).sum() / pairs
    share_gated[layers] = mp.causality.structure(deep_gated).sum() / pairs
    print(f"{layers:2} layers: PixelCNN {share_plain[layers]:6.1%}, Gated PixelCNN {share_gated[layers]:6.1%}")

show(
    lesson_19.shares({"PixelCNN": share_plain, "Gated PixelCNN": share_gated}),
    "19_shares",
    "How much of the past is seen, by the number of layers. The Gated PixelCNN comes to see all of it; PixelCNN stays "
    "below, however many layers it has.",
)

# %% [markdown]
# So depth does not cure the blind spot. It consists of the pixels that a stack of masked 3x3 kernels cannot reach,
# and no number of such kernels reaches them.

# %% [markdown]
# ## Plant a leak
# A test that has never failed proves little. So we build four classic mistakes into a PixelCNN, on purpose. All
# weights are random, so that no path is closed by a weight that happens to be zero. A convolution keeps its mask in
# `mask`, with an entry for each tap, input channel and output channel; `groups_in` and `groups_out` name the colours
# of these channels, and here all are grey.


# %%
def noisy_model(shape):
    """A small PixelCNN of two blocks, all its weights random."""
    model = mp.models.PixelCNN(shape, 2, hidden=8, blocks=2, dtype="float64")
    noise = np.random.default_rng(6)
    for weight in model.parameters():
        weight.data = noise.normal(0, 0.4, weight.shape)
    return model


def mask_b_first(shape):
    """Mistake 1: mask B in the first layer, so that a pixel reads itself."""
    model = noisy_model(shape)
    stem = model.stem
    stem.mask = mp.nn.causal_mask((7, 7), stem.groups_in, stem.groups_out, "B")
    return model


def one_tap_too_many(shape):
    """Mistake 2: a later 3x3 kernel has the tap to the right of its centre open."""
    model = noisy_model(shape)
    look = model.blocks[1].look
    mask = np.array(look.mask)
    mask[1, 2] = True
    look.mask = mask
    return model


# %% [markdown]
# Some programs do without mask A: they use mask B and then shift the whole map one pixel to the right, so that each
# pixel gets what its left neighbour has read. A column of zeros comes in at the left. If the zeros come in at the
# right by mistake, the map moves to the left, and each pixel gets what its *right* neighbour has read. That is
# mistake 3. We write it with two ops, one that mirrors a map and one that shifts it to the right.


# %%
def zeros_at_the_wrong_end(shape):
    """Mistake 3: mask B, then a shift that goes to the left."""
    model = mask_b_first(shape)
    stem = model.stem

    def shifted(x):
        mirrored = mp.ops.mirror(stem(x))
        return mp.ops.mirror(mp.ops.shift_right(mirrored))

    model.stem = shifted
    return model


# %% [markdown]
# Mistake 4 has nothing to do with masks. **Batch normalisation** is a layer that subtracts from each channel its mean
# over all images of the batch and over all pixels, and then divides by the standard deviation. The subtraction alone
# is a leak: the mean depends on every pixel, on later ones too. We write it as an op of our own, with its value and
# its vjp (lesson 05).


# %%
@mp.tensor.op
def subtract_mean(x):
    """Take off each channel's mean over all pixels of all images: (H, W, N, K) -> (H, W, N, K)."""
    y = x - x.mean(axis=(0, 1, 2), keepdims=True)

    def vjp(g):
        return (g - g.mean(axis=(0, 1, 2), keepdims=True),)

    return y, vjp


def batch_normalised(shape):
    """Mistake 4: a mean over the whole image, taken off after the first block."""
    model = noisy_model(shape)
    block = model.blocks[0]
    model.blocks[0] = lambda x, condition, rng: subtract_mean(block(x, condition, rng))  # called as a block is
    return model


# %% [markdown]
# We ask each of the five models what its output in the middle of a 7x9 image reads.

# %%
mistakes = {
    "nothing wrong": noisy_model,
    "mask B first": mask_b_first,
    "one tap too many": one_tap_too_many,
    "zeros, wrong end": zeros_at_the_wrong_end,
    "batch norm": batch_normalised,
}
seen = {}
for name, build in mistakes.items():
    seen[name] = gradient_of_output(build((7, 9, 1)), 3, 4) != 0
show(
    lesson_19.leaks(seen, (3, 4)),
    "19_leaks",
    "What the output at (3, 4) reads. Mask B lets in the pixel itself. So does one tap too many: the block reads at "
    "(3, 5), where the first layer has read (3, 4). The wrong shift lets in the right neighbour as well, and the mean "
    "lets in everything but the very last pixel, which no layer ever reads.",
)

# %% [markdown]
# "Mask B first" and "one tap too many" leak alike here, and yet they differ elsewhere: a pixel of the last column has
# no right neighbour, so with one tap too many it does not leak. From such patterns `check_causality` guesses a *usual
# cause*. Where it can follow the graph, it does not have to guess: it names the layer in which the future comes in.
# `report.why` has both.

# %%
report = mp.check_causality(one_tap_too_many((2, 3, 1)))
print(report.why)

# %% [markdown]
# In the report the future comes in at `blocks.1.look`, which is where we have put the extra tap, and the guess is
# right as well.
#
# ## Seven witnesses
# Gradients are one way to ask. The library has more, and each misses something, or has to stop somewhere:
#
# | witness | what it does | what it misses |
# |---|---|---|
# | gradients | computes the Jacobian, as above | a path that is shut at the moment |
# | structure | follows which value reads which, without numbers | stops at an op that does not say what it reads |
# | clock | asks *when* each value is known ([lesson 20](20_never_compute_a_pixel_twice.py)) | stops there as well |
# | perturbation | changes one pixel by much, compares the bits of all outputs | a path that is shut at the moment |
# | batch | changes one image of a batch, looks at the others | any leak within one image |
# | enumeration | adds up the probabilities of *all* images of a tiny size | a shut path; a leak between images |
# | replay | compares log p while drawing with that of the finished images | a path that is shut at the moment |
#
# We ask all seven about all five models, on images of 2x3 pixels: there are $2^6 = 64$ such images, so even
# enumeration is quick. `replay` has to draw in the plain way here, since the faster samplers refuse a model that is
# not causal.

# %%
witnesses = dict(mp.causality.WITNESSES)
witnesses["replay"] = lambda model: mp.causality.WITNESSES["replay"](model, methods=["naive"])


def verdict(ask, model):
    """What one witness says of a model: "ok", "LEAK", or "cannot say"."""
    try:
        with mp.kernels.as_written():  # op by op, since subtract_mean has no compiled form
            found = ask(model)
    except ValueError:  # an op that does not say what it reads
        return "cannot say"
    return "ok" if found.holds else "LEAK"


def ask_all(models):
    """Print and return a table of verdicts: a row for each model, a column for each witness."""
    print(f"{'':20}", *(f"{name:>13}" for name in witnesses))
    table = {}
    for name, build in models.items():
        table[name] = {witness: verdict(ask, build((2, 3, 1))) for witness, ask in witnesses.items()}
        print(f"{name:20}", *(f"{word:>13}" for word in table[name].values()))
    return table


table = ask_all(mistakes)

# %% [markdown]
# Every mistake is caught by several witnesses. Look at the row of batch normalisation. Its op does not say what it
# reads, so structure and clock decline to answer rather than guess. The batch witness catches it, since the mean
# joins the images of a batch. Enumeration does not: it has all 64 images in *one* batch, where the mean is one
# constant for all of them, and with a constant the probabilities do sum to 1. No witness is enough alone.

# %% [markdown]
# ## A leak that sleeps
# The most dangerous leak is one that is there and does nothing yet. The extra tap of mistake 2 is open again, but at
# the moment no number passes through it:
#
# - in one model all weights of that tap are 0 (somebody opened the mask after the weights had been made);
# - in the other the bias of that convolution is so low that the rectifier after it is always shut. Such a rectifier
#   is called **dead**: its output is 0 for every image, and so is its gradient.


# %%
def asleep_weights_of_zero(shape):
    """The extra tap, with weights of 0."""
    model = one_tap_too_many(shape)
    model.blocks[1].look.weight.data[1, 2] = 0
    return model


def asleep_dead_rectifier(shape):
    """The extra tap, before rectifiers that are always shut."""
    model = one_tap_too_many(shape)
    model.blocks[1].look.bias.data -= 100
    return model


sleepers = {"asleep: weight 0": asleep_weights_of_zero, "asleep: dead relu": asleep_dead_rectifier}
table_of_sleepers = ask_all(sleepers)

# %% [markdown]
# All witnesses that compare *numbers* say "ok": right now, no output depends on anything later. Only structure and
# the clock object, because they ask what *can* be read, whatever the weights are. Are they too strict? Let us train
# the first of the two for a single step: one epoch of 16 images, in one batch.

# %%
sleeper = asleep_weights_of_zero((2, 3, 1))
images = rng.integers(0, 2, (16, 2, 3, 1))
mp.fit(sleeper, images, epochs=1, batch_size=16, rng=SEED, progress=False)
awake = mp.causality.WITNESSES["gradients"](sleeper)
print("after one step of training:", awake)

# %% [markdown]
# The weight was 0, but its *gradient* was not, and one step of training opens the leak. So the two witnesses were
# right to object. A proof that holds for any weights is worth more than one for the weights of today. That is why
# `check_causality` asks both kinds, and why it also tries random changes of the weights where it cannot follow the
# graph.

# %% [markdown]
# ## A model that is not ours
# Perturbation needs no tape and no graph. Any function on arrays can be asked: change one pixel, and compare the bits
# of all outputs. As an example, here are three ways to sum up what stands *before* each pixel in its row, for arrays
# (N, H, W, C).


# %%
def sum_padded(x):
    """The running sum, moved one pixel to the right, with a zero at the left."""
    moved = np.pad(x.cumsum(axis=2), ((0, 0), (0, 0), (1, 0), (0, 0)))
    return moved[:, :, :-1]


def sum_rolled(x):
    """The same with np.roll, which brings the last pixel in at the left."""
    return np.roll(x.cumsum(axis=2), 1, axis=2)


def sum_subtracted(x):
    """The running sum less the pixel itself: on paper the same."""
    return x.cumsum(axis=2) - x


whys = {}
for ask in (sum_padded, sum_rolled, sum_subtracted):
    whys[ask.__name__] = mp.check_causality(ask, (8, 8, 1)).why
    print(f"{ask.__name__}: {whys[ask.__name__] or 'causal'}\n")

# %% [markdown]
# The second wraps around: pixels of the first column see the whole row. (Here the report's usual cause is a wrong
# guess, since it knows the pattern only and not the code.) The third is right on paper. But floating point rounds
# $a + x$, and so $(a + x) - x$ is not always $a$: the rounding error depends on $x$. Here it changes an output by at
# most $10^{-7}$ of what an earlier pixel may change. The report says so, and how to allow for it with `tolerance=`.
# Modules of PyTorch and functions of JAX are checked in the same way, and by their gradients besides: see
# `docs/causality.md`.

# %% [markdown]
# ## What you should see

# %%
assert (gradient != 0).sum() == by_hand[6 * W + 5].sum() == 57
assert np.array_equal(by_hand, from_library)
assert not np.triu(by_hand).any()
assert not np.triu(colour).any()
assert report_plain.ok
assert report_gated.ok
assert len(report_gated.blind) < len(report_plain.blind)
assert share_gated[32] == 1 > share_plain[32]
assert all(share_gated[layers] >= share_plain[layers] for layers in share_plain)

# %%
everything = table | table_of_sleepers
letters = {name: "".join(word[0] for word in row.values()) for name, row in everything.items()}
assert letters["nothing wrong"] == "ooooooo"
assert letters["mask B first"] == "LLLLoLL"
assert letters["one tap too many"] == "LLLLoLL"
assert letters["zeros, wrong end"] == "LLLLoLL"
assert letters["batch norm"] == "LccLLoL"
assert letters["asleep: weight 0"] == "oLLoooo"
assert letters["asleep: dead relu"] == "oLLoooo"
assert "blocks.1.look" in report.why
assert not awake.holds

assert whys["sum_padded"] == ""
assert "(its own value)" in whys["sum_rolled"]
assert "rounding" in whys["sum_subtracted"]

# %% [markdown]
# ## Exercises
# 1. *easy* Compute from `by_hand` which share of its past each of the 108 outputs sees, as a map (H, W). Which pixels
#    see least, and why?
# 2. *easy* Check the three sums once more with `inputs=("int64", 0, 255)`, so that they are asked about integers from
#    0 to 255. Which verdict changes, and why?
# 3. *medium* Write perturbation by hand: change one pixel of an image after another, compare all outputs to the bit,
#    and note every change that at least one of four images shows. Is the matrix that of the gradients?
# 4. *medium* A model of 2x2 pixels draws all reds first, then all greens, then all blues (`order="rgb-planes"`).
#    Predict its matrix, once with rows and columns in raster order, and once in the order of drawing. Then write a
#    function that obeys this order, and check it.
# 5. *hard* Does training ever open the leak behind the dead rectifier? Look at the gradient of its bias. Then open it
#    yourself, by a bias that is less low.
