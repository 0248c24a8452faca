"""The pytest plugin, in a pytest of its own: strict about markers, every warning an error."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TESTS = """
import sys
import numpy as np
import pytest
import minipixel_pytest

def before(images):
    return np.pad(images, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]

def test_unused():
    assert "minipixel" not in sys.modules and "numpy" in sys.modules

def test_causal(causality):
    causality.assert_causal(before, (3, 4, 1))

def test_leaky(causality):
    causality.assert_causal(np.copy, (3, 4, 1))

@pytest.mark.causality(image_shape=(2, 3, 3), order="rgb-planes")
class TestMarked:
    def test_report(self, causality):
        report = causality.check(before)
        assert report.ok and report.order[0, 0].tolist() == [0, 6, 12]

    def test_overridden(self, causality):
        assert causality.check(before, order="raster").order[0, 0].tolist() == [0, 1, 2]
"""
MODELS = """
import torch
from torch import nn

class PixelCNN(nn.Module):
    def forward(self, x):  # the pixel to the left
        return torch.nn.functional.pad(x.float(), (1, -1)).repeat_interleave(256, dim=1)

class PlaneByPlane(PixelCNN):
    def forward(self, x):  # all of the plane before, too
        before = torch.nn.functional.pad(x.float(), (0, 0, 0, 0, 1, -1))
        return super().forward(x) + before.repeat_interleave(256, dim=1)

class Prior(nn.Module):
    def forward(self, codes, labels):
        seen = torch.nn.functional.pad(codes, (1, -1)) + labels[:, None, None]
        return seen[..., None] * torch.arange(1, 513), None
"""
FOLDER = Path(__file__).parents[2]


def run(folder, *options, tests=TESTS):
    (folder / "test_mine.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = ["-m", "pytest", "-p", "minipixel_pytest", "-p", "no:cacheprovider", "--strict-markers", "-Werror"]
    return subprocess.run([sys.executable, *command, *options], cwd=folder, capture_output=True, text=True).stdout


def test_the_fixture_and_the_marker(tmp_path):
    said = run(tmp_path)
    assert "1 failed, 4 passed" in said, said
    assert (
        "copy: sub-pixel (0, 0) depends on (0, 0) (its own value); 12 such pairs in all; the usual cause: mask B"
        in said
    )
    assert "minipixel_pytest.py" not in said.partition("short test summary")[0].partition("FAILURES")[2]


def test_the_marker_selects(tmp_path):
    said = run(tmp_path, "-m", "causality")
    assert "1 failed, 3 passed, 1 deselected" in said, said
    assert "@pytest.mark.causality(image_shape=None, **options)" in run(tmp_path, "--markers")


def test_the_page(tmp_path):
    """Its examples are tests, and pass; of smaller images."""
    pytest.importorskip("torch", reason="its models are PyTorch's")
    (tmp_path / "mymodels.py").write_text(MODELS)
    code = re.findall(r"```python\n(.*?)```", (FOLDER / "docs" / "causality-plugin.md").read_text("utf-8"), re.DOTALL)
    tests = "import pytest, torch\nfrom mymodels import *\n" + "\n".join(code).replace("(3, 32, 32)", "(3, 4, 4)")
    said = run(tmp_path, tests=tests)
    assert f"{tests.count('def test_')} passed" in said and "failed" not in said, said


def test_the_entry_point():
    """Under its own name, so that `-p` beside an installed one loads it once."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["pytest11"] == {"minipixel_pytest": "minipixel_pytest"}
    assert project["tool"]["setuptools"]["py-modules"] == ["minipixel_pytest"]
