"""Ranks that are threads of one process: a communicator with the calls that messages.py makes. It takes no MPI."""

import threading

import numpy as np

SECONDS = 60
"""How long a rank waits for the others before a test that would hang fails."""


class Request:
    """An exchange that was over when it was begun."""

    def Test(self):  # noqa: N802
        return True


class Communicator:
    """One rank's end of a group of threads; `left` says of each exchange how many bytes went from where to where."""

    def __init__(self, group, rank):
        self._group, self.rank, self.size = group, rank, len(group.slots)

    def _swap(self, what):
        """What every rank has put down."""
        group = self._group
        group.slots[self.rank] = what
        group.meeting.wait(SECONDS)
        found = list(group.slots)
        group.meeting.wait(SECONDS)
        return found

    def Iallgather(self, own, into):  # noqa: N802
        into[...] = np.stack(self._swap(own.copy()))
        return Request()

    def Iallgatherv(self, own, into):  # noqa: N802
        buffer, counts = into
        parts = self._swap(np.array(own))
        assert [part.nbytes for part in parts] == list(counts)
        buffer[...] = np.concatenate(parts)
        return Request()

    def Ialltoallv(self, own, into):  # noqa: N802
        sent, counts = own
        assert sent.nbytes == sum(counts)
        parts = [part[self.rank] for part in self._swap(np.split(np.array(sent), np.cumsum(counts)[:-1]))]
        buffer, wanted = into
        assert [part.nbytes for part in parts] == list(wanted)
        buffer.reshape(-1)[...] = np.concatenate(parts)
        return Request()

    def Abort(self, status):  # noqa: N802
        raise AssertionError(f"aborted with {status}")


class Group:
    """So many ranks."""

    def __init__(self, size):
        self.slots, self.meeting = [None] * size, threading.Barrier(size)


def on_ranks(size, function):
    """`function(communicator)` on so many ranks at once; what each gives back, or the error that it raises."""
    group, found = Group(size), [None] * size

    def run(rank):
        try:
            found[rank] = function(Communicator(group, rank))
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
