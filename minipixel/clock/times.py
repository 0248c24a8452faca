"""The clock: when each value of a model is known.

Sub-pixel t of an image is drawn in step t. Any other value is known as soon as the last sub-pixel that it depends on
has been drawn: its time is the largest time among the values that it reads, and one walk over the graph finds this for
all values. The parameters from which sub-pixel t is drawn must be known before step t. This is the whole proof of
causality; it needs no numbers, no gradients and no images.

Times are whole numbers: 0 is before anything has been drawn, and t + 1 is after step t. Channels of a map with the same
dependencies share a column: for images in colour there are a few columns, otherwise one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.clock.trace import Node, Place, Trace


@dataclass(frozen=True)
class Known:
    """A property of every value of a map, such as its time: `values` (P, G, ...), with G classes of channels.

    `of`, integers (K,), is the class of each channel.
    """

    values: np.ndarray
    of: np.ndarray

    def at(self, index: np.ndarray) -> np.ndarray:
        """The values at some pixels, zero for an index below 0, which is no pixel: index (...) -> (..., G, ...)."""
        return np.concatenate([self.values, np.zeros_like(self.values[:1])])[np.where(index < 0, -1, index)]


def walk(trace: Trace, image: np.ndarray, fold: Any, instead: Mapping[Node, Node] | None = None) -> dict[Node, Known]:
    """A property of every value, combined by `fold` from the values that it reads; `image` (P, C, ...) is the image's.

    With np.maximum and times this is when each value is known; with np.bitwise_or and sets of sub-pixels it is what
    each value depends on. A node that is a key of `instead` reads what the node there reads.
    """
    known = {trace.image: Known(image, np.arange(image.shape[1]))}
    for node in trace.nodes:
        if node.constant:
            known[node] = Known(np.zeros((node.pixels, 1, *image.shape[2:]), image.dtype), np.zeros(node.K, int))
        elif node is not trace.image:
            known[node] = knowledge((instead or {}).get(node, node), known, fold)
    return known


def knowledge(node: Node, known: dict[Node, Known], fold: Any) -> Known:
    """The property of a node's values, from that of all earlier nodes."""
    gathered, reads = [], []
    for source, look in node.reads:
        values = known[source].at(look.index)  # (P, T, G, ...)
        gathered.append(values.reshape(node.pixels, -1, *values.shape[3:]))
        reads.append(classes_read(look.channels, known[source].of))
    patterns, of = distinct_columns(np.concatenate(reads))
    everything = np.concatenate(gathered, axis=1)
    values = np.stack([fold.reduce(everything[:, pattern], axis=1, initial=0) for pattern in patterns.T], axis=1)
    own = node.own
    if own is not None:
        for r in range(1, own.rows[-1] + 1):
            here = own.rows == r
            states = fold.reduce(Known(values, of).at(own.states[here]), axis=(1, 2))  # every unit at every tap
            values[here] = fold(values[here], states[:, None])
    if values.ndim == 2:
        values, merged = distinct_columns(values)
        of = merged[of]
    return Known(values, of)


def classes_read(channels: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The classes of channels, by tap, that each output channel reads: (T*K_in, K_out), (K_in,) -> (T*G, K_out)."""
    by_tap = channels.reshape(-1, len(of), channels.shape[1])
    return np.stack([by_tap[:, of == g].any(axis=1) for g in range(of.max() + 1)], axis=1).reshape(
        -1, channels.shape[1]
    )


def distinct_columns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct columns, in the order of their first appearance, and which of them each column is."""
    if (table == table[:, :1]).all():
        return table[:, :1], np.zeros(table.shape[1], int)
    places: dict[bytes, int] = {}
    of = np.array([places.setdefault(column.tobytes(), len(places)) for column in table.T])
    return table[:, np.unique(of, return_index=True)[1]], of


class Clock:
    """When each value of a model is known, if sub-pixel (r, c, channel) is drawn in step `times[r, c, channel]`.

    `trace` is the model's graph, and `groups` (P,) has the colour of each parameter of the head. `ready[node]` has the
    times at which values are known, with a column for each class of channels. `limit` (P, G) has the times at which
    values of the output must be known, and `limit_of` the column of each parameter. Raises ValueError if the output
    does not have the image's pixels and the head's parameters.
    """

    def __init__(self, trace: Trace, groups: np.ndarray, times: np.ndarray) -> None:
        self.trace, self.groups = trace, np.asarray(groups)
        H, W, C = times.shape
        node, index = trace.output.node, trace.output.index
        if len(index) != H * W or len(self.groups) != node.K:
            raise ValueError(
                f"clock: got an output of {len(index)} pixels of {node.K} channels, wanted {H * W} pixels, as the "
                f"image has, of {len(self.groups)} channels, as the head's groups say"
            )
        self.times = times.reshape(H * W, C)
        self.ready = walk(trace, self.times + 1, np.maximum)

    @classmethod
    def of(cls, model: Any, slope: int | None = None) -> "Clock":
        """The clock of a model in its own order of drawing or, with a `slope`, along slanted lines.

        Raises TraceError if the model cannot be traced.
        """
        return cls(Trace(model), model.head.groups, model.order if slope is None else raster(model.image_shape, slope))

    def __repr__(self) -> str:
        causal = "causal" if self.causal else "not causal"
        return f"Clock({len(self.trace.nodes)} nodes, {int(self.times.max()) + 1} steps, {causal})"

    @property
    def output(self) -> Place:
        """The place of the output in the graph."""
        return self.trace.output

    def late(self) -> np.ndarray:
        """The parameters that are not known before their own sub-pixel is drawn: boolean (P, K)."""
        known = self.ready[self.output.node]
        return known.at(self.output.index)[:, known.of] > self.times[:, self.groups]

    @property
    def causal(self) -> bool:
        """Whether no parameter is known too late, which proves causality for any weights and any image."""
        return not self.late().any()


def smallest_slope(trace: Trace, groups: np.ndarray, shape: tuple[int, int, int]) -> int | None:
    """The smallest slope for which the proof holds, found by bisection; None if it holds for none below W.

    With a larger slope earlier rows are drawn earlier, so if the proof holds for a slope, it holds for all larger ones.
    """
    shut, open_ = 0, shape[1]
    while open_ - shut > 1:
        slope = (shut + open_) // 2 if open_ < shape[1] else shape[1] - 1  # most of those that fail, fail for all
        holds = Clock(trace, groups, raster(shape, slope)).causal
        shut, open_ = (shut, slope) if holds else (slope, open_)
    return open_ if open_ < shape[1] else None


def raster(shape: tuple[int, int, int], slope: int | None = None) -> np.ndarray:
    """The step in which each sub-pixel is drawn, (H, W, C), if pixel (r, c) is drawn at c + slope * r.

    With a slope below W all pixels of a slanted line across the image share a step. The slope W, which is the default,
    gives raster order.
    """
    r, c, channel = np.indices(shape)
    return (c + (shape[1] if slope is None else slope) * r) * shape[2] + channel
