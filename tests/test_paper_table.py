"""The rows of benchmarks/paper_table.py: each is a training that the command line takes; the table says how it went."""

import json
import sys
from pathlib import Path

import pytest

from minipixel.cli.parser import parser
from minipixel.models import cards

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
import paper_table


@pytest.mark.parametrize("name", paper_table.ROWS)
def test_a_row_is_a_training(name):
    arguments = parser({}).parse_args(["train", *paper_table.ROWS[name].arguments.split()])
    assert arguments.schedule == "cosine" and arguments.ema > 0.99 and arguments.epochs > 1
    assert arguments.data == paper_table.of(name, "--data")
    assert (paper_table.of(name, "--binarize") == "dynamic") == (arguments.levels == 2)


def test_places_in_the_box():
    boxed = {row.box: row for row in paper_table.ROWS.values() if row.box}
    assert len(boxed) == sum(bool(row.box) for row in paper_table.ROWS.values())  # no two rows in one place
    assert list(cards()) == [name for name in boxed if name in cards()]
    for name, card in cards().items():
        assert card.command == f"minipixel train {boxed[name].arguments}" and card.shows == boxed[name].shows


def test_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(paper_table, "FOLDER", tmp_path)
    folder = tmp_path / "mnist-diagonal"
    folder.mkdir()
    assert paper_table.table().count("\n") == 2 and paper_table.progress("mnist-diagonal") is None
    (folder / "log.csv").write_text("epoch,loss,seconds\n1,99.0,1800\n2,90.5,1800\n")
    figures = {"epochs": 2, "hours": 1.0, "nats": 80.123, "spread": 0.04, "bits_per_dim": 0.1474, "weights": 65793}
    (folder / "test.json").write_text(json.dumps(figures))
    (folder / "log.csv").write_text("epoch,loss,seconds\n1,99.0,1800\n2,90.5,1800\n3,89.5,1800\n")  # since then
    row = "| `mnist-diagonal` | 65,793 | 80.12 ± 0.04 | 0.147 |  | 79.20 | 2 of 24 | 1.0 |"
    assert paper_table.table().splitlines()[2] == row
