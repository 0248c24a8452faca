"""A folder of one's own on the command line: trained by one command, then drawn from, scored and completed."""

import csv
import json

import numpy as np
import pytest
from folder_of_pictures import ODD, make_folder
from PIL import Image

import minipixel as mp
from minipixel.cli import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of 300 pictures, and that of a model which one command trains on it."""
    place = tmp_path_factory.mktemp("own")
    folder, out = make_folder(place / "pictures"), place / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        command = ["train", "--data", str(folder), "--size", "8", "--background", "white", "--levels", "16"]
        command += ["--conditional", "--hidden", "8", "--blocks", "2", "--epochs", "3", "--batch-size", "16"]
        assert main([*command, "--learning-rate", "0.01", "--augment", "flip", "--out", str(out)]) == 0
        yield folder, out


def test_two_broken_ones_are_named_and_left_out(run, capsys):
    folder, out = run
    model = mp.load(out / "model.safetensors")
    assert model.image_shape == (8, 8, 3) and model.levels == 16
    assert model.pictures["classes"] == ["sea", "sky"] and model.pictures["size"] == [8, 8]
    with pytest.warns(UserWarning) as said:
        ds = mp.datasets.from_folder(folder, 8, levels=16, background="white")
    texts = [str(warning.message) for warning in said]
    assert sum("broken" in text for text in texts) == 2 and any("2 of 300 pictures are left out" in t for t in texts)
    assert len(ds.everything().images) == 298
    assert json.loads((out / "figures.json").read_text())["epochs"] == 3


@pytest.mark.parametrize("score", [[], ["--score"]], ids=["nats", "score"])
def test_the_odd_one_is_among_the_first_three(run, score, tmp_path):
    folder, out = run
    table = tmp_path / "out.csv"
    command = ["evaluate", str(out / "model.safetensors"), "--data", str(folder), "--split", "all"]
    assert main([*command, *score, "--csv", str(table)]) == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 298 and {row["label"] for row in rows} == {"sea", "sky"}
    assert any(row["file"].endswith(ODD) for row in rows[:3]), rows[:3]


def test_a_folder_is_evaluated_by_its_test_pictures(run, capsys):
    folder, out = run
    assert main(["evaluate", str(out / "model.safetensors"), "--data", str(folder)]) == 0
    assert "test " in capsys.readouterr().out


def test_a_class_is_drawn_by_its_name(run, tmp_path, capsys):
    _, out = run
    file = str(out / "model.safetensors")
    for label in ("sea", "0"):
        assert main(["sample", file, "-n", "3", "--label", label, "--out", str(tmp_path / f"{label}.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "sea.npy"), np.load(tmp_path / "0.npy"))
    for label, hint in (("see", "did you mean 'sea'"), ("2", "0..1")):
        assert main(["sample", file, "--label", label, "--out", str(tmp_path / "x.png")]) == 2
        assert hint in capsys.readouterr().err


def test_pictures_are_completed_whatever_their_size(run, tmp_path):
    folder, out = run
    file, found = str(out / "model.safetensors"), tmp_path / "done.npy"
    picture = str(next(folder.rglob("*.tif")))
    command = ["complete", file, picture, "--label", "sky", "--rows", "4", "--times", "2", "--out", str(found)]
    assert main(command) == 0
    assert np.load(found).shape == (2, 1, 8, 8, 3)
    assert main(["complete", file, "--data", str(folder), "-n", "2", "--times", "1", "--out", str(found)]) == 0
    assert main(["evaluate", file, "--images", str(folder / "sea" / "002.gif"), "--label", "sea"]) == 0


@pytest.mark.usefixtures("own_cache")
def test_classes_that_the_model_does_not_know(run, tmp_path, capsys):
    _, out = run
    (tmp_path / "set" / "land").mkdir(parents=True)
    Image.new("RGB", (9, 9), "green").save(tmp_path / "set" / "land" / "a.png")
    command = ["evaluate", str(out / "model.safetensors"), "--data", str(tmp_path / "set"), "--split", "all"]
    assert main(command) == 2
    assert "'land'" in capsys.readouterr().err


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """What is kept of folders goes into a folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "digit"], "did you mean 'digits'"),
        (["--data", "digits", "--size", "8"], "--size: got one for digits"),
        (["--data", "EMPTY", "--size", "8"], "got a folder without pictures"),
        (["--data", "SIZES"], "size: got None for pictures of several sizes"),
        (["--data", "SIZES", "--size", "8", "8", "8"], "size: got"),
        (["--data", "SIZES", "--size", "0"], "size: got 0"),
        (["--data", "SIZES", "--size", "8", "--augment", "flop"], "augmentation: got 'flop'"),
        (["--data", "SIZES", "--size", "8", "--background", "whit"], "background: got"),
        (["--data", "SIZES", "--size", "8", "--test-share", "1"], "split: got 1"),
        (["--data", "FLOATS.npy"], "images: got dtype float64"),
        (["--data", "NAMES.npz"], "images.npy"),
    ],
)
def test_mistakes_are_one_line(arguments, said, tmp_path, capsys):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "SIZES").mkdir()
    for n, size in enumerate((8, 9)):
        Image.new("L", (size, size), n).save(tmp_path / "SIZES" / f"{n}.png")
    np.save(tmp_path / "FLOATS.npy", np.zeros((4, 8, 8, 1)))
    np.savez(tmp_path / "NAMES.npz", pictures=np.zeros((4, 8, 8, 1), np.uint8))
    placed = [str(tmp_path / a) if (tmp_path / a).exists() else a for a in arguments]
    assert main(["train", *placed, "--epochs", "1", "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert said in error and len([line for line in error.splitlines() if "error" in line]) == 1
    assert not (tmp_path / "run").exists()


def test_arrays_are_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", images=rng.integers(0, 2, (60, 5, 5), dtype=np.uint8) * 255, labels=np.arange(60) % 3)
    command = ["train", "--data", str(tmp_path / "a.npz"), "--levels", "2", "--conditional", "--hidden", "4"]
    assert main([*command, "--blocks", "1", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    config = (tmp_path / "run" / "config.toml").read_text()
    assert str(tmp_path / "a.npz") in config
    assert main(["train", "--config", str(tmp_path / "run" / "config.toml"), "--out", str(tmp_path / "again")]) == 0
    one, two = (mp.load(tmp_path / name / "model.safetensors").state_dict() for name in ("run", "again"))
    assert all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("images", "levels", "first"),
    [
        (np.arange(4 * 64).reshape(64, 2, 2, 1) % 17, 17, 17),  # whole numbers below --levels are what they are
        ((np.arange(4 * 64).reshape(64, 2, 2, 1)).astype(np.uint8), 16, 16),  # bytes are cut
        ((np.arange(4 * 64).reshape(64, 2, 2, 1)).astype(np.uint8), None, 256),
    ],
)
def test_the_levels_of_an_array(tmp_path, images, levels, first):
    """The values that the model is trained on are those of the file, or are cut evenly; `evaluate` reads them alike."""
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(64) % 2)
    data = ["--data", str(tmp_path / "a.npz")]
    options = [] if levels is None else ["--levels", str(levels)]
    small = ["--hidden", "2", "--blocks", "1", "--epochs", "1", "--conditional", "--out", str(tmp_path / "run")]
    assert main(["train", *data, *options, *small]) == 0
    file = tmp_path / "run" / "model.safetensors"
    model = mp.load(file)
    assert model.levels == first and model.pictures["classes"] == ["0", "1"]
    assert main(["evaluate", str(file), *data, "--split", "all", "--csv", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    given = images if levels in (None, 17) else images // 16
    nats = -model.log_prob(given, np.arange(64) % 2)
    np.testing.assert_allclose(sorted(float(row["nats"]) for row in rows), sorted(nats), rtol=1e-5)


def test_each_drawn_picture_in_a_file_of_its_own(run, tmp_path):
    _, out = run
    file = str(out / "model.safetensors")
    assert main(["sample", file, "-n", "3", "--out", str(tmp_path / "drawn") + "/"]) == 0
    assert main(["sample", file, "-n", "3", "--out", str(tmp_path / "drawn.npy")]) == 0
    for n, image in enumerate(np.load(tmp_path / "drawn.npy")):
        read = mp.datasets.read_picture(tmp_path / "drawn" / f"{n:05}-{('sea', 'sky')[n % 2]}.png")
        assert np.array_equal(np.broadcast_to(read // 16, image.shape), image)


def test_bad_files_of_a_folder_are_noted_and_one_that_is_named_stops(run, capsys):
    folder, out = run
    command = ["evaluate", str(out / "model.safetensors"), "--label", "sea", "--images"]
    assert main([*command, str(folder / "sea")]) == 0
    said = capsys.readouterr()
    assert "broken.png: chunk b'IDAT' declares" in said.err and "left out" in said.err
    assert f"{len(list((folder / 'sea').iterdir())) - 1} pictures of 8x8x3" in said.out
    assert main([*command, str(folder / "sea" / "broken.png")]) == 2
