"""Training an embedding network by the triplet loss, which compares the images of a whole batch with each other.

First the batch is embedded, shard by shard. Then one loss is computed from all embeddings, with its gradient with
respect to each of them. At last every shard takes its part of this gradient back to the weights. The result is the same
to the bit for any number of workers, as in fit.py. Ranks share nothing out here: each of them takes all steps.
"""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.backend import explained
from minipixel.models import EmbeddingNet
from minipixel.models.checks import MANY, check_count, check_images, check_labels
from minipixel.models.step import gradient_buffers, named_gradients
from minipixel.nn.flat import Layout, distinct
from minipixel.optim import Optimizer
from minipixel.optim.optimizer import check_above_0
from minipixel.ranks import ALONE
from minipixel.shards import Workers
from minipixel.spelling import spelled
from minipixel.tensor import Tensor, gradients
from minipixel.training.anomaly import StepError, report, take_step
from minipixel.training.arguments import check_model, check_optimizer
from minipixel.training.callbacks import Progress
from minipixel.training.history import History
from minipixel.training.interrupt import Interrupted, finish_the_step
from minipixel.training.streams import TRIPLETS, Streams


@spelled
def fit_embedding(
    net: EmbeddingNet,
    images: Any,
    labels: Any,
    *,
    steps: int = 300,
    classes_per_batch: int = 10,
    images_per_class: int = 8,
    margin: float = 0.2,
    optimizer: Optimizer | str | None = None,
    rng: Any = 0,
    workers: int | None = None,
    progress: bool = True,
) -> History:
    """Train an embedding network on labelled images, integers (N, H, W, C) and (N,), by the triplet loss.

    Each of the `steps` takes at most `classes_per_batch` classes and at most `images_per_class` images of each, all
    chosen at random: the loss needs several images of a class in one batch. `margin` is that of ops.triplet_loss. The
    History has one entry per step, "loss". `optimizer` is one of mp.optim, or its name; None stands for Adam at 1e-3.
    `rng` is None, an int, a SeedSequence or a Generator. `workers` is the number of threads, by default one per core.
    Raises ValueError for arguments of another kind or range, such as a class with a single image, before anything is
    changed; Interrupted, a KeyboardInterrupt, after Ctrl-C; NonFiniteError before a step with a loss or a gradient that
    is NaN or infinite. Source: Schroff et al. 2015, "FaceNet", arXiv:1503.03832.
    """
    check_model("fit_embedding", net, EmbeddingNet)
    images = check_images(images, net.image_shape, net.levels)
    members = _members(check_labels(labels, len(images)))
    steps = check_count("steps", steps, 1, MANY)
    classes_per_batch = min(check_count("classes_per_batch", classes_per_batch, 2), len(members))
    images_per_class = check_count("images_per_class", images_per_class, 2)
    check_above_0("margin", margin, "0.2")

    optimizer, streams, history = check_optimizer(optimizer), Streams(rng), History()
    batch_size = classes_per_batch * images_per_class
    watchers = [Progress(1)] if progress else []
    with Workers(workers, ranks=ALONE, device=net.device) as pool, finish_the_step(progress) as interrupted:
        for watcher in watchers:
            watcher.on_train_begin(net, steps * batch_size)
        try:
            for step in range(steps):
                batch, kinds = _batch(members, classes_per_batch, images_per_class, streams(TRIPLETS, step))
                try:
                    with explained(len(batch)):
                        logs = {"loss": _step(net, images[batch], kinds, float(margin), optimizer, pool)}
                except StepError as what:
                    error = report(what, (0, step), batch, None)
                    error.history = history
                    raise error from None
                history.append(logs)
                for watcher in watchers:
                    watcher.on_batch_end(0, batch_size, logs)
                if interrupted():
                    raise KeyboardInterrupt
            for watcher in watchers:
                watcher.on_epoch_end(0, logs)
        except KeyboardInterrupt:
            raise Interrupted(history) from None
        finally:
            for watcher in watchers:
                watcher.on_train_end()
    return history


def _members(labels: np.ndarray) -> list[np.ndarray]:
    """For each class the places of its images. Raises ValueError for a single class, and for one image of a class."""
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"labels: got only class {classes[0]}, wanted two or more; a triplet needs another class")
    if counts.min() < 2:
        raise ValueError(
            f"labels: got one image of class {classes[counts.argmin()]}, wanted two or more of each; leave it out"
        )
    return [np.flatnonzero(labels == label) for label in classes]


def _batch(
    members: list[np.ndarray], classes_per_batch: int, images_per_class: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The places of a batch's images, several of each of some classes, and the class of each, numbered from 0."""
    chosen = [rng.permutation(members[k])[:images_per_class] for k in rng.permutation(len(members))[:classes_per_batch]]
    return np.concatenate(chosen), np.repeat(np.arange(len(chosen)), [len(places) for places in chosen])


def _step(
    net: EmbeddingNet, batch: np.ndarray, labels: np.ndarray, margin: float, optimizer: Optimizer, pool: Workers
) -> float:
    """One optimiser step on the loss of a batch; returns that loss."""
    size = net.shard_of_batch(len(batch))
    able = net.ready(min(size, len(batch)), True)
    shards = list(pool.each(lambda part: (part, net.points(batch[part], able)), pool.parts(len(batch), size)))
    embeddings = Tensor(net.xp.concatenate([points.data for _, points in shards]))
    loss = ops.triplet_loss(embeddings, labels=labels, margin=margin)
    (moves,) = gradients(loss, [embeddings])
    named = list(net.named_parameters())
    parameters = list(distinct(named).values())
    layout = Layout.of([parameter.data for parameter in parameters])

    def back(part: slice) -> list[Any]:
        where, points = shards[part.start]
        return gradient_buffers(points, parameters, layout, moves[where])

    buffers = pool.sum(back, len(shards), 1)
    return take_step(net, optimizer, loss.data, named_gradients(named, layout, buffers))[0]
