"""Patterns planted into matrices of what depends on what: each is told its own cause, at several sizes."""

import itertools

import numpy as np
import pytest

from minipixel.causality.causes import IMAGES, SEQUENCES, usual_cause
from minipixel.causality.witnesses import earlier

# --- layers as matrices: [i, j] says that output i reads input j ------------------------------------------------------


def kernel(offsets, wrap=False):
    """A convolution, by the (down, right) of its taps, with zeros around the image or the image itself again."""

    def matrix(H, W):
        reads = np.zeros((H * W, H * W), bool)
        for (r, c), (down, right) in itertools.product(np.ndindex(H, W), offsets):
            r2, c2 = (r + down, c + right)
            if wrap or (0 <= r2 < H and 0 <= c2 < W):
                reads[r * W + c, (r2 % H) * W + c2 % W] = True
        return reads

    return matrix


def rectangle(rows, columns):
    return list(itertools.product(range(rows[0], rows[1] + 1), range(columns[0], columns[1] + 1)))


def masked(kind, k=1):
    """Taps of a kernel of 2k + 1: mask A or B."""
    return rectangle((-k, -1), (-k, k)) + rectangle((0, 0), (-k, -1)) + [(0, 0)] * (kind == "B")


A, B = kernel(masked("A")), kernel(masked("B"))
WIDE_A = kernel(masked("A", 2))
NONE = kernel(rectangle((-1, 1), (-1, 1)))
BELOW = kernel([*masked("B"), *rectangle((1, 1), (-1, 1))])
ITSELF = kernel([(0, 0)])
DILATED = kernel([(2 * down, 2 * right) for down, right in rectangle((-1, 1), (-1, 1))])


def net(*layers):
    """Layers behind each other, the first one reads the image."""

    def matrix(H, W):
        reads = np.eye(H * W, dtype=bool)
        for layer in layers:
            reads = layer(H, W) @ reads
        return reads

    return matrix


def both(*layers):
    """What is added up."""
    return lambda H, W: np.logical_or.reduce([layer(H, W) for layer in layers])


def all_of(condition):
    """A matrix of all pairs of pixels for which `condition(r, c, r2, c2)` holds, the output's first."""

    def matrix(H, W):
        r, c = (each.ravel() for each in np.indices((H, W)))
        return condition(r[:, None], c[:, None], r[None], c[None])

    return matrix


PAST = all_of(lambda r, c, r2, c2: (r2 < r) | ((r2 == r) & (c2 < c)))
FUTURE = all_of(lambda r, c, r2, c2: (r2 > r) | ((r2 == r) & (c2 > c)))
ALL = all_of(lambda r, c, r2, c2: (r2 == r2) & (r == r))
OWN_ROW = all_of(lambda r, c, r2, c2: (r == r2) & (c == c))
OWN_COLUMN = all_of(lambda r, c, r2, c2: (c == c2) & (r == r))
RIGHT = all_of(lambda r, c, r2, c2: (r == r2) & (c2 >= c))
UP_THE_ROWS = all_of(lambda r, c, r2, c2: (r2 > r) & (abs(c2 - c) <= r2 - r))
BLOCKS = all_of(lambda r, c, r2, c2: (r // 2 == r2 // 2) & (c // 2 == c2 // 2))
FIRST_SEES_ALL = all_of(lambda r, c, r2, c2: (r == 0) & (c == 0) & (r2 == r2))
FIRST_SEES_OTHERS = all_of(lambda r, c, r2, c2: (r + c == 0) & (r2 + c2 > 0))
FIRST_ROW_SEES_ALL = all_of(lambda r, c, r2, c2: (r == 0) & (r2 == r2) & (c == c))


def rolled(H, W):
    """The raster, rolled by a pixel."""
    return np.roll(np.eye(H * W, dtype=bool), -1, axis=0).T


def later_by_raster(n):
    """Shifted by n places of the raster."""
    return lambda H, W: np.eye(H * W, k=-n, dtype=bool)


BEFORE = later_by_raster(1)


def reshaped(Q):
    """Outputs (N, S, Q) taken for (N, Q, S)."""

    def matrix(H, W):
        S = H * W
        reads = np.zeros((S, S), bool)
        for q, place in itertools.product(range(Q), range(S)):
            reads[place, (q * S + place) // Q] = True
        return reads

    return matrix


def taken_for_transposed(H, W):
    """Images (H, W) viewed as (W, H), and back by a transpose."""
    return np.eye(H * W, dtype=bool)[np.arange(H * W).reshape(W, H).T.ravel()]


def transposed(layer):
    """A layer that is right column after column."""

    def matrix(H, W):
        pixel = np.arange(H * W).reshape(W, H).T.ravel()
        return layer(W, H)[pixel][:, pixel]

    return matrix


def backwards(layer):
    """A layer that is right from the last pixel to the first."""
    return lambda H, W: layer(H, W)[::-1, ::-1]


def from_below(layer):
    """A layer that is right from the lowest row up."""

    def matrix(H, W):
        pixel = np.arange(H * W).reshape(H, W)[::-1].ravel()
        return layer(H, W)[pixel][:, pixel]

    return matrix


VERTICAL = kernel(rectangle((-1, 0), (-1, 1)))
UP_ONE, LEFT_ONE = kernel([(1, 0)]), kernel([(0, 1)])  # zeros at the wrong end
DOWN_ONE, RIGHT_ONE = kernel([(-1, 0)]), kernel([(0, -1)])

FIRST, LATER, ORDER, SOFTMAX = (
    "where the image comes in",
    "a later kernel",
    "masks made for another order",
    "softmax whose",
)
ROLL, WRONG_END, RESHAPE, STATISTIC = "a roll instead", "wrong end", "a wrong reshape", "statistic over the whole image"
TRANSPOSED, UP, BLOCK, AXIS = (
    "mask that is transposed",
    "a recurrence that runs up",
    "a pooling, or",
    "over the whole axis",
)
COLUMN, STACK, BELOW_OPEN = (
    "kernel one column too wide, or a shift",
    "stack whose shift down",
    "leaves the rows below open: set",
)
DEEP_BELOW, UNMASKED = "stack that sees the rows below", "a convolution without a mask"

PLANTED = {
    "mask B, one layer": (B, FIRST),
    "mask B, then masks B": (net(B, B, B), FIRST),
    "no shift to the right": (both(ITSELF, PAST), FIRST),
    "the pixel alone": (ITSELF, FIRST),
    "the diagonal of attention over pixels": (net(both(ITSELF, PAST), ITSELF), FIRST),
    "mask A, then one with its own row open": (net(A, kernel([*masked("B"), (0, 1)])), LATER),
    "shifted to the right, then a row open": (net(RIGHT_ONE, kernel([(0, 0), (0, 1), (-1, 0)])), LATER),
    "a column too wide at first": (kernel([*masked("B"), (0, 1)]), COLUMN),
    "a column too wide at first, the pixel closed": (kernel([*masked("A", 2), (0, 0), (0, 1)]), COLUMN),
    "vertical stack not shifted down": (net(VERTICAL, VERTICAL, VERTICAL), STACK),
    "vertical stack not shifted down beside a right one": (both(net(VERTICAL, VERTICAL), net(A, B)), STACK),
    "columns too wide, three times": (net(WIDE_A, *[kernel([*masked("B"), (0, 1)])] * 3), STACK),
    "rows below open": (BELOW, BELOW_OPEN),
    "rows below open behind mask A": (net(WIDE_A, BELOW), BELOW_OPEN),
    "rows below open, nothing of the own row": (kernel([*masked("A"), (1, -1), (1, 0), (1, 1)]), BELOW_OPEN),
    "vertical stack open below, shifted down": (net(*[NONE] * 3, DOWN_ONE), DEEP_BELOW),
    "no mask": (NONE, UNMASKED),
    "no mask, twice": (net(NONE, NONE), UNMASKED),
    "mask A, then none": (net(A, NONE), UNMASKED),
    "a wide mask A, then none": (net(WIDE_A, NONE), UNMASKED),
    "mask A, mask B, then none": (net(WIDE_A, B, NONE), UNMASKED),
    "dilated, no mask": (net(A, DILATED), UNMASKED),
    "zeros below": (UP_ONE, WRONG_END),
    "zeros to the right": (LEFT_ONE, WRONG_END),
    "zeros below, then a causal net": (net(UP_ONE, A, B), WRONG_END),
    "zeros to the right, then masks B": (net(LEFT_ONE, B, B), WRONG_END),
    "zeros to the right in one of two": (both(net(LEFT_ONE, kernel([(0, -1), (0, 0)])), A), WRONG_END),
    "rolled down": (kernel([(-1, 0)], wrap=True), ROLL),
    "rolled to the right": (kernel([(0, -1)], wrap=True), ROLL),
    "rolled to the right, then masks B": (net(kernel([(0, -1)], wrap=True), B, B), ROLL),
    "rolled down, then masks B": (net(kernel([(-1, 0)], wrap=True), B), ROLL),
    "the raster rolled": (rolled, ROLL),
    "the raster rolled, then all before": (net(rolled, both(ITSELF, PAST)), ROLL),
    "a masked kernel that wraps around": (net(A, kernel(masked("B"), wrap=True)), ROLL),
    "a statistic": (ALL, STATISTIC),
    "a statistic of masked features": (both(A, net(A, ALL)), STATISTIC),
    "a statistic of what is shifted": (net(later_by_raster(1), ALL), STATISTIC),
    "a softmax whose first row is masked": (both(PAST, FIRST_SEES_ALL), SOFTMAX),
    "a softmax whose first rows are masked": (both(PAST, FIRST_ROW_SEES_ALL), SOFTMAX),
    "a softmax whose first row is masked, strict": (both(PAST, FIRST_SEES_OTHERS), SOFTMAX),
    "a transposed mask": (both(FUTURE, ITSELF), TRANSPOSED),
    "a transposed mask behind a shift": (net(later_by_raster(1), both(FUTURE, ITSELF)), TRANSPOSED),
    "a state that runs up the rows as well": (both(PAST, UP_THE_ROWS), UP),
    "a state that runs up each column, and another one down, behind a shift": (net(DOWN_ONE, OWN_COLUMN), UP),
    "a state that runs up the rows": (both(UP_THE_ROWS, RIGHT_ONE), UP),
    "pooled and up again": (BLOCKS, BLOCK),
    "mask A, pooled and up again": (net(A, both(ITSELF, BLOCKS)), BLOCK),
    "mask A, pooled and up again, mask B": (net(A, BLOCKS, kernel(masked("B"))), BLOCK),
    "a softmax over the columns": (net(A, both(ITSELF, OWN_ROW)), AXIS),
    "a recurrence from the right": (RIGHT, AXIS),
    "a net for columns": (transposed(net(A, B)), ORDER),
    "a net for columns with a wide kernel": (transposed(net(WIDE_A, B)), ORDER),
    "a net that runs backwards": (backwards(net(A, B)), ORDER),
    "all that is later": (FUTURE, ORDER),
    "a net from below": (from_below(PAST), ORDER),
    "a wrong reshape of outputs that see all before": (net(PAST, reshaped(4)), RESHAPE),
    "a wrong reshape of outputs that see a bit": (net(BEFORE, both(ITSELF, BEFORE), reshaped(3)), RESHAPE),
    "a wrong reshape of a net for images": (net(A, B, reshaped(4)), RESHAPE),
    "a wrong view of the image": (taken_for_transposed, RESHAPE),
    "a wrong view of the image, then mask A": (net(taken_for_transposed, A), RESHAPE),
}  # fmt: skip

PLACE, OFF_BY_ONE, CENTRED = "a start token and a shift", "off by a place", "a convolution that is centred"
WHOLE, TURNED = "attention without a mask", "mask that is transposed"
PLANTED_IN_SEQUENCES = {
    "itself": (ITSELF, PLACE),
    "attention without a shift": (both(PAST, ITSELF), PLACE),
    "attention off by one behind a shift": (net(RIGHT_ONE, both(PAST, ITSELF, LEFT_ONE)), OFF_BY_ONE),
    "attention whose first row is masked": (both(PAST, FIRST_SEES_ALL), SOFTMAX),
    "a roll": (kernel([(0, -1)], wrap=True), ROLL),
    "a roll, then all before": (net(kernel([(0, -1)], wrap=True), both(PAST, ITSELF)), ROLL),
    "zeros behind": (LEFT_ONE, WRONG_END),
    "zeros behind, then causal": (net(LEFT_ONE, kernel([(0, -1), (0, 0)])), WRONG_END),
    "backwards": (FUTURE, ORDER),
    "backwards, a bit": (kernel([(0, 1), (0, 2)]), ORDER),
    "a wrong reshape": (net(PAST, reshaped(4)), RESHAPE),
    "no mask": (ALL, WHOLE),
    "no mask behind a shift": (net(RIGHT_ONE, ALL), WHOLE),
    "a transposed mask": (both(ITSELF, FUTURE), TURNED),
    "a transposed mask behind a shift": (net(RIGHT_ONE, both(ITSELF, FUTURE)), TURNED),
    "pooled by twos": (all_of(lambda r, c, r2, c2: (c // 2 == c2 // 2) & (r == r2)), BLOCK),
    "a centred kernel": (kernel([(0, -1), (0, 0), (0, 1)]), CENTRED),
    "centred kernels, dilated": (net(*(kernel([(0, -d), (0, 0), (0, d)]) for d in (1, 2))), CENTRED),
}


def cause(reads, shape, order=None):
    order = np.arange(np.prod(shape)).reshape(shape) if order is None else order
    outputs = np.arange(order.size)
    rows, columns = np.nonzero(reads & ~earlier(order))
    pairs = np.stack(np.unravel_index(np.stack([rows, columns], axis=-1), shape), axis=-1)
    return usual_cause(order, pairs, reads, outputs)


@pytest.mark.parametrize("size", [(5, 6), (8, 7)])
@pytest.mark.parametrize("pattern", PLANTED)
def test_images(pattern, size):
    matrix, named = PLANTED[pattern]
    assert named in cause(matrix(*size), (*size, 1))


@pytest.mark.parametrize("pattern", PLANTED)
def test_colours_and_other_orders(pattern):
    """The same in colour, its colour masks right; and for an order that is turned, with the pattern turned with it."""
    matrix, named = PLANTED[pattern]
    reads = matrix(5, 6)
    coloured = np.kron(reads, np.ones((3, 3), bool))
    for first in 3 * np.flatnonzero(~reads.diagonal()):
        coloured[first : first + 3, first : first + 3] = np.tri(3, k=-1)
    assert named in cause(coloured, (5, 6, 3))
    if named in (ORDER, UP):
        return  # they would say so of another order
    pixel = np.arange(30).reshape(5, 6)[::-1, ::-1].ravel()
    order = np.arange(30)[::-1].reshape(5, 6, 1)
    assert named in cause(reads[pixel][:, pixel], (5, 6, 1), order)


@pytest.mark.parametrize("size", [9, 16])
@pytest.mark.parametrize("pattern", PLANTED_IN_SEQUENCES)
def test_sequences(pattern, size):
    matrix, named = PLANTED_IN_SEQUENCES[pattern]
    reads = matrix(1, size)
    assert named in cause(reads, (1, size, 1))
    assert named in cause(reads, (size, 1, 1))


@pytest.mark.parametrize("size", [(4, 5), (6, 4)])
def test_within_a_pixel(size):
    S = 3 * np.prod(size)
    past = np.tri(S, k=-1, dtype=bool)
    own = np.kron(np.eye(S // 3), np.ones((3, 3))) > 0
    assert FIRST in cause(past | np.eye(S, dtype=bool), (*size, 3))
    assert FIRST in cause(past | own, (*size, 3))
    for colour, sees in ((0, 2), (0, 1), (1, 2), (0, 0), (1, 1)):
        one = np.zeros((3, 3))
        one[colour, sees] = 1
        assert "a colour mask" in cause(past | (np.kron(np.eye(S // 3), one) > 0), (*size, 3))
    turned = np.kron(np.eye(S // 3), np.triu(np.ones((3, 3)), 1)) > 0  # blue first
    assert "a colour mask" in cause((past & ~own) | turned, (*size, 3))


def test_an_order_that_is_no_raster_is_taken_at_its_word():
    planes = np.arange(60).reshape(3, 4, 5).transpose(1, 2, 0)
    assert ORDER in cause(np.tri(60, k=-1, dtype=bool), (4, 5, 3), planes)
    assert FIRST in cause(earlier(planes) | np.eye(60, dtype=bool), (4, 5, 3), planes)
    at_once = np.arange(20).repeat(3).reshape(4, 5, 3)
    own = np.kron(np.eye(20), np.ones((3, 3))) > 0
    assert FIRST in cause(earlier(at_once) | own, (4, 5, 3), at_once)
    assert STATISTIC in cause(np.ones((60, 60), bool), (4, 5, 3), at_once)


def test_some_outputs_alone():
    """Of large images some outputs are looked at."""
    order, outputs = np.arange(144).reshape(12, 12, 1), np.unique(np.linspace(0, 143, 20).astype(int))
    for pattern in (
        "mask B, then masks B", "no mask", "a statistic", "zeros below", "rolled to the right", "rows below open",
        "vertical stack not shifted down", "a softmax whose first row is masked", "a transposed mask",
    ):  # fmt: skip
        matrix, named = PLANTED[pattern]
        reads = matrix(12, 12)[outputs]
        rows, columns = np.nonzero(reads & ~earlier(order, outputs))
        pairs = np.stack(np.unravel_index(np.stack([outputs[rows], columns], axis=-1), order.shape), axis=-1)
        assert named in usual_cause(order, pairs, reads, outputs), pattern


def test_each_sentence_is_one_line_and_is_planted():
    for table, planted in ((IMAGES, PLANTED), (SEQUENCES, PLANTED_IN_SEQUENCES)):
        sentences = {sentence for _, sentence in table}
        assert all("\n" not in sentence and not sentence.endswith(".") for sentence in sentences)
        missed = {each for each in sentences if not any(named in each for _, named in planted.values())}
        assert len(missed) <= (table is IMAGES)  # a mask of colours has a test of its own
