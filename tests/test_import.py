"""What `import minipixel` costs, and what it offers. Its time is measured by benchmarks/import_time.py."""

import json
import subprocess
import sys

import minipixel as mp

HEAVY = (
    *("numba", "scipy", "matplotlib", "cupy", "torch", "pooch", "tqdm", "safetensors", "threadpoolctl"),
    *("tensorboardX", "tomli_w", "PIL", "pandas"),
)


def modules_after(code):
    program = f"import sys, json; {code}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_nothing_heavy_is_imported():
    assert not set(HEAVY) & set(modules_after("import minipixel"))


def test_what_it_is_asked_for_is_imported():
    """The check above can fail: a kernel does import Numba."""
    code = "import minipixel as mp, numpy as np; mp.kernels.im2col(np.zeros((1, 1, 1, 1)), [(0, 0)])"
    assert ("numba" in modules_after(code)) == mp.kernels.numba_enabled()


def test_the_public_names():
    for name in mp.__all__:
        assert hasattr(mp, name), name
    assert mp.__version__
