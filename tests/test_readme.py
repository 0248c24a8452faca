"""What README counts is so: the lines of the heart, whose files it names, and those of the whole package."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lines(files):
    return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)


def test_the_lines_of_the_heart():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    part, heart = re.search(r"The heart is nine files, about ([\d,]+) lines: (.*?\.) The whole package", text).group(
        1, 0
    )
    files = re.findall(r"`(?:minipixel/)?(\w+/\w+\.py|tensor\.py)`", heart)
    assert len(files) == 9
    counted = lines(ROOT / "minipixel" / file for file in files)
    assert abs(int(part.replace(",", "")) - counted) <= 50, counted


def test_the_lines_of_the_package():
    said = int(
        re.search(r"The whole\s+package has about ([\d,]+) lines", (ROOT / "README.md").read_text())[1].replace(",", "")
    )
    assert abs(said - lines((ROOT / "minipixel").rglob("*.py"))) <= 1000
