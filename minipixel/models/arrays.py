"""Conversion to NumPy arrays of whatever people pass as an array: lists, PyTorch Tensors, PIL pictures.

None of these libraries is imported: their objects are recognised by their attributes.
"""

from typing import Any

import numpy as np

from minipixel.backend import OF_DEVICES, to_cpu
from minipixel.tensor import Tensor

MODES = ("1", "L", "LA", "RGB", "RGBA")
"""The modes of PIL pictures whose numbers are grey levels or red, green, blue; those of palettes and CMYK are not."""


def as_array(name: str, value: Any) -> np.ndarray:
    """A value as an array on the host. Raises ValueError, with the argument's name, for a value that is no array.

    A value that could be meant in two ways is refused: a data set, a picture with a palette, a masked array.
    """
    if type(value) is np.ndarray and value.dtype != object:
        return value
    if isinstance(value, Tensor):
        return to_cpu(value.data)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name}: got a masked array, wanted a plain one; fill it, {name}.filled(0) say")
    if is_picture(value):
        return _of_picture(name, value)
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (int, float, list, tuple, str)):
        return _stacked(name, [as_array(name, item) for item in value])
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()  # PyTorch: off the tape, off the GPU
    elif value is None or isinstance(value, (str, bytes, dict, set)) or not _array_like(value):
        raise ValueError(f"{name}: got {what(value)}, wanted an array{_way_out(name, value)}")
    try:
        array = to_cpu(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}: got {what(value)} that NumPy cannot hold, wanted an array; {_line(error)}") from None
    if array.dtype == object:
        raise ValueError(f"{name}: got {what(value)} of mixed things, wanted numbers of one kind")
    return array


def is_picture(value: Any) -> bool:
    """Whether it is a PIL picture."""
    return all(hasattr(value, attribute) for attribute in ("mode", "getbands", "convert"))


def _of_picture(name: str, picture: Any) -> np.ndarray:
    if picture.mode not in MODES:
        raise ValueError(
            f"{name}: got a picture of mode {picture.mode!r}, wanted one of {', '.join(MODES)}; "
            '.convert("RGB") or .convert("L") it'
        )
    return np.asarray(picture)


def _stacked(name: str, arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays of one shape as one array."""
    other = next((array for array in arrays if array.shape != arrays[0].shape), None)
    if other is not None:
        raise ValueError(f"{name}: got a list of shapes {arrays[0].shape} and {other.shape}, wanted all of one shape")
    return np.stack(arrays)


def _array_like(value: Any) -> bool:
    return isinstance(value, (int, float, complex, list, tuple, range)) or any(
        hasattr(value, name) for name in ("__array__", "__array_interface__", *OF_DEVICES)
    )


def what(value: Any) -> str:
    """A value in a few words for a message: a text as it is, a class by its name, anything else by its class."""
    if value is None or isinstance(value, (str, bytes)):
        return f"{value!r:.60}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a {type(value).__name__}"


def _way_out(name: str, value: Any) -> str:
    """The end of the message: what to pass instead, where that can be guessed."""
    if hasattr(value, "train") and hasattr(value, "test"):
        return "; pass its ds.train.images, or its ds.train.labels, say"
    if hasattr(value, "images") and hasattr(value, "labels"):
        return "; pass its .images, or its .labels"
    if isinstance(value, str) and name in ("images", "validation"):
        return "; mp.datasets.load gives sets of them, mp.datasets.read_png a single one"
    if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
        return f"; np.stack its items{', by their keys' if isinstance(value, dict) else ''}"
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
