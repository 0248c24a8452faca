"""The cached sampler: it follows the clock, computes each value once, at the moment when it is needed, and stores it.

The values of a moment, at some pixels and for the whole batch, are computed by the same ops that trained the model.
This file has the plain executor, the one to read; machine.py does the same in compiled loops.
"""

from typing import Any

from minipixel.backend import array_module, to_cpu
from minipixel.clock.schedule import RING, START_SLOT, Unit
from minipixel.clock.trace import Node
from minipixel.ops.local import Whole
from minipixel.progress import advance
from minipixel.sampling.canvas import Canvas, follow
from minipixel.sampling.program import Program, on
from minipixel.sampling.sampler import Sampler


class Cached(Sampler):
    """The steps of a program with a model's weights: a few array operations per step, with any array library."""

    def __init__(self, program: Program, model: Any) -> None:
        self.program, self.model = program, model
        evaluate = program.evaluator(model, None)
        self.units = [_Unit(program, unit, evaluate, model.xp) for unit in program.schedule.units]
        self.shard_size = self.wide_shard_size = program.most_images(model.dtype, 64)

    def paint(self, canvas: Canvas, condition: Any, temperature: float) -> None:
        """Draw all sub-pixels of a canvas that are not fixed."""
        program, model, xp = self.program, self.model, self.model.xp
        maps, cells = self._maps(canvas.levels.shape[1], condition)
        image, output = maps[program.trace.image], maps[program.trace.output.node]
        for steps, pixels, channel, slots in program.moments:
            for unit, first, last in steps:
                self.units[unit].compute(maps, cells, slice(first, last))
            parameters = to_cpu(output[xp.asarray(slots)])
            levels = canvas.draw(model.head, temperature, parameters, pixels, channel)
            image[xp.asarray(pixels + RING), :, channel] = model.as_numbers(xp.asarray(levels))
            if canvas.moved is not None:
                follow((*maps.values(), *cells.values()), canvas.moved)
            advance(canvas.wanted / len(program.moments))

    def _maps(self, N: int, condition: Any) -> tuple[dict[Node, Any], dict[Node, Any]]:
        """Memory for all maps, (slots, N, K), and for cell states of scans, with constants filled in.

        A slot is never read before it has been written.
        """
        xp, program = self.model.xp, self.program
        evaluate = program.evaluator(self.model, condition)
        maps, cells = {}, {}
        for node, slots in program.schedule.slots.items():
            maps[node] = xp.zeros((slots, N, node.K), self.model.dtype)
            if node.constant:
                maps[node][RING:] = evaluate(node.tensor).reshape(node.pixels, -1, node.K)
            if node.own is not None:
                cells[node] = xp.zeros_like(maps[node])
                for states, start_state in zip((maps[node], cells[node]), program.inputs(node)[1:], strict=True):
                    if start_state is not None:
                        states[START_SLOT] = evaluate(start_state)
        return maps, cells


class _Unit:
    """A unit of the schedule with those parts of its weights that its channels need."""

    def __init__(self, program: Program, unit: Unit, evaluate: Any, xp: Any) -> None:
        self.unit, self.node = unit, unit.node
        self.compute_local = unit.node.local.compute
        self.to = xp.asarray(unit.to)
        self.inputs = [(source, xp.asarray(slots), on(xp, picked)) for source, slots, picked in unit.inputs]
        self.columns = on(xp, unit.columns)
        self.wholes = program.wholes(unit, evaluate)
        self.own = None if unit.own is None else (xp.asarray(unit.own), xp.asarray(unit.above))

    def compute(self, maps: dict[Node, Any], cells: dict[Node, Any], part: slice) -> None:
        """Read, compute and write the pixels of one step."""
        gathered = iter(_gather(maps[source], slots[part], picked) for source, slots, picked in self.inputs)
        wholes = iter(self.wholes)
        arguments = [next(wholes) if isinstance(look, Whole) else next(gathered) for look in self.node.local.inputs]
        if self.own is None:
            value = self.compute_local(*arguments)
        else:
            own, above = self.own
            own_h = _gather(maps[self.node], own[part], slice(None))
            own_c = cells[self.node][above[part]][:, :, self.columns]
            value, cell = self.compute_local(*arguments, own_h, own_c)
            _put(cells[self.node], self.to[part], self.columns, cell)
        _put(maps[self.node], self.to[part], self.columns, value)


def _gather(array: Any, slots: Any, picked: Any) -> Any:
    """The pixels that T taps read at P pixels of a map (slots, N, K), side by side: (P, T) -> (P, N, T * K) or less."""
    (P, T), (_, N, K) = slots.shape, array.shape
    found = array[slots.ravel()].reshape(P, T, N, K)
    side_by_side = found[:, 0] if T == 1 else found.transpose(0, 2, 1, 3).reshape(P, N, T * K)
    return side_by_side if isinstance(picked, slice) else side_by_side[..., picked]


def _put(array: Any, slots: Any, columns: Any, value: Any) -> None:
    if isinstance(columns, slice):
        array[slots] = value
    else:
        xp = array_module(array)
        array[slots[:, None, None], xp.arange(array.shape[1])[:, None], columns] = value
