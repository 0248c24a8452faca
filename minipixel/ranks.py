"""Who shares out the work: the processes that an MPI launcher has started, and from where to where they go together.

`mpiexec -n 4 minipixel train ...` or `mpiexec -n 4 python script.py` starts four processes, called ranks, which all run
the same program. MPI is imported only in a process that a launcher started; everybody else is alone, and pays nothing.
"""

import contextlib
import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from minipixel.messages import RankError, Ranks, patience

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["RankError", "Ranks", "together", "world"]

LAUNCHERS = {
    "MINIPIXEL_RANKS": "you",
    "OMPI_COMM_WORLD_SIZE": "Open MPI's mpiexec",
    "PMI_SIZE": "MPICH's mpiexec, and Slurm's srun --mpi=pmi2",
}
"""The environment variables that say how many processes were started together, and who sets them; the first counts.

Where a launcher sets none of them, you do, as in `srun --mpi=pmix env MINIPIXEL_RANKS=8 minipixel train ...`; and a
program that a rank starts by itself is alone with MINIPIXEL_RANKS=1.
"""

RANK_NAMES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
"""The environment variables that say which of them this one is."""

LOCAL_NAMES = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS")
"""The environment variables that say how many of them run on this machine."""

EXTRA = 'pip install "minipixel[mpi]"'

ALONE = Ranks()
"""A single process, which shares nothing out."""

_cores = 0  # how many cores the world has left to this process, once that is known
_place = 0  # the place of this process among those of the world on its machine, once that is known
_local = threading.local()  # worker threads are alone: their shard is their own work


def started() -> int:
    """How many processes a launcher has started together with this one; 1 without a launcher. Raises ValueError."""
    for name in LAUNCHERS:
        if name in os.environ:
            if not os.environ[name].isdecimal() or int(os.environ[name]) < 1:
                raise ValueError(f"{name}: got {os.environ[name]!r:.40}, wanted the number of processes, 1 or more")
            return int(os.environ[name])
    return 1


def is_first() -> bool:
    """Whether this process is rank 0, or alone, as the launcher's environment has it: known before MPI is."""
    try:
        return started() == 1 or all(os.environ.get(name, "0") == "0" for name in RANK_NAMES)
    except ValueError:  # which `world` raises, too, where it can be said
        return True


@functools.cache
def world() -> Ranks:
    """All processes that a launcher has started together; this one alone without a launcher, and then no MPI is loaded.

    Raises ImportError where a launcher is at work and mpi4py is missing, or belongs to another MPI.
    """
    count = started()
    if count == 1:
        return ALONE
    patience()  # raises ValueError now, and not in the midst of a message
    try:
        import mpi4py

        mpi4py.rc.thread_level = "serialized"  # worker threads compute, and send nothing; `fit` may run in any thread
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter where there is no libmpi
        raise ImportError(
            f"ranks: {count} processes were started together, which takes mpi4py ({error}): {EXTRA}"
        ) from None
    if count != MPI.COMM_WORLD.size:
        raise ImportError(
            f"ranks: got {count} processes from the launcher, of which MPI sees {MPI.COMM_WORLD.size}; it belongs to "
            "another MPI than the one that mpi4py loads: use the mpiexec beside this Python"
        )
    ranks = Ranks(MPI.COMM_WORLD.Dup())  # so that nobody else's messages are mixed with ours
    global _cores, _place
    _cores, _place = ranks.cores(_usable()), ranks.place()
    return ranks


def cores() -> int:
    """How many cores this process may use: those that it shares with other ranks are divided among them."""
    usable = _usable()
    if _cores or started() == 1:
        return _cores or len(usable)
    here = next((int(os.environ[name]) for name in LOCAL_NAMES if os.environ.get(name, "").isdecimal()), 1)
    unbound = len(usable) == os.cpu_count()  # else the launcher may have divided them already
    return max(1, len(usable) // here) if unbound else len(usable)


def place() -> int:
    """The place of this process among those that were started together on its machine, from 0; 0 without a launcher."""
    world()
    return _place


def _usable() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def now() -> Ranks:
    """The ranks that share out what this thread computes."""
    return getattr(_local, "ranks", None) or ALONE


def resolved(ranks: Any) -> Ranks:
    """What the argument `ranks` means: None the ranks of the block that we are in, or all that were started together.

    1 is this process alone; a communicator of mpi4py its processes. Raises ValueError for anything else.
    """
    if ranks is None:
        return getattr(_local, "ranks", None) or world()
    if isinstance(ranks, Ranks):
        return ranks
    if type(ranks) is int and ranks == 1:
        return ALONE
    if hasattr(ranks, "Iallgatherv"):
        return Ranks(ranks) if ranks.size > 1 else ALONE
    raise ValueError(
        f"ranks: got {ranks!r:.60}, wanted None for all that mpiexec started, 1 for this process alone, or a "
        "communicator of mpi4py"
    )


@contextlib.contextmanager
def sharing(ranks: Ranks) -> Iterator[Ranks]:
    """Within this block the work of this thread is shared out among these ranks."""
    before, _local.ranks = getattr(_local, "ranks", None), ranks
    try:
        yield ranks
    finally:
        _local.ranks = before


@contextlib.contextmanager
def one_end(ranks: Ranks) -> Iterator[None]:
    """All ranks leave this block together: an error that one of them raises is raised on all."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, SystemExit):
            ranks.exchange("the end of a block")
        elif ranks.size > 1 and not ranks.known_to_all:
            ranks.fail(error)
        raise
    ranks.exchange("the end of a block")


def on_all_ranks(function: Callable[P, T]) -> Callable[P, T]:
    """A function with an argument `ranks`, which becomes what it means: all of them leave the function together.

    Only what it gives to them explicitly is shared out. The first speaks for all: warnings on the others are dropped.
    """

    @functools.wraps(function)
    def called(*arguments: P.args, **options: P.kwargs) -> T:
        options["ranks"] = found = resolved(options.get("ranks"))
        with contextlib.ExitStack() as stack:
            stack.enter_context(one_end(found))
            stack.enter_context(sharing(ALONE))
            if not found.first:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            return function(*arguments, **options)

    return called


@contextlib.contextmanager
def together(ranks: Any = None) -> Iterator[Ranks]:
    """Within this block all ranks share out what each of them calls: `sample`, `log_prob`, `value_and_gradients` ...

    Every rank has to make the same calls with the same arguments, and all have all of the results. `ranks` as in `fit`.
    An error on one rank is raised on all.
    """
    found = resolved(ranks)
    with sharing(found), one_end(found):
        yield found
