"""The modules that the stand-in plays: `cupy` itself, `cupy.linalg` and `cupy.cuda`."""

import inspect
import types

import numpy as np

from minipixel.stand_in import streams
from minipixel.stand_in.arrays import NAMES, DeviceArray, Function, to_host
from minipixel.stand_in.launching import RawModule


class Module:
    """Plays the module `cupy`, or one below it, whose names have a prefix in the list."""

    def __init__(self, host, prefix="", **own):
        self._host, self._prefix = host, prefix
        self.__dict__.update(own)

    def __getattr__(self, name):
        full = self._prefix + name
        if name.startswith("_") or full not in NAMES:
            raise AttributeError(f"cupy 14 has no {full!r}")
        if full == "linalg":
            return Module(np.linalg, "linalg.")
        if full in ("ndarray", "asnumpy"):
            return DeviceArray if full == "ndarray" else to_host
        value = getattr(self._host, name, None)
        if isinstance(value, (type, float)) or name in ("newaxis", "s_", "index_exp"):  # types, pi, inf
            return value
        if not callable(value) or inspect.ismodule(value):
            raise AttributeError(f"the stand-in for CuPy has no {full!r}")
        return Function(full, value, NAMES[full])


class Device:
    """Plays `cupy.cuda.Device`: there is one, of number 0."""

    def __init__(self, device=None):
        if device not in (None, 0):
            raise streams.CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def use(self):
        """Make it the current device."""
        return self

    def synchronize(self):
        """Let the host wait until all streams have done their work."""
        streams.synchronize_device()


PROPERTIES = {"name": b"no GPU but its stand-in", "major": 8, "minor": 0, "totalGlobalMem": 16 * 2**30}
runtime = types.SimpleNamespace(
    CUDARuntimeError=streams.CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDevice=lambda: 0,
    setDevice=lambda number: Device(number) and None,
    deviceSynchronize=streams.synchronize_device,
    getDeviceProperties=lambda number: PROPERTIES,
    driverGetVersion=lambda: 12080,
    runtimeGetVersion=lambda: 12080,
)
cuda = types.SimpleNamespace(
    Device=Device,
    Event=streams.Event,
    Graph=streams.Graph,
    Stream=streams.Stream,
    cublas=types.SimpleNamespace(setMathMode=lambda handle, mode: None),  # products here are exact in any mode
    device=types.SimpleNamespace(get_cublas_handle=lambda: 0),
    get_current_stream=streams.get_current_stream,
    get_elapsed_time=streams.get_elapsed_time,
    is_available=lambda: True,
    runtime=runtime,
)
# Its name leads to the modules that play those beside cupy: minipixel.stand_in.cublas and minipixel.stand_in.special.
device = Module(np, __name__="minipixel.stand_in", RawModule=RawModule, cuda=cuda)
