"""CUDA C compiled by NVRTC, the compiler that CuPy uses, for a GPU that need not be there."""

import ctypes
import functools
import re
from importlib import metadata

PACKAGE = "nvidia-cuda-nvrtc-cu12"
OF_CUPY = ("-ftz=true", "--device-as-default-execution-space")
"""What CuPy 14 adds to the options of a RawModule, beside the architecture."""


class CompileError(Exception):
    """What the compiler said: an error, or a warning."""


@functools.cache
def library():
    """The library of the installed package; metadata.PackageNotFoundError if there is none."""
    (path,) = [file for file in metadata.files(PACKAGE) or () if re.fullmatch(r"libnvrtc\.so\.\d+", file.name)]
    return ctypes.CDLL(str(path.locate()))


def compiled(source, options):
    """The cubin of a source, with `-arch=sm_...` among the options. Raises CompileError if anything was said of it."""
    nvrtc, program = library(), ctypes.c_void_p()
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None))
    try:
        given = [option.encode() for option in options]
        code = nvrtc.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
        log = _bytes(program, "ProgramLog").rstrip(b"\0").decode().strip()
        if code or log:
            raise CompileError(log or f"error {code}")
        return _bytes(program, "CUBIN")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def kernels_in(cubin):
    """The names of the kernels in a cubin: each has a section of its own for its code."""
    return {name.decode() for name in re.findall(rb"\0\.text\.(\w+)(?=\0)", cubin)}


def _bytes(program, what):
    size = ctypes.c_size_t()
    _check(getattr(library(), f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(library(), f"nvrtcGet{what}")(program, text))
    return text.raw


def _check(code):
    if code:
        raise CompileError(f"error {code}")
