"""The tables of a model, which are built when first needed, stored with the model, and built again when it changes."""

import dataclasses
import threading
import weakref
from typing import Any

import numpy as np

from minipixel import console, kernels
from minipixel.backend import array_module, to_cpu
from minipixel.clock.trace import Trace
from minipixel.computing import computing
from minipixel.draws import Draws
from minipixel.errors import TraceError
from minipixel.nn.weight_norm import fitting
from minipixel.ops.local import Look
from minipixel.plan.executor import modes
from minipixel.plan.packed import Ready
from minipixel.plan.table import Table
from minipixel.plan.unchanged import Parts
from minipixel.plan.weights import UnplannedError
from minipixel.tensor import no_grad, observer

STEP = 2**14
"""About how many numbers a step of a map should have, all images together: several rows of pixels, where one is short.

Products of few rows take longer; so do those of many, in wide models, whose weights then leave the nearest cache.
"""

VERY_WIDE, STEP_OF_VERY_WIDE = 320, 2**17
"""A model of so many features takes longer steps: a layer's weights fill the second cache, and are read anew per step.

A step of training of PixelCNN++ with 160 filters, which has 320 features, is 1.16 times as fast; of narrower models it
is as fast as before (benchmarks/against.py, medians of 7 pairs).
"""

_lock = threading.RLock()
_known: weakref.WeakKeyDictionary[Any, "_Known"] = weakref.WeakKeyDictionary()
_said: set[str] = set()


class _Known:
    """What is stored of a model: how it was built, its traces, in training and otherwise, and its tables."""

    def __init__(self, model: Any) -> None:
        self.traces: dict[bool, Trace] = {}
        self.tables: dict[Any, Table] = {}
        self.refusal: Exception | None = None
        self.parts = Parts(model, copies=True)

    def trace(self, model: Any, dropping: bool) -> Trace:
        """The graph of a pass; the library's own models differ in training by dropout alone."""
        other = self.traces.get(not dropping)
        if not dropping and other is not None and not self.parts.own and not _drops(other):
            self.traces[dropping] = other
        if dropping not in self.traces:
            self.traces[dropping] = _without_channels(Trace(model, dropping, with_condition=True))
            self.parts = Parts(model, copies=True)  # once more: layers keep the masks that a pass has asked for
        return self.traces[dropping]

    def holds(self, model: Any) -> bool:
        """Whether the model has not changed."""
        parts = Parts(model)
        return parts.same(self.parts) and (not parts.own or all(t.holds(model) for t in self.traces.values()))

    def table(self, model: Any, together: int, back: bool, dropping: bool) -> Table:
        """One of its tables. Raises UnplannedError and TraceError."""
        trace = self.trace(model, dropping)
        whole = modes.whole or model.xp is not np
        key = together, back, id(trace), whole
        if key not in self.tables:
            table = Table(trace, together, back, whole)
            if self.parts.own:
                _assert_as_written(model, trace, table, dropping)
            self.tables[key] = table
        return self.tables[key]


def table_of(model: Any, N: int, *, back: bool = True, dropping: bool = False) -> Table:
    """A model's table for passes of about N images; `dropping`: in training, with dropout.

    Raises UnplannedError where there is no opcode for what it does, and TraceError where it cannot be traced.
    """
    return _trace_and_table(model, N, back, dropping)[1]


@computing
def _trace_and_table(model: Any, N: int, back: bool, dropping: bool) -> tuple[Trace, Table]:
    features = max(1, int(getattr(model, "features", 64)))
    step = STEP if features < VERY_WIDE else STEP_OF_VERY_WIDE
    together = 2 ** max(0, (step // (N * features)).bit_length() - 1)
    if model.xp is not np:
        together = 2**30  # a GPU takes a whole map at a time, of any number of images
    with _lock:
        known = _known.get(model)
        if known is None or not known.holds(model):
            known = _known[model] = _Known(model)
        if known.refusal is not None:
            raise known.refusal
        try:
            return known.trace(model, dropping), known.table(model, together, back, dropping)
        except (UnplannedError, TraceError) as refusal:
            known.refusal = refusal  # said and known: it is not tried again until the model changes
            raise


def _assert_as_written(model: Any, trace: Trace, table: Table, dropping: bool) -> None:
    """Raise TraceError unless a table computes the same as a user's code, which may behave differently when traced."""
    rng, conditions = np.random.default_rng(0), getattr(model, "conditions", None)
    x = model.as_numbers(model._pixels_first(rng.integers(model.levels, size=(2, *model.image_shape))))
    told = None if conditions is None else model.condition_map(conditions.random(2, rng))
    draws = Draws((0, 0)) if dropping else None
    with no_grad(), np.errstate(all="ignore"):
        planned = to_cpu(_ready(trace, table, model).on_tape(x, told, draws).data)
        with kernels.as_written():
            written = to_cpu(model.maps(x, told, Draws((0, 0)) if dropping else None).data)
    precision = 1e-3 if written.dtype == np.float32 else 1e-6
    largest = np.abs(written[np.isfinite(written)]).max(initial=0)
    if not np.allclose(planned, written, precision, precision * largest, equal_nan=True):
        raise TraceError("clock: got another output from the traced model than from the model itself, wanted the same")


def _drops(trace: Trace) -> bool:
    """Whether there is dropout in a pass in training."""
    return any(node.local is not None and node.local.kind == "dropout" for node in trace.nodes)


def _without_channels(trace: Trace) -> Trace:
    """Drop which channel reads which: in a wide model this takes as much memory as the weights, and is not used."""
    nothing = np.empty((0, 0), bool)
    for node in trace.nodes:
        if node.local is not None:
            node.reads = [(source, Look(look.index, nothing)) for source, look in node.reads]
            inputs = tuple(Look(nothing, nothing) if isinstance(x, Look) else x for x in node.local.inputs)
            node.local = dataclasses.replace(node.local, inputs=inputs)
    return trace


def ready(model: Any, N: int, *, back: bool, rng: Any = None) -> Ready | None:
    """The planned model for passes of about N images, or None if it runs as it is written.

    It runs as it is written without Numba (unless it is on a GPU), while a first batch sets scales, while ops are
    observed, and if it does something that a plan cannot do; the latter gives one warning.
    """
    if not suits(model) or (rng is not None and not isinstance(rng, Draws)):
        return None
    try:
        trace, table = _trace_and_table(model, N, back, rng is not None)
    except (UnplannedError, TraceError) as refusal:
        _say(model, refusal)
        return None
    return _ready(trace, table, model)


def _ready(trace: Trace, table: Table, model: Any) -> Ready:
    """The model ready for passes where its weights are."""
    if model.xp is np:
        return Ready(trace, table, model.dtype)
    from minipixel.plan.cuda import DeviceReady

    return DeviceReady(trace, table, model.dtype, model.xp)


def suits(model: Any) -> bool:
    """Whether a model may be run by a plan at all, here and now."""
    if (
        observer() is not None
        or fitting()
        or kernels.runs_as_written()
        or not (kernels.numba_enabled() or modes.interpreted or model.xp is not np)
    ):
        return False
    weights = [parameter.data for parameter in model.parameters()]
    return all(array_module(array) is model.xp and array.dtype == model.dtype for array in weights)


def _say(model: Any, refusal: Exception) -> None:
    why = f"has no opcode for {refusal}" if isinstance(refusal, UnplannedError) else f"cannot be made; {refusal}"
    line = f"{type(model).__name__}: runs as it is written, slower, since its plan {why}"
    if line not in _said:
        _said.add(line)
        console.warn(line, RuntimeWarning, stacklevel=console.callers())
