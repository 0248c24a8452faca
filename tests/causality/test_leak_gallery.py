"""The field guide of docs/causality.md: what it says of each kind of leak is what a check finds.

To write the table anew, and to draw the figures: python benchmarks/leak_gallery.py
"""

import importlib.util
import sys
from pathlib import Path

import pytest

import minipixel as mp

pytest.importorskip("torch", reason="its models are PyTorch's")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "causality.md"


def gallery():
    spec = importlib.util.spec_from_file_location("leak_gallery", ROOT / "benchmarks" / "leak_gallery.py")
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


GALLERY = gallery()


@pytest.mark.parametrize(
    ("kind", "seen_by"),
    [
        ("mask B first", {"perturbation", "shaken", "gradients"}),
        ("behind a quantiser", {"perturbation", "shaken"}),
        ("behind weights of zero", {"shaken"}),
        ("a statistic over the batch", {"batch"}),
    ],
)
def test_who_sees_a_leak(kind, seen_by):
    found = GALLERY.report(kind)
    assert not found.ok and {witness.name for witness in found.witnesses if witness.holds is False} == seen_by


def test_without_a_mistake_it_is_causal():
    mp.assert_causal(GALLERY.pixelcnn(), (1, 5, 6))


def test_the_page_shows_the_table():
    text = PAGE.read_text(encoding="utf-8")
    wanted = GALLERY.with_table(text, {kind: GALLERY.report(kind) for kind in GALLERY.KINDS})
    if text != wanted:
        pytest.fail(f"docs/causality.md: not what the checks find; {__doc__.splitlines()[-1]}")


def test_each_kind_has_a_heading_and_those_that_look_different_have_a_figure():
    text = PAGE.read_text(encoding="utf-8")
    for kind in GALLERY.KINDS:
        _, heading, rest = text.partition(f"\n### {kind[0].upper()}{kind[1:]}\n")
        shown = f"](images/{GALLERY.image(kind)})" in rest.partition("\n##")[0]
        drawn = (ROOT / "docs" / "images" / GALLERY.image(kind)).exists()
        assert heading and shown == drawn == (kind not in (*GALLERY.SAME_AS_ANOTHER, "a statistic over the batch"))
