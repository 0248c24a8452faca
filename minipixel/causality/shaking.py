"""Changing weights at random ("shaking" them), so that no special value of a weight hides a leak.

Behind a layer that starts at zero, behind a factor of zero or of a millionth, or behind a rectifier that passes
nothing, outputs do not move, or no more than by rounding, and so no leak can be seen. With other weights it can.
"""

import numpy as np

HUGE = 1e4
"""From here on a number is no weight but stands for infinity, in a mask that is added say, and stays as it is."""
SMALL = 1e-3
"""Up to here numbers hide what is behind them as zeros do."""


def shaken(weight: np.ndarray, rng: np.random.Generator, gently: bool, trained: bool = True) -> np.ndarray:
    """A changed weight: each number times 0.5 to 1.5 and, unless `gently`, with a random sign.

    Single zeros stay zero, since a mask may have been multiplied into the weights. Only if all numbers are zero, or
    SMALL, new ones are drawn, of the size of a usual first weight. Whole numbers stay as they are if there are more
    than two of them, or if they are not `trained`: they may be a mask, the degrees of MADE, or an order.
    """
    numbers = weight.astype(np.float64)
    if np.array_equal(numbers, np.round(numbers)) and (not trained or len(np.unique(numbers)) > 2):
        return weight
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
