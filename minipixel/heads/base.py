"""What a head is to a model and to a sampler."""

from typing import Any, ClassVar

import numpy as np

from minipixel.tensor import Tensor

TIE = 1e-12
"""Levels whose log-probabilities are closer than this, in nats, tie: so close, rounding alone tells them apart."""

MOST_LEVELS = 2**16
"""How many levels a sub-pixel may have: as many as an unsigned integer of 16 bits can tell apart."""
NO_DISTRIBUTION = (
    "draw: got NaN or infinite numbers from the model, wanted parameters of a distribution; its weights, or what it is "
    "told, are too large"
)


def level_dtype(Q: int) -> Any:
    """The smallest unsigned integer that holds Q levels: uint8 up to 256 of them, above that uint16."""
    return np.uint8 if Q <= 256 else np.uint16


def check_drawn_from(numbers: np.ndarray) -> None:
    """ValueError unless these are finite: a highest logit, say, without which there is no distribution to draw from."""
    if not np.isfinite(numbers).all():
        raise ValueError(NO_DISTRIBUTION)


class Head:
    """A family of distributions over one sub-pixel, given P parameters per pixel.

    `groups` (P,) says which colour each parameter describes: it may know that colour's predecessors, never the colour
    itself, and the masks of the model's last layers are built from it. With `joins_colours` the head itself lets the
    later colours of a pixel follow the earlier ones, so that a model need not know these; a later colour is then
    predicted from the parameters of the earlier ones, too. Every head is made from (C, Q, mixtures), the last of use to
    mixtures alone.
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
        """The level whose slice of the CDF holds each uniform: (N, P), (N, C), (N,) in [0, 1) -> (N,).

        `pixel` holds the channels drawn so far. `temperature` divides logits and multiplies the scales of a mixture:
        below 1 keeps to what is likely. At 0 it is the likeliest level, the lowest of several that tie, whatever the
        uniform.
        """
        raise NotImplementedError

    def log_prob_of(
        self, parameters: np.ndarray, pixel: np.ndarray, channel: int, levels: np.ndarray, temperature: float = 1.0
    ) -> np.ndarray:
        """log p(channel = level | the earlier channels of the pixel), for L levels each, in nats, float64.

        (N, P), integers (N, C), of which the channels before this one are read, integers (N or 1, L) -> (N, L). It is
        the distribution that `draw` draws from, at the same `temperature`, which here is above 0.
        """
        raise NotImplementedError(
            f"log_prob_of: {type(self).__name__} has none, wanted a head that says it; write it beside its draw"
        )

    def __repr__(self) -> str:
        C = int(self.groups.max()) + 1
        return f"{type(self).__name__}({len(self.groups)} parameters per pixel of {C} channel{'s' * (C != 1)})"
