"""The data picks the array library: NumPy on the host, CuPy on a GPU, nothing to switch."""

from types import ModuleType
from typing import Any

import numpy as np


def array_module(*arrays: Any) -> Any:
    """The library that the given arrays live in: `cupy` where one of them is a CuPy array, else `numpy`.

    Plain numbers belong to every library. Anything that answers `__array_namespace__` (the array API standard)
    names its own library, so a third one needs no change here.
    """
    for array in arrays:
        if not isinstance(array, (np.ndarray, np.generic, int, float, complex)):
            return array.__array_namespace__()
    return np


def to_cpu(array: Any) -> np.ndarray:
    """The same values as a NumPy array; a host array is returned as it is, a device array is copied over."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def to_device(array: Any) -> Any:
    """The same values as a CuPy array on the current GPU. Raises ImportError where CuPy is not installed."""
    return _cupy().asarray(array)


def _cupy() -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise ImportError("to_device: CuPy is not installed; pip install 'minipixel[cuda12]' or [cuda13]") from error
    return cupy
