"""The array library is that of the data: NumPy on the host, CuPy on a GPU. There is nothing to switch."""

import contextlib
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minipixel.errors import DeviceError
from minipixel.shown import short
from minipixel.spelling import did_you_mean

DEVICES = ("cpu", "cuda")
"""Where arrays can be: in the memory of the host, as NumPy's, or in that of a GPU, as CuPy's."""

OF_DEVICES = ("__cuda_array_interface__", "__array_namespace__")

EXTRAS = "pip install 'minipixel[cuda12]' or 'minipixel[cuda13]'"

DRIVER_ERRORS = ("cudaErrorInsufficientDriver", "cudaErrorSystemDriverMismatch", "cudaErrorUnsupportedPtxVersion")

_player: Any = None  # the library that stands for CuPy, in every thread; None for CuPy itself


def array_module(*arrays: Any) -> Any:
    """The array library of the given arrays: `cupy` if one of them is a CuPy array, else `numpy`.

    Plain numbers belong to every library. Raises TypeError for anything that is no array.
    """
    for array in arrays:
        if not isinstance(array, (np.ndarray, np.generic, int, float, complex)):
            if type(array).__module__.partition(".")[0] == "cupy":
                return _cupy()
            if not hasattr(array, "__array_namespace__"):  # the array API's own answer, which CuPy 14 does not give
                raise TypeError(f"array_module: got a {type(array).__name__}, wanted NumPy or CuPy arrays")
            return array.__array_namespace__()
    return np


def device_of(array: Any) -> str:
    """Where an array is: "cpu" or "cuda". Raises TypeError for anything that is no array."""
    return "cpu" if array_module(array) is np else "cuda"


def check_device(device: Any) -> str:
    """The name of a device, if it is one of DEVICES; else ValueError."""
    if isinstance(device, str) and device in DEVICES:
        return device
    hint = did_you_mean(device, DEVICES)
    if isinstance(device, str) and device.startswith("cuda:"):
        hint = f"; CUDA_VISIBLE_DEVICES={device[5:]} in the environment chooses among several GPUs"
    elif isinstance(device, str) and device.lower() in ("gpu", "cupy", "nvidia"):
        hint = "; did you mean 'cuda'?"
    raise ValueError(f"device: got {short(device)}, wanted 'cpu' or 'cuda'{hint}")


def special(xp: Any) -> Any:
    """The special functions for the arrays of a library, `scipy.special` or CuPy's, imported when first asked for."""
    known = {"numpy": "scipy.special", "cupy": "cupyx.scipy.special"}
    return importlib.import_module(known.get(xp.__name__, f"{xp.__name__}.special"))


def to_cpu(array: Any) -> np.ndarray:
    """The same values as a NumPy array; a host array is returned as it is, a device array is copied over."""
    on_device = hasattr(array, "get") and any(hasattr(array, name) for name in OF_DEVICES)  # pandas has another `get`
    return array.get() if on_device else np.asarray(array)


def to_device(array: Any) -> Any:
    """The same values as a CuPy array on the current GPU.

    Raises ImportError where CuPy is not installed, and DeviceError where it finds no GPU that it can use.
    """
    with explained():
        return _cupy().asarray(array)


def beside(array: Any, other: Any) -> Any:
    """The same values where `other` is: on the host or on the GPU; copied only if they are elsewhere."""
    if device_of(other) == "cpu":
        return to_cpu(array)
    with explained():
        return array_module(other).asarray(array)


def check_together(function: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Raise DeviceError if some inputs of an op are arrays on the host and others arrays on a GPU; numbers are at home.

    The message has the name of the op and those of the inputs.
    """
    places = {i: device_of(array) for i, array in enumerate(inputs) if getattr(array, "ndim", 0)}
    if len(set(places.values())) > 1:
        names = dict(enumerate(inspect.signature(function).parameters))
        here, there = (
            ", ".join(names.get(i, f"input {i}") for i, place in places.items() if place == device)
            for device in DEVICES
        )
        raise DeviceError(
            f"{function.__name__}: got {here} on the host and {there} on the GPU, wanted all on one device; "
            "model.to('cuda') or model.to('cpu') moves a model; array_module(x).asarray(array) moves an array to x"
        )


def gpu() -> str:
    """The current GPU and its driver in words: "NVIDIA H100, driver for CUDA 12.9".

    Raises ImportError without CuPy, and DeviceError where there is no GPU or its driver is too old.
    """
    runtime = _cupy().cuda.runtime
    with explained():
        name = runtime.getDeviceProperties(runtime.getDevice())["name"].decode()
        return f"{name}, driver for CUDA {_version(_driver())}" if _driver() else name


def gpu_of(place: int, gpus: int) -> int:
    """The number of the GPU for the process at that place among those on a machine with so many GPUs: all in turn."""
    return place % gpus


def use_gpu_of(place: int) -> None:
    """Make the GPU of the process at that place the current one of this thread; the first keeps the current one."""
    if place:
        with explained():
            cuda = _cupy().cuda
            cuda.Device(gpu_of(place, cuda.runtime.getDeviceCount())).use()


@contextlib.contextmanager
def played_by(library: Any) -> Iterator[Any]:
    """Within this block, in every thread, `library` stands for CuPy wherever CuPy would be imported.

    With `minipixel.stand_in` a program for a GPU runs on a machine without one.
    """
    global _player
    before, _player = _player, library
    try:
        yield library
    finally:
        _player = before


@contextlib.contextmanager
def explained(images: int | None = None) -> Iterator[None]:
    """What CuPy says of a missing GPU, driver or library, or of too little memory, becomes one line with a way out.

    Raises DeviceError, or MemoryError that names how many `images` were computed together. CuPy's own errors are known
    by the names of their classes, so that it need not be imported.
    """
    try:
        yield
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "OutOfMemoryError" in kinds or ("CUDARuntimeError" in kinds and "MemoryAllocation" in str(error)):
            raise MemoryError(_too_little_memory(images)) from error
        if "CUDARuntimeError" in kinds:
            raise DeviceError(_of_the_driver(str(error))) from error
        if "DynamicLibNotFoundError" in kinds | {type(error.__cause__).__name__}:
            raise DeviceError(_without_libraries(str(error))) from error
        raise


def _too_little_memory(images: int | None) -> str:
    if images is None:
        return "GPU: out of memory; try a smaller model, or free arrays of other programs, which nvidia-smi shows"
    fewer = f"a batch of {images // 2} (batch_size={images // 2})" if images > 1 else "a smaller model"
    return f"GPU: out of memory with a batch of {images} images; try {fewer}, or dtype='float32' if it is float64"


def _without_libraries(said: str) -> str:
    """A line for a library of CUDA that CuPy 14 does not bring, and has not found."""
    found = re.search(r"lib\w+", said)
    return f"GPU: CuPy found no {found[0] if found else 'library of CUDA'}; {EXTRAS} brings CUDA's libraries"


def _of_the_driver(said: str) -> str:
    """A line for an error of the CUDA runtime; `said` begins with CUDA's name for it."""
    name, _, what = said.partition(":")
    if name in DRIVER_ERRORS and not _driver():
        name = "cudaErrorNoDevice"  # the runtime says the same of a driver that is missing as of one that is too old
    if name == "cudaErrorNoDevice":
        return (
            "GPU: got none, wanted an NVIDIA GPU with its driver; `nvidia-smi` lists those that programs see (in a "
            "container: docker run --gpus all); to('cpu') and --device cpu compute without one"
        )
    if name in DRIVER_ERRORS:
        return (
            f"GPU: got a driver for CUDA {_version(_driver())}, which is too old for this CuPy, wanted a newer driver, "
            "or the CuPy of an older CUDA: pip install 'minipixel[cuda12]'"
        )
    return f"GPU: {name or 'an error'}:{what}; a new process may help, since CUDA does not recover from some errors"


def _driver() -> int:
    """The version of CUDA that the driver is made for, such as 12040 for 12.4; 0 where there is no driver."""
    try:
        return int(_cupy().cuda.runtime.driverGetVersion())
    except Exception:
        return 0


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _cupy() -> Any:
    if _player is not None:
        return _player
    try:
        import cupy
    except ImportError as error:
        raise ImportError(f"GPU: CuPy is not installed; {EXTRAS}, whichever CUDA `nvidia-smi` shows") from error
    return cupy
