"""A row of the convolutional half of the zoo: an animal, and how the proof of its truth reads it by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from causality.zoo.animal import Animal
from torch import nn

import minipixel as mp

GREY, RGB = (1, 5, 6), (3, 5, 6)
FIRST_B = "image comes in"


@dataclass(frozen=True)
class Reading:
    """What the proof feeds, how it calls, and what the axes of the output are."""

    shape: tuple[int, ...] = GREY
    axes: str = "NQHW"
    """Letters of the output's axes, each of N C H W Q at the most once."""
    call: Callable[[Any, Any], Any] = lambda net, x: net(x)
    """(net, x) -> the output, x (N, C, H, W)."""
    levels: int | None = None
    """How many integer codes there are; None: numbers in -1..1."""
    wake: Callable[[Any], Any] | None = None
    """Draws anew, in place, what is zero and hides something."""
    rounding: bool = False
    """Whether it leaks by rounding alone, so by nothing that is larger than 1e-9 of what moves."""
    joined: bool = False
    """Whether a head joins the colours, so no output may see its own pixel."""
    order: Any = None
    """The place in line of each sub-pixel, (H, W, C)."""
    batch: int = 2
    noisy: bool = False
    """Whether training draws noise that nothing repeats, so nobody can tell what it does to a batch."""


class Rows(list[tuple[Animal, Reading]]):
    """Rows of (animal, reading)."""

    def add(self, name, make, check, cause=None, *, statistics=False, undecided=False, **reading):
        """One more; it leaks if a `cause` is given, a word of the cause that the report must name."""

        def seeded():
            torch.manual_seed(0)
            return make()

        animal = Animal(name, seeded, check, cause is None, cause or "", statistics, undecided)
        self.append((animal, Reading(**reading)))


def grey(net):
    return mp.check_causality(net, (1, 5, 6))


def rgb(net):
    return mp.check_causality(net, (3, 5, 6))


def last_layer(net):
    nn.init.normal_(net[-1].weight)


ZERO = {"last": nn.init.zeros_}
