"""Weights shaken, so that none of them hides a path: arrays in, arrays out.

A layer that starts at zero, a branch behind a factor of zero or of a millionth, a rectifier that no number passes:
nothing moves behind them, or no more than rounding does, so nothing can be seen to leak. Other weights show it.
"""

import numpy as np

HUGE = 1e4
"""From here on a number is no weight but stands for infinity, in a mask that is added say, and stays as it is."""
SMALL = 1e-3
"""Up to here numbers hide what is behind them as zeros do."""


def shaken(weight: np.ndarray, rng: np.random.Generator, gently: bool, trained: bool = True) -> np.ndarray:
    """Other numbers in the place of a weight: each times 0.5 to 1.5 and, unless `gently`, of another sign by chance.

    A zero among others stays zero: it may be a mask's, put into the weights once. Only where all are zero, or SMALL,
    there are new ones, as large as a fan-in's, and not even there if the weight is not `trained`, as a mask may be.
    """
    numbers = weight.astype(np.float64)
    if trained and numbers.size and np.abs(numbers).max() <= SMALL:
        fan_in = max(1, numbers[:1].size) if numbers.ndim > 1 else 1
        drawn = rng.standard_normal(numbers.shape) / np.sqrt(fan_in)
        return (drawn * (numbers != 0) if numbers.any() else drawn).astype(weight.dtype)
    if not np.isfinite(numbers).all() or np.abs(numbers).max() >= HUGE:
        return weight
    factors = rng.uniform(0.5, 1.5, numbers.shape)
    if not gently:
        factors *= rng.choice([-1.0, 1.0], numbers.shape)
    return (numbers * factors).astype(weight.dtype)
