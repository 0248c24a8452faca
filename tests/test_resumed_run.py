"""`minipixel train --resume FOLDER`: a run that was stopped, or killed, goes on to the same bits."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import minipixel as mp
from minipixel.cli import main
from minipixel.training.callbacks.csv_logger import read_table

SETTINGS = [
    "--hidden",
    "4",
    "--blocks",
    "1",
    "--ema",
    "0.9",
    "--dropout",
    "0.2",
    "--levels",
    "2",
    "--binarize",
    "dynamic",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIPIXEL_DATA", raising=False)
    return tmp_path


def assert_same_run(a, b):
    """Weights to the bit, and the log but for its seconds."""
    first, second = (mp.load(folder / "model.safetensors").state_dict() for folder in (a, b))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, second[name], err_msg=name)
    logs = [list(read_table((folder / "log.csv").read_bytes(), folder)) for folder in (a, b)]
    for row in (*logs[0], *logs[1]):
        del row["seconds"]
    assert logs[0] == logs[1]


def test_more_epochs_of_a_finished_run(here):
    assert main(["train", *SETTINGS, "--epochs", "1", "--out", "parts"]) == 0
    assert main(["train", "--resume", "parts", "--epochs", "2"]) == 0
    assert main(["train", *SETTINGS, "--epochs", "2", "--out", "whole"]) == 0
    assert_same_run(here / "parts", here / "whole")
    assert "epochs = 2" in (here / "parts" / "config.toml").read_text()


@pytest.mark.parametrize("how", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_a_run_cut_short_goes_on(here, how):
    """Killed, or stopped by Ctrl-C, between two checkpoints in the middle of an epoch."""
    command = ["train", *SETTINGS, "--epochs", "3", "--save-freq", "5", "--out", "cut"]
    environment = os.environ | {"MINIPIXEL_NUMBA": "0"}
    process = subprocess.Popen([sys.executable, "-m", "minipixel", *command], env=environment, stderr=subprocess.PIPE)
    checkpoints = here / "cut" / "checkpoints"
    while process.poll() is None and not list(checkpoints.glob("checkpoint-*-000010.safetensors")):
        time.sleep(0.02)
    process.send_signal(how)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL), said
    if how == signal.SIGINT:
        assert "go on   minipixel train --resume cut" in said
    for arguments in (["--resume", "cut"], [*SETTINGS, "--epochs", "3", "--out", "whole"]):
        subprocess.run(
            [sys.executable, "-m", "minipixel", "train", *arguments], env=environment, check=True, capture_output=True
        )
    assert_same_run(here / "cut", here / "whole")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "nowhere"], "nowhere/config.toml: No such file or directory"),
        (["--resume", "run", "--out", "other"], "--out: got a folder with --resume, wanted none"),
        (["--resume", "run", "--from", "run/model.safetensors"], "--from: got a model with --resume, wanted none"),
        (["--resume", "run", "--batch-size", "7"], "batch_size"),
        (["--resume", "run", "--hidden", "5"], "hidden"),
        (["--resume", "run", "--optimizer", "sgd"], "optimizer"),
    ],
)
def test_what_cannot_be_gone_on_with(here, capsys, arguments, said):
    assert main(["train", *SETTINGS, "--epochs", "1", "--out", "run"]) == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("minipixel: error: ") == 1
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
