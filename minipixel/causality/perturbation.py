"""Changing sub-pixels and measuring which outputs move, and how far; this works for any function of images."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minipixel.causality.structure import belongs, joined
from minipixel.causality.subjects import Subject
from minipixel.progress import shown
from minipixel.shards import Workers

SEED = 0
"""What the noise of the training mode is drawn from: the same for the image and for the changed one."""
SMALLEST = np.finfo(np.float32).tiny
"""What a change counts at least, so that none is lost to rounding."""


def perturbed(
    subject: Subject,
    *,
    images: int = 4,
    outputs: Sequence[int] | np.ndarray | None = None,
    rng: Any = 0,
    seed: int | None = None,
    inputs: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Which outputs move when a single sub-pixel is changed: boolean (rows, S), [i, j] if output i moves with input j.

    Each of `inputs` (by default all) is changed to the far end of the range, in a copy of the image of its own. The
    unchanged image was computed at the same place of a batch before. So the same arithmetic is done with the same
    numbers, and whatever does not depend on the change stays the same to the bit. With a `seed` the model is in
    training mode.
    """
    generator = np.random.default_rng(rng)
    rows = np.arange(subject.size) if outputs is None else np.asarray(outputs)
    sizes = np.zeros((len(rows), subject.size), np.float32)
    for _ in range(images):
        np.maximum(sizes, movements(subject, generator, outputs=rows, seed=seed, inputs=inputs), out=sizes)
    found = sizes > 0
    return found | joined(rows, subject.image_shape) if subject.joins else found


def movements(
    subject: Subject,
    generator: np.random.Generator,
    *,
    outputs: np.ndarray,
    seed: int | None = None,
    inputs: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """How far outputs of a random image move if each sub-pixel alone is changed: float32 (rows, S), 0 if not a bit."""
    columns = np.arange(subject.size) if inputs is None else np.asarray(inputs)

    def change(copies: np.ndarray, part: slice) -> None:
        touched = (np.arange(len(copies)), columns[part])
        copies[touched] = subject.inputs.far(copies[touched])

    sizes = np.zeros((len(outputs), subject.size), np.float32)
    sizes[:, columns] = _moved(subject, change, len(columns), generator, seed)[:, outputs].T
    return sizes


def future_changed(
    subject: Subject, places: np.ndarray, *, images: int = 4, rng: Any = 0, seed: int | None = None
) -> np.ndarray:
    """How far output i moves if sub-pixel k of `places` and all later ones are changed: float32 (len(places), S).

    `places` are in raster order. All these sub-pixels are changed at once, so a single forward pass shows whether any
    earlier output depends on any of them.
    """
    generator, order = np.random.default_rng(rng), subject.order.ravel()
    sizes = np.zeros((len(places), subject.size), np.float32)

    def change(copies: np.ndarray, part: slice) -> None:
        future = order >= order[places[part], None]
        copies[future] = subject.inputs.far(copies[future])

    for _ in range(images):
        np.maximum(sizes, _moved(subject, change, len(places), generator, seed), out=sizes)
    return sizes


def culprits(
    subject: Subject, outputs: np.ndarray, *, images: int = 4, rng: Any = 0, seed: int | None = None
) -> np.ndarray:
    """For each output one sub-pixel that it must not see, but does: places (rows,), -1 where none is found.

    The set of sub-pixels that are not earlier than the output is halved again and again; the half that moves the output
    is kept.
    """
    generator, order = np.random.default_rng(rng), subject.order.ravel()
    found = np.full(len(outputs), -1)
    for _ in range(images):
        state = generator.bit_generator.state
        suspects = [np.flatnonzero(order >= order[place]) for place in outputs]

        def moving(sets: list[np.ndarray], state: Any = state) -> np.ndarray:
            def change(copies: np.ndarray, part: slice) -> None:
                for copy, inputs in zip(copies, sets[part], strict=True):
                    copy[inputs] = subject.inputs.far(copy[inputs])

            again = np.random.default_rng()
            again.bit_generator.state = state
            return _moved(subject, change, len(sets), again, seed)[np.arange(len(sets)), outputs] > 0

        moved = moving(suspects)
        while max(map(len, suspects)) > 1:
            halves = [inputs[: (len(inputs) + 1) // 2] for inputs in suspects]
            first = moving(halves)
            suspects = [
                half if here or len(inputs) == 1 else inputs[len(half) :]
                for half, here, inputs in zip(halves, first, suspects, strict=True)
            ]
        alone = np.array([inputs[0] for inputs in suspects])
        hit = moved & (found < 0) & moving(suspects)
        found[hit] = alone[hit]
        if (found >= 0).all():
            break
        subject.random_image(generator)  # the next one
        subject.context(generator)
    return found


def _moved(
    subject: Subject,
    change: Callable[[np.ndarray, slice], None],
    n: int,
    generator: np.random.Generator,
    seed: int | None,
) -> np.ndarray:
    """How far outputs move in each of n changed copies of a random image: float32 (n, S), 0 where not a bit moves.

    `change(copies, part)` writes into copies (len(part), S).
    """
    image, context = subject.random_image(generator), subject.context(generator)
    C = subject.image_shape[2]

    def copies(size: int) -> np.ndarray:
        return np.repeat(image[None], size, axis=0)

    whole = min(subject.batch, n)
    sizes = {whole} if subject.fills_up else {whole, n % subject.batch or whole}
    before = {size: subject.parameters(copies(size), context, seed) for size in sizes}

    def shard(part: slice) -> np.ndarray:
        size = len(range(*part.indices(n)))
        changed = copies(size)
        change(changed.reshape(size, -1), part)
        old = before[whole][:size] if subject.fills_up else before[size]
        moved = distance(subject.parameters(changed, context, seed), old)
        colours = [moved[..., belongs(subject.groups, k, subject.joins)].max(axis=-1, initial=0) for k in range(C)]
        bar.advance(size)
        return np.stack(colours, axis=-1).reshape(size, -1)

    with shown(n, " images") as bar, Workers(subject.threads, block=subject.block) as workers:
        return np.concatenate(list(workers.map(shard, n, subject.batch)))


def strangers(subject: Subject, *, images: int = 4, rng: Any = 0, seed: int | None = None) -> float:
    """How far an image's output moves when another image of its batch changes, relative to how far that one's moves.

    First the first image is changed, then the last. 0 means that not a bit moves.
    """
    generator = np.random.default_rng(rng)
    N = max(2, images, subject.batch if subject.fills_up else 0)  # a limit for the whole batch shows in a full one
    batch = np.stack([subject.random_image(generator) for _ in range(N)])
    context = subject.context(generator)
    before = subject.parameters(batch, context, seed)
    found = 0.0
    for n in (0, N - 1):
        changed = batch.copy()
        changed[n] = subject.inputs.far(batch[n])
        moved = distance(subject.parameters(changed, context, seed), before)
        others = float(np.delete(moved, n, axis=0).max())
        if others:
            found = max(found, others / max(float(moved[n].max()), others))
    return found


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far apart two arrays are: float32, 0 only where they are the same to the bit; NaN is NaN, and 0.0 is -0.0."""
    different = differ(a, b)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(np.subtract(a, b, dtype=np.float64)).astype(np.float32)
    apart = np.where(np.isnan(apart), np.float32(np.inf), apart)
    return np.where(different, np.maximum(apart, SMALLEST), np.float32(0))


def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays are not the same to the bit; NaN is NaN, and 0.0 is -0.0."""
    return (a != b) & ~((a != a) & (b != b))
