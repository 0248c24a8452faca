"""The scripts in examples/ run, shortened; what docs/codes.md prints is what its code prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_runs(name, tmp_path):
    environment = os.environ | {"MINIPIXEL_QUICK": "1", "MINIPIXEL_OUT": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert next(tmp_path.glob("*.png")).stat().st_size > 5000


def test_the_page_on_codes_prints_what_it_says(capsys):
    page = (ROOT / "docs" / "codes.md").read_text()
    names, told = {}, re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    for code, printed in zip(re.findall(r"```python\n(.*?)```", page, re.DOTALL), told, strict=True):
        exec(code, names)
        assert capsys.readouterr().out == printed
