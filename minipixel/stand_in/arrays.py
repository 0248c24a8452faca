"""A strict stand-in for CuPy, so that GPU mistakes show on a machine without a GPU.

`DeviceArray` plays `cupy.ndarray`, and `device`, in library.py, the module `cupy`. NumPy does the work, but host and
device may not mix, and only the names and keywords in `cupy14_names.txt` exist. It is stricter than CuPy on purpose:
`np.tanh(x)`, a host array beside a device array and a list as an index are refused. In two ways it is not CuPy: a
`DeviceArray` answers `__array_namespace__` (CuPy 14 does not), and `device` has no random, fft, r_, mgrid and the like.
"""

import contextlib
import operator
import re
from pathlib import Path

import numpy as np

from minipixel.stand_in import streams

SCALARS = (bool, int, float, complex, np.generic)
DTYPES = "?bBhHiIlLqQefdFD"  # what a CuPy array can hold: no objects, no strings, no long doubles
TRANSFERS = {"array", "asarray", "asanyarray"}  # the explicit ways to the device; ascontiguousarray is not one
ANSWERS = {"allclose", "array_equal", "array_equiv", "count_nonzero"}  # Python numbers in NumPy, 0-d arrays in CuPy
REDUCERS = {"add", "multiply"}  # the only ufuncs with .reduce and .accumulate
SCATTERERS = {"add", "bitwise_and", "bitwise_or", "bitwise_xor", "maximum", "minimum", "subtract"}  # those with .at
EMPTY = {"empty", "empty_like"}  # they make room and launch nothing
WAITING = {
    "argwhere",
    "bincount",
    "compress",
    "extract",
    "flatnonzero",
    "ndarray.compress",
    "ndarray.nonzero",
    "nonzero",
}
WAITING |= {"unique", "unique_all", "unique_counts", "unique_inverse", "unique_values"}
# CuPy asks the device how large the results of those are, and waits for the answer.
ON_REQUEST = {"ndarray.item", "ndarray.tolist", "ndarray.tobytes", "ndarray.dump", "ndarray.dumps", "ndarray.tofile"}
HOST_MEMORY = {"data", "device", "flat"}  # what NumPy answers here is no use on a device

# CuPy's names for parameters that must be arrays already, not lists or numbers ...
ARRAYS = {"A", "a", "arr", "array", "ary", "condition", "dst", "prototype", "tup"}
LENIENT = TRANSFERS | {"allclose", "isclose", "ndim", "shape", "size"}
# ... and for those that must be plain Python numbers, because the host needs them to launch the kernel.
NUMBERS = re.compile(
    "N|ax[ei]s[12]?|decimals|destination|dim(ension)?s|indices_or_sections|k|keepdims|kth|n|ndmin|newshape|num|"
    "pad_width|repeats|reps|shape|shift|source|start|step|stop"
)


def _read_names():
    """The list as {name: the names of its parameters, or None where CuPy does not tell}."""
    text = Path(__file__).with_name("cupy14_names.txt").read_text(encoding="utf-8")
    lines = (line.partition("(") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: rest[:-1].replace(",", "").split() if bracket else None for name, bracket, rest in lines}


NAMES = _read_names()


def to_device_array(a):
    """Copy host numbers to the device: a copy, as a real transfer is, so that no memory is shared by accident."""
    copied = DeviceArray(np.array(a))
    streams.copy_to_device("asarray", copied._host)
    return copied


def to_host(x):
    """The NumPy array of a DeviceArray; anything else comes back as it is."""
    return x.get() if isinstance(x, DeviceArray) else x


def _unwrap(value, transfer=False):
    """What NumPy needs to do the work. Refuses host arrays at any depth, unless this is an explicit transfer."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray) and not transfer:
        raise TypeError(f"Unsupported type {type(value)}: a host array where a device array belongs")
    if isinstance(value, (list, tuple)):
        return type(value)([_unwrap(item, transfer) for item in value])
    return value


def _wrap(value):
    """Results stay on the device, those of no dimensions too."""
    if isinstance(value, (np.ndarray, np.generic)):
        return DeviceArray(np.asarray(value))
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)([_wrap(item) for item in value])
    return value


def _holds_array(value):
    return isinstance(value, DeviceArray) or (isinstance(value, (list, tuple)) and any(map(_holds_array, value)))


def _arrays_in(values):
    """The host's side of all device arrays in the values, at any depth."""
    for value in values:
        if isinstance(value, DeviceArray):
            yield value._host
        elif isinstance(value, (list, tuple)):
            yield from _arrays_in(value)


def _is_new(result, given):
    """Whether an array has memory of its own, and is no view of what was given."""
    return not any(streams.owner(result) is streams.owner(array) for array in given)


class Function:
    """A NumPy function or method that takes what CuPy's takes, and gives what CuPy's gives."""

    def __init__(self, name, function, parameters):
        self.name, self.function, self.parameters = name, function, parameters

    def __call__(self, *args, **kwargs):
        """Run it, and keep the result on the device."""
        if self.parameters is not None:
            self._check(args, kwargs)
        transfer = self.name in TRANSFERS
        given = [*_arrays_in(args), *_arrays_in(kwargs.values())]
        if isinstance(of := getattr(self.function, "__self__", None), np.ndarray):
            given.append(of)
        if isinstance(self.function, np.ufunc) or kwargs.get("out") is not None:
            streams.outside_capture(self.name)  # before it writes
        if self.name in ON_REQUEST:
            streams.copy_to_host(self.name, given[-1])
        result = self.function(
            *[_unwrap(value, transfer) for value in args],
            **{key: _unwrap(value, transfer) for key, value in kwargs.items()},
        )
        if transfer and not given:
            return to_device_array(result)  # NumPy's asarray shares the memory of a host array
        out = kwargs.get("out")
        filled = out is not None and result is not None
        result = out if filled else _wrap(np.asarray(result) if self.name in ANSWERS else result)
        self._note(given, [*_arrays_in([result])], result is None or filled)
        if self.name == "where" and len(args) == 1:
            streams.wait(self.name)
        return result

    def _note(self, given, results, in_place):
        """Tell what it cost: nothing for a view, one launch for new numbers, a wait where the host must know a size."""
        if self.name in EMPTY:
            streams.compute(self.name, results, work=False)
        elif in_place or any(isinstance(self.function, np.ufunc) or _is_new(result, given) for result in results):
            streams.compute(self.name, given + results)
        if self.name in WAITING:
            streams.wait(self.name)

    def _check(self, args, kwargs):
        names = self.parameters
        star = next((i for i, name in enumerate(names) if name.startswith("*")), len(names))
        unknown = {} if any(name.startswith("**") for name in names) else kwargs.keys() - set(names)
        if unknown or len(args) > star == len(names):
            raise TypeError(f"cupy.{self.name}: wrong arguments {[*unknown]}; it takes {', '.join(names)}")
        positional = [(names[min(i, star)].lstrip("*"), value) for i, value in enumerate(args)]
        for name, value in positional + list(kwargs.items()):
            if NUMBERS.fullmatch(name) and _holds_array(value):
                raise TypeError(f"cupy.{self.name}: {name} must be plain Python numbers, not a device array")
            if name in ARRAYS and self.name not in LENIENT:
                items = value if name == "tup" and isinstance(value, (list, tuple)) else [value]
                if not all(isinstance(item, DeviceArray) for item in items):
                    raise TypeError(f"cupy.{self.name}: {name} must be made of device arrays, not {type(value)}")
            if isinstance(self.function, np.ufunc) and name != "out" and isinstance(value, (list, tuple)):
                raise TypeError(f"cupy.{self.name}: Unsupported type {type(value)}")

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        """A ufunc's reduce."""
        return self._method("reduce", REDUCERS)(array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def accumulate(self, array, axis=0, dtype=None, out=None):
        """A ufunc's accumulate."""
        return self._method("accumulate", REDUCERS)(array, axis=axis, dtype=dtype, out=out)

    def at(self, a, indices, b):
        """A ufunc's at."""
        _index(indices)  # refuses what is no index
        self._method("at", SCATTERERS)(a, indices, b)

    def _method(self, method, supported):
        if self.name not in supported:
            raise NotImplementedError(f"`cupy_{self.name}.{method}` is not supported by CuPy 14")
        return Function(f"{self.name}.{method}", getattr(self.function, method), None)


def _operand(value):
    """The other side of an operator, or None where CuPy would leave the work to it."""
    if isinstance(value, (DeviceArray, *SCALARS)):
        return _unwrap(value)
    known = isinstance(value, (np.ndarray, list, tuple, str, type(None)))
    outranks = not hasattr(value, "__array_ufunc__") and getattr(value, "__array_priority__", 0) > 100
    if not known and (outranks or getattr(value, "__array_ufunc__", value) is None):
        return None
    raise TypeError(f"Unsupported type {type(value)}")


def _same_numbers(a, b):
    return (a.shape, a.strides, a.ctypes.data) == (b.shape, b.strides, b.ctypes.data)


def _two_sided(function, swapped=False, in_place=False):
    def apply(self, other):
        other = _operand(other)
        if other is None:
            return NotImplemented
        streams.compute(function.__name__, [self._host, *([other] if isinstance(other, np.ndarray) else [])])
        result = function(other, self._host) if swapped else function(self._host, other)
        return self if in_place else _wrap(result)

    return apply


def _index(key):
    """A NumPy index made of ints, slices, None, Ellipsis and device arrays; nothing else."""
    if isinstance(key, tuple):
        return tuple(_index(item) for item in key)
    parts = (key.start, key.stop, key.step) if isinstance(key, slice) else (key,)
    plain = (int, np.integer, type(None)) if isinstance(key, slice) else (int, np.integer, type(None), DeviceArray)
    if key is not Ellipsis and not all(isinstance(part, plain) for part in parts):
        raise TypeError(f"Unsupported index {key!r}: index with ints, slices of ints, or device arrays")
    return _unwrap(key)


class DeviceArray:
    """Plays `cupy.ndarray`: NumPy underneath, but nothing gets to the host unasked."""

    __slots__ = ("_host",)
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100
    __array_ufunc__ = None  # np.tanh(x), and so host_array + x, are TypeErrors

    def __init__(self, host):
        if host.dtype.char not in DTYPES:
            raise TypeError(f"Unsupported dtype {host.dtype}")
        self._host = host

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"np.{func.__name__} was given a device array; call xp.{func.__name__}")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_namespace__(self, api_version=None):
        from minipixel.stand_in.library import device

        return device

    def __getattr__(self, name):
        if name.startswith("_") or "ndarray." + name not in NAMES:
            raise AttributeError(f"CuPy 14's ndarray has no {name!r}")
        if name in HOST_MEMORY or not hasattr(np.ndarray, name):
            raise AttributeError(f"the stand-in for CuPy has no ndarray.{name}")
        value = getattr(self._host, name)
        return Function("ndarray." + name, value, NAMES["ndarray." + name]) if callable(value) else _wrap(value)

    def get(self, stream=None, order="C", out=None):
        """A copy on the host, or in `out`, an array there: an explicit transfer, for which the host waits."""
        with stream or contextlib.nullcontext():
            streams.copy_to_host("ndarray.get", self._host)
        if out is None:
            return self._host.copy(order)
        if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != (self.shape, self.dtype):
            raise TypeError(f"ndarray.get: out must be a host array of shape {self.shape} and {self.dtype}")
        out[...] = self._host
        return out

    def set(self, arr, stream=None):
        """Copy a host array of the same shape and type into this one."""
        if not isinstance(arr, np.ndarray) or (arr.shape, arr.dtype) != (self.shape, self.dtype):
            raise TypeError(f"ndarray.set: wanted a host array of shape {self.shape} and {self.dtype}")
        if not self._host.flags.forc:
            raise RuntimeError("ndarray.set: Cannot set to non-contiguous array")
        with stream or contextlib.nullcontext():
            streams.copy_to_device("ndarray.set", self._host)
        self._host[...] = arr

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        if not any(item is Ellipsis for item in key):
            key = (*key, ...)  # so that x[0] is a view of no dimensions, as it is in CuPy, not a number
        found = self._host[_index(key)]
        if _is_new(found, [self._host]):
            masks = [item for item in key if isinstance(item, DeviceArray) and item.dtype == bool]
            streams.compute("ndarray[...]", [self._host, found, *_arrays_in(key)])
            if masks:
                streams.wait("ndarray[mask]")
        return DeviceArray(found)

    def __setitem__(self, key, value):
        if not isinstance(value, (DeviceArray, *SCALARS)):
            raise TypeError(f"Unsupported type {type(value)}: assign device arrays or numbers")
        places, keys = _index(key), [*_arrays_in([key])]
        if not keys and isinstance(value, DeviceArray) and _same_numbers(self._host[places], value._host):
            return  # the second half of x[0] += y, which CuPy leaves out as well
        streams.compute("ndarray[...] =", [self._host, *keys, *_arrays_in([value])])
        self._host[places] = _unwrap(value)
        if isinstance(value, DeviceArray) and any(array.dtype == bool for array in keys):
            streams.wait("ndarray[mask] =")  # CuPy first finds the places; it does not for a number

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo):
        return self.copy()

    def __repr__(self):
        streams.copy_to_host("repr", self._host)
        return f"Device{self._host!r}"


def _one_sided(function):
    def apply(self):
        streams.compute(function.__name__, [self._host])
        return _wrap(function(self._host))

    return apply


def _number(function):
    def apply(self):
        streams.copy_to_host(function.__name__, self._host)
        return function(self._host)

    return apply


ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"]
for _name in ARITHMETIC + ["matmul", "lt", "le", "eq", "ne", "gt", "ge"]:
    setattr(DeviceArray, f"__{_name}__", _two_sided(getattr(operator, f"__{_name}__")))
for _name in ARITHMETIC + ["matmul"]:
    setattr(DeviceArray, f"__r{_name}__", _two_sided(getattr(operator, f"__{_name}__"), swapped=True))
for _name in ARITHMETIC:  # CuPy has no __imatmul__: there x @= y makes a new array
    setattr(DeviceArray, f"__i{_name}__", _two_sided(getattr(operator, f"__i{_name}__"), in_place=True))
for _function in (operator.neg, operator.pos, abs, operator.invert):
    setattr(DeviceArray, f"__{_function.__name__}__", _one_sided(_function))
for _kind in (bool, int, float, complex):  # explicit transfers
    setattr(DeviceArray, f"__{_kind.__name__}__", _number(_kind))
