"""Change something, and see what moves: to the bit, for anything that turns images into numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minipixel.causality.structure import belongs, joined
from minipixel.causality.subjects import Subject
from minipixel.shards import Workers

SEED = 0
"""What the noise of the training mode is drawn from: the same for the image and for the changed one."""


def perturbed(
    subject: Subject,
    *,
    images: int = 4,
    outputs: Sequence[int] | np.ndarray | None = None,
    rng: Any = 0,
    seed: int | None = None,
    inputs: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Which outputs move when a single sub-pixel does: boolean (rows, S), [i, j] for output i by sub-pixel j.

    Each of `inputs` (all, if none are named) is changed to the far end of the range, one a copy of the image. Where the
    copy stands in a batch the unchanged image has stood before, so the same arithmetic is done with the same numbers,
    and what does not depend on the change stays the same to the bit. With a `seed` that is done in training mode.
    """
    generator = np.random.default_rng(rng)
    rows = np.arange(subject.size) if outputs is None else np.asarray(outputs)
    columns = np.arange(subject.size) if inputs is None else np.asarray(inputs)
    found = np.zeros((len(rows), subject.size), bool)

    def change(copies: np.ndarray, part: slice) -> None:
        touched = (np.arange(len(copies)), columns[part])
        copies[touched] = subject.inputs.far(copies[touched])

    for _ in range(images):
        found[:, columns] |= _moved(subject, change, len(columns), generator, seed)[:, rows].T
    return found | joined(rows, subject.image_shape) if subject.joins else found


def future_changed(
    subject: Subject, places: np.ndarray, *, images: int = 4, rng: Any = 0, seed: int | None = None
) -> np.ndarray:
    """Which outputs move though only what is drawn no earlier did: boolean (len(places), S), [k, i] for output i.

    For each of some `places` in raster order that sub-pixel and all later ones are changed at once: a single forward
    pass tells what all earlier outputs know of all of its future.
    """
    generator, order = np.random.default_rng(rng), subject.order.ravel()
    found = np.zeros((len(places), subject.size), bool)

    def change(copies: np.ndarray, part: slice) -> None:
        future = order >= order[places[part], None]
        copies[future] = subject.inputs.far(copies[future])

    for _ in range(images):
        found |= _moved(subject, change, len(places), generator, seed)
    return found & (order <= order[places, None])


def _moved(
    subject: Subject,
    change: Callable[[np.ndarray, slice], None],
    n: int,
    generator: np.random.Generator,
    seed: int | None,
) -> np.ndarray:
    """Which outputs move in each of n changed copies of a random image: boolean (n, S).

    `change(copies, part)` writes into copies (len(part), S).
    """
    image, context = subject.random_image(generator), subject.context(generator)
    C = subject.image_shape[2]

    def copies(size: int) -> np.ndarray:
        return np.repeat(image[None], size, axis=0)

    sizes = {min(subject.batch, n), n % subject.batch or min(subject.batch, n)}
    before = {size: subject.parameters(copies(size), context, seed) for size in sizes}

    def shard(part: slice) -> np.ndarray:
        size = len(range(*part.indices(n)))
        changed = copies(size)
        change(changed.reshape(size, -1), part)
        moved = differ(subject.parameters(changed, context, seed), before[size])
        colours = [moved[..., belongs(subject.groups, k, subject.joins)].any(axis=-1) for k in range(C)]
        return np.stack(colours, axis=-1).reshape(size, -1)

    with Workers(subject.threads, block=subject.block) as workers:
        return np.concatenate(list(workers.map(shard, n, subject.batch)))


def strangers(subject: Subject, *, images: int = 4, rng: Any = 0, seed: int | None = None) -> bool:
    """Whether an image sees another one of its batch: the first one changes, then the last, and others move."""
    generator = np.random.default_rng(rng)
    N = max(2, images)
    batch = np.stack([subject.random_image(generator) for _ in range(N)])
    context = subject.context(generator)
    before = subject.parameters(batch, context, seed)
    for n in (0, N - 1):
        changed = batch.copy()
        changed[n] = subject.inputs.far(batch[n])
        moved = differ(subject.parameters(changed, context, seed), before)
        if np.delete(moved, n, axis=0).any():
            return True
    return False


def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays are not the same to the bit; NaN is NaN, and 0.0 is -0.0."""
    return (a != b) & ~((a != a) & (b != b))
