"""Whether a leak is only rounding: the check is repeated in float64, if possible, where rounding nearly disappears."""

from typing import Any

import numpy as np

from minipixel.causality import perturbation as perturb
from minipixel.causality.structure import joined
from minipixel.causality.subjects import Subject
from minipixel.causality.witnesses import earlier

SMALL = 0.05
"""From this share of the largest legal change on, what moves is no rounding."""
GAIN = 1e-3
"""By so much, at least, rounding becomes less in float64; a leak stays as it is."""
READS = 32
"""How many sub-pixels are changed to find that out."""


def mixing(subject: Subject, *, images: int, rng: Any, seed: int | None = None) -> float:
    """How far an image moves with another one of its batch, as `strangers` measures it; small if only by rounding."""
    found = perturb.strangers(subject, images=images, rng=rng, seed=seed)
    if not subject.rounding < found < SMALL:
        return found
    again = _in_float64(subject, lambda precise: perturb.strangers(precise, images=images, rng=rng, seed=seed))
    return found if again is None or again > GAIN * found else min(found, subject.rounding)


def is_rounding(subject: Subject, illegal: float, reads: np.ndarray, *, rng: Any, seed: int | None) -> bool:
    """Whether leaks of at most `illegal`, a share of the largest legal change, are rounding; `reads`: their inputs."""
    if not 0 < illegal < SMALL:
        return False
    places = np.unique(reads)[:: max(1, len(np.unique(reads)) // READS)]
    outputs = np.arange(subject.size)
    past = earlier(subject.order) | (joined(outputs, subject.image_shape) if subject.joins else False)

    def share(precise: Subject) -> float:
        sizes = perturb.movements(precise, np.random.default_rng(rng), outputs=outputs, seed=seed, inputs=places)
        legal = float(sizes[past].max(initial=0))
        return float(sizes[~past].max(initial=0)) / legal if legal else np.inf

    again = _in_float64(subject, share)
    return illegal <= subject.rounding if again is None else again <= GAIN * illegal


def _in_float64(subject: Subject, question: Any) -> float | None:
    """The answer of a copy in float64; None if there is no copy, or if the model only works in its own precision."""
    try:
        precise = subject.precise()
        return None if precise is None else question(precise)
    except Exception:  # somebody's own code, handed numbers that it did not ask for
        return None
