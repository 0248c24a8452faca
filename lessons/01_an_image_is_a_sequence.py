# %% [markdown]
# # 01 An image is a sequence
#
# - *You will* turn an image into a sequence, build five small models of its next value, measure them, and draw from
#   them.
# - *Reads* the bundled digits; van den Oord et al. 2016, [arXiv:1601.06759](https://arxiv.org/abs/1601.06759), sections
#   1 and 2.
# - *Before* nothing: this is the first lesson. You should know NumPy, and what a conditional probability is.
# - *Takes* about 4 seconds to run, and 25 minutes to read.
#
# How can a computer draw a digit that nobody has ever written? It needs a rule that says how probable each possible
# image is, and a way to draw an image according to that rule. Both seem out of reach: the number of possible images of
# 8 x 8 pixels has 79 digits. This lesson shows the idea that makes both easy: **guess one pixel at a time**. At its end
# you will have five simple models that do it. In [lesson 03](03_pixelcnn_in_60_lines.py) a network takes their place,
# which you write yourself.

# %%
from itertools import product

import numpy as np
from drawings import lesson_01
from show import show

import minipixel as mp

ds = mp.datasets.load("digits")
train = ds.train.images[..., 0].astype(int)  # grey images have one channel, which is left out here: (N, H, W)
test = ds.test.images[..., 0].astype(int)
N, H, W = train.shape
Q = ds.levels
print(ds)

# %% [markdown]
# `minipixel` comes with these images: 1,797 handwritten digits of H = 8 rows and W = 8 columns. Each pixel holds one of
# Q = 17 **levels**, from 0 (no ink) to 16 (full ink). In all pictures ink is light on a dark ground, like chalk on a
# board. The letters N, H, W and Q mean the same in all lessons.
#
# The images are split. A model may learn from the 1,295 **training images**. The 359 **test images** are kept away from
# it: they show how well it does on images that it has never seen. (The other 143, the *validation images*, are for
# lesson 04.)
#
# Before we begin, a look at where the course leads. A few trained models come with `minipixel`. Here one of them draws
# ten digits, one pixel after the other; how it does that is what you are going to learn.

# %%
trained = mp.models.pretrained("digits-gated")
with mp.kernels.uncompiled():  # drawing so few digits takes less time than compiling the code that draws quickly
    drawn = trained.sample(10, rng=0, method="cached")[..., 0]
show(
    lesson_01.rows_of_images({"real": test[:10], "drawn": drawn}, levels=Q),
    "01_where_it_leads",
    "Ten real digits, and ten that a trained model has drawn. Nobody has ever written these.",
)

# %% [markdown]
# ## One line through the image
#
# We put all pixels into one line: row by row, and within a row from left to right. This is **raster order**. A pixel of
# a colour image holds three numbers, its **channels**: red, green and blue; they follow each other in the line. One
# channel of one pixel is called a **sub-pixel**. In an image of $W$ columns and $C$ channels, the sub-pixel in row $r$,
# column $c$ and the channel with the number $k$ has the place
#
# $$t = (r \cdot W + c) \cdot C + k.$$
#
# Here is that formula for an image of 2 rows, 4 columns and 3 channels.

# %%
r, c, k = np.indices((2, 4, 3))
place = (r * 4 + c) * 3 + k

model = mp.models.PixelCNN((2, 4, 3), levels=2, hidden=3, blocks=1)  # what it is comes in lesson 03
assert np.array_equal(place, model.order)  # the library counts in the same way
show(
    lesson_01.raster_order(place),
    "01_order",
    "The place t of every sub-pixel. Follow the numbers: red, green, blue, then the next pixel, then the next row.",
)

# %% [markdown]
# Our digits are grey. They have one channel, so each pixel is one number, and a digit is a line of 64 numbers.
#
# Now imagine that the image is written down along this line, one number after the other. At every moment there is a
# **past**, which is known; there is this pixel, which is to be guessed; and there is a **future**, which is not there
# yet and must not be looked at. We write $x_t$ for the pixel at place $t$, and $x_{<t}$ for its past.

# %%
show(
    lesson_01.past_and_future(test[11], t=27, levels=Q),
    "01_past_and_future",
    "A digit, the moment at which its pixel t = 27 is guessed, and the same moment along the line of all 64 pixels.",
)

# %% [markdown]
# ## A product of guesses
#
# The **chain rule** of probability says that the probability of a whole image is a product, with one factor per pixel:
#
# $$p(x) = p(x_0) \, p(x_1 \mid x_0) \, p(x_2 \mid x_0, x_1) \cdots = \prod_t p(x_t \mid x_{<t}).$$
#
# Each factor is a **conditional**: the probability of one pixel's level, given the past of that pixel. A model of this
# form is called **autoregressive**, because it predicts a sequence from the sequence's own past.
#
# Take the smallest example: two pixels, each of which is 0 or 1. Say that the first one is 1 with probability 0.3. The
# second one is 1 with probability 0.9 if the first one is 1, and with probability 0.2 if the first one is 0.

# %%
p_first_is_1 = 0.3
p_second_is_1 = {0: 0.2, 1: 0.9}  # given the first pixel

total = 0
for first, second in product([0, 1], repeat=2):
    p_first = p_first_is_1 if first == 1 else 1 - p_first_is_1
    p_second = p_second_is_1[first] if second == 1 else 1 - p_second_is_1[first]
    total = total + p_first * p_second
    print(f"p({first}, {second}) = {p_first:.1f} x {p_second:.1f} = {p_first * p_second:.2f}")
print(f"the sum over all images: {total:.2f}")

# %% [markdown]
# The four probabilities sum to 1, as probabilities must. This is no accident of the numbers 0.3, 0.2 and 0.9. Add up
# the two images that begin with a 0: their second pixel is either 0 or 1, so its two conditionals sum to 1, and what is
# left is $p(x_0 = 0)$. The same happens for the two that begin with a 1. Whatever the length of the line, the last
# pixel can be summed out in this way, then the last but one, and so on.
#
# So the chain rule can be read backwards, as a recipe: take **any** rule that turns a past into probabilities of the
# next value. Multiply. The result is a probability distribution over whole images.
#
# ## What may a pixel read?
#
# The argument needs an order in which each pixel reads only earlier ones. Let us see what happens without. There are 64
# images of 2 x 3 pixels with two levels, few enough to add up the probabilities of all. As our rule we take a table of
# random numbers: the probability that a pixel is 1 depends on its row, its column, and the values of two neighbours.


# %%
OFFSETS = {"left": (0, -1), "right": (0, 1), "above": (-1, 0), "below": (1, 0)}


def neighbour(images, side, outside):
    """The value next to every pixel, on one side of it, and `outside` beyond the border: (N, H, W) -> (N, H, W)."""
    _, H, W = images.shape
    row_offset, column_offset = OFFSETS[side]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    rows = slice(1 + row_offset, 1 + row_offset + H)
    columns = slice(1 + column_offset, 1 + column_offset + W)
    return padded[:, rows, columns]


print(neighbour(np.array([[[1, 2, 3], [4, 5, 6]]]), "left", outside=0))

# %% [markdown]
# The function shifts all images by one pixel: where a pixel was, its left neighbour now stands. The next cell takes
# four choices of two neighbours, and sums the product of the conditionals over all 64 images.

# %%
every_image = np.array(list(product([0, 1], repeat=6))).reshape(64, 2, 3)
random_table = np.random.default_rng(9).uniform(size=(2, 3, 3, 3))  # row, column, two neighbours: 0, 1, or 2 (outside)


def product_of_conditionals(images, one_side, other_side):
    """What the chain rule gives if every pixel reads these two neighbours: (N, 2, 3) -> (N,)."""
    row, column = np.indices((2, 3))
    one = neighbour(images, one_side, outside=2)
    other = neighbour(images, other_side, outside=2)
    p_is_1 = random_table[row, column, one, other]  # (N, 2, 3)
    p_of_pixel = np.where(images == 1, p_is_1, 1 - p_is_1)
    return p_of_pixel.prod(axis=(1, 2))


sums = {}
for one_side, other_side in [("left", "above"), ("right", "above"), ("left", "right"), ("above", "below")]:
    total_of_64 = product_of_conditionals(every_image, one_side, other_side).sum()
    sums[one_side, other_side] = total_of_64
    print(f"each pixel reads {one_side:5} and {other_side:5}: the sum over all 64 images is {total_of_64:.12f}")

show(
    lesson_01.who_reads_whom(sums, OFFSETS),
    "01_who_reads_whom",
    "An arrow runs from a pixel to the one that reads it. With circles among the arrows, the sum is not 1.",
)

# %% [markdown]
# Left and above: the sum is 1. Right and above: also 1, since that is the past of another order, in which each row
# runs from right to left. Left and right: the sum is 1.64. What breaks it is a circle: pixel a reads pixel b, and b
# reads a. Then no pixel is the last one, none can be summed out first, and the product is no probability of anything.
# Above and below make circles as well, and the sum is 0.79.
#
# This is the one law of this course: **fix an order, and read only what comes before.** A model that keeps this law is
# called **causal**.
#
# ## How good is a model?
#
# The probability that a model gives to an image is called the **likelihood** of the model for that image. A good model
# gives a high likelihood to images that it has not seen. Products of 64 numbers below 1 are tiny, so we take the
# logarithm, which turns the product into a sum:
#
# $$-\ln p(x) = \sum_t -\ln p(x_t \mid x_{<t}).$$
#
# This **negative log-likelihood** measures how surprised the model is by the image; less is better. With the natural
# logarithm its unit is the **nat**. Divided by $\ln 2$ it is in **bits**: a fair coin has one bit of surprise per toss,
# and a file that is compressed with the help of this model needs that many bits for the image. To compare images of
# different sizes, we divide by the number of sub-pixels as well. The result is called **bits/dim** (bits per
# dimension), and it is the figure that all papers of this field report:
#
# $$\text{bits/dim} = \frac{-\ln p(x)}{H \cdot W \cdot C \cdot \ln 2}.$$
#
# ## Five models
#
# Our models squeeze the past of a pixel into one whole number, its **context**. For each context they keep one row of
# Q probabilities. The contexts below know more and more about the past: nothing at all, the position of the pixel, its
# left and its upper neighbour, and at last all three of these together. A neighbour outside the image counts as one
# more level, with the number Q.
#
# Several values are packed into one number in the way in which a row and a column make a place: `left * (Q + 1) +
# above` is another number for each pair. To know all three exactly would take a table of 64 times 18 times 18 rows. So
# `all_three` puts the levels of a neighbour into five bands, and asks for the band alone.


# %%
def nothing(images):
    return np.zeros_like(images)


def position(images):
    return np.broadcast_to(np.arange(H * W).reshape(H, W), images.shape)


def left_and_above(images):
    left = neighbour(images, "left", outside=Q)
    above = neighbour(images, "above", outside=Q)
    return left * (Q + 1) + above


def all_three(images):
    left_band = (neighbour(images, "left", outside=Q) + 4) // 5  # the bands: 0, 1-5, 6-10, 11-15, 16 and outside
    above_band = (neighbour(images, "above", outside=Q) + 4) // 5
    return position(images) * 25 + left_band * 5 + above_band


# %% [markdown]
# To train such a model is to count: how often did level q follow this context in the training images? Every count
# starts at 1, not at 0. This is called **add-one smoothing**. Without it, a level that never followed a context would
# get the probability 0, and a test image in which it does would have an infinite surprise.


# %%
def count(context, rows, images):
    """A table of conditionals, one row for each context: (rows, Q)."""
    counts = np.ones((rows, Q))
    np.add.at(counts, (context(images), images), 1)  # one more for each pair of a context and the level that followed
    return counts / counts.sum(axis=1, keepdims=True)


def bits_per_dim(table, context, images):
    """The mean surprise at images (N, H, W)."""
    p = table[context(images), images]  # the conditional of every pixel: (N, H, W)
    nats = -np.log(p).sum(axis=(1, 2))  # of every image: (N,)
    return nats.mean() / (H * W * np.log(2))


# %% [markdown]
# The first model, *uniform*, knows nothing at all: its 17 levels are equally probable, and it counts no image. Its
# bits/dim are $\log_2 17 = 4.087$, and any other model should need fewer. The second one, the *histogram*, has the
# same context for every pixel, and counts how common each level is.

# %%
context_of = {"uniform": nothing, "histogram": nothing, "position": position}
context_of["left and above"] = left_and_above
context_of["all three"] = all_three
tables = {
    "uniform": np.full((1, Q), 1 / Q),
    "histogram": count(nothing, 1, train),
    "position": count(position, H * W, train),
    "left and above": count(left_and_above, (Q + 1) ** 2, train),
    "all three": count(all_three, H * W * 25, train),
}
on_train = {}
on_test = {}
print("model            rows of the table    bits/dim, training images    bits/dim, test images")
for name, table in tables.items():
    on_train[name] = bits_per_dim(table, context_of[name], train)
    on_test[name] = bits_per_dim(table, context_of[name], test)
    print(f"{name:15} {len(table):18} {on_train[name]:28.3f} {on_test[name]:24.3f}")
show(
    lesson_01.scores(on_train, on_test),
    "01_bits_per_dim",
    "Fewer bits/dim are better. The more a table has to learn, the wider the gap between the two bars.",
)

# %% [markdown]
# Each piece of knowledge about the past saves bits. But look at the gap between training and test images, the two bars
# of each pair. The table with 1,600 rows does much better on the images that it was counted from: it has learnt some
# of their accidents by heart. That is **overfitting**. It is why we judge a model by images that it has not seen.
#
# ## Drawing an image
#
# An autoregressive model draws an image in the order in which it reads one. Begin with nothing. At each place, look up
# the conditional of the past that has been drawn so far, and draw a level from it. Then go on to the next place. To
# draw is called **sampling**, and an image that was drawn is called a **sample**.
#
# How does one draw level q with probability $p_q$? Lay the probabilities end to end on a line from 0 to 1. Take a
# random number u, uniform between 0 and 1, and see on whose piece it falls.

# %%
p = np.array([0.5, 0.2, 0.3])  # of the levels 0, 1 and 2
ends = p.cumsum()
for u in (0.1, 0.6, 0.95):
    level = (ends[:-1] <= u).sum()  # how many pieces lie wholly below u
    print(f"pieces end at {ends}; u = {u} falls on level {level}")

# %% [markdown]
# The same for ten images at a time, pixel by pixel. All random numbers are drawn beforehand, and every model gets the
# same ones, so that only the models differ.

# %%
uniforms = np.random.default_rng(4).random((10, H, W))


def sample(table, context):
    """Ten images, drawn pixel by pixel: (10, H, W)."""
    images = np.zeros((10, H, W), int)
    for r in range(H):
        for c in range(W):
            context_here = context(images)[:, r, c]  # of what has been drawn so far
            p = table[context_here]  # (10, Q)
            ends = p.cumsum(axis=1)
            images[:, r, c] = (ends[:, :-1] <= uniforms[:, r, c, None]).sum(axis=1)
    return images


samples = {}
for name, table in tables.items():
    samples[name] = sample(table, context_of[name])
show(
    lesson_01.rows_of_images({"real": test[:10], **samples}, levels=Q),
    "01_samples",
    "Ten real digits, and ten samples of each model. From row to row the models know more of the past.",
)

# %% [markdown]
# The histogram knows how much ink there is. The position knows where: the margins are clean, and the middle is a cloud.
# The neighbours know that strokes hold together, but hardly where on the page. All three together give smears of the
# right size, and still no digits, because no table here looks further than one pixel.
#
# Why not a table of the **whole** past? Its last pixel alone would need $17^{63}$ rows, and we have 1,295 images to
# fill them. Almost every past that we meet in a new image has never been seen before. So a model is needed that reads
# the whole past and carries over to a new past what it has learnt from similar ones. That is what a neural network
# does. A **PixelCNN** keeps the product of conditionals, and puts one network in the place of the table.
#
# ## What you should see
#
# The last lines below ask the library's PixelCNN for the probabilities of all 64 images. It is a distribution before it
# has learnt anything.

# %%
assert np.isclose(total, 1)
assert abs(sums["left", "above"] - 1) < 1e-12
assert abs(sums["right", "above"] - 1) < 1e-12
assert np.isclose(sums["left", "right"], 1.637, atol=1e-3)  # a circle may miss 1 on either side
assert np.isclose(sums["above", "below"], 0.789, atol=1e-3)

assert np.isclose(on_test["uniform"], np.log2(17))
assert np.allclose(list(on_test.values()), [4.087, 2.971, 2.409, 2.366, 2.135], atol=6e-4)
assert on_test["all three"] - on_train["all three"] > 0.1  # overfitting
assert on_test["position"] - on_train["position"] < 0.01

untrained = mp.models.PixelCNN((2, 3, 1), levels=2, hidden=4, blocks=1)
assert np.isclose(np.exp(untrained.log_prob(every_image[..., None])).sum(), 1, atol=1e-6)

# %% [markdown]
# ## Exercises
#
# 1. *easy* Start the counts at 0.1, then at 10. Which table changes most? Compare its training and test bits/dim.
# 2. *easy* Turn the digits upside down. Which of the five test bits/dim change, and which cannot? Why?
# 3. *medium* Let `all_three` also read the pixel to the right, and start the counts at 0.1. The bits/dim of the
#    training images fall. Why may you not be pleased?
# 4. *medium* Replace the five bands by three, then by all 18 levels. Where is the best table, and what stops the larger
#    ones?
# 5. *medium* Work out how many bits each pixel costs, for each model. Which pixels cost nothing? Which models have
#    found that out, and how?
# 6. *hard* Draw 1,000 images from the table "position", count them, and show that you get the table back. How close do
#    you get, and how does that change with 16,000 images?
#
# Solutions: [solutions/01_an_image_is_a_sequence.py](solutions/01_an_image_is_a_sequence.py).
