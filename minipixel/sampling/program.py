"""A model's clock, schedule and steps, made once and kept as long as the model: what both executors run."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.backend import array_module, to_cpu
from minipixel.clock import Clock, Trace, prove, raster, smallest_slope
from minipixel.clock.schedule import Unit, schedule
from minipixel.clock.trace import Node
from minipixel.ops.local import Whole
from minipixel.tensor import Tensor

MEMORY = 2**28
"""How many bytes the maps of a shard may take while it is drawn, unless a single image takes more."""


def on(xp: Any, picked: Any) -> Any:
    """An index array on the device that an array lives on; a slice as it is."""
    return picked if isinstance(picked, slice) else xp.asarray(picked)


class Program:
    """The schedule of a model that draws its sub-pixels at `times`. Raises CausalityError if the proof fails.

    It depends on the model's graph and not on its weights, so it stays right when these are trained or loaded.
    `moments` is the same schedule, moment by moment: each has the (unit, first, last) that are computed, and then the
    pixels that are drawn, their channel, and the slots of the output with their parameters.
    """

    def __init__(self, trace: Trace, clock: Clock, name: str) -> None:
        prove(clock, name)
        self.trace, self.schedule = trace, schedule(clock)
        self.tables: Any = None  # what the fast executor makes of it, once
        steps, draws = self.schedule.steps, self.schedule.draws
        at = np.arange(self.schedule.moments + 1)
        step_from, draw_from = np.searchsorted(steps[:, 0], at), np.searchsorted(draws[:, 0], at)
        self.moments = [
            (steps[s0:s1, 1:].tolist(), draws[d0:d1, 1], int(draws[d0, 2]), draws[d0:d1, 3])
            for s0, s1, d0, d1 in zip(step_from[:-1], step_from[1:], draw_from[:-1], draw_from[1:], strict=True)
        ]

    def numbers_an_image(self) -> int:
        """How many numbers it stores per image while drawing."""
        return sum(slots * node.K for node, slots in self.schedule.slots.items())

    def most_images(self, dtype: str, wanted: int) -> int:
        """How many images to draw at a time: as many as wanted, or fewer if these would not fit into MEMORY."""
        return int(np.clip(MEMORY // (self.numbers_an_image() * np.dtype(dtype).itemsize), 1, wanted))

    def inputs(self, node: Node) -> list[Any]:
        """The inputs of a node that have no pixels, as the trace has them: Tensors, arrays, numbers, None."""
        kinds = node.local.inputs
        return [source for source, kind in zip(node.tensor.inputs, kinds, strict=True) if isinstance(kind, Whole)]

    def wholes(self, unit: Unit, evaluate: Callable[[Any], Any]) -> list[Any]:
        """Those inputs' values, in the form in which the unit computes, and of each the part that its channels need."""
        kinds = [kind for kind in unit.node.local.inputs if isinstance(kind, Whole)]
        picked = {"in": unit.inputs[0][2], "out": unit.columns, "": slice(None)}
        values = []
        for source, kind in zip(self.inputs(unit.node), kinds, strict=True):
            value = evaluate(source)
            if value is not None:
                value = kind.shaped(value)
                for axis, along in enumerate(kind.axes):
                    if along == "in" or (along == "out" and value.shape[axis] > 1):  # one for all channels stays one
                        value = value[(slice(None),) * axis + (on(array_module(value), picked[along]),)]
            values.append(value)
        return values

    def evaluator(self, model: Any, condition: Any) -> Callable[[Any], Any]:
        """A function to the present values of what no image reaches; see `evaluator`."""
        return evaluator(self.trace, model, condition)


def evaluator(trace: Trace, model: Any, condition: Any) -> Callable[[Any], Any]:
    """A function to the present values of what no image reaches: weights, conditions, and what is made of them."""
    told, xp = model.condition_map(condition), model.xp
    found: dict[int, Any] = {}

    def evaluate(source: Any) -> Any:
        if not isinstance(source, Tensor):
            return _where(source, xp, model.dtype)
        if source is trace.condition:
            return told
        if source.call is None:
            return _where(source.data, xp, model.dtype)
        if id(source) not in found:
            op, static = source.call
            found[id(source)] = op.arrays(*[evaluate(x) for x in source.inputs], **static)[0]
        return found[id(source)]

    return evaluate


def _where(source: Any, xp: Any, dtype: str) -> Any:
    """A constant where the weights are now, and in their dtype. Numbers, and None, are at home anywhere."""
    if not hasattr(source, "shape"):
        return source
    array = to_cpu(source) if xp is np else xp.asarray(source)
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


class _Known:
    """What is known of a model: its trace, the order and the groups that it had then, and the programs made since."""

    def __init__(self, model: Any) -> None:
        self.trace, self.order, self.groups = Trace(model), np.array(model.order), np.array(model.head.groups)
        self.name, self.image_shape = type(model).__name__, model.image_shape
        self.programs: dict[bool, tuple[Program, int | None]] = {}

    def holds(self, model: Any) -> bool:
        """Whether the model is still like that."""
        alike = np.array_equal(self.order, model.order) and np.array_equal(self.groups, model.head.groups)
        return alike and self.trace.holds(model)

    def program(self, wave: bool) -> tuple[Program, int | None]:
        """See `program_of`."""
        if wave not in self.programs:
            in_order = np.array_equal(self.order, raster(self.image_shape))
            slope = smallest_slope(self.trace, self.groups, self.image_shape) if wave and in_order else None
            if wave and slope is None:
                self.programs[wave] = self.program(False)[0], None
            else:
                times = self.order if slope is None else raster(self.image_shape, slope)
                clock = Clock(self.trace, self.groups, times)
                self.programs[wave] = Program(self.trace, clock, self.name), slope
        return self.programs[wave]


_known: weakref.WeakKeyDictionary[Any, _Known] = weakref.WeakKeyDictionary()


def program_of(model: Any, wave: bool) -> tuple[Program, int | None]:
    """The program of a model, in its own order or, `wave`, along slanted lines of the smallest slope, with that slope.

    Where no slope below raster order holds, or the order is another, the second is as the first, and the slope None.
    It is kept, and made anew where the model is not what it was: a layer or a mask was exchanged, or anything else that
    a forward pass has at hand. Raises TraceError and CausalityError.
    """
    known = _known.get(model)
    if known is None or not known.holds(model):
        known = _known[model] = _Known(model)
    return known.program(wave)
