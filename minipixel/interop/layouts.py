"""The layouts of weights in PyTorch: the order of axes, the taps that are left out, and the order of gates.

Here a weight has its channels last, (kh, kw, K_in, K_out); in PyTorch they come first. A weight of two or more axes has
one of three layouts there:

    "conv"         (K_out, K_in, kh, kw)   of a convolution; (K_out, K_in) of nn.Linear, and any units after these
    "transposed"   (K_in, K_out, kh, kw)   of nn.ConvTranspose2d
    "embedding"    (K_in, K_out)           of nn.Embedding: a row for each class
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

GATES = "ofig"
"""The order of an LSTM's gates in its 4h channels, here: output, forget, input, and what is written."""

LAYOUTS = ("conv", "transposed", "embedding")


@dataclass(frozen=True)
class Place:
    """The conversion between a weight here, of `shape`, and one in PyTorch, of the shape `theirs`.

    `axes` is the order of our axes there. `mask` has the open taps, None if all are open; a kernel in PyTorch may be
    cropped to these, or have any numbers in the others. `gates` is the order of an LSTM's gates there.
    """

    shape: tuple[int, ...]
    theirs: tuple[int, ...]
    axes: tuple[int, ...]
    mask: np.ndarray | None = None
    gates: str = GATES

    def ours(self, array: np.ndarray) -> np.ndarray:
        """PyTorch's numbers as ours, with 0 where the mask is shut: of the shape `theirs` -> `shape`."""
        kept = tuple(self.shape[axis] for axis in self.axes[:2]) + self._kernel
        moved = array.reshape(kept).transpose(np.argsort(self.axes)) if len(self.shape) > 1 else array.reshape(-1)
        moved = _in_order(moved, self.gates, GATES)
        whole = np.zeros(self.shape, array.dtype)
        whole[tuple(slice(size) for size in moved.shape)] = moved
        return whole if self.mask is None else np.where(self.mask, whole, 0)

    def to_theirs(self, array: np.ndarray) -> np.ndarray:
        """Our numbers as PyTorch's: of the shape `shape` -> `theirs`."""
        array = array.reshape(self.shape)
        array = array if self.mask is None else np.where(self.mask, array, 0)
        array = _in_order(array, GATES, self.gates)
        if len(self.shape) > 1:
            array = array.transpose(self.axes)[(slice(None), slice(None), *map(slice, self._kernel))]
        return array.reshape(self.theirs)

    @property
    def _kernel(self) -> tuple[int, ...]:
        """The size of the kernel in PyTorch; for anything else than a kernel, that of ours."""
        return self.theirs[2:] if len(self.shape) == 4 else tuple(self.shape[axis] for axis in self.axes[2:])


def place_of(
    shape: tuple[int, ...], theirs: tuple[int, ...], layout: str, mask: np.ndarray | None, gates: str
) -> Place | None:
    """The conversion of a weight of that shape with a layout; None if the two shapes do not fit each other."""
    if len(shape) < 2:
        fits = _without_units(theirs) == _without_units(shape)
        return Place(shape, theirs, (0,), None, gates) if fits else None
    K_in, K_out = len(shape) - 2, len(shape) - 1
    axes = (*((K_out, K_in) if layout == "conv" else (K_in, K_out)), *range(len(shape) - 2))
    if len(shape) == 4:
        smallest = (0, 0) if mask is None else _box(mask)
        fits = len(theirs) == 4 and theirs[:2] == tuple(shape[axis] for axis in axes[:2])
        fits = fits and all(
            few <= there <= here and (mask is not None or there == here)
            for few, there, here in zip(smallest, theirs[2:], shape[:2], strict=True)
        )
    else:
        wanted = tuple(shape[axis] for axis in axes)
        fits = theirs[:2] == wanted[:2] and _without_units(theirs[2:]) == _without_units(wanted[2:])
        fits = fits and (layout != "embedding" or len(theirs) == 2)
    return Place(shape, theirs, axes, mask, gates) if fits else None


def flattened(shape: tuple[int, ...], K: int, theirs: tuple[int, ...]) -> Place | None:
    """The same for nn.Linear on a flattened map of K features, with channels first in PyTorch: (K_out, K * pixels).

    The Place has the shape (pixels, K, K_out).
    """
    pixels = shape[0] // K
    return Place((pixels, K, shape[1]), theirs, (2, 1, 0)) if theirs == (shape[1], shape[0]) else None


def in_words(shape: tuple[int, ...], layout: str) -> str:
    """The shape that PyTorch's weight should have, in words for a message."""
    if len(shape) < 2:
        return str(tuple(shape))
    channels = (shape[-1], shape[-2]) if layout == "conv" else (shape[-2], shape[-1])
    return str((*channels, *shape[:-2]))


def _box(mask: np.ndarray) -> tuple[int, int]:
    """How many rows and columns of a kernel, from the first on, hold all of its open taps."""
    rows, columns = np.nonzero(mask.any(axis=(2, 3)))
    return int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1


def _without_units(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in sizes if size != 1)


def _in_order(array: Any, here: str, there: str) -> Any:
    """Reorder the four blocks of the last axis from the order `here` to the order `there`."""
    if here == there:
        return array
    blocks = dict(zip(here, np.split(array, 4, axis=-1), strict=True))
    return np.concatenate([blocks[gate] for gate in there], axis=-1)
