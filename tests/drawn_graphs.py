"""Models of one's own, put together at random from ops and layers, by a small machine.

A program is a list of instructions (name, a, b, n): `name` a row of INSTRUCTIONS, `a` and `b` its operands, counted
back from the value that was made last among those that suit, `n` all its other choices, one digit each. Every list of
such numbers is a program, so Hypothesis may shorten and lower it as it likes: a 0 is the value just made, and the
plainest choice. What an instruction cannot do (there is no value that suits) it leaves.

The last value becomes the parameters of the head: it is brought back to the size of the image, the other way round of
how it left that size, and goes through one more layer. Values that never lead there stay behind, read by nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from drawn_layers import INSTRUCTIONS
from hypothesis import strategies as st

import minipixel as mp
from minipixel import ops
from minipixel.tensor import Tensor


@dataclass(frozen=True)
class Value:
    """What is known of a value beforehand.

    `size` (H, W), or None of what is the same at all pixels; K channels; `bound`, about how large its numbers get;
    `images`: whether there is one for each image; `moves`: how its size came about, the last move last; `private`: it
    was made for one reader, and no other finds it.
    """

    size: tuple[int, int] | None
    K: int
    bound: float = 1.0
    images: bool = True
    moves: tuple[tuple[str, int, tuple[int, int]], ...] = ()
    private: bool = False


@dataclass(frozen=True)
class Step:
    """One line of a forward pass: an op or a layer, by name, its inputs by number, and its weights by name."""

    call: str
    inputs: tuple[int, ...]
    weights: tuple[str | None, ...] = ()
    static: dict[str, Any] = field(default_factory=dict)
    pick: int | None = None

    def run(self, model, values, condition, rng):
        given = {"condition": condition, "rng": rng, None: None}
        weights = [given[name] if name in given else getattr(model, name) for name in self.weights]
        inputs = [values[number] for number in self.inputs]
        call = OWN.get(self.call) or getattr(ops, self.call, None) or getattr(model, self.call)
        y = call(*inputs, *weights, **self.static)
        return y if self.pick is None else y[self.pick]

    def __str__(self):
        arguments = [f"v{number}" for number in self.inputs] + [str(name) for name in self.weights]
        arguments += [f"{name}={shown(value)}" for name, value in self.static.items()]
        return f"{self.call}({', '.join(arguments)})" + ("" if self.pick is None else f"[{self.pick}]")


def shown(value):
    return f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else repr(value)


@mp.op(local=ops.local.pointwise(ops.local.each))
def cube(x):
    """An op of somebody's own, which says what it reads."""
    return x * x * x, lambda g: (3 * g * x * x,)


@mp.op
def silent(x):
    """An op of somebody's own, which does not."""
    return x * 0.5, lambda g: (0.5 * g,)


def detach(x):
    """The numbers without the way back."""
    return Tensor(x.data) if isinstance(x, Tensor) else x


OWN: dict[str, Callable[..., Any]] = {"cube": cube, "silent": silent, "detach": detach}


class OwnModel(mp.models.Model):
    """A model whose forward pass is a list of steps."""

    name = "own"

    def __init__(self, image_shape, levels, program, **options):
        super().__init__(image_shape, levels, {}, **options)
        self.features = 8
        self.steps = Builder(self).built(program)

    def forward(self, x, condition=None, rng=None):
        values = [x] if condition is None else [x, condition]
        for step in self.steps:
            values.append(step.run(self, values, condition, rng))
        return values[-1]

    def lines(self):
        """The forward pass, as text."""
        first = 2 if self.conditions.width else 1
        return [f"v0 = {self.image_shape}", "v1 = condition"][:first] + [
            f"v{number} = {step}" for number, step in enumerate(self.steps, first)
        ]


class Builder:
    """Turns a program into steps, and gives the model the weights and layers that these name."""

    def __init__(self, model):
        self.model, self.steps, self.shapes = model, [], {}
        H, W, _ = model.image_shape
        self.values = [Value((H, W), len(model.encoding.groups))]
        conditions = model.conditions
        if conditions.width:
            is_map = conditions.shape is not None and len(conditions.shape) == 3
            self.values.append(Value((H, W) if is_map else None, conditions.width, 2.0))

    def built(self, program):
        for name, a, b, n in program:
            self.digits = n
            INSTRUCTIONS[name](self, a, b)
        self.finish()
        return self.steps

    # --- choices ----------------------------------------------------------------------------------------------------

    def choose(self, *options):
        """One of some options, by the next digit of the instruction."""
        self.digits, digit = divmod(self.digits, len(options))
        return options[digit]

    def pick(self, back, suits=lambda value: value.size is not None):
        """The number of a value that suits, counted back from the last; None if there is none."""
        suiting = [number for number, value in enumerate(self.values) if not value.private and suits(value)]
        return suiting[-1 - back % len(suiting)] if suiting else None

    # --- what an instruction makes ----------------------------------------------------------------------------------

    def emit(self, call, inputs, weights=(), static=None, pick=None, **known):
        """A step, and the number of its value, which is like its first input but for what is `known`."""
        self.steps.append(Step(call, tuple(inputs), tuple(weights), static or {}, pick))
        self.values.append(replace(self.values[inputs[0]], **known) if inputs else Value(**known))
        return len(self.values) - 1

    def weight(self, *shape, fan_in=None):
        """The name of a weight of that shape: a new one, or one that is there already."""
        if shape in self.shapes and self.choose(False, False, True):
            return self.shapes[shape]
        name = self.attribute("w", self.model.init.weight(*shape, fan_in=fan_in))
        self.shapes[shape] = name
        return name

    def attribute(self, letter, value):
        """The name under which the model keeps a weight, a layer or an array."""
        name = f"{letter}{len(vars(self.model))}"
        setattr(self.model, name, value)
        return name

    def calm(self, a, limit=3.0):
        """A value, divided by a number if it may be large: nothing grows beyond what can be compared."""
        bound = self.values[a].bound
        if bound <= limit:
            return a
        return self.emit("multiply", [a], [self.attribute("c", float(limit / bound))], bound=limit)

    def linear(self, a, K):
        value = self.values[a]
        weights = [self.weight(value.K, K), self.weight(K)]
        return self.emit("linear", [a], weights, K=K, bound=1.5 * value.bound + 1)

    def finish(self):
        self.digits = 0
        a = self.pick(0)
        while self.values[a].moves:
            move, _, _ = self.values[a].moves[-1]
            a = UNDO[move](self, a)
        if not self.values[a].images:
            images = self.linear(0, self.values[a].K)
            a = self.emit("add", [images, a])
        self.linear(self.calm(a, 5.0), len(self.model.head.groups))


def undo_stride(build, a):
    *moves, (_, s, size) = build.values[a].moves
    value, a = build.values[a], build.calm(a)
    weights = [build.weight(2, 2, value.K, value.K, fan_in=value.K), None]
    static = {"size": size, "stride": s, "centre": (0, 0)}
    return build.emit("transposed_conv2d", [a], weights, static, size=size, moves=tuple(moves), bound=4.0)


def undo(call):
    def step(build, a):
        *moves, (_, s, size) = build.values[a].moves
        static = {"stride": s} if call == "subsample" else {}
        return build.emit(call, [a], static=static, size=size, moves=tuple(moves))

    return step


UNDO = {
    **{"stride": undo_stride, "enlarge": undo("subsample"), "skew": undo("unskew"), "unskew": undo("skew")},
    **{"add_column": undo("drop_column"), "drop_column": undo("add_column")},
}


@dataclass(frozen=True)
class Graph:
    """A model of one's own: its images, its program, the options that every model has."""

    shape: tuple[int, int, int]
    levels: int
    program: tuple[tuple[str, int, int, int], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def build(self, dtype):
        return OwnModel(self.shape, self.levels, self.program, dtype=dtype, **self.options)


def programs(longest=14):
    """Programs, the plainest instructions first."""
    names = st.sampled_from(list(INSTRUCTIONS))
    latest = st.sampled_from([0, 0, 0, 0, 1, 2, 6])  # mostly a chain, so that most of it leads to the end
    instruction = st.tuples(names, latest, st.integers(0, 5), st.integers(0, 2**20))
    return st.lists(instruction, max_size=longest).map(tuple)
