"""What docs/interop.md prints is what its code prints, and its commands run.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_interop_page.py
"""

import os
import re
import sys
from pathlib import Path

import pytest
from test_plan_page import BLOCK, as_printed

from minipixel.cli import main

for library in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(library)

PAGE = Path(__file__).parents[1] / "docs" / "interop.md"


def test_the_page_shows_what_its_code_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    wanted = as_printed(text)
    assert len(BLOCK.findall(text)) >= 9
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(f"docs/interop.md: not what its code prints; {__doc__.splitlines()[-1]}")


def test_the_command_with_a_class(tmp_path, monkeypatch):
    """The first block, as the module `mine` that the page speaks of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    first = BLOCK.findall(PAGE.read_text(encoding="utf-8"))[0][1]
    Path("mine.py").write_text(first.partition("ds = ")[0], encoding="utf-8")
    exec(first, {})
    (command,) = re.findall(r"`minipixel (sample squared.*?)`", PAGE.read_text(encoding="utf-8"))
    try:
        assert main([*command.split(), "-n", "2"]) == 0
        assert main(["export", "squared.safetensors", "--class", "mine:Squared", "--out", "model.onnx"]) == 0
    finally:
        sys.modules.pop("mine", None)
    assert Path("samples.png").exists() and Path("model.onnx").exists()
