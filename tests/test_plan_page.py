"""What docs/plan.md prints is what its code prints, and the model of one's own in docs/python.md runs by a plan.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_plan_page.py
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pages import BLOCK, as_printed, assert_as_printed

import minipixel as mp
from minipixel import kernels

PAGE = Path(__file__).parents[1] / "docs" / "plan.md"


@pytest.mark.skipif(not kernels.numba_enabled(), reason="without Numba nothing runs by a plan")
def test_the_page_shows_what_its_code_prints():
    assert_as_printed(PAGE, "tests/test_plan_page.py")


def test_what_is_wrong_is_seen():
    page = "```python\nx = 1\nprint(x)\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n1\n3\n```\n"
    assert as_printed(page) == page.replace("3", "2")


def test_the_model_of_ones_own():
    """It trains without the warning that it runs as it is written, which would be an error here."""
    tour = (PAGE.parent / "python.md").read_text(encoding="utf-8")
    (code,) = [block for language, block in BLOCK.findall(tour) if language == "python" and "class Two" in block]
    images = np.random.default_rng(0).integers(0, 17, (16, 8, 8, 1), dtype=np.uint8)
    names = {"mp": mp, "M": mp.models}
    names["ds"] = SimpleNamespace(image_shape=(8, 8, 1), levels=17, train=SimpleNamespace(images=images))
    exec(code, names)
    model = names["Two"]((8, 8, 1), 17)
    assert "TANH_X" in mp.plan.table_of(model, 16).show()
    assert mp.check_causality(model).ok
