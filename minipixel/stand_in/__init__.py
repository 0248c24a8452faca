"""A strict stand-in for CuPy, so that code for a GPU can be run, tested and read on a machine without one."""

import contextlib
from collections.abc import Iterator

from minipixel import backend
from minipixel.stand_in import special
from minipixel.stand_in.arrays import NAMES, DeviceArray, to_device_array, to_host
from minipixel.stand_in.counting import Counts, counted
from minipixel.stand_in.examining import KernelError, examined
from minipixel.stand_in.launching import threads_in_a_block
from minipixel.stand_in.library import device

__all__ = [
    "NAMES",
    "Counts",
    "DeviceArray",
    "KernelError",
    "counted",
    "device",
    "examined",
    "installed",
    "special",
    "threads_in_a_block",
    "to_device_array",
    "to_host",
]


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Within it the stand-in is what CuPy is on a machine with a GPU, so that `model.to("cuda")` goes to it.

    >>> import minipixel as mp
    >>> from minipixel import stand_in
    >>> with stand_in.installed(), stand_in.counted() as counts:
    ...     model = mp.models.PixelCNN((4, 4, 1), levels=2, hidden=6, blocks=1).to("cuda")
    >>> model.device, counts.launches, counts.to_device.copies == len(model.parameters())
    ('cuda', 0, True)
    """
    with backend.played_by(device):
        yield
