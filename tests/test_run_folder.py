"""The folder that a training leaves: it explains itself, and repeats itself to the bit; hostile files get one line."""

import argparse
import errno
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from quick import every

import minipixel as mp
from minipixel.cli import architecture, config, main
from minipixel.models import MODELS

SMALL = ["--epochs", "1", "--hidden", "2", "--blocks", "1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIPIXEL_DATA", raising=False)
    return tmp_path


def one_line(capsys):
    error = capsys.readouterr().err
    assert error.startswith("minipixel: error: ") and error.count("\n") == 1, error
    return error


def weights(folder):
    return mp.load(Path(folder) / "model.safetensors").state_dict()


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name, weight in a.items():
        np.testing.assert_array_equal(weight, b[name], err_msg=name)


RUNS = {
    "pixelcnn": [
        *SMALL,
        "--ema",
        "0.9",
        "--dropout",
        "0.25",
        "--optimizer",
        "nadam",
        "--clip-norm",
        "1",
        "--seed",
        "3",
    ],
    "row-lstm": ["--hidden", "2", "--layers", "1", "--levels", "2", "--binarize", "dynamic", "--skip", "true"],
    "diagonal-bilstm": ["--hidden", "2", "--layers", "1", "--phantom-column", "false", "--learning-rate", "3e-4"],
    "multi-scale": ["--hidden", "2", "--layers", "1", "--base", "row-lstm", "--conditional"],
    "gated": ["--filters", "2", "--layers", "2", "--dilations", "1,2", "--head", "normal_mixture", "--mixtures", "2"],
    "pixelcnnpp": ["--filters", "4", "--resnets", "1", "--batch-size", "100", "--workers", "1"],
}
GOALS = ["--optimizer", "adamw", "--weight-decay", "0.3", "--trainable", "top", "blocks.0.look"]
"""What is learnt, and of which weights: for any model that has these."""


@pytest.mark.parametrize("model", every(3, MODELS))
def test_a_run_repeats_itself_to_the_bit(here, model, capsys):
    """Every model, and every option, from what config.toml says alone; and the second says of itself the same."""
    assert main(["train", "--model", model, "--epochs", "1", *RUNS[model], "--out", "run"]) == 0
    repeat = re.search(r"repeat +minipixel (.*)\n", capsys.readouterr().out).group(1)
    assert repeat == "train --config run/config.toml"
    assert main([*shlex.split(repeat), "--out", "again"]) == 0
    assert_same_bits(weights("run"), weights("again"))
    said = [Path(folder, "config.toml").read_text() for folder in ("run", "again")]
    assert said[0].replace("run/config.toml", "again/config.toml") == said[1]
    assert capsys.readouterr().err.count("note") == 0
    settings, _ = config.read("run/config.toml")
    left_out = {key for key in architecture.parameters(model) if mp.load("run/model.safetensors").config[key] is None}
    assert set(architecture.parameters(model)) - left_out <= set(settings)  # in full, defaults too


def test_goals_of_ones_own(here, capsys):
    """Decay, some weights alone, images that count more than others: as `fit` does it, and again to the bit."""
    ds = mp.datasets.load("digits")
    counts = np.where(ds.train.labels == 3, 4.0, 0.5)
    np.save("counts.npy", counts)
    options = [*SMALL, *GOALS, "--sample-weight", "counts.npy"]
    assert main(["train", *options, "--out", "run"]) == 0
    (here / "elsewhere").mkdir()
    os.chdir("elsewhere")
    assert main(["train", "--config", "../run/config.toml", "--out", "../again"]) == 0
    os.chdir("..")
    assert_same_bits(weights("run"), weights("again"))
    settings, _ = config.read("run/config.toml")
    assert settings["trainable"] == ("top", "blocks.0.look") and settings["weight_decay"] == 0.3
    model = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=2, blocks=1)
    optimizer = mp.optim.AdamW(weight_decay=0.3)
    given = {"sample_weight": counts, "trainable": ["top", "blocks.0.look"], "optimizer": optimizer}
    mp.fit(model, ds.train.images, epochs=1, progress=False, **given)
    assert_same_bits(model.state_dict(), weights("run"))
    assert main(["train", *SMALL, "--optimizer", "adamw", "--out", "plain"]) == 0
    assert config.read("plain/config.toml")[0]["weight_decay"] == 0.01
    capsys.readouterr()
    np.save("short.npy", np.ones(3))
    for words, said in {
        "--weight-decay 0.1": "--weight-decay: got 0.1 with adam, wanted --optimizer adamw beside it, or none",
        "--optimizer adamw --weight-decay -1": "weight_decay: got -1.0, wanted a number of at least 0",
        "--trainable topp": "trainable: got 'topp', wanted what has weights to train in this model; did",
        "--sample-weight short.npy": f"--sample-weight: got float64 of shape (3,), wanted {len(counts)} numbers",
        "--sample-weight run/config.toml": "run/config.toml: the file starts with b'# The se'",
        "--sample-weight none.npy": "none.npy: No such file or directory",
    }.items():
        assert main(["train", *SMALL, *words.split(), "--out", "bad"]) == 2
        assert said in one_line(capsys)
        assert not Path("bad").exists()


def test_another_seed_is_another_run(here):
    """The comparison above can fail; and what stands on the command line goes before the file."""
    assert main(["train", *SMALL, "--out", "run"]) == 0
    assert main(["train", "--config", "run/config.toml", "--seed", "1", "--out", "again"]) == 0
    with pytest.raises(AssertionError):
        assert_same_bits(weights("run"), weights("again"))
    assert tomllib.loads(Path("again/config.toml").read_text())["seed"] == 1


def test_the_demo_repeats_itself_as_a_training(here):
    assert main(["demo", "--epochs", "1", "--seed", "2"]) == 0
    assert main(["train", "--config", "minipixel-demo/config.toml", "--out", "again"]) == 0
    assert_same_bits(weights("minipixel-demo"), weights("again"))


def test_what_is_in_the_folder(here, capsys):
    options = [*SMALL[2:], "--epochs", "2", "--sample-every", "2", "--tensorboard"]
    assert main(["train", *options, "--out", "run"]) == 0
    files = {"config.toml", "figures.json", "log.csv", "loss.png", "model.safetensors", "samples.png"}
    assert {path.name for path in Path("run").iterdir()} == {*files, "checkpoints", "samples", "tensorboard"}
    assert [path.name for path in Path("run/samples").iterdir()] == ["epoch-0002.png"]
    assert len(list(Path("run/tensorboard").iterdir())) == 1
    assert tuple(tomllib.loads(Path("run/config.toml").read_text())["made_with"]) == tuple(
        name for name in config.MADE_WITH if name != "from_sha256"
    )
    capsys.readouterr()
    assert main(["info", "run"]) == 0
    said = capsys.readouterr().out
    figures = json.loads(Path("run/figures.json").read_text())
    for text in (
        "repeat    minipixel train --config run/config.toml\n",
        "  blocks                    1\n",
        f"  numpy                     {np.__version__}\n",
        f"  python                    {sys.version.split()[0]}\n",
        f"  validation_bits_per_dim   {figures['validation_bits_per_dim']}\n",
        "log       2 epochs; on the validation images the best is 2, "
        f"{figures['validation_bits_per_dim']:.4f} bits/dim\n",
        "files     checkpoints/, config.toml, figures.json, log.csv, loss.png, model.safetensors, samples.png, s",
        "PixelCNN: 8x8x1 images of 17 levels",
    ):
        assert text in said, text


def test_other_versions_and_other_data_are_noted(here, capsys):
    assert main(["train", *SMALL, "--out", "run"]) == 0
    text = Path("run/config.toml").read_text()
    digest = re.search('data_sha256 = "(.*)"', text).group(1)
    Path("old.toml").write_text(text.replace(digest, "0" * 64).replace(np.__version__, "1.0"))
    capsys.readouterr()
    assert main(["train", "--config", "old.toml"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert notes == [
        f"minipixel: note: numpy: was 1.0 then, is {np.__version__} now; the bits may differ",
        f"minipixel: note: data_sha256: was {'0' * 64} then, is {digest} now; the bits may differ",
    ]


def test_a_file_of_ones_own_need_not_say_all(here):
    Path("mine.toml").write_text("# a few words\nhidden = 2\nblocks = 1\nepochs = 1\nlearning_rate = 1\n")
    assert main(["train", "--config", "mine.toml", "--out", "run"]) == 0
    settings, _ = config.read("run/config.toml")
    assert (settings["hidden"], settings["learning_rate"], settings["model"]) == (2, 1.0, "pixelcnn")


def test_odd_folders_are_quoted_and_found_again(here, capsys, monkeypatch):
    odd = 'a "run"\\of é \U0001d4b3 \x7f\nhidden = 3'
    (here / odd).mkdir()
    load = mp.datasets.load
    monkeypatch.setattr("minipixel.datasets.load", lambda name, root: roots.append(root) or load(name))
    roots = []
    assert main(["train", *SMALL, "--root", odd, "--out", f"{odd}/run"]) == 0
    repeat = capsys.readouterr().out.split("repeat  minipixel ")[1]
    assert main([*shlex.split(repeat), "--out", "again"]) == 0
    assert config.read("again/config.toml")[0]["hidden"] == 2
    assert config.read("again/config.toml")[0]["root"] == str(here / odd)
    assert roots == [odd, str(here / odd)]


def test_the_table_is_that_of_the_command_line():
    """Every option of train is a setting of the same name, but for where to read settings and where to write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minipixel.cli.train.train", lambda arguments: seen.append(arguments) or 0)
        seen: list[argparse.Namespace] = []
        assert main(["train"]) == 0
    of_models = {key for model in MODELS for key in architecture.parameters(model)}
    where = {"config", "resume", "out", "command", "made_with"}
    assert set(vars(seen[0])) == {*config.OPTIONS, *of_models, *where}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", None),
        (b"epoch = 3", "settings.toml: got a setting 'epoch', expected one of model, data, size, channels"),
        (b'"a\\nb" = 3', r"got a setting 'a\nb'"),
        (b"hiden = 3", "did you mean hidden?"),
        (b"out = 'elsewhere'", "got a setting 'out'"),
        (b"command = 'rm'", "got a setting 'command'"),
        (b"[train]\nepochs = 3", "got a setting 'train'"),
        (b"epochs = '3'", "epochs: got '3', expected a whole number"),
        (b"epochs = 3.0", "epochs: got 3.0, expected a whole number"),
        (b"epochs = true", "epochs: got True, expected a whole number"),
        (b"epochs = 2024-01-01", "epochs: got datetime.date(2024, 1, 1), expected a whole number"),
        (b"epochs = {}", "epochs: got {}, expected a whole number"),
        (b"epochs = 0", "epochs: got 0, wanted"),
        (b"epochs = 99999999999999999999", "epochs: got 99999999999999999999, expected a whole number below 2**63"),
        (b"epochs = " + b"9" * 5000, "settings.toml: got a word of 1000 letters or more"),
        (b"seed = -1", "rng: got -1, wanted None, a whole number from 0"),
        (b"levels = 40", "levels"),
        (b"conditional = 1", "conditional: got 1, expected true or false"),
        (b"learning_rate = 'fast'", "learning_rate: got 'fast', expected a number"),
        (b"learning_rate = false", "learning_rate: got False, expected a number"),
        (b"learning_rate = nan", "learning_rate: got nan, expected a number below 2**63"),
        (b"ema = inf", "ema: got inf, expected a number below 2**63"),
        (b"model = 'transformer'", "model: got 'transformer', expected one of pixelcnn, row-lstm"),
        (b"model = ['pixelcnn']", "model: got ['pixelcnn'], expected one of"),
        (b"data = '../../etc/passwd'", "data: got '../../etc/passwd', wanted one of digits, emoji"),
        (b"root = 3", "root: got 3, expected a text"),
        (b"hidden = 'wide'", "hidden: got 'wide', wanted a whole number"),
        (b"hidden = '1,x'", "hidden: got '1,x', expected a number, true or false, a word"),
        (b"hidden = [1, 'a']", "hidden: got [1, 'a'], expected"),
        (b"hidden = [[1]]", "hidden: got [[1]], expected"),
        (b"hidden = 1979-05-27", "hidden: got datetime.date(1979, 5, 27), expected"),
        (b"model = 'gated'\nblocks = 3", "--blocks: gated does not take it"),
        (b"made_with = 3", "made_with: got 3, expected texts named minipixel, python"),
        (b"[made_with]\nnumpy = 2", "made_with: got {'numpy': 2}"),
        (b"[made_with]\nluck = 'none'", "made_with: got {'luck': 'none'}"),
        (b"epochs = 1\nepochs = 2", "settings.toml: got a file that is not TOML"),
        (b"epochs == 1", "got a file that is not TOML"),
        (b"\xff\xfe\x00", "got a file that is not TOML"),
        (b"PK\x03\x04" + bytes(100), "got a file that is not TOML"),
        (b"hidden = " + b"[" * 60_000, "got a file that is not TOML"),
        (b"hidden = [" + b"1," * 2**20 + b"]", "got a file of 2097163 bytes, expected at most 65536"),
        (b"hidden = [" + b"1," * 10_000 + b"]", "hidden: got [1, 1, 1"),
        (b"learning_rate = 1" + b"0" * 400, "learning_rate: got 1000000000"),
        (b"epochs = 0x1" + b"0" * 5000, "settings.toml: got a word of 1000 letters or more"),
        (b"epochs = 0x1" + b"0" * 500, "epochs: got 11481306952742545"),
        (b"x" + b".x" * 2000 + b" = 1", "settings.toml: got 2000 dots, expected at most 300"),
        (b'root = "\\u001b[31m\\u009b"\nmodel = 3\n"\\u001b]0;" = 3', "model: got 3, expected one of"),
        (b'"\\u001b]0;" = 3', r"got a setting '\x1b]0;'"),
        (b'model = "\\u001b[2J"', r"model: got '\x1b[2J', expected one of"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, bytes) else "",
)
def test_hostile_settings(here, capsys, content, said):
    """Exit status 2 and one line, of a sane length; nothing is left behind."""
    Path("settings.toml").write_bytes(content)
    if said is None:
        assert config.read("settings.toml") == ({}, {})
        return
    assert main(["train", "--config", "settings.toml"]) == 2
    error = one_line(capsys)
    assert said in error and len(error) < 1200 and error.strip().isprintable(), error
    assert [path.name for path in here.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gated", "dilations": [1, 2], "epochs": 3, "ema": 0.5, "root": "some/where"},
        {"data": "digits", "levels": 2, "learning_rate": 1e-3, "conditional": True, "activation": "relu", "seed": 7},
    ],
)
def test_mutations_of_settings(here, settings):
    """Flips, cuts and doublings of a real file: what is read is of the kinds that the table has, or a FormatError."""
    whole, rng = (
        config.write(settings, {"numpy": "2.0", "kernels": "numba"}, ["some"]).encode(),
        np.random.default_rng(0),
    )
    path, refused = Path("bad.toml"), 0
    for _ in range(1000):
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(content) + 1))
            kind = rng.integers(3)
            if kind == 0 and at < len(content):
                content[at] = rng.integers(256)
            elif kind == 1:
                del content[at : at + int(rng.integers(1, 20))]
            else:
                content[at:at] = content[at : at + int(rng.integers(1, 40))]
        path.write_bytes(content)
        try:
            settings, made_with = config.read("bad.toml")
        except mp.FormatError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000
            refused += 1
            continue
        assert all(name in config.MADE_WITH and isinstance(text, str) for name, text in made_with.items())
        for name, value in settings.items():
            kind = config.OPTIONS.get(name, (object,))
            if isinstance(kind, type):
                assert isinstance(value, (int, float) if kind is float else kind)
            elif name in config.OPTIONS:
                assert value in kind
    assert 200 < refused < 1000


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.toml", b"junk", "config.toml: got a file that is not TOML"),
        ("figures.json", b"junk", "figures.json: got a file that is not JSON"),
        ("figures.json", b"[" * 60_000, "figures.json: got a file that is not JSON"),
        ("figures.json", b"[1]", "figures.json: got other JSON, expected names and numbers"),
        ("figures.json", b'{"a": {}}', "figures.json: got other JSON"),
        ("figures.json", b"\xff", "figures.json: got a file that is not JSON"),
        ("log.csv", b"epoch,loss\n1,much\n", "log.csv: got no table of numbers"),
        ("log.csv", b"\xff", "log.csv: got no table of numbers"),
        ("model.safetensors", b"junk", "model.safetensors: got 4 bytes that are no safetensors file"),
    ],
)
def test_info_of_a_broken_folder(here, capsys, file, content, said):
    Path("run").mkdir()
    Path("run/config.toml").write_text("epochs = 3\n")
    assert main(["info", "run"]) == 0  # one that was just begun
    assert "  epochs                    3\n" in capsys.readouterr().out
    Path("run", file).write_bytes(content)
    assert main(["info", "run"]) == 2
    assert said in one_line(capsys)


def test_info_shows_no_control_characters(here, capsys):
    Path("run").mkdir()
    Path("run/config.toml").write_text('root = "a\\nb\\u001b[31m"\n')
    Path("run/figures.json").write_text('{"x\\ny": "\\u001b[2J"}')
    assert main(["info", "run"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and r" a\nb\x1b[31m" in said and r" x\ny " in said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train", "--config", "nothing.toml"], "nothing.toml: No such file or directory"),
        (["train", "--config", "."], ".: Is a directory"),
        (["train", "--sample-every", "0"], "every: got 0"),
        (["train", "--out", "begun"], "begun: holds a run already; --resume it, give --out another folder"),
        (["info", "empty"], "empty: got a folder without config.toml, wanted one that minipixel train left"),
    ],
)
def test_mistakes(here, capsys, command, said):
    Path("empty").mkdir()
    Path("begun").mkdir()
    Path("begun/config.toml").write_text("epochs = 3\n")
    assert main(command) == 2
    assert said in one_line(capsys)
    assert Path("begun/config.toml").read_text() == "epochs = 3\n"
    assert sorted(path.name for path in here.iterdir()) == ["begun", "empty"]


def full_disk(monkeypatch, module, name):
    """Writing to that name fails in that module, as it would on a full disk."""
    write = mp.files.write_atomically

    def write_unless(path, content):
        if Path(path).name == name and "run" in Path(path).parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(f"{module}.write_atomically", write_unless)


def test_a_model_that_finds_no_room_is_kept_elsewhere(here, capsys, monkeypatch):
    full_disk(monkeypatch, "minipixel.checkpoint", "model.safetensors")
    monkeypatch.setattr("tempfile.tempdir", str(here))
    assert main(["train", *SMALL, "--out", "run"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    said = r"minipixel: error: run/model.safetensors: No space left on device; the model is in (.*) instead"
    kept = re.fullmatch(said, error).group(1)
    monkeypatch.undo()
    os.chdir(here)
    assert main(["train", *SMALL, "--out", "again"]) == 0
    assert_same_bits(mp.load(kept).state_dict(), weights("again"))


def test_a_log_that_finds_no_room_is_a_note(tmp_path):
    """In a process of its own, with the warnings of a user: one line on stderr, once, and the status is 0."""
    program = (
        "import errno, sys, minipixel.training.callbacks.csv_logger as log\n"
        "write = log.write_atomically\n"
        "def full(path, content):\n"
        "    if content: raise OSError(errno.ENOSPC, 'No space left on device', str(path))\n"
        "    return write(path, content)\n"
        "log.write_atomically = full\n"
        "from minipixel.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "train", *SMALL[2:], "--epochs", "3", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    usual = "epoch", "compiling"  # the kernels, where nobody has compiled them yet
    notes = [line for line in done.stderr.splitlines() if not line.startswith(usual)]
    assert notes == [
        "minipixel: note: CSVLogger: run/log.csv: No space left on device; training goes on, "
        "the rows wait for the next epoch"
    ]
    assert mp.load(tmp_path / "run" / "model.safetensors").num_parameters
