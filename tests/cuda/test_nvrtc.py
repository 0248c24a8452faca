"""The source of all kernels is compiled by NVRTC as CuPy would compile it; a warning counts as an error."""

import functools
import re
from importlib import metadata

import pytest
from nvrtc import OF_CUPY, PACKAGE, CompileError, compiled, kernels_in

from minipixel import stand_in
from minipixel.kernels import cuda

try:
    metadata.version(PACKAGE)
except metadata.PackageNotFoundError:
    pytest.skip(f"needs {PACKAGE}: pip install 'minipixel[cuda-check]'", allow_module_level=True)

REALS = ("float32", "float64")
GPUS = ("sm_80", "sm_90")
TWICE = 'extern "C" __global__ void twice(REAL* x) { x[threadIdx.x] *= 2; }\n'


class Asked:
    """Takes the place of a device library, and keeps what it is asked to compile."""

    def __init__(self):
        self.modules = []

    def RawModule(self, *, code, options):  # noqa: N802 - as CuPy spells it
        self.modules.append((code, options))
        return self

    @staticmethod
    def get_function(name):
        return name


@functools.cache
def asked(dtype, source):
    """The source and the options that a kernel's launch gives to the device library."""
    library = Asked()
    cuda._module.__wrapped__(library, dtype, source)
    ((code, options),) = library.modules
    return code, options


def cubin(dtype, gpu, source="plan"):
    code, options = asked(dtype, source)
    return compiled(code, (*options, *OF_CUPY, f"-arch={gpu}"))


def declared():
    """The names behind KERNEL or the like, and the first arguments of macros that begin with KERNEL."""
    source = cuda.source("plan")
    macros = re.findall(r"#define (\w+)\(name,.*\\\n\s*KERNEL name\(", source)
    plain = set(re.findall(r"^[A-Z_]+ (\w+)\(", source, re.MULTILINE))
    return plain | {name for macro in macros for name in re.findall(rf"^{macro}\((\w+),", source, re.MULTILINE)}


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", REALS)
def test_every_kernel_compiles_without_a_warning(dtype, gpu):
    found = kernels_in(cubin(dtype, gpu))
    assert found == declared() and len(found) > 40


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("dtype", REALS)
def test_the_kernel_that_draws_compiles_without_a_warning(dtype, gpu):
    assert kernels_in(cubin(dtype, gpu, "machine")) == {"play"}


def test_the_stand_in_sees_the_same_kernels():
    code, options = asked("float32", "plan")
    try:
        stand_in.compiler.compiler()
    except RuntimeError as error:
        pytest.skip(str(error))
    assert stand_in.compiler.described(code, options).keys() == declared()


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (TWICE.replace("*= 2", "*= two"), '"two" is undefined'),
        (TWICE.replace("{", "{ int unused = 1;"), "never referenced"),
        (TWICE.replace("REAL*", "double*").replace("*= 2", "= atomicSub(x, 1.0)"), "no instance of overloaded"),
        (TWICE.replace("threadIdx", "threadIdx[0]"), "error"),
    ],
)
def test_a_mistake_is_refused(mistake, said):
    code, options = asked("float32", "plan")
    options = (*options, *OF_CUPY, "-arch=sm_80")
    assert kernels_in(compiled(TWICE, options)) == {"twice"}
    with pytest.raises(CompileError, match=said):
        compiled(code + mistake, options)
