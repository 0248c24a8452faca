"""The schedule: each value that somebody reads is computed once, in time, and stands where it is looked for."""

import itertools

import numpy as np
import pytest
from model_table import CONDITIONS, KINDS, Case

import minipixel as mp
from minipixel.clock import Clock, Trace, raster, smallest_slope
from minipixel.clock.schedule import NEVER, RING, START_SLOT, ZERO_SLOT, _moments, fewest, schedule
from minipixel.kernels import numba_enabled
from minipixel.ops.local import START, ZERO
from minipixel.sampling import Cached, Naive, machine, program_of

IMAGES = [((4, 3, 1), 2, "bernoulli"), ((3, 5, 3), 2, "categorical"), ((5, 3, 3), 3, "logistic_mixture")]
MODELS = [
    (Case(name, *IMAGES[i % 3], variant), CONDITIONS[i % len(CONDITIONS)]) for i, (name, variant) in enumerate(KINDS)
]
MODELS += [(Case(name, *IMAGES[(i + 1) % 3], variant), "") for i, (name, variant) in enumerate(KINDS[:6])]
models = pytest.mark.parametrize(("case", "told"), MODELS, ids=[f"{case.id}-{told}" for case, told in MODELS])
waves = pytest.mark.parametrize("wave", [False, True], ids=["in-order", "wavefront"])


def clock_of(model, wave):
    trace, groups = Trace(model), model.head.groups
    in_order = np.array_equal(model.order, raster(model.image_shape))
    slope = smallest_slope(trace, groups, model.image_shape) if wave and in_order else None
    return Clock(trace, groups, model.order if slope is None else raster(model.image_shape, slope))


def needed(clock):
    """Which values the output reads, through any number of others: boolean (P, K) for each node."""
    trace = clock.trace
    found = {node: np.zeros((node.pixels, node.K), bool) for node in trace.nodes}
    found[trace.output.node][trace.output.index[trace.output.index >= 0]] = True
    for node in reversed(trace.nodes):
        here, own = found[node], node.own
        for p in [] if own is None else np.lexsort((own.rows,))[::-1]:
            if here[p].any():
                here[own.index[p][own.index[p] >= 0]] = True
                if own.above[p] >= 0:
                    here[own.above[p]] |= here[p]
        for source, look in node.reads:
            by_tap = look.channels.reshape(look.index.shape[1], source.K, node.K)
            for taps, index in zip(by_tap, look.index.T, strict=True):
                inside = index >= 0
                np.logical_or.at(found[source], index[inside], here[inside] @ taps.T)
    return found


def order(node, when):
    """The pixels at which a class of a node's channels is computed at moments `when`, by moment and row of a scan."""
    rows, inside = (0 * when, True) if node.own is None else (node.own.rows, node.own.inside)
    pixels = np.lexsort((rows, when))
    return pixels[(inside & (when < NEVER))[pixels]]


class Replay:
    """A schedule run with names for values: in the slots of each map stands which pixel's values they hold.

    `computed[node]` (P, K) counts how often each value was computed, `drawn` (P, C) how often each sub-pixel.
    """

    def __init__(self, clock, joins_colours):
        self.clock, self.plan, self.joins_colours = clock, schedule(clock), joins_colours
        nodes, moments = clock.trace.nodes, _moments(clock)
        orders = [order(node, when) for node in nodes if node in moments for when in moments[node].T]
        self.pixels = [pixels for pixels in orders if len(pixels)]
        assert [len(pixels) for pixels in self.pixels] == [len(unit.to) for unit in self.plan.units]
        self.computed = {node: np.zeros((node.pixels, node.K), int) for node in nodes}
        self.drawn = np.zeros(clock.times.shape, int)
        self.holds = {node: np.full((slots, node.K), -9) for node, slots in self.plan.slots.items()}
        for node, held in self.holds.items():
            held[ZERO_SLOT], held[START_SLOT] = ZERO, START
            if node.constant:
                held[RING:] = np.arange(node.pixels)[:, None]

    def run(self):
        for moment in range(self.plan.moments):
            for _, unit, first, last in self.plan.steps[self.plan.steps[:, 0] == moment]:
                self.compute(self.plan.units[unit], self.pixels[unit][first:last], slice(first, last))
            for _, pixel, channel, slot in self.plan.draws[self.plan.draws[:, 0] == moment]:
                self.draw(pixel, channel, slot)
        return self

    def compute(self, unit, pixels, part):
        node, own = unit.node, unit.node.own
        for (source, slots, picked), (of, look) in zip(unit.inputs, node.reads, strict=True):
            assert source is of
            found = self.holds[source][slots[part]].reshape(len(pixels), -1)
            wanted = np.repeat(look.index[pixels], source.K, axis=1)
            np.testing.assert_array_equal(found[:, picked], wanted[:, picked])
        held, K = self.holds[node], node.K
        if own is not None:
            np.testing.assert_array_equal(held[unit.own[part]], np.repeat(own.index[pixels][..., None], K, axis=2))
            kept = held[unit.above[part]][:, unit.columns]
            np.testing.assert_array_equal(kept, np.broadcast_to(own.above[pixels][:, None], kept.shape))
        columns = np.arange(K)[unit.columns]
        assert len(set(unit.to[part])) == len(pixels)
        held[unit.to[part][:, None], columns] = pixels[:, None]
        self.computed[node][pixels[:, None], columns] += 1

    def draw(self, pixel, channel, slot):
        output, groups = self.clock.trace.output, self.clock.groups
        read = groups <= channel if self.joins_colours else groups == channel
        assert (self.holds[output.node][slot][read] == output.index[pixel]).all()
        self.holds[self.clock.trace.image][RING + pixel, channel] = pixel
        self.drawn[pixel, channel] += 1


@models
@waves
def test_every_value_is_computed_once_and_found_where_it_is_looked_for(case, told, wave):
    """None is computed twice, none that nobody reads; no slot is taken again before its value's last reader."""
    model = case.conditional(told)
    clock = clock_of(model, wave)
    replay = Replay(clock, model.head.joins_colours).run()
    assert (replay.drawn == 1).all()
    wanted = needed(clock)
    for node, counts in replay.computed.items():
        if node is clock.trace.image or node.constant:
            continue
        inside = True if node.own is None else node.own.inside[:, None]
        of = clock.ready[node].of
        by_class = np.stack([wanted[node][:, of == g].any(axis=1) for g in range(of.max() + 1)], axis=1)
        np.testing.assert_array_equal(counts, (by_class[:, of] & inside).astype(int), err_msg=repr(node))


def test_colours_are_computed_by_themselves():
    """Three classes of channels in each layer of an RGB model, and every channel of every pixel computed once."""
    model = Case("pixelcnn", (3, 4, 3), 2, "categorical").model()
    plan = schedule(clock_of(model, False))
    by_node = {node: [unit for unit in plan.units if unit.node is node] for node in {unit.node for unit in plan.units}}
    assert len(by_node) > 10
    for node, units in by_node.items():
        assert len(units) == 3
        assert sorted(np.concatenate([unit.columns for unit in units])) == list(range(node.K))


def full_of_nan(maps, constants):
    for node, values in maps.items():
        if node not in constants:
            values[RING:] = np.nan
    return maps


class PoisonedCached(Cached):
    """What a slot holds before it is written is NaN."""

    def _maps(self, N, condition):
        return tuple(full_of_nan(maps, {n for n in maps if n.constant}) for maps in super()._maps(N, condition))


class PoisonedMachine(machine.Machine):
    def _fill(self, work, N, condition):
        work[:] = np.nan
        for kept, bases in ((False, self.tables.base), (True, self.tables.cells)):
            for node in bases:
                self._map(work, N, node, kept)[:RING] = 0
        super()._fill(work, N, condition)


@models
@waves
def test_nothing_is_read_before_it_is_written(case, told, wave):
    model = case.conditional(told)
    program, rng = program_of(model, wave)[0], np.random.default_rng(0)
    told = model.conditions.random(8, rng)
    start, known = np.zeros((8, *case.shape), np.uint8), np.zeros((8, *case.shape[:2]), bool)
    drawn = rng.random(start.shape), told, 3.0, start, known
    wanted = Naive(model)(*drawn)
    assert len(np.unique(wanted)) == case.levels
    np.testing.assert_array_equal(PoisonedCached(program, model)(*drawn), wanted)
    if numba_enabled():
        np.testing.assert_array_equal(PoisonedMachine(program, model)(*drawn), wanted)


def test_fewest_is_as_few_as_can_be():
    """Against every choice of moments, for random intervals, some of which nobody asks for."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        ready = rng.integers(0, 7, rng.integers(1, 7))
        due = ready + rng.integers(0, 4, len(ready))
        due[rng.random(len(ready)) < 0.2] = NEVER
        chosen, asked = fewest(ready, due), due < NEVER
        assert (chosen[~asked] == NEVER).all()
        assert ((ready <= chosen) & (chosen <= due))[asked].all()
        intervals = list(zip(ready[asked], due[asked], strict=True))
        for k in range(10):
            tries = itertools.combinations(range(10), k)
            if any(all(any(a <= m <= b for m in moments) for a, b in intervals) for moments in tries):
                break
        assert len(set(chosen[asked])) == k


@pytest.mark.parametrize("name", ["pixelcnn", "gated", "row-lstm", "diagonal-bilstm"])
def test_rings_are_short(name):
    """No map of a 28x28 image is kept as a whole: of most a pixel, of what a kernel reads a few rows."""
    depth = "blocks" if name == "pixelcnn" else "layers"
    model = mp.models.MODELS[name]((28, 28, 1), 2, **{depth: 3, "filters" if name == "gated" else "hidden": 4})
    program = program_of(model, False)[0]
    whole = sum(node.pixels * node.K for node in program.schedule.slots)
    assert program.numbers_an_image() < whole / 3
    assert program.schedule.moments == 28 * 28
