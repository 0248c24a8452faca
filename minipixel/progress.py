"""Long work: a bar on the terminal for what turns out to be slow, and a way to end it early.

Nobody asks for the bar, so it is there only where somebody sits and looks, only after two seconds, and it is gone at
the end. `fit` has a bar of its own (training/callbacks/progress.py), so within it there are no others.
"""

import contextlib
import contextvars
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
        """So much more is done. Raises KeyboardInterrupt in a thread that works on what was interrupted in another."""
        if self._stopped:
            raise KeyboardInterrupt
        if self._move is not None:
            with self._lock:
                self._move(amount)

    @contextlib.contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """A Ctrl-C within this block ends the work of other threads, too, when next they advance."""
        try:
            yield
        except KeyboardInterrupt:
            self._stopped = True
            raise


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
