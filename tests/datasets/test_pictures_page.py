"""What docs/pictures.md shows runs as it stands there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minipixel.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def pets(tmp_path, monkeypatch):
    """The folder of the page: of two classes, two sizes, in colour and with alpha."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for n in range(40):
        place = Path("pets", ("cat", "dog")[n % 2])
        place.mkdir(parents=True, exist_ok=True)
        size, C = (12, 9)[n // 2 % 2], 3 + n // 4 % 2
        Image.fromarray(rng.integers(256, size=(size, 10, C), dtype=np.uint8)).save(place / f"{n}.png")


def test_python(capsys):
    names = {}
    for block in blocks("python"):
        exec(block, names)
    printed = capsys.readouterr().out.splitlines()
    assert all(line in printed for line in re.findall(r"print\(.*\)  # (.*)", PAGE)), printed
    assert sorted(path.name for path in Path("drawn").iterdir()) == [f"{n:05}.png" for n in range(4)]


def test_commands():
    (commands,) = blocks("sh")
    for line in commands.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "minipixel" and main(words) == 0
    assert len(Path("out.csv").read_text().splitlines()) == 41
    assert Path("cats.png").exists() and Path("completed.png").exists()
