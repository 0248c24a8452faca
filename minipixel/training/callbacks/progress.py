"""The progress bar of `fit`, and the lines that are written where no terminal shows a bar."""

import time
from typing import Any

from minipixel import console
from minipixel.kernels import compiling
from minipixel.training.callbacks.callback import Callback

QUIET = ("gradient_norm", "learning_rate", "seconds")
"""What is in the History, but not in a line."""


class Progress(Callback):
    """Shows loss, bits/dim, images/s and the time left: as a bar on a terminal, and as a line now and then.

    The first training on a machine compiles kernels. The bar says so, and leaves these seconds out of its figures.
    """

    reads_numbers = True
    writes = True

    def __init__(self, epochs: int, seconds_between_lines: float = 10.0) -> None:
        self.epochs = epochs
        self.seconds_between_lines = seconds_between_lines
        compiling.announce(_say)  # now: a model is initialized, which may compile, before training begins

    def on_train_begin(self, model: Any, images_in_all: int) -> None:
        """Draw the empty bar."""
        from tqdm import tqdm

        where: dict[str, Any] = {"file": console.stderr, "disable": not console.stderr.isatty()}
        self._bar = tqdm(total=images_in_all, unit="images", dynamic_ncols=True, leave=False, **where)
        self._images, self._in_all = 0, images_in_all
        self._start = self._last_line = time.monotonic()
        self._compiled = compiling.seconds()

    def on_batch_end(self, epoch: int, images: int, logs: dict[str, float]) -> None:
        """Move on by one batch."""
        self._images += images
        self._leave_out_compiling()
        self._bar.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
        shown = {name: f"{value:.4g}" for name, value in logs.items() if name not in QUIET}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(images)
        if self._bar.disable and self._due():
            self._line(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Print a line, unless one was printed just now; the first and the last epoch always get theirs."""
        if epoch == 0 or epoch + 1 == self.epochs or self._due():
            self._line(epoch, logs)

    def on_train_end(self) -> None:
        """Remove the bar; printed lines stay."""
        self._bar.close()

    def _leave_out_compiling(self) -> None:
        """Leave the seconds of compiling since the step before out of the time."""
        before, self._compiled = self._compiled, compiling.seconds()
        self._start += self._compiled - before
        if not self._bar.disable:
            self._bar.start_t += self._compiled - before
            self._bar.last_print_t += self._compiled - before

    def _due(self) -> bool:
        return time.monotonic() - self._last_line >= self.seconds_between_lines

    def _line(self, epoch: int, logs: dict[str, float]) -> None:
        self._last_line = time.monotonic()
        self._leave_out_compiling()
        rate = self._images / max(self._last_line - self._start, 1e-6)
        left = (self._in_all - self._images) / rate
        numbers = "  ".join(f"{name} {value:.4g}" for name, value in logs.items() if name not in QUIET)
        text = f"epoch {epoch + 1}/{self.epochs}  {numbers}  {rate:,.0f} images/s  {left:.0f} s left"
        self._bar.write(text, file=console.stderr)


def _say(line: str) -> None:
    """Print a line, above the bar if there is one."""
    from tqdm import tqdm

    tqdm.write(line, file=console.stderr)
