"""Long work: a bar on the terminal for what turns out to be slow, and a way to end it early.

Nobody asks for the bar, so it is there only where somebody sits and looks, only after two seconds, and it is gone at
the end. `fit` has a bar of its own (training/callbacks/progress.py), so within it there are no others.
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
    """What is worked on, perhaps by several threads: `move` is told how much more of it is done."""

    def __init__(self, move: Callable[[float], object] | None = None) -> None:
        self._move, self._lock, self._stopped = move, threading.Lock(), False

    def advance(self, amount: float) -> None:
        """So much more is done. Raises KeyboardInterrupt if the work is to end."""
        if self._stopped:
            raise KeyboardInterrupt
        if self._move is not None:
            with self._lock:
                self._move(amount)

    def stop(self) -> None:
        """End it, in every thread, when next it advances."""
        self._stopped = True

    @contextlib.contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """Within this block a first Ctrl-C stops the work, a second one interrupts at once.

        So it comes where work advances, not in the midst of starting a thread, nor where Python drops what is raised (a
        destructor). Only the main thread hears of Ctrl-C, and where somebody else listens to it, it is theirs.
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
    """So much more is done of what this thread works on, if that is known."""
    work = _work.get()
    if work is not None:
        work.advance(amount)


@contextlib.contextmanager
def shown(total: float, unit: str) -> Iterator[Work]:
    """Work that takes `total` to do, with a bar if somebody looks and nobody has a bar already.

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
