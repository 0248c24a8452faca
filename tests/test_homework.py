"""The homework of the course: our solutions get full points, and usual mistakes are refused by name."""

import ast
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUBS = ROOT / "lessons" / "homework"
SOLUTIONS = Path(__file__).parent / "homework"
HOMEWORK = sorted(path.stem for path in STUBS.glob("*.py"))
POINTS = re.compile(r"(\w+)\.py: (\d+) of (\d+) points")
MESSAGE = re.compile(r'.+\. Look at [\w.]+; lesson \d\d, "[^"]+"\.')


def run(homework, submissions):
    """The grading of a file or a folder, as a teacher starts it."""
    environment = {**os.environ, "HOMEWORK": str(submissions), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", str(STUBS / "grade" / f"test_{homework}.py")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=STUBS.parent)


def graded(homework, submissions):
    """What is printed about each submission: its points, the points there are, and its messages."""
    printed = run(homework, submissions).stdout
    grades = {}
    for line in printed.splitlines():
        if found := POINTS.fullmatch(line):
            messages = []
            grades[found[1]] = int(found[2]), int(found[3]), messages
        elif line.startswith("  - "):
            messages.append(line.removeprefix("  - "))
    assert grades, printed
    return grades


def text_of(*parts):
    return SOLUTIONS.joinpath(*parts).read_text(encoding="utf-8")


def wrong_submissions(homework):
    """Each usual mistake by its name: what its author reads, and the source of the submission."""
    right = text_of(homework, "right.py")
    found = {}
    for name, (phrase, changes) in runpy.run_path(SOLUTIONS / homework / "mistakes.py")["MISTAKES"].items():
        source = right
        for old, new in changes:
            assert source.count(old) == 1, (name, old)
            source = source.replace(old, new)
        found[name] = phrase, source
    return found


def test_there_are_five():
    assert len(HOMEWORK) == 5
    assert sorted(path.parent.name for path in SOLUTIONS.glob("*/right.py")) == HOMEWORK
    assert sorted(path.stem.removeprefix("test_") for path in (STUBS / "grade").glob("test_*.py")) == HOMEWORK


@pytest.mark.parametrize("homework", HOMEWORK)
def test_each_mistake_is_refused_by_name(homework, tmp_path):
    wrong = wrong_submissions(homework)
    assert len(wrong) >= 4
    sources = {"right": text_of(homework, "right.py"), "stub": (STUBS / f"{homework}.py").read_text(encoding="utf-8")}
    for name, source in (sources | {name: source for name, (_, source) in wrong.items()}).items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")

    grades = graded(homework, tmp_path)
    assert grades.pop("right") == (10, 10, [])
    points, possible, messages = grades.pop("stub")
    assert (points, possible) == (0, 10)
    assert all(" is not written yet. Look at " in message for message in messages)
    assert grades.keys() == wrong.keys()
    for name, (phrase, _) in wrong.items():
        points, possible, messages = grades[name]
        assert points < possible == 10, name
        assert phrase in messages[0], (name, messages)
        assert all(MESSAGE.fullmatch(message) for message in messages), messages


@pytest.mark.parametrize("homework", HOMEWORK)
def test_a_solution_is_the_stub_filled_in(homework):
    stub = (STUBS / f"{homework}.py").read_text(encoding="utf-8").splitlines()
    right = text_of(homework, "right.py").splitlines()
    wanted = [line for line in stub if "raise NotImplementedError" not in line]
    rest = iter(right)
    assert all(line in rest for line in wanted)  # the lines of the stub, in their order
    written = len([line for line in right if line.strip()]) - len([line for line in wanted if line.strip()])
    assert 20 <= written <= 40


def test_what_messages_refer_to_is_there():
    """Each part that a message names is in the stub, and each section in its lesson."""
    for homework in HOMEWORK:
        stub = (STUBS / f"{homework}.py").read_text(encoding="utf-8")
        grader = (STUBS / "grade" / f"test_{homework}.py").read_text(encoding="utf-8")
        parts = re.findall(r'= Part\("([\w.]+)", "(\d\d)", "(.+?)"\)', grader)
        assert len(parts) == grader.count(" = Part(") > 0
        for name, lesson, section in parts:
            assert re.search(rf"^\s*(class|def) {name.rpartition('.')[2]}\b", stub, re.MULTILINE), name
            (file,) = ROOT.glob(f"lessons/{lesson}_*.py")
            assert f"\n# ## {section}\n" in file.read_text(encoding="utf-8"), (homework, lesson, section)
            assert f"lesson {lesson}" in stub, (homework, lesson)


JUNK = [(homework, junk) for homework in HOMEWORK for junk in ("np.zeros(3)", "None", "'text'", "(1, 2)", "np.nan")]
QUICK = ("masked_convolution", "np.nan")


@pytest.mark.parametrize(("homework", "junk"), [QUICK, *(pytest.param(*row, marks=pytest.mark.slow) for row in JUNK)])
def test_whatever_a_part_returns_its_author_reads_a_sentence(homework, junk, tmp_path):
    """Each function and method of a homework in turn returns something that it should not."""
    right = text_of(homework, "right.py")
    stub = ast.parse((STUBS / f"{homework}.py").read_text(encoding="utf-8"))
    parts = [node.name for node in stub.body if isinstance(node, ast.FunctionDef)]
    for node in (node for node in stub.body if isinstance(node, ast.ClassDef)):
        parts += [f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)]
    for part in parts:
        result = "None" if part.endswith("__init__") else junk
        source = f"{right}\n\n{part} = lambda *arguments: {result}\n"
        (tmp_path / f"{part.replace('.', '_')}.py").write_text(source, encoding="utf-8")
    grades = graded(homework, tmp_path)
    assert len(grades) == len(parts)
    for points, possible, messages in grades.values():
        assert points < possible == 10
        assert all(MESSAGE.fullmatch(message) for message in messages), messages


def test_files_that_are_no_submissions_are_refused_in_one_line(tmp_path):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "syntax.py").write_text("def make_mask(kind, size)\n")
    (tmp_path / "missing_module.py").write_text("import minpixel\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit('bye')\n")
    (tmp_path / "none.py").write_text("def make_mask(kind, size):\n    return None\n")
    grades = graded("masked_convolution", tmp_path)
    assert "The file has no make_mask; keep all names of the stub" in grades["empty"][2][0]
    assert grades["syntax"] == (0, 10, ["The file cannot be imported: SyntaxError in line 1: expected ':'."])
    assert "ModuleNotFoundError in line 1: No module named 'minpixel'" in grades["missing_module"][2][0]
    assert grades["leaves"] == (0, 10, ["The file cannot be imported: SystemExit in line 1: bye."])
    assert "The result is a NoneType, wanted an array of shape (3, 3, 1, 1)" in grades["none"][2][0]


def test_a_single_file_is_graded_and_without_one_it_says_how(tmp_path):
    solution = SOLUTIONS / "lstm_scan" / "right.py"
    assert graded("lstm_scan", solution) == {"right": (10, 10, [])}
    done = run("lstm_scan", tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "HOMEWORK: got " in done.stderr
    assert "HOMEWORK=path/to/submission.py pytest" in done.stderr


def test_the_page_for_teachers_shows_what_is_printed(tmp_path):
    """To write it anew: MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_homework.py"""
    page = ROOT / "docs" / "teaching.md"
    wrong = wrong_submissions("two_stacks")
    (tmp_path / "ada.py").write_text(text_of("two_stacks", "right.py"), encoding="utf-8")
    for author, mistake in {"ben": "missing_shift", "cleo": "shifted_twice"}.items():
        (tmp_path / f"{author}.py").write_text(wrong[mistake][1], encoding="utf-8")
    printed = run("two_stacks", tmp_path).stdout.splitlines()
    shown = "\n".join(line for line in printed if POINTS.fullmatch(line) or line.startswith("  - "))
    text = page.read_text(encoding="utf-8")
    wanted = re.sub(r"```console\n.*?```", lambda _: f"```console\n{shown}\n```", text, flags=re.DOTALL)
    if os.environ.get("MINIPIXEL_WRITE_DOCS"):
        page.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        pytest.fail(
            "docs/teaching.md: not what is printed; MINIPIXEL_WRITE_DOCS=1 python -m pytest tests/test_homework.py"
        )
