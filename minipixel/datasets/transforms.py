"""Fewer levels: `binarize` for the classic experiments on binary images, `quantize` for a few levels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minipixel.models.checks import as_images, dtype_hint
from minipixel.randomness import generator
from minipixel.spelling import did_you_mean, spelled

MAX_LEVELS = 1 << 16  # of 16-bit pictures
HOW = ("static", "dynamic", "threshold")

Rng = None | int | np.random.SeedSequence | np.random.Generator


@spelled
def binarize(
    images: ArrayLike, levels: int, how: str = "static", rng: Rng = 0, *, threshold: float = 0.5
) -> NDArray[np.uint8]:
    """Turn images (N, H, W, C) with levels 0..Q-1 into uint8 images of 0 and 1; `levels` is Q.

    - "static" and "dynamic" both draw: a sub-pixel is 1 with probability value / (Q-1). They differ in when you call
      the function. Static binarisation is done once, before training, with a fixed seed, and gives one fixed set of
      binary images. Dynamic binarisation is done for every batch, with a Generator that goes on from call to call:
      `fit(..., transform=lambda x, rng: binarize(x, 256, "dynamic", rng))`. (With an int every call would draw the same
      numbers.)
    - "threshold": a sub-pixel is 1 if its value > `threshold` * (Q-1). For the default 0.5 that is value >= Q/2.

    `rng` is None, an int, a SeedSequence or a Generator. Likelihoods with different ways of binarisation cannot be
    compared; and a static draw here is not the file of binarized MNIST that many papers share, only one like it.
    Raises ValueError if `images` are not whole numbers in 0..Q-1 of four dimensions, if `how` is none of the three, or
    if `threshold` is outside [0, 1).
    Source: Salakhutdinov and Murray, "On the quantitative analysis of deep belief networks", ICML 2008 (static).
    """
    images = _check("binarize", images, levels)
    if how == "threshold":
        if not 0 <= threshold < 1:
            raise ValueError(f"binarize: threshold is {threshold!r}, wanted a fraction of the top level in [0, 1)")
        return (images > threshold * (levels - 1)).astype(np.uint8)
    if how not in ("static", "dynamic"):
        raise ValueError(f"binarize: how is {how!r}, wanted 'static', 'dynamic' or 'threshold'{did_you_mean(how, HOW)}")
    # Of the Q-1 numbers 0..Q-2, exactly `value` lie below `value`: the probability holds without any rounding.
    draws = generator(rng).integers(levels - 1, size=images.shape, dtype=np.min_scalar_type(levels - 1))
    return (draws < images).astype(np.uint8)


@spelled
def quantize(images: ArrayLike, levels: int, to: int = 4) -> NDArray[np.uint8]:
    """Reduce images (N, H, W, C) from Q = `levels` levels to levels 0..to-1, uint8: value * to // Q.

    The bins are equally wide if `to` divides Q, and differ by one level at most otherwise. `to` is at most Q, since no
    detail can be added, and at most 256, since the result is uint8.
    Raises ValueError if `images` are not whole numbers in 0..Q-1 of four dimensions, or `to` is out of range.
    """
    images = _check("quantize", images, levels)
    most = min(levels, 256)
    if not (_is_integer(to) and 2 <= to <= most):
        raise ValueError(f"quantize: to is {to!r}, wanted a whole number from 2 to {most} (levels, but at most 256)")
    # Worked out once for each level, in integers wide enough for the product, then looked up.
    table = (np.arange(levels) * to // levels).astype(np.uint8)
    return table[images]


def _check(name: str, images: ArrayLike, levels: int) -> NDArray[Any]:
    """Return images (N, H, W, C) as an array once they are known to be whole numbers in 0..Q-1."""
    if not (_is_integer(levels) and 2 <= levels <= MAX_LEVELS):
        raise ValueError(f"{name}: levels is {levels!r}, wanted a whole number from 2 to {MAX_LEVELS}")
    given, images = type(images), as_images(images)
    if images.dtype.kind not in "iu":
        hint = dtype_hint("images" if given is np.ndarray else "np.asarray(images)", images, levels)
        raise ValueError(f"{name}: images are {images.dtype}, wanted integers 0..{levels - 1}{hint}")
    if images.ndim != 4:
        raise ValueError(
            f"{name}: images have shape {images.shape}, wanted (N, H, W, C); grey ones need images[..., None]"
        )
    if images.size and (images.min() < 0 or images.max() >= levels):
        raise ValueError(
            f"{name}: images range from {images.min()} to {images.max()}, wanted 0..{levels - 1}; "
            "pass the number of levels they really have"
        )
    return images


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
