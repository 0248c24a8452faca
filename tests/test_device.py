"""The stand-in for CuPy bites: each mistake it is there to catch raises, and honest device code runs."""

import copy
import inspect
import operator
import re
import sys

import numpy as np
import pytest

from minipixel.stand_in import NAMES, DeviceArray, device, to_device_array, to_host


@pytest.fixture
def host():
    return np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def x(host):
    return to_device_array(host)


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.float64(2)])
@pytest.mark.parametrize("apply", OPERATORS + COMPARISONS)
def test_operators_match_numpy_and_take_numbers(apply, number, x, host):
    x, host = x + 1, host + 1  # nothing divides by nought
    for result, expected in [(apply(x, number), apply(host, number)), (apply(number, x), apply(number, host))]:
        assert isinstance(result, DeviceArray)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.get(), expected)


@pytest.mark.parametrize("apply", [*OPERATORS, *COMPARISONS, operator.matmul])
@pytest.mark.parametrize("other", [np.ones((2, 3), np.float32), np.array(1.0), [1, 2, 3], None])
def test_operators_refuse_host_arrays_on_both_sides(apply, other, x):
    with pytest.raises(TypeError, match="Unsupported type"):
        apply(x, other)
    with pytest.raises(TypeError, match="Unsupported type"):
        apply(other, x)


def test_in_place_operators_refuse_to_mix(x, host):
    with pytest.raises(TypeError):
        x += host
    with pytest.raises(TypeError):
        host += x


class Reflects:
    """Like an autograd tensor: it wants the reflected operator for itself."""

    def __radd__(self, other):
        return "mine"

    __rmul__ = __radd__


def test_a_stranger_gets_the_reflected_operator_only_by_asking(x):
    asks = type("Asks", (Reflects,), {"__array_ufunc__": None})()
    outranks = type("Outranks", (Reflects,), {"__array_priority__": 1000})()
    assert x + asks == x * outranks == "mine"
    with pytest.raises(TypeError, match="Unsupported type"):
        x + Reflects()


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.array,
        np.ascontiguousarray,
        np.tanh,
        np.sum,
        np.shape,
        np.zeros_like,
        np.float32,
        memoryview,
        lambda x: np.add(x, x),
        lambda x: np.add(1.0, x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.where(x > 0, x, 0),
        lambda x: np.testing.assert_array_equal(x, x),
        lambda x: np.add(np.zeros((2, 3)), 1, out=x),
        lambda x: np.arange(3)[x > 0],
        lambda x: np.zeros((2, 3)).__setitem__(..., x),
        lambda x: range(x.sum()),
        hash,
    ],
)
def test_nothing_gets_to_the_host_by_accident(convert, x):
    with pytest.raises(TypeError):
        convert(x)


def test_numpy_sees_no_back_door(x):
    for name in ("__array_interface__", "__array_struct__", "__index__", "__cuda_array_interface__", "data", "flat"):
        with pytest.raises(AttributeError):
            getattr(x, name)


def test_explicit_transfers_copy(x, host):
    back = x.get()
    back[:] = -1
    host[:] = -1
    assert float(x[1, 2]) == 5.0
    up = device.asarray(host)
    host[:] = 7
    assert float(up[0, 0]) == -1.0
    assert device.asarray(x)[0, 0].get() == 0.0
    assert type(to_host(x)) is np.ndarray
    assert to_host(3) == 3
    assert type(device.asnumpy(x)) is np.ndarray


def test_python_numbers_on_request(x):
    one = x[1, 2]
    assert (float(one), int(one), bool(one), complex(one), one.item()) == (5.0, 5, True, 5 + 0j, 5.0)
    assert x.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    with pytest.raises(TypeError, match="wrong arguments"):
        x.item(0)


@pytest.mark.parametrize(
    "name", ["errstate", "block", "insert", "seterr", "einsum_path", "unstack", "isdtype", "float128"]
)
def test_names_that_cupy_lacks(name):
    assert hasattr(np, name) or (name == "unstack" and np.lib.NumpyVersion(np.__version__) < "2.1.0")
    with pytest.raises(AttributeError, match="cupy 14 has no"):
        getattr(device, name)


@pytest.mark.parametrize("name", ["random", "fft", "r_", "mgrid", "float_", "RawKernel"])
def test_names_that_the_stand_in_leaves_out(name):
    with pytest.raises(AttributeError, match="stand-in"):
        getattr(device, name)


def test_attributes_that_cupy_lacks(x):
    for name in ("ctypes", "setflags", "resize", "to_device", "tostring", "no_such_thing"):
        with pytest.raises(AttributeError, match="CuPy 14's ndarray has no"):
            getattr(x, name)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, h: device.tanh(h),
        lambda x, h: device.add(x, h),
        lambda x, h: device.add(x, 1, out=h),
        lambda x, h: device.concatenate([x, h]),
        lambda x, h: device.einsum("ij,kj->ik", x, h),
        lambda x, h: device.select([x > 0, [h > 0]], [x, x]),
        lambda x, h: device.where(x > 0, x, h),
        lambda x, h: device.where(h > 0, x, x),
        lambda x, h: device.ascontiguousarray(h),
        lambda x, h: device.take_along_axis(x, h.astype(int), 0),
        lambda x, h: device.linalg.norm(h),
        lambda x, h: x.dot(h.T),
        lambda x, h: x.take(np.array([0])),
    ],
)
def test_functions_refuse_host_arrays_at_any_depth(call, x, host):
    with pytest.raises(TypeError):
        call(x, host)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: device.max(x, initial=0),  # keywords that NumPy alone has
        lambda x: device.sum(x, where=x > 0),
        lambda x: x.sum(where=x > 0),
        lambda x: device.add(x, 1, where=x > 0),
        lambda x: device.exp(x, order="C"),
        lambda x: device.einsum("ij->i", x, out=x[:, 0]),
        lambda x: device.zeros_like(x, device="cpu"),
        lambda x: device.max(x, 0, None, False, 0),
        lambda x: device.sum([1, 2]),  # lists and numbers where CuPy wants an array
        lambda x: device.prod((2, 3)),
        lambda x: device.add(x, [1, 2, 3]),
        lambda x: device.where(True, x, x),
        lambda x: device.stack([x, 1.0]),
        lambda x: device.broadcast_to(1.0, (2, 3)),
        lambda x: device.zeros(x.sum().astype(int)),  # arrays where the host needs numbers
        lambda x: device.ones((x[0, 1].astype(int), 2)),
        lambda x: device.arange(x.sum().astype(int)),
        lambda x: device.reshape(x, (x[1, 0].astype(int), 2)),
        lambda x: x.reshape(x[1, 0].astype(int), 2),
        lambda x: x.sum(axis=x[0, 0].astype(int)),
        lambda x: device.repeat(x, device.asarray([1, 2]), axis=0),
        lambda x: device.split(x, device.asarray([1]), axis=0),
        lambda x: device.asarray(["text"]),  # what a CuPy array cannot hold
        lambda x: device.asarray([object()]),
        lambda x: x.astype(object),
    ],
)
def test_arguments_that_cupy_would_refuse(call, x):
    with pytest.raises(TypeError):
        call(x)


def test_few_ufuncs_have_methods(x):
    assert device.add.reduce(x, axis=1).get().tolist() == [3.0, 12.0]
    assert device.add.accumulate(x, axis=1).shape == (2, 3)
    target = device.zeros(3)
    device.add.at(target, device.asarray([0, 0, 2]), 1.0)
    assert target.get().tolist() == [2.0, 0.0, 1.0]
    for call in (device.maximum.reduce, device.logaddexp.reduce, device.maximum.accumulate):
        with pytest.raises(NotImplementedError):
            call(x)
    with pytest.raises(NotImplementedError):
        device.multiply.at(target, 0, 1.0)


@pytest.mark.parametrize("key", [[0, 1], np.array([0, 1]), np.array(0), (0, [1]), 1.0, slice(np.array(0), 1), "a"])
def test_indices_are_plain_or_on_the_device(key, x):
    with pytest.raises(TypeError):
        x[key]
    with pytest.raises(TypeError):
        x[key] = 0


def test_a_slice_takes_no_device_array(x):
    with pytest.raises(TypeError, match="Unsupported index"):
        x[: x[0, 1].astype(int)]


def test_indexing_matches_numpy(x, host):
    for key in (0, -1, slice(1), (slice(None), 1), (..., None), (0, slice(None, None, 2)), None, (1, ..., 2), ()):
        np.testing.assert_array_equal(x[key].get(), host[key])
    np.testing.assert_array_equal(x[x > 2].get(), host[host > 2])
    np.testing.assert_array_equal(x[device.asarray([1, 0]), 2].get(), host[[1, 0], 2])
    assert [row.shape for row in x] == [(3,), (3,)]
    assert len(x) == 2


def test_assignment_refuses_host_values(x, host):
    for value in (host, host[0], [1, 2, 3], np.array(1.0)):
        with pytest.raises(TypeError, match="Unsupported type"):
            x[:] = value
    x[0] = x[1]
    x[x > 4] = np.float32(-1)
    assert x.tolist() == [[3.0, 4.0, -1.0], [3.0, 4.0, -1.0]]


def test_views_share_memory(x):
    x[:, 1:2] += 10
    x.T[0] *= 2
    x.reshape(-1)[5:] = 9
    device.swapaxes(x, 0, 1)[2, 0] = 7
    first, second = device.split(x, 2)
    second -= 1
    assert x.tolist() == [[0.0, 11.0, 7.0], [5.0, 13.0, 8.0]]
    assert first.shape == (1, 3)


def test_a_fully_indexed_array_is_a_view_too(x):
    kept = x[0, 0]
    x[0, 0] = 42
    assert kept.shape == ()
    assert float(kept) == 42.0  # in NumPy it would still be 0: copy what is to be kept
    kept += 1
    assert float(x[0, 0]) == 43.0


def test_in_place_operators_keep_the_object(x):
    before = x
    x += 1
    x *= x
    x /= np.float32(2)
    assert x is before
    assert x.tolist() == [[0.5, 2.0, 4.5], [8.0, 12.5, 18.0]]
    total = x.sum()
    alias = total
    total += 1
    assert alias is total
    with pytest.raises(TypeError):
        x += 1j


def test_out_is_filled_and_returned(x):
    out = device.empty_like(x)
    assert device.multiply(x, 2, out=out) is out
    assert out.tolist() == [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]
    square = device.empty((2, 2), dtype=device.float32)
    assert device.matmul(x, x.T, out=square) is square
    assert square.tolist() == [[5.0, 14.0], [14.0, 50.0]]


def test_results_stay_on_the_device(x):
    results = [
        x.sum(),
        x.max(),
        device.mean(x),
        device.sqrt(2.0),
        x[0] @ x[1],
        device.count_nonzero(x),
        device.array_equal(x, x),
        device.allclose(x, x),
        device.linalg.norm(x),
        x.argmax(),
        *device.nonzero(x > 4),
        *device.split(x, 3, axis=1),
        *device.linalg.svd(x),
        -x,
        abs(x),
        ~(x > 0),
        x.real,
        x.T,
    ]
    assert all(isinstance(result, DeviceArray) for result in results)
    assert [result.shape for result in results[:10]] == [()] * 10


def test_host_facts_stay_on_the_host(x):
    assert (x.shape, x.ndim, x.size, x.dtype, x.nbytes, x.strides) == ((2, 3), 2, 6, np.float32, 24, (12, 4))
    assert x.flags.c_contiguous
    assert device.float32 is np.float32
    assert (device.pi, device.newaxis, device.inf) == (np.pi, None, np.inf)
    assert device.result_type(x, np.float64) == np.float64
    assert device.finfo(x.dtype).eps == np.finfo(np.float32).eps
    assert device.broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert device.s_[1:] == slice(1, None)
    assert repr(x[0, 0]) == "Devicearray(0., dtype=float32)"


def test_the_namespace_and_copies(x):
    assert x.__array_namespace__() is device
    assert device.ndarray is DeviceArray
    twin = copy.deepcopy(x)
    twin[:] = 0
    assert float(x.max()) == 5.0
    assert device.asarray([x, x]).shape == (2, 2, 3)
    padded = device.pad(x, ((0, 0), (1, 0)))
    assert padded.shape == (2, 4)
    assert device.einsum("ij,kj->ik", x, x, optimize=True).shape == (2, 2)


def cupy_lines(cupy):
    """The list as CuPy itself tells it, which takes no GPU: a name, or name(parameters), a line."""
    places = [("", cupy), ("linalg.", cupy.linalg), ("ndarray.", cupy.ndarray)]
    pairs = [(prefix + name, getattr(place, name)) for prefix, place in places for name in dir(place)]
    public = [(name, value) for name, value in pairs if not re.search(r"(^|\.)(_|annotations$)", name)]
    return sorted(name + cupy_parameters(value) for name, value in public)


def cupy_parameters(value):
    """A function's parameters as "(a, axis)"; nothing for other things."""
    if not callable(value) or isinstance(value, type):
        return ""
    first = (value.__doc__ or "").partition("\n")[0].replace("\\", "").partition(" -> ")[0]
    if first.endswith(")"):  # what is compiled tells its parameters on the first line of its docstring
        parts = re.sub(r"\[.*?\]", "", first).partition("(")[2][:-1].split(",")
        names = [part.partition("=")[0].split()[-1] for part in parts if part.strip()]
    else:
        try:
            parameters = inspect.signature(value).parameters.values()
        except ValueError:
            return ""
        names = [str(one.replace(default=one.empty, annotation=one.empty)) for one in parameters]
    return f"({', '.join(name for name in names if name not in ('self', '/', '*'))})"


def test_the_list_is_sorted_and_has_what_we_need():
    assert list(NAMES) == sorted(NAMES)
    assert {"tanh", "log1p", "logaddexp", "einsum", "ndarray.astype", "linalg.norm"} <= NAMES.keys()
    assert NAMES["sum"] == ["a", "axis", "dtype", "out", "keepdims"]
    assert NAMES["float32"] is None


def test_every_name_exists_in_the_installed_cupy():
    cupy = pytest.importorskip("cupy")
    assert NAMES.keys() <= {line.partition("(")[0] for line in cupy_lines(cupy)}


if __name__ == "__main__":  # prints what belongs below the header of cupy14_names.txt
    import cupy

    sys.stdout.write("\n".join(cupy_lines(cupy)) + "\n")
