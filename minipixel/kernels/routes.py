"""The way of a scan through its cells: which come together, and what each of them reads. Tables of numbers, no maps.

Cells are numbered in the order in which they are computed, step after step; what is kept of them is stored in that
order, whatever way the scan takes through the map. So the cells of a step lie side by side, and so do those that they
read through a tap: a few runs of cells say it all.
"""

import functools
from typing import NamedTuple

import numpy as np


class Route(NamedTuple):
    """A scan of P cells; where the start state is read, it is read at P, P + 1, and so on.

    `starts` (steps + 1,): the first cell of each step; `columns` (steps,): its column, of `width` ones in the scan.
    `pixels` (P,): the pixel at each cell; the state goes to the one that is `below` further on.
    `sees`, `reads` and `follows` are runs of cells (R, 4) that read pixels, states h, and their own c: (tap, p, count,
    q), cell p at q and the next ones, `count` in all; those of step s run from `..._at[s]` to `..._at[s + 1]`. With
    `jumps` a cell sees its pixel alone, and no runs are given: neighbours in a step are none on the map.
    """

    starts: np.ndarray
    columns: np.ndarray
    width: int
    pixels: np.ndarray
    below: int
    jumps: bool
    sees: np.ndarray
    sees_at: np.ndarray
    reads: np.ndarray
    reads_at: np.ndarray
    follows: np.ndarray
    follows_at: np.ndarray


NOTHING = -1


@functools.lru_cache(maxsize=64)
def row_route(H, W, taps, started, spans=None, offsets=()):
    """Down the rows of a map. A cell sees pixels at `offsets` (dr, dc), and reads the row before at columns `taps`.

    In row r only the columns of `spans[r]` are computed, the others hold the start state, which is zero unless
    `started`: then nobody needs to read it.
    """
    r, c = np.mgrid[:H, :W]
    first, last = np.array(spans or [(0, W)] * H, np.int64).reshape(H, 2).T
    inside = (c >= first[:, None]) & (c < last[:, None])
    seen = []
    for dr, dc in offsets:
        on_the_map = (r + dr >= 0) & (r + dr < H) & (c + dc >= 0) & (c + dc < W)
        seen.append(np.where(on_the_map, (r + dr) * W + c + dc, NOTHING))
    return _route(inside, taps, started, r * W + c, seen)


@functools.lru_cache(maxsize=64)
def diagonal_route(H, W, taps, started, mirrored):
    """Along the diagonals, which `skew` makes rows of.

    `mirrored`: from right to left, and what a cell computes goes to the pixel below. The last row has none below.
    """
    rows = H - 1 if mirrored else H
    d, r = np.mgrid[: rows + W - 1 if rows else 0, :rows]
    c = d - r
    pixels = r * W + (W - 1 - c if mirrored else c)
    inside = (c >= 0) & (c < W)
    return _route(inside, taps, started, pixels, [], W if mirrored else 0, True)


def _route(inside, taps, started, pixels, seen, below=0, jumps=False):
    """From a map whose rows are steps: which cells are computed, what stands at each of them, which pixels they see."""
    (steps, W), P = inside.shape, int(inside.sum())
    cell = np.full((1 + steps, W), P)
    cell[1:][inside] = np.arange(P)
    own, before = cell[1:], cell[:-1]
    margin = max(0, *[abs(tap) for tap in taps])
    padded = np.pad(before, [(0, 0), (margin, margin)], constant_values=NOTHING)
    around = [padded[:, margin + tap : margin + tap + W] for tap in taps]
    if not started:
        around = [np.where(there == P, NOTHING, there) for there in around]
    starts = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    lists = [_runs(inside, own, tables, P) for tables in (seen, around, [before])]
    columns = inside.argmax(axis=1) if inside.size else starts[:-1]
    starts, columns, pixels = (np.array(table, np.int64) for table in (starts, columns, pixels[inside]))
    return Route(starts, columns, W, pixels, below, jumps, *[part for runs in lists for part in runs])


def _runs(inside, own, tables, P):
    """Runs of cells that read neighbours, or all the start state P, through each of the tables; and each step's first.

    A run of readers of P counts on from P, since there the start state stands as often as it may be needed.
    """
    runs, at = [], [0]
    for step in range(len(inside)):
        for tap, table in enumerate(tables):
            begun = None
            for c in np.flatnonzero(inside[step]).tolist():
                q = int(table[step, c])
                goes_on = begun is not None and (q == P if begun[3] == P else q == begun[3] + begun[2])
                if q == NOTHING:
                    begun = None
                elif goes_on:
                    begun[2] += 1
                else:
                    begun = [tap, int(own[step, c]), 1, q]
                    runs.append(begun)
        at.append(len(runs))
    return np.array(runs, np.int64).reshape(len(runs), 4), np.array(at, np.int64)
