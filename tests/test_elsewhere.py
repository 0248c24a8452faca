"""What Windows and macOS do otherwise, as far as it can be played here: no fork, no locks, other names and encodings.

`elsewhere` runs a program in a process that lacks what only Linux has, whose text files are not UTF-8 unless that is
said, and whose terminal knows ASCII alone.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel.cli import main

LACKS = """
import os, signal, subprocess, sys, tempfile
import matplotlib.pyplot, numba, scipy.special  # each with its own ways on other systems
for name in ("fork", "forkpty", "sched_getaffinity", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "getuid",
             "geteuid", "killpg", "setsid", "mkfifo", "statvfs", "fchmod", "posix_spawn", "register_at_fork", "pread"):
    vars(os).pop(name, None)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "setitimer", "pthread_sigmask"):
    vars(signal).pop(name, None)
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
"""
STRICT = """
import warnings
warnings.simplefilter("ignore", EncodingWarning)  # other libraries open files as they like
warnings.filterwarnings("error", category=EncodingWarning, module="minipixel")
"""
COMMAND = STRICT + LACKS + "from minipixel.cli import main; sys.exit(main(sys.argv[1:]))"
SMALL = ("--data", "digits", "--hidden", "4", "--blocks", "1", "--batch-size", "500")


@pytest.fixture
def elsewhere(tmp_path):
    """Runs a program, or a command of minipixel, and returns what it prints; nothing may be an error or a warning."""

    def run(*arguments, program=COMMAND):
        environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "PYTHONPATH": str(Path(mp.__file__).parents[1])}
        command = [sys.executable, "-X", "warn_default_encoding", "-c", program, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=300)
        said = (done.stdout + done.stderr).decode("ascii")
        assert done.returncode == 0 and "Traceback" not in said, said
        assert "Warning" not in said, said
        return said

    return run


def test_the_commands(elsewhere, tmp_path):
    elsewhere("train", *SMALL, "--epochs", "1", "--out", "run")
    resumed = elsewhere("train", "--resume", "run", "--epochs", "2")
    assert "resume: " in resumed and not list(tmp_path.rglob("*.part"))
    for command in ("sample run -n 4 --out a.png", "complete run -n 2 --out b.png", "evaluate run", "info run", "info",
                    "check run", "models", "compare run run", "sample digits-pixelcnn -n 2 --out folder/"):  # fmt: skip
        elsewhere(*command.split())
    assert len(list((tmp_path / "folder").glob("*.png"))) == 2


def test_a_text_file_without_an_encoding_is_an_error_there():
    own = STRICT + "exec('open(1, closefd=False)', {'__name__': 'minipixel.own'})"
    done = subprocess.run([sys.executable, "-X", "warn_default_encoding", "-c", own], capture_output=True, text=True)
    assert done.returncode == 1 and "EncodingWarning" in done.stderr


def test_a_process_that_is_spawned_computes_the_same(elsewhere, tmp_path):
    """With no fork, a program that is started anew imports all there is, and is sent models and data by pickle."""
    (tmp_path / "work.py").write_text(
        LACKS + "import minipixel as mp\n\n"
        "def draw(seed):\n"
        "    model = mp.models.PixelCNN((4, 4, 1), 3, hidden=4, blocks=1, rng=0)\n"
        "    mp.fit(model, model.sample(40, rng=seed), epochs=1, progress=False, workers=2)\n"
        "    return model.sample(8, rng=seed).tobytes()\n"
    )
    pool = (
        "import multiprocessing, sys; sys.path.insert(0, '.'); import work\n"
        "with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "    print(pool.map(work.draw, [0, 1]) == [work.draw(0), work.draw(1)])"
    )
    done = subprocess.run([sys.executable, "-c", pool], cwd=tmp_path, capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PYTHONPATH": str(Path(mp.__file__).parents[1])})  # fmt: skip
    assert done.stdout == "True\n", done.stderr


def test_line_ends_of_windows(tmp_path, monkeypatch, capsys):
    """In every text that a user may have edited: the settings of a run, a class of one's own, a table of labels."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", *SMALL, "--epochs", "1", "--out", "run"]) == 0
    settings = (tmp_path / "run" / "config.toml").read_bytes()
    assert b"\r" not in settings
    Path("windows.toml").write_bytes(settings.replace(b"\n", b"\r\n"))
    assert main(["train", "--config", "windows.toml", "--out", "again"]) == 0
    models = [mp.load(f"{folder}/model.safetensors").state_dict() for folder in ("run", "again")]
    assert all(np.array_equal(models[0][name], models[1][name]) for name in models[0])
    own = "import minipixel as mp\n\n\ndef make():\n    return mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)\n"
    Path("net.py").write_bytes(own.replace("\n", "\r\n").encode())
    assert main(["check", "net.py:make"]) == 0


def test_names_in_capitals(tmp_path, monkeypatch, capsys):
    """File systems that do not tell capitals apart keep them in names: PICTURE.PNG is a picture."""
    monkeypatch.chdir(tmp_path)
    assert main(["sample", "digits-pixelcnn", "-n", "2", "--out", "TWO.PNG"]) == 0
    assert Path("TWO.PNG").read_bytes().startswith(b"\x89PNG")
    mp.models.pretrained("digits-pixelcnn").save("MODEL.SAFETENSORS")
    assert main(["info", "MODEL.SAFETENSORS"]) == 0
