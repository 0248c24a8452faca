"""What docs/training.md and docs/goals.md show runs as it stands there."""

import inspect
import re
import shlex
from pathlib import Path

import pytest

import minipixel as mp
from minipixel.cli import main
from minipixel.training import callbacks

DOCS = Path(__file__).parents[2] / "docs"
PAGE, GOALS = ((DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("training", "goals"))


def blocks(language, page=PAGE):
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python"):
        exec(block, names)
    printed = capsys.readouterr().out.splitlines()
    said = re.search(r"keys\(\)\)  # (.*)\n", PAGE).group(1).split(", ")
    assert printed[0] == f"dict_keys({said})"
    assert {path.name for path in tmp_path.iterdir()} == {"log.csv", "samples", "loss.png"}
    assert names["stopping"].best == min(names["history"].history["val_loss"])


def test_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (commands,) = blocks("sh")
    for line in commands.splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == "minipixel" and main(words) == 0
    assert Path("run/model.safetensors").read_bytes() == Path("again/model.safetensors").read_bytes()
    assert Path("run/model.safetensors").read_bytes() != Path("other/model.safetensors").read_bytes()
    assert "repeat    minipixel train --config run/config.toml" in capsys.readouterr().out


@pytest.mark.parametrize("row", re.findall(r"^\| `(\w+)\((.*?)\)` \|", PAGE, re.MULTILINE), ids=lambda row: row[0])
def test_the_table_of_callbacks(row):
    """Each row has the names and defaults that the class has, in its order."""
    name, told = row
    parameters = inspect.signature(getattr(callbacks, name)).parameters.values()
    wanted = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    assert told.replace('"', "'").replace("min_delta=0,", "min_delta=0.0,") == ", ".join(wanted)


def test_every_callback_has_a_row():
    rows = set(re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
    assert rows == set(mp.callbacks.__all__) - {"Callback", "Progress"}


def test_goals(tmp_path, monkeypatch):
    """In the order of the page: a command reads the file that the Python before it wrote."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks("python", GOALS):
        exec(block, names)
    right = names["history"].history["right"]
    assert len(right) == 3 and names["stopping"].best == max(right)
    assert "right" in Path("log.csv").read_text().splitlines()[0]
    for block in blocks("sh", GOALS):
        program, *words = shlex.split(block)
        assert program == "minipixel" and main(words) == 0
    before, after = mp.load("weighted/model.safetensors").state_dict(), mp.load("small/model.safetensors").state_dict()
    fresh = mp.models.PixelCNN((8, 8, 1), 17, hidden=8, blocks=1).state_dict()
    assert (after["stem.weight"] == fresh["stem.weight"]).all() and (
        before["stem.weight"] != fresh["stem.weight"]
    ).any()
