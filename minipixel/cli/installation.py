"""What is installed here: for `minipixel --version`, for `minipixel info` in a bug report, and for config.toml."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import threadpoolctl

import minipixel
from minipixel import datasets
from minipixel.backend import gpu
from minipixel.errors import DeviceError
from minipixel.kernels import numba_enabled
from minipixel.shards import Workers

COMPUTING = {"NumPy": "numpy", "SciPy": "scipy", "Numba": "numba"}
"""Libraries that the last bits of a result may depend on."""
OTHERS = (
    *("llvmlite", "safetensors", "pillow", "matplotlib", "threadpoolctl", "tqdm", "pooch", "mpi4py"),
    *("cupy-cuda12x", "cupy-cuda13x"),
)


def installed(name: str) -> str:
    """The version of a library, or words that it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def in_one_line() -> str:
    """The version of minipixel, and what its results depend on besides."""
    libraries = [f"{name} {installed(package)}" for name, package in COMPUTING.items()]
    below = [f"Python {platform.python_version()}", *libraries, f"{platform.system()} {platform.machine()}"]
    return f"minipixel {minipixel.__version__} ({', '.join(below)})"


def in_full() -> str:
    """All that a report of a bug should say of the installation, in lines."""
    kernels = "Numba" if numba_enabled() else "plain NumPy (Numba is missing, or MINIPIXEL_NUMBA=0)"
    facts = {
        "machine": platform.platform(),
        "blas": _blas(),
        "kernels": kernels,
        "threads": str(Workers().count),
        "gpu": _gpu(),
        "data": os.environ.get("MINIPIXEL_DATA", "a cache folder (MINIPIXEL_DATA is not set)"),
        "data sets": ", ".join(datasets.DATASETS),
    }
    lines = [f"minipixel {minipixel.__version__} on Python {platform.python_version()}, {platform.machine()}"]
    lines += [f"  {name:13} {installed(name)}" for name in (*COMPUTING.values(), *OTHERS)]
    return "\n".join(lines + [f"{name:13} {fact}" for name, fact in facts.items()])


def _blas() -> str:
    """The libraries that compute products, each with the kind of processor that it has seen."""
    libraries = [part for part in threadpoolctl.threadpool_info() if part["user_api"] == "blas"]
    return ", ".join(f"{part['internal_api']} {part['version']} ({part.get('architecture')})" for part in libraries)


def _gpu() -> str:
    """The GPU in words, or why there is none."""
    try:
        return gpu()
    except (ImportError, DeviceError) as error:
        return f"no {error}"
