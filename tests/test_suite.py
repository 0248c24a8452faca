"""The suite itself: what each of its processes runs under, and the ways to start it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import scipy.linalg  # noqa: F401  brings a BLAS of its own
import threadpoolctl

FOLDER, FILE = "tests/datasets", "tests/datasets/test_idx.py"


def test_blas_has_one_thread_in_each_process():
    libraries = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    assert libraries and all(each["num_threads"] == 1 for each in libraries)


def test_what_a_test_starts_can_be_interrupted():
    """Started in the background of a script, the whole run ignores Ctrl-C, and so would its children."""
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "spread"),
    [
        ([FOLDER], True),
        ([FOLDER, "--import-mode=importlib"], True),
        ([FOLDER, "-m", "slow or not slow"], True),
        ([FILE, "-n", "2"], True),
        ([FILE], False),
        ([FOLDER, "-n", "0"], False),
        ([FOLDER, "-s"], False),
        ([FOLDER, "--pdb"], False),
        ([FOLDER, "-p", "no:xdist"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_ways_to_start(arguments, spread):
    """Over the cores where whole folders are named and nobody says otherwise; else in one process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "idx", *arguments],
        **{"cwd": Path(__file__).parents[1], "env": environment},
        **{"capture_output": True, "text": True, "timeout": 600},
    )
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout + done.stderr
    assert ("bringing up nodes" in done.stdout) == (spread and (cores > 1 or "-n" in arguments))
