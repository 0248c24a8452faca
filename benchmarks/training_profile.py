"""Which ops a training step spends its time in: `mp.fit` as it is, with one worker, watched by Python's profile hook.

Run: python benchmarks/training.py --profile MODEL

The library is not touched. The hook sees the tape (minipixel/tensor.py) call an op, or an op's way back, and asks the
tape for the op's name; so a layer that is one op is one line, and has its time whatever it is made of. Time inside an
op that an op inside it takes is the inner one's alone. Watching costs a little for each Python call, and is switched on
for these steps only; the step without it is printed beside.
"""

import collections
import sys
import threading
import time

import numpy as np
from training_models import ROWS, fit, noise, ours

import minipixel as mp
from minipixel import tensor

# What in the tape calls the bodies of ops: the wrapper of an op; the way back; and a part of it that was put off.
CALLERS = {"lifted": "forward", "_pull_back": "backward", "gradients": "backward"}
OPTIMIZER, REST = "(the optimizer)", "(everything else)"


class Watch:
    """A profile hook that adds up seconds and calls by (name of op, "forward" or "backward"), of one thread at a time.

    `optimizer` is the one whose steps are an entry of their own.
    """

    def __init__(self, optimizer):
        self.seconds, self.calls = collections.Counter(), collections.Counter()
        self._step = type(optimizer).step.__code__
        self._open = []  # of each body at work: its frame, its entry, its start, the time of others inside it

    def __call__(self, frame, event, arg):
        if event == "call":
            entry = self._entry(frame)
            if entry is not None:
                self._open.append([frame, entry, time.perf_counter(), 0.0])
        elif event == "return" and self._open and self._open[-1][0] is frame:
            _, entry, start, inside = self._open.pop()
            took = time.perf_counter() - start
            self.seconds[entry] += took - inside
            self.calls[entry] += 1
            if self._open:
                self._open[-1][3] += took

    def _entry(self, frame):
        """What a call belongs to, if it is the call of an op's body, or of the optimizer."""
        caller = frame.f_back
        if frame.f_code is self._step:
            return OPTIMIZER, "forward"
        if caller is None or caller.f_code.co_name not in CALLERS or caller.f_code.co_filename != tensor.__file__:
            return None
        if frame.f_code.co_filename == tensor.__file__:  # the tape minds its own business
            return None
        direction = CALLERS[caller.f_code.co_name]
        known = caller.f_locals
        if direction == "forward":
            return known["function"].__name__, direction
        return (known["node"].op, direction) if "node" in known else None


def profile(row, steps=3, side=28, batch=None):
    """Milliseconds of a step, unwatched and watched, and {op: (calls, forward ms, backward ms)} of the latter."""
    model, optimizer = ours(row, side), mp.optim.Adam()
    batch = batch or ROWS[row][2]
    images = noise(row, steps * batch, side)
    fit(model, images, batch, optimizer, workers=1)  # compiles
    alone = np.median(fit(model, images, batch, optimizer, workers=1))
    watch = Watch(optimizer)
    threading.setprofile(watch)  # for threads that start from here on
    sys.setprofile(watch)
    try:
        watched = fit(model, images, batch, optimizer, workers=1).sum() / steps
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    found = {}
    for op in dict.fromkeys(name for name, _ in watch.seconds):
        forward, backward = (1e3 * watch.seconds[op, direction] / steps for direction in ("forward", "backward"))
        found[op] = (watch.calls[op, "forward"] / steps, forward, backward)
    found[REST] = (0, 1e3 * watched - sum(forward + backward for _, forward, backward in found.values()), 0.0)
    return 1e3 * alone, 1e3 * watched, found


def lines(row, alone, watched, found):
    """The table, the op that takes longest first."""
    yield f"{row}, one worker: {alone:.1f} ms a step, {watched:.1f} ms while being watched"
    yield f"{'op':32}{'calls':>8}{'forward ms':>12}{'backward ms':>13}{'share':>8}"
    for op, (calls, forward, backward) in sorted(found.items(), key=lambda item: -sum(item[1][1:])):
        yield f"{op:32}{calls:8.0f}{forward:12.2f}{backward:13.2f}{(forward + backward) / watched:8.1%}"
