"""One row of the zoo: a foreign thing, how it is checked in the natural way, and the truth about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Animal:
    """A foreign thing whose causality is known, and the call that a stranger would write to check it."""

    name: str
    make: Callable[[], Any]
    """Makes the thing, seeded by torch.manual_seed."""
    check: Callable[[Any], Any]
    """thing -> the report; the natural call, in three lines at the most."""
    causal: bool
    """The truth, in evaluation mode."""
    cause: str = ""
    """For what leaks: a word that the named cause must contain."""
    batch_statistics: bool = False
    """Whether it has statistics over the batch in training mode, which the report has to name."""
    undecided: bool = False
    """Whether nothing moves, however its weights are shaken, so that nobody can tell."""
