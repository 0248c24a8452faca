"""Schedules, learning rates that change: each is a function step -> rate, in which the first step is step 0."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from minipixel.optim.optimizer import check_above_0
from minipixel.shown import short
from minipixel.spelling import spelled


class Schedule:
    """A function step -> rate whose repr shows how it was made."""

    def __init__(self, rate: Callable[[int], float], made: str) -> None:
        self._rate, self._made = rate, made

    def __call__(self, step: int) -> float:
        """The rate of a step; the first is step 0."""
        return self._rate(step)

    def __repr__(self) -> str:
        return self._made


@spelled
def exponential_decay(rate: float, factor: float) -> Schedule:
    """A schedule that falls by the same factor at each step: rate * factor ** step.

    PixelCNN++ (arXiv:1701.05517) has the rate 1e-3 and the factor 0.999995. Raises ValueError for numbers not above 0.
    """
    check_above_0("rate", rate, "0.001")
    check_above_0("factor", factor, "0.999995")
    return Schedule(lambda step: rate * factor**step, f"exponential_decay({rate}, {factor})")


@spelled
def cosine_decay(rate: float, steps: int, warmup: int = 0) -> Schedule:
    """A schedule that falls along half a cosine from `rate` to 0 at step `steps`, and stays 0 after that.

    In the first `warmup` of these steps the rate rises linearly instead, from rate / warmup at step 0 to `rate` at step
    warmup - 1. Raises ValueError for numbers out of range.
    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
    """
    check_above_0("rate", rate, "0.001")
    for name, value, lowest in (("steps", steps, 1), ("warmup", warmup, 0)):
        if not isinstance(value, int) or value < lowest:
            raise ValueError(f"{name}: got {short(value)}, wanted a whole number, {lowest} or more")
    if warmup >= steps:
        raise ValueError(f"warmup: got {warmup} of {steps} steps, wanted fewer than all of them")

    def rate_of(step: int) -> float:
        if step < warmup:
            return rate * (step + 1) / warmup
        done = min((step - warmup) / (steps - warmup), 1)
        return rate * (1 + math.cos(math.pi * done)) / 2

    return Schedule(rate_of, f"cosine_decay({rate}, {steps}{f', warmup={warmup}' if warmup else ''})")


@spelled
def piecewise(boundaries: Sequence[int], rates: Sequence[Any]) -> Schedule:
    """A schedule of constant pieces: rates[0] before step boundaries[0], then rates[1] until boundaries[1], and so on.

    There is one rate more than boundaries. Raises ValueError for another number of rates, and for boundaries that do
    not rise.
    """
    if len(rates) != len(boundaries) + 1:
        raise ValueError(f"rates: got {len(rates)} for {len(boundaries)} boundaries, wanted one more than boundaries")
    if any(a >= b for a, b in pairwise(boundaries)):
        raise ValueError(f"boundaries: got {list(boundaries)}, wanted rising numbers of steps")
    for rate in rates:
        check_above_0("rates", rate, "0.001")
    return Schedule(
        lambda step: rates[bisect_right(boundaries, step)],
        f"piecewise({short(list(boundaries))}, {short(list(rates))})",
    )
