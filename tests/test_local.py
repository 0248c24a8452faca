"""Every op with a `local`, pixel by pixel: it computes what the op does on the whole map, and reads what it says."""

import dataclasses

import numpy as np
import pytest
from op_table import TABLE

from minipixel import Tensor, op, ops
from minipixel.ops.local import START, ZERO, Look

# What no pixel of an image passes on its way to the head's parameters while an image is drawn.
WITHOUT_LOCAL = {
    *("bernoulli_log_prob", "categorical_log_prob", "logistic_mixture_log_prob", "normal_mixture_log_prob"),
    *("total", "mean", "flatten", "unit", "triplet_loss"),  # they judge, or serve the embedding network
    "weight_norm",  # of weights alone
}
IN_TRAINING = {"dropout"}  # off while an image is drawn: it has one for what a traced pass keeps, see test_trace.py


def as_maps(row):
    """The row with maps for inputs (N, K): each such becomes one of 2 x 2 pixels."""
    lifted = tuple((2, 2, *shape) if len(shape) == 2 and len(row.shapes[0]) == 2 else shape for shape in row.shapes)
    return dataclasses.replace(row, shapes=lifted)


ROWS = [as_maps(row) for row in TABLE if row.op.__name__ not in WITHOUT_LOCAL | IN_TRAINING]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


class Seen:
    """An op that has been run on its row's inputs: its `value` (P, N, K), and its Local, which can do it in parts."""

    def __init__(self, row, inputs):
        y = row.op(*[Tensor(x) for x in inputs], **row.static)
        op, static = y.call
        self.inputs = [x.data if isinstance(x, Tensor) else x for x in y.inputs]
        self.local = op.local(op.arrays, *self.inputs, **static)
        H, W, N, self.K = y.shape
        assert self.local.size == (H, W)
        self.value = y.data.reshape(H * W, N, self.K)
        self.looks = [look for look in self.local.inputs if isinstance(look, Look)]
        inside = np.ones(H * W, bool) if self.local.own is None else self.local.own.inside
        self.pixels = np.flatnonzero(inside)

    def compute(self, pixels, columns, own=()):
        """The channels `columns` of the op's value at some pixels, and nothing of its inputs that these do not read."""
        arguments, rows = [], None
        for x, look in zip(self.inputs, self.local.inputs, strict=True):
            if isinstance(look, Look):
                rows = np.flatnonzero(look.channels[:, columns].any(axis=1))
                arguments.append(pixels_of(x, look.index[pixels])[..., rows])
            elif x is None:
                arguments.append(None)
            else:
                part = look.shaped(x)
                for axis, along in enumerate(look.axes):
                    picked = {"in": rows, "out": columns}.get(along)
                    part = part if picked is None or part.shape[axis] == 1 else np.take(part, picked, axis)
                arguments.append(part)
        return self.local.compute(*arguments, *own)


def pixels_of(x, index):
    """What taps find in a map (H, W, N, K), side by side: (P, T) -> (P, N, T * K)."""
    flat = np.concatenate([x.reshape(-1, *x.shape[2:]), np.zeros((1, *x.shape[2:]))])
    found = flat[np.where(index == ZERO, -1, index)]
    return found.transpose(0, 2, 1, 3).reshape(len(index), x.shape[2], index.shape[1] * x.shape[3])


def in_parts(seen, parts, columns):
    """The op's value, its pixels computed part by part: NaN where none was."""
    value = np.full((*seen.value.shape[:2], len(columns)), np.nan)
    own = seen.local.own
    if own is None:
        for part in parts:
            value[part] = seen.compute(part, columns)
        return value
    _, _, h0, c0 = seen.inputs
    states = np.full((2, len(value) + 2, *seen.value.shape[1:]), np.nan)  # the last two are START and ZERO
    states[:, ZERO], states[:, START] = 0, 0
    for kept, start in zip(states, (h0, c0), strict=True):
        if start is not None:
            kept[START] = start
    everything = np.arange(seen.K)
    for part in sorted(parts, key=lambda part: own.rows[part[0]]):
        around = states[0][own.index[part]].transpose(0, 2, 1, 3).reshape(len(part), seen.value.shape[1], -1)
        above = states[1][own.above[part]]
        states[0][part], states[1][part] = seen.compute(part, everything, (around, above))
        value[part] = seen.compute(part, columns, (around, above[..., columns]))[0]
    return value


def classes(seen):
    """Which output channels read the same channels of all inputs: a list of integers (k,)."""
    table = np.concatenate([look.channels for look in seen.looks])
    keys = [column.tobytes() for column in table.T]
    return [np.array([k for k, key in enumerate(keys) if key == wanted]) for wanted in dict.fromkeys(keys)]


def test_every_other_op_has_a_local():
    assert {name for name, op in ops.OPS.items() if op.local is None} == WITHOUT_LOCAL
    assert all(len(row.shapes[0]) == 4 for row in ROWS)


@rows
def test_one_pixel_at_a_time(row):
    seen = Seen(row, row.inputs())
    found = in_parts(seen, seen.pixels[:, None], np.arange(seen.K))
    np.testing.assert_allclose(found[seen.pixels], seen.value[seen.pixels], rtol=1e-12, atol=1e-12)


@rows
def test_random_groups_of_pixels_and_classes_of_channels(row):
    """Any pixels together, in any order; of a scan, those of a row; and any classes of channels by themselves."""
    seen, rng = Seen(row, row.inputs()), np.random.default_rng(0)
    shuffled = rng.permutation(seen.pixels)
    if seen.local.own is None:
        parts = np.array_split(shuffled, 3)
    else:
        rows = seen.local.own.rows
        parts = [shuffled[rows[shuffled] == r] for r in np.unique(rows[seen.pixels])]
    of = classes(seen)
    some = [np.sort(np.concatenate([of[i] for i in rng.permutation(len(of))[: 1 + len(of) // 2]])) for _ in range(3)]
    for columns in [*of, *some]:
        found = in_parts(seen, [part for part in parts if len(part)], columns)[seen.pixels]
        np.testing.assert_allclose(found, seen.value[seen.pixels][..., columns], rtol=1e-12, atol=1e-12)


def declared(seen, position):
    """Which numbers of input `position` each number of the value reads, by its Local: boolean (P, K, P_in, K_in)."""
    look, x = seen.local.inputs[position], seen.inputs[position]
    P_in, K_in = x.shape[0] * x.shape[1], x.shape[3]
    reads = np.zeros((len(look.index), seen.K, P_in + 1, K_in), bool)
    by_tap = look.channels.reshape(-1, K_in, seen.K)
    for p, taps in enumerate(look.index):
        for t, from_pixel in enumerate(taps):
            reads[p, :, from_pixel] |= by_tap[t].T
    reads = reads[:, :, :P_in]
    return reads if seen.local.own is None else of_states(seen, reads)


def of_states(seen, reads):
    """The same of a scan, its states included: `reads` says what each cell's own gates read."""
    own, K = seen.local.own, seen.K
    reads[~own.inside] = False
    kept = reads.copy()
    for p in seen.pixels:  # in the order of rows
        kept[p, :, p, :K] = False  # the output gate shows what is kept, and does not change it
        if own.above[p] >= 0:
            kept[p] |= kept[own.above[p]]
        elif seen.inputs[3] is None:
            kept[p, :, p, K : 2 * K] = reads[p, :, p, K : 2 * K] = False  # there is nothing to forget
        for q in own.index[p][own.index[p] >= 0]:
            kept[p] |= reads[q].any(axis=0)  # each unit reads all units of its neighbours
        reads[p] |= kept[p]
    return reads


@rows
def test_it_reads_what_it_says_and_nothing_else(row):
    """Each number of each map is changed in turn, in an image of its own: what then changes of the value reads it.

    Six times, or for codes thirty, since a rectifier, or a function that is flat there, may hide it.
    """
    are_maps = [isinstance(look, Look) for look in Seen(row, row.inputs()).local.inputs]
    for position in np.flatnonzero(are_maps):
        H, W, _, K = row.shapes[position]
        found, changes = False, H * W * K
        for seed in range(30 if row.whole else 6):
            inputs = row.inputs(seed=seed)
            for other in np.flatnonzero(are_maps):
                inputs[other] = np.repeat(inputs[other][:, :, :1], 1 + changes, axis=2)
            fresh = np.random.default_rng(100 + seed).uniform(row.low, row.high, changes)
            fresh = np.abs(np.rint(fresh)) if position in row.whole else fresh
            for place, (r, c, k) in enumerate(np.ndindex(H, W, K)):
                inputs[position][r, c, 1 + place, k] = fresh[place]
            seen = Seen(row, inputs)
            moved = np.abs(seen.value[:, 1:] - seen.value[:, :1]) > 1e-13
            found = found | moved.transpose(0, 2, 1).reshape(len(seen.value), seen.K, H * W, K)
        np.testing.assert_array_equal(found, declared(seen, position))


def moved_by_one(look):
    return dataclasses.replace(look, index=np.roll(look.index, 1, axis=0))


def one_channel_more(look):
    channels = look.channels.copy()
    channels[np.argwhere(~channels)[0][0], np.argwhere(~channels)[0][1]] = True
    return dataclasses.replace(look, channels=channels)


@pytest.mark.parametrize("wrong", [moved_by_one, one_channel_more])
def test_a_wrong_look_is_found(wrong):
    row = next(row for row in ROWS if row.id == "conv2d-3x3-B-rgb")

    def local(function, *inputs, **static):
        right = ops.conv2d.local(function, *inputs, **static)
        return dataclasses.replace(right, inputs=(wrong(right.inputs[0]), *right.inputs[1:]))

    row = dataclasses.replace(row, op=op(local=local)(ops.conv2d.arrays))
    with pytest.raises(AssertionError):
        test_it_reads_what_it_says_and_nothing_else(row)
    if wrong is moved_by_one:  # to read more than is used costs time, and changes no value
        with pytest.raises(AssertionError):
            test_one_pixel_at_a_time(row)
