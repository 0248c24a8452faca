"""Tables of a single instruction, made by hand, with memory of their own: for tests of one opcode alone.

Memory is poisoned: between any two operands, before the first and behind the last there is NaN, which nobody may read
or write; so there is around weights and gradients, and where an instruction is to set a map.
"""

import copy
import itertools

import numpy as np

from minipixel.kernels import opcodes
from minipixel.kernels.opcodes import OPCODES
from minipixel.plan import interpreter

GUARD = 16
"""So many numbers an image of NaN between two operands."""
BEFORE = 0.5
"""The gradient of a weight before it is added to."""


class Rows:
    """Rows of pixels of these lengths."""

    def __init__(self, lengths):
        self.lengths = list(lengths)
        self.start = np.cumsum([0, *lengths])
        self.steps, self.slots, self.width = len(self.lengths), int(self.start[-1]), max(self.lengths)
        self.row_of = np.repeat(np.arange(self.steps), self.lengths)


class Hand:
    """An instruction that goes through some rows, for N images; `rng` draws whatever is left open.

    With `whole` it is as in a table for a device: whole maps, and scans in their order that have all cells.
    """

    def __init__(self, name, rows, N, rng, whole=False):
        self.rows, self.N, self.rng, self.whole = rows, N, rng, whole
        self.line = {"OP": OPCODES[name], "LEAD": int(rng.integers(3)), "STARTS": 2}
        self.lead, self.back = self.line["LEAD"] + int(rng.integers(2)), bool(rng.integers(2))
        if whole:
            self.line["LEAD"], self.lead, self.back = 0, 0, name.endswith("_X")
        self.zones, self.parts, self.size = {}, [np.full(GUARD * N, np.nan)], GUARD
        self.weights = [np.full(GUARD, np.nan)]
        self.weight_zone, self.period = slice(0, 0), 0
        self.runs, self.at, self.rooms = np.zeros((0, 8), int), np.zeros(rows.steps + 1, int), np.zeros(3, int)
        self.draw = rng.integers(0, 2**32, 2, dtype=np.uint32), int(rng.integers(5))

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    # --- operands -----------------------------------------------------------------------------------------------------

    def operand(self, letter, K, values="normal", *, ring=None, rows=None, extra=0):
        """Room for a map of K channels, or for a ring of its rows; returns the ring."""
        rows = self.rows if rows is None else rows
        ring = 0 if self.whole else self.pick(0, 1, 2, 3) if ring is None else ring
        pixels = rows.width * ring if ring else rows.slots + extra
        self.line[letter] = self.zone(letter, pixels * K, values), ring, rows.width, K
        return ring

    def zone(self, name, size, values="normal"):
        """A place for so many numbers per image."""
        at = self.size
        numbers = drawn(self.rng, values, size * self.N) if isinstance(values, str) else np.ravel(values)
        assert len(numbers) == size * self.N
        self.parts += [numbers, np.full(GUARD * self.N, np.nan)]
        self.zones[name], self.size = slice(at * self.N, (at + size) * self.N), at + size + GUARD
        return at

    def same_place(self, letter, other):
        """An operand that stands where another does."""
        self.line[letter] = self.line[other]

    def weight(self, numbers, period=0):
        """The instruction's weights; with a period K their first K, over and over again."""
        numbers = np.ravel(numbers)
        if period:
            numbers = np.tile(numbers, -(-self.pick(2, 20, 128) // period))
            self.line["L"] = len(numbers)
        self.line["W"], self.period = GUARD, period
        self.weights, self.weight_zone = [self.weights[0], numbers], slice(GUARD, GUARD + len(numbers))

    def channels(self, K):
        self.weight(drawn(self.rng, "normal", K), K)

    def turned_into(self, name, weight=None, **maps):
        """The same rows, runs and places with another opcode, and with these numbers in its operands."""
        other = copy.copy(self)
        other.line = self.line | {"OP": OPCODES[name]}
        memory = np.concatenate(self.parts)
        for letter, numbers in maps.items():
            memory[self.zones[letter]] = np.ravel(numbers)
        other.parts = [memory]
        if weight is not None:
            other.weights = [self.weights[0], np.ravel(weight)]
        return other

    def place(self, letter, array):
        """An operand in an array like `work`: (pixels, N, K)."""
        return array[self.zones[letter]].reshape(-1, self.N, self.line[letter][3])

    # --- runs ---------------------------------------------------------------------------------------------------------

    def see(self, source, ring, taps, K_in, K_out):
        """Runs of pixels of a source that the taps read: apart by 1, 2, backwards, one for many; with gaps."""
        runs, at = [], [0]
        for r, tap in itertools.product(range(self.rows.steps), range(taps)):
            for readers in self._cut(self.rows.lengths[r]):
                runs += self._run(tap, readers, source, ring)
            if tap == taps - 1:
                at.append(len(runs))
        self.runs, self.at = np.array(runs, int).reshape(-1, 8), np.array(at)
        sizes = self.rows.width * K_in, self.rows.width * K_out, self.rows.width * K_in * taps
        self.rooms = np.array([self.zone(f"room {n}", size, "nan") for n, size in enumerate(sizes)])

    def _cut(self, n):
        """Some readers of a row, so that none is there twice."""
        by = self.pick(1, 1, 2, 3)
        for first in range(min(by, n)):
            for piece in np.array_split(np.arange(first, n, by), self.pick(1, 1, 2)):
                yield piece[self.pick(0, 0, 1) :], by

    def _run(self, tap, readers, source, ring):
        readers, by = readers
        step = self.pick(*np.flatnonzero(source.lengths))
        seen, apart = source.lengths[step] if ring else source.slots, self.pick(1, 1, 2, -1, 0)
        count = min(len(readers), (seen - 1) // abs(apart) + 1 if apart else len(readers))
        if not count:
            return []
        reach = (count - 1) * apart
        first = int(self.rng.integers(max(0, -reach), seen - max(0, reach)))
        slot = source.start[step] + first if ring else first
        step = step if ring else source.row_of[slot]
        return [(tap, readers[0], by, step, slot - source.start[step], slot, apart, count)]

    # --- at work ------------------------------------------------------------------------------------------------------

    def run(self, walk, dtype):
        """(work, weights, grads) in that dtype after a walk through all rows."""
        flat = np.concatenate([*self.weights, np.full(GUARD, np.nan)])
        grads = np.full_like(flat, np.nan)
        grads[self.weight_zone] = BEFORE
        work, weights, grads = (x.astype(dtype) for x in (np.concatenate(self.parts), flat, grads))
        table = np.zeros((3, opcodes.COLUMNS), np.int64)
        table[[0, 2]] = -1  # nobody comes by here
        for name, numbers in (self.line | {"RUNS": 3}).items():
            at = getattr(opcodes, name)
            table[1, at : at + np.size(numbers)] = numbers
        groups = np.array([(1, 2, self.rows.steps, self.lead, self.back)], np.int64)
        starts, at = np.concatenate([[7, 7], self.rows.start]), np.concatenate([[9, 9, 9], self.at])
        arrays = [np.ascontiguousarray(x, np.int64) for x in (table, groups, starts, self.runs, at, self.rooms)]
        walk(*arrays, work, weights, grads, self.N, self.draw)
        return work, weights, grads

    def seen(self, work, weights, grads):
        """What counts of the memory: not what rooms hold, and of repeated weights the sums of their gradients."""
        for name, zone in self.zones.items():
            if name.startswith("room"):
                work[zone] = 0
        around = grads.copy()
        around[self.weight_zone] = 0
        return {"work": work, "weights": weights, "around grads": around, "grads": self.gradient(grads)}

    def gradient(self, grads):
        """Of the instruction's weights, what was added to them."""
        added = grads[self.weight_zone] - BEFORE
        return added.reshape(-1, self.period).sum(axis=0) if self.period else added


def drawn(rng, values, n):
    """n numbers, exact in float32."""
    if values == "nan":
        return np.full(n, np.nan)
    numbers = rng.standard_normal(n)
    if values == "positive":
        numbers = np.abs(numbers) + 0.25
    if values == "gates":
        numbers = 1 / (1 + np.exp(-numbers))
    return numbers.astype(np.float32).astype(float)


def assert_close(got, wanted, limit, text):
    """NaN, which nobody touched, in the same places; all others as near as the largest of them allows."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted), err_msg=text)
    scale = max(1.0, np.nanmax(np.abs(wanted), initial=0))
    assert np.nanmax(np.abs(got - wanted), initial=0) <= limit * scale, text


def agrees(hand, got, limit, text):
    """What a Hand has seen, and the interpreter on the same numbers in float64; whether anything changed."""
    wanted = hand.seen(*hand.run(interpreter.walk, "float64"))
    for part, array in wanted.items():
        assert_close(got[part], array, limit, f"{part} of {text}")
    before = hand.seen(*hand.run(lambda *table: None, "float64"))
    return any(not np.array_equal(wanted[part], before[part], equal_nan=True) for part in wanted)


# --- an instruction for each opcode -----------------------------------------------------------------------------------

BUILD = {}
"""By opcode: a function from a Hand and K channels that gives it operands."""


def builds(*names):
    def register(function):
        for name in names:
            BUILD[name] = lambda hand, K, name=name: function(hand, K, name)
        return function

    return register


@builds("ZERO", "FILL", "BIASRELU", "ADDBIAS", "SUMS")
def biases(hand, K, name):
    hand.operand("B", K, "nan" if name in ("ZERO", "FILL", "ADDBIAS") else "normal")
    if name == "ADDBIAS":
        hand.operand("A", K)
    if name != "ZERO":
        hand.channels(K)


@builds("ADDROW")
def added(hand, K, name):
    hand.operand("A", K)
    hand.operand("B", K)


@builds("MOVE", "MOVE_X")
def moved(hand, K, name):
    source = hand.pick(hand.rows, Rows([3, 5, 2]), Rows([7]))
    ring = hand.operand("A", K, rows=source)
    hand.operand("B", K)
    hand.see(source, ring, 1, K, K)
    hand.line["FLAG"] = hand.pick(0, 1)


@builds("MATMUL", "MATMUL_W")
def multiplied(hand, K, name):
    L = hand.pick(1, 3, 16, 17, 40)
    hand.line["FLAG"] = hand.pick(0, 1)
    hand.operand("A", K)
    hand.operand("B", L, "nan" if name == "MATMUL" and not hand.line["FLAG"] else "normal")
    hand.weight(drawn(hand.rng, "normal", K * L))


@builds("TAPS", "TAPS_W", "TAPS_X", "LAID", "LAID_W")
def looked(hand, K, name):
    K, L, taps = min(K, 7) if name.startswith("LAID") else K, hand.pick(1, 3, 16, 17, 40), hand.pick(1, 2, 5)
    source = hand.pick(hand.rows, Rows([3, 5, 2]), Rows([7]))
    ring = hand.operand("A", K, rows=source)
    hand.operand("B", L)
    hand.weight(drawn(hand.rng, "normal", taps * K * L))
    hand.see(source, ring, taps, K, L)
    hand.line["T"] = taps


@builds("LOOKUP", "LOOKUP_W")
def looked_up(hand, K, name):
    """Codes of one to three channels, whose rows are added to all of K channels, or each to a part of its own."""
    Q, C, taps = hand.pick(2, 5, 300), hand.pick(1, 2, 3), hand.pick(1, 2, 5)
    parts = hand.pick(True, False)
    source = hand.pick(hand.rows, Rows([3, 5, 2]), Rows([7]))
    ring = hand.operand("A", C, "normal", rows=source)
    of_codes = hand.parts[-2]
    of_codes[:] = hand.rng.integers(0, Q, of_codes.shape)
    hand.operand("B", C * K if parts else K)
    hand.weight(drawn(hand.rng, "normal", taps * C * Q * K))
    hand.see(source, ring, taps, C, C * K if parts else K)
    hand.line |= {"T": taps, "L": Q, "X": K if parts else 0}


FUNCTIONS = "RELU", "ELU", "TANH", "SIGMOID", "EXP", "LOG", "POWER", "PRELU", "SCALE", "GELU", "SOFTMAX", "LAYER_NORM"


@builds(*FUNCTIONS, "DROPOUT")
def one_map(hand, K, name):
    hand.operand("A", K, "positive" if name in ("LOG", "POWER") else "normal")
    if name in ("RELU", "DROPOUT") and hand.pick(True, False):
        hand.same_place("B", "A")
    else:
        hand.operand("B", K, "nan")
    of_one_map(hand, K, name)


def of_one_map(hand, K, name):
    if name.startswith(("PRELU", "SCALE")):
        hand.channels(K)
    if name.startswith("POWER"):
        hand.weight([hand.pick(2, 3, 1, 0.5, -0.5, -1)])
    if name.startswith(("SOFTMAX", "LAYER_NORM")):
        hand.line["L"] = hand.pick(*[colours for colours in range(1, K + 1) if K % colours == 0])
    if name.startswith("LAYER_NORM"):
        hand.weight([hand.pick(0.125, 0.5)])
    if name == "DROPOUT":
        hand.weight([2.0])
        hand.line |= {"X": hand.pick(0, 3), "T": hand.pick(0, 2**15, 60000, 2**16)}


@builds(*[f"{name}_X" for name in FUNCTIONS])
def back_through_one_map(hand, K, name):
    hand.operand("A", K)
    hand.operand("B", K, {"LOG_X": "positive", "POWER_X": "positive", "SOFTMAX_X": "gates"}.get(name, "normal"))
    of_one_map(hand, K, name)
    if name == "RELU_X" and hand.pick(True, False):
        hand.weight(np.zeros(K), K)
        hand.line["FLAG"] = 1


@builds("MULTIPLY")
def product_of_maps(hand, K, name):
    hand.operand("A", K)
    hand.operand("C", K)
    hand.operand("B", K, "nan")


@builds("CONCAT_ELU", "GATE", "LINEAR_GATE", "FACTORS")
def another_width(hand, K, name):
    doubles = name == "CONCAT_ELU"
    hand.operand("A", K if doubles else 2 * K)
    hand.operand("B", 2 * K if doubles else K, "nan")


@builds("CONCAT_ELU_X", "GATE_X", "LINEAR_GATE_X")
def back_to_another_width(hand, K, name):
    doubles = name == "CONCAT_ELU_X"
    hand.operand("A", 2 * K if doubles else K)
    hand.operand("B", K if doubles else 2 * K, "gates" if name == "GATE_X" else "normal")
    hand.operand("C", K if doubles else 2 * K, "nan")


@builds("PART", "PART_X")
def part(hand, K, name):
    before, behind = hand.pick(0, 1, 5), hand.pick(0, 2)
    whole, some = ("B", "A") if name == "PART" else ("A", "B")
    hand.operand(whole, before + K + behind)
    hand.line |= {"X": before, "FLAG": hand.pick(0, 1)}
    hand.operand(some, K, "nan" if name == "PART_X" and not hand.line["FLAG"] else "normal")


@builds("CELLS", "CELLS_X")
def cells(hand, K, name):
    rows = hand.rows
    hand.operand("A", 4 * K, "gates" if name == "CELLS_X" else "normal")
    hand.operand("B", K, ring=0, extra=rows.width)
    if name == "CELLS":
        hand.line["X"] = hand.zone("h", (rows.slots + rows.width) * K)
    else:
        hand.operand("C", 4 * K)
        hand.operand("D", K)
        hand.line |= {"X": hand.zone("c_g", (rows.width + 3) * K), "FLAG": hand.pick(0, 1)}
        hand.channels(K)
    runs, at = [], [0]
    for r in range(rows.steps):
        shift = hand.pick(0, 1, 3)
        for piece in np.array_split(np.arange(rows.lengths[r]), hand.pick(1, 2)):
            begins = r == 0 or hand.pick(False, False, True)  # follows the start state, which stands behind all slots
            begins |= hand.whole and rows.lengths[r - 1] < len(piece)
            first, seen = (rows.slots, rows.width) if begins else (rows.start[r - 1], rows.lengths[r - 1])
            count = min(len(piece), seen)
            if count:
                before = first + hand.rng.integers(seen - count + 1)
                runs.append((shift + piece[0], piece[0], 1, -1 if begins else r - 1, 0, before, 1, count))
        at.append(len(runs))
    hand.runs, hand.at = np.array(runs, int).reshape(-1, 8), np.array(at)
