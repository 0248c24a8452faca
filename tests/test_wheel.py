"""The wheel as a user meets it: an empty environment, an empty folder, and no place to write but that folder."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
PYTHONS = (Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}", Path("/usr/bin/python3"))
PROGRAMS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
STRICT = """
from typing import Any
net: Any = None
"""
WRONG = """
import minipixel as mp
images: str = mp.models.PixelCNN((4, 4, 1), 2).log_prob([[]])
mp.fit(mp.models.pretrained("mnist"), [[]], epochs="3")
mp.models.pretrained(3)
"""


def user():
    """Somebody who is not the administrator, to whom every folder is open; None means whoever runs this."""
    return "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None


@pytest.fixture(scope="module")
def place():
    """A folder that the user can read, with an environment in which the wheel is installed, and nothing else."""
    base = Path(tempfile.mkdtemp(prefix="minipixel-wheel-"))
    base.chmod(0o755)
    monkey = pytest.MonkeyPatch()
    try:
        work = base / "work"
        work.mkdir()
        work.chmod(0o777)
        for python in PYTHONS:
            try:
                subprocess.run([python, "-c", ""], user=user(), check=True, capture_output=True, cwd=base)
                break
            except (OSError, subprocess.CalledProcessError):
                continue
        else:
            pytest.skip(f"no Python that the user {user()} may run")
        pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check"]
        monkey.delenv("PYTHONPATH", raising=False)  # else pip takes the repository for something installed
        build = [*pip, "wheel", "-q", "--no-deps", "--wheel-dir", str(base), str(ROOT)]
        subprocess.run(build, check=True, capture_output=True)
        (wheel,) = base.glob("*.whl")
        subprocess.run([python, "-m", "venv", "--without-pip", base / "venv"], check=True)
        install = [*pip, "--python", str(base / "venv" / "bin" / "python"), "install", "-q", str(wheel)]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no package index here: {done.stderr.strip()[-200:]}")
        checked = subprocess.run(
            [*pip, "--python", str(base / "venv/bin/python"), "check"], capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout
        yield base
    finally:
        monkey.undo()
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def run(place):
    """Run a program of the environment as that user; its output, with both streams together."""

    def call(program, *arguments, status=0):
        clean = {"HOME": "/nonexistent", "PATH": f"{place / 'venv' / 'bin'}:/usr/bin:/bin", "TMPDIR": "/nonexistent"}
        clean |= {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        command = [str(place / "venv" / "bin" / program), *map(str, arguments)]
        together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 600}
        done = subprocess.run(command, cwd=place / "work", env=clean, user=user(), **together)
        assert done.returncode == status, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout

    return call


def test_the_first_minute(run, place):
    """Demo, sample, check, a training that is resumed: each in a folder where nothing was."""
    said = run("minipixel", "demo", "--epochs", "2", "--out", "demo")
    assert len(list((place / "work" / "demo").glob("*.png"))) >= 3 and "minipixel" in said
    run("minipixel", "sample", "mnist", "-n", "4", "--out", "four.png")
    assert (place / "work" / "four.png").read_bytes().startswith(b"\x89PNG")
    assert "causal" in run("minipixel", "check", "digits-pixelcnn")
    train = ("--data", "digits", "--hidden", "8", "--blocks", "1", "--epochs", "1", "--out", "run")
    run("minipixel", "train", *train)
    assert "1 epochs" in run("minipixel", "train", "--resume", "run", "--epochs", "2")
    assert run("minipixel", "--version").startswith("minipixel ")
    assert "not installed" in run("minipixel", "info")  # CuPy


@pytest.mark.parametrize("lesson", ["01_an_image_is_a_sequence", "04_train_sample_look"])
def test_a_lesson(run, place, lesson):
    """Of the course's folder, beside nothing else of the repository."""
    folder = place / "lessons"
    if not folder.exists():
        shutil.copytree(ROOT / "lessons", folder, ignore=shutil.ignore_patterns("__pycache__", "figures"))
        folder.chmod(0o777)
    run("python", folder / f"{lesson}.py")


def test_the_program_of_the_readme_runs(run, place):
    """As it stands there; the second one, which checks a network of PyTorch, is run by causality/test_docs.py."""
    (place / "work" / "program.py").write_text(PROGRAMS[0], encoding="utf-8")
    run("python", "program.py")
    run("minipixel", "sample", "emoji", "--label", "Smileys & Emotion", "-n", "2", "--out", "faces.png")


def test_the_program_of_the_readme_is_typed(place, tmp_path):
    """For strict type checkers, which also see what is wrong in a wrong program."""
    (tmp_path / "right.py").write_text(STRICT + "\n".join(PROGRAMS))
    (tmp_path / "wrong.py").write_text(WRONG)
    python, checked = str(place / "venv" / "bin" / "python"), 0
    strict = {
        "mypy": ["--strict", "--config-file=", "--python-executable", python],
        "pyright": ["--pythonpath", python],
    }
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    for checker, options in strict.items():
        program = shutil.which(checker, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if program is None:
            continue
        checked += 1
        for file, status, errors in (("right.py", 0, 0), ("wrong.py", 1, 3)):
            done = subprocess.run([program, *options, file], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == status and len(re.findall(r"error: ", done.stdout)) == errors, done.stdout
    if not checked:
        pytest.skip("neither mypy nor pyright is installed")
