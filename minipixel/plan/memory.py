"""Where maps stand while a table is walked: as a whole, as a line buffer of a few rows, or as one row.

A map that nobody needs after its group has gone by is kept as a line buffer: so many of its rows as are looked up to,
row r in place r % rows. Every buffer lives from the first instruction that touches it to the last; buffers that never
live at the same time may stand in the same place. All places are given out before the first pass.
"""

import bisect
from typing import Any

from minipixel.plan.value import Rows

LINE = 16
"""Buffers begin at a multiple of so many numbers, times the images."""


class Buffer:
    """Room for a map, or for `ring` steps of it if that is not 0; in numbers per image it has `size` from `base` on.

    `extra`: slots behind all others, for start states. `first` and `last` say when it lives.
    """

    def __init__(self, rows: Rows, K: int, ring: int = 0, extra: int = 0) -> None:
        self.rows, self.K, self.ring = rows, K, ring
        self.pixels = (rows.width * ring if ring else rows.slots) + extra
        self.size = -(-self.pixels * K // LINE) * LINE
        self.base = -1
        self.first, self.last = 1 << 60, -1

    def lives(self, first: int, last: int) -> None:
        """It is touched from instruction `first` to instruction `last`."""
        self.first, self.last = min(self.first, first), max(self.last, last)


def give_places(buffers: list[Any], start: int = 0) -> int:
    """Give each buffer a place where no other stands that lives at the same time; returns how far they reach.

    The largest first, each as low as it fits: what compilers call a greedy plan by size.
    """
    placed: list[Any] = []
    end = start
    for buffer in sorted(buffers, key=lambda buffer: (-buffer.size, buffer.first)):
        at = start
        for other in placed:  # by place
            if other.last < buffer.first or buffer.last < other.first:
                continue
            if at + buffer.size <= other.base:
                break
            at = max(at, other.base + other.size)
        buffer.base = at
        end = max(end, at + buffer.size)
        bisect.insort(placed, buffer, key=lambda other: other.base)
    return end
