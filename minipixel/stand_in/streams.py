"""Plays CUDA's streams and graphs: what a capture may record, and which memory two streams may not touch at once.

The stand-in does all work at once, so that nothing here makes results wrong. It finds what would be wrong on a card:

- Within a capture only kernels of a RawModule and products of cuBLAS are recorded, and nothing runs. All else is an
  error: copies to and from the host, waits, and functions of arrays, which take memory for their results.
- A graph has the addresses of its arrays. To launch it after one of them was given back is an error.
- Memory that a stream has touched may not be touched by another one that does not wait for it, until the host has
  waited for the first (`synchronize`, or a copy to the host).
"""

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from minipixel.stand_in import counting


class CUDARuntimeError(RuntimeError):
    """Plays `cupy.cuda.runtime.CUDARuntimeError`: the device refuses what was asked of it."""


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Place:
    """Where an array lies, as a graph knows it: the memory may be given back meanwhile."""

    def __init__(self, array: np.ndarray) -> None:
        memory = owner(array)
        self.memory = weakref.ref(memory)
        self.offset = array.ctypes.data - memory.ctypes.data
        self.shape, self.strides, self.dtype = array.shape, array.strides, array.dtype

    def array(self) -> np.ndarray | None:
        """The array, or None if its memory was given back."""
        memory = self.memory()
        if memory is None:
            return None
        whole = memory if memory.flags.c_contiguous else memory.T
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)


class Node:
    """One launch that a graph has recorded."""

    def __init__(self, what: str, arrays: Sequence[np.ndarray], run: Callable[..., None]) -> None:
        self.what, self.places, self.run = what, [Place(array) for array in arrays], run

    def arrays(self) -> list[np.ndarray]:
        """The arrays that it works on. Raises CUDARuntimeError if one of them is no longer there."""
        found = [place.array() for place in self.places]
        if any(array is None for array in found):
            number = next(i for i, array in enumerate(found) if array is None)
            raise CUDARuntimeError(f"graph: the memory of array {number} of {self.what} was given back; hold on to it")
        return [array for array in found if array is not None]


class Graph:
    """Plays `cupy.cuda.Graph`: launches that were recorded, to be replayed with one launch."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def launch(self, stream: "Stream | None" = None) -> None:
        """Do all that was recorded, on a stream, or on the current one."""
        with stream if stream is not None else contextlib.nullcontext():
            everything = [node.arrays() for node in self.nodes]
            outside_capture("graph.launch")
            _touch([array for arrays in everything for array in arrays])
            counting.launch(graph_nodes=len(self.nodes))
            for node, arrays in zip(self.nodes, everything, strict=True):
                node.run(*arrays)

    def upload(self, stream: "Stream | None" = None) -> None:
        """Bring the graph to the device before its first launch."""


class Stream:
    """Plays `cupy.cuda.Stream`."""

    null: "Stream"

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.is_null, self.is_non_blocking = null or ptds, non_blocking and not null
        self._nodes: list[Node] | None = None
        self._capturing_thread = 0
        self._touched: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
        if not self.is_null:
            _streams.add(self)

    def __enter__(self) -> "Stream":
        _stack().append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _stack().pop()

    def use(self) -> "Stream":
        """Make it the current stream."""
        _stack()[-1] = self
        return self

    def begin_capture(self, mode: int | None = None) -> None:
        """Record what is launched from now on, and run nothing."""
        if self.is_null:
            raise CUDARuntimeError("begin_capture: the null stream cannot be captured; make a Stream")
        if self._nodes is not None:
            raise CUDARuntimeError("begin_capture: the stream is capturing already")
        self._nodes, self._capturing_thread = [], threading.get_ident()

    def end_capture(self) -> Graph:
        """The graph of what was launched since `begin_capture`."""
        if self._nodes is None:
            raise CUDARuntimeError("end_capture: the stream is not capturing")
        nodes, self._nodes = self._nodes, None
        return Graph(nodes)

    def is_capturing(self) -> bool:
        """Whether it is capturing."""
        return self._nodes is not None

    def synchronize(self) -> None:
        """Let the host wait until the stream has done its work."""
        outside_capture("synchronize")
        counting.wait()
        self._touched.clear()

    def record(self, event: "Event | None" = None) -> "Event":
        """An event that tells when the stream has come here."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: "Event") -> None:
        """Let this stream's later work follow what came before the event."""
        outside_capture("wait_event")
        if event.stream is not None:  # as if that work were done: the order of the two is certain from here on
            event.stream._touched.clear()

    def _follows(self, other: "Stream") -> bool:
        """Whether the device itself puts the work of the two streams in order."""
        if self is other or (self.is_null and other.is_null):
            return True
        return (self.is_null and not other.is_non_blocking) or (other.is_null and not self.is_non_blocking)


class Event:
    """Plays `cupy.cuda.Event`, for streams that wait for each other, and for clocks."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.stream: Stream | None = None
        self.time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        """Note that the stream has come here."""
        outside_capture("event.record")
        self.stream, self.time = stream or get_current_stream(), time.perf_counter()

    def synchronize(self) -> None:
        """Let the host wait until the stream has come to the event."""
        (self.stream or get_current_stream()).synchronize()


def get_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events."""
    return 1000 * (end.time - start.time)


_streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()  # all but the null stream
_current = threading.local()
Stream.null = Stream(null=True)


def _stack() -> list[Stream]:
    if not hasattr(_current, "stack"):
        _current.stack = [Stream.null]
    return _current.stack


def get_current_stream() -> Stream:
    """The stream that this thread's work goes to."""
    return _stack()[-1]


def synchronize_device() -> None:
    """Let the host wait until all streams have done their work."""
    outside_capture("synchronize")
    counting.wait()
    for stream in (Stream.null, *_streams):
        stream._touched.clear()


def _capturing() -> Stream | None:
    """The stream that this thread captures."""
    mine = threading.get_ident()
    return next((one for one in tuple(_streams) if one._nodes is not None and one._capturing_thread == mine), None)


def outside_capture(what: str) -> None:
    """Raise CUDARuntimeError if this thread is capturing: a graph cannot hold what is about to happen."""
    if _streams and _capturing():
        raise CUDARuntimeError(f"{what}: not permitted while a stream is capturing (cudaErrorStreamCaptureUnsupported)")


def _touch(arrays: Sequence[np.ndarray]) -> None:
    """Note that the current stream works on these arrays. Raises CUDARuntimeError if another may be doing so."""
    if not _streams:
        return
    current = get_current_stream()
    for other in (Stream.null, *_streams):
        if not current._follows(other) and any(id(owner(array)) in other._touched for array in arrays):
            raise CUDARuntimeError("two streams touch the same memory, and neither waits; synchronize the first one")
    for array in arrays:
        current._touched[id(owner(array))] = owner(array)


def launch(what: str, arrays: Sequence[np.ndarray], run: Callable[..., None]) -> None:
    """Launch a kernel or a product, `run(*arrays)`, or record it if the current stream is capturing."""
    stream = _capturing() if _streams else None
    if stream is not None:
        if stream is not get_current_stream():
            raise CUDARuntimeError(f"{what}: launched on another stream than the one that is capturing")
        assert stream._nodes is not None
        stream._nodes.append(Node(what, arrays, run))
        return
    _touch(arrays)
    counting.launch()
    run(*arrays)


def compute(what: str, arrays: Sequence[np.ndarray], work: bool = True) -> None:
    """Note that a function or an operator worked on arrays, or, without `work`, that it only made room for one."""
    outside_capture(what)
    if work:
        _touch(arrays)
        counting.launch()


def copy_to_device(what: str, array: np.ndarray) -> None:
    """Note a copy from the host into an array."""
    outside_capture(what)
    _touch([array])
    counting.copy_to_device(array.nbytes)


def copy_to_host(what: str, array: np.ndarray) -> None:
    """Note a copy of an array to the host, which waits until the current stream has done its work."""
    outside_capture(what)
    _touch([array])
    counting.copy_to_host(array.nbytes)
    get_current_stream()._touched.clear()


def wait(what: str) -> None:
    """Note that a function lets the host wait for a number."""
    copy_to_host(what, np.empty(1, np.int64))
