"""What turns the last feature map into probabilities of integer sub-pixels."""

from collections.abc import Callable

from minipixel.heads.base import Head
from minipixel.heads.bernoulli import Bernoulli
from minipixel.heads.categorical import Categorical

# The one table of heads, by the name that models take.
HEADS: dict[str, Callable[[int, int], Head]] = {"bernoulli": Bernoulli, "categorical": Categorical}

__all__ = ["HEADS", "Bernoulli", "Categorical", "Head", "make_head"]


def make_head(name: str | None, C: int, Q: int) -> Head:
    """The head of that name for C channels of Q levels; None picks Bernoulli for 2 levels, categorical above.

    Raises ValueError if the name is unknown, or the head cannot describe that many levels.
    """
    if name is None:
        name = "bernoulli" if Q == 2 else "categorical"
    if name not in tuple(HEADS):
        raise ValueError(f"head: got {name!r}, wanted one of {', '.join(HEADS)}")
    return HEADS[name](C, Q)
