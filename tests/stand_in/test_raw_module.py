"""Kernels in CUDA C run on the stand-in, and each wrong argument is refused."""

import numpy as np
import pytest
from stand_in.sources import ROWS, SCALE

from minipixel.stand_in import counted, device, threads_in_a_block, to_device_array

REALS = {"float": np.float32, "double": np.float64}


def kernel(name, code=SCALE, real="float", **macros):
    options = (f"-DREAL={real}", "--std=c++17", *(f"-D{key}={value}" for key, value in macros.items()))
    return device.RawModule(code=code, options=options).get_function(name)


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_map_made_by_a_macro(real, threads):
    x = np.linspace(-2, 2, 77).astype(REALS[real])
    y = device.zeros(77, REALS[real])
    with threads_in_a_block(threads), counted() as counts:
        kernel("squashed", real=real)((2, 1, 1), (32, 1, 1), (to_device_array(x), y, np.int32(77)))
    np.testing.assert_allclose(y.get(), np.tanh(x), rtol=1e-6)
    assert counts.launches == 1


def arguments():
    x = to_device_array(np.arange(6, dtype=np.float32))
    places = to_device_array(np.array([3, 2, 1, 0], np.int32))
    opened = to_device_array(np.array([1, 1, 0, 1], np.uint8))
    y = device.zeros(4, np.float32)
    return [x, places, np.float32(2), np.int64(2), np.uint32(2**31), opened, y, np.int32(4)]


def test_all_types_of_parameters():
    given = arguments()
    kernel("scale")((1,), (1,), tuple(given))
    assert given[6].tolist() == [11.0, 9.0, 0.0, 5.0]


NUMBERS = [4, np.int64(4), np.uint32(4), np.float32(4), to_device_array(np.int32(4)), None]
WRONG = [
    *((7, value) for value in NUMBERS),
    (2, 2.0),
    (2, np.float64(2)),
    (3, np.int32(2)),
    (4, np.int32(2)),
    (0, np.arange(6, dtype=np.float32)),
    (0, np.int32(3)),
    (0, None),
    (0, to_device_array(np.arange(6.0))),
    (0, to_device_array(np.arange(12, dtype=np.float32))[::2]),
    (6, to_device_array(np.zeros((2, 4), np.float32))[:, :2]),
    (6, device.broadcast_to(device.zeros((), np.float32), (1,))),
    (1, to_device_array(np.array([3, 2, 1, 0]))),
    (5, to_device_array(np.array([True, True, False, True]))),
]


@pytest.mark.parametrize(("place", "value"), WRONG)
def test_wrong_arguments_are_refused(place, value):
    given = arguments()
    given[place] = value
    with pytest.raises(TypeError, match="scale: parameter"):
        kernel("scale")((1,), (1,), tuple(given))
    assert arguments()[6].tolist() == [0.0] * 4


@pytest.mark.parametrize("change", [lambda given: given[:-1], lambda given: [*given, np.int32(4)]])
def test_a_wrong_number_of_arguments_is_refused(change):
    with pytest.raises(TypeError, match="wanted a tuple of 8"):
        kernel("scale")((1,), (1,), tuple(change(arguments())))


LAUNCHES = [
    (1, (1,), {}, TypeError),
    ((1,), [1], {}, TypeError),
    ((1.0,), (1,), {}, TypeError),
    ((0,), (1,), {}, ValueError),
    ((1, 70_000), (1,), {}, ValueError),
    ((1,), (1025,), {}, ValueError),
    ((1,), (32, 64), {}, ValueError),
    ((1,), (1, 1, 1, 1), {}, TypeError),
    ((1,), (1,), {"shared_mem": -1}, ValueError),
    ((1,), (1,), {"shared_mem": 48 * 1024 + 1}, ValueError),
    ((1,), (1,), {"stream": None}, TypeError),
]


@pytest.mark.parametrize(("grid", "block", "more", "error"), LAUNCHES)
def test_wrong_launches_are_refused(grid, block, more, error):
    with pytest.raises(error):
        kernel("scale")(grid, block, tuple(arguments()), **more)


@pytest.mark.parametrize(
    ("code", "options", "error", "message"),
    [
        ("int nothing;", (), ValueError, "has no kernel"),
        (SCALE, ("-DREAL=float", "--gpu-architecture=sm_80"), ValueError, "does not know the option"),
        ('extern "C" __global__ void f(REAL* x) { x[0] = y; }', ("-DREAL=int",), RuntimeError, "source.cu:1:.*error"),
        ('extern "C" __global__ void f(short* x) {}', (), TypeError, "of a type"),
    ],
)
def test_wrong_sources_are_refused(code, options, error, message):
    with pytest.raises(error, match=message) as caught:
        module = device.RawModule(code=code, options=options)
        module.get_function("f")
        module.compile()
    assert "\n" not in str(caught.value)


def test_a_kernel_that_is_not_there():
    with pytest.raises(ValueError, match="it has twice, squashed, scale"):
        kernel("skale")


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"no C\+\+ compiler"):
        device.RawModule(code=SCALE, options=("-DREAL=float", "-DNEW")).get_function("twice")


def sums(threads, columns, shared, barrier="__syncthreads();", grid=2):
    x = np.random.default_rng(0).normal(size=(5, columns))
    result = device.zeros(5)
    with threads_in_a_block(threads):
        given = (to_device_array(x), result, np.int32(5), np.int32(columns))
        kernel("sum_of_rows", ROWS, "double", BARRIER=barrier)((grid,), (64,), given, shared_mem=shared)
    return result.get(), x.sum(1)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_shared_memory(threads):
    got, wanted = sums(threads, 9, 9 * 8)
    np.testing.assert_allclose(got, wanted, rtol=1e-13)


@pytest.mark.parametrize("threads", [1, 2])
def test_too_little_shared_memory_is_found(threads):
    with pytest.raises(RuntimeError, match="outside its 64 bytes"):
        sums(threads, 9, 64)


def test_a_missing_barrier_shows_with_several_threads():
    wrong = 0
    for _ in range(20):
        got, wanted = sums(4, 4000, 32000, barrier="", grid=1)
        wrong += not np.allclose(got, wanted)  # memory that no thread has written yet is NaN
    assert wrong
    got, wanted = sums(1, 4000, 32000, barrier="")
    np.testing.assert_allclose(got, wanted)
