"""The command line as a new user would run it, mistakes included."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import minipixel as mp
from minipixel.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIPIXEL_DATA", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model file for the digits."""
    path = tmp_path_factory.mktemp("trained") / "model.safetensors"
    ds = mp.datasets.load("digits")
    mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=2, blocks=1).save(path)
    return path


def one_line(capsys):
    """The error, which is one line and no traceback."""
    error = capsys.readouterr().err
    assert error.startswith("minipixel: error: ") and error.count("\n") == 1, error
    return error


def test_demo(here, capsys):
    assert main(["demo", "--epochs", "1"]) == 0
    said = capsys.readouterr()
    folder = here / "minipixel-demo"
    files = {"config.toml", "log.csv", "samples.png", "loss.png", "model.safetensors", "figures.json"}
    assert {path.name for path in folder.iterdir()} == {*files, "checkpoints", "samples", "drawn-by-mnist.png"}
    assert said.out.index("drawn-by-mnist.png") < said.out.index("1295 train")  # before all else
    assert "minipixel train --resume minipixel-demo --epochs" in said.out.splitlines()[-1]
    assert "minipixel-demo" in said.out and all(name in said.out for name in files)
    assert "1295 train + 143 validation + 359 test images" in said.out and "epoch 1/1" in said.err
    figures = json.loads((folder / "figures.json").read_text())
    model = mp.load(folder / "model.safetensors")
    ds = mp.datasets.load("digits")
    assert figures["parameters"] == model.num_parameters and figures["seconds"] > 0
    for split in ("validation", "test"):  # the demo evaluates, too, once training is over
        bits = model.bits_per_dim(getattr(ds, split).images)
        assert figures[f"{split}_bits_per_dim"] == pytest.approx(bits, rel=1e-6) and f"{split} " in said.out
    assert figures["validation_bits_per_dim"] < figures["histogram_bits_per_dim"]
    assert main(["demo", "--epochs", "1"]) == 0
    assert (here / "minipixel-demo-2" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


SMALL = ["--epochs", "1", "--hidden", "4", "--blocks", "1"]


@pytest.mark.parametrize("options", [["--levels", "2"], ["--levels", "2", "--binarize", "dynamic"], ["--levels", "4"]])
def test_train_and_evaluate(here, capsys, options):
    assert main(["train", *SMALL, *options, "--out", "run"]) == 0
    figures = json.loads((here / "run" / "figures.json").read_text())
    levels = int(options[1])
    assert figures["levels"] == levels and mp.load("run/model.safetensors").levels == levels
    capsys.readouterr()
    assert main(["evaluate", "run/model.safetensors", "--split", "validation", *options[2:]]) == 0
    nats, bits = figures["validation_nats_per_image"], figures["validation_bits_per_dim"]
    said = capsys.readouterr().out
    assert f"{nats:.2f} nats" in said and f"{bits:.4f} bits/dim" in said
    assert not any("test" in name for name in figures)
    assert main(["evaluate", "run/model.safetensors", "--split", "train"]) == 0


def test_a_conditional_model(here, capsys):
    assert main(["train", *SMALL, "--conditional", "--out", "run"]) == 0
    model = mp.load("run/model.safetensors")
    assert model.conditions.num_classes == 10
    assert main(["evaluate", "run/model.safetensors"]) == 0
    assert main(["sample", "run/model.safetensors", "-n", "12", "--out", "all.npy"]) == 0
    np.testing.assert_array_equal(np.load("all.npy"), model.sample(12, np.arange(12) % 10, rng=0))
    assert main(["sample", "run/model.safetensors", "-n", "2", "--label", "7", "--out", "seven.npy"]) == 0
    np.testing.assert_array_equal(np.load("seven.npy"), model.sample(2, np.array([7, 7]), rng=0))
    capsys.readouterr()
    assert main(["sample", "run/model.safetensors", "--label", "10"]) == 2
    assert "--label: got '10', wanted a number in 0..9" in one_line(capsys)


def test_train_with_every_option(here):
    """Another optimizer, clipping, averages, dropout, PReLU: the model knows, and the figures are of the average."""
    options = ["--optimizer", "nadam", "--clip-norm", "1", "--ema", "0.9", "--dropout", "0.2", "--activation", "prelu"]
    assert main(["train", *SMALL, *options, "--out", "run"]) == 0
    figures, model = json.loads((here / "run" / "figures.json").read_text()), mp.load("run/model.safetensors")
    assert model.config["dropout"] == 0.2 and model.config["activation"] == "prelu"
    ds = mp.datasets.load("digits")
    assert figures["validation_bits_per_dim"] == pytest.approx(model.bits_per_dim(ds.validation.images), rel=1e-6)
    by_hand = mp.models.PixelCNN(ds.image_shape, ds.levels, hidden=4, blocks=1, dropout=0.2, activation="prelu")
    settings = {"optimizer": mp.optim.Nadam(clip_norm=1), "callbacks": [mp.callbacks.EMA(0.9)], "progress": False}
    mp.fit(by_hand, ds.train.images, epochs=1, **settings)
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], weight, err_msg=name)


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("row-lstm", ["--hidden", "4", "--layers", "1", "--skip", "true"]),
        ("diagonal-bilstm", ["--hidden", "4", "--layers", "1", "--phantom-column", "false"]),
        (
            "gated",
            ["--filters", "4", "--layers", "2", "--dilations", "1,2", "--head", "normal_mixture", "--mixtures", "3"],
        ),
    ],
)
def test_every_model_with_its_own_options(here, model, options):
    assert main(["train", "--model", model, "--epochs", "1", "--levels", "4", *options, "--out", "run"]) == 0
    trained = mp.load("run/model.safetensors")
    assert trained.name == model
    for key, value in {"skip": True, "phantom_column": False, "dilations": [1, 2], "mixtures": 3}.items():
        if f"--{key.replace('_', '-')}" in options:
            assert trained.config[key] == value


def test_default_folders_never_overwrite(here):
    for _ in range(2):
        assert main(["train", *SMALL]) == 0
    assert sorted(path.name for path in (here / "runs").iterdir()) == ["digits-pixelcnn", "digits-pixelcnn-2"]


def test_train_on_idx_files(here, capsys, monkeypatch):
    """A folder of IDX files takes the same way as the real MNIST; these are too small to be it, and are refused."""
    (here / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08\x03" + bytes(12)))
    assert main(["train", *SMALL, "--data", "mnist", "--root", str(here)]) == 2
    assert "train-images-idx3-ubyte" in one_line(capsys)
    assert not (here / "runs").exists()


def test_sample(here, capsys, trained):
    assert main(["sample", str(trained), "-n", "7", "--out", "some.npy", "--seed", "3"]) == 0
    images = np.load("some.npy", allow_pickle=False)
    np.testing.assert_array_equal(images, mp.load(trained).sample(7, rng=3))
    assert main(["sample", str(trained), "-n", "3", "--temperature", "0.5"]) == 0
    assert (here / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert "3 images in samples.png" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["naive", "cached", "wavefront"])
def test_every_method_draws_the_same(here, capsys, trained, method):
    assert main(["sample", str(trained), "-n", "5", "--method", method, "--out", "some.npy"]) == 0
    np.testing.assert_array_equal(np.load("some.npy"), mp.load(trained).sample(5, rng=0))
    assert not capsys.readouterr().err


def test_the_likeliest_image(here, trained):
    """Temperature 0 leaves nothing to chance: the same for all, drawn or completed, by any method."""
    assert main(["sample", str(trained), "-n", "3", "--temperature", "0", "--out", "some.npy", "--seed", "3"]) == 0
    images = np.load("some.npy")
    assert (images == images[0]).all()
    np.testing.assert_array_equal(images, mp.load(trained).sample(3, rng=0, temperature=0))
    command = ["complete", str(trained), "-n", "2", "--rows", "3", "--times", "2", "--temperature", "0"]
    completed = []
    for method in ("auto", "naive"):
        assert main([*command, "--method", method, "--out", "done.npy", "--seed", "5"]) == 0
        completed.append(np.load("done.npy"))
        np.testing.assert_array_equal(completed[-1][0], completed[-1][1])
    np.testing.assert_array_equal(*completed)


def test_no_slanted_lines_is_a_note(here, capsys):
    """The Diagonal BiLSTM with its phantom column: drawn all the same, and one line says how."""
    mp.models.DiagonalBiLSTM((8, 8, 1), 17, hidden=2, layers=1).save("lstm")
    assert main(["sample", "lstm", "-n", "2", "--method", "wavefront"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("minipixel: note: wavefront: no slope below 8") and said.err.count("\n") == 1
    assert "2 images in samples.png" in said.out


def test_complete_says_what_steers(capsys):
    assert main(["complete", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Only earlier pixels, in the model's order, influence a drawn one" in said


def test_complete(here, capsys, trained):
    assert (
        main(["complete", str(trained), "-n", "3", "--rows", "5", "--times", "2", "--seed", "1", "--out", "c.npy"]) == 0
    )
    assert "3 images, 5 of 8 rows kept, 2 completions of each in c.npy" in capsys.readouterr().out
    completed, real = np.load("c.npy", allow_pickle=False), mp.datasets.load("digits").validation.images[:3]
    assert completed.shape == (2, 3, 8, 8, 1)
    for each in completed:
        np.testing.assert_array_equal(each[:, :5], real[:, :5])
    assert (completed[0] != completed[1]).any() and (completed[0] != real).any()
    assert main(["complete", str(trained), "-n", "2", "--times", "1"]) == 0
    assert (here / "completed.png").read_bytes().startswith(b"\x89PNG")


def test_info(capsys, trained):
    assert main(["info"]) == 0
    assert f"minipixel {mp.__version__}" in capsys.readouterr().out
    assert main(["info", str(trained)]) == 0
    said = capsys.readouterr().out
    assert "8x8x1 images of 17 levels" in said and "stem" in said


def test_the_folder_of_a_run_is_its_model(here, trained, capsys):
    assert main(["sample", str(trained.parent), "-n", "2", "--out", "two.png"]) == 0
    (here / "empty").mkdir()
    for command in ("sample", "evaluate", "complete"):
        capsys.readouterr()
        assert main([command, "empty"]) == 2
        assert "empty: got a folder, wanted a file, or a run's folder with model.safetensors" in capsys.readouterr().err


def test_an_embedding_network_is_no_model(here, capsys):
    mp.models.EmbeddingNet((8, 8, 1), 17, filters=2).save("net")
    assert main(["info", "net"]) == 0
    assert "EmbeddingNet: 8x8x1 images of 17 levels" in capsys.readouterr().out
    for command in ("sample", "complete", "evaluate"):
        assert main([command, "net"]) == 2
        assert "net: got an embedding network, which draws nothing" in capsys.readouterr().err


def picture(path, seed=0, shape=(8, 8)):
    """A PNG file of noise, and its numbers."""
    values = np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)
    Image.fromarray(values).save(path)
    return values


def test_complete_a_hole_with_particles(here, trained, capsys):
    command = ["complete", str(trained), "-n", "2", "--hole", "2", "3", "4", "2", "--times", "2", "--out", "c.npy"]
    assert main([*command, "--particles", "3"]) == 0
    assert "2 images, all but 4x2 pixels kept, 2 completions" in capsys.readouterr().out
    known = np.ones((8, 8), bool)
    known[2:6, 3:5] = False
    model, tiled = mp.load(trained), np.tile(reduced_digits(trained, 2, "validation"), (2, 1, 1, 1))
    wanted = model.complete(tiled, known, rng=0, particles=3)
    np.testing.assert_array_equal(np.load("c.npy").reshape(wanted.shape), wanted)
    assert (wanted != model.complete(tiled, known, rng=0)).any()


def test_evaluate_says_accuracy_and_writes_probabilities(here, trained, capsys):
    assert main(["evaluate", str(trained), "--accuracy", "--probabilities", "p.npy"]) == 0
    model, images = mp.load(trained), reduced_digits(trained, None)
    assert f"{model.accuracy(images):.2%} of sub-pixels are the likeliest" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load("p.npy"), model.probabilities(images))


def reduced_digits(trained, n, split="test"):
    """Digits of a split with as many levels as the model has."""
    ds, levels = mp.datasets.load("digits"), mp.load(trained).levels
    images = getattr(ds, split).images[:n]
    return images if levels == ds.levels else mp.datasets.quantize(images, ds.levels, levels)


def test_complete_and_evaluate_pictures_of_ones_own(here, trained, capsys):
    """A file, or a folder: levels are reduced as for a data set, and nothing but the lower rows is drawn."""
    (here / "mine").mkdir()
    values = [picture(here / "mine" / f"{name}.png", name) for name in range(3)]
    (here / "mine" / "notes.txt").write_text("not a picture")
    images = np.stack(values)[..., None]
    assert main(["complete", str(trained), "mine", "--times", "2", "--rows", "3", "--out", "done.npy"]) == 0
    assert "3 images, 3 of 8 rows kept, 2 completions of each in done.npy" in capsys.readouterr().out
    done, reduced = np.load("done.npy"), mp.datasets.quantize(images, 256, 17)
    assert done.shape == (2, 3, 8, 8, 1) and (done[:, :, :3] == reduced[:, :3]).all()
    model = mp.load(trained)
    known = np.indices((8, 8))[0] < 3
    np.testing.assert_array_equal(
        done.reshape(6, 8, 8, 1), model.complete(np.tile(reduced, (2, 1, 1, 1)), known, rng=0)
    )
    assert main(["complete", str(trained), "mine/2.png", "mine/0.png", "-n", "1", "--out", "one.npy"]) == 0
    assert (np.load("one.npy")[:, 0, :4] == reduced[2, :4]).all()
    capsys.readouterr()
    assert main(["evaluate", str(trained), "--images", "mine"]) == 0
    said = capsys.readouterr().out
    assert "3 pictures of 8x8x1, 17 levels" in said and f"{-model.log_prob(reduced).mean():.2f} nats per image" in said
    assert main(["evaluate", str(trained), "--images", "mine/1.png"]) == 0
    assert f"{-model.log_prob(reduced[1:2]).mean():.2f} nats per image, " in capsys.readouterr().out  # of one, no error
    assert main(["complete", str(trained), "mine/1.png"]) == 0 and (here / "completed.png").stat().st_size > 1000


def test_pictures_of_another_number_of_channels(here, trained, capsys):
    """Grey in three channels is grey, and grey serves for colours; colours are not thrown away."""
    grey = picture(here / "grey.png")
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save("three.png")
    for name in ("grey", "three"):
        assert main(["complete", str(trained), f"{name}.png", "--out", f"{name}.npy"]) == 0
    np.testing.assert_array_equal(np.load("grey.npy"), np.load("three.npy"))
    mp.models.PixelCNN((8, 8, 3), 256, hidden=3, blocks=1, head="logistic_mixture").save("colour")
    assert main(["complete", "colour", "grey.png", "--rows", "8", "--times", "1", "--out", "colour.npy"]) == 0
    assert (np.load("colour.npy")[0, 0] == grey[..., None]).all()


def test_pictures_for_a_model_that_is_told_a_class(here, capsys):
    picture("my.png")
    model = mp.models.PixelCNN((8, 8, 1), 256, hidden=2, blocks=1, num_classes=3)
    model.save("told")
    assert main(["evaluate", "told", "--images", "my.png", "--label", "2"]) == 0
    nats = -model.log_prob(mp.datasets.read_png("my.png")[None], [2]).mean()
    assert f"{nats:.2f} nats per image" in capsys.readouterr().out
    assert main(["complete", "told", "my.png", "--label", "2"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "told", "--images", "my.png"]) == 2
    assert "--label: got none, wanted the class of the pictures" in one_line(capsys)
    assert main(["complete", "told", "my.png", "--label", "3"]) == 2
    assert "--label: got '3', wanted a number in 0..2" in one_line(capsys)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.png", "none.png: No such file or directory"),
        ("empty", "empty: got a folder without pictures"),
        ("large.png", "large.png: got a picture of 9x8 pixels (height x width), wanted 8x8, as the model draws"),
        ("colours.png", "colours.png: got a picture with colours, wanted shades of grey"),
        ("page.png", "page.png: starts with 3c 68 74 6d 6c 3e, expected a PNG, JPEG"),
        ("cut.png", "cut.png: chunk b'IDAT' declares"),
    ],
)
def test_pictures_that_are_refused(here, trained, capsys, name, text):
    """Exit status 2 and one line that names the file."""
    (here / "empty").mkdir()
    for file, shape in {
        "good.png": (8, 8),
        "large.png": (9, 8),
        "colours.png": (8, 8, 3),
    }.items():
        picture(file, shape=shape)
    (here / "page.png").write_bytes(b"<html>")
    (here / "cut.png").write_bytes((here / "good.png").read_bytes()[:60])
    for command in (["complete", str(trained)], ["evaluate", str(trained), "--images"]):
        command = [*command, "good.png", name]
        assert main(command) == 2
        assert text in one_line(capsys)
    assert not (here / "completed.png").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["evaluate", "TRAINED", "--label", "1"], "--label: got one for a data set"),
        (["complete", "TRAINED", "--label", "1"], "--label: got one for a data set"),
        (["evaluate", "TRAINED", "--data", "cifar10", "--root", "."], "cifar10: no cifar-10-binary.tar.gz in"),
        (["info", "nothing.safetensors"], "nothing.safetensors: No such file or directory"),
        (["info", "."], ".: got a folder without config.toml, wanted one that minipixel train left"),
        (["info", "junk"], "junk: got 4 bytes that are no safetensors file, expected a model"),
        (["sample", "TRAINED", "-n", "0"], "n: got 0, wanted"),
        (["sample", "TRAINED", "--temperature", "-1"], "temperature: got -1.0"),
        (["complete", "TRAINED", "--temperature", "nan"], "temperature: got nan"),
        (["complete", "TRAINED", "--particles", "0"], "particles: got 0, wanted a whole number in 1..1024"),
        (["complete", "TRAINED", "--hole", "8", "0", "1", "1"], "--hole ROW: got 8, wanted a whole number in 0..7"),
        (["complete", "TRAINED", "--hole", "6", "0", "3", "1"], "--hole HEIGHT: got 3, wanted a whole number in 1..2"),
        (["complete", "TRAINED", "--hole", "6", "0", "1", "0"], "--hole WIDTH: got 0, wanted a whole number in 1..8"),
        (["complete", "TRAINED", "--hole", "6", "0", "1", "1", "--rows", "2"], "argument --rows: not allowed with"),
        (
            ["evaluate", "TRAINED", "--probabilities", "p.txt"],
            "--probabilities: got p.txt, wanted a name",
        ),
        (["complete", "TRAINED", "--rows", "9"], "--rows: got 9, wanted a whole number in 0..8"),
        (["complete", "TRAINED", "-n", "0"], "-n: got 0, wanted a whole number in 1..143"),
        (["complete", "TRAINED", "--times", "0"], "--times: got 0"),
        (
            ["complete", "TRAINED", "--data", "emoji"],
            "--data: got emoji, whose images are 16x16x3, wanted images of 8x8x1",
        ),
        (["complete", "TRAINED", "--out", "picture.jpg"], "--out: got picture.jpg, wanted a name ending in .png"),
        (["sample", "TRAINED", "--out", "picture.jpg"], "--out: got picture.jpg, wanted a name ending in .png"),
        (["sample", "TRAINED", "--out", "no/folder.png"], "no/folder.png: No such file or directory"),
        (["evaluate", "TRAINED", "--data", "emoji"], "--data: got emoji, whose images are 16x16x3"),
        (["train", "--levels", "40"], "levels"),
        (["train", "--levels", "1"], "levels"),
        (["train", "--levels", "0"], "levels"),
        (["train", "--epochs", "0"], "epochs: got 0"),
        (["train", "--hidden", "0"], "hidden: got 0"),
        (["train", "--hidden", "wide"], "hidden: got 'wide'"),
        (["train", "--model", "gated", "--blocks", "3"], "--blocks: gated does not take it, wanted one of --filters, "),
        (["train", "--head", "logistic_mixture", "--mixtures", "0"], "mixtures: got 0"),
        (["sample", "TRAINED", "--label", "3"], "--label: got '3' for a model without classes"),
        (["train", "--learning-rate", "0"], "learning_rate: got 0.0"),
        (["train", "--clip-norm", "0"], "clip_norm: got 0.0"),
        (["train", "--ema", "1"], "decay: got 1.0"),
        (["train", "--dropout", "1"], "dropout: got 1, wanted"),
        (["train", "--levels", "3", "--head", "bernoulli"], "'bernoulli' for 3 levels"),
        (["train", "--workers", "0"], "workers: got 0"),
        (["train", "--out", "junk/folder"], "junk"),
        (["train", "--out", "taken"], "taken: holds a model already"),
        (["train", "--data", "mnist", "--root", "nowhere"], "nowhere"),
        (["train", "--data", "digits", "--root", "my-pictures"], "root: got 'my-pictures' for digits, wanted none"),
        (["evaluate", "TRAINED", "--root", "my-pictures"], "root: got 'my-pictures' for digits, wanted none"),
    ],
)
def test_mistakes(here, capsys, trained, command, text):
    """Exit status 2, one line that says what is wrong, and nothing left behind."""
    (here / "junk").write_bytes(b"junk")
    (here / "taken").mkdir()
    (here / "taken" / "model.safetensors").write_bytes(b"precious")
    command = [str(trained) if word == "TRAINED" else word for word in command]
    assert main(command) == 2
    assert text in one_line(capsys)
    assert (here / "taken" / "model.safetensors").read_bytes() == b"precious"
    assert sorted(path.name for path in here.iterdir()) == ["junk", "taken"]


@pytest.mark.parametrize("command", [["train", "--model", "transformer"], [], ["fly"]])
def test_unknown_words(capsys, command):
    assert main(command) == 2
    assert "--help" in one_line(capsys)


def test_ctrl_c_saves_the_model(tmp_path):
    """SIGINT to a real process in the middle of training: exit status 130, and the model so far can be loaded."""
    command = [sys.executable, "-m", "minipixel", "train", "--epochs", "100000", "--hidden", "4", "--blocks", "1"]
    process = subprocess.Popen([*command, "--out", "run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("epoch 1/100000")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "the model so far is in run" in error and "Traceback" not in error
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert figures["interrupted"] and figures["epochs"] >= 1
    model = mp.load(tmp_path / "run" / "model.safetensors")
    ds = mp.datasets.load("digits")
    assert model.bits_per_dim(ds.test.images) < 4  # log2 17 = 4.09 is to know nothing


@pytest.mark.skipif("MINIPIXEL_DATA" not in os.environ, reason="MINIPIXEL_DATA does not say where the real MNIST is")
@pytest.mark.slow
def test_train_on_the_real_mnist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = os.environ["MINIPIXEL_DATA"]
    assert main(["train", "--data", "mnist", "--root", root, "--levels", "2", *SMALL, "--out", "run"]) == 0
    figures = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert 70 < figures["validation_nats_per_image"] < 130


def test_check(here, trained, capsys):
    assert main(["check", str(trained)]) == 0
    said = capsys.readouterr().out
    assert "PixelCNN: causal" in said and "64 outputs" in said and (here / "causality.png").stat().st_size > 1000
    assert (
        main(
            ["check", "--model", "gated", "--shape", "4", "5", "3", "--levels", "4", "--layers", "1", "--out", "a.png"]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "4x5x3 images of 4 levels" in said and "blind to" in said and (here / "a.png").exists()


def test_check_of_a_leaky_model(here, monkeypatch, capsys):
    class Leaky(mp.models.PixelCNN):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            stem = self.stem
            self.stem = mp.nn.Conv2d(stem.groups_in, stem.groups_out, stem.kernel, "B", self.init)

    monkeypatch.setitem(mp.models.MODELS, "pixelcnn", Leaky)
    assert main(["check", "--model", "pixelcnn", "--shape", "4", "5", "1", "--hidden", "4", "--blocks", "1"]) == 1
    said = capsys.readouterr().out
    assert "Leaky: 20 leaks, the first: (0, 0) depends on (0, 0)" in said
    assert "the future comes in at stem (conv2d)" in said and "the usual cause: mask B" in said
    assert (here / "causality.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "check: got no model, wanted a model.safetensors, or --model with --shape H W C"),
        (["--model", "gated"], "check: got no model"),
        (["model.safetensors", "--hidden", "3"], "--hidden: got one beside model.safetensors, wanted one of the two"),
        (["model.safetensors", "--levels", "3"], "--levels: got one beside model.safetensors"),
        (["model.safetensors"], "model.safetensors: No such file"),
        (["--model", "gated", "--shape", "4", "4", "65"], "image_shape: got (4, 4, 65), wanted (H, W, C)"),
        (["--model", "gated", "--shape", "4", "4", "1", "--blocks", "2"], "--blocks: gated does not take it"),
        (["--model", "gated", "--shape", "4", "4", "1", "--levels", "0"], "levels: got 0"),
        (
            ["--model", "gated", "--shape", "4", "4", "1", "--out", "a.npy"],
            "--out: got a.npy, wanted a name ending in .png",
        ),
    ],
)
def test_what_check_refuses(here, capsys, arguments, said):
    assert main(["check", *arguments]) == 2
    assert said in one_line(capsys) and not (here / "causality.png").exists()
