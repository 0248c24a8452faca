"""Every name of CuPy that the package uses is in the stand-in's list and, where it is installed, in CuPy itself."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest
from cupy_names import BESIDE, OF_OBJECTS, names_in, names_used

from minipixel.stand_in import NAMES, device


def test_names_are_found():
    text = """
def f(x):
    xp, g = array_module(x), xp.zeros(3, dtype=int)
    runtime = getattr(_cupy(), "cuda", None).runtime
    y = array_module(x).tanh(self.xp.where(x, model.xp.linalg.norm(x), xp.pi))
    special(xp).erfcx(runtime.getDevice())
    sizes = array_module(x)
    return sizes.empty(3), getattr(xp, name)(y), np.errstate, xp.__name__, kernels.xp.cuda.Stream(non_blocking=True)
"""
    found = names_in(text)
    assert {"zeros", "cuda.runtime", "tanh", "where", "linalg.norm", "pi", "special.erfcx"} <= found.keys()
    assert {"cuda.runtime.getDevice", "empty", "<name>", "cuda.Stream"} <= found.keys()
    assert not {"errstate", "__name__", "self.xp"} & found.keys()
    assert found["zeros"] == {"dtype"} and found["cuda.Stream"] == {"non_blocking"} and found["where"] == set()


def test_the_package_uses_what_the_lists_have():
    used = names_used()
    assert len(used) > 40
    beside = {name for name in used if name not in NAMES} | {name for name in used if name in BESIDE}
    assert beside == BESIDE.keys() - OF_OBJECTS, "a name that CuPy 14 lacks, or a row of BESIDE that nobody needs"
    for name, (keywords, files) in used.items():
        known = BESIDE[name].split() if name in BESIDE else NAMES[name]
        assert keywords <= set(known or keywords), f"{name} in {files}"


def test_the_stand_in_plays_those_beside_its_list():
    for name in BESIDE.keys() - {"special.expit", "special.ndtr", "RawKernel.__call__", "cuda.memory.OutOfMemoryError"}:
        place = device
        first, *rest = name.split(".")
        if first in ("cublas", "special"):
            place = importlib.import_module(f"{device.__name__}.{first}")
        else:
            rest = [first, *rest]
        for part in rest:
            place = getattr(place, part)


def spelt(value):
    """What CuPy tells of a function's parameters, as words in their order."""
    lines = [line for line in (value.__doc__ or "").splitlines()[:4] if "(" in line]
    code = getattr(getattr(value, "__init__", None), "__doc__", "") if isinstance(value, type) else ""
    return re.findall(r"\w+", " ".join([*lines, code]))


def found_in_order(words, text):
    """Whether all words are among those of a text, in this order."""
    rest = iter(text)
    return all(word in rest for word in words)


@pytest.mark.parametrize("name", sorted({*BESIDE} - {"cublas.gemm"}))
def test_cupy_has_what_is_beside_the_list(name):
    place = pytest.importorskip("cupy")
    first, _, rest = name.partition(".")
    if first == "special":
        place, name = importlib.import_module("cupyx.scipy.special"), rest
    if name.startswith("cuda.cublas"):  # it can be imported only beside cuBLAS: its words are in the file all the same
        (file,) = Path(importlib.util.find_spec("cupy_backends").origin).parent.glob("cuda/libs/cublas.*")
        assert name.rpartition(".")[2].encode() in file.read_bytes()
        return
    for part in filter(None, name.split(".")):
        place = getattr(place, part)
    wanted = BESIDE.get(name, "").split()
    assert found_in_order(wanted, spelt(place)), spelt(place)


def test_cupy_multiplies_matrices_as_we_do():
    """Read from its source: to import cupy.cublas takes the libraries of CUDA."""
    pytest.importorskip("cupy")
    path = Path(importlib.util.find_spec("cupy").origin).with_name("cublas.py")
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    (gemm,) = (node for node in functions if node.name == "gemm")
    assert [one.arg for one in gemm.args.args] == BESIDE["cublas.gemm"].split()
    assert [ast.literal_eval(default) for default in gemm.args.defaults] == [None, 1.0, 0.0]


def test_every_name_that_is_used_exists_in_cupy():
    cupy = pytest.importorskip("cupy")
    for name in names_used().keys() - BESIDE.keys():
        place = cupy
        for part in name.split("."):
            place = getattr(place, part)
