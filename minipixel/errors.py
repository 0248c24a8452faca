"""The errors with a name of their own. Everything else that is wrong with an argument is a plain ValueError."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def visible(text: object) -> str:
    r"""Text of a file as it may be shown: what is no printable character as its escape, ESC as \x1b, in one line."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


class FormatError(ValueError):
    """A file is not what it claims to be; the message names the file, what was wrong and what was expected.

    It quotes the file, and so it is shown with no control characters.
    """

    def __init__(self, message: str) -> None:
        super().__init__(visible(message))


class CausalityError(ValueError):
    """A model reads a sub-pixel that is drawn later; the message names the first offending pair."""


class TraceError(ValueError):
    """The clock cannot tell what a model reads; the message names the op, or what is read off the tape, and where."""


class NonFiniteError(FloatingPointError):
    """A loss, a gradient or a weight became NaN or infinite in training.

    The model then has the weights from before that step. `epoch` and `step`, its number in that epoch, count from 0;
    `images` are the places of its images in the training data; `first`, with `fit(..., anomaly=True)`, names the first
    op whose result was not finite, and is None without; `history` is what was seen of whole epochs before.
    """

    history: Any = None

    def __init__(self, message: str, epoch: int, step: int, images: Any, first: str | None) -> None:
        super().__init__(message)
        self.epoch, self.step, self.images, self.first = epoch, step, images, first


class InterruptedDrawing(KeyboardInterrupt):
    """Ctrl-C while images were drawn: `images` are the first of those that were asked for, uint8 (k, H, W, C), or None.

    They are what they would have become without it, since the random numbers of each were drawn beforehand.
    """

    def __init__(self, shards: Sequence[Any]) -> None:
        super().__init__("drawing was interrupted")
        self.images = np.concatenate(shards) if shards else None
