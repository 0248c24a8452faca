import io
import struct

import numpy as np
import pytest

from minipixel.datasets.npy import decode_npy, read_npy
from minipixel.errors import FormatError


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def with_header(text, data=b"abc", encoding="latin-1"):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode(encoding) + data


SOUND = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=">i8").reshape(2, 3)),
        np.linspace(0, 1, 7, dtype=np.float32),
        np.array(["Food & Drink", "é"]),
        np.array(3.5),
        np.zeros((0, 8), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_round_trip(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    for path in (tmp_path / "a.npy", str(tmp_path / "a.npy")):
        got = read_npy(path)
        assert np.array_equal(got, array) and got.shape == array.shape
        assert got.dtype == array.dtype.newbyteorder("=") and got.flags.writeable and got.flags.c_contiguous


def test_cut_off_at_every_byte_and_too_long(refused):
    whole = npy(np.arange(6, dtype=np.uint8))
    for content in [*(whole[:length] for length in range(len(whole))), whole + b"\0"]:
        with refused(FormatError, "a.npy: the file", "expected"):
            decode_npy("a.npy", content)


@pytest.mark.parametrize("space", ["\xa0", "\t", "\n", "\x0c", "\0"])
def test_white_space_of_another_kind_in_the_header(refused, space):
    assert decode_npy("a.npy", with_header(SOUND + "  \n")).tolist() == [97, 98, 99]
    for text in (SOUND + space + " \n", space + SOUND, SOUND.replace(" ", space, 1)):
        with refused(FormatError, "a.npy: the file has the header", "expected a dict"):
            decode_npy("a.npy", with_header(text))


@pytest.mark.parametrize("key", ["descr", "fortran_order", "shape"])
def test_a_key_twice_or_missing(refused, key):
    value = {"descr": "'|u1'", "fortran_order": "False", "shape": "(3,)"}[key]
    for text in (SOUND.replace("}", f"'{key}': {value}}}"), SOUND.replace(f"'{key}': {value}, ", "")):
        with refused(FormatError, "a.npy: the file has the header", "expected a dict"):
            decode_npy("a.npy", with_header(text))


def test_objects_are_never_unpickled(refused):
    with refused(FormatError, "a.npy", "'|O'", "expected numbers or text"):
        decode_npy("a.npy", npy(np.array([{"a": 1}], dtype=object)))


def test_sizes_are_checked_before_memory_is_taken(tmp_path, refused, little_memory):
    text = SOUND.replace("(3,)", f"({2**40}, {2**20})")
    with little_memory(), refused(FormatError, "a.npy", "of shape (1099511627776, 1048576)"):
        decode_npy("a.npy", with_header(text))
    (tmp_path / "a.npy").write_bytes(npy(np.zeros(1000)))
    with refused(FormatError, tmp_path / "a.npy", "8128 bytes, expected at most 8000"):
        read_npy(tmp_path / "a.npy", max_bytes=8000)


def test_a_missing_file(tmp_path, refused):
    with refused(FileNotFoundError, tmp_path / "none.npy"):
        read_npy(tmp_path / "none.npy")
