"""Heads: the distributions of a sub-pixel, whose parameters are the last feature map of a model."""

from minipixel.heads.base import MOST_LEVELS, Head, level_dtype
from minipixel.heads.bernoulli import Bernoulli
from minipixel.heads.categorical import Categorical
from minipixel.heads.mixture import LogisticMixture, NormalMixture
from minipixel.shown import short
from minipixel.spelling import did_you_mean

# The one table of heads, by the name that models take; `HEADS[name].fits(Q)` says for which numbers of levels.
HEADS: dict[str, type[Head]] = {head.name: head for head in (Bernoulli, Categorical, LogisticMixture, NormalMixture)}

__all__ = [
    "HEADS",
    "MOST_LEVELS",
    "Bernoulli",
    "Categorical",
    "Head",
    "LogisticMixture",
    "NormalMixture",
    "level_dtype",
    "make_head",
]


def make_head(name: str | None, C: int, Q: int, mixtures: int = 5) -> Head:
    """The head of that name for C channels of Q levels; None stands for Bernoulli with 2 levels, else for categorical.

    `mixtures` is the number of components, M, of the mixture heads; the others have none.
    Raises ValueError if the name is unknown, or the head cannot describe that many levels.
    """
    if name is None:
        name = "bernoulli" if Q == 2 else "categorical"
    if not isinstance(name, str) or name not in HEADS:
        raise ValueError(f"head: got {short(name)}, wanted one of {', '.join(HEADS)}{did_you_mean(name, HEADS)}")
    if not HEADS[name].fits(Q):
        fitting = ", ".join(other for other, head in HEADS.items() if head.fits(Q))
        raise ValueError(
            f"head: got {short(name)} for {Q} levels, wanted {HEADS[name].most_levels} at most; use {fitting}"
        )
    return HEADS[name](C, Q, mixtures)
