"""docs/your_own.md shows what its code prints: every snippet of it runs.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_your_own_page.py
"""

from pathlib import Path

import pytest
from pages import assert_as_printed

from minipixel import kernels

PAGE = Path(__file__).parents[1] / "docs" / "your_own.md"


@pytest.mark.skipif(not kernels.numba_enabled(), reason="without Numba nothing runs by a plan, and nobody warns")
def test_the_page_shows_what_its_code_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a picture and a model
    assert_as_printed(PAGE, "tests/test_your_own_page.py")
    assert {path.name for path in tmp_path.iterdir()} == {"leaks.png", "mine.safetensors"}
