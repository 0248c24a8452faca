"""What a model reads of a level: the first line of every pass."""

from typing import Any

import numpy as np

from minipixel import ops
from minipixel.nn.init import Init
from minipixel.nn.module import Module
from minipixel.shown import short
from minipixel.spelling import did_you_mean
from minipixel.tensor import Tensor

INPUTS = ("scaled", "one_hot", "embedding")
MOST_ONE_HOT = 4096
"""Up to how many levels may be read as one-hot: each of them has its own weights in every tap of a first kernel."""


def check_inputs(inputs: Any, levels: int) -> str:
    """`inputs`, if it is one of INPUTS that so many levels can be read as; else ValueError."""
    if not isinstance(inputs, str) or inputs not in INPUTS:
        wanted = ", ".join(map(repr, INPUTS))
        raise ValueError(f"inputs: got {short(inputs)}, wanted one of {wanted}{did_you_mean(inputs, INPUTS)}")
    if inputs == "one_hot" and levels > MOST_ONE_HOT:
        raise ValueError(f"inputs: got 'one_hot' for {levels} levels, wanted {MOST_ONE_HOT} at most; use 'embedding'")
    return inputs


class Encoding(Module):
    """From the levels of C channels to the numbers that the first layer reads, E for each channel.

    `kind` "scaled": the level as a number in [-1, 1], E = 1, for brightness: near levels mean nearly the same.
    "one_hot": a 1 in the place of the level, of E = Q places; "embedding": E = `width` numbers that are learned for
    each level. These two are for codes, which are names: no two of them are nearer than others.
    `groups` (C*E,) says which channel each number tells of.
    """

    def __init__(self, kind: str, C: int, Q: int, width: int, init: Init) -> None:
        self.kind, self.C, self.Q = kind, C, Q
        self.E = {"scaled": 1, "one_hot": Q, "embedding": width}[kind]
        self.groups = np.repeat(np.arange(C), self.E)
        if kind == "embedding":
            self.table = init.weight(C, Q, width, fan_in=3)  # in [-1, 1], as scaled levels are

    def __call__(self, x: Any) -> Any:
        """Levels as numbers, scaled or as they are, (H, W, N, C) -> (H, W, N, C*E); what is encoded already stays."""
        if self.kind == "scaled" or x.shape[-1] != self.C:
            return x
        return ops.one_hot(x, levels=self.Q) if self.kind == "one_hot" else ops.embedding(x, self.table)

    def encoded(self, x: Any) -> Any:
        """The same as a plain array, of which a gradient can be asked."""
        y = self(x)
        return y.data if isinstance(y, Tensor) else y

    def __repr__(self) -> str:
        return f"Encoding({self.kind}, {self.C} of {self.Q} -> {len(self.groups)})"
