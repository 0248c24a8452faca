"""The sub-pixels that an output can depend on, whatever the weights: what each op reads, through the whole graph."""

from collections.abc import Sequence

import numpy as np

from minipixel.clock import Trace
from minipixel.clock.times import walk
from minipixel.models import Model

TRACKED = 1024
"""How many sub-pixels are followed through the graph at a time: 128 bytes for each value of a class of channels."""


def structure(
    model: Model, *, outputs: Sequence[int] | np.ndarray | None = None, trace: Trace | None = None
) -> np.ndarray:
    """The sub-pixels that each sub-pixel can depend on: boolean (S, S), [i, j] if i can depend on j.

    S = H*W*C, and sub-pixels are in raster order. Every sub-pixel of the image starts as the set of itself, and every
    value of the graph is the union of the sets that it reads. No numbers are computed, so no path can be hidden by a
    dead rectifier or by a weight that happens to be zero. The result has everything that `dependencies` finds, and the
    two are equal where no unit is dead.
    `outputs` picks rows, as places in raster order: then the result is (len(outputs), S). `trace` is the model's trace,
    if there is one already. Raises TraceError if an op does not say what it reads, or if a number is taken out of the
    graph.
    """
    H, W, C = model.image_shape
    S = H * W * C
    trace = Trace(model) if trace is None else trace
    places = np.arange(S) if outputs is None else np.asarray(outputs)
    node, index = trace.output.node, trace.output.index
    found = np.zeros((len(places), S), bool)
    for first in range(0, S, TRACKED):
        tracked = np.arange(first, min(first + TRACKED, S))
        sets = np.packbits(np.arange(S)[:, None] == tracked, axis=1).reshape(H * W, C, -1)
        known = walk(trace, sets, np.bitwise_or)[node]
        by_class = known.at(index)  # (H * W, G, bytes)
        for channel in range(C):
            mine = np.flatnonzero(places % C == channel)
            classes = np.unique(known.of[belongs(model.head.groups, channel, model.head.joins_colours)])
            union = np.bitwise_or.reduce(by_class[places[mine] // C][:, classes], axis=1)
            found[mine, first : first + len(tracked)] = np.unpackbits(union, axis=1, count=len(tracked))
    return found | joined(places, model.image_shape) if model.head.joins_colours else found


def belongs(groups: np.ndarray, channel: int, joins: bool) -> np.ndarray:
    """The parameters of a pixel that a colour is predicted from, boolean (P,): its own, and if `joins` earlier ones."""
    return groups <= channel if joins else groups == channel


def joined(places: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The sub-pixels that a head which joins colours reads itself: the earlier colours of the pixel, (rows, S)."""
    C, inputs = image_shape[2], np.arange(np.prod(image_shape))
    return (inputs // C == places[:, None] // C) & (inputs < places[:, None])
