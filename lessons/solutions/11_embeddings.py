# %% [markdown]
# # Solutions of lesson 11: embeddings
#
# The trained network, and the model that draws from its points, as in the lesson.

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


def share_of_own_class(squares):
    """How many have one of their own class as the nearest of all others, from distances (N, N)."""
    others = np.where(np.eye(len(squares), dtype=bool), np.inf, squares)
    return labels[others.argmin(axis=1)] == labels


net = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
mp.fit_embedding(net, ds.train.images, ds.train.labels, steps=STEPS, rng=0, progress=False)
points = net.embed(ds.test.images)

# %% [markdown]
# ## Exercise 1
#
# By pixels about 98 of 100 digits find one of their own class, as many as by points: the digits are small, and
# stand upright in the middle. What the embedding has is *order among all of them*. With pixels a digit is near to a few
# of its class, but the distances within a class are not much smaller than those to other classes. With points each
# class lies together. And a point has 16 numbers, where a picture has 64.

# %%
flat = ds.test.images.reshape(N, -1).astype(float)
norms = (flat**2).sum(axis=1)
by_pixels = norms[:, None] + norms - 2 * flat @ flat.T
by_points = squared_distances(points)
ratios = {}
for name, squares in {"pixels": by_pixels, "points": by_points}.items():
    ratios[name] = squares[~same].mean() / squares[same].mean()
    share = share_of_own_class(squares).mean()
    print(f"by {name}: {share:.1%} of their own class; between classes {ratios[name]:.1f} times as far as within")
assert share_of_own_class(by_pixels).mean() > 0.9
assert ratios["points"] > ratios["pixels"]

# %% [markdown]
# ## Exercise 2
#
# Now every step is another draw, and changes about as much as two draws from one point do. That the walk of the
# lesson is gradual is due to the random numbers which are kept.

# %%
portraits = mp.models.PixelCNN((H, W, C), ds.levels, hidden=24, blocks=3, condition_shape=(16,), rng=0)
optimizer = mp.optim.Adam(3e-3)
told = net.embed(ds.train.images)
mp.fit(portraits, ds.train.images, told, epochs=EPOCHS, batch_size=16, optimizer=optimizer, progress=False)

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
        steps.append(portraits.sample(5, at(s), rng=seed).astype(int))
    changes[name] = abs(np.diff(steps, axis=0)).mean()
    print(f"random numbers at every step: {name}; a step changes a pixel by {changes[name]:.2f} levels")
assert changes["others"] > 2 * changes["the same"]

# %% [markdown]
# ## Exercise 3
#
# Scaled to length 1 the point walks on around the sphere, but ever more slowly: it never gets further than to the
# direction $(h_1 - h_0) / |h_1 - h_0|$. On the way it leaves the region where the model has seen examples. Nothing
# warns of that. The digits at s = 2 are read by the network as the class of the end, or as another one.

# %%
far = at(1e6)
limit = (end - start) / np.linalg.norm(end - start, axis=1, keepdims=True)
assert np.allclose(far, limit, rtol=0, atol=1e-5)
to_the_limit = [np.linalg.norm(at(s) - limit, axis=1) for s in (1, 1.5, 2, 4)]
assert (np.diff(to_the_limit, axis=0) < 0).all()
for s in (1, 1.5, 2):
    drawn = portraits.sample(5, at(s), rng=3)
    nearest = (net.embed(drawn) @ points.T).argmax(axis=1)
    print(f"s = {s}: the draws are nearest to test digits of the classes", *labels[nearest])

# %% [markdown]
# ## Exercise 4
#
# With nothing that pushes, all points come together in one: this is called *collapse*. The loss is then 0, the best
# there is, and the network has learnt nothing. In code: two batches of the same classes, and the mean squared
# distance of the pairs as the loss.

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
print(f"pulled together only: mean squared distance within a class {collapsed[same].mean():.4f}, "
      f"between classes {collapsed[~same].mean():.4f}")  # fmt: skip
assert collapsed.mean() < 0.05

# %% [markdown]
# With triplets and a margin of almost 0, nothing forces the points apart either: it is enough that each positive is a
# hair's breadth nearer than each negative. The order is right, but the classes lie close together.

# %%
close = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
mp.fit_embedding(close, ds.train.images, ds.train.labels, steps=STEPS, margin=1e-3, rng=0, progress=False)
by_close = squared_distances(close.embed(ds.test.images))
for name, squares in {"0.2": by_points, "0.001": by_close}.items():
    share = share_of_own_class(squares).mean()
    print(f"margin {name}: between classes {squares[~same].mean():.2f}, {share:.1%} of their own class as the nearest")
assert by_close[~same].mean() < by_points[~same].mean()

# %% [markdown]
# ## Exercise 5
#
# The network has never seen a nine, and yet most nines find another nine as the nearest of all test digits. They lie
# together, near to classes that look like them. What the network has learnt is not ten names but what makes digits
# alike. This is how one recognises a face that was in no training set: by comparing two pictures.

# %%
kept = ds.train.labels != 9
without_nines = mp.models.EmbeddingNet((H, W, C), ds.levels, rng=0)
some_images = ds.train.images[kept]
some_labels = ds.train.labels[kept]
mp.fit_embedding(without_nines, some_images, some_labels, steps=STEPS, rng=0, progress=False)
squares = squared_distances(without_nines.embed(ds.test.images))
nines = labels == 9
found = share_of_own_class(squares)[nines].mean()
among_nines = squares[nines][:, nines].mean()
to_others = {label: squares[nines][:, labels == label].mean() for label in range(9)}
closest = min(to_others, key=to_others.get)
print(f"{found:.1%} of the nines have a nine as the nearest; mean squared distance among nines {among_nines:.2f}, "
      f"to the closest class, {closest}, {to_others[closest]:.2f}")  # fmt: skip
assert found > 0.5
