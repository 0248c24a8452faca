"""What a kernel computes depends on its source alone: not on what else was compiled, or loaded, before it."""

import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

import minipixel as mp
from minipixel.kernels import numba_enabled

numba = pytest.importorskip("numba")
if not numba_enabled():
    pytest.skip("Numba is switched off", allow_module_level=True)

from minipixel.kernels import cache, walker  # noqa: E402

# The walker calls many functions that LLVM does not write into it.
WALK = """
import hashlib, numpy as np
import minipixel as mp
model = mp.models.RowLSTM((8, 8, 1), 2, hidden=8, layers=1)
loss, gradients = model.value_and_gradients(np.random.default_rng(0).integers(0, 2, (64, 8, 8, 1), dtype=np.uint8))
print(loss, hashlib.sha256(b"".join(gradients[name].tobytes() for name in gradients)).hexdigest())
"""

MODELS = """
import hashlib, sys, numpy as np
import minipixel as mp
images = np.random.default_rng(0).integers(0, 4, (32, 8, 8, 1), dtype=np.uint8)
for name in sys.argv[1:]:
    options = {"hidden": 16, "layers": 2} if name == "multi-scale" else {}
    model = mp.models.MODELS[name]((8, 8, 1), 4, num_classes=2, **options)
    labels = np.arange(32) % 2
    mp.fit(model, images, labels, epochs=2, batch_size=16, progress=False)
    weights = b"".join(model.state_dict()[key].tobytes() for key in sorted(model.state_dict()))
    drawn, scores = model.sample(4, labels[:4], rng=0), model.log_prob(images, labels)
    print(name, hashlib.sha256(weights + drawn.tobytes() + scores.tobytes()).hexdigest())
"""


def run(program, folder, *arguments):
    """The lines that a new process prints, with this folder as its cache."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return sorted(done.stdout.splitlines())


def remove(folder, some):
    """Remove those files of the cache for which `some` is true; there has to be one."""
    chosen = [path for path in sorted(folder.rglob("*.nbc")) if some(path)]
    assert chosen
    for path in chosen:
        path.unlink()


@pytest.mark.slow
def test_a_walk(tmp_path):
    """In the process that compiles it, in the next one, and where one kernel alone is compiled again."""
    first = run(WALK, tmp_path)
    assert run(WALK, tmp_path) == first
    remove(tmp_path, lambda path: path.name.startswith("walker.walk"))
    assert run(WALK, tmp_path) == first


@pytest.mark.slow
def test_every_model(tmp_path):
    """Trained, drawn from and scored: from an empty cache, from a full one in another order, from parts of one.

    What is called is compiled once with nothing there and once with a random half of all others there already: what
    the models compute is the same to the bit, and so is the machine code, of what they happened not to run, too.
    """
    names, dice = list(mp.models.MODELS), random.Random(0)
    first = run(MODELS, tmp_path, *names)
    assert len(first) == len(names)
    assert run(MODELS, tmp_path, *names[::-1]) == first
    code = {path.name: machine_code(path) for path in tmp_path.rglob("*.nbc")}
    half = set(dice.sample(sorted(code), len(code) // 2))
    for some in (half, code.keys() - half):
        remove(tmp_path, lambda path, some=some: path.name in some)
        assert run(MODELS, tmp_path, *dice.sample(names, len(names))) == first
        again = {path.name: machine_code(path) for path in tmp_path.rglob("*.nbc")}
        assert again.keys() & some and again.keys() <= code.keys()
        assert [name for name in again if again[name] != code[name]] == []


def entry(path):
    """What stands in a file of the cache: the object file, the linkable code, and the names that are its own."""
    _, ((_, _, (compiled, linkable)), names, *_) = pickle.loads(path.read_bytes()[2 * cache.SIZE :])
    return compiled, linkable, {names.llvm_func_name, names.llvm_cpython_wrapper_name, names.llvm_cfunc_wrapper_name}


def machine_code(path):
    from llvmlite.binding import ObjectFileRef

    return [part.data() for part in ObjectFileRef.from_data(entry(path)[0]).sections() if part.is_text()]


def test_no_kernel_calls_what_others_can_replace():
    """Every function in the code of every kernel that was loaded or compiled here is the kernel's own."""
    from llvmlite.binding import parse_bitcode

    model = mp.models.RowLSTM((4, 4, 1), 2, hidden=4, layers=1)
    mp.fit(model, np.zeros((2, 4, 4, 1), np.uint8), epochs=1, progress=False)
    folder = walker.walk._cache.cache_path
    files = [] if folder is None else list(cache.Path(folder).glob("*.nbc"))
    files = [path for path in files if path.read_bytes().startswith(cache.MADE_FROM)]
    if not files:
        pytest.skip("no folder to keep kernels in")
    assert any(path.name.startswith("walker.walk") for path in files)
    for path in files:
        _, linkable, own = entry(path)
        defined = [function for function in parse_bitcode(linkable).functions if not function.is_declaration]
        assert {function.name for function in defined if function.linkage.name != "internal"} <= own, path
