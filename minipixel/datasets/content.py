"""Reading a whole file into memory, after a check of its size and, where one is published, of its digest."""

import hashlib
import os

from minipixel.errors import FormatError
from minipixel.files import read_regular


def read_content(path: str | os.PathLike[str], max_bytes: int, sha256: str | None = None) -> bytes:
    """Read a whole file of at most `max_bytes`; `sha256` is the hex digest that it must have.

    Raises FormatError if it is larger or another file; FileNotFoundError and other OSErrors as the system gives them.
    """
    content = read_regular(path, max_bytes)
    if sha256 is not None and (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise FormatError(
            f"{path}: {len(content)} bytes with SHA-256 {digest}, expected {sha256}; it is not the original of this "
            "data set"
        )
    return content
