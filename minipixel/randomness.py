"""The argument `rng` of all random functions: None, a whole number, a SeedSequence or a Generator."""

from typing import Any

import numpy as np

from minipixel.ranks import now


def generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """The given Generator, or a new one from a seed.

    None takes the seed from the system; ranks that work together all take that of the first.

    Raises ValueError, with the argument's name, for anything else.
    """
    try:
        return np.random.default_rng(_one_seed(rng))
    except (TypeError, ValueError):
        raise ValueError(_complaint(name, rng)) from None


def seed_sequence(rng: Any, name: str = "rng") -> np.random.SeedSequence:
    """The given SeedSequence, or a new one from a seed, as above, or from numbers that a Generator draws."""
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence([int(word) for word in rng.integers(0, 2**32, size=4)])
    try:
        return np.random.SeedSequence(_one_seed(rng))
    except (TypeError, ValueError):
        raise ValueError(_complaint(name, rng)) from None


def _one_seed(rng: Any) -> Any:
    """For None the same seed on all ranks that work together."""
    together = rng is None and now().size > 1
    return now().from_first("seed", np.random.SeedSequence().entropy) if together else rng


def _complaint(name: str, rng: Any) -> str:
    got = repr(rng) if isinstance(rng, (int, float, str)) else f"a {type(rng).__module__}.{type(rng).__qualname__}"
    return (
        f"{name}: got {got:.100}, wanted None, a whole number from 0, a SeedSequence or a Generator; "
        "such as np.random.default_rng(0)"
    )
