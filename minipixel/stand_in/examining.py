"""Launches run under a sanitizer of the C++ compiler, which finds races between threads and memory out of bounds."""

import contextlib
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from minipixel.stand_in.compiler import Parameter, described, program
from minipixel.stand_in.streams import owner

SANITIZERS = {"memory": "address,undefined", "threads": "thread"}
A_NUMBER = 2**64 - 1  # stands where a pointer has the number of its block of memory
OUTSIDE_SHARED = 4  # what the program returns then

current: tuple[str, int] | None = None
"""The sanitizer that launches run under, and the threads of a block; None to run them within this process."""


class KernelError(RuntimeError):
    """A sanitizer found something; `report` is all that it says."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


@contextlib.contextmanager
def examined(what: str, threads: int = 4) -> Iterator[None]:
    """Within it each launch of a kernel runs in a process of its own, where a sanitizer examines "memory" or "threads".

    With "threads" it finds numbers that two threads, of one block or of two, use with no barrier between them; with
    "memory" what is read or written beside an array, overflows of whole numbers and the like. Raises KernelError then.
    It is slow, so it suits tests with a few launches.
    """
    global current
    if what not in SANITIZERS:
        raise ValueError(f"examined: got {what!r}, wanted one of {', '.join(SANITIZERS)}")
    before, current = current, (SANITIZERS[what], threads)
    try:
        yield
    finally:
        current = before


def run(
    code: str,
    options: tuple[str, ...],
    name: str,
    grid: Sequence[int],
    shared: int,
    parameters: Sequence[Parameter],
    values: Sequence[np.ndarray],
) -> bool:
    """Run one launch; the arrays then have its results. False if the kernel wrote outside its shared memory."""
    assert current is not None
    sanitizer, threads = current
    owners = {id(owner(v)): owner(v) for p, v in zip(parameters, values, strict=True) if p.pointer}
    memory, places = list(owners.values()), {key: number for number, key in enumerate(owners)}
    header = [list(described(code, options)).index(name), threads, shared, *grid, len(memory)]
    header += [array.nbytes for array in memory] + [len(values)]
    for parameter, value in zip(parameters, values, strict=True):
        if parameter.pointer:
            header += [places[id(owner(value))], value.ctypes.data - owner(value).ctypes.data]
        else:
            header += [A_NUMBER, int.from_bytes(value.tobytes().ljust(8, b"\0"), "little")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "launch"
        path.write_bytes(struct.pack(f"<{len(header)}Q", *header) + b"".join(array.tobytes("A") for array in memory))
        done = subprocess.run(
            [program(code, options, sanitizer), path], capture_output=True, text=True, env=_settings()
        )
        if done.returncode not in (0, OUTSIDE_SHARED):
            words = ("SUMMARY", "runtime error", "ERROR", "FATAL")
            found = next(filter(None, (re.search(f"{word}: *(.*)", done.stderr) for word in words)), None)
            said = re.sub(r"/\S*/", "", found[1]) if found else f"exit status {done.returncode}"
            raise KernelError(f"{name}: {said}", done.stderr)
        back = path.read_bytes()[8 * len(header) :]
    at = 0
    for array in memory:
        flat = array if array.flags.c_contiguous else array.T
        flat[...] = np.frombuffer(back, array.dtype, array.size, at).reshape(flat.shape)
        at += array.nbytes
    return done.returncode == 0


def _settings() -> dict[str, str]:
    return os.environ | {"TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=0"}
