"""The probabilities of all levels of every sub-pixel, and how often the likeliest level is the true one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minipixel.models.gathering import gathered, gathered_into
from minipixel.progress import advance
from minipixel.shards import Workers, rows

if TYPE_CHECKING:
    from minipixel.models.base import Model

MOST_BYTES = 2**30
"""The most bytes that probabilities may take; a result of more is refused."""
AT_ONCE = 2**18
"""How many numbers, levels times components, are computed at once."""


def probabilities(model: "Model", images: np.ndarray, condition: Any) -> np.ndarray:
    """See Model.probabilities; images and conditions are checked ones."""
    shape = (*images.shape, model.levels)
    each = int(np.prod(shape[1:])) * 8
    if len(images) * each > MOST_BYTES:
        at_a_time = MOST_BYTES // each
        way_out = f"ask for {at_a_time} at a time" if at_a_time else "ask for log_prob_map or accuracy"
        raise ValueError(
            f"images: got {len(images)}, whose probabilities take {len(images) * each / 2**30:.1f} GiB, wanted at most "
            f"{MOST_BYTES / 2**30:g} GiB; {way_out}"
        )
    found, levels = np.empty(shape), np.arange(model.levels)[None]

    def shard(part: slice) -> np.ndarray:
        of_shard = np.empty((part.stop - part.start, *shape[1:]))
        into = of_shard.reshape(-1, *shape[3:])
        for some, parameters, pixels in _pixels(model, images[part], rows(condition, part)):
            for channel in range(shape[3]):
                np.exp(model.head.log_prob_of(parameters, pixels, channel, levels), out=into[some, channel])
        advance(len(of_shard))
        return of_shard

    model.check_finite()
    gathered_into(found, shard, model.wide_shard_size, model.device)
    return found


def accuracy(model: "Model", images: np.ndarray, condition: Any) -> float:
    """See Model.accuracy; images and conditions are checked ones."""

    def shard(part: slice) -> np.ndarray:
        right = 0
        for _, parameters, pixels in _pixels(model, images[part], rows(condition, part)):
            for channel in range(pixels.shape[1]):
                likeliest = model.head.draw(parameters, pixels, channel, np.zeros(len(pixels)), 0.0)
                right += int((likeliest == pixels[:, channel]).sum())
        advance(part.stop - part.start)
        return np.array([right])

    model.check_finite()
    return int(gathered(shard, len(images), model.wide_shard_size, model.device).sum()) / images.size


def _pixels(model: "Model", images: np.ndarray, condition: Any) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """The pixels of n images, p at a time: their places in n * H * W, the head's parameters (p, P), levels (p, C)."""
    parameters = np.moveaxis(model.predict(images, condition), 2, 0)  # (H, W, n, P) -> (n, H, W, P)
    parameters, pixels = parameters.reshape(-1, parameters.shape[3]), images.reshape(-1, images.shape[3])
    for some in Workers.parts(len(pixels), max(1, AT_ONCE // (model.levels * model.mixtures))):
        yield some, parameters[some], pixels[some]
