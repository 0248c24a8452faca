"""A forward pass as a list of ops, and the comparison of two passes.

A pass runs on sealed arrays (see sealed.py): only ops can read what depends on the image, the condition or the weights.
Ops under `no_grad`, and ops on `.data`, are on the list like all others, because the clock is about what is read, and
not about gradients. Everything else is a constant of the model: positions, masks, numbers. That these are the same in
every pass is checked by comparing two passes, the second on other images and conditions, and on more of them.

The second pass needs no arithmetic, since nobody can see its numbers, and their shapes are known from the first one. It
takes only as long as calling the ops, so a model is also compared with its trace before each draw.

Two things are not checked. Ops are trusted: in what their `local` says, and in that they are not random. And an array
that was computed from the weights before the pass, outside of it, counts as a constant with its present numbers. A
proof holds for any weights, but only for this array as it is. A draw uses the present constants, since it compares
them again.
"""

from collections import Counter
from dataclasses import dataclass
from sys import getrefcount
from typing import Any, NoReturn

import numpy as np

from minipixel import kernels
from minipixel.clock.fingerprint import fingerprint, of_one
from minipixel.clock.sealed import Sealed
from minipixel.clock.twins import twin_of
from minipixel.draws import Draws, Kept, TracedDraws
from minipixel.errors import TraceError
from minipixel.ops.pointwise import dropout
from minipixel.tensor import Tensor, no_grad, observed, recording


@dataclass(eq=False)
class Value:
    """A Tensor of a pass: the image, the condition, a weight, or the result of an op; `sealed` is its array.

    `key` identifies it in every pass: ("step", 3) is the result of the fourth op. `array` has the numbers, in the first
    pass. `layer` is the dotted path of the layer whose weights it uses, or which it follows; `weighted` says whether it
    uses weights of that layer, `batched` whether it has an axis of images.
    """

    tensor: Tensor
    key: tuple[Any, ...]
    sealed: Sealed
    array: Any
    name: str
    layer: str = ""
    weighted: bool = False
    batched: bool = False


@dataclass(eq=False)
class Step:
    """An op of a pass with its inputs, each as the key of a Value or as the fingerprint of a constant."""

    op: Any
    inputs: tuple[Any, ...]
    static: Any
    made: Value


class DifferenceError(TraceError):
    """A pass differs from the one that it is compared with; the message says in what, and where."""


class Pass:
    """A forward pass of a model on N random images, drawn from the seed `image`, under conditions from another seed.

    It runs on a `twin` of the model, which keeps what the pass changes. `steps` are its ops, `values` has each Value by
    the identity of its Tensor; `output` is the last Value, or None if the output is a constant. If it is compared with
    an earlier pass, `like`, nothing is computed. With `dropping`, or if `like` has it, it is a pass in training, which
    gets TracedDraws. Raises TraceError if a number is taken out of the graph, and DifferenceError if the two passes
    differ.
    """

    def __init__(
        self,
        model: Any,
        like: "Pass | None" = None,
        *,
        image: int = 0,
        condition: int = 0,
        other_weights: bool = False,
        N: int = 1,
        dropping: bool = False,
    ) -> None:
        self.like, self.N, self.xp = like, N, model.xp
        self.dropping: bool = dropping if like is None else like.dropping
        self.draws = TracedDraws(self._draw, self._look) if self.dropping else None
        self._may_look = False
        self.steps: list[Step] = []
        self.values: dict[int, Value] = {}
        self.refusal: TraceError | None = None
        self.cut_off = ""  # the first op that was called within no_grad, or on the data of a Tensor: no way back
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.twin = twin = twin_of(model, other_weights)
        levels = np.random.default_rng(image).integers(model.levels, size=(N, *model.image_shape))
        x = twin.as_numbers(twin._pixels_first(levels))
        conditions = getattr(twin, "conditions", None)
        told = (
            None if conditions is None else twin.condition_map(conditions.random(N, np.random.default_rng(condition)))
        )
        self.image = self._leaf("image", x)
        self.condition = None if told is None else self._leaf("condition", told)
        try:
            with kernels.as_written(), observed(self), no_grad(paused=False), np.errstate(all="ignore"):
                output = self._source(twin.maps(self.image, self.condition, *self._rng(self.draws)))
        except TraceError:
            raise
        except Exception as error:
            if self.refusal is None:
                self._run_unobserved(model, x, told)  # whose mistake is it? Raises if it is the model's
                self._refuse(f"{type(error).__name__} ({error}) from a traced pass alone, {self._so_far()}", READING)
            raise self.refusal from error
        if self.refusal is not None:
            raise self.refusal  # the model caught it, and went on
        self._may_look = True
        self.output = output if isinstance(output, Value) else None
        if like is not None:
            self._compare_ends(like)

    def forget(self) -> None:
        """Drop the numbers and the model, since a trace is stored as long as its model exists."""
        self.twin = None
        for value in self.values.values():
            value.array = None

    def kept(self) -> str | None:
        """The name of the first value that something still refers to after the pass, such as a hook on a layer."""
        inside = Counter(id(x) for value in self.values.values() for x in value.tensor.inputs)
        for value in (step.made for step in self.steps):
            # what refers to a tensor: its Value, its array, later inputs, this call; to its array: two and this call
            if getrefcount(value.tensor) > 3 + inside[id(value.tensor)] or getrefcount(value.sealed) > 3:
                return value.name
        return None

    # --- what an observed pass asks for: see tensor.observed ----------------------------------------------------------

    def op(self, lifted: Any, inputs: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """The result of an op, sealed if one of its inputs is."""
        sources = [self._source(x) for x in inputs]
        if not recording() or any(_cut_off(x) for x in inputs):
            self.cut_off = self.cut_off or lifted.__name__
        if not any(isinstance(source, Value) for source in sources):
            with observed(None):
                return lifted(*inputs, **static)
        made = self._step(lifted, sources, static)
        return made.tensor if any(isinstance(x, Tensor) for x in inputs) else made.sealed

    def data_of(self, parameter: Tensor, array: Any) -> Sealed:
        """The sealed array of a weight."""
        if id(parameter) not in self.values:
            path = self.names.get(id(parameter), "")
            sealed = self._seal(parameter, array.shape, array.dtype)
            name, layer = f"the weight {path}".rstrip(), path.rpartition(".")[0] or path
            self.values[id(parameter)] = Value(
                parameter, ("weight", id(parameter), array.shape), sealed, array, name, layer
            )
        return self.values[id(parameter)].sealed

    def written(self, parameter: Tensor) -> NoReturn:
        """Refuse, since weights are never written by a forward pass."""
        self.data_of(parameter, np.zeros(0))
        self._refuse(f"a forward pass that writes {self.values[id(parameter)].name}", "keep what changes in an array")

    # --- one op ---------------------------------------------------------------------------------------------------

    def _leaf(self, kind: str, array: Any) -> Tensor:
        """The image or the condition as a sealed Tensor."""
        tensor = Tensor(None)
        tensor.data = self._seal(tensor, array.shape, array.dtype)
        key = kind, *array.shape[:2], *array.shape[3:]
        self.values[id(tensor)] = Value(tensor, key, tensor.data, array, f"the {kind}", batched=True)
        return tensor

    def _seal(self, tensor: Tensor, shape: Any, dtype: Any) -> Sealed:
        return Sealed(tensor, shape, dtype, self.xp, self._read)

    def _source(self, x: Any) -> Any:
        """The Value of an input, which may be a Tensor or a Tensor's array; a constant as it is."""
        data = x.data if isinstance(x, Tensor) else x
        if not isinstance(data, Sealed):
            return data
        if id(data.tensor) not in self.values or self.values[id(data.tensor)].sealed is not data:
            self._refuse(f"what was kept of an earlier pass, {self._so_far()}", "compute it anew in each pass")
        return self.values[id(data.tensor)]

    def _step(self, lifted: Any, sources: list[Any], static: dict[str, Any]) -> Value:
        """Add an op on at least one Value to the list, and return its result."""
        values = [source for source in sources if isinstance(source, Value)]
        own = [value.layer for value in values if value.key[0] != "step"]
        layer = next((layer for layer in (*own, *[value.layer for value in reversed(values)]) if layer), "")
        weighted = any(own)
        name = f"{layer} ({lifted.__name__})" if weighted else f"{lifted.__name__} after {layer or 'the image'}"
        inputs = [s.key if isinstance(s, Value) else self._fingerprint(of_one(s), name) for s in sources]
        given = self._fingerprint(static, name)
        if any(isinstance(part, Kept) and part.draws is not self.draws for part in static.values()):
            self._refuse(f"what rng.keep drew in an earlier pass, given to {name}", "draw it anew in each pass")
        batched = any(value.batched for value in values)
        if self.like is None:
            self._may_look = lifted is dropout
            with observed(None), no_grad():
                array = lifted(*[_with_numbers(source) for source in sources], **static).data
            self._may_look = False
            shape, dtype = array.shape, array.dtype
            if type(array) is np.ndarray:  # nobody reads it but for its shape: one zero stands for all of them
                array = np.broadcast_to(np.zeros((), dtype), shape)
        else:
            step, array = self._compare(self.like, lifted, name, inputs, given), None
            shape, dtype = step.made.sealed.shape, step.made.sealed.dtype
            if batched and len(shape) == 4 and shape[2] == 1:
                shape = (*shape[:2], self.N, shape[3])
        tensor = Tensor(None, tuple(s.tensor if isinstance(s, Value) else s for s in sources), _traced, lifted.__name__)
        tensor.data, tensor.call = self._seal(tensor, shape, dtype), (lifted, static)
        made = Value(tensor, ("step", len(self.steps)), tensor.data, array, name, layer, weighted, batched)
        self.values[id(tensor)] = made
        self.steps.append(Step(lifted, tuple(inputs), given, made))
        return made

    # --- two passes ---------------------------------------------------------------------------------------------------

    def _compare(self, like: "Pass", lifted: Any, name: str, inputs: list[Any], static: Any) -> Step:
        """The step of the other pass that equals this one. Raises DifferenceError if there is none."""
        if len(self.steps) == len(like.steps):
            self._differ(f"{name}, which another pass has not")
        step = like.steps[len(self.steps)]
        if step.op is not lifted or len(step.inputs) != len(inputs):
            self._differ(f"{name}, where another pass has {step.made.name}")
        for i, (here, there) in enumerate(zip(inputs, step.inputs, strict=True)):
            if here != there:
                self._differ(f"input {i} of {name}, which is another one in another pass")
        for keyword in static:
            if static[keyword] != step.static.get(keyword):
                self._differ(f"{keyword}= of {name}, which is another one in another pass")
        return step

    def _compare_ends(self, like: "Pass") -> None:
        if len(self.steps) < len(like.steps):
            self._differ(f"no {like.steps[len(self.steps)].made.name}, which another pass has")
        here, there = self.output, like.output
        if (here and here.key) != (there and there.key):
            names = [value.name if value else "a constant" for value in (here, there)]
            self._differ(f"{names[0]} as the output, where another pass has {names[1]}")

    def _fingerprint(self, given: Any, name: str) -> Any:
        """The fingerprint of an input or argument of the op of that name."""

        def refuse(tensor: Tensor) -> NoReturn:
            self._refuse(f"{self.values[id(tensor)].name} as a keyword or in a list, given to {name}", READING)

        return fingerprint(given, refuse)

    # --- refusing -----------------------------------------------------------------------------------------------------

    def _run_unobserved(self, model: Any, x: Any, told: Any) -> None:
        """Run the pass as `predict` does, on plain arrays."""
        with no_grad():
            twin_of(model).maps(x, told, *self._rng(Draws((0, 0))))

    def _rng(self, rng: Any) -> tuple[Any, ...]:
        """The third argument of the forward pass, if it gets one."""
        return (rng,) if self.dropping else ()

    def _so_far(self) -> str:
        return f"after {self.steps[-1].made.name}" if self.steps else "before its first op"

    def _read(self, what: str, tensor: Tensor) -> NoReturn:
        """Refuse, since something asks for the numbers of a Tensor."""
        name = self.values[id(tensor)].name if id(tensor) in self.values else "what was kept of an earlier pass"
        self._refuse(f"{what} of {name} in forward", READING)

    def _draw(self, name: str) -> NoReturn:
        """Refuse, since something asks for random numbers other than those of dropout."""
        self._refuse(f"rng.{name}, drawn from rng directly, {self._so_far()}", KEEPING)

    def _look(self) -> None:
        """Refuse, during the pass, if anything but the op itself asks what dropout keeps."""
        if not self._may_look:
            self._refuse(f"what rng.keep drew read in forward, {self._so_far()}", KEEPING)

    def _refuse(self, got: str, way_out: str) -> NoReturn:
        self.refusal = TraceError(f"clock: got {got}, wanted all that a pass reads on the tape; {way_out}")
        raise self.refusal

    def _differ(self, got: str) -> NoReturn:
        self.refusal = DifferenceError(got)
        raise self.refusal


KEEPING = "use nn.Dropout, or ops.dropout(x, keep=rng.keep(rate, x.shape), rate=rate)"
READING = "use ops (mp.ops, or an @op of your own), or method='naive'"


def _cut_off(x: Any) -> bool:
    """Whether an input is the data of a Tensor, or another Tensor made from it."""
    data = x.data if isinstance(x, Tensor) else x
    return isinstance(data, Sealed) and data.tensor is not x


def _with_numbers(source: Any) -> Any:
    """An input of an op as in any other pass; weights stay Parameters, since they decide the dtype."""
    if not isinstance(source, Value):
        return source
    return source.tensor if source.key[0] == "weight" else Tensor(source.array)


def _traced(gradient: Any) -> NoReturn:
    raise ValueError("backward: this graph was traced by the clock; run the forward pass again")
