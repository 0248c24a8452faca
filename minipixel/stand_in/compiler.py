"""CUDA C built by a C++ compiler: a source becomes a library on the host, and its kernels are found and described."""

import atexit
import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHIM = Path(__file__).with_name("shim.h")
COMPILERS = ("g++", "c++", "clang++")
TYPES = {
    "float": np.float32,
    "double": np.float64,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned char": np.uint8,
    "bool": np.bool_,
}
"""The types that a kernel's parameters may have, and point to."""
KERNEL = re.compile(r'extern\s*"C"\s*__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)')
UNDERSTOOD = re.compile(r"-[DUI].*|--std=c\+\+(11|14|17|20)|--fmad=(true|false)|--use_fast_math|--restrict")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel: its name, the type of its number or of what it points to, and which of the two."""

    name: str
    dtype: np.dtype
    pointer: bool
    constant: bool
    spelt: str


def kernels_of(text: str) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a source whose macros have been replaced, by name, with their parameters."""
    return {name: tuple(map(_parameter, _list(inside))) for name, inside in KERNEL.findall(text)}


def _list(inside: str) -> list[str]:
    return [part for part in inside.split(",") if part.strip() not in ("", "void")]


def _parameter(text: str) -> Parameter:
    words = re.sub(r"\b__restrict__\b", " ", text).replace("*", " * ").split()
    name, kind = words[-1], [word for word in words[:-1] if word != "const"]
    pointer = kind[-1:] == ["*"]
    spelt = " ".join(kind[:-1] if pointer else kind)
    if spelt not in TYPES:
        raise TypeError(f"RawModule: parameter {' '.join(words)!r} is of a type the stand-in does not know")
    return Parameter(name, np.dtype(TYPES[spelt]), pointer, pointer and "const" in words, spelt)


def compiler() -> str:
    """The C++ compiler of this machine. Raises RuntimeError if there is none."""
    for name in COMPILERS:
        if path := shutil.which(name):
            return path
    raise RuntimeError(f"stand-in for CuPy: no C++ compiler was found to build kernels; install one of {COMPILERS}")


def host_options(options: tuple[str, ...]) -> list[str]:
    """The options of a CUDA compiler, as the C++ compiler takes them. Raises ValueError for an unknown one."""
    wrong = [option for option in options if not UNDERSTOOD.fullmatch(option)]
    if wrong:
        raise ValueError(f"RawModule: the stand-in does not know the option {wrong[0]!r}")
    return [option for option in options if option.startswith(("-D", "-U", "-I"))]


def standard(options: tuple[str, ...]) -> str:
    """The standard of C++ that the options name; C++17, as in CuPy 14, if they name none."""
    return ([option for option in options if option.startswith("--std=")] or ["--std=c++17"])[-1]


@functools.cache
def described(code: str, options: tuple[str, ...]) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a source, by name, with their parameters."""
    source = _folder_of(code, options) / "source.cu"
    kernels = kernels_of(_run(["-E", "-P", "-x", "c++", *host_options(options), str(source)]))
    if not kernels:
        raise ValueError('RawModule: the source has no kernel; wanted: extern "C" __global__ void name(...)')
    return kernels


@functools.cache
def library(code: str, options: tuple[str, ...], threaded: bool = False) -> ctypes.CDLL:
    """The source as a library of the host, built once a process. Raises RuntimeError if the compiler refuses it."""
    folder = _folder_of(code, options)
    path = folder / f"kernels{'_threaded' if threaded else ''}.so"
    _run(
        ["-shared", "-fPIC", *build_options(options, threaded), "-o", str(path), str(_launcher(folder, code, options))]
    )
    return ctypes.CDLL(str(path))


@functools.cache
def program(code: str, options: tuple[str, ...], sanitizer: str) -> Path:
    """The source as a program that runs one launch, with a sanitizer of the C++ compiler; see program.h."""
    folder = _folder_of(code, options)
    path = folder / f"program_{sanitizer}"
    flags = ["-g", "-O1", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-DSTAND_IN_PROGRAM"]
    _run([*build_options(options, True), *flags, "-o", str(path), str(_launcher(folder, code, options))])
    return path


def build_options(options: tuple[str, ...], threaded: bool) -> list[str]:
    """What the C++ compiler is told in every build."""
    threads = ["-DSTAND_IN_THREADED", "--std=c++20", "-pthread"] if threaded else [standard(options)]
    return ["-O2", "-w", "-ffp-contract=off", *threads, *host_options(options), "-include", str(SHIM)]


def _launcher(folder: Path, code: str, options: tuple[str, ...]) -> Path:
    """A file with the source and, for each kernel, a function that runs it for all blocks of a grid."""
    text, kernels = f'#include "{folder / "source.cu"}"\n', described(code, options)
    for name, parameters in kernels.items():
        types = (f"{'const ' * one.constant}{one.spelt}{' *' * one.pointer}" for one in parameters)
        values = ", ".join(f"*({kind}*)values[{place}]" for place, kind in enumerate(types))
        text += f"""
extern "C" int stand_in_{name}(const unsigned* grid, unsigned threads, size_t shared, void** values) {{
    return stand_in::over_blocks(grid, threads, shared, [=] {{ {name}({values}); }});
}}
"""
    launchers = ", ".join(f"{{{number}, stand_in_{name}}}" for number, name in enumerate(kernels))
    text += f"""
#ifdef STAND_IN_PROGRAM
#include "{SHIM.with_name("program.h")}"
int main(int, char** arguments) {{ return stand_in::run_file(arguments[1], {{{launchers}}}); }}
#endif
"""
    path = folder / "launcher.cpp"
    path.write_text(text, encoding="utf-8")
    return path


def _run(arguments: list[str]) -> str:
    done = subprocess.run([compiler(), *arguments], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or [""]
        raise RuntimeError(f"RawModule: the C++ compiler refused the source: {lines[0].rpartition('/')[2]}")
    return done.stdout


def _folder_of(code: str, options: tuple[str, ...]) -> Path:
    """The folder of a source and its options, with the source in it."""
    folder = _folder() / hashlib.sha256(repr((code, options)).encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    (folder / "source.cu").write_text(code, encoding="utf-8")
    return folder


@functools.cache
def _folder() -> Path:
    """A private folder for what is built, removed when Python ends."""
    folder = tempfile.mkdtemp(prefix="minipixel-stand-in-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
