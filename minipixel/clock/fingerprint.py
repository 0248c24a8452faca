"""Fingerprints of constants, by which two of them are compared; those of arrays change when the array is written to."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from minipixel.backend import to_cpu
from minipixel.clock.sealed import Sealed
from minipixel.draws import Kept
from minipixel.tensor import Tensor


def fingerprint(given: Any, refuse: Callable[[Tensor], Any]) -> Any:
    """A fingerprint: arrays by a digest, containers by their parts, numbers to the last bit, anything else by `==`.

    `refuse` is called with a sealed Tensor, which no constant may contain.
    """
    data = given.data if isinstance(given, Tensor) else given
    if isinstance(data, Sealed):
        return refuse(data.tensor)
    if isinstance(data, Kept):
        return Kept, data.layer, repr(data.rate)
    if hasattr(data, "dtype") and hasattr(data, "shape"):
        array = np.ascontiguousarray(to_cpu(data))
        return array.dtype.str, tuple(data.shape), hashlib.blake2b(array.tobytes(), digest_size=16).digest()
    if isinstance(data, (list, tuple)):
        return type(data), tuple(fingerprint(part, refuse) for part in data)
    if isinstance(data, dict):
        return {key: fingerprint(part, refuse) for key, part in data.items()}
    return (type(data), repr(data)) if isinstance(data, (int, float, complex)) else data


def of_one(constant: Any) -> Any:
    """A constant map (H, W, N, K) that is the same for all images, as that of one image; anything else as it is."""
    if getattr(constant, "ndim", 0) != 4 or constant.shape[2] < 2:
        return constant
    one = constant[:, :, :1]
    return one if bool((constant == one).all()) else constant
