"""How the bare nets of the zoo are read, so that a test proves what the table says without the help of the library."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from causality.zoo.animal import Animal


class Reading(NamedTuple):
    """How a net is fed images of a `shape`, and (N, S, ...) outputs, for S sub-pixels in the order of drawing."""

    shape: tuple[int, ...]
    outputs: Callable[[Any, Any], Any]
    codes: bool = False
    order: Any = None
    """Which number of the flattened image is drawn first, second ...; None for one after the other."""


def as_it_is(net, x):
    """Outputs (N, S, Q), as a net for sequences gives them."""
    return net(x)


def pixels(net, x):
    """Outputs (N, Q, H, W) -> (N, H * W, Q)."""
    return net(x).flatten(2).transpose(1, 2)


def seeded(make):
    """`make`, with the weights of seed 0."""

    def made():
        torch.manual_seed(0)
        return make()

    return made


Row = tuple[Animal, Reading]


def right(name, make, check, reading, **more) -> Row:
    """A row for what is causal."""
    return Animal(name, seeded(make), check, True, **more), reading


def leaky(name, make, check, reading, cause) -> Row:
    """A row for what leaks; the named cause has to contain `cause`."""
    return Animal(name, seeded(make), check, False, cause), reading
