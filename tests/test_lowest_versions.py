"""The lowest versions that pyproject.toml allows: a fresh environment of them passes tests of every layer."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TESTS = [
    "tests/test_import.py", "tests/test_ops.py", "tests/test_compiled.py", "tests/test_mixture.py",
    "tests/test_heads.py", "tests/test_machine.py", "tests/test_checkpoint.py", "tests/test_file_memory.py",
    "tests/test_reading.py", "tests/test_plots.py", "tests/datasets", "tests/models/test_not_finite.py",
    "tests/training/test_optim.py", "tests/training/test_watching.py", "tests/causality/test_report.py",
]  # fmt: skip
"""Of each library what touches it: NumPy, SciPy, Numba, matplotlib, Pillow, safetensors, pooch, TensorBoard, tqdm."""


def lowest(requirements):
    """Each requirement "name>=version" as "name==version"; AssertionError for one that is of another form."""
    found = [re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in requirements]
    assert all(found), requirements
    return [f"{match[1]}=={match[2]}" for match in found]


def pythons():
    """The lowest Python that is allowed, where it is installed."""
    version = re.fullmatch(r">=(3\.\d+)", PROJECT["requires-python"])[1]
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable if running == version else shutil.which(f"python{version}")


def test_every_requirement_has_a_lowest_version():
    assert "numpy==2.0" in lowest(PROJECT["dependencies"])
    assert lowest(PROJECT["optional-dependencies"]["test"])


@pytest.mark.slow
def test_the_lowest_versions(tmp_path):
    """Half an hour on two busy cores: a fresh environment compiles every kernel anew. Needs a package registry."""
    python = pythons()
    if python is None:
        pytest.skip(f"needs Python {PROJECT['requires-python']}, the lowest")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    wanted = lowest([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
