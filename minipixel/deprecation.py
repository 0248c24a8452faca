"""Names that have another one now: they work for one more minor version, and say in one line what to write instead.

The table of these is `GOING`; a test calls each, and compares the interface with that of every release.
"""

import warnings

GOING = {
    "to_device()": ('to("cuda")', "0.3"),
    "to_cpu()": ('to("cpu")', "0.3"),
}
"""What is deprecated: what to write instead, and the version in which it is gone."""


def going(name: str) -> None:
    """Warn, at the line that called the deprecated function, that it is going. `name` is a row of GOING."""
    instead, gone_in = GOING[name]
    warnings.warn(f"{name} will be gone in minipixel {gone_in}; write {instead}", DeprecationWarning, stacklevel=3)
