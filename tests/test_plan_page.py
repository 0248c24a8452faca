"""What docs/plan.md prints is what its code prints.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_plan_page.py
"""

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

from minipixel import kernels

PAGE = Path(__file__).parents[1] / "docs" / "plan.md"
BLOCK = re.compile(r"(?<=```)(python|text)\n(.*?)(?=```\n)", re.DOTALL)


def as_printed(text):
    """The page, with what its code prints, block after block in one program, in its blocks of text."""
    names, printed = {}, io.StringIO()

    def block(found):
        language, content = found.groups()
        if language == "python":
            with contextlib.redirect_stdout(printed):
                exec(compile(content, PAGE.name, "exec"), names)
            return found.group()
        content = printed.getvalue()
        printed.seek(0)
        printed.truncate()
        return f"text\n{content}"

    return BLOCK.sub(block, text)


@pytest.mark.skipif(not kernels.numba_enabled(), reason="without Numba nothing runs by a plan")
def test_the_page_shows_what_its_code_prints():
    text = PAGE.read_text(encoding="utf-8")
    wanted = as_printed(text)
    assert len(BLOCK.findall(text)) > 10
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(f"docs/plan.md: not what its code prints; {__doc__.splitlines()[-1]}")


def test_what_is_wrong_is_seen():
    page = "```python\nx = 1\nprint(x)\n```\n\n```python\nprint(x + 1)\n```\n\n```text\n1\n3\n```\n"
    assert as_printed(page) == page.replace("3", "2")
