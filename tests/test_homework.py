"""The homework of the course: our solutions get full points, and usual mistakes are refused by name."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from homework_mistakes import MISTAKES

ROOT = Path(__file__).parents[1]
STUBS = ROOT / "lessons" / "homework"
SOLUTIONS = Path(__file__).parent / "homework"


def graded(homework, submissions):
    """What is printed about each submission: its points, and its messages."""
    environment = {**os.environ, "HOMEWORK": str(submissions), "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "pytest", str(STUBS / "grade" / f"test_{homework}.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=submissions)
    grades = {}
    for line in done.stdout.splitlines():
        if found := re.fullmatch(r"(\w+)\.py: (\d+) of (\d+) points", line):
            points, messages = (int(found[2]), int(found[3])), []
            grades[found[1]] = points, messages
        elif line.startswith("  - "):
            messages.append(line.removeprefix("  - "))
    assert grades, done.stdout + done.stderr
    return grades


@pytest.mark.parametrize("homework", MISTAKES)
def test_each_mistake_is_refused_by_name(homework, tmp_path):
    right = (SOLUTIONS / f"{homework}.py").read_text(encoding="utf-8")
    (tmp_path / "right.py").write_text(right, encoding="utf-8")
    stub = (STUBS / f"{homework}.py").read_text(encoding="utf-8")
    (tmp_path / "stub.py").write_text(stub, encoding="utf-8")
    for name, (changes, _) in MISTAKES[homework].items():
        source = right
        for old, new in changes.items():
            assert source.count(old) == 1, (name, old)
            source = source.replace(old, new)
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")

    grades = graded(homework, tmp_path)
    assert grades.pop("right") == ((10, 10), [])
    points, messages = grades.pop("stub")
    assert points == (0, 10)
    assert all(" is not written yet. Look at " in message for message in messages)
    assert grades.keys() == MISTAKES[homework].keys()
    for name, (_, phrase) in MISTAKES[homework].items():
        points, messages = grades[name]
        assert points[0] < 10, name
        assert phrase in messages[0], (name, messages)
        for message in messages:
            assert re.search(r'\. Look at [\w.]+; lesson \d\d, "[^"]+"\.$', message), message
