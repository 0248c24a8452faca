"""One line for every argument that cannot be meant: what, got, wanted, way out."""

from typing import Any

import numpy as np

from minipixel.backend import to_cpu

MANY = 2**31 - 1
"""A bound for counts that cost no memory by themselves."""

MAX_SUBPIXELS = 2**26
"""The largest image that is accepted, in sub-pixels: a typing slip should not take all memory."""


def check_count(name: str, value: Any, lowest: int, highest: int = 2**16) -> int:
    """`value` as an int, if it is a whole number in lowest..highest; else ValueError."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        raise ValueError(f"{name}: got {value!r}, wanted a whole number in {lowest}..{highest}")
    return int(value)


def check_kernel(name: str, size: Any) -> int:
    """`size`, if it is an odd number of taps from 3 on, so that there is a centre with neighbours; else ValueError."""
    if isinstance(size, (tuple, list)):
        raise ValueError(f"{name}: got {size!r}, wanted one odd number, since the kernel is as high as it is wide")
    if check_count(name, size, 3, 255) % 2 == 0:
        raise ValueError(f"{name}: got {size}, wanted an odd number, so that the kernel has a centre; try {size + 1}")
    return int(size)


def check_rate(name: str, value: Any) -> float:
    """`value` as a float, if it is a number in [0, 1): the share of something that is dropped; else ValueError."""
    if not isinstance(value, (int, float, np.number)) or not 0 <= value < 1:
        raise ValueError(f"{name}: got {value!r}, wanted a number in [0, 1); 0 drops nothing")
    return float(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value`, if it is one of the choices; else ValueError."""
    if value not in choices:
        raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(map(repr, choices))}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value`, if it is True or False; else ValueError."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: got {value!r}, wanted True or False")
    return bool(value)


def check_shape(shape: Any) -> tuple[int, int, int]:
    """An image shape (H, W, C) with C = 1 or 3; else ValueError."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes)
    if len(sizes) != 3 or not whole or sizes[2] not in (1, 3) or np.prod([int(size) for size in sizes]) > MAX_SUBPIXELS:
        raise ValueError(
            f"image_shape: got {shape!r}, wanted (H, W, C), channels last, with C = 1 (grey) or 3 (red, green, blue)"
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def check_images(images: Any, image_shape: tuple[int, int, int], levels: int) -> np.ndarray:
    """Images as an integer array (N, H, W, C) in 0..Q-1 with N >= 1; else ValueError."""
    images = to_cpu(images)
    H, W, C = image_shape
    if images.shape[1:] != image_shape or images.ndim != 4 or len(images) == 0:
        hint = "; add a batch axis: images[None]" if images.shape == image_shape else ""
        raise ValueError(f"images: got shape {images.shape}, wanted (N, {H}, {W}, {C}) with N >= 1{hint}")
    if images.dtype.kind not in "ui":
        raise ValueError(
            f"images: got dtype {images.dtype}, wanted integers in 0..{levels - 1} (uint8); scaling is the model's work"
        )
    lowest, highest = int(images.min()), int(images.max())
    if lowest < 0 or highest >= levels:
        raise ValueError(
            f"images: got levels {lowest}..{highest}, wanted 0..{levels - 1}; "
            "see minipixel.datasets.quantize and binarize, or give the model more levels"
        )
    return images


def check_known(known: Any, N: int, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Which pixels of N images are known, boolean (N, H, W), from that or from (H, W) for all; else ValueError."""
    known, (H, W, _) = to_cpu(known), image_shape
    if known.dtype != bool or known.shape not in ((H, W), (N, H, W)):
        wanted = f"True and False of shape ({H}, {W}) or ({N}, {H}, {W})"
        raise ValueError(f"known: got {known.dtype} of shape {known.shape}, wanted {wanted}")
    return np.broadcast_to(known, (N, H, W))


def check_labels(labels: Any, N: int) -> np.ndarray:
    """The labels of N images as an integer array (N,); else ValueError."""
    labels = to_cpu(labels)
    if labels.shape != (N,) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels: got {labels.dtype} of shape {labels.shape}, wanted {N} integers, one an image")
    return labels
