"""How all tests run: BLAS with one thread in each process, and a process for each core unless files are named."""

import os
import signal
from pathlib import Path

import pytest

for library in ("OPENBLAS_NUM", "MKL_NUM", "BLIS_NUM", "OMP_NUM", "VECLIB_MAXIMUM"):
    os.environ[f"{library}_THREADS"] = "1"  # read when NumPy is loaded, by the processes that tests start as well
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script: what tests start would ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def played_gpu():
    """The stand-in plays CuPy, so that model.to("cuda") takes a model to it."""
    from minipixel.stand_in import installed  # not before BLAS has been told

    with installed():
        yield


MOST_PROCESSES = 8
"""Each one imports and collects everything: more of them would pay for that and gain little."""


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Spread a run of whole folders over the cores, as `-n logical --dist worksteal` does.

    Not where someone decides otherwise (`-n 0`, `-p no:xdist`, `--pdb`), wants to see what is printed (`-s`), or names
    files or tests: these are done before other processes have started. Stealing work, and not sharing it out, leaves
    the tests of a file in one process, nearly all, and so the fixtures and compiled functions that they share.
    """
    option = config.option
    if hasattr(config, "workerinput") or getattr(option, "numprocesses", 0) is not None or option.dist != "no":
        return
    if option.usepdb or option.capture == "no" or not all(Path(argument).is_dir() for argument in config.args):
        return
    option.numprocesses = "logical"  # what the hook counts where it can: cores, not what they are packed in
    processes = min(config.hook.pytest_xdist_auto_num_workers(config=config), MOST_PROCESSES)
    option.numprocesses, option.dist = (processes, "worksteal") if processes > 1 else (0, "no")
