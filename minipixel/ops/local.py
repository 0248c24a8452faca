"""An op at a single pixel: which pixels of its inputs it reads there, and what it computes from them.

There are three kinds of ops. A pointwise op reads its own pixel. A spatial op first gathers pixels by a fixed index
map, and then computes something pointwise: a convolution gathers its taps and multiplies them by a matrix; a shift, a
mirror or a skew only gathers. A scan also reads its own states at earlier pixels.

From this knowledge of every op of a model, the clock (see clock/) finds when each value becomes known, and the sampler
computes each value at that moment, at that pixel alone. The P pixels of a map (H, W, N, K) are numbered row by row,
p = r * W + c.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ZERO = -1
"""The number of a pixel beyond the border, all of it zero."""

START = -2
"""The number of the pixel that holds what a scan starts from."""


@dataclass(frozen=True)
class Look:
    """How an op reads a map: `index`, integers (P, T), has the pixel that each of T taps reads at each output pixel.

    `channels`, boolean (T * K_in, K_out), says which of the gathered channels each output channel depends on.
    """

    index: np.ndarray
    channels: np.ndarray


@dataclass(frozen=True)
class Whole:
    """How an op reads an input without pixels, such as a weight: all of it, at every pixel.

    `axes` says what each axis is: "out" for the output channels, "in" for what the op's Look gathers, "" for neither.
    So an op that computes some of its channels gets only their part of the input. `shaped` brings the input into this
    form.
    """

    axes: tuple[str, ...] = ()
    shaped: Callable[[Any], Any] = lambda array: array


@dataclass(frozen=True)
class Own:
    """How a scan reads its own states: `index` (P, T) are those times a weight, `above` (P,) the previous cell state.

    `rows` (P,) numbers its steps; each step reads states of earlier steps only. Pixels outside `inside`, boolean (P,),
    have the start state.
    """

    index: np.ndarray
    above: np.ndarray
    rows: np.ndarray
    inside: np.ndarray

    @property
    def states(self) -> np.ndarray:
        """All states that are read, `above` included, which need not be one of the others: (P, T + 1)."""
        return np.concatenate([self.index, self.above[:, None]], axis=1)


@dataclass(frozen=True)
class Local:
    """What an op does at one pixel: it reads each input by its Look or Whole, and then computes, for P pixels at once.

    `compute` takes the gathered pixels, (P, N, T * K_in), and the whole inputs, in the order of the op's inputs, and
    returns (P, N, K_out). It can compute any set of output channels that read the same inputs, from their parts of
    these. `kind` is the name of the computation; "move" only moves pixels.
    """

    kind: str
    size: tuple[int, int]
    inputs: tuple[Look | Whole, ...]
    compute: Callable[..., Any]
    own: Own | None = None


# --- pointwise --------------------------------------------------------------------------------------------------------


def pointwise(channels: Callable[..., Any]) -> Callable[..., Local]:
    """The `local` of a pointwise op; `channels(*sizes)` returns, for each map, its boolean (K_in, K_out).

    An input (H, W, N, K) is a map; other inputs are broadcast over the channels, as in NumPy.
    """

    def local(function: Any, *inputs: Any, **static: Any) -> Local:
        axes = [getattr(x, "ndim", 0) for x in inputs]  # of arrays of any library; plain numbers have none
        is_map = [n == 4 for n in axes]
        maps = [x for x, pixels in zip(inputs, is_map, strict=True) if pixels]
        H, W = np.broadcast_shapes(*[x.shape[:2] for x in maps])
        reads = iter(channels(*[x.shape[-1] for x in maps]))
        return Local(
            function.__name__,
            (H, W),
            tuple(
                Look(_same_pixel(x, H, W), next(reads)) if pixels else Whole(_along_last(n))
                for x, n, pixels in zip(inputs, axes, is_map, strict=True)
            ),
            lambda *arrays: function(*arrays, **static)[0],
        )

    return local


def _along_last(axes: int) -> tuple[str, ...]:
    """The `axes` of an array that is no map, and so is broadcast: its last axis, if any, are the output channels."""
    return ("",) * (axes - 1) + ("out",) if axes else ()


def _same_pixel(x: Any, H: int, W: int) -> np.ndarray:
    """Each pixel reads its own, or the only one of a row, a column, or a map: (P, 1)."""
    h, w = x.shape[:2]
    return np.broadcast_to(np.arange(h * w).reshape(h, w), (H, W)).reshape(-1, 1)


def each(*K: int) -> list[np.ndarray]:
    """Output channel k reads channel k of every map, or the only one there is."""
    return [np.eye(k, dtype=bool) if k == max(K) else np.ones((k, max(K)), bool) for k in K]


def halves(K: int) -> list[np.ndarray]:
    """Output channel k reads channels k and K/2 + k."""
    return [np.tile(np.eye(K // 2, dtype=bool), (2, 1))]


def doubled(K: int) -> list[np.ndarray]:
    """Output channels k and K + k read channel k."""
    return [np.tile(np.eye(K, dtype=bool), (1, 2))]


def side_by_side(K: int, L: int) -> list[np.ndarray]:
    """The channels of one map, then those of the other."""
    return np.split(np.eye(K + L, dtype=bool), [K])


# --- spatial ----------------------------------------------------------------------------------------------------------


def numbered(H: int, W: int) -> np.ndarray:
    """A map (H, W, 1, 1) that has the number of each pixel plus 1; an op that moves it shows its index map."""
    return np.arange(1.0, H * W + 1).reshape(H, W, 1, 1)


def moving(function: Any, *maps: Any, **static: Any) -> Local:
    """The `local` of an op that only moves pixels: the op is run on pixel numbers to find where each comes from."""
    looks = []
    for position, moved in enumerate(maps):
        numbers = [np.zeros((*x.shape[:2], 1, 1)) for x in maps]
        numbers[position] = numbered(*moved.shape[:2])
        came_from = function(*numbers, **static)[0]
        looks.append(Look(came_from.reshape(-1, 1).astype(int) - 1, np.eye(moved.shape[-1], dtype=bool)))
    kind = "move" if len(maps) == 1 else "add"  # of several maps, all but one show zero at each pixel
    return Local(kind, came_from.shape[:2], tuple(looks), lambda *gathered: sum(gathered[1:], gathered[0]))
