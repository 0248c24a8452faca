"""Every lesson runs top to bottom, its asserts hold, and a notebook shows its figures."""

import base64
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

LESSONS = sorted((Path(__file__).parent.parent / "lessons").glob("[0-9]*.py"))
SOLUTIONS = sorted((LESSONS[0].parent / "solutions").glob("[0-9]*.py"))
SEEDS = 3
"""A lesson that trains runs at full length with so many seeds: what it says of training must not be luck."""
RUNS = [
    pytest.param(lesson, seed, id=f"{lesson.stem}-{seed}")
    for seed in range(SEEDS)
    for lesson in LESSONS
    if seed == 0 or "MINIPIXEL_SEED" in lesson.read_text()
]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs(lesson, monkeypatch):
    """Shortened, and in this process, which has imported everything already."""
    monkeypatch.setenv("MINIPIXEL_QUICK", "1")
    monkeypatch.delenv("MINIPIXEL_SEED", raising=False)
    monkeypatch.syspath_prepend(lesson.parent)
    runpy.run_path(str(lesson), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize(("lesson", "seed"), RUNS)
def test_lesson_holds_at_full_length(lesson, seed):
    """As a script: from half a minute to three for each on two cores."""
    environment = os.environ | {"MINIPIXEL_QUICK": "0", "MINIPIXEL_SEED": str(seed), "PYTHONWARNINGS": "error"}
    result = subprocess.run([sys.executable, lesson], env=environment, capture_output=True, text=True, timeout=1800)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def test_every_lesson_that_trains_takes_a_seed():
    """Whatever is made or trained with a seed of its own would be the same three times."""
    for lesson in LESSONS:
        text = lesson.read_text()
        assert ("mp.fit" in text) <= ("SEED" in text), lesson.name


@pytest.mark.parametrize("lesson", LESSONS[:2], ids=lambda path: path.stem)
def test_a_notebook_shows_the_figures(lesson, tmp_path, monkeypatch):
    """A lesson as a notebook: a picture for each call of `show`, and one for a Figure that is the value of a cell."""
    import jupytext
    import nbclient

    monkeypatch.setenv("MINIPIXEL_QUICK", "1")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for module in ("show.py", "drawing.py"):
        shutil.copy(lesson.parent / module, tmp_path)
    shutil.copytree(lesson.parent / "drawings", tmp_path / "drawings")
    path, text = tmp_path / f"{lesson.stem}.ipynb", lesson.read_text()
    text += "\n# %%\nhistory = mp.History()\nhistory.append({'loss': 2.0, 'bits_per_dim': 1.0})\nhistory.plot()\n"
    jupytext.write(jupytext.reads(text, fmt="py:percent"), path)
    notebook = jupytext.read(path)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=300, resources=where).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    kinds = [output.output_type for output in pictures]
    assert kinds == ["display_data"] * len(re.findall(r"^ *show\(", lesson.read_text(), re.MULTILINE)) + [
        "execute_result"
    ]
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture.data["image/png"]))) as image:
            assert min(image.size) > 100 and len(image.convert("RGB").getcolors(maxcolors=10**6)) > 10


def cells_of(text):
    """The code cells of a percent script, without the blank lines around them."""
    parts = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    return [part.partition("\n")[2].strip("\n") for part in parts if not part.startswith(" [markdown]")]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_has_the_form(lesson):
    """An opening with four items; cells that fit into one look; a closing section of asserts; exercises."""
    text = lesson.read_text(encoding="utf-8")
    number = lesson.stem.partition("_")[0]
    assert re.match(rf"# %% \[markdown\]\n# # {number} \w", text)
    for part in ("*You will*", "*Reads*", "*Before*", "*Takes*", "## What you should see", "## Exercises"):
        assert part in text, part
    assert "assert " in text.split("What you should see")[1]
    lengths = [len(cell.splitlines()) for cell in cells_of(text)]
    assert max(lengths) <= 25, f"a cell of {max(lengths)} lines"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_exercise_has_a_solution(lesson):
    exercises = lesson.read_text(encoding="utf-8").split("## Exercises")[1]
    wanted = [int(number) for number in re.findall(r"^# (\d+)\. \*(?:easy|medium|hard)", exercises, re.M | re.I)]
    solved = (LESSONS[0].parent / "solutions" / lesson.name).read_text(encoding="utf-8")
    found = [int(number) for number in re.findall(r"^# #+ Exercise (\d+)", solved, re.MULTILINE)]
    assert len(wanted) >= 3 and wanted == list(range(1, len(wanted) + 1)) == found
    assert solved.count("assert ") >= len(wanted)


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_solution_runs(solution, monkeypatch):
    monkeypatch.setenv("MINIPIXEL_QUICK", "1")
    monkeypatch.delenv("MINIPIXEL_SEED", raising=False)
    monkeypatch.syspath_prepend(solution.parents[1])
    runpy.run_path(str(solution), run_name="__main__")


def minutes_of_reading(text):
    """At 180 words and ten lines of code per minute, as lessons/README.md says."""
    words = lines = 0
    for cell in text.split("# %%")[1:]:
        head, _, body = cell.partition("\n")
        if "[markdown]" in head:
            words += len(re.sub("^# ?", "", body, flags=re.MULTILINE).split())
        else:
            lines += sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in body.splitlines())
    return words / 180 + lines / 10


def test_the_course_has_a_table_of_its_lessons():
    """lessons/README.md has a row for each, with the title and the reading time that the lesson has."""
    table = (LESSONS[0].parent / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.*?)\]\((.*?)\) \| (\d+) min \|", table, re.MULTILINE)
    assert [file for _, file, _ in rows] == [lesson.name for lesson in LESSONS]
    for title, file, minutes in rows:
        text = (LESSONS[0].parent / file).read_text(encoding="utf-8")
        assert text.split("\n")[1].removeprefix("# # ").startswith(title.split(":")[0])
        assert abs(int(minutes) - minutes_of_reading(text)) <= 5, file
        assert re.search(rf"\*Takes\*[^*]*?\b{minutes}\s+(?:#\s+)?minutes to read", text), (
            f"{file}: not {minutes} minutes"
        )
