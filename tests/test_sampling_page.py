"""What docs/sampling.md shows runs as it stands there, of a model that is trained for a shorter time."""

import re
import shlex
from pathlib import Path

from PIL import Image

from minipixel.cli import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "sampling.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in (
        "".join(blocks("sh")).replace("--epochs 40", "--epochs 1").replace("--hidden 24", "--hidden 4").splitlines()
    ):
        program, *words = shlex.split(line, comments=True)
        assert program == "minipixel" and main(words) == 0
    (shown,) = blocks("text")
    pattern = re.sub(r"\\?\d+", r"\\d+", re.escape(shown))  # other numbers, of another model
    assert re.search(pattern + r"\Z", capsys.readouterr().out)
    made = {"run", "samples.png", "tall.png", "drawn", "drawn.npy", "growing.gif", "nearest.png"}
    assert {path.name for path in tmp_path.iterdir()} == made
    assert sorted(path.name for path in Path("drawn").iterdir()) == [f"{n:05}-{n % 10}.png" for n in range(20)]
    (code,) = blocks("python")
    before = Path("growing.gif").read_bytes()
    exec(compile(code, "docs/sampling.md", "exec"), {})
    assert "copies to the bit; median distance 0." in capsys.readouterr().out
    assert Path("growing.gif").read_bytes() == before  # that of the command


def test_its_pictures_are_small_and_move():
    for name in re.findall(r"\]\((images/[^)]*)\)", PAGE):
        file = ROOT / "docs" / name
        assert file.stat().st_size < 100_000
        with Image.open(file) as picture:
            assert getattr(picture, "n_frames", 1) == (65 if name.endswith(".gif") else 1)
