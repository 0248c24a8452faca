"""The name of the layer at which a leak first shows: a pair of positions is followed through the layers."""

import numpy as np

from minipixel.causality.patterns import drawn_in_raster_order
from minipixel.causality.subjects import Subject
from minipixel.causality.witnesses import earlier

TRIED = 4
"""How many leaks are followed at the most, until one is named."""
IMAGES = 4


def mixing_layer(subject: Subject, seed: int | None, rng: int) -> str:
    """The name of the first layer at which an image depends on another one of its batch."""
    images, _ = _two_batches(subject, 0, rng)
    changed = images.copy()
    changed[0] = subject.inputs.far(images[0])
    return subject.first_seen(images, changed, -1, seed)


def leaking_layer(subject: Subject, seed: int | None, outputs: np.ndarray, matrix: np.ndarray, rng: int) -> str:
    """The name of the first layer at which a leak to another pixel shows, if pixels are drawn in raster order.

    `matrix` (rows, S) is what the `outputs` (rows,) depend on.
    """
    _, W, C = subject.image_shape
    leaks = np.argwhere(matrix & ~earlier(subject.order, outputs))
    if not len(leaks) or not drawn_in_raster_order(subject.order):
        return ""
    output, read = outputs[leaks[:, 0]] // C, leaks[:, 1]
    down, right = read // C // W - output // W, read // C % W - output % W
    own = (down == 0) & (right == 0)
    # Of colours within a pixel it is not known which a layer may see. A row below tells most: a layer may know its own
    # row, where what comes behind shifts it down.
    nearness = np.lexsort((output, np.abs(right), down, down == 0, own))
    for pair in nearness[:TRIED]:
        if C == 1 or not own[pair]:
            images, changed = _two_batches(subject, int(read[pair]), rng)
            if layer := subject.first_seen(images, changed, int(output[pair]), seed):
                return layer
    return ""


def _two_batches(subject: Subject, place: int, rng: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch of random images, and the same with one sub-pixel changed in each."""
    draws = np.random.default_rng(rng)
    images = np.stack([subject.random_image(draws) for _ in range(max(2, min(subject.batch, IMAGES)))])
    changed = images.copy()
    flat = changed.reshape(len(changed), -1)
    flat[:, place] = subject.inputs.far(flat[:, place])
    return images, changed
