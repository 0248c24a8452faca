"""Model files: exactly what was saved, or one clear FormatError."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import minipixel as mp
from minipixel import checkpoint


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a small model file."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1).save(path)
    return path.read_bytes()


def refused(path, content, match=None):
    path.write_bytes(content)
    with pytest.raises(mp.FormatError, match=match) as error:
        mp.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def rewritten(content, entry):
    """The same file with another metadata entry of ours."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"]["minipixel"] = entry
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def test_every_truncation(content, tmp_path):
    for length in range(len(content)):
        refused(tmp_path / "cut", content[:length])


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_every_changed_byte(content, tmp_path_factory, place, flip):
    """FormatError, or exactly the original arrays (a space in the header may become a tab)."""
    changed = bytearray(content)
    changed[int(place * len(content))] ^= flip
    folder = tmp_path_factory.getbasetemp()
    (folder / "changed").write_bytes(changed)
    (folder / "original").write_bytes(content)
    try:
        model = mp.load(folder / "changed")
    except mp.FormatError as error:
        assert "\n" not in str(error)
    else:
        original = mp.load(folder / "original")
        assert model.config == original.config
        for name, weight in original.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name], weight)


def test_trailing_bytes(content, tmp_path):
    refused(tmp_path / "long", content + b"\0")


@pytest.mark.parametrize("junk", [b"", b"\0" * 8, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60, b"\x80\x04cos\nsystem\n."])
def test_other_files(junk, tmp_path):
    refused(tmp_path / "junk", junk, "expected a model written by model.save")


def test_a_foreign_safetensors_file(tmp_path):
    refused(tmp_path / "foreign", save({"w": np.zeros(3)}), "without a digest")
    refused(tmp_path / "foreign", save({"w": np.zeros(3)}, {"author": "somebody"}), "without a digest")


def test_a_header_that_claims_to_be_huge(tmp_path):
    refused(tmp_path / "huge", (2**62).to_bytes(8, "little") + b"{}")
    refused(tmp_path / "huge", (2**21).to_bytes(8, "little") + b" " * 2**21)


def test_deeply_nested_json(tmp_path):
    text = b"[" * 100_000 + b"]" * 100_000
    refused(tmp_path / "deep", len(text).to_bytes(8, "little") + text, "not JSON")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"model": "transformer"}, "a model named 'transformer', expected one of pixelcnn"),
        ({"model": ["pixelcnn"]}, "a model named"),
        ({"hidden": 2}, "does not fit"),
        ({"hidden": 60_000}, "does not fit: state: got stem.weight"),
        ({"hidden": -1}, "does not fit: hidden: got -1"),
        ({"blocks": 2}, "does not fit"),
        ({"surprise": 1}, "does not fit"),
        ({"rng": 1}, "does not fit"),
        ({"image_shape": None}, "does not fit: image_shape"),
        ({"levels": "many"}, "does not fit: levels"),
        ({"head": {}}, "does not fit"),
        ({"dtype": 3}, "does not fit: dtype"),
    ],
)
def test_a_signed_file_with_a_configuration_that_does_not_fit(tmp_path, changes, match):
    """The digest is right, since anybody can compute one; what it covers has to make sense too, and costs no memory."""
    model = mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1)
    path = tmp_path / "model"
    checkpoint.write(path, model.config | changes, model.state_dict())
    refused(path, path.read_bytes(), match)


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ("", "metadata entry that is not JSON"),
        ("[1, 2", "metadata entry that is not JSON"),
        ("[1, 2]", "metadata entry that is a list"),
        ("{}", "without configuration or digest"),
        ('{"config": {}, "sha256": 7}', "without configuration or digest"),
        ('{"config": {}, "sha256": "0"}', "does not match its own SHA-256"),
    ],
)
def test_other_metadata(content, tmp_path, entry, match):
    refused(tmp_path / "edited", rewritten(content, entry), match)


def test_the_same_model_is_the_same_file(content, tmp_path):
    """To the byte, so that runs can be compared by comparing files."""
    mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


def test_weights_of_another_dtype_are_refused(tmp_path):
    model = mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1)
    state = {name: weight.astype(np.int8) for name, weight in model.state_dict().items()}
    path = tmp_path / "model"
    checkpoint.write(path, model.config, state)
    refused(path, path.read_bytes(), "got weights of int8, expected float32")


def test_missing_and_unwritable(tmp_path):
    with pytest.raises(FileNotFoundError):
        mp.load(tmp_path / "nothing")
    with pytest.raises(OSError):
        mp.models.PixelCNN((2, 2, 1), 2, hidden=1, blocks=1).save(tmp_path / "no" / "folder")


def test_a_failed_write_leaves_the_old_file(content, tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(content)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        mp.models.PixelCNN((2, 2, 1), 2, hidden=2, blocks=1).save(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_pickled(content):
    """Whatever the tensors hold: the file is a header of JSON and plain numbers."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert set(header["__metadata__"]) == {"minipixel"}
    numbers = sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    assert len(content) == 8 + length + 4 * numbers
