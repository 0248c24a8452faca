"""The class Head: what a model and a sampler need of the distribution of a sub-pixel."""

from typing import Any, ClassVar

import numpy as np

from minipixel.tensor import Tensor

TIE = 1e-12
"""Levels whose log-probabilities are closer than this, in nats, tie: so close, rounding alone tells them apart."""

MOST_LEVELS = 2**16
"""The most levels that a sub-pixel may have: the number of values of an unsigned integer of 16 bits."""
NO_DISTRIBUTION = (
    "draw: got NaN or infinite numbers from the model, wanted parameters of a distribution; its weights, or its "
    "condition, are too large"
)


def level_dtype(Q: int) -> Any:
    """The smallest unsigned integer that holds Q levels: uint8 up to 256 of them, above that uint16."""
    return np.uint8 if Q <= 256 else np.uint16


def check_drawn_from(numbers: np.ndarray) -> None:
    """Raise ValueError unless these numbers are finite: otherwise there is no distribution to draw from."""
    if not np.isfinite(numbers).all():
        raise ValueError(NO_DISTRIBUTION)


class Head:
    """A family of distributions over one sub-pixel, given P parameters per pixel.

    `groups` (P,) has the colour that each parameter describes. A parameter may depend on the colours before its own,
    but never on its own, and the masks of a model's last layers are built from `groups`. With `joins_colours` the head
    itself makes the later colours of a pixel depend on the earlier ones, so the model need not do this; a later colour
    is then also predicted from the parameters of the earlier ones. Every head is constructed from (C, Q, mixtures);
    only mixtures use the last argument.
    """

    name: ClassVar[str]
    most_levels: ClassVar[int] = MOST_LEVELS
    joins_colours: ClassVar[bool] = False
    groups: np.ndarray

    def __init__(self, C: int, Q: int, mixtures: int) -> None:
        raise NotImplementedError

    @classmethod
    def fits(cls, Q: int) -> bool:
        """Whether it can describe sub-pixels of Q levels."""
        return 2 <= Q <= cls.most_levels

    def log_prob(self, parameters: Tensor, images: Any) -> Tensor:
        """log p of each sub-pixel given all before it, in nats: (H, W, N, P), integers (H, W, N, C) -> (H, W, N, C)."""
        raise NotImplementedError

    def draw(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, uniforms: np.ndarray, temperature: float
    ) -> np.ndarray:
        """Draw one channel by inverting the CDF: (N, P), (N, C), uniforms (N,) in [0, 1) -> levels (N,).

        The level is the one whose part of the CDF contains the uniform number. `pixel` has the channels drawn so far.
        `temperature` divides logits and multiplies the scales of a mixture; below 1 likely levels are drawn more often.
        At 0 the result is the likeliest level, of several that tie the lowest, whatever the uniform number.
        """
        raise NotImplementedError

    def log_prob_of(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, levels: np.ndarray, temperature: float = 1.0
    ) -> np.ndarray:
        """log p(channel = level | the earlier channels of the pixel), for L levels each, in nats, float64.

        (N, P), integers (N, C), of which only the channels before this one are read, integers (N or 1, L) -> (N, L).
        This is the distribution that `draw` draws from at the same `temperature`, which must be above 0 here.
        """
        raise NotImplementedError(
            f"log_prob_of: {type(self).__name__} has none, wanted a head with one; write it beside its draw"
        )

    def __repr__(self) -> str:
        C = int(self.groups.max()) + 1
        return f"{type(self).__name__}({len(self.groups)} parameters per pixel of {C} channel{'s' * (C != 1)})"
