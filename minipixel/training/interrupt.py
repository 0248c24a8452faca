"""Ctrl-C or SIGTERM during training: after the first the current step is finished, a second one ends it at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minipixel import console
from minipixel.training.history import History


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by Ctrl-C. The current step was finished, so the model can be used as it is.

    `history` is the History so far. `checkpoint` is the last file that callbacks.ModelCheckpoint wrote, or None;
    `fit(..., resume=checkpoint)` continues from it. (A second Ctrl-C ends the step at once: some weights may then be
    one step ahead of others, which does no harm.)
    """

    def __init__(self, history: History, checkpoint: Path | None = None) -> None:
        way_on = f"; to go on: fit(..., resume={str(checkpoint)!r})" if checkpoint else ""
        super().__init__(f"training was interrupted; the model keeps what it has learnt so far{way_on}")
        self.history, self.checkpoint = history, checkpoint


@contextmanager
def finish_the_step(say_so: bool) -> Iterator[Callable[[], bool]]:
    """Within this block the yielded function returns True after a first Ctrl-C; a second one interrupts at once.

    SIGTERM, by which schedulers and launchers end a process, counts like Ctrl-C, unless somebody else listens to it.
    This works in the main thread alone, since Python handles signals there; in other threads nothing is changed.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def on_signal(number: int, frame: Any) -> None:
        asked.set()
        if say_so:
            name = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            print(f"\n{name}: finishing the step; once more to stop at once", file=console.stderr)
        signal.signal(number, before[number])

    numbers = [signal.SIGINT] + [signal.SIGTERM] * (signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    before: dict[int, Any] = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
