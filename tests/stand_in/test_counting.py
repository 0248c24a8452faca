"""What is counted on the stand-in, row by row: launches, copies, waits."""

import copy
import threading

import numpy as np
import pytest

from minipixel.stand_in import counted, device, special, to_device_array


def in_place(x):
    x[:, 0] += 1


PLACES = to_device_array(np.array([1, 0]))
VIEWS = {
    "reshape": lambda x: x.reshape(3, 2),
    "reshape by a function": lambda x: device.reshape(x, -1),
    "transpose": lambda x: x.T,
    "swapaxes": lambda x: device.swapaxes(x, 0, 1),
    "slice": lambda x: x[:, 1:],
    "number": lambda x: x[0, 0],
    "new axis": lambda x: x[None],
    "rows": list,
    "broadcast": lambda x: device.broadcast_to(x, (4, 2, 3)),
    "split": lambda x: device.split(x, 3, axis=1),
    "squeeze": lambda x: device.squeeze(x[:1], axis=0),
    "flip": lambda x: device.flip(x, axis=0),
    "the same array": lambda x: device.asarray(x),
    "contiguous already": lambda x: device.ascontiguousarray(x),
    "type already": lambda x: x.astype(x.dtype, copy=False),
    "shape": lambda x: (x.shape, device.shape(x), len(x)),
    "type": lambda x: device.result_type(x, np.float64),
    "empty": lambda x: device.empty_like(x),
    "assembled shape": lambda x: device.broadcast_shapes((2, 1), (3,)),
}
LAUNCHES = {
    "operator": lambda x: x + 1,
    "other side": lambda x: 1 - x,
    "in place": lambda x: x.__iadd__(x),
    "a part in place": lambda x: in_place(x),
    "comparison": lambda x: x > 2,
    "minus": lambda x: -x,
    "product": lambda x: x @ x.T,
    "function": lambda x: device.tanh(x),
    "out": lambda x: device.tanh(x, out=x),
    "out by place": lambda x: device.add(x, x, x),
    "special": special.log_ndtr,
    "sum": lambda x: x.sum(axis=0),
    "copy": lambda x: x.copy(),
    "deep copy": copy.deepcopy,
    "other order": lambda x: device.ascontiguousarray(x.T),
    "reshape that copies": lambda x: x.T.reshape(-1),
    "zeros": lambda x: device.zeros((2, 3)),
    "fill": lambda x: x.fill(0),
    "assignment": lambda x: x.__setitem__(0, x[1]),
    "number": lambda x: x.__setitem__(slice(None), 0),
    "gather": lambda x: x[PLACES],
    "gather by a function": lambda x: x.take(PLACES),
    "concatenate": lambda x: device.concatenate([x, x]),
    "scatter": lambda x: device.add.at(x, 0, 1.0),
    "reduce": lambda x: device.add.reduce(x),
    "where": lambda x: device.where(x, x, 0),
    "einsum": lambda x: device.einsum("ij,kj->ik", x, x),
    "array_equal": lambda x: device.array_equal(x, x),
}

TO_HOST = {
    "get": (lambda x: x.get(), 24),
    "get into": (lambda x: x.get(out=np.empty((2, 3), np.float32)), 24),
    "asnumpy": (lambda x: device.asnumpy(x), 24),
    "tolist": (lambda x: x.tolist(), 24),
    "item": (lambda x: x[0, 0].item(), 4),
    "float": (lambda x: float(x[0, 0]), 4),
    "int": (lambda x: int(x[0, 0]), 4),
    "bool": (lambda x: bool(x[0, 0]), 4),
    "if": (lambda x: 1 if x[0, 0] else 2, 4),
    "repr": (repr, 24),
}
TO_DEVICE = {
    "asarray": (lambda x: device.asarray(np.zeros(3)), 24),
    "array": (lambda x: device.array([1.0, 2.0]), 16),
    "number": (lambda x: device.asarray(1.0), 8),
    "set": (lambda x: x.set(np.ones((2, 3), np.float32)), 24),
}
WAITS = {
    "nonzero": lambda x: device.nonzero(x),
    "where": lambda x: device.where(x > 1),
    "mask": lambda x: x[x > 1],
    "assignment by a mask": lambda x: x.__setitem__(x > 1, x[0, :2][:1]),
    "unique": lambda x: device.unique(x),
}


def count(call):
    x = to_device_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    with counted() as counts:
        call(x)
    return counts


def told(counts):
    return counts.launches, counts.to_device.copies, counts.to_host.copies, counts.waits


@pytest.mark.parametrize("name", VIEWS)
def test_views_and_questions_cost_nothing(name):
    assert told(count(VIEWS[name])) == (0, 0, 0, 0)


@pytest.mark.parametrize("name", LAUNCHES)
def test_work_is_one_launch(name):
    assert told(count(LAUNCHES[name])) == (1, 0, 0, 0)


@pytest.mark.parametrize("name", [*TO_HOST, *TO_DEVICE])
def test_copies_are_counted_and_only_those_to_the_host_wait(name):
    call, size = (TO_HOST | TO_DEVICE)[name]
    counts, to_host = count(call), name in TO_HOST
    assert told(counts) == ((0, 0, 1, 1) if to_host else (0, 1, 0, 0))
    assert (counts.to_host if to_host else counts.to_device).bytes == size


@pytest.mark.parametrize("name", WAITS)
def test_results_of_unknown_size_wait(name):
    assert count(WAITS[name]).waits == 1


def test_waiting_is_counted():
    assert told(count(lambda x: device.cuda.Device().synchronize())) == (0, 0, 0, 1)
    assert told(count(lambda x: device.cuda.get_current_stream().synchronize())) == (0, 0, 0, 1)


def test_blocks_lie_in_each_other_and_count_all_threads():
    with counted() as outer:
        x = device.zeros(3)
        with counted() as inner:
            threads = [threading.Thread(target=lambda: x + 1) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        x.get()
    assert (inner.launches, outer.launches) == (4, 5)
    assert (inner.waits, outer.waits) == (0, 1)
    x.get()
    assert outer.waits == 1


def test_what_set_and_get_refuse():
    x = to_device_array(np.zeros((2, 3), np.float32))
    for wrong in (np.zeros((2, 3)), np.zeros((3, 2), np.float32), [[0.0] * 3] * 2, x):
        with pytest.raises(TypeError, match=r"ndarray\.set"):
            x.set(wrong)
    with pytest.raises(RuntimeError, match="non-contiguous"):
        x[:, :2].set(np.zeros((2, 2), np.float32))
    with pytest.raises(TypeError, match=r"ndarray\.get"):
        x.get(out=np.zeros(6, np.float32))
