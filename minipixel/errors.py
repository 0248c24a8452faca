"""The error classes of minipixel. All other errors about arguments are plain ValueErrors."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def visible(text: object) -> str:
    r"""Text from a file in one line that is safe to show: characters that cannot be printed become escapes, as \x1b."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


class FormatError(ValueError):
    """A file is not what it claims to be; the message names the file, what was wrong and what was expected.

    The message may quote the file, so its control characters are shown as escapes.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class CausalityError(ValueError):
    """A model depends on a sub-pixel that is drawn later, or on its own output; the message names the first pair."""


class TraceError(ValueError):
    """The clock cannot find out what a model reads; the message names the op, or the number taken out of the graph."""


class DeviceError(RuntimeError):
    """A GPU cannot be used: there is none, its driver is too old, or arrays of host and GPU meet in one op."""


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or a weight became NaN or infinite in training.

    The model then has the weights from before that step. `epoch`, and `step` within that epoch, count from 0. `images`
    are the places of the step's images in the training data. `first` names the first op whose result was not finite,
    with `fit(..., anomaly=True)`; otherwise it is None. `history` is the History of the epochs before.
    """

    history: Any = None

    def __init__(self, message: str, epoch: int, step: int, images: Any, first: str | None) -> None:
        super().__init__(message)
        self.epoch, self.step, self.images, self.first = epoch, step, images, first


class InterruptedDrawing(KeyboardInterrupt):
    """Ctrl-C while images were drawn: `images` are the first k of them, integers (k, H, W, C), or None.

    They are the same as without the interruption, since all random numbers are drawn beforehand.
    """

    def __init__(self, shards: Sequence[Any]) -> None:
        super().__init__("drawing was interrupted")
        self.images = np.concatenate(shards) if shards else None
