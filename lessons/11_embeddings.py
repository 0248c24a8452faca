# %% [markdown]
# # 11 Embeddings: a picture says what to draw
#
# - *You will* train a network that turns pictures into points, draw pictures from points, and walk from one to another.
# - *Reads* `minipixel/models/embedding.py`, `minipixel/ops/triplets.py`; Schroff et al. 2015, arXiv:1503.03832, section
#   3; van den Oord et al. 2016, arXiv:1606.05328, section 3.3.
# - *Before* [lesson 10](10_conditions.py) for conditions.
# - *Takes* about half a minute to run on two cores, and 20 minutes to read.
#
# A label says little. It says "a three", and not what kind of three. Could we show the model a picture instead, and ask
# for more of that kind? A condition has to be a row of numbers. The pixels themselves will not do, since a model that
# is told all of them copies them ([lesson 10](10_conditions.py)). We need a few numbers that say what a picture is
# like, and that are close to each other for pictures that are alike. Where do we get them from?

# %%
import os

import numpy as np
from drawings import lesson_11
from show import show

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
SEED = int(os.environ.get("MINIPIXEL_SEED", "0"))  # of all that is trained and drawn: the text holds for others, too
EPOCHS = 1 if QUICK else 8
STEPS = 20 if QUICK else 150

ds = mp.datasets.load("digits")
N, H, W, C = ds.test.images.shape
Q = ds.levels

# %% [markdown]
# ## Pictures become points
#
# We get them from another network. It reads a finished picture, so it needs no masks: each of its convolutions looks in
# all directions. What comes out is a row of 16 numbers, the **embedding** of the picture. The network divides it by its
# length, so that all embeddings are points on a sphere of radius 1, in a space of 16 dimensions.
#
# How far are two such points apart? For points $a$ and $b$ of length 1,
#
# $$ |a - b|^2 = |a|^2 + |b|^2 - 2\, a \cdot b = 2 - 2\, a \cdot b. $$
#
# So all distances come from one matrix product. They lie between 0, the same point, and 4, the point on the other side.

# %%
net = mp.models.EmbeddingNet((H, W, C), Q, rng=SEED)
points_before = net.embed(ds.test.images)  # (N, 16)
lengths = np.linalg.norm(points_before, axis=1)
print(f"{points_before.shape} numbers; lengths from {lengths.min():.6f} to {lengths.max():.6f}")


def squared_distances(points):
    """|a - b|**2 between all points of length 1: (N, K) -> (N, N)."""
    return 2 - 2 * points @ points.T


squares_before = squared_distances(points_before)
print(f"mean squared distance, untrained: {squares_before.mean():.2f}")

# %% [markdown]
# ## The triplet loss
#
# The network is untrained, and its points say little. What should it learn? There is no right place for a picture that
# we could give as a target. We only know which pictures should be near to each other: those of one class.
#
# So we take three pictures, a **triplet**: an *anchor* $a$, a *positive* $p$ of the same class, and a *negative* $n$ of
# another class. The positive should be nearer to the anchor than the negative is: its squared distance should be
# smaller by at least 0.2, the **margin**. A triplet for which this holds costs nothing. Any other costs what is
# missing:
#
# $$ \max\left(0,\; |a - p|^2 - |a - n|^2 + 0.2\right). $$
#
# The **triplet loss** of a batch is the mean over all its triplets. We compute it by hand for 20 digits.

# %%
some = ds.train.images[:20]
kinds = ds.train.labels[:20]
squares_of_some = squared_distances(net.embed(some))
costs = []
for a in range(20):
    for p in range(20):
        for n in range(20):
            is_triplet = p != a and kinds[p] == kinds[a] and kinds[n] != kinds[a]
            if is_triplet:
                costs.append(max(0, squares_of_some[a, p] - squares_of_some[a, n] + 0.2))
by_hand = np.mean(costs)
in_library = net.loss(some, kinds, margin=0.2).item()
print(f"{len(costs)} triplets; loss by hand {by_hand:.6f}, in the library {in_library:.6f}")

# %% [markdown]
# What is the margin good for? Without it the network could put all pictures into a single point; this is called
# **collapse**. All distances would be 0, and no triplet would cost anything. With the margin such a network pays 0.2
# for each triplet.
#
# In training each batch holds eight digits of each class, drawn at random. Gradients pull positives towards the anchor
# and push negatives away.

# %%
history = mp.fit_embedding(net, ds.train.images, ds.train.labels, steps=STEPS, rng=SEED, progress=False)
losses = history.history["loss"]
print(f"triplet loss: {losses[0]:.4f} in the first step, {np.mean(losses[-10:]):.4f} in the last ten")
points = net.embed(ds.test.images)
squares_after = squared_distances(points)

# %% [markdown]
# ## Look at the points
#
# First we look at a single triplet of test digits. The anchor is the first one. We take the triplet that was worst
# before the training: with the positive that was furthest from this anchor, and the negative that was nearest to it.

# %%
same = ds.test.labels[:, None] == ds.test.labels
anchor = 0
positive = np.where(same[anchor], squares_before[anchor], -1).argmax()  # -1 is nearer than any of the others
negative = np.where(same[anchor], 5, squares_before[anchor]).argmin()  # 5 is further away than any of the others
worst = ds.test.images[[anchor, positive, negative]]
caption = "Before the training the positive was further from the anchor than the negative, and after it nearer."
two = [positive, negative]
figure = lesson_11.triplet(worst, squares_before[anchor, two], squares_after[anchor, two])
show(figure, "11_triplet", caption)

# %% [markdown]
# The next figure shows all squared distances. The test digits are sorted by class, so that the distances within a class
# stand in the squares along the diagonal.

# %%
caption = "Dark is near. After the training ten dark squares lie on the diagonal: the ten classes."
squares = {"untrained": squares_before, "trained": squares_after}
show(lesson_11.distances(squares, ds.test.labels), "11_distances", caption)
print(f"mean squared distance within a class: {squares_after[same].mean():.2f}")
print(f"mean squared distance between classes: {squares_after[~same].mean():.2f}")

# %% [markdown]
# A space of 16 dimensions cannot be drawn. But we can draw the two directions in which the points differ most. The
# singular value decomposition of the points finds them: they are the first two rows of its last matrix.


# %%
def seen_from_the_best_side(points):
    """The two coordinates in which points differ most: (N, K) -> (N, 2)."""
    centred = points - points.mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2]
    return centred @ directions[:2].T


flat = {"untrained": seen_from_the_best_side(points_before), "trained": seen_from_the_best_side(points)}
caption = "Each test digit as a point, drawn as its label. On the right the classes have come together."
show(lesson_11.points(flat, ds.test.labels), "11_points", caption)

# %% [markdown]
# How well do the points tell the classes apart? For each test digit we ask whether the nearest of all others has the
# same class. (The digit itself is at distance 0, so it is taken out.)

# %%
others = np.where(np.eye(N, dtype=bool), 5, squares_after)  # 5 is further than any distance
nearest = others.argmin(axis=1)
retrieved = (ds.test.labels[nearest] == ds.test.labels).mean()
print(f"{retrieved:.1%} of the test digits have one of their own class as the nearest")

# %% [markdown]
# ## From a point to pictures
#
# Now the condition $h$ of a PixelCNN is an embedding: `condition_shape=(16,)`. This model is never told a label. For
# each training digit it is told the point of that digit.

# %%
model = mp.models.PixelCNN((H, W, C), Q, hidden=24, blocks=3, condition_shape=(net.dimensions,), rng=SEED)
mp.fit(
    model,
    ds.train.images,
    net.embed(ds.train.images),
    epochs=EPOCHS,
    batch_size=16,
    optimizer=mp.optim.Adam(3e-3),
    rng=SEED,
    progress=False,
)

# %% [markdown]
# For each class we take a typical test digit: the one whose point is nearest to the mean of its class. Then we draw
# nine pictures from each of four such points, those of a 0, a 3, a 6 and an 8.

# %%
typical = np.empty(10, int)
for label in range(10):
    members = np.flatnonzero(ds.test.labels == label)
    mean = points[members].mean(axis=0)
    typical[label] = members[(points[members] @ mean).argmax()]

shown = typical[[0, 3, 6, 8]]
drawn = model.sample(36, points[np.repeat(shown, 9)], rng=SEED).reshape(4, 9, H, W, C)
rows = np.concatenate([ds.test.images[shown][:, None], drawn], axis=1)
caption = "In each row first a test digit, then nine draws. All that the model was told is the test digit's embedding."
show(mp.plots.image_grid(rows.reshape(-1, H, W, C), Q, title="More of this kind"), "11_portraits", caption)

# %% [markdown]
# The draws are not copies. The 16 numbers were trained to tell classes apart, and they say little of single strokes.
# These are up to the model. In the paper (section 3.3) the pictures are faces, the embeddings tell persons apart, and
# the model draws new portraits of a person.
#
# ## A walk
#
# What does the model draw from a point between the points of two digits? We go from one to the other in a straight
# line,
#
# $$ h_s = (1 - s)\, h_0 + s\, h_1, \qquad 0 \le s \le 1, $$
#
# and scale each $h_s$ to length 1, since in training all conditions had this length. Each step draws with *the same
# random numbers*: the argument `rng` is the same each time. So only $h$ changes from step to step.

# %%
start = points[typical[[0, 1, 2, 3, 5]]]
end = points[typical[[6, 4, 7, 5, 6]]]
steps = []
for s in np.linspace(0, 1, 11):
    h = (1 - s) * start + s * end
    h = h / np.linalg.norm(h, axis=1, keepdims=True)
    steps.append(model.sample(5, h, rng=SEED + 3))
walk = np.stack(steps).astype(int)  # (11, 5, H, W, C)
by_step = abs(np.diff(walk, axis=0)).mean()
from_end_to_end = abs(walk[-1] - walk[0]).mean()
print(f"mean change of a pixel: {by_step:.2f} levels per step, {from_end_to_end:.2f} from end to end")

pictures = walk.swapaxes(0, 1).reshape(-1, H, W, C)  # a row for each walk
caption = "Five walks, from left to right, each in ten steps. Look for the step in which the class changes."
show(mp.plots.image_grid(pictures, Q, columns=11, title="From one digit to another"), "11_walk", caption)

# %% [markdown]
# Most steps change the picture only a little. But it does not change as smoothly as the point. A pixel keeps its level
# until its random number falls on the piece of another level. Then it jumps, and all pixels that are drawn after it see
# the new value. After so short a training not all ends are clean digits. (The walk of a larger model is in
# `docs/images/digits-walk.png`.)
#
# ## What does an embedding tell?
#
# In training the embedding was computed from the very picture that is predicted. As in [lesson 10](10_conditions.py),
# this is no leak, since $h$ is fixed before the first pixel is drawn. But the bits that the model needs are bits of
# $p(x \mid h)$. To see how much $h$ tells, we measure them for three conditions: the embedding of the test digit
# itself, that of another digit of its class, and that of a digit of another class.

# %%
rng = np.random.default_rng(SEED)
own_class = np.empty(N, int)  # for each digit another one of its class
other_class = np.empty(N, int)  # and one of another class
for i in range(N):
    alike = np.flatnonzero(same[i])
    own_class[i] = rng.choice(alike[alike != i])
    other_class[i] = rng.choice(np.flatnonzero(~same[i]))

conditions = {
    "its own": points,
    "another of its class": points[own_class],
    "another class": points[other_class],
}
bits = {}
for name, embeddings in conditions.items():
    bits[name] = model.bits_per_dim(ds.test.images, embeddings)
    print(f"told the embedding of {name:21} {bits[name]:.3f} bits/dim")

# %% [markdown]
# Another digit of the same class serves nearly as well. The difference, 0.08 to 0.09 bits/dim or 5 bits per image, is
# what the embedding says of a digit beyond its class. It was trained to tell classes apart, but nothing in the triplet
# loss removes the rest. The embedding of another class does much harm, since the model relies on what it is told.
#
# ## What you should see

# %%
assert np.allclose(lengths, 1, rtol=0, atol=1e-5)
assert np.isclose(by_hand, in_library, rtol=1e-4)
assert mp.check_causality(model).ok
assert np.array_equal(model.sample(5, h, rng=SEED + 3), walk[-1])  # the same random numbers, the same pictures
if not QUICK:
    assert losses[0] > 10 * np.mean(losses[-10:])
    assert retrieved > 0.95
    assert squares_after[same].mean() < squares_after[~same].mean() / 4
    assert squares_before[anchor, positive] > squares_before[anchor, negative]
    assert squares_after[anchor, positive] < squares_after[anchor, negative]
    assert by_step < from_end_to_end / 3
    assert bits["its own"] < bits["another of its class"] < bits["another class"]

# %% [markdown]
# ## Exercises
# 1. *easy* Find nearest neighbours by pixels instead of points: by the sum of squared differences of two pictures. How
#    often do they have the same class? What is the advantage of the embedding?
# 2. *easy* Walk with other random numbers at every step. How much does a step change now?
# 3. *medium* Walk past the end, to s = 1.5 and s = 2. Where does the point go, if it is always scaled to length 1?
# 4. *medium* Train a network without negatives, with the mean of $|a - p|^2$ as its loss. (`net.points(images)` returns
#    the embeddings as a Tensor.) Where do the points end up? And where do they end up with triplets, but a margin of
#    almost 0?
# 5. *hard* Leave all nines out of the training of the network. Where does it put them? (The paper of the triplet loss
#    is about such a question: its network compares faces of people whom it has never seen.)
#
# Solutions: [solutions/11_embeddings.py](solutions/11_embeddings.py).
