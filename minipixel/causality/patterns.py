"""Patterns of leaks: properties of the matrix of dependencies, pixel by pixel, by which causes can be told apart."""

from functools import cached_property

import numpy as np

NEARLY = 0.95
"""A share from which on nearly all is all: a rectifier may hide a pair."""


class Pattern:
    """Leaks and all dependencies, pixel by pixel; images are turned so that the order goes row after row.

    `leaks` (rows, H, W) is what outputs see though they must not; `sees` (rows, H, W) is all that they see; `places`
    (rows, 2) are the (r, c) of the outputs. `within` (C, C) says which colours see which colours of their own pixel
    though they must not. `turned` is False, and nothing is turned, if the order is no turned or mirrored raster order.
    """

    def __init__(self, order: np.ndarray, pairs: np.ndarray, dependencies: np.ndarray, outputs: np.ndarray) -> None:
        H, W, C = order.shape
        S = H * W
        pixels = np.unique(outputs // C)
        row = np.searchsorted(pixels, outputs // C)
        sees = np.zeros((len(pixels), S), bool)
        np.logical_or.at(sees, row, dependencies.reshape(len(outputs), S, C).any(axis=2))
        leaks = np.zeros((len(pixels), S), bool)
        output, read = (pairs[:, n, 0] * W + pairs[:, n, 1] for n in (0, 1))
        leaks[np.searchsorted(pixels, output), read] = True
        self.within = np.zeros((C, C), bool)
        here = output == read
        self.within[pairs[here, 0, 2], pairs[here, 1, 2]] = True
        own = np.arange(len(pixels)), pixels
        sees[own] = leaks[own]  # what a colour may see of its own pixel is no part of the pattern
        turn = _turn_of(order)
        self.turned = turn is not None
        self.grid = np.arange(S).reshape(H, W) if turn is None else turn
        if self.grid.shape[1] == 1:
            self.grid = self.grid.T  # a column is a sequence as a row is
        self.H, self.W = self.grid.shape
        self.sequence = self.H == 1 and C == 1
        rank = np.argsort(self.grid.ravel())[pixels]
        self.places = np.stack(np.divmod(rank, self.W), axis=1)
        self.sees, self.leaks = (matrix[:, self.grid.ravel()].reshape(-1, self.H, self.W) for matrix in (sees, leaks))
        self.complete = len(pixels) == S

    @cached_property
    def steps(self) -> np.ndarray:
        """How far down and to the right each leak leads: (leaks, 2)."""
        row, r, c = np.nonzero(self.leaks)
        return np.stack([r, c], axis=1) - self.places[row]

    @cached_property
    def later(self) -> np.ndarray:
        """[k, r, c]: whether a pixel is drawn after output k."""
        place = np.arange(self.H * self.W).reshape(self.H, self.W)
        return place > (self.places @ [self.W, 1])[:, None, None]

    def anything(self) -> bool:
        """Always true: the last row of a table."""
        return True

    def in_no_raster(self) -> bool:
        """The order does not go row after row, however it is turned and mirrored."""
        return not self.turned

    # --- within a pixel ----------------------------------------------------------------------------------------------

    def within_a_pixel(self) -> bool:
        """No leak leaves its own pixel."""
        return not self.steps.any()

    def each_colour_itself(self) -> bool:
        """Within a pixel each colour sees itself and none after it, or the whole pixel is seen by all."""
        C = len(self.within)
        kinds = (np.eye(C, dtype=bool), np.triu(np.ones((C, C), bool)), np.ones((C, C), bool))
        return self.within_a_pixel() and any(np.array_equal(self.within, kind) for kind in kinds)

    def but_for_the_last_column(self) -> bool:
        """Outputs see themselves, but for those at the right side, behind which a kernel finds zeros alone."""
        itself = np.zeros((self.H, self.W), bool)
        itself[tuple(self.places.T)] = self.leaks.any(axis=(1, 2))
        seen = np.unique(self.places[:, 1])
        last, others = itself[:, self.W - 1], itself[:, seen[seen < self.W - 1]]
        return self.within_a_pixel() and self.W - 1 in seen and not last.any() and bool(others.mean() >= 0.5)

    # --- few outputs, few inputs -------------------------------------------------------------------------------------

    def first_row_sees_all(self) -> bool:
        """The outputs that leak are few, and at the beginning; they see nearly all that there is."""
        leaky = self.leaks.any(axis=(1, 2))
        if leaky.all() or (self.places[leaky, 0] > 0).any() or len(self.places) < 3:
            return False
        few = self.H > 1 or leaky.sum() == 1
        return few and bool((self.leaks & self.later)[leaky].sum() >= NEARLY * self.later[leaky].sum() > 1)

    def comes_in_at_the_other_side(self) -> bool:
        """What is read lies at the far end of rows, of columns or of the image, and never just behind an output."""
        down, right = self.steps.T
        row, r, c = np.nonzero(self.leaks)
        across, along = down > 0, down == 0
        far = (self.H > 2 and (down == self.H - 1).any()) or (self.W > 2 and (along & (right == self.W - 1)).any())
        near = (down == 1).any() or (along & (right <= 1)).any()
        ends_of_rows = along.all() and far and _at_the_end(c, self.W)
        ends_of_columns = across.any() and far and (right == 0).any() and _at_the_end(r, self.H)
        last_pixel = self.H > 1 and (r == self.H - 1).all() and (c == self.W - 1).all() and len(row) > 1
        from_the_start = bool((self.places[row].sum(axis=1) == 0).any())
        return bool((far and not near) or ends_of_rows or ends_of_columns or (last_pixel and from_the_start))

    # --- how far ------------------------------------------------------------------------------------------------------

    def own_row_alone(self) -> bool:
        """No leak leaves its row."""
        return bool((self.steps[:, 0] == 0).all())

    def own_row_whole(self) -> bool:
        """Each output sees nearly all that is seen to the right of it in its row."""
        if not self.own_row_alone() or self.steps[:, 1].max() < max(2, self.W - 3):
            return False
        to_the_right = self.later & (np.arange(self.H)[:, None] == self.places[:, :1, None])
        return self._nearly_all(to_the_right)

    def one_column(self) -> bool:
        """No leak leaves its row, nor leads further than one column."""
        return self.own_row_alone() and bool(self.steps[:, 1].max() == 1)

    def shifted_back(self) -> bool:
        """All is seen a step too early, along rows or down columns, so that what is first is never seen."""
        down, right = self.steps.max(axis=0)
        if down > 0:
            near = (self.places[:, 0] <= down) & self.places.any(axis=1)
            return bool(near.any() and down <= max(1, self.H // 3) and not self.sees[:, :down].any())
        rows = np.arange(len(self.places))
        itself = self.leaks[rows, self.places[:, 0], self.places[:, 1]]
        first = self.places[:, 1] == 0
        ahead = bool(
            first.any() and not itself[first].any() and (itself[~first].any() or not self._first_columns(right))
        )
        return bool(0 < right <= max(1, self.W // 3)) and ahead

    def _first_columns(self, n: int) -> bool:
        """Whether any output sees one of the first columns of its own row."""
        return bool(self.sees[np.arange(len(self.places)), self.places[:, 0], :n].any())

    def rows_below_alone(self) -> bool:
        """Of its own row no output sees anything to the right, nor itself; it sees rows below."""
        return bool((self.steps[:, 0] > 0).all())

    def all_rows_below(self) -> bool:
        """Leaks lie in rows below, down to the last one."""
        return self.rows_below_alone() and self.H > 2 and self.steps[:, 0].max() == self.H - 1

    def own_column_down(self) -> bool:
        """Leaks lie in the own column alone, from the output down to the last row that is seen: behind a shift."""
        reach = self.places[:, 0].max() - 1
        return bool((self.steps[:, 1] == 0).all() and self.H > 3 and self.steps[:, 0].max() >= reach)

    def rows_below_open(self) -> bool:
        """Rows below are seen, and what is to the right in the own row is not, unless through them."""
        down, right = self.steps.T
        if not (down > 0).any():
            return False
        last = self.places[:, 0] == self.H - 1
        through = self.H > 2 and last.any() and not self.leaks[last].any()
        return bool(through or not ((down == 0) & (right > 0)).any())

    def first_row_alone_is_right(self) -> bool:
        """All rows but the first one leak, and see rows below or their own."""
        first = self.places[:, 0] == 0
        leaky = np.asarray(self.leaks.any(axis=(1, 2)))
        return bool(self.H > 2 and first.any() and not leaky[first].any() and leaky[~first].mean() >= 0.8)

    def all_later(self) -> bool:
        """Each output sees nearly all that is later, but for what no output sees, at the end."""
        return self._nearly_all(self.later) and len(self.places) > 2

    def all(self) -> bool:
        """Each output sees nearly all that is later, and nearly all that is earlier."""
        return self.all_later() and self._seen_share(~self.later) >= 0.8

    def _nearly_all(self, wanted: np.ndarray) -> bool:
        seen = self.leaks.any(axis=0)
        reach = self.W * self.H - np.flatnonzero(seen.ravel())[-1] <= max(3, self.W // 2)
        wanted = wanted & seen & self.sees.any(axis=(1, 2), keepdims=True)
        many = wanted.any(axis=(1, 2)).mean() >= 0.5 and seen.mean() >= 0.5
        return bool(reach and many and (self.leaks & wanted).sum() >= NEARLY * wanted.sum())

    def _seen_share(self, wanted: np.ndarray) -> float:
        wanted = wanted & self.sees.any(axis=0)
        return float((self.sees & wanted).sum() / max(1, wanted.sum()))

    # --- what is seen from where ------------------------------------------------------------------------------------

    def right_for_another_order(self) -> bool:
        """No output sees itself, and all could be drawn in another order, in which many leaks are none."""
        flat = self.sees.reshape(len(self.sees), -1)
        own = flat[np.arange(len(flat)), self.places @ [self.W, 1]]
        several = len(np.unique(self.steps, axis=0)) > 1
        return bool(not own.any() and several and self.leaks.sum() >= 0.1 * flat.sum() and self._drawable(flat))

    def _drawable(self, flat: np.ndarray) -> bool:
        """Whether there is an order in which each output comes after all that it sees."""
        places = self.places @ [self.W, 1]
        waits = np.zeros((self.H * self.W,) * 2, bool)
        waits[places] = flat
        while waits.any():
            ready = ~waits.any(axis=1)
            if not (waits & ready).any():
                return False
            waits &= ~ready
        return True

    def from_below(self) -> bool:
        """Rows below are seen, down to the last one, and that would be right if the image were drawn from below."""
        return self.all_rows_below() and self.right_for_another_order()

    def blocks(self) -> bool:
        """Outputs at the start of a block of rows, or of columns, leak more than those at its end: again and again."""
        if not self.complete:
            return False
        number = np.zeros((self.H, self.W), int)
        number[tuple(self.places.T)] = self.leaks.sum(axis=(1, 2))
        axes = (0,) if self.own_row_alone() else (0, 1)
        return any(_saws(number.sum(axis=axis), k) for axis in axes for k in (2, 3, 4))

    def slow(self) -> bool:
        """The last pixel that an output sees moves on, to the end, by far less than a pixel from output to output."""
        flat = self.sees.reshape(len(self.sees), -1)
        if not self.complete or not flat.any(axis=1).all() or len(flat) < 8:
            return False
        S = len(flat)
        last = S - 1 - flat[np.argsort(self.places @ [self.W, 1])][:, ::-1].argmax(axis=1)
        moves, until = int(last.max() - last[0]), int(last.argmax())
        evenly = moves > 1 and S - until <= 1.5 * until / moves + 1  # it stays at the end as long as elsewhere
        return bool(evenly and moves <= 0.6 * until and last[0] >= 0.35 * S)

    def scattered(self) -> bool:
        """Outputs read each at places of their own: few steps that one of them takes are taken by the others."""
        taken: dict[tuple[int, int], int] = {}
        for step in map(tuple, self.steps.tolist()):
            taken[step] = taken.get(step, 0) + 1
        r, c = self.places.T
        shares = []
        for (down, right), times in taken.items():
            could = (r + down < self.H) & (c + right >= 0) & (c + right < self.W)
            shares += [times / could.sum()] * times
        return len(self.steps) > 1 and float(np.mean(shares)) < 0.5


def drawn_in_raster_order(order: np.ndarray) -> bool:
    """Whether pixels are drawn row after row, whatever the order of the colours within them."""
    turn = _turn_of(order)
    return turn is not None and np.array_equal(turn.ravel(), np.arange(turn.size))


def _turn_of(order: np.ndarray) -> np.ndarray | None:
    """Pixels, turned and mirrored so that they are drawn row after row: (H, W) or (W, H); None if they cannot be."""
    H, W, C = order.shape
    pixel = np.arange(H * W).reshape(H, W)
    place = order.reshape(H, W, C).astype(np.int64)
    inside = place.ravel()
    one_by_one = np.array_equal(np.sort(inside), np.arange(H * W * C))
    rank = place.min(axis=2) // (C if one_by_one else 1)
    if one_by_one and (place.max(axis=2) // C != rank).any():
        return None  # colours of several pixels are drawn in turn
    for turned, pixels in ((rank, pixel), (rank.T, pixel.T)):
        for rows in (1, -1):
            for columns in (1, -1):
                values = turned[::rows, ::columns].ravel()
                if (np.diff(values) > 0).all():
                    return pixels[::rows, ::columns]
    return None


def _at_the_end(places: np.ndarray, size: int) -> bool:
    """Whether places lie in the second half alone, the last one and few others among them."""
    return bool(places.max() == size - 1 and 2 * (size - places.min()) <= size)


def _saws(numbers: np.ndarray, k: int) -> bool:
    """Whether numbers fall within each whole block of k, and rise where the next one begins."""
    blocks = len(numbers) // k
    if blocks < 2:
        return False
    starts, ends = numbers[: blocks * k : k], numbers[k - 1 : blocks * k : k]
    return bool((starts > ends).all() and (starts[1:] > ends[:-1]).all())
