"""The array library is that of the data: NumPy on the host, CuPy on a GPU. There is nothing to switch."""

import importlib
from types import ModuleType
from typing import Any

import numpy as np


def array_module(*arrays: Any) -> Any:
    """The array library of the given arrays: `cupy` if one of them is a CuPy array, else `numpy`.

    Plain numbers belong to every library. Raises TypeError for anything that is no array.
    """
    for array in arrays:
        if not isinstance(array, (np.ndarray, np.generic, int, float, complex)):
            if type(array).__module__.partition(".")[0] == "cupy":
                return _cupy()
            if not hasattr(array, "__array_namespace__"):  # the array API's own answer, which CuPy 14 does not give
                raise TypeError(f"array_module: got a {type(array).__name__}, wanted NumPy or CuPy arrays")
            return array.__array_namespace__()
    return np


def special(xp: Any) -> Any:
    """The special functions for the arrays of a library, `scipy.special` or CuPy's, imported when first asked for."""
    return importlib.import_module("scipy.special" if xp is np else "cupyx.scipy.special")


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
