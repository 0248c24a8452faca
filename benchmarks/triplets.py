"""Which triplets of a batch: all of them, semi-hard ones, or the hardest. Embeddings of the digits, three seeds each.

Run: python benchmarks/triplets.py          some minutes; docs/decisions/0011 quotes what it prints
Columns: the loss in the first, the 50th and the last steps; how many test digits have one of their own class as the
nearest of all others; the mean squared distance inside a class, and between classes.
"""

import numpy as np

import minipixel as mp

STEPS, MARGIN = 200, 0.2


def chosen_triplets(choose):
    """An op: the mean cost of triplets (anchors, positives, negatives) that `choose` picks, given all distances."""

    @mp.op
    def loss(x, *, labels, margin):
        squares = (x * x).sum(axis=1)
        distances = squares[:, None] + squares - 2 * x @ x.T
        same = labels[:, None] == labels
        a, p, n = choose(distances, same & ~np.eye(len(x), dtype=bool), ~same)
        excess = distances[a, p] - distances[a, n] + margin

        def vjp(g):
            pull, weight = np.zeros_like(distances), (excess > 0) * (g / max(len(a), 1))
            np.add.at(pull, (a, p), weight)
            np.add.at(pull, (a, n), -weight)
            both = pull + pull.T
            return (2 * (both.sum(axis=1)[:, None] * x - both @ x),)

        return np.maximum(excess, 0).sum() / max(len(a), 1), vjp

    return loss


def hardest(distances, positive, negative):
    """For each anchor the farthest positive and the nearest negative (Hermans et al. 2017, 1703.07737, equation 5)."""
    p = np.where(positive, distances, -np.inf).argmax(axis=1)
    return np.arange(len(p)), p, np.where(negative, distances, np.inf).argmin(axis=1)


def semi_hard(distances, positive, negative):
    """For each pair of one class the nearest of the negatives that are farther than its positive (1503.03832, 3.2)."""
    a, p = np.nonzero(positive)
    farther = np.where(negative[a] & (distances[a] > distances[a, p][:, None]), distances[a], np.inf)
    n, there_is_one = farther.argmin(axis=1), np.isfinite(farther).any(axis=1)
    return a[there_is_one], p[there_is_one], n[there_is_one]


WAYS = {"all": mp.ops.triplet_loss, "semi-hard": chosen_triplets(semi_hard), "hardest": chosen_triplets(hardest)}


def train(ds, loss, rate, seed):
    """The loss at each step, and the network."""
    net, optimizer = mp.models.EmbeddingNet(ds.image_shape, ds.levels, rng=seed), mp.optim.Adam(rate)
    rng, losses = np.random.default_rng(seed), []
    members = [np.flatnonzero(ds.train.labels == label) for label in range(len(ds.classes))]
    for _ in range(STEPS):
        batch = np.concatenate([rng.permutation(places)[:8] for places in members])
        cost = loss(net.points(ds.train.images[batch]), labels=ds.train.labels[batch], margin=MARGIN)
        cost.backward()
        optimizer.step(net)
        losses.append(float(cost.data))
    return losses, net


def judge(points, labels):
    """The share of nearest neighbours of the same class, the mean distance inside a class, and between classes."""
    distances = 2 - 2 * points @ points.T
    same, itself = labels[:, None] == labels, np.eye(len(points), dtype=bool)
    nearest = np.where(itself, 9, distances).argmin(axis=1)
    return (labels[nearest] == labels).mean(), distances[same & ~itself].mean(), distances[~same].mean()


def main():
    ds = mp.datasets.load("digits")
    print("triplets    rate seed    loss: first   50th    last   retrieved   inside  between")
    for name, loss in WAYS.items():
        for rate in (1e-3, 3e-3):
            for seed in range(3):
                losses, net = train(ds, loss, rate, seed)
                share, inside, between = judge(net.embed(ds.test.images), ds.test.labels)
                first, middle, last = (np.mean(losses[part]) for part in (slice(5), slice(45, 55), slice(-10, None)))
                print(
                    f"{name:10}{rate:6}{seed:5}{first:15.3f}{middle:7.3f}{last:8.4f}"
                    f"{share:12.1%}{inside:9.3f}{between:9.3f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
