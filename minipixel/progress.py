"""Progress bars for long work on a terminal, and a way to end such work early.

A bar appears only on a terminal, only after two seconds, and is removed at the end. `fit` has a bar of its own
(training/callbacks/progress.py), and no others appear within it.
"""

import contextlib
import contextvars
import signal
import threading
from collections.abc import Callable, Iterator

from minipixel import console

DELAY = 2.0
"""Seconds before a bar is shown."""


class Work:
    """A piece of work, perhaps done by several threads; `move` is called with how much more of it is done."""

    def __init__(self, move: Callable[[float], object] | None = None) -> None:
        self._move, self._lock, self._stopped = move, threading.Lock(), False

    def advance(self, amount: float) -> None:
        """Report that so much more is done. Raises KeyboardInterrupt if the work should end."""
        if self._stopped:
            raise KeyboardInterrupt
        if self._move is not None:
            with self._lock:
                self._move(amount)

    def stop(self) -> None:
        """End the work, in every thread, at its next report."""
        self._stopped = True

    @contextlib.contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """Within this block a first Ctrl-C stops the work, a second one interrupts at once.

        So the interruption is raised where work reports, and not while a thread is being started, or in a destructor,
        where Python would ignore it. This works in the main thread only, and if nobody else handles Ctrl-C.
        """
        usual, here = signal.default_int_handler, threading.current_thread() is threading.main_thread()
        if not here or signal.getsignal(signal.SIGINT) is not usual:
            yield
            return

        def on_interrupt(number: int, frame: object) -> None:
            self.stop()
            signal.signal(signal.SIGINT, usual)

        signal.signal(signal.SIGINT, on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)
        self.advance(0)


_work: contextvars.ContextVar[Work | None] = contextvars.ContextVar("work", default=None)


def advance(amount: float) -> None:
    """Report that so much more of this thread's work is done, if it has any."""
    work = _work.get()
    if work is not None:
        work.advance(amount)


@contextlib.contextmanager
def shown(total: float, unit: str) -> Iterator[Work]:
    """A piece of work of size `total`, with a bar if this is a terminal, and there is no bar already.

    Threads that are started within this block (shards.py) work on it.
    """
    if _work.get() is not None or not console.stderr.isatty():
        with _working(Work()) as work:
            yield work
        return
    from tqdm import tqdm

    bar = tqdm(
        total=total, unit=unit, unit_scale=True, delay=DELAY, leave=False, dynamic_ncols=True, file=console.stderr
    )
    with bar, _working(Work(bar.update)) as work:
        yield work


def quiet() -> contextlib.AbstractContextManager[Work]:
    """Within this block there are no bars."""
    return _working(Work())


@contextlib.contextmanager
def _working(work: Work) -> Iterator[Work]:
    token = _work.set(work)
    try:
        yield work
    finally:
        _work.reset(token)
