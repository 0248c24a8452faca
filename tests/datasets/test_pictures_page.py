"""What docs/pictures.md shows runs as it stands there."""

import inspect
import re
import shlex
import warnings
from pathlib import Path

import pytest
from folder_of_pictures import make_folder

import minipixel as mp
from minipixel.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    make_folder(Path("photos"), 60)
    return tmp_path


def blocks():
    return re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)


def test_the_page(here, capsys):
    """Commands and code, in the order in which they stand; what code prints is what its comments say."""
    names = {}
    for language, block in blocks():
        capsys.readouterr()
        if language == "sh":
            for line in block.splitlines():
                program, *words = shlex.split(line, comments=True)
                assert program == "minipixel" and main(words) == 0, line
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the two broken files
            exec(block, names)
        said = [comment.partition(":")[0] for comment in re.findall(r"^print\(.*?\)  # (.*)$", block, re.MULTILINE)]
        assert capsys.readouterr().out.splitlines() == said
    assert len(list(Path("drawn").iterdir())) == len(list(Path("six").iterdir())) == 6
    assert {"sky.png", "table.csv", "completed.png", "drawn-run"} <= {path.name for path in here.iterdir()}
    assert len(Path("table.csv").read_text().splitlines()) == 59


def test_the_table_of_arguments():
    """Each row has an argument, with its default, and the option, as they are."""
    parameters = inspect.signature(mp.datasets.from_folder).parameters
    rows = re.findall(r"^\| `(\w+)(?:=([^`]*))?`.*? \| (.*?) \|", PAGE, re.MULTILINE)
    assert {name for name, *_ in rows} == set(parameters) - {"path", "strict"}
    for name, default, _ in rows:
        assert name == "size" or repr(parameters[name].default).replace("'", '"') == default, name


def test_every_option_is_an_option(capsys):
    main(["train", "--help"])
    known = capsys.readouterr().out
    for option in re.findall(r"`(--[a-z-]+)", PAGE):
        assert option in known, option
