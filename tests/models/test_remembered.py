"""What a model file says of the pictures that a model learnt from: kept, signed, and refused if it makes no sense."""

import numpy as np
import pytest

import minipixel as mp
from minipixel import checkpoint
from minipixel.models.remembered import KINDS

SOUND = {
    "classes": ["cat", "a\udcff", "\u00e9"],
    "size": [4, 3],
    "channels": 1,
    "levels": 65536,
    "crop": "centre",
    "background": [0, 1, 255],
    "split": 0.1,
    "key": "0123456789abcdef" * 2,
    "binarize": "static",
}


def model():
    return mp.models.PixelCNN((4, 3, 1), 3, hidden=2, blocks=1)


def test_the_table_is_whole():
    assert set(SOUND) == set(KINDS)


@pytest.mark.parametrize("kind", [model, lambda: mp.models.EmbeddingNet((4, 4, 1), 3, dimensions=2, filters=1)])
def test_it_comes_back(tmp_path, kind):
    made = kind()
    made.pictures = SOUND
    made.save(tmp_path / "a")
    assert mp.load(tmp_path / "a").pictures == SOUND
    made.pictures = None
    made.save(tmp_path / "b")
    assert mp.load(tmp_path / "b").pictures is None and "pictures" not in checkpoint.read(tmp_path / "b")[0]


def test_it_is_signed(tmp_path):
    made = model()
    made.pictures = {"classes": ["zebra"]}
    made.save(tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    assert content.count(b"zebra") == 1
    (tmp_path / "a").write_bytes(content.replace(b"zebra", b"horse"))
    with pytest.raises(mp.FormatError, match="does not match its own SHA-256"):
        mp.load(tmp_path / "a")


def test_of_data_sets(tmp_path):
    made = mp.models.PixelCNN((8, 8, 1), 17, hidden=2, blocks=1)
    made.pictures = mp.datasets.load("digits").pictures
    made.save(tmp_path / "a")
    assert mp.load(tmp_path / "a").pictures == {"levels": 17, "classes": list("0123456789")}


def test_a_checkpoint_says_it_too(tmp_path):
    made, images = model(), np.random.default_rng(0).integers(3, size=(8, 4, 3, 1))
    made.pictures = SOUND
    options = {"callbacks": mp.callbacks.ModelCheckpoint(tmp_path), "progress": False}
    mp.fit(made, images, epochs=1, **options)
    (file,) = tmp_path.glob("*.safetensors")
    assert mp.load(file).pictures == SOUND
    again = model()  # which knows of no pictures: that is no reason to refuse it
    mp.fit(again, images, epochs=2, resume=tmp_path, **options)


BAD = {
    "classes": ["cat", ["cat", "cat"], [1], {}, None],
    "size": [4, [4], [0, 3], [4.0, 3], [True, 3], [4, 70000]],
    "channels": [0, 1.0, True, None],
    "levels": [1, 65537, "3"],
    "crop": ["", "x" * 30, "../x", 3],
    "background": [[0, 0], [0, 0, 256], "white", [0, 0, -1]],
    "split": [1, -0.1, "0.1", True, float("nan")],
    "key": ["", "0" * 31, "G" * 32, 0],
    "binarize": [1, ""],
    "other": [1],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_makes_no_sense(tmp_path, name, value):
    made = model()
    made.pictures = {name: value}
    with pytest.raises(ValueError, match="pictures: got"):
        made.save(tmp_path / "a")
    made.pictures = None
    checkpoint.write(tmp_path / "b", {**made.config, "pictures": {name: value}}, made.state_dict())
    with pytest.raises(mp.FormatError, match="pictures: got"):
        mp.load(tmp_path / "b")


@pytest.mark.parametrize("value", [[], "x", 3, True])
def test_what_is_no_table_at_all(tmp_path, value):
    checkpoint.write(tmp_path / "b", {**model().config, "pictures": value}, model().state_dict())
    with pytest.raises(mp.FormatError, match=r"wanted what a data set has: model\.pictures = ds\.pictures"):
        mp.load(tmp_path / "b")
