"""Processes that work together, by MPI: each computes some of the shards, and all of them have the result.

The processes are called ranks, and all run the same program. What they share out is the shards of shards.py: a rank
takes consecutive ones, and results come back in shard order. Sums are in slices.py.

Every exchange begins with a short head from each rank: where in the program it is, and whether something went wrong
there. So an error on one rank is raised on all of them, and nobody waits for ever for one who is elsewhere.
"""

import contextlib
import json
import os
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from minipixel.backend import to_cpu

T = TypeVar("T")

GO_ON, STOP, INTERRUPT, FAILED = range(4)
"""What a rank asks for in an exchange; the largest number counts."""

PATIENCE = "MINIPIXEL_RANK_TIMEOUT"
"""The environment variable that says for how many seconds a rank waits for the others; half an hour without it."""

PIECE = 2**26
"""The most bytes of one array that are on their way at a time."""

WAYS_OUT = {
    "gradient": "these processors, or libraries, compute other bits: take machines of one kind, or set the same "
    "OPENBLAS_CORETYPE=Haswell and NUMBA_CPU_NAME=haswell on all",
    "versions": "install the same versions on all machines",
}
"""What to do about ranks that differ, beside giving all of them the same arguments."""


class RankError(RuntimeError):
    """Something went wrong on another rank, or ranks that have to be alike differ: raised on every rank."""


class Ranks:
    """The processes that share a piece of work, by an mpi4py communicator; a single process needs none."""

    def __init__(self, comm: Any = None) -> None:
        self.comm = comm
        self.rank: int = comm.rank if comm else 0
        self.size: int = comm.size if comm else 1
        self.broken = False  # an exchange was left before it was over, so that there can be no other
        self.known_to_all = False  # whether all ranks know of the error that is being raised on this one
        self._launcher = os.getppid()

    def __repr__(self) -> str:
        return f"Ranks(rank {self.rank} of {self.size})"

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files, prints and draws."""
        return self.rank == 0

    @property
    def orphaned(self) -> bool:
        """Whether the launcher is gone, of which not every MPI tells the processes that it has started."""
        return self.size > 1 and os.getppid() != self._launcher

    def share(self, count: int, rank: int | None = None) -> range:
        """Which of `count` shards a rank computes, this one if None: consecutive ones."""
        r = self.rank if rank is None else rank
        return range(-(-count * r // self.size), -(-count * (r + 1) // self.size))  # the first always has some

    # --- exchanges --------------------------------------------------------------------------------------------------

    def exchange(self, where: str, payload: bytes = b"", asks: int = GO_ON) -> tuple[list[bytes], int]:
        """The payloads of all ranks, and the most that any of them asks for. All ranks have to come here.

        Raises RankError on all ranks if one of them failed, or is at another place of the program.
        """
        if self.size == 1:
            return [payload], asks
        self.known_to_all = False
        heads = np.empty((self.size, 3), np.int64)
        own = np.array([asks, zlib.crc32(where.encode()), len(payload)])
        self.wait(self.comm.Iallgather(own, heads), where, may_sleep=True)
        with self.whole():
            payloads = self._payloads(payload, heads[:, 2].tolist(), where)
        if heads[:, 0].max() == FAILED:
            self.known_to_all = True
            if asks == FAILED:
                return payloads, FAILED
            failed = int(heads[:, 0].argmax())
            self._raise_here(failed, json.loads(payloads[failed]))
        others = np.flatnonzero(heads[:, 1] != heads[0, 1])
        if len(others):
            self.known_to_all = True
            raise RankError(
                f"ranks: got rank {others[0]} at another place of the program than rank 0, wanted all at the same; "
                f"rank {self.rank} is at {where!r}; every rank has to make the same calls with the same arguments"
            )
        return payloads, int(heads[:, 0].max())

    def _payloads(self, own: bytes, sizes: list[int], where: str) -> list[bytes]:
        """The bytes of all ranks, so many of each, piece by piece."""
        found = [bytearray(size) for size in sizes]
        for start in range(0, max(sizes), PIECE):
            counts = [min(PIECE, max(0, size - start)) for size in sizes]
            together = np.empty(sum(counts), np.uint8)
            mine = np.frombuffer(own, np.uint8)[start : start + PIECE]
            self.wait(self.comm.Iallgatherv(mine, [together, counts]), where)
            for whole, part in zip(found, np.split(together, np.cumsum(counts)[:-1]), strict=True):
                whole[start : start + len(part)] = part.data
        return [bytes(whole) for whole in found]

    def _raise_here(self, rank: int, said: dict[str, str]) -> None:
        """Raise on this rank what went wrong on another."""
        if said["kind"] == "KeyboardInterrupt":
            raise KeyboardInterrupt
        raise RankError(f"rank {rank} of {self.size}: {said['kind']}: {said['text']}")

    def wait(self, request: Any, where: str, may_sleep: bool = False) -> None:
        """Wait for an exchange.

        For a head a rank soon sleeps, since others may still compute, perhaps on the same core.
        After the head all are here, and a long message moves on only while somebody asks for it.
        """
        began, most = time.monotonic(), patience()
        with self.whole():
            while not request.Test():
                waited = time.monotonic() - began
                if waited > most + 2 * self.rank:  # so that one of them says it
                    self._give_up(where, waited)
                if may_sleep and waited > 1e-3:
                    time.sleep(2e-4 if waited < 1 else 5e-3)
                else:
                    _let_others_run()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Around a part of an exchange: who leaves it by an error leaves the others in the midst of it."""
        try:
            yield
        except BaseException:
            self.broken = True
            raise

    def _give_up(self, where: str, waited: float) -> None:
        print(
            f"minipixel: error: rank {self.rank} waited {waited:.0f} s for the other ranks at {where!r}, and one of "
            f"them does not come; if it only takes long, set {PATIENCE} to more seconds",
            file=sys.stderr,
            flush=True,
        )
        self.abort()

    def abort(self, status: int = 2) -> None:
        """End all ranks at once."""
        self.comm.Abort(status)
        os._exit(status)  # an MPI may come back from that

    def fail(self, error: BaseException) -> None:
        """Let all other ranks know, at their next exchange, what went wrong on this one."""
        if self.broken:
            self.abort(130 if isinstance(error, KeyboardInterrupt) else 2)
        kind = "KeyboardInterrupt" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        said = json.dumps({"kind": kind, "text": str(error)[:1000]}).encode()
        self.exchange("an error", said, FAILED)

    # --- what is made of them ---------------------------------------------------------------------------------------

    def most(self, where: str, asks: int) -> int:
        """The most that any of the ranks asks for."""
        return self.exchange(where, asks=asks)[1]

    def from_first(self, where: str, value: T) -> T:
        """What rank 0 has, on every rank: anything that JSON can hold, or bytes."""
        if self.size == 1:
            return value
        raw = isinstance(value, bytes)
        own = (b"b" + value if raw else b"j" + json.dumps(value).encode()) if self.first else b""  # type: ignore[operator]
        payload = self.exchange(where, own)[0][0]
        return payload[1:] if payload[:1] == b"b" else json.loads(payload[1:])  # type: ignore[return-value]

    def in_turn(self, where: str, function: Callable[[], T]) -> T:
        """`function()` on rank 0 first, then on one rank of each other machine, then on all others.

        For what leaves something behind that those who come later find: a download, a cache, compiled kernels.
        """
        here = self._on_this_machine(where)
        turn = 0 if self.first else 1 if self.rank == here[0] else 2
        for now in range(3 if self.size > 1 else 1):
            if now == turn:
                result = function()
            self.exchange(f"{where}, turn {now}")
        return result

    def same(self, texts: Mapping[str, str]) -> None:
        """RankError, on all ranks, unless each of these texts is the same on all of them."""
        said = [json.loads(each) for each in self.exchange("comparison", json.dumps(dict(texts)).encode())[0]]
        for name in texts:
            for rank, other in enumerate(said):
                got, wanted = other[name], said[0][name]
                if got != wanted:
                    self.known_to_all = True
                    raise RankError(
                        f"{name}: got {got:.200} on rank {rank}, wanted {wanted:.200}, as on rank 0; "
                        f"{WAYS_OUT.get(name, 'every rank has to make the same calls with the same arguments')}"
                    )

    def alike(self, arguments: Mapping[str, Any]) -> None:
        """RankError, on all ranks, unless each of these is the same on all of them: arrays, lists of them, or None."""
        if self.size > 1:
            self.same({name: fingerprint(value) for name, value in arguments.items()})

    def arrays(self, where: str, own: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The arrays of all ranks, one rank's after another's; shapes may differ."""
        if self.size == 1:
            return list(own)
        own = [np.ascontiguousarray(array) for array in own]
        heads = json.dumps([(array.dtype.str, array.shape) for array in own]).encode()
        all_heads = [json.loads(head) for head in self.exchange(where, heads)[0]]
        contents = self.exchange(where, b"".join(array.tobytes() for array in own))[0]
        found = []
        for described, content in zip(all_heads, contents, strict=True):
            start = 0
            for kind, shape in described:
                dtype, count = np.dtype(kind), int(np.prod(shape))
                found.append(np.frombuffer(content, dtype, count, start).reshape(shape))
                start += count * dtype.itemsize
        return found

    # --- where they are ---------------------------------------------------------------------------------------------

    def _on_this_machine(self, where: str) -> list[int]:
        """The ranks on the same machine: by the name of the machine, since containers may share no memory."""
        names = self.exchange(f"{where}, machines", platform.node().encode())[0]
        return [rank for rank, name in enumerate(names) if name == names[self.rank]]

    def place(self) -> int:
        """The place of this rank among those on its machine, from 0."""
        return self._on_this_machine("place").index(self.rank)

    def cores(self, usable: Sequence[int]) -> int:
        """How many of the usable cores are this rank's: those that others on its machine may use, too, are divided."""
        said = [set(json.loads(each)) for each in self.exchange("cores", json.dumps(list(usable)).encode())[0]]
        here = self._on_this_machine("cores")
        share = sum(1 / sum(core in said[rank] for rank in here) for core in usable)
        return max(1, int(share + 1e-9))


def fingerprint(value: Any) -> str:
    """A text that is the same for the same arrays: shapes, dtypes and a checksum; lists and tuples of them, None."""
    if isinstance(value, (list, tuple)):
        return f"{len(value)} arrays, {zlib.crc32(' '.join(map(fingerprint, value)).encode()):08x}"
    if value is None:
        return "none"
    array = np.ascontiguousarray(to_cpu(value))
    return f"{'x'.join(map(str, array.shape))} {array.dtype}, {zlib.crc32(array.data):08x}"


def _let_others_run() -> None:
    """Let another process have this core, if one wants it; a sleep, however short, takes fifty times as long."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()


def patience() -> float:
    """For how many seconds a rank waits. Raises ValueError."""
    text = os.environ.get(PATIENCE, "1800")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{PATIENCE}: got {text!r:.40}, wanted a number of seconds above 0")
    return seconds
