"""When each value is known: the clock.

Sub-pixel t of an image is drawn in step t. Any other value is known as soon as the last of the sub-pixels that it
depends on has been drawn: that is the largest time among the values that it reads, and one walk over the graph finds it
for all of them. What draws sub-pixel t must be known before step t. That is all there is to a proof of causality: no
values, no gradients, no images to try.

Times are whole numbers: 0 is before anything has been drawn, t + 1 after step t. Channels of a map that know the same
share a column: with colours there are a few of them, else one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minipixel.clock.trace import Node, Place, Trace


@dataclass(frozen=True)
class Known:
    """Something about every value of a map: `values` (P, G, ...), a column for each of G classes of channels.

    `of`, integers (K,), names each channel's class.
    """

    values: np.ndarray
    of: np.ndarray

    def at(self, index: np.ndarray) -> np.ndarray:
        """The values at some pixels, zero at those that are no pixels of the map: index (...) -> (..., G, ...)."""
        return np.concatenate([self.values, np.zeros_like(self.values[:1])])[np.where(index < 0, -1, index)]


def walk(trace: Trace, image: np.ndarray, fold: Any, instead: Mapping[Node, Node] | None = None) -> dict[Node, Known]:
    """What every value knows, `fold`ed from what it reads: `image` (P, C, ...) is what the image itself knows.

    With np.maximum and times it is when each value is known; with np.bitwise_or and sets of sub-pixels, what it depends
    on. A node that is a key of `instead` reads what the other one reads.
    """
    known = {trace.image: Known(image, np.arange(image.shape[1]))}
    for node in trace.nodes:
        if node.constant:
            known[node] = Known(np.zeros((node.pixels, 1, *image.shape[2:]), image.dtype), np.zeros(node.K, int))
        elif node is not trace.image:
            known[node] = knowledge((instead or {}).get(node, node), known, fold)
    return known


def knowledge(node: Node, known: dict[Node, Known], fold: Any) -> Known:
    """What the values of a node know, given what all earlier nodes do."""
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
    """Which classes of channels, at which tap, reach each output channel: (T*K_in, K_out), (K_in,) -> (T*G, K_out)."""
    by_tap = channels.reshape(-1, len(of), channels.shape[1])
    return np.stack([by_tap[:, of == g].any(axis=1) for g in range(of.max() + 1)], axis=1).reshape(
        -1, channels.shape[1]
    )


def distinct_columns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns that differ, in the order in which they first come, and which of these each column is."""
    if (table == table[:, :1]).all():
        return table[:, :1], np.zeros(table.shape[1], int)
    places: dict[bytes, int] = {}
    of = np.array([places.setdefault(column.tobytes(), len(places)) for column in table.T])
    return table[:, np.unique(of, return_index=True)[1]], of


class Clock:
    """When each value of a model is known, if sub-pixel (r, c, channel) is drawn in step `times[r, c, channel]`.

    `trace` is the model's graph; `groups` (P,) the colour that each parameter of the head describes. `ready[node]` has
    the times at which values are known, a column for each class of channels; `limit` (P, G) those at which the values
    of the output must be, with `limit_of` naming each parameter's column.
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
        """The clock of a model that draws its sub-pixels in its own order or, given a slope, along slanted lines."""
        return cls(Trace(model), model.head.groups, model.order if slope is None else raster(model.image_shape, slope))

    def __repr__(self) -> str:
        causal = "causal" if self.causal else "not causal"
        return f"Clock({len(self.trace.nodes)} nodes, {int(self.times.max()) + 1} steps, {causal})"

    @property
    def output(self) -> Place:
        """Where the output stands."""
        return self.trace.output

    def late(self) -> np.ndarray:
        """Which parameters are known too late, that is not before their own sub-pixel is drawn: boolean (P, K)."""
        known = self.ready[self.output.node]
        return known.at(self.output.index)[:, known.of] > self.times[:, self.groups]

    @property
    def causal(self) -> bool:
        """Whether no parameter is known too late: a proof, for any weights and any image."""
        return not self.late().any()


def smallest_slope(trace: Trace, groups: np.ndarray, shape: tuple[int, int, int]) -> int | None:
    """The smallest slope for which the proof holds, found by halving; None if none below W does.

    A larger slope only gives the pixels of earlier rows more time, so what holds for one holds for all above.
    """
    shut, open_ = 0, shape[1]
    while open_ - shut > 1:
        slope = (shut + open_) // 2 if open_ < shape[1] else shape[1] - 1  # most of those that fail, fail for all
        holds = Clock(trace, groups, raster(shape, slope)).causal
        shut, open_ = (shut, slope) if holds else (slope, open_)
    return open_ if open_ < shape[1] else None


def raster(shape: tuple[int, int, int], slope: int | None = None) -> np.ndarray:
    """The step in which each sub-pixel is drawn, (H, W, C), if pixel (r, c) is drawn at c + slope * r.

    With a slope below W several pixels share a step: all those of a slanted line across the image. W is raster order.
    """
    r, c, channel = np.indices(shape)
    return (c + (shape[1] if slope is None else slope) * r) * shape[2] + channel
