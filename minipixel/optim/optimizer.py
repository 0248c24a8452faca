"""The class Optimizer, the base of all optimisers: `step` changes a model's weights by its gradients.

While they are changed, all weights are one flat array, and so are their gradients and each kind of memory; afterwards
every weight, and every array in `state`, is a view into one of these arrays (see nn/flat.py).
"""

import contextlib
import copy
import inspect
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from minipixel.arena import copied_for_now
from minipixel.backend import array_module, beside, device_of, to_cpu
from minipixel.computing import computing
from minipixel.errors import DeviceError
from minipixel.nn.flat import Layout, distinct
from minipixel.optim.buffers import Buffers
from minipixel.shown import as_made, short
from minipixel.spelling import Spelled, did_you_mean

LearningRate = float | Callable[[int], float]
"""A number, or a schedule: from the number of steps taken before, 0 for the first one, to the rate of a step."""

PIECE = 2**16
"""How many numbers of a flat array are changed at a time, so that they and all intermediate results stay in cache."""


class Optimizer(Spelled):
    """The base class of optimisers, which change a model's weights by their gradients.

    `learning_rate` is a number or a schedule, a function step -> rate in which steps count from 0. With `clip_norm`,
    gradients are scaled down if their norm, over all weights together, is above it (Pascanu, Mikolov and Bengio 2013,
    arXiv:1211.5063, algorithm 1); the model's own `.grad` stay as they are. Constructors raise ValueError for settings
    out of their range.

    A subclass lists in `memories` the names of the arrays that it keeps for each weight between steps; they have the
    weight's shape and start at zero. Its method `change` returns what is added to a weight. It may use `self.rate`, the
    learning rate of this step, and `self.steps`, the number of this step, which counts from 1 as in the papers.

    If `change` treats all numbers alike, wherever they stand in a weight, the class should set `elementwise = True`.
    Then `change` is called with pieces of one flat array of all gradients, which takes fewer calls. Otherwise it is
    called for each weight, in the weight's own shape.
    """

    memories: tuple[str, ...]
    elementwise: ClassVar[bool] = False
    change_on_device: Any = None
    """None, or a method (weight, g, **memories) that adds what `change` returns to flat arrays on a GPU."""
    weight_decay: float = 0.0
    """Before each step every weight that `decays` is multiplied by 1 - rate * weight_decay."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "change" in vars(cls) and "elementwise" not in vars(cls):  # what was said of another `change`
            cls.elementwise = False
        if "change" in vars(cls) and "change_on_device" not in vars(cls):
            cls.change_on_device = None

    def __init__(self, learning_rate: LearningRate, clip_norm: float | None = None) -> None:
        if isinstance(learning_rate, (list, tuple)) or hasattr(learning_rate, "parameters"):
            raise ValueError(
                f"learning_rate: got {short(learning_rate)}, wanted a number, or a schedule; pass the model to "
                "fit(model, ..., optimizer=...) or to step(model)"
            )
        if not callable(learning_rate):
            check_above_0("learning_rate", learning_rate, "0.001, or a schedule, step -> rate")
        if clip_norm is not None:
            check_above_0("clip_norm", clip_norm, "1.0, or None for no clipping")
        self.learning_rate = learning_rate
        self.clip_norm = clip_norm
        self.rate = math.nan
        self.steps = 0
        self.state: dict[str, dict[str, Any]] = {}
        self._model: weakref.ref[Any] | None = None
        self._buffers = Buffers()

    @computing
    def step(self, model: Any, gradients: Mapping[str, Any] | None = None) -> None:
        """Change every weight of the model by its gradient, from its `.grad` or from `gradients`, by dotted name.

        The weights become new arrays; the old arrays, which others may still use, keep their numbers.
        Raises ValueError if a gradient is missing, belongs to no weight, or has another shape than its weight; and for
        another model than in earlier steps, since the optimizer's memories belong to that model.
        """
        self.belongs_to(model)
        named = list(model.named_parameters())
        parameters = distinct(named)
        weights = [parameter.data for parameter in parameters.values()]
        if gradients is None:
            given = [parameter.grad for parameter in parameters.values()]
            hint = "call loss.backward() first"
        else:
            _check_names(gradients, [name for name, _ in named])
            given = [gradients[name] for name in parameters]
            hint = "model.value_and_gradients(images) gives them all"
        for at, (name, g, weight) in enumerate(zip(parameters, given, weights, strict=True)):
            if g is None:
                raise ValueError(f"step: got no gradient for {name}, wanted one; {hint}")
            if getattr(g, "shape", None) != weight.shape:
                got = f"a gradient of shape {g.shape}" if hasattr(g, "shape") else short(g)
                raise ValueError(f"step: got {got} for {name}, wanted an array of shape {weight.shape}")
            if device_of(g) != device_of(weight):
                given[at] = _on_its_device(name, g, weight)
        layout = Layout.of(weights, together=self.elementwise)
        buffers = layout.read(given)
        self.rate = self._scheduled_rate()
        clipped = self._clipped(buffers)
        self.steps += 1
        memories = self._buffers.of(self.state, self.memories, dict(zip(parameters, weights, strict=True)), layout)
        moved = [
            self._moved(weight, g, own)
            for weight, g, own in zip(self._decayed(list(parameters), weights, layout), clipped, memories, strict=True)
        ]
        for parameter, array in zip(parameters.values(), layout.views(moved), strict=True):
            parameter.data = array

    def _decayed(self, names: Sequence[str], weights: Sequence[Any], layout: Layout) -> list[Any]:
        """New buffers of weights, in which those that decay have been multiplied by 1 - rate * weight_decay."""
        buffers = layout.gather(weights)
        if self.weight_decay:
            for name, weight in zip(names, layout.views(buffers), strict=True):
                if self.decays(name):
                    weight *= 1 - self.rate * self.weight_decay
        return buffers

    def decays(self, name: str) -> bool:
        """Whether `weight_decay` applies to the weight of that dotted name."""
        return True

    def _moved(self, weight: Any, g: Any, own: dict[str, Any]) -> Any:
        """A buffer of weights after this step; the buffer itself is changed."""
        flat = self.elementwise and weight.ndim == 1
        if flat and self.change_on_device is not None and array_module(weight) is not np:
            self.change_on_device(weight, g, **own)
            return weight
        if not flat or array_module(weight) is not np:
            return weight + self.change(g, **own)
        for start in range(0, weight.size, PIECE):
            piece = slice(start, start + PIECE)
            weight[piece] += self.change(g[piece], **{kind: array[piece] for kind, array in own.items()})
        return weight

    def belongs_to(self, model: Any) -> None:
        """Bind this optimizer to a model. Raises ValueError if it has taken steps with another model."""
        if self.steps and self._model is not None and self._model() is not model:
            raise ValueError(
                f"optimizer: got a {type(self).__name__} that has taken {self.steps} steps with another model, wanted "
                f"one of its own for each model; make a new {type(self).__name__}"
            )
        self._model = weakref.ref(model)

    @contextlib.contextmanager
    def undone_on_error(self) -> Iterator[None]:
        """Within this block an error leaves the optimizer as it was before the block."""
        steps, rate, buffers = self.steps, self.rate, copy.copy(self._buffers)
        state = {name: dict(own) for name, own in self.state.items()}
        contents = [
            (array, copied_for_now(array) if array_module(array) is np else array.copy()) for array in buffers.arrays()
        ]
        try:
            yield
        except BaseException:
            for array, content in contents:
                array[...] = content
            self.steps, self.rate, self.state, self._buffers = steps, rate, state, buffers
            raise

    def __getstate__(self) -> dict[str, Any]:
        """The state for copies. A copy may continue with a copy of the model, and has arrays of its own."""
        return {**vars(self), "_model": None, "_buffers": Buffers()}

    def change(self, g: Any, **memories: Any) -> Any:
        """What is added to a weight, computed from its gradient and its memories, which are updated in place.

        If the class is `elementwise`, all of these are pieces of flat arrays, of one size.
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The class and the arguments of its constructor as plain values; of a schedule there is only the word."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {"kind": type(self).__name__, **{name: _plain(getattr(self, name, None)) for name in names}}

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything that changes from step to step: numbers, and host arrays named MEMORY/WEIGHT."""
        rate = {} if callable(self.learning_rate) else {"learning_rate": float(self.learning_rate)}
        arrays = {
            f"{kind}/{name}": np.array(to_cpu(array))
            for name, memories in self.state.items()
            for kind, array in memories.items()
        }
        return {"steps": self.steps, "rate": self.rate, **rate, **arrays}

    def load_state_dict(self, state: Mapping[str, Any], model: Any) -> None:
        """Restore what `state_dict` returned, in the same kind of optimizer for the same model.

        Raises ValueError, with nothing changed, if an array is missing or has another shape than its weight.
        """
        steps, rate = int(state["steps"]), state.get("learning_rate", self.learning_rate)
        for name, number in (("rate", state["rate"]), ("learning_rate", 0 if callable(rate) else rate)):
            if not (0 <= _number(number) < math.inf or (name == "rate" and not steps)):  # NaN before a first step
                raise ValueError(f"state: got {number!r:.40} for {name}, wanted a number of at least 0")
        memories: dict[str, dict[str, Any]] = {}
        trained = {name: parameter.data for name, parameter in distinct(model.named_parameters()).items()}
        frozen = {name: weight for name, weight in model.named_arrays() if name not in trained}
        for name, weight in (trained | frozen).items() if steps else ():
            given = {kind: state.get(f"{kind}/{name}") for kind in self.memories}
            if name in frozen and all(array is None for array in given.values()):
                continue  # it never was trained
            memories[name] = {}
            for kind, array in given.items():
                if getattr(array, "shape", None) != weight.shape:
                    got = "none" if array is None else f"one of shape {array.shape}"
                    raise ValueError(f"state: got {got} for {kind}/{name}, wanted an array of shape {weight.shape}")
                memories[name][kind] = array_module(weight).array(array, dtype=weight.dtype)
        self.steps, self.rate, self.learning_rate, self.state = steps, float(state["rate"]), rate, memories
        self._model = weakref.ref(model)

    def __repr__(self) -> str:
        return as_made(self, "learning_rate") + (
            f" after {self.steps:,} step{'s' * (self.steps != 1)}" if self.steps else ""
        )

    def _scheduled_rate(self) -> float:
        """The learning rate of the next step as a plain number, which changes no weight's dtype."""
        rate = self.learning_rate(self.steps) if callable(self.learning_rate) else self.learning_rate
        if not 0 <= _number(rate) < math.inf:
            raise ValueError(f"learning_rate: got {short(rate)} for step {self.steps}, wanted a number of at least 0")
        return float(rate)

    def _clipped(self, gradients: Sequence[Any]) -> Sequence[Any]:
        """Buffers of gradients, scaled down if their norm is above `clip_norm`."""
        if self.clip_norm is None:
            return gradients
        squares = sum((g.astype("float64") ** 2).sum() for g in gradients)  # in float32 a square may overflow
        xp = array_module(squares)
        norm = xp.sqrt(squares)
        if xp is np and norm <= self.clip_norm:
            return gradients
        # on a GPU nobody looks at the norm here, since the host would have to wait for it
        scale = xp.minimum(1.0, self.clip_norm / xp.maximum(norm, np.finfo(np.float64).tiny))
        return [g * scale.astype(g.dtype) for g in gradients]


def _on_its_device(name: str, g: Any, weight: Any) -> Any:
    """A gradient on the host moved to the GPU, where its weight is; DeviceError for the reverse, which is a mistake."""
    if device_of(g) == "cuda":
        raise DeviceError(
            f"step: got a gradient on the GPU for {name}, which is on the host, wanted both on one device; "
            "model.to('cuda') moves the weights"
        )
    return beside(g, weight)


def _check_names(gradients: Any, names: list[str]) -> None:
    """Raise ValueError unless they are a mapping with all of these names, and no others."""
    if not isinstance(gradients, Mapping):
        raise ValueError(
            f"gradients: got {short(gradients)}, wanted a dict by the names of weights, such as the second of what "
            "model.value_and_gradients(images) returns"
        )
    missing = next((name for name in names if name not in gradients), None)
    if missing is not None:
        raise ValueError(
            f"gradients: got {len(gradients)} without {missing}, wanted those of all {len(names)} weights that are "
            "trained; model.value_and_gradients(images) gives them"
        )
    if len(gradients) > len(set(names)):
        unknown = next(name for name in gradients if name not in names)
        raise ValueError(
            f"gradients: got one for {short(unknown)}, wanted only those of the {len(names)} weights that are trained"
            f"{did_you_mean(unknown, names)}"
        )


def _plain(setting: Any) -> Any:
    """A setting as JSON can hold it."""
    if callable(setting):
        return "a schedule"
    if isinstance(setting, (bool, str)) or setting is None:
        return setting
    return float(setting) if isinstance(setting, Real) else repr(setting)


def _number(value: Any) -> float:
    """A number as a float; infinity for a whole number beyond all floats, NaN for what is no number."""
    try:
        return float(value) if isinstance(value, Real) else math.nan
    except OverflowError:
        return math.inf


def check_above_0(name: str, value: Any, such_as: str) -> None:
    """ValueError unless the setting is a finite number above 0."""
    if not 0 < _number(value) < math.inf:
        raise ValueError(f"{name}: got {short(value)}, wanted a number above 0, such as {such_as}")


def check_from_0(name: str, value: Any, such_as: str) -> float:
    """`value` as a float, if it is a finite number of at least 0; else ValueError."""
    if not 0 <= _number(value) < math.inf:
        raise ValueError(f"{name}: got {short(value)}, wanted a number of at least 0, such as {such_as}")
    return float(value)


def check_fraction(name: str, value: Any) -> None:
    """ValueError unless the setting is a number in [0, 1)."""
    if not 0 <= _number(value) < 1:
        raise ValueError(f"{name}: got {short(value)}, wanted a number in [0, 1)")
