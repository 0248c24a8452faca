"""What a release offered, later ones still offer: every name, every way to call it, every option of a command."""

import json
import re
import warnings
from pathlib import Path

import pytest
from interface import interface

import minipixel as mp
from minipixel.deprecation import GOING
from minipixel.stand_in import installed

HERE = Path(__file__).parent
RECORDED = sorted(HERE.glob("fixtures/v*/interface.json"))
POSITIONAL = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")

# What a later version broke all the same: each stands in the changelog, with what to write instead.
BROKEN = {
    "datasets.Dataset.()": "validation stands before test",
    "models.DiagonalBiLSTM.further": "a part of forward that nobody else called",
    "models.RowLSTM.further": "a part of forward that nobody else called",
    "models.GatedPixelCNN.stacks": "a part of forward that nobody else called",
    "models.PixelCNN.residuals": "a part of forward that nobody else called",
    "nn.GatedLayer.compiled": "layers have no compiled twin any more",
}


def lost(then, now):
    """What a call could say to a function that it cannot say now; each as [name, kind, may be left out]."""
    names, before = {name for name, *_ in now}, {name: optional for name, _, optional in then}
    any_name = any(kind == "VAR_KEYWORD" for _, kind, _ in now)
    gone = [f"no {name}" for name, kind, _ in then if not (name in names or any_name or kind == "VAR_KEYWORD")]
    order_then, order = ([name for name, kind, _ in side if kind in POSITIONAL] for side in (then, now))
    gone += ["another order"] * (order[: len(order_then)] != order_then)
    asked = [name for name, kind, optional in now if not (optional or kind.startswith("VAR"))]
    return gone + [f"{name} has to be given" for name in asked if before.get(name, True)]


def changes(then, now):
    """By dotted name: what a program written for the one interface cannot do in the other."""
    found = {}
    for name, was in then["python"].items():
        parts, parts_now = (
            value if isinstance(value, dict) else {"": value} for value in (was, now["python"].get(name))
        )
        for part, offered in parts.items():
            is_now = parts_now.get(part)
            if is_now is None and offered is not None:
                found[f"{name}.{part}".rstrip(".")] = ["gone"]
            elif isinstance(offered, list) and isinstance(is_now, list):
                found[f"{name}.{part}".rstrip(".")] = lost(offered, is_now)
    for command, options in then["commands"].items():
        found[f"minipixel {command}"] = sorted(set(options) - set(now["commands"].get(command, [])))
    return {name: what for name, what in found.items() if what}


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.parent.name)
def test_a_program_of_an_earlier_version_runs(file):
    found = changes(json.loads(file.read_text()), interface())
    assert {name: what for name, what in found.items() if name not in BROKEN} == {}


def test_this_version_is_recorded_as_it_is():
    """Once released, an interface only grows; what is new is recorded with: python tests/interface.py FILE."""
    (file,) = (file for file in RECORDED if json.loads(file.read_text())["version"] == mp.__version__)
    recorded, now = json.loads(file.read_text()), json.loads(json.dumps(interface()))
    assert changes(now, recorded) == {} == changes(recorded, now), f"python tests/interface.py {file}"


def test_every_exception_is_one():
    then = json.loads(RECORDED[0].read_text())
    assert set(BROKEN) <= set(changes(then, interface()))


@pytest.mark.parametrize(
    ("then", "now", "found"),
    [
        ([["a", "POSITIONAL_OR_KEYWORD", False]], [["b", "POSITIONAL_OR_KEYWORD", False]], 3),
        ([["a", "KEYWORD_ONLY", True]], [["a", "KEYWORD_ONLY", False]], 1),
        ([["a", "KEYWORD_ONLY", True]], [["a", "POSITIONAL_OR_KEYWORD", True]], 0),
        ([["a", "KEYWORD_ONLY", True]], [["kw", "VAR_KEYWORD", False]], 0),
        ([], [["a", "KEYWORD_ONLY", False]], 1),
        ([], [["a", "KEYWORD_ONLY", True]], 0),
    ],
)
def test_the_comparison_sees_what_breaks_a_call(then, now, found):
    assert len(lost(then, now)) == found


CALLS = {
    "to_device()": lambda model: model.to_device(),
    "to_cpu()": lambda model: model.to_cpu(),
}


def test_what_is_deprecated_works_and_says_what_to_write():
    """In one line, at the line of the caller; and no version that has come is one in which it should be gone."""
    assert sorted(CALLS) == sorted(GOING)
    for name, (instead, gone_in) in GOING.items():
        model = mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)
        with installed(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            CALLS[name](model)
            assert model.device == {"to_device()": "cuda", "to_cpu()": "cpu"}[name]
        (warning,) = caught
        assert warning.category is DeprecationWarning and Path(warning.filename) == Path(__file__)
        assert str(warning.message) == f"{name} will be gone in minipixel {gone_in}; write {instead}"
        assert tuple(map(int, re.findall(r"\d+", gone_in))) > tuple(map(int, mp.__version__.split(".")[:2]))
