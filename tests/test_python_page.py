"""What docs/python.md shows runs as it stands there, block after block in one program, with shorter trainings."""

import functools
from dataclasses import replace
from pathlib import Path

from pages import BLOCK

import minipixel as mp

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    """Each training sees a few images for an epoch, and the first model is smaller; nothing else is changed."""
    load, fit, fit_embedding = mp.datasets.load, mp.fit, mp.fit_embedding

    def few(name):
        ds = load(name)
        parts = {part: getattr(ds, part) for part in ("train", "validation", "test")}
        return replace(
            ds, **{part: replace(s, images=s.images[:100], labels=s.labels[:100]) for part, s in parts.items()}
        )

    def short(*arguments, epochs=1, **options):
        return fit(*arguments, epochs=1, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mp.datasets, "load", few)
    monkeypatch.setattr(mp, "fit", short)
    monkeypatch.setattr(mp, "fit_embedding", functools.partial(fit_embedding, steps=2))
    blocks = [code for language, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if language == "python"]
    code = "".join(blocks).replace("hidden=32, blocks=5", "hidden=4, blocks=1")
    names = {}
    exec(compile(code, "docs/python.md", "exec"), names)
    assert "PixelCNN: causal, no output depends on itself or on anything later; " in capsys.readouterr().out
    assert {"loss.png", "samples.png", "model.safetensors", "runs"} == {path.name for path in tmp_path.iterdir()}
    assert names["sevens"].shape == (16, 8, 8, 1) and names["alike"].shape == (10, 8, 8, 1)
