"""The layouts of arrays of images and of parameters: a notation for them, and the layouts that a shape allows.

A layout is written with one letter per axis: N images, H rows, W columns, C colours, Q parameters per sub-pixel, P
parameters per pixel (of all its colours), S sub-pixels in raster order, which are "HWC" in one axis; D means the same
as S. Parentheses join several letters into one axis, in which the first changes slowest: in "N(CQ)HW" the parameters of
a colour form a block, in "N(QC)HW" the colours alternate.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from minipixel.shown import short

LETTERS = "NHWCQP"
OPEN = "QP"  # letters whose size the shape says

# The readings that are tried, by the number of axes. With one channel some of them say the same.
READINGS = {
    2: ("NS", "N(CHW)", "N(SQ)", "N(QS)"),
    3: ("NHW", "NSQ", "NQS", "N(HW)P", "NP(HW)"),
    4: ("NHWP", "NPHW", "N(HW)CQ"),
    5: ("NHWCQ", "NHWQC", "NCHWQ", "NCQHW", "NQCHW", "NQHWC"),
}


class Layout:
    """One way to read arrays of a given shape, which converts them to (N, H, W, P) and back.

    `groups` (P,) is the colour of each parameter, or None where the layout does not fix it. Raises ValueError if the
    spelling is not a layout, or if the shape does not fit it.
    """

    def __init__(self, spelled: str, shape: tuple[int, ...], N: int, image_shape: tuple[int, int, int]) -> None:
        H, W, C = image_shape
        axes = _parsed(spelled)
        named = "".join(axes)
        sizes = {"N": N, "H": H, "W": W, "C": C}
        if C > 1 and "C" not in named and "P" not in named:
            raise ValueError(
                f"layout: got {spelled!r}, without C, for {C} channels, wanted a C, or P for all of a pixel"
            )
        if len(axes) != len(shape):
            raise ValueError(f"layout: got {spelled!r} for an array of shape {shape}, wanted {len(shape)} axes")
        for letters, size in zip(axes, shape, strict=True):
            known = math.prod(sizes[letter] for letter in letters if letter in sizes)
            free = [letter for letter in letters if letter not in sizes]
            if size % known or (not free and size != known):
                wanted = " x ".join(f"{letter} = {sizes[letter]}" if letter in sizes else letter for letter in letters)
                raise ValueError(
                    f"layout: got {spelled!r} for an array of shape {shape}, wanted {wanted} for the {size}"
                )
            for letter in free:
                sizes[letter] = size // known
        self.spelled, self.shape, self.N = spelled, shape, N
        order = "NHW" + "".join(letter for letter in "CQP" if letter in named)
        self._apart = [sizes[letter] for letters in axes for letter in letters]
        self._forward = [named.index(letter) for letter in order]
        self._back = np.argsort(self._forward)
        self.P = math.prod(sizes[letter] for letter in "CQP" if letter in named)
        each = self.P // C if "C" in named else 0
        self.groups = np.repeat(np.arange(C), each) if "C" in named else np.zeros(self.P, int) if C == 1 else None
        self._last = [sizes[letter] for letter in order]

    def last(self, raw: np.ndarray) -> np.ndarray:
        """Convert an array in this layout to (N, H, W, P)."""
        return raw.reshape(self._apart).transpose(self._forward).reshape(*self._last[:3], self.P)

    def raw(self, parameters: np.ndarray) -> np.ndarray:
        """Convert (N, H, W, P) to a contiguous array in this layout."""
        return np.ascontiguousarray(parameters.reshape(self._last).transpose(self._back).reshape(self.shape))

    def ordered(self, groups: np.ndarray) -> np.ndarray:
        """The colours of all parameters, in the order of the array's own channel axes -> (P,), as `last` has them."""
        axes = _parsed(self.spelled)
        sizes = [1 if set("NHW") & set(letters) else size for letters, size in zip(axes, self.shape, strict=True)]
        if groups.size != np.prod(sizes):
            raise ValueError(f"groups: got some for the layout {self.spelled!r}, wanted None; the layout says it")
        return self.last(np.broadcast_to(groups.reshape(sizes), self.shape))[0, 0, 0]

    def places(self) -> bytes:
        """The pixel and the parameter of each number, by which two spellings of one layout are recognised."""
        N, H, W = self._last[:3]
        groups = np.arange(self.P) - self.P if self.groups is None else self.groups
        pixels = np.arange(H * W).reshape(1, H, W, 1)
        return self.raw(np.broadcast_to(pixels * 2**16 + groups, (N, H, W, self.P))).tobytes()


def _parsed(spelled: str) -> list[str]:
    """The letters of each axis; ValueError if it is none of these spellings."""
    written = (
        spelled.replace("D", "S").replace("S", "(HWC)").replace("((HWC)Q)", "(HWCQ)").replace("(Q(HWC))", "(QHWC)")
    )
    axes = [axis.strip("()") for axis in re.findall(r"\([A-Z]+\)|[A-Z]", written)]
    letters = "".join(axes)
    whole = re.fullmatch(r"(?:\([A-Z]+\)|[A-Z])+", written) is not None
    if not whole or set(letters) - set(LETTERS) or len(set(letters)) != len(letters) or not set("NHW") <= set(letters):
        raise ValueError(
            f"layout: got {spelled!r}, wanted letters for the axes, each once, N, H and W among them, like "
            '"NCHWQ", "NHWP", "N(QC)HW" or "NSQ"; see minipixel/causality/layouts.py'
        )
    if ("P" in letters and set("CQ") & set(letters)) or any(len(set(OPEN) & set(axis)) > 1 for axis in axes):
        raise ValueError(f"layout: got {spelled!r}, wanted P, or Q with C; P stands for all parameters of a pixel")
    return axes


def check_layout(layout: Any) -> tuple[str | None, str | None]:
    """The layouts of images and of parameters from "NHWC->NHWCQ" or "NHWCQ"; None where `layout` does not say it."""
    if layout is None:
        return None, None
    if not isinstance(layout, str):
        raise ValueError(f'layout: got {short(layout)}, wanted a text like "NCHWQ", or "NHWC->NHWCQ" for both')
    before, arrow, after = (part.strip() for part in layout.partition("->"))
    for spelled in (before, after) if arrow else (before,):
        _parsed(spelled)
    return (before, after) if arrow else (None, before)


def readings(shape: tuple[int, ...], N: int, image_shape: tuple[int, int, int]) -> list[Layout]:
    """All layouts that an array of this shape may have, each once."""
    if not shape or shape[0] != N:  # the batch stands first in all of them
        return []
    found: dict[bytes, str] = {}
    for layout in _fitting((1, *shape[1:]), 1, image_shape):
        found.setdefault(layout.places(), layout.spelled)
    return [Layout(spelled, shape, N, image_shape) for spelled in found.values()]


def _fitting(shape: tuple[int, ...], N: int, image_shape: tuple[int, int, int]) -> Iterator[Layout]:
    for spelled in READINGS.get(len(shape), ()):
        try:
            yield Layout(spelled, shape, N, image_shape)
        except ValueError:
            continue


def layout_of(
    shape: tuple[int, ...], image_shape: tuple[int, int, int], images: Layout, channels_first: bool | None = None
) -> Layout:
    """The one layout that an array of parameters can have. Raises ValueError if there is none, or more than one.

    An array with the shape of the `images` has their layout. `channels_first`, if given, decides whether channels come
    before or after the pixels.
    """
    if shape == images.shape:
        return images
    (H, W, _), N = image_shape, images.N
    found = readings(shape, N, image_shape)
    if len(found) > 1 and channels_first is not None:
        found = [layout for layout in found if _first(layout.spelled) == channels_first] or found
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(f'"{layout.spelled}"' for layout in found)
        raise ValueError(f"output: got shape {shape}, which can be read in {len(found)} ways, wanted layout={names}")
    got = f"output: got shape {shape} for {N} images of {H} x {W} pixels"
    if len(shape) < 2:
        raise ValueError(f"{got}, a loss it seems, wanted parameters; return those of each pixel instead")
    raise ValueError(
        f"{got}, wanted ({N}, {H}, {W}, P) or ({N}, P, {H}, {W}), parameters for each pixel of each image; look at "
        "image_shape, channels_first and layout, or wrap what returns something else"
    )


def _first(spelled: str) -> bool:
    """Whether the channels stand before the pixels."""
    return min(spelled.find(letter) % 99 for letter in "CQP") < spelled.find("H")
