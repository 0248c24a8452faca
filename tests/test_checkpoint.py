"""Model files: exactly what was saved, or one clear FormatError."""

import json
import os
import tracemalloc

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


def test_arrays_of_every_kind_come_back(tmp_path):
    arrays = {
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
        "big endian": np.arange(3, dtype=">f8"),
        "slanted": np.arange(6, dtype=np.int16).reshape(2, 3).T,
        "flags": np.array([True, False]),
        "nan": np.array([np.nan, -0.0], np.float16),
        **{kind: np.ones(2, kind) for kind in ("u1", "u2", "u4", "u8", "i1", "i4", "f4")},
    }
    checkpoint.write(tmp_path / "all", {"note": "é"}, arrays)
    config, got = checkpoint.read(tmp_path / "all")
    assert config == {"note": "é"} and got.keys() == arrays.keys()
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype.newbyteorder("=") and got[name].shape == array.shape
        assert got[name].tobytes() == array.astype(got[name].dtype).tobytes() and got[name].flags.writeable


def with_header(content, change):
    """The same file with another header, which `change` makes from the old one's text."""
    length = int.from_bytes(content[:8], "little")
    text = change(content[8 : 8 + length].decode()).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


NAME = '"stem.weight":{"dtype":"F32"'


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"stem.weight":', '"stem.bias":', "a key comes twice"),
        ('\\"hidden\\":1', '\\"hidden\\":1,\\"hidden\\":1', "metadata entry that is not JSON .a key comes twice"),
        (NAME, '"stem.weight":{"dtype":"BF16"', "of dtype 'BF16', expected one of BOOL, U8"),
        (NAME, '"stem.weight":{"dtype":["F32"]', "of dtype .'F32'., expected one of"),
        (NAME, '"stem.weight":{"note":1,"dtype":"F32"', "expected dtype, shape, data_offsets"),
        (NAME, '"stem.weight":{"dtype":"F64"', "expected .* bytes for F64 of shape"),
        ('"shape":[', '"shape":[2,', "expected .* bytes for F32 of shape"),
        ('"shape":[', '"shape":[1,1,1,1,1,1,1,1,', "expected whole numbers"),
        ('"shape":[', '"shape":[-1,', "expected whole numbers"),
        ('"shape":[', '"shape":[true,', "expected whole numbers"),
        ('"shape":[', '"shape":[1.0,', "expected whole numbers"),
        ('"shape":[', '"shape":[0,1099511627776,1099511627776,', "expected whole numbers"),
        ('"data_offsets":[0,', '"data_offsets":[4,', "expected .* bytes for"),
        ('"data_offsets":[', '"data_offsets":[1,', "expected whole numbers"),
    ],
)
def test_headers_that_are_refused(content, tmp_path, old, new, match):
    changed = with_header(content, lambda text: text.replace(old, new, 1))
    assert changed != content
    refused(tmp_path / "edited", changed, match)


def test_too_many_tensors(tmp_path):
    entry = '"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    entries = ",".join(entry % n for n in range(checkpoint.MAX_TENSORS + 1))
    metadata = '"__metadata__":{"minipixel":"{\\"config\\":{},\\"sha256\\":\\"0\\"}"}'
    text = f"{{{metadata},{entries}}}".encode()
    refused(tmp_path / "many", len(text).to_bytes(8, "little") + text, "got 10001 tensors, expected at most 10000")


def test_tensors_that_overlap_or_leave_a_gap(tmp_path):
    def entry(name, start):
        return f'"{name}":{{"dtype":"U8","shape":[4],"data_offsets":[{start},{start + 4}]}}'

    metadata = '"__metadata__":{"minipixel":"{\\"config\\":{},\\"sha256\\":\\"0\\"}"}'
    for second, size, match in [(0, 4, "'b' at byte 0, expected it at 4"), (5, 9, "'b' at byte 5, expected it at 4"),
                                (4, 9, "got 9 bytes of tensors, expected 8")]:  # fmt: skip
        text = f"{{{metadata},{entry('a', 0)},{entry('b', second)}}}".encode()
        refused(tmp_path / "edited", len(text).to_bytes(8, "little") + text + bytes(size), match)


def test_what_a_header_says_is_quoted_in_one_short_line(content, tmp_path):
    for new in ("F32\\n" + "x" * 1000, "F\\u0000", "\\ud800"):
        changed = with_header(content, lambda text, new=new: text.replace('"F32"', f'"{new}"', 1))
        refused(tmp_path / "edited", changed, "of dtype")
        with pytest.raises(mp.FormatError) as error:
            mp.load(tmp_path / "edited")
        assert len(str(error.value).removeprefix(str(tmp_path))) < 300 and str(error.value).isprintable()


@pytest.mark.parametrize("note", ['"x":"y",', '"x":[0.5],'])
def test_notes_beside_ours(content, tmp_path, note):
    changed = with_header(content, lambda text: text.replace('"__metadata__":{', '"__metadata__":{' + note, 1))
    refused(tmp_path / "noted", changed, "or with notes, expected a model")


def test_a_configuration_of_many_layers_is_refused_at_once(tmp_path):
    """Not by the clock: before the second layer is built."""
    for model, key in [(mp.models.GatedPixelCNN((2, 2, 1), 2, filters=1, layers=1), "layers"),
                       (mp.models.MultiScale((4, 4, 1), 2, hidden=1, layers=1, upsampled=1), "layers")]:  # fmt: skip
        state = model.state_dict()
        checkpoint.write(tmp_path / "model", model.config | {key: 65_536}, state)
        tracemalloc.start()
        try:
            refused(tmp_path / "model", (tmp_path / "model").read_bytes(), f"got {len(state)} arrays, wanted more")
            assert tracemalloc.get_traced_memory()[1] < 2e6
        finally:
            tracemalloc.stop()


def test_a_configuration_nested_as_deeply_as_can_be_read(tmp_path):
    for depth in (500, 900, 950, *range(960, 1000, 3)):
        entry = '{"config":{"a":%s},"sha256":"0"}' % ("[" * depth + "]" * depth)
        header = json.dumps({"__metadata__": {"minipixel": entry}}).encode()
        refused(tmp_path / "deep", len(header).to_bytes(8, "little") + header, "expected")


def test_a_large_file_of_no_kind_takes_no_memory(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(mp.FormatError, match="got a file of 1099511627776 bytes, expected at most"):
        mp.load(tmp_path / "sparse")


def test_nothing_is_pickled(content):
    """Whatever the tensors hold: the file is a header of JSON and plain numbers."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert set(header["__metadata__"]) == {"minipixel"}
    numbers = sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    assert len(content) == 8 + length + 4 * numbers
