"""The split of a picture is decided by a hash of its content, and so does not depend on other pictures."""

import hashlib
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minipixel.randomness import seed_sequence
from minipixel.shown import short

KEY_BYTES = 16


def key_of(rng: Any) -> bytes:
    """A key from an `rng`, which is mixed into the hashes; another key gives other test pictures."""
    return seed_sequence(rng).generate_state(KEY_BYTES // 4).astype("<u4").tobytes()


def place_of(digest: bytes, key: bytes) -> float:
    """A number in [0, 1) for a picture, from its digest; pictures are spread evenly."""
    mixed = hashlib.blake2b(digest, digest_size=8, key=key).digest()
    return (int.from_bytes(mixed, "big") >> 11) * 2.0**-53


def random_of(digest: bytes, key: bytes) -> np.random.Generator:
    """The generator of a picture's own random numbers, which depends on its content and the key alone."""
    return np.random.default_rng(np.frombuffer(hashlib.blake2b(digest, key=key).digest(), np.uint32))


def check_split(split: Any) -> float:
    """`split` as a float, if it is a share in [0, 1); else ValueError."""
    if isinstance(split, bool) or not isinstance(split, (Real, np.generic)) or not 0 <= float(split) < 1:
        raise ValueError(
            f"split: got {short(split)}, wanted the share of test pictures, a number in [0, 1); such as 0.1"
        )
    return float(split)


def digest_of(image: NDArray[Any]) -> bytes:
    """SHA-256 of one image of an array: dtype, shape and numbers."""
    digest = hashlib.sha256(f"{image.dtype.newbyteorder('<').str} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image, image.dtype.newbyteorder("<")).data)
    return digest.digest()
