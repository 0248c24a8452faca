import io
import struct
import warnings
import zipfile

import numpy as np
import pytest

from minipixel.datasets.npz import read_npz
from minipixel.errors import FormatError

ARRAYS = {"a": np.arange(6, dtype=np.uint8).reshape(2, 3), "b": np.array(["x", "yz"])}
PACKERS = {"stored": np.savez, "deflated": np.savez_compressed}


def packed(packer="deflated", **arrays):
    buffer = io.BytesIO()
    PACKERS[packer](buffer, **arrays)
    return buffer.getvalue()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(descr="'|u1'", order="False", shape="(3,)", data=b"abc", magic=b"\x93NUMPY\x01\x00", header=None):
    header = header or f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"
    return magic + struct.pack("<H", len(header)) + header.encode("latin-1") + data


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "some.npz"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(24, dtype=np.int64).reshape(2, 3, 4)),
        np.arange(5, dtype=">i4"),
        np.linspace(0, 1, 7, dtype=np.float32),
        np.array(["Food & Drink", "Flags", "é"]),
        np.array(3.5),
        np.zeros((0, 8, 8), np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_round_trip(file, packer, array):
    got = read_npz(file(packed(packer, a=array)), "a")["a"]
    assert np.array_equal(got, array)
    assert got.shape == array.shape
    assert got.dtype == array.dtype.newbyteorder("=")
    assert got.flags.writeable
    assert got.flags.c_contiguous


def test_only_the_named_members_are_read(file):
    path = file(packed(**ARRAYS, objects=np.array([None])))
    assert list(read_npz(path, "b", "a")) == ["b", "a"]
    assert read_npz(path) == {}


def test_header_version_2_is_read(file):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, ARRAYS["a"], version=(2, 0))
    assert np.array_equal(read_npz(file(zipped(("a.npy", buffer.getvalue()))), "a")["a"], ARRAYS["a"])


@pytest.mark.parametrize("packer", PACKERS)
def test_cut_off_at_every_byte(file, refused, packer):
    whole = packed(packer, **ARRAYS)
    for length in range(len(whole)):
        path = file(whole[:length])
        with refused(FormatError, path, "expected"):
            read_npz(path, "a", "b")


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("flip", [0x01, 0x04, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed_or_means_nothing(file, packer, flip):
    whole = packed(packer, **ARRAYS)
    noticed = 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= flip
        try:
            got = read_npz(file(bytes(broken)), "a", "b")
        except FormatError as error:
            noticed += 1
            assert len(str(error).splitlines()) == 1
        else:
            assert all(np.array_equal(got[name], array) for name, array in ARRAYS.items())
    assert noticed > len(whole) / 2


MEMBERS = {
    "not npy": (b"PK", "b'PK'", "npy magic"),
    "version 3": (npy(magic=b"\x93NUMPY\x03\x00"), "NUMPY\\x03", "version 1.0 or 2.0"),
    "no header": (b"\x93NUMPY\x01\x00", "ends after 8 bytes", "a header"),
    "long header": (npy(header="{" + " " * 2000), "2001 bytes", "at most 1024"),
    "no Python": (npy(header="{'descr': '|u1"), "the header", "a dict of descr"),
    "no dict": (npy(header="[1, 2]"), "[1, 2]", "a dict of descr"),
    "a call": (npy(header="exit()"), "exit()", "a dict of descr"),
    "deeply nested": (npy(header="-" * 1000 + "1"), "the header", "a dict of descr"),
    "no shape": (npy(header="{'descr': '|u1', 'fortran_order': False}"), "the header", "a dict of descr"),
    "objects": (npy("'|O'"), "'|O'", "numbers or text"),
    "records": (npy("[('x', '<i4')]"), "('x', '<i4')", "numbers or text"),
    "bytes of no size": (npy("'<U0'", shape="(9999999999,)", data=b""), "'<U0'", "numbers or text"),
    "a type NumPy lacks": (npy("'<i3'"), "'<i3'", "one that NumPy knows"),
    "order 7": (npy(order="7"), "fortran_order 7", "True or False"),
    "shape 3": (npy(shape="3"), "shape 3", "a tuple"),
    "shape -1": (npy(shape="(-1,)"), "(-1,)", "from 0 up"),
    "shape True": (npy(shape="(True,)"), "(True,)", "whole numbers"),
    "too few data": (npy(shape="(4,)"), "is of", "for uint8 of shape (4,)"),
    "too many data": (npy(shape="(2,)"), "is of", "for uint8 of shape (2,)"),
    "huge": (npy(shape=f"({2**40}, {2**40})"), "is of", str(2**80)[:4]),
    "empty with a huge side": (npy(shape=f"(0, {2**70})", data=b""), "(0, 1180591620717411303424)", "NumPy can hold"),
    "too many dimensions": (npy(shape=f"({'1, ' * 70})", data=b"a"), "dimension", "NumPy can hold"),
    "no characters": (npy("'<U1'", shape="(1,)", data=b"\xff" * 4), "character 4294967295", "at most 1114111"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_a_bad_member(file, refused, little_memory, case):
    member, got, wanted = MEMBERS[case]
    path = file(zipped(("a.npy", member)))
    with little_memory(), refused(FormatError, path, got, "expected", wanted):
        read_npz(path, "a")


def test_an_object_array_is_never_unpickled(file, refused):
    path = file(packed(a=np.array([{"a": 1}, None], dtype=object)))
    with refused(FormatError, path, "'|O'", "expected numbers or text"):
        read_npz(path, "a")


def test_a_missing_member(file, refused):
    path = file(packed(**ARRAYS))
    with refused(FormatError, path, "0 members named 'c.npy'", "expected one", "'a.npy', 'b.npy'"):
        read_npz(path, "a", "c")


def test_an_archive_of_nothing(file, refused):
    path = file(zipped())
    with refused(FormatError, path, "0 members named 'a.npy'", "holds nothing"):
        read_npz(path, "a")


def test_a_member_twice(file, refused):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = file(zipped(("a.npy", npy()), ("a.npy", npy())))
    with refused(FormatError, path, "2 members named 'a.npy'", "expected one"):
        read_npz(path, "a")


def test_an_encrypted_member(file, refused):
    content = bytearray(zipped(("a.npy", npy())))
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flags in the zip directory
    path = file(bytes(content))
    with refused(FormatError, path, "encrypted", "expected no password"):
        read_npz(path, "a")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression(file, refused, method):
    path = file(zipped(("a.npy", npy()), method=method))
    with refused(FormatError, path, f"zip method {method}", "expected 0 (stored) or 8 (deflated)"):
        read_npz(path, "a")


def with_declared_size(content, size):
    """Return a zip of one member whose directory declares another unpacked size."""
    content = bytearray(content)
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, size)
    return bytes(content)


def test_a_huge_declared_size_is_refused_before_any_memory_is_taken(file, refused, little_memory):
    path = file(with_declared_size(zipped(("a.npy", npy())), 2**31))
    with little_memory(), refused(FormatError, path, 2**31, "expected at most"):
        read_npz(path, "a")


def test_a_bomb_is_unpacked_no_further_than_its_header_says(file, refused, little_memory):
    small = npy()
    path = file(with_declared_size(zipped(("a.npy", small + bytes(64_000_000))), len(small)))
    with little_memory(), refused(FormatError, path, "CRC", "expected"):
        read_npz(path, "a")


def test_declared_data_that_are_not_there_take_no_memory(file, refused, little_memory):
    member = npy(shape="(200000000,)", data=b"")
    path = file(with_declared_size(zipped(("a.npy", member)), len(member) + 200_000_000))
    with little_memory(), refused(FormatError, path, "unpacks to 0 bytes", "expected 200000000"):
        read_npz(path, "a")


def test_the_cap_is_an_argument_for_the_file_and_for_what_it_unpacks_to(file, refused):
    path = file(packed(a=np.zeros(100_000, np.uint8)))
    assert read_npz(path, "a", max_bytes=101_000)["a"].size == 100_000
    with refused(FormatError, path, "unpack to", "at most 100000"):
        read_npz(path, "a", max_bytes=100_000)
    with refused(FormatError, path, f"{path.stat().st_size} bytes", "at most 100"):
        read_npz(path, "a", max_bytes=100)


def test_a_missing_file(tmp_path, refused):
    with refused(FileNotFoundError, tmp_path / "none.npz"):
        read_npz(tmp_path / "none.npz", "a")


def test_a_header_with_an_entry_too_many(file, refused):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), 'x': 1}"
    path = file(zipped(("a.npy", npy(header=header))))
    with refused(FormatError, path, "the header", "expected a dict of descr, fortran_order and shape"):
        read_npz(path, "a")


def test_a_header_that_the_parser_would_warn_of(file, refused):
    for value in ("3or 4", "'\\d'", "[1][2]"):
        path = file(zipped(("a.npy", npy(shape=value))))
        with warnings.catch_warnings(record=True) as notes, refused(FormatError, path, "member 'a.npy' has"):
            warnings.simplefilter("always")
            read_npz(path, "a")
        assert not notes


def test_a_name_of_a_wrong_length_makes_no_long_message(file, refused):
    content = bytearray(zipped(("a.npy", npy()), ("b.npy", bytes(70_000)), method=zipfile.ZIP_STORED))
    struct.pack_into("<H", content, 26, 65_000)  # the length of the first name
    path = file(bytes(content))
    with pytest.raises(FormatError, match="File name in directory") as caught:
        read_npz(path, "a")
    assert len(str(caught.value).removeprefix(str(path))) < 200


def test_bytes_before_and_after_the_archive(file, refused):
    sound = packed(**ARRAYS)
    for content in (b"\0" + sound, sound + b"\0", sound + sound[-22:], sound + sound):
        path = file(content)
        with refused(FormatError, path, "does not end as a zip file does", "nothing after it"):
            read_npz(path, "a")


def test_a_zip_directory_that_is_too_large(file, refused, little_memory):
    path = file(bytes(1 << 21) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 1 << 21, 0, 0))
    with little_memory(), refused(FormatError, path, "the zip directory is of 2097152 bytes, expected at most 65536"):
        read_npz(path, "a")
