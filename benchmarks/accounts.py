"""The memory of this process, and the cores that other ones took from it, as Linux accounts for them."""

import math
import os
import time
from pathlib import Path

KNOWN = Path("/proc/self/clear_refs").exists()
"""Whether this system keeps such an account."""


def resident(what):
    """MiB, now (VmRSS) or at the peak (VmHWM). Not getrusage: its peak is inherited from the parent process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def peak_growth(call):
    """MiB that this process grows by at the peak of a call. Memory that was left free before counts for nothing."""
    Path("/proc/self/clear_refs").write_text("5")  # from here on a new peak
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


class Others:
    """How much of the cores other work takes: make one, and ask for its `share` later. NaN where nobody knows."""

    def __init__(self):
        self._start = self._now()

    def share(self):
        """Of all core-seconds since it was made, those of other processes, or of other machines on the same host."""
        busy, own, wall = (now - start for now, start in zip(self._now(), self._start, strict=True))
        return max(0.0, busy - own) / (wall * os.cpu_count())

    @staticmethod
    def _now():
        """Seconds so far: of all cores at work, of this process and its children, of the clock on the wall."""
        if not KNOWN:
            return math.nan, math.nan, math.nan
        user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        times = os.times()  # of children that have ended, too: some benchmarks time processes of their own
        return busy, time.process_time() + times.children_user + times.children_system, time.perf_counter()
