"""The memory of maps while a table runs: a whole map, a line buffer of a few rows, or one row.

A map that is not needed after its group is stored as a line buffer, which has as many rows as its readers look up to,
row r at place r % rows. Every buffer is alive from the first instruction that uses it to the last one, and buffers that
are never alive at the same time may share a place. All places are assigned before the first pass.
"""

import bisect
from typing import Any

from minipixel.plan.value import Rows

LINE = 16
"""Buffers begin at a multiple of so many numbers, times the images."""


class Buffer:
    """Memory for a map, or for `ring` steps of it if that is not 0: `size` numbers per image from `base` on.

    `extra` is the number of slots for start states, behind all others. It is alive from instruction `first` to `last`.
    """

    def __init__(self, rows: Rows, K: int, ring: int = 0, extra: int = 0) -> None:
        self.rows, self.K, self.ring = rows, K, ring
        self.pixels = (rows.width * ring if ring else rows.slots) + extra
        self.size = -(-self.pixels * K // LINE) * LINE
        self.base = -1
        self.first, self.last = 1 << 60, -1

    def lives(self, first: int, last: int) -> None:
        """Note that it is used from instruction `first` to instruction `last`."""
        self.first, self.last = min(self.first, first), max(self.last, last)


def give_places(buffers: list[Any], start: int = 0) -> int:
    """Give each buffer a place that no other buffer has at the same time; returns the size of all places together.

    The largest buffers come first, and each gets the lowest place where it fits, as in a compiler's greedy plan by
    size.
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
