"""Whatever is typed, and wherever output goes: a documented exit status, one line, and no traceback."""

import argparse
import dataclasses
import functools
import os
import platform
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from quick import every

import minipixel as mp
from minipixel.cli import main
from minipixel.cli.parser import parser
from minipixel.datasets import Split

SMALL = ["--epochs", "1", "--hidden", "1", "--blocks", "1"]

# By command: what has to stand there so that nothing is wrong but the option at hand.
SOUND = {
    "demo": ["--epochs", "1"],
    "models": [],
    "train": SMALL,
    "sample": ["MODEL", "-n", "1", "--nearest", "near.png"],
    "complete": ["MODEL", "-n", "1", "--times", "1"],
    "evaluate": ["MODEL"],
    "check": ["MODEL"],
    "compare": ["RUN"],
    "export": ["MODEL"],
    "info": [],
    "warmup": [],
}
NONSENSE = [
    *("", " ", "nonsense", "-1", "0", "2.5", "nan", "inf", "1e400", "9" * 40, "9" * 5000, "1,x", "--", "true", "5 5"),
    *("\x1b[31mred", "two\nlines", "caf\xe9", "\udcff", "/", ".", "FILE", "FILE/below", "FOLDER", "MODEL", "n" * 300),
    *("none.png", "none.npy", "FOLDER/none.safetensors", "folder.png", "../nowhere/x.png", "/proc/x.png", "/dev/full"),
]


def options():
    """Each command with each of its options, as the parser has them; and its operands, as ""."""
    (commands,) = (action for action in parser({})._actions if isinstance(action, argparse._SubParsersAction))
    for command, its in commands.choices.items():
        assert command in SOUND, f"{command}: a new command wants its row"
        yield from ((command, action) for action in its._actions if "--help" not in action.option_strings)


OPTIONS = list(options())
NAMES = [f"{command}-{(action.option_strings or [action.dest])[-1]}" for command, action in OPTIONS]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file for the digits."""
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    mp.models.PixelCNN((8, 8, 1), 17, hidden=1, blocks=1).save(path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, where data sets are short and no picture takes time."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("MINIPIXEL_DATA", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    load = mp.datasets.load

    def short(name, root=None):
        ds = load(name, root)
        splits = {name: getattr(ds, name) for name in ("train", "validation", "test")}
        return dataclasses.replace(ds, **{name: Split(s.images[:10], s.labels[:10]) for name, s in splits.items()})

    monkeypatch.setattr("minipixel.datasets.load", short)
    monkeypatch.setattr("minipixel.plots.png", lambda figure: b"a picture")
    (tmp_path / "here" / "FILE").write_bytes(b"junk")
    (tmp_path / "here" / "FOLDER").mkdir()
    (tmp_path / "here" / "folder.png").mkdir()
    (tmp_path / "here" / "RUN").mkdir()
    (tmp_path / "here" / "RUN" / "config.toml").write_text('model = "pixelcnn"\n')
    return tmp_path / "here"


def refused_or_done(capsys, command):
    """The status of a command, once it is a documented one, and stderr has no traceback and, if refused, one line."""
    status = main(command)
    error = capsys.readouterr().err
    assert status in (0, 1, 2), command
    assert status != 1 or command[0] == "check", "1 is for leaks"
    assert "Traceback" not in error and "this should not happen" not in error and "\x1b" not in error, error
    said = [line for line in error.splitlines() if line.startswith("minipixel: error: ")]
    assert len(said) == (status == 2), (command, status, error)
    if status == 2:
        assert error.endswith(f"{said[0]}\n") and len(said[0]) < 1100
    return status


@pytest.mark.filterwarnings("default::RuntimeWarning")  # of trainings that diverge: users see a note
@pytest.mark.parametrize(
    ("command", "action"),
    every(3, OPTIONS),
    ids=NAMES,
)
def test_nonsense_in_every_option(here, model, capsys, command, action, monkeypatch):
    """Numbers out of range, words, wrong kinds of file, folders in place of files, names that no file can have."""
    monkeypatch.setattr("minipixel.cli.warmup.warmup", lambda arguments: 0)
    monkeypatch.setattr("minipixel.cli.demo.DRAWN", 1)  # a demo draws and trains for many of these values
    sound = [word for word in SOUND[command] if action.option_strings or word not in ("MODEL", "RUN")]
    name = action.option_strings[-1:]
    statuses = []
    for value in [None] if action.nargs == 0 else NONSENSE:
        words = [*sound, *name, *([] if value is None else value.split(" ") if action.nargs == "+" else [value])]
        words = [str(model) if word == "MODEL" else word for word in words]
        if action.dest == "out" and value in ("", "/", "/proc/x.png"):
            words = [word if word != "/" else "/proc" for word in words]
        if action.dest in ("data", "images", "pictures"):  # all pictures of the machine are no nonsense
            words = [word if word != "/" else "." for word in words]
        statuses.append(refused_or_done(capsys, [command, *words]))
    assert 2 in statuses or action.nargs == 0 or action.dest in ("seed", "out", "workers", "root"), statuses


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["fly"],
        ["--fly"],
        ["train", "fly"],
        ["train", "--fly"],
        ["train", "--resume"],
        ["train", "--config", "a", "--resume", "b"],
        ["train", "--resume", "FOLDER"],
        ["train", "--resume", "FILE"],
        ["train", "--resume", "none"],
        ["train", "--config", "/dev/null", "--data", "mnist", "--root", "FOLDER"],
        ["sample"],
        ["sample", "MODEL", "MODEL"],
        ["sample", "MODEL", "-n", "2000000000"],
        ["sample", "MODEL", "--out", "folder.png"],
        ["complete", "MODEL", "FILE"],
        ["complete", "MODEL", "FOLDER"],
        ["complete", "MODEL", "MODEL"],
        ["evaluate", "FOLDER"],
        ["evaluate", "MODEL", "--images"],
        ["check", "MODEL", "--kernel", "5", "5"],
        ["check", "--model", "pixelcnn", "--shape", "8", "8"],
        ["check", "--model", "pixelcnn", "--shape", "8", "8", "1", "--kernel", "5", "5"],
        ["check", "--model", "pixelcnn", "--shape", "99999", "99999", "3"],
        ["check", "--model", "pixelcnn", "--shape", "a", "b", "c"],
        ["info", "FILE", "FILE"],
        ["compare"],
        ["compare", "RUN", "FOLDER"],
        ["compare", "MODEL"],
        ["evaluate", "MODEL", "--csv", "table.txt"],
        ["evaluate", "MODEL", "--csv", "FOLDER/below/table.csv"],
        ["train", "--from", "none.safetensors"],
        ["train", "--from", "FILE"],
        ["train", "--from", "MODEL", "--hidden", "2"],
        ["train", "--from", "MODEL", "--model", "gated"],
        ["train", "--from", "MODEL", "--data", "emoji", "--levels", "17"],
        ["train", *SMALL, "--patience", "-1"],
        ["train", *SMALL, "--schedule", "linear"],
        ["train", "--data", "digits", "--root", "FOLDER"],
        ["train", *SMALL, "--out", "FILE"],
        ["train", *SMALL, "--learning-rate", "1e30", "--batch-size", "1"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done(here, model, capsys, command):
    assert refused_or_done(capsys, [str(model) if word == "MODEL" else word for word in command]) == 2


@pytest.mark.parametrize("missing", ["tensorboardX", "matplotlib", "safetensors", "tomli_w", "tqdm"])
def test_without_a_library(here, model, capsys, monkeypatch, missing):
    """Those that are optional, and others that somebody's installation may lack."""
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert refused_or_done(capsys, ["train", *SMALL, "--tensorboard"]) == 2


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(28, "No space left", "x"), mp.CausalityError("late"), KeyError(3)]
)
def test_any_error_is_one_line(here, model, capsys, monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(mp.models.PixelCNN, "sample", fail)
    assert main(["sample", str(model)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("minipixel: error: ") and said.count("\n") == 1
    assert ("this should not happen" in said) == isinstance(error, KeyError)
    monkeypatch.setenv("MINIPIXEL_TRACEBACK", "1")
    assert main(["sample", str(model)]) == 2 and "in fail" in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    below = rf"Python {platform.python_version()}, NumPy {np.__version__}, SciPy \d[\w.]+, Numba \w[\w. ]+, \w+ \w+"
    assert re.fullmatch(rf"minipixel {mp.__version__} \({below}\)\n", capsys.readouterr().out)


def test_several_values_where_several_are_meant(here, capsys):
    """As words, or with commas."""
    shape = ["check", "--shape", "4", "5", "1", "--filters", "4"]
    for values in (["1", "3"], ["1,3"]):
        assert main([*shape, "--model", "pixelcnnpp", "--resnets", "1", "--vertical-kernel", *values]) == 0
    for values in (["1", "2"], ["1,2"], ["2"]):
        assert main([*shape, "--model", "gated", "--layers", "2", "--dilations", *values]) == 0
    capsys.readouterr()
    assert main(["train", "--kernel", "5", "5"]) == 2
    assert "--kernel: got 5 5, wanted one value, since a kernel is as high as it is wide; --kernel 5, say" in (
        capsys.readouterr().err
    )
    assert main(["train", *SMALL, "--kernel", "5", "--first-kernel", "9", "--out", "run"]) == 0
    trained = mp.load("run/model.safetensors")
    assert (trained.blocks[0].look.kernel, trained.stem.kernel) == ((5, 5), (9, 9))
    assert main(["train", "--config", "run/config.toml", "--out", "again"]) == 0
    assert mp.load("again/model.safetensors").config == trained.config


# --- a process of its own -------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "minipixel"]
TRAIN = [*COMMAND, "train", "--epochs", "2", "--hidden", "2", "--blocks", "1", "--out", "run"]


@functools.cache
def whole_files():
    return {"checkpoints", "config.toml", "figures.json", "log.csv", "loss.png", "model.safetensors", "samples.png"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """What TRAIN comes to where all is well."""
    folder = tmp_path_factory.mktemp("whole")
    subprocess.run(TRAIN, cwd=folder, check=True, capture_output=True)
    return mp.load(folder / "run" / "model.safetensors").state_dict()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize(
    ("streams", "status"),
    every(
        3,
        [
            ("2>/dev/full", 0),
            ("2>&-", 0),
            ("2> >(true)", 0),
            (">/dev/full", 2),
            (">&-", 0),
            ("> >(true)", 0),
            ("<&- >&- 2>&-", 0),
            (">/dev/full 2>/dev/full", 2),
        ],
    ),
)
def test_output_never_ends_a_training(tmp_path, weights, streams, status):
    """Closed, full and broken streams: the same weights, all files, and 2 only where stdout could not be written."""
    command = " ".join(TRAIN).replace(sys.executable, f"'{sys.executable}'")
    done = subprocess.run(["bash", "-c", f"{command} {streams}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} == whole_files()
    for name, weight in mp.load(tmp_path / "run" / "model.safetensors").state_dict().items():
        np.testing.assert_array_equal(weight, weights[name])
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert ("standard output: No space left" in done.stderr) == (streams == ">/dev/full")


@pytest.mark.parametrize("stream", ["none", "closed", "broken", "a terminal that breaks"])
def test_fit_without_a_stderr(stream, monkeypatch):
    """pythonw and GUIs have none, or one of their own: the same history, and warnings end nothing either."""

    class Broken:
        def __init__(self, terminal):
            self.terminal = terminal

        def write(self, text):
            raise RuntimeError("wrapped object has been deleted")

        def isatty(self):
            return self.terminal

    def train():
        model = mp.models.PixelCNN((4, 4, 1), 2, hidden=2, blocks=1)
        images = np.zeros((8, 4, 4, 1), np.uint8)
        return mp.fit(model, images, epochs=2, batch_size=4, rng=0, resume="none").history["loss"]

    wanted = train()
    with open(os.devnull, "w") as closed:  # noqa: PTH123
        pass
    streams = {"none": None, "closed": closed, "broken": Broken(False), "a terminal that breaks": Broken(True)}
    monkeypatch.setattr(sys, "stderr", streams[stream])
    assert train() == wanted


INTERRUPT = """
import importlib.abc, os, signal, sys
class Interrupt(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize("started", ["python -m minipixel", "minipixel"])
@pytest.mark.parametrize(
    "module", ["numpy", "minipixel.clock", "minipixel.training.fit", "minipixel.cli.parser", "matplotlib.figure"]
)
def test_ctrl_c_while_something_is_imported(tmp_path, model, started, module):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    (tmp_path / "minipixel").write_text("import sys\nfrom minipixel.cli import main\nsys.exit(main())\n")
    paths = [str(tmp_path), os.path.dirname(os.path.dirname(mp.__file__))]  # noqa: PTH120
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "INTERRUPT_AT": module}
    script = ["-P", str(tmp_path / "minipixel")] if started == "minipixel" else ["-P", "-m", "minipixel"]
    command = [sys.executable, *script, "sample", str(model), "-n", "1"]
    (tmp_path / "work").mkdir()
    done = subprocess.run(command, cwd=tmp_path / "work", env=environment, capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    assert done.stderr in ("", "minipixel: interrupted\n")


def test_a_training_that_diverges(tmp_path):
    """One line, what was trained so far is saved, status 2; and it can be looked at."""
    command = [*TRAIN[:-2], "--learning-rate", "1e30", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    error = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert error.startswith("minipixel: error: loss: got nan in epoch 0, step ") and "--learning-rate" in error
    assert "is in run/model.safetensors" in error and '"diverged": true' in (tmp_path / "run/figures.json").read_text()
    assert all(
        np.isfinite(weight).all() for weight in mp.load(tmp_path / "run/model.safetensors").state_dict().values()
    )


# --- two at once ----------------------------------------------------------------------------------------------------


def begun(folder, *options):
    """A training that takes for ever, once it has taken its first steps."""
    command = [*COMMAND, "train", "--epochs", "100000", "--hidden", "1", "--blocks", "1", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("epoch 1/100000")
    return process


def test_a_run_folder_belongs_to_one_process(tmp_path):
    first = begun(tmp_path, "--out", "run")
    try:
        for options in (["--out", "run"], ["--resume", "run"]):
            done = subprocess.run([*COMMAND, "train", *options], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 2, done.stderr
            assert done.stderr == (
                f"minipixel: error: run: process {first.pid} is training there; wait for its end, or take another "
                "place\n"
            )
    finally:
        first.kill()  # its locks go with it
        first.communicate()
    done = subprocess.run([*COMMAND, "train", "--out", "run"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "run: holds a run already; --resume it, " in done.stderr
    again = subprocess.Popen([*COMMAND, "train", "--resume", "run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert again.stderr.readline().startswith("resume: run/checkpoints/")
    time.sleep(1)
    again.send_signal(signal.SIGINT)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 130, said
    assert not list((tmp_path / "run").rglob("*.lock"))


@pytest.mark.slow
def test_trainings_that_start_at_once_take_folders_of_their_own(tmp_path):
    """Four, each of another seed: each folder has the settings and the model of one of them."""
    short = ["--epochs", "1", "--hidden", "1", "--blocks", "1"]
    processes = [
        subprocess.Popen(
            [*COMMAND, "train", *short, "--seed", str(seed)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for seed in range(4)
    ]
    said = [process.communicate()[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert len(list((tmp_path / "runs").iterdir())) == 4
    assert sum("since runs/digits-pixelcnn is taken" in text for text in said) == 3
    for seed, text in enumerate(said):
        folder = tmp_path / text.splitlines()[-1].split("--config ")[1].removesuffix("/config.toml")
        assert f"seed = {seed}\n" in (folder / "config.toml").read_text()
        alone = tmp_path / f"alone-{seed}"
        command = [*COMMAND, "train", "--config", str(folder / "config.toml"), "--out", str(alone)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        assert (alone / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
