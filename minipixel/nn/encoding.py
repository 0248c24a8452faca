"""Encoding: the levels of an image as the numbers that the first layer reads."""

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
"""The most levels that may be one-hot, since each of them has its own weights in every tap of the first kernel."""


def check_inputs(inputs: Any, levels: int) -> str:
    """`inputs`, if it is one of INPUTS and fits that number of levels; else ValueError."""
    if not isinstance(inputs, str) or inputs not in INPUTS:
        wanted = ", ".join(map(repr, INPUTS))
        raise ValueError(f"inputs: got {short(inputs)}, wanted one of {wanted}{did_you_mean(inputs, INPUTS)}")
    if inputs == "one_hot" and levels > MOST_ONE_HOT:
        raise ValueError(f"inputs: got 'one_hot' for {levels} levels, wanted {MOST_ONE_HOT} at most; use 'embedding'")
    return inputs


class Encoding(Module):
    """Encodes the levels of C channels as the numbers that the first layer reads, E for each channel.

    With `kind` "scaled" a level becomes a number in [-1, 1], E = 1: this is for levels of brightness, where close
    levels mean nearly the same. "one_hot" makes E = Q numbers of it, a 1 at the place of the level among zeros.
    "embedding" looks up E = `width` numbers that are learned for each level. These two are for codes, which are names:
    no two codes are closer than others. `groups` (C*E,) has the channel of each number.
    """

    def __init__(self, kind: str, C: int, Q: int, width: int, init: Init) -> None:
        self.kind, self.C, self.Q = kind, C, Q
        self.E = {"scaled": 1, "one_hot": Q, "embedding": width}[kind]
        self.groups = np.repeat(np.arange(C), self.E)
        if kind == "embedding":
            self.table = init.weight(C, Q, width, fan_in=3)  # in [-1, 1], as scaled levels are

    def __call__(self, x: Any) -> Any:
        """Encode levels, scaled or as they are: (H, W, N, C) -> (H, W, N, C*E). Encoded images stay as they are."""
        if self.kind == "scaled" or x.shape[-1] != self.C:
            return x
        return ops.one_hot(x, levels=self.Q) if self.kind == "one_hot" else ops.embedding(x, self.table)

    def encoded(self, x: Any) -> Any:
        """The same as a plain array, with respect to which a gradient can be taken."""
        y = self(x)
        return y.data if isinstance(y, Tensor) else y

    def __repr__(self) -> str:
        return f"Encoding({self.kind}, {self.C} of {self.Q} -> {len(self.groups)})"
