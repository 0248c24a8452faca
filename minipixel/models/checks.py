"""Checks of arguments. Each raises ValueError with one line: the argument, what it got, what it wanted, a way out."""

from typing import Any

import numpy as np

from minipixel import console
from minipixel.heads import level_dtype
from minipixel.models.arrays import as_array, is_picture
from minipixel.shown import short
from minipixel.spelling import did_you_mean

MANY = 2**31 - 1
"""A bound for counts that cost no memory by themselves."""

MAX_CHANNELS = 64
"""The most channels that a pixel may have."""

MAX_SUBPIXELS = 2**26
"""The largest image that is accepted, in sub-pixels: a typing slip should not take all memory."""


def check_count(name: str, value: Any, lowest: int, highest: int = 2**16) -> int:
    """`value` as an int, if it is a whole number in lowest..highest; else ValueError."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not lowest <= value <= highest:
        hint = ""
        if isinstance(value, (float, np.floating)) and value.is_integer():
            hint = f"; say {int(value)}"
        elif isinstance(value, (tuple, list)):
            hint = f"; say how many, {len(value)}"
        raise ValueError(f"{name}: got {short(value)}, wanted a whole number in {lowest}..{highest}{hint}")
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
        raise ValueError(f"{name}: got {short(value)}, wanted a number in [0, 1); 0 drops nothing")
    return float(value)


def check_temperature(value: Any) -> float:
    """`value` as a float, if it is a number from 0 up; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ValueError(
            f"temperature: got {short(value)}, wanted a number from 0 up; 1.0 samples from the model itself, 0 takes "
            "the likeliest level of each sub-pixel"
        )
    return float(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value`, if it is one of the choices; else ValueError."""
    if not isinstance(value, str) or value not in choices:
        wanted = ", ".join(map(repr, choices))
        raise ValueError(f"{name}: got {short(value)}, wanted one of {wanted}{did_you_mean(value, choices)}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value`, if it is True or False; else ValueError."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: got {short(value)}, wanted True or False")
    return bool(value)


def check_shape(shape: Any) -> tuple[int, int, int]:
    """An image shape (H, W, C) with C in 1..64; else ValueError."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes)
    many = whole and np.prod([int(size) for size in sizes]) > MAX_SUBPIXELS
    if len(sizes) != 3 or not whole or sizes[2] > MAX_CHANNELS or many:
        wanted = f"(H, W, C), channels last, with C in 1..{MAX_CHANNELS}: 1 for grey, 3 for red, green, blue"
        raise ValueError(f"image_shape: got {short(shape)}, wanted {wanted}{_sizes_hint(sizes) if whole else ''}")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def warn_of_channels_first(image_shape: tuple[int, int, int]) -> None:
    """Warn of a shape that is a legal one, but looks like a square picture's with channels first, (3, 32, 32)."""
    H, W, C = image_shape
    if H in (1, 3, 4) and W == C >= 8:
        console.warn(
            f"image_shape: got {image_shape}, which is {H} x {W} pixels of {C} channels; channels go last: if {H} is "
            f"the number of channels, say {(W, C, H)}",
            stacklevel=console.callers(),
        )


def _sizes_hint(sizes: tuple[int, ...]) -> str:
    """The end of the message: the (H, W, C) that may have been meant by two or four sizes, or by channels first."""
    meant = {2: (*sizes, 1), 3: sizes[1:] + sizes[:1], 4: sizes[1:]}.get(len(sizes), ())
    return f"; say {meant}" if meant and meant[2] <= MAX_CHANNELS else ""


def check_features(name: str, value: Any, C: int) -> int:
    """The number of feature channels, if there is at least one for each of C image channels; else ValueError.

    With fewer the model would still be causal, but some channels could not depend on all earlier ones of their pixel.
    """
    count = check_count(name, value, 1)
    if count < C:
        wanted = f"wanted a whole number in {C}..{2**16}, a feature at least for each of the {C} channels"
        raise ValueError(f"{name}: got {count}, {wanted}; say {name}={C}, or more")
    return count


def check_images(images: Any, image_shape: tuple[int, int, int], levels: int) -> np.ndarray:
    """Images as an integer array (N, H, W, C) in 0..Q-1 with N >= 1; else ValueError, with a way out.

    A PIL picture, a list of them, and True and False for 2 levels are accepted, since they can mean nothing else.
    """
    given, images = images, as_images(images)
    written = "images" if type(given) is np.ndarray else "np.asarray(images)"
    H, W, C = image_shape
    if images.shape[1:] != image_shape or images.ndim != 4 or len(images) == 0:
        hint = _shape_hint(written, images.shape, image_shape)
        raise ValueError(f"images: got shape {images.shape}, wanted (N, {H}, {W}, {C}) with N >= 1{hint}")
    if images.dtype.kind == "b" and levels == 2:
        return images.astype(np.uint8)
    if images.dtype.kind not in "ui":
        hint = dtype_hint(written, images, levels)
        raise ValueError(
            f"images: got dtype {images.dtype}, wanted integers in 0..{levels - 1} ({_dtype(levels)}){hint}"
        )
    lowest, highest = int(images.min()), int(images.max())
    if lowest < 0 or highest >= levels:
        raise ValueError(
            f"images: got levels {lowest}..{highest}, wanted 0..{levels - 1}; "
            "see minipixel.datasets.quantize and binarize, or give the model more levels"
        )
    return images


def check_any_images(name: str, images: Any, levels: int) -> np.ndarray:
    """Images of any size and number of channels, as integers (N, H, W, C) in 0..Q-1 with N >= 1; else ValueError."""
    images = as_images(images)
    if images.ndim != 4 or 0 in images.shape:
        hint = f"; add a channel axis: {name}[..., None]" if images.ndim == 3 else ""
        raise ValueError(f"{name}: got shape {images.shape}, wanted (N, H, W, C) with N >= 1{hint}")
    if images.dtype.kind not in "uib" or images.min() < 0 or images.max() >= levels:
        got = f"{images.dtype} in {images.min()}..{images.max()}"
        raise ValueError(f"{name}: got {got}, wanted whole numbers in 0..{levels - 1}; give the levels that they have")
    return images


def as_images(images: Any) -> np.ndarray:
    """Images as an array, not checked. PIL pictures, one or a list, give an array with all axes (N, H, W, C)."""
    pictures = [images] if is_picture(images) else images
    if isinstance(pictures, (list, tuple)) and pictures and all(is_picture(picture) for picture in pictures):
        array = as_array("images", list(pictures))
        return array if array.ndim == 4 else array[..., None]
    return as_array("images", images)


def _shape_hint(images: str, shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> str:
    """What to write in place of `images` whose shape is not (N, H, W, C), where the shape shows it."""
    H, W, C = image_shape
    ways: list[tuple[bool, str]] = [
        (shape == image_shape, f"add a batch axis: {images}[None]"),
        (len(shape) == 4 and shape[1:] == (C, H, W), f"channels go last: {images}.transpose(0, 2, 3, 1)"),
        (shape == (C, H, W) and C > 1, f"channels go last, after a batch axis: {images}.transpose(1, 2, 0)[None]"),
        (shape[1:] == (H, W) and len(shape) == 3 and C == 1, f"add a channel axis: {images}[..., None]"),
        (shape == (H, W) and C == 1, f"add a batch and a channel axis: {images}[None, ..., None]"),
        (len(shape) == 2 and shape[1] == H * W * C, f"they are flat: {images}.reshape(-1, {H}, {W}, {C})"),
        (shape == (H * W * C,), f"it is flat: {images}.reshape(1, {H}, {W}, {C})"),
        (shape[1:] == (H, W, 4) and C == 3, f"leave the alpha channel out: {images}[..., :3]"),
        (shape[1:] == (H, W, 1) and C == 3, f"repeat the grey channel: np.repeat({images}, 3, axis=-1)"),
        (shape[1:] == (H, W, 3) and C == 1, f"make them grey, or the model with image_shape=({H}, {W}, 3)"),
        (
            len(shape) == 4 and 0 not in shape and shape[3] <= MAX_CHANNELS,
            f"scale or crop them, or make the model with image_shape={shape[1:]}",
        ),
    ]
    return next((f"; {way}" for fits, way in ways if fits), "")


def _dtype(levels: int) -> str:
    """The name of the integers that hold so many levels."""
    return np.dtype(level_dtype(levels)).name


def dtype_hint(images: str, numbers: np.ndarray, levels: int) -> str:
    """What to write in place of `images` that are no integers: floats, as most libraries have them, or booleans."""
    top, kind = levels - 1, _dtype(levels)
    if numbers.dtype.kind == "b" and levels == 2:
        return f'; make numbers of them: {images}.astype("uint8")'
    if numbers.dtype.kind == "b":
        return f"; make them black and white: {images} * np.{kind}({top})"
    if numbers.dtype.kind != "f":
        return ""
    lowest, highest = numbers.min(), numbers.max()
    if not np.isfinite([lowest, highest]).all():
        return "; there are NaN or infinite numbers among them"
    if lowest >= 0 and highest <= top and (numbers == np.rint(numbers)).all() and (highest > 1 or top == 1):
        return f'; they are whole: {images}.astype("{kind}")'
    if lowest >= 0 and highest <= 1:
        return f'; of floats in 0..1 make levels: np.rint({images} * {top}).astype("{kind}")'
    if lowest >= -1 and highest <= 1:
        return f'; of floats in -1..1 make levels: np.rint(({images} + 1) * {top / 2:g}).astype("{kind}")'
    return f'; scale them to 0..{top}, then np.rint(...).astype("{kind}")'


def check_known(known: Any, N: int, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Which pixels of N images are known, boolean (N, H, W); (H, W) stands for all images. Else ValueError.

    Numbers are accepted if they are all 0 or 1.
    """
    known, (H, W, _) = as_array("known", known), image_shape
    if known.dtype.kind in "iuf" and np.isin(known, (0, 1)).all():
        known = known.astype(bool)
    if known.dtype != bool or known.shape not in ((H, W), (N, H, W)):
        hint = ""
        if known.dtype.kind in "iuf":
            hint = "; compare: known > 0"
        elif known.ndim > 2 and known.shape[-3:-1] == (H, W):
            hint = "; it is for pixels, not for their channels: known[..., 0]"
        wanted = f"True and False of shape ({H}, {W}) or ({N}, {H}, {W})"
        raise ValueError(f"known: got {known.dtype} of shape {known.shape}, wanted {wanted}{hint}")
    return np.broadcast_to(known, (N, H, W))


def check_labels(labels: Any, N: int, name: str = "labels", wanted: str = "") -> np.ndarray:
    """The labels of N images as an integer array (N,); else ValueError, with a way out.

    A column (N, 1) is accepted, and so are floats that are whole numbers.
    """
    labels = as_array(name, labels)
    if labels.shape == (N, 1):
        labels = labels[:, 0]
    if labels.shape == (N,) and labels.dtype.kind == "f" and (labels == np.clip(np.rint(labels), -MANY, MANY)).all():
        labels = labels.astype(np.int64)
    if labels.shape != (N,) or labels.dtype.kind not in "iu":
        wanted = wanted or f"{N} integers, one per image"
        hint = _label_hint(name, labels, N)
        raise ValueError(f"{name}: got {labels.dtype} of shape {labels.shape}, wanted {wanted}{hint}")
    return labels


def check_weights(name: str, weights: Any, N: int, dtype: str) -> np.ndarray | None:
    """How much each of N images counts: numbers (N,), finite in the model's dtype, or None; else ValueError.

    They may be 0 or negative.
    """
    if weights is None:
        return None
    weights = as_array(name, weights)
    if weights.shape != (N,) or weights.dtype.kind not in "biuf":
        hint = f"; take the axis away: {name}[:, 0]" if weights.shape == (N, 1) else ""
        got = f"{weights.dtype} of shape {weights.shape}"
        raise ValueError(f"{name}: got {got}, wanted {N} numbers, one for each image{hint}")
    with np.errstate(over="ignore"):
        numbers = weights.astype(dtype)
    if not np.isfinite(numbers).all():
        odd = weights[~np.isfinite(numbers)][0]
        raise ValueError(f"{name}: got {odd}, wanted finite numbers, in {dtype} too, as the model has them")
    return numbers


def _label_hint(name: str, labels: np.ndarray, N: int) -> str:
    """The end of the message: what to write in place of something that is not labels."""
    if labels.dtype.kind in "biuf" and labels.ndim == 2 and len(labels) == N:
        hot = np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()
        return f"; they are one-hot: {name}.argmax(axis=1)" if hot else ""
    if labels.dtype.kind in "USO" and labels.shape == (N,):
        return f"; number the words: np.unique({name}, return_inverse=True)[1]"
    if labels.dtype.kind == "b" and labels.shape == (N,):
        return f"; make numbers of them: {name}.astype(int)"
    if labels.shape == (1,):
        return f"; for the same label for all: {name}[0]" if name == "condition" else ""
    return ""
