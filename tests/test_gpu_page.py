"""What docs/gpu.md shows runs as it stands there, on the stand-in for a GPU, with a shorter training."""

from dataclasses import replace
from pathlib import Path

from pages import assert_as_printed

import minipixel as mp
from minipixel import kernels
from minipixel.backend import played_by
from minipixel.stand_in import device

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"


def test_the_page_runs(tmp_path, monkeypatch):
    """The training sees a few images for an epoch; nothing else is changed."""
    load, fit = mp.datasets.load, mp.fit

    def few(name):
        ds = load(name)
        parts = {part: getattr(ds, part) for part in ("train", "validation", "test")}
        few = {part: replace(s, images=s.images[:20], labels=s.labels[:20]) for part, s in parts.items()}
        return replace(ds, **few)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mp.datasets, "load", few)
    monkeypatch.setattr(mp, "fit", lambda *arguments, **options: fit(*arguments, **options | {"epochs": 1}))
    with played_by(device), kernels.as_written():
        assert_as_printed(PAGE, "tests/test_gpu_page.py", blocks=4)
    assert mp.load("model.safetensors").device == "cpu"
