"""`minipixel warmup` compiles all that a first training step and a first draw need."""

import os
import subprocess
import sys

import pytest

from minipixel import kernels
from minipixel.cli import main
from minipixel.models import MODELS

WORK = """
import numpy as np
import minipixel as mp
for name, options in {options!r}.items():
    model = mp.models.MODELS[name]((8, 12, 3), 5, num_classes=3, **options)
    images = np.random.default_rng(0).integers(0, 5, (5, 8, 12, 3), dtype=np.uint8)
    mp.fit(model, images, [0, 1, 2, 0, 1], epochs=1, batch_size=3, progress=False)
    model.sample(2, [0, 1])
"""
OPTIONS = {name: {} for name in MODELS} | {"multi-scale": {"hidden": 16, "layers": 2}}


def test_it_names_every_model(capsys):
    if not kernels.numba_enabled():
        pytest.skip("Numba is missing or switched off")
    assert main(["warmup"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} >= set(MODELS)


def test_without_numba_it_says_so(monkeypatch, capsys):
    monkeypatch.setenv("MINIPIXEL_NUMBA", "0")
    assert main(["warmup"]) == 2
    assert "warmup: got no Numba" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not kernels.numba_enabled(), reason="Numba is missing or switched off")
def test_after_it_nothing_is_compiled(tmp_path):
    """Models of another size, in colour, with conditions, in a new process: no file is added to the cache."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "minipixel", "warmup"], env=environment, check=True, capture_output=True)
    compiled = {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert compiled
    subprocess.run([sys.executable, "-c", WORK.format(options=OPTIONS)], env=environment, check=True)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == compiled
