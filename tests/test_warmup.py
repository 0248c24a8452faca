"""`minipixel warmup` compiles all that a first training step and a first draw need."""

import os
import subprocess
import sys

import pytest

from minipixel import kernels
from minipixel.cli import main
from minipixel.heads import HEADS
from minipixel.models import MODELS

WORK = """
import numpy as np
import minipixel as mp
images, labels = np.random.default_rng(0).integers(0, 5, (6, 8, 12, 3), dtype=np.uint8), [0, 1, 2, 0, 1, 2]
for dtype in ("float32", "float64"):
    for name, options in {options!r}.items():
        model = mp.models.MODELS[name]((8, 12, 3), 5, num_classes=3, dtype=dtype, **options)
        mp.fit(model, images, labels, epochs=1, batch_size=3, progress=False)
        model.sample(2, [0, 1])
    net = mp.models.EmbeddingNet((8, 12, 3), 5, dtype=dtype)
    mp.fit_embedding(net, images, labels, steps=1, progress=False)
"""
OPTIONS = {name: {} for name in MODELS} | {"multi-scale": {"hidden": 16, "layers": 2}}


def test_it_names_every_head_in_both_dtypes(capsys):
    if not kernels.numba_enabled():
        pytest.skip("Numba is missing or switched off")
    assert main(["warmup"]) == 0
    lines = capsys.readouterr().out.splitlines()
    wanted = {(f"{dtype},", head) for dtype in ("float32", "float64") for head in HEADS}
    assert {tuple(line.split()[:2]) for line in lines} >= wanted


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
