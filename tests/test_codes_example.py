"""The example of codes runs, shortened, and leaves its picture; docs/codes.md prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_example_runs(tmp_path):
    environment = os.environ | {"MINIPIXEL_QUICK": "1", "MINIPIXEL_OUT": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "codes.py")],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "codes.png").stat().st_size > 5000


def test_the_page_on_codes_prints_what_it_says(capsys):
    page = (ROOT / "docs" / "codes.md").read_text()
    names, told = {}, re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    for code, printed in zip(re.findall(r"```python\n(.*?)```", page, re.DOTALL), told, strict=True):
        exec(code, names)
        assert capsys.readouterr().out == printed
