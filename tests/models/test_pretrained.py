"""Models in the box: each is what its card says, causal, drawn alike by all samplers; a word names one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minipixel as mp
from minipixel.cli import main
from minipixel.models.pretrained import BOX, cards

NAMES = list(cards())
SMALL = [name for name in NAMES if name.startswith("digits")]
LARGE = [name for name in NAMES if name not in SMALL]


def every(names_quick, names_slow):
    return [*names_quick, *(pytest.param(name, marks=pytest.mark.slow) for name in names_slow)]


def condition_of(model, N):
    return model.conditions.in_turn(N)


def test_the_box():
    files = {path.name for path in BOX.iterdir()}
    assert files == {f"{name}.safetensors" for name in NAMES} | {"cards.json"} | {
        f"LICENSE-{data}.txt" for data in {card.data for card in cards().values()}
    }
    assert sum(path.stat().st_size for path in BOX.iterdir()) < 6e6  # with the data sets, the wheel stays below 8 MB
    kinds = {card.architecture for card in cards().values()}
    assert kinds == {kind.__name__ for kind in mp.models.MODELS.values()}  # one of each, for the lessons
    assert {"digits", "emoji", "mnist"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_is_there(name):
    model, card = mp.models.pretrained(name), cards()[name]
    assert (type(model).__name__, model.num_parameters) == (card.architecture, card.weights)
    assert model.initialized and model.dtype == "float32"
    assert np.isclose(model.bits(card.nats), card.bits_per_dim, atol=1e-4)
    assert abs(card.nats - card.full_nats) < 2e-3 * card.nats  # what 16 bits per weight cost
    assert (card.draws > 1) == (model.levels == 2) and 0 < card.epochs <= card.planned
    text = str(card)
    for part in (name, card.licence, "minipixel train", f"{card.nats:.2f}"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 110
    assert (model.conditions.num_classes is not None) == ("--conditional" in card.command)


@pytest.mark.parametrize("name", every(SMALL, LARGE))
def test_causal(name):
    report = mp.check_causality(mp.models.pretrained(name), images=2)
    assert report.ok, report


@pytest.mark.parametrize("name", every(SMALL[:1], NAMES[1:]))
def test_every_sampler_draws_the_same(name):
    model, N = mp.models.pretrained(name), 2
    drawn = [model.sample(N, condition_of(model, N), rng=1, method=how) for how in ("naive", "cached", "auto")]
    with mp.kernels.uncompiled():
        drawn.append(model.sample(N, condition_of(model, N), rng=1, method="cached"))
    # a uniform may fall within the rounding of a bound between two levels: then all that is drawn later differs
    same = [np.mean([np.array_equal(a, b) for a, b in zip(drawn[0], other, strict=True)]) for other in drawn[1:]]
    assert min(same) >= 0.5


def test_a_first_picture_compiles_nothing(tmp_path):
    """What `minipixel demo` does first, in a process for which nothing is compiled yet."""
    code = (
        "import minipixel as mp; model = mp.models.pretrained('digits-gated')\n"
        "with mp.kernels.uncompiled(): images = model.sample(2, rng=0)\n"
        "print(images.shape)"
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == "(2, 8, 8, 1)\n" and not list(tmp_path.rglob("*.nbc"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_figures_on_the_test_images(name):
    model, card = mp.models.pretrained(name), cards()[name]
    try:
        ds = mp.datasets.load(card.data)
    except OSError as error:
        pytest.skip(f"needs {card.data}: {error}")
    labels = ds.test.labels if model.conditions.num_classes else None
    images = ds.test.images if model.levels == ds.levels else mp.datasets.binarize(ds.test.images, ds.levels, rng=0)
    nats = -model.log_prob(images, labels).mean()
    assert abs(nats - card.nats) < max(1e-2, 4 * card.spread)


def test_another_name():
    with pytest.raises(ValueError, match=r"name: got 'mnits', wanted one of .*; did you mean 'mnist'\?; a file"):
        mp.models.pretrained("mnits")
    with pytest.raises(ValueError, match="name: got 3, wanted one of"):
        mp.models.pretrained(3)


def test_half_precision(tmp_path):
    model = mp.models.PixelCNN((4, 4, 1), 4, hidden=4, blocks=1, dtype="float64")
    model.save(tmp_path / "whole.safetensors")
    model.save(tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.5 * sizes[0]
    halved = mp.load(tmp_path / "half.safetensors")
    for name, weight in model.state_dict().items():
        found = halved.state_dict()[name]
        assert found.dtype == np.float64 and np.array_equal(found, weight.astype(np.float16))
    model.parameters()[0].data = model.parameters()[0].data * 0 + 1e5
    with pytest.raises(ValueError, match=r"half: got .* with a weight of 1e\+05, wanted 65504 at the most"):
        model.save(tmp_path / "large.safetensors", half=True)
    assert not (tmp_path / "large.safetensors").exists()


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_they_are_listed(here, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1 : len(NAMES) + 1]] == NAMES
    assert main(["models", "digits"]) == 0
    assert capsys.readouterr().out == f"{cards()['digits']}\n"


def test_a_word_is_a_model_in_the_box(here, capsys):
    assert main(["sample", "digits", "-n", "2", "--out", "two.npy"]) == 0
    assert np.load("two.npy").shape == (2, 8, 8, 1)
    assert main(["info", "digits"]) == 0 and "PixelCNNpp" in capsys.readouterr().out
    assert main(["complete", "digits-gated", "-n", "1", "--times", "1"]) == 0  # of the data that it learnt from
    assert Path("completed.png").exists()


def test_its_own_data_is_what_it_is_scored_on(here, capsys):
    assert main(["evaluate", "digits-gated"]) == 0
    said = capsys.readouterr().out
    assert "digits: 1295 train" in said and f"{cards()['digits-gated'].nats:.2f}" in said


def test_data_for_nothing(here, capsys):
    assert main(["sample", "digits", "--data", "emoji"]) == 2
    assert "--data: got emoji without --nearest" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["sample", "mnits"], r"model: got 'mnits', wanted a file, .*, the folder of a run, or a model in the box: .*"
                              r"; did you mean 'mnist'\?$"),
        (["info", "unheard"], "model: got 'unheard', wanted a file"),
        (["models", "digit"], r"model: got 'digit', wanted one of .*; did you mean 'digits'\?; minipixel info"),
        (["sample", "./digits"], "digits: No such file"),
        (["sample", "digits.safetensors"], "digits.safetensors: No such file"),
        (["evaluate", "digits", "--data", "emoji"], "--data: got emoji, whose images are 16x16x3"),
    ],
)  # fmt: skip
def test_mistakes(here, capsys, command, message):
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and re.search(message, said)


def test_a_file_without_a_suffix_is_read_too(here, capsys):
    mp.models.pretrained("digits-pixelcnn").save("mine")
    assert main(["sample", "mine", "-n", "1"]) == 0


def test_training_goes_on_from_one(here, capsys):
    assert main(["train", "--from", "digits-pixelcnn", "--epochs", "1", "--out", "on"]) == 0
    assert 'from = "digits-pixelcnn"' in Path("on/config.toml").read_text()
    losses = re.findall(r"validation ([\d.]+) bits/dim", capsys.readouterr().out)
    assert abs(float(losses[0]) - cards()["digits-pixelcnn"].bits_per_dim) < 0.15  # where it had been, or near
