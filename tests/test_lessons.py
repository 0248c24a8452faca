"""Every lesson runs top to bottom, shortened, and its asserts hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).parent.parent / "lessons").glob("[0-9]*.py"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs(lesson):
    environment = os.environ | {"MINIPIXEL_QUICK": "1", "PYTHONWARNINGS": "error"}
    result = subprocess.run([sys.executable, lesson], env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_has_the_form(lesson):
    """Percent cells; an opening with four lines; a closing section of asserts; exercises; a length one can read."""
    text = lesson.read_text()
    for part in ("# %% [markdown]", "*You will*", "*Reads*", "*Before*", "*Takes*", "What you should see", "Exercises"):
        assert part in text, part
    assert "assert " in text.split("What you should see")[1]
    assert 80 <= len(text.splitlines()) <= 200
