"""Streams and graphs of the stand-in: what is recorded, what is refused, and races between streams."""

import functools
import threading

import numpy as np
import pytest
from stand_in.sources import SCALE

from minipixel.stand_in import counted, device, to_device_array
from minipixel.stand_in.cublas import gemm

REFUSED = device.cuda.runtime.CUDARuntimeError


@pytest.fixture
def twice():
    return device.RawModule(code=SCALE, options=("-DREAL=double",)).get_function("twice")


@pytest.fixture(autouse=True)
def warm():
    gemm("N", "N", device.zeros((1, 1)), device.zeros((1, 1)))
    device.cuda.Device().synchronize()


def double(kernel, x, y):
    kernel((1,), (32,), (x, y, np.int32(x.size)))


def captured(work):
    stream = device.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        try:
            work()
        finally:
            graph = stream.end_capture()
    return stream, graph


def test_a_graph_runs_what_was_recorded_and_nothing_before(twice):
    x, y, z = to_device_array(np.eye(2)), device.zeros((2, 2)), device.full((2, 2), np.nan)
    device.cuda.Device().synchronize()

    def work():
        double(twice, x, y)
        gemm("N", "T", y, y, out=z, alpha=0.5)

    with counted() as counts:
        stream, graph = captured(work)
    assert (counts.launches, counts.graph_nodes, counts.waits) == (0, 0, 0)
    with counted() as counts:
        for factor in (1.0, 3.0):
            with stream:
                x.set(np.eye(2) * factor)
                graph.launch()
                np.testing.assert_array_equal(z.get(), 2 * factor**2 * np.eye(2))
    assert (counts.launches, counts.graph_nodes, counts.waits, counts.to_device.copies) == (2, 4, 2, 2)


IN_A_CAPTURE = {
    "operator": lambda x: x + 1,
    "in place": lambda x: x.__imul__(2),
    "function": lambda x: device.tanh(x),
    "out": lambda x: device.tanh(x, out=x),
    "sum": lambda x: x.sum(),
    "zeros": lambda x: device.zeros(3),
    "empty": lambda x: device.empty(3),
    "assignment": lambda x: x.__setitem__(0, 1),
    "copy to the device": lambda x: device.asarray(np.zeros(3)),
    "set": lambda x: x.set(np.zeros((2, 2))),
    "copy to the host": lambda x: x.get(),
    "number": lambda x: float(x[0, 0]),
    "wait": lambda x: device.cuda.get_current_stream().synchronize(),
    "wait for all": lambda x: device.cuda.Device().synchronize(),
    "a result of a product": lambda x: gemm("N", "N", x, x),
    "a new kernel": lambda x: device.RawModule(code=SCALE, options=("-DREAL=double",)).get_function("twice"),
    "an event": lambda x: device.cuda.Event().record(),
    "a capture in a capture": lambda x: device.cuda.get_current_stream().begin_capture(),
}


@pytest.mark.parametrize("name", IN_A_CAPTURE)
def test_what_a_capture_refuses(name):
    x = to_device_array(np.eye(2))
    device.cuda.Device().synchronize()
    with pytest.raises(REFUSED):
        captured(lambda: IN_A_CAPTURE[name](x))
    np.testing.assert_array_equal(x.get(), np.eye(2))


def test_a_capture_takes_views(twice):
    x, y = to_device_array(np.arange(4.0)), device.zeros(2)
    device.cuda.Device().synchronize()
    stream, graph = captured(lambda: double(twice, x.reshape(2, 2)[1], y))
    graph.launch(stream)
    stream.synchronize()
    assert y.tolist() == [4.0, 6.0]


def test_work_of_another_stream_in_a_capture_is_refused(twice):
    x, stream = device.zeros(2), device.cuda.Stream()
    stream.begin_capture()
    with pytest.raises(REFUSED, match="another stream"):
        double(twice, x, x)
    stream.end_capture()


def test_the_first_product_of_a_thread_is_no_part_of_a_capture():
    a, errors = to_device_array(np.eye(2)), []

    def work():
        try:
            captured(lambda: gemm("N", "N", a, a, out=device.zeros((2, 2))))
        except REFUSED as error:
            errors.append(str(error))

    def fresh():
        out = to_device_array(np.zeros((2, 2)))
        try:
            captured(lambda: gemm("N", "N", a, a, out=out))
        except REFUSED as error:
            errors.append(str(error))

    for target in (work, fresh):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert "zeros" in errors[0]
    assert "multiply once before" in errors[1]


def test_memory_given_back_is_found(twice):
    x, y = to_device_array(np.eye(2)), device.zeros((2, 2))
    device.cuda.Device().synchronize()
    stream, graph = captured(functools.partial(double, twice, x, y))
    view = y[0]
    del y
    graph.launch(stream)  # the view holds on to the memory
    stream.synchronize()
    assert view.tolist() == [2.0, 0.0]
    del view
    with pytest.raises(REFUSED, match="array 1 of twice was given back"):
        graph.launch(stream)


def test_the_null_stream_cannot_be_captured():
    with pytest.raises(REFUSED, match="null stream"):
        device.cuda.get_current_stream().begin_capture()
    with pytest.raises(REFUSED, match="not capturing"):
        device.cuda.Stream().end_capture()


def touched(stream, twice, x, y):
    with stream:
        double(twice, x, y)


RACES = {
    "the null stream reads": (True, lambda x, y, stream, twice: y.get()),
    "the null stream reads a view": (True, lambda x, y, stream, twice: y[:1] + 1),
    "the null stream writes what is read": (True, lambda x, y, stream, twice: x.__iadd__(1)),
    "a third stream": (True, lambda x, y, stream, twice: touched(device.cuda.Stream(), twice, y, y)),
    "the same stream": (False, lambda x, y, stream, twice: touched(stream, twice, y, y)),
    "other memory": (False, lambda x, y, stream, twice: device.zeros(2).get()),
    "after waiting": (False, lambda x, y, stream, twice: (stream.synchronize(), y.get())),
    "after waiting for all": (False, lambda x, y, stream, twice: (device.cuda.Device().synchronize(), y.get())),
    "after waiting for another": (True, lambda x, y, stream, twice: (device.cuda.Stream().synchronize(), y.get())),
    "a copy on that stream": (False, lambda x, y, stream, twice: (y.get(stream=stream), y.get())),
    "an event": (
        False,
        lambda x, y, stream, twice: (device.cuda.get_current_stream().wait_event(stream.record()), y.get()),
    ),
}


@pytest.mark.parametrize("name", RACES)
@pytest.mark.parametrize("non_blocking", [True, False])
def test_races_between_streams(name, non_blocking, twice):
    x, y = device.zeros(2), device.zeros(2)
    device.cuda.Device().synchronize()
    stream = device.cuda.Stream(non_blocking=non_blocking)
    touched(stream, twice, x, y)
    wrong, call = RACES[name]
    if wrong and (non_blocking or name == "a third stream"):
        with pytest.raises(REFUSED, match="two streams touch the same memory"):
            call(x, y, stream, twice)
    else:
        call(x, y, stream, twice)


def test_new_numbers_of_the_null_stream_may_not_be_there_yet(twice):
    stream = device.cuda.Stream(non_blocking=True)
    x, y = to_device_array(np.ones(2)), device.zeros(2)
    with pytest.raises(REFUSED, match="two streams"):
        touched(stream, twice, x, y)


def test_events_tell_the_time():
    start, end = device.cuda.Event(), device.cuda.Event()
    start.record()
    end.record()
    end.synchronize()
    assert device.cuda.get_elapsed_time(start, end) >= 0


def test_there_is_one_device():
    assert device.cuda.runtime.getDeviceCount() == 1
    with device.cuda.Device(0) as only:
        assert only.id == 0
    with pytest.raises(REFUSED, match="ordinal"):
        device.cuda.Device(1)
