"""What `minipixel train` offers for choosing and for finding out why nothing is learnt; `compare`, `evaluate --csv`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minipixel as mp
from minipixel.cli import main

SMALL = ["--epochs", "1", "--hidden", "4", "--blocks", "1"]
DS = mp.datasets.load("digits")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with three runs: one that learns, one that hardly does, and one that goes on from the first."""
    folder = tmp_path_factory.mktemp("runs")
    common = ["--hidden", "4", "--blocks", "1", "--epochs", "2"]
    assert main(["train", *common, "--learning-rate", "0.02", "--out", str(folder / "good")]) == 0
    assert main(["train", *common, "--learning-rate", "1e-6", "--out", str(folder / "bad")]) == 0
    more = ["--from", str(folder / "good" / "model.safetensors"), "--epochs", "1", "--schedule", "cosine"]
    assert main(["train", *more, "--out", str(folder / "more")]) == 0
    return folder


def figures(folder):
    return json.loads((folder / "figures.json").read_text())


def table(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


# --- patience -----------------------------------------------------------------------------------------------------


def test_patience_keeps_the_weights_and_the_figures_of_the_best_epoch(here, capsys):
    """A rate far too high, so that validation gets worse: the same epoch, by the log, the figures and the weights."""
    assert (
        main(["train", *SMALL[2:], "--epochs", "40", "--patience", "1", "--learning-rate", "0.3", "--out", "run"]) == 0
    )
    rows, found = table("run/log.csv"), figures(here / "run")
    best = min(range(len(rows)), key=lambda n: float(rows[n]["val_loss"]))
    assert len(rows) < 40 and best == len(rows) - 2  # one more epoch was waited for
    assert found["best_epoch"] == best + 1 and found["epochs"] == len(rows)
    assert found["validation_nats_per_image"] == float(rows[best]["val_loss"])
    nats = -mp.load("run/model.safetensors").log_prob(DS.validation.images).mean()
    assert nats == pytest.approx(float(rows[best]["val_loss"]), rel=1e-9)
    assert f"best    epoch {best + 1} of {len(rows)}" in capsys.readouterr().out


# --- schedule -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "last"), [("constant", 1.0), ("cosine", 0.0), ("exponential", 0.01)])
def test_a_schedule_goes_over_all_steps(here, name, last):
    """From the rate that was asked for, at the first step, to its end at the last; the config repeats it."""
    assert (
        main(["train", *SMALL[2:], "--epochs", "3", "--learning-rate", "0.004", "--schedule", name, "--out", "run"])
        == 0
    )
    steps = 3 * -(-len(DS.train.images) // 64)
    rates = [float(row["learning_rate"]) for row in table("run/log.csv")]
    of_step = {
        "constant": lambda step: 1.0,
        "cosine": lambda step: (1 + np.cos(np.pi * step / steps)) / 2,
        "exponential": lambda step: 0.01 ** (step / steps),
    }[name]
    np.testing.assert_allclose(rates, [0.004 * of_step(steps // 3 * epoch - 1) for epoch in (1, 2, 3)], rtol=1e-9)
    assert of_step(steps) == pytest.approx(last)
    assert main(["train", "--config", "run/config.toml", "--out", "again"]) == 0
    assert (here / "run/model.safetensors").read_bytes() == (here / "again/model.safetensors").read_bytes()


# --- from ---------------------------------------------------------------------------------------------------------


def test_from_is_that_model_and_goes_on_learning(here, runs, capsys):
    """No option says what it is; with a rate of next to nothing the weights stay as they were."""
    source = runs / "good" / "model.safetensors"
    assert main(["train", "--from", str(source), "--epochs", "1", "--learning-rate", "1e-30", "--out", "same"]) == 0
    assert mp.load("same/model.safetensors").config == mp.load(source).config
    for name, weight in mp.load("same/model.safetensors").state_dict().items():
        np.testing.assert_array_equal(weight, mp.load(source).state_dict()[name])
    assert figures(runs / "more")["validation_bits_per_dim"] < figures(runs / "good")["validation_bits_per_dim"]
    assert "does not fall" not in capsys.readouterr().err


def test_from_repeats_to_the_bit_and_says_when_the_file_is_another(here, runs, capsys):
    copy = here / "copy.safetensors"
    copy.write_bytes((runs / "good" / "model.safetensors").read_bytes())
    assert main(["train", "--from", "copy.safetensors", "--epochs", "1", "--out", "first"]) == 0
    again = ["train", "--config", "first/config.toml", "--out"]
    assert main([*again, "second"]) == 0
    assert (here / "first/model.safetensors").read_bytes() == (here / "second/model.safetensors").read_bytes()
    assert "from_sha256" not in capsys.readouterr().err
    copy.write_bytes((runs / "bad" / "model.safetensors").read_bytes())
    assert main([*again, "third"]) == 0
    assert "note: from_sha256: was " in capsys.readouterr().err
    copy.unlink()  # a run that goes on has its weights in its own folder
    assert main(["train", "--resume", "first", "--epochs", "2"]) == 0


def test_from_takes_a_model_that_a_first_batch_has_met(here):
    """Weight normalisation is fitted to a first batch once, not again."""
    model = mp.models.PixelCNNpp(DS.image_shape, DS.levels, filters=3, resnets=1, hierarchies=1, num_classes=10)
    model.initialize(DS.train.images[:64], DS.train.labels[:64])
    model.save("pp")
    assert main(["train", "--from", "pp", "--epochs", "1", "--learning-rate", "1e-30", "--out", "run"]) == 0
    for name, weight in mp.load("run/model.safetensors").state_dict().items():
        np.testing.assert_array_equal(weight, model.state_dict()[name])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--hidden", "5"], "whose hidden is 4, wanted 5, as in the model to train"),
        (["--levels", "4"], "whose levels is 17, wanted 4"),
        (["--conditional"], "whose num_classes is None, wanted 10"),
        (["--model", "gated"], "gated does not take it"),
        (["--data", "emoji"], "whose weights do not fit the model to train: state: got stem.weight of shape"),
    ],
)
def test_from_what_does_not_fit(here, runs, capsys, options, text):
    assert main(["train", "--from", str(runs / "good" / "model.safetensors"), *options]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count("\n") == 1 and list(here.iterdir()) == []


def test_from_other_models(here, capsys):
    mp.models.PixelCNN((8, 8, 1), 17, hidden=2, blocks=1, condition_shape=(3,)).save("told")
    mp.models.EmbeddingNet((8, 8, 1), 17, filters=2).save("net")
    for name, text in {"told": "conditioned on arrays of (3,)", "net": "got an embedding network"}.items():
        assert main(["train", "--from", name]) == 2
        assert text in capsys.readouterr().err


# --- why does it not learn ----------------------------------------------------------------------------------------


def test_the_loss_at_the_start_beside_log_q(here, capsys):
    assert main(["train", *SMALL, "--out", "run"]) == 0
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("start"))
    some = DS.train.images[np.linspace(0, len(DS.train.images) - 1, 64).astype(int)]
    nats = -mp.models.PixelCNN(DS.image_shape, DS.levels, hidden=4, blocks=1).log_prob(some).mean()
    assert said == (
        f"start   {nats / 64:.3f} nats per sub-pixel, {nats:.2f} per image; with equal probabilities it is "
        "log 17 = 2.833, 181.33 per image"
    )


@pytest.mark.parametrize(("rate", "warned"), [("1e-7", True), ("0.001", False), ("0.01", False), ("0.3", False)])
def test_a_loss_that_does_not_fall_is_noted(here, capsys, rate, warned):
    """Five epochs are a hundred steps and some; the weights are those of a training that nobody watches."""
    options = ["--epochs", "5", "--learning-rate", rate, "--out", "run"]
    assert main(["train", *SMALL[2:], *options]) == 0
    error = capsys.readouterr().err
    assert ("note: the loss does not fall: " in error and f"learning rate is {float(rate):.3g}" in error) == warned
    unwatched = mp.models.PixelCNN(DS.image_shape, DS.levels, hidden=4, blocks=1)
    mp.fit(unwatched, DS.train.images, epochs=5, optimizer=mp.optim.Adam(float(rate)), progress=False)
    for name, weight in mp.load("run/model.safetensors").state_dict().items():
        np.testing.assert_array_equal(weight, unwatched.state_dict()[name])
    assert all(float(row["gradient_norm"]) > 0 for row in table("run/log.csv"))


# --- compare ------------------------------------------------------------------------------------------------------


def test_compare(here, runs, capsys):
    assert main(["compare", *(str(runs / name) for name in ("bad", "good", "more", "bad"))]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split()[0].rpartition("/")[2] for line in lines[1:4]] == [
        "more",
        "good",
        "bad",
    ]  # the best first, once
    for line, name, epochs in zip(lines[1:4], ("more", "good", "bad"), (1, 2, 2), strict=True):
        found = figures(runs / name)
        assert line.split()[1:5] == [f"{found['validation_bits_per_dim']:.4f}", str(epochs), str(epochs), "921"]
    assert "learning_rate 1e-06" in lines[3] and "schedule cosine" in lines[1] and "hidden" not in said.out
    assert lines[4] == "picture compare.png" and not said.err
    with Image.open("compare.png") as picture:
        assert picture.size[0] > 400


def test_compare_runs_of_other_data(here, runs, capsys):
    assert main(["train", *SMALL, "--levels", "4", "--out", "four"]) == 0
    capsys.readouterr()
    assert main(["compare", str(runs / "good"), "four", "--out", "two.png"]) == 0
    assert "note: these runs differ in levels, so their bits/dim are not of the same images" in capsys.readouterr().err


def test_compare_a_run_that_has_only_begun(here, capsys):
    (here / "new").mkdir()
    (here / "new" / "config.toml").write_text('model = "gated"\n')
    assert main(["compare", "new"]) == 0
    assert "new             -      -   0" in capsys.readouterr().out


# --- evaluate -----------------------------------------------------------------------------------------------------


def test_a_line_a_picture(here, runs, capsys):
    """Of the test images by default: names, true labels, nats to the last digit, the most surprising first."""
    model = mp.load(runs / "good" / "model.safetensors")
    assert main(["evaluate", str(runs / "good" / "model.safetensors"), "--csv", "out.csv"]) == 0
    rows, nats = table("out.csv"), -model.log_prob(DS.test.images)
    assert [*rows[0]] == ["file", "label", "nats", "bits_per_dim", "rank"] and len(rows) == len(nats)
    order = np.argsort(-nats, kind="stable")
    assert [row["file"] for row in rows] == [f"digits/test/{n}" for n in order]
    assert [float(row["nats"]) for row in rows] == nats[order].tolist()
    assert [row["label"] for row in rows] == [DS.classes[label] for label in DS.test.labels[order]]
    assert [float(row["bits_per_dim"]) for row in rows] == [model.bits(n) for n in nats[order]]
    assert [int(row["rank"]) for row in rows] == list(range(1, len(nats) + 1))
    assert f"table   out.csv, most surprising: digits/test/{order[0]}, " in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["blank", "noise"])
def test_a_planted_odd_picture_comes_first_by_score(here, runs, capsys, kind):
    """Among one's own pictures, whether it is blank or busy; a name with a comma and a quote is one name."""
    (here / "mine").mkdir()
    for n, image in enumerate(DS.validation.images[:40]):
        Image.fromarray((image[..., 0] * 15).astype(np.uint8)).save(f"mine/{n:02}.png")
    odd = np.zeros((8, 8)) if kind == "blank" else np.random.default_rng(0).integers(256, size=(8, 8))
    Image.fromarray(odd.astype(np.uint8)).save('mine/an "odd", one.png')
    command = ["evaluate", str(runs / "good" / "model.safetensors"), "--images", "mine", "--csv", "out.csv"]
    assert main([*command, "--score"]) == 0
    rows = table("out.csv")
    assert rows[0]["file"] == 'mine/an "odd", one.png' and 'odd     mine/an "odd", one.png, ' in capsys.readouterr().out
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True) and rows[0]["label"] == ""
    assert main(command) == 0
    rows = table("out.csv")
    assert "score" not in rows[0] and (rows[-1 if kind == "blank" else 0]["file"] == 'mine/an "odd", one.png')


def test_a_table_that_finds_no_room_leaves_the_old_one(here, runs, capsys, monkeypatch):
    (here / "out.csv").write_text("precious")
    monkeypatch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert main(["evaluate", str(runs / "good" / "model.safetensors"), "--csv", "out.csv"]) == 2
    assert "No space left" in capsys.readouterr().err and (here / "out.csv").read_text() == "precious"
