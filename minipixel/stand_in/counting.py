"""What device code costs, counted: launches of kernels, copies to and from the device, and waits for it."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """Copies in one direction: how many, and their bytes."""

    copies: int = 0
    bytes: int = 0


@dataclass
class Counts:
    """What happened on the device within `counted()`.

    - `launches`: one for each call of a library function, method or operator that computes or moves numbers on the
      device (CuPy launches one kernel for most, a few for some), for each launch of a RawModule's kernel, each matrix
      product, and each launch of a whole graph. Views (reshape, transpose, slices), questions about shapes and types,
      and empty arrays launch nothing.
    - `graph_nodes`: the kernels and products that ran within launched graphs. They cost the host no launch.
    - `to_device` and `to_host`: the copies. Reading a device array as a Python number is a copy to the host.
    - `waits`: how often the host waited for the device: at each copy to the host, and at each synchronize.
    """

    launches: int = 0
    graph_nodes: int = 0
    to_device: Traffic = field(default_factory=Traffic)
    to_host: Traffic = field(default_factory=Traffic)
    waits: int = 0


_open: list[Counts] = []
_lock = threading.Lock()


@contextlib.contextmanager
def counted() -> Iterator[Counts]:
    """Count what happens on the stand-in device within a `with` block, in all threads. Blocks may lie in each other."""
    counts = Counts()
    with _lock:
        _open.append(counts)
    try:
        yield counts
    finally:
        with _lock:
            _open[:] = [other for other in _open if other is not counts]


def launch(number: int = 1, graph_nodes: int = 0) -> None:
    """Note that kernels were launched."""
    with _lock:
        for counts in _open:
            counts.launches += number
            counts.graph_nodes += graph_nodes


def copy_to_device(size: int) -> None:
    """Note a copy of `size` bytes from the host to the device."""
    with _lock:
        for counts in _open:
            counts.to_device.copies += 1
            counts.to_device.bytes += size


def copy_to_host(size: int) -> None:
    """Note a copy of `size` bytes from the device to the host, for which the host waits."""
    with _lock:
        for counts in _open:
            counts.to_host.copies += 1
            counts.to_host.bytes += size
            counts.waits += 1


def wait() -> None:
    """Note that the host waited for the device."""
    with _lock:
        for counts in _open:
            counts.waits += 1
