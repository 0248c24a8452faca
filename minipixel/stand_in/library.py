"""The modules that the stand-in plays: `cupy` itself, `cupy.linalg`, and what is used of `cupyx.scipy.special`."""

import inspect
import sys
import types

import numpy as np
import scipy.special

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


device = Module(np, __name__="minipixel.stand_in", RawModule=RawModule)

# Plays `cupyx.scipy.special`, which array_module cannot lead to: those of its functions that minipixel uses.
special = types.SimpleNamespace(
    **{name: Function(name, getattr(scipy.special, name), ["x"]) for name in ("erfcx", "log_ndtr")}
)
sys.modules.setdefault("cupyx.scipy.special", special)  # type: ignore[arg-type]
