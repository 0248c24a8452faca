"""docs/teaching.md: its stub, its hidden test and its submissions do what the page says, and print what it shows.

To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_teaching_page.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import BLOCK

pytest.importorskip("torch", reason="the homework is in PyTorch")
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "teaching.md"
METHOD = r"def {name}\(.*?(?=\n\n\s*def |\n\n\nclass |\Z)"
PYTEST = ["-m", "pytest", "-p", "minipixel_pytest", "-p", "no:cacheprovider", "test_homework.py"]
SHORT = ["-q", "--tb=no", "--assert=plain"]


def submissions(text):
    """The hidden test, and the source of each submission by its name, that of the stub among them."""
    stub, hidden, *parts = [content for language, content in BLOCK.findall(text) if language == "python"]
    found = {"stub": stub}
    for part in parts:
        source = found.get("right", stub)
        for method in re.findall(METHOD.format(name=r"\w+"), part, re.DOTALL):
            inside = re.sub(r"\n(?=.)", "\n    ", method.rstrip())
            pattern = METHOD.format(name=re.match(r"def (\w+)", method)[1])  # the first of that name, that of the layer
            source = re.sub(pattern, lambda _, inside=inside: inside, source, count=1, flags=re.DOTALL)
        found[re.match(r"# submissions/(\w+)\.py", part)[1]] = source.rstrip() + "\n"
    return hidden, found


def test_the_page_shows_what_students_read(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    hidden, found = submissions(text)
    said = graded(tmp_path, hidden, found)
    assert len(re.findall(" - NotImplementedError$", said.pop("stub"), re.M)) == 4
    assert "right" in found and not said.pop("right") and all(said.values())
    shown = iter(said.values())
    wanted = BLOCK.sub(lambda part: part.group() if part[1] == "python" else f"text\n{next(shown)}", text)
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(f"docs/teaching.md: not what pytest prints; {__doc__.splitlines()[-1]}")


def graded(folder, hidden, sources):
    """What pytest prints of each submission: a line for each failure."""
    (folder / "submissions").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_homework.py").write_text(hidden)
    for name, source in sources.items():
        (folder / "submissions" / f"{name}.py").write_text(source)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "1"}
    command = [sys.executable, *PYTEST, *SHORT]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment).stdout
    failures = re.findall(r"^FAILED .*$", printed, re.M)
    assert f"{len(failures)} failed, {4 * len(sources) - len(failures)} passed" in printed, printed
    return {name: "".join(f"{line}\n" for line in failures if f"[{name}]" in line) for name in sources}
