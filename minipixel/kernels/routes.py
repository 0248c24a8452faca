"""The way of a scan through its cells: which come together, and what each of them reads. Tables of numbers, no arrays.

Cells are numbered in the order in which they are computed, step after step; what is kept of them is stored in that
order, whatever way the scan takes through the map.
"""

import functools
from typing import NamedTuple

import numpy as np

NOTHING, START = -1, -2
"""In place of a cell: one that is zero, beside the map, and one that holds the start state, above the first row.

As positions from the end of an array they are the two last ones; there zeros and the start state are stored.
"""


class Route(NamedTuple):
    """`starts` (steps + 1,): the first cell of each step. A cell, out of P, sees pixels and reads states of cells.

    `sees` (P, S): the pixels it sees, or NOTHING; `reads` (P, T): the cells whose h it reads; `follows` (P,): the cell
    whose c it goes on with; `place` (P,): the pixel that gets its h.
    """

    starts: np.ndarray
    sees: np.ndarray
    reads: np.ndarray
    follows: np.ndarray
    place: np.ndarray


@functools.lru_cache(maxsize=64)
def row_route(H, W, taps, spans=None, offsets=()):
    """Down the rows of a map. A cell sees the pixels at `offsets` (dr, dc), reads the row before at column offsets
    `taps`; in row r only the columns of `spans[r]` are computed, the others hold the start state.
    """
    r, c = np.mgrid[:H, :W]
    first, last = np.array(spans or [(0, W)] * H, np.int64).T
    inside = (c >= first[:, None]) & (c < last[:, None])
    return _route(inside, taps, r * W + c, offsets, W)


@functools.lru_cache(maxsize=64)
def diagonal_route(H, W, taps, mirrored):
    """Along the diagonals, as `skew` makes rows of them, and back to the pixel; a cell sees its pixel.

    `mirrored`: from right to left, and what a cell computes goes to the pixel below. The last row has none below.
    """
    rows = H - 1 if mirrored else H
    d, r = np.mgrid[: max(0, rows + W - 1) if rows else 0, :rows]
    c = d - r
    pixel = r * W + (W - 1 - c if mirrored else c)
    route = _route((c >= 0) & (c < W), taps, pixel, None, W)
    return route._replace(place=route.place + W) if mirrored else route


def _route(inside, taps, pixel, offsets, W):
    """From a map whose rows are steps: which of its cells are computed, and the pixel that stands at each."""
    steps, columns = inside.shape
    cell = np.full((1 + steps, columns), START)
    cell[1:][inside] = np.arange(inside.sum())
    left, right = max(0, *[-tap for tap in taps]), max(0, *taps)
    before = np.pad(cell[:-1], [(0, 0), (left, right)], constant_values=NOTHING)
    around = [before[:, left + tap : left + tap + columns][inside] for tap in taps]
    own = pixel[inside]
    if offsets is None:
        sees = own[:, None]
    else:
        H = steps
        r, c = own // W, own % W
        seen = [(r + dr, c + dc) for dr, dc in offsets]
        sees = [np.where((a >= 0) & (a < H) & (b >= 0) & (b < W), a * W + b, NOTHING) for a, b in seen]
        sees = np.stack(sees, axis=-1) if sees else np.zeros((len(own), 0), np.int64)
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    tables = starts, sees, np.stack(around, axis=-1), cell[:-1][inside], own
    return Route(*[np.ascontiguousarray(table, np.int64) for table in tables])
