# %% [markdown]
# # Solutions of lesson 11: embeddings
#
# The lesson is [11 Embeddings](../11_embeddings.py). Each solution begins with its exercise. First come the lesson's
# trained network, and two functions: one for the squared distances between points, and one that asks for each test
# digit whether its nearest neighbour has the same class.

# %%
import os

import numpy as np

import minipixel as mp

QUICK = os.environ.get("MINIPIXEL_QUICK") == "1"
EPOCHS = 1 if QUICK else 8
STEPS = 20 if QUICK else 150

ds = mp.datasets.load("digits")
N, H, W, C = ds.test.images.shape
labels = ds.test.labels
same = labels[:, None] == labels


# %%
def squared_distances(points):
    """|a - b|**2 between all points of length 1: (N, K) -> (N, N)."""
    return 2 - 2 * points @ points.T


def nearest_is_alike(squares):
    """Whether the nearest of all others has the same class, for each test digit: distances (N, N) -> boolean (N,)."""
    others = np.where(np.eye(len(squares), dtype=bool), np.inf, squares)
    return labels[others.argmin(axis=1)] == labels


net = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
mp.fit_embedding(net, ds.train.images, ds.train.labels, steps=STEPS, rng=0, progress=False)
points = net.embed(ds.test.images)

# %% [markdown]
# ## Exercise 1
#
# > Find nearest neighbours by pixels instead of points: by the sum of squared differences of two pictures. How often do
# > they have the same class? What is the advantage of the embedding?
#
# By pixels the nearest neighbour has the same class for about 98 of 100 digits. That is as good as by points. The task
# is easy by pixels, since these digits are small and stand upright in the middle. The advantage of the embedding shows
# in the *mean* squared distances. By pixels those between classes are about twice those within a class. By points they
# are about six times as large, so that each class lies together. And a point has 16 numbers, where a picture has 64.

# %%
flat = ds.test.images.reshape(N, -1).astype(float)
norms = (flat**2).sum(axis=1)
by_pixels = norms[:, None] + norms - 2 * flat @ flat.T
by_points = squared_distances(points)
ratios = {}
for name, squares in {"pixels": by_pixels, "points": by_points}.items():
    ratios[name] = squares[~same].mean() / squares[same].mean()
    share = nearest_is_alike(squares).mean()
    print(f"by {name}: the nearest has the same class for {share:.1%}; ratio of the mean squared distances, "
          f"between classes to within: {ratios[name]:.1f}")  # fmt: skip
assert nearest_is_alike(by_pixels).mean() > 0.9
assert ratios["points"] > ratios["pixels"]

# %% [markdown]
# ## Exercise 2
#
# > Walk with other random numbers at every step. How much does a step change now?
#
# Several times as much. With other random numbers every step is a draw of its own. So the walk of the lesson is gradual
# because its random numbers stay the same.

# %%
model = mp.models.PixelCNN((H, W, C), ds.levels, hidden=24, blocks=3, condition_shape=(16,), rng=0)
optimizer = mp.optim.Adam(3e-3)
conditions = net.embed(ds.train.images)
mp.fit(model, ds.train.images, conditions, epochs=EPOCHS, batch_size=16, optimizer=optimizer, progress=False)

start = points[[np.flatnonzero(labels == label)[0] for label in (0, 1, 2, 3, 5)]]
end = points[[np.flatnonzero(labels == label)[0] for label in (6, 4, 7, 5, 6)]]


def at(s):
    """The points of five walks at s, with length 1."""
    h = (1 - s) * start + s * end
    return h / np.linalg.norm(h, axis=1, keepdims=True)


changes = {}
for name in ("the same", "others"):
    steps = []
    for i, s in enumerate(np.linspace(0, 1, 11)):
        seed = 3 if name == "the same" else 3 + i
        steps.append(model.sample(5, at(s), rng=seed).astype(int))
    changes[name] = abs(np.diff(steps, axis=0)).mean()
    print(f"random numbers at every step: {name}; a step changes a pixel by {changes[name]:.2f} levels")
assert changes["others"] > 2 * changes["the same"]

# %% [markdown]
# ## Exercise 3
#
# > Walk past the end, to s = 1.5 and s = 2. Where does the point go, if it is always scaled to length 1?
#
# It goes on around the sphere, but ever more slowly. For large s the first point hardly counts beside $s\,(h_1 - h_0)$.
# So the scaled point comes closer and closer to $(h_1 - h_0) / |h_1 - h_0|$, and never gets past it. On the way it may
# leave the region of the training conditions, and the model draws all the same. We let the network embed these draws,
# and print the class of the nearest test digit.

# %%
far = at(1e6)
limit = (end - start) / np.linalg.norm(end - start, axis=1, keepdims=True)
assert np.allclose(far, limit, rtol=0, atol=1e-5)
to_the_limit = [np.linalg.norm(at(s) - limit, axis=1) for s in (1, 1.5, 2, 4)]
assert (np.diff(to_the_limit, axis=0) < 0).all()
for s in (1, 1.5, 2):
    drawn = model.sample(5, at(s), rng=3)
    nearest = (net.embed(drawn) @ points.T).argmax(axis=1)
    print(f"s = {s}: the draws are nearest to test digits of the classes", *labels[nearest])

# %% [markdown]
# ## Exercise 4
#
# > Train a network without negatives, with the mean of $|a - p|^2$ as its loss. Where do the points end up? And where
# > do they end up with triplets, but a margin of almost 0?
#
# If nothing pushes points apart, all of them come together in one. This is the collapse that the margin prevents. The
# loss is then 0, which is the best there is, and the network has learnt nothing. In code we draw two batches with the
# same classes, and take the mean squared distance of the pairs as the loss.

# %%
pulled = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
optimizer = mp.optim.Adam(1e-3)
rng = np.random.default_rng(0)
members = [np.flatnonzero(ds.train.labels == label) for label in range(10)]
for _ in range(60):
    anchors = np.concatenate([rng.choice(places, 4) for places in members])
    positives = np.concatenate([rng.choice(places, 4) for places in members])
    difference = pulled.points(ds.train.images[anchors]) - pulled.points(ds.train.images[positives])
    loss = mp.ops.total(difference * difference) / len(anchors)
    loss.backward()
    optimizer.step(pulled)
collapsed = squared_distances(pulled.embed(ds.test.images))
print(f"without negatives: mean squared distance within a class {collapsed[same].mean():.4f}, "
      f"between classes {collapsed[~same].mean():.4f}")  # fmt: skip
assert collapsed.mean() < 0.05

# %% [markdown]
# With triplets and a margin of almost 0, hardly anything forces the points apart either. It is enough that each
# positive is a very little nearer than each negative. So the nearest neighbours are mostly right, but the classes lie
# closer together.

# %%
close = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
mp.fit_embedding(close, ds.train.images, ds.train.labels, steps=STEPS, margin=1e-3, rng=0, progress=False)
by_close = squared_distances(close.embed(ds.test.images))
for name, squares in {"0.2": by_points, "0.001": by_close}.items():
    share = nearest_is_alike(squares).mean()
    print(f"margin {name}: mean squared distance between classes {squares[~same].mean():.2f}; "
          f"the nearest has the same class for {share:.1%}")  # fmt: skip
assert by_close[~same].mean() < by_points[~same].mean()

# %% [markdown]
# ## Exercise 5
#
# > Leave all nines out of the training of the network. Where does it put them?
#
# The network has never seen a nine, and yet for most nines the nearest of all test digits is another nine. They lie
# together, near to classes that look like them. So the network has learnt more than nine classes: it has learnt which
# differences between digits matter. In the same way one can recognise a face that was in no training set, by comparing
# two pictures of it.

# %%
kept = ds.train.labels != 9
without_nines = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
some_images = ds.train.images[kept]
some_labels = ds.train.labels[kept]
mp.fit_embedding(without_nines, some_images, some_labels, steps=STEPS, rng=0, progress=False)
squares = squared_distances(without_nines.embed(ds.test.images))
nines = labels == 9
share = nearest_is_alike(squares)[nines].mean()
among_nines = squares[nines][:, nines].mean()
to_others = {label: squares[nines][:, labels == label].mean() for label in range(9)}
closest = min(to_others, key=to_others.get)
print(f"{share:.1%} of the nines have a nine as the nearest; mean squared distance among nines {among_nines:.2f}, "
      f"to the closest class, {closest}, {to_others[closest]:.2f}")  # fmt: skip
assert share > 0.5
