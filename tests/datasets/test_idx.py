import gzip
import hashlib
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from minipixel.datasets.idx import decode_idx, read_idx
from minipixel.errors import FormatError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def idx(array, code=0x08, lead=b"\x00\x00"):
    return lead + bytes([code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def packings(content):
    return {"plain": content, "gzip": gzip.compress(content, mtime=0)}


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "some-idx3-ubyte"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (0, 3, 4), (1, 1, 1, 1)])
def test_round_trip(file, packing, shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    content = idx(array)
    got = read_idx(file(packings(content)[packing]), len(shape), sha256=hashlib.sha256(content).hexdigest())
    assert got.dtype == np.uint8
    assert got.shape == shape
    assert np.array_equal(got, array)
    assert got.flags.writeable


def test_the_path_may_be_a_string(file):
    assert np.array_equal(read_idx(str(file(idx(IMAGES))), 3), IMAGES)


def test_a_gzip_file_of_two_members_is_read_as_one(file):
    content = idx(IMAGES)
    assert np.array_equal(read_idx(file(gzip.compress(content[:9]) + gzip.compress(content[9:])), 3), IMAGES)


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_cut_off_at_every_byte(file, refused, packing):
    whole = packings(idx(IMAGES))[packing]
    for length in range(len(whole)):
        path = file(whole[:length])
        with refused(FormatError, path, "expected"):
            read_idx(path, 3)


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_is_noticed_with_a_digest(file, packing, flip):
    content = idx(IMAGES)
    digest = hashlib.sha256(content).hexdigest()
    whole = packings(content)[packing]
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= flip
        try:
            got = read_idx(file(bytes(broken)), 3, sha256=digest)
        except FormatError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert packing == "gzip"  # a byte that means nothing there: the time, the operating system
            assert np.array_equal(got, IMAGES)


CORRUPTIONS = {
    "empty": (b"", "starts with nothing", "00 00 08 03"),
    "no idx": (b"<html>Not found</html>", "3c 68 74 6d", "00 00 08 03"),
    "wrong lead": (idx(IMAGES, lead=b"\x01\x00"), "01 00 08 03", "00 00 08 03"),
    "floats": (idx(IMAGES, code=0x0D), "00 00 0d 03", "unsigned bytes"),
    "signed bytes": (idx(IMAGES, code=0x09), "00 00 09 03", "unsigned bytes"),
    "labels for images": (idx(IMAGES[0, 0]), "00 00 08 01", "3 dimensions"),
    "no dimensions": (b"\x00\x00\x08\x03\x00\x00", "6 bytes", "a header of 16"),
    "one byte short": (idx(IMAGES)[:-1], "23 bytes", "24 for shape (2, 3, 4)"),
    "one byte long": (idx(IMAGES) + b"\x00", "more bytes", "24 for shape (2, 3, 4)"),
}


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("case", CORRUPTIONS)
def test_corrupt_content(file, refused, packing, case):
    content, got, wanted = CORRUPTIONS[case]
    path = file(packings(content)[packing])
    with refused(FormatError, path, got, "expected", wanted):
        read_idx(path, 3)


def test_corrupt_gzip(file, refused):
    good = packings(idx(IMAGES))["gzip"]
    bad_check_sum = good[:-8] + struct.pack("<I", zlib.crc32(b"another")) + good[-4:]
    for content in (bad_check_sum, good + b"tail", good[:10] + b"\xff" * 20, b"\x1f\x8b and no more"):
        path = file(content)
        with refused(FormatError, path, "damaged gzip", "expected an IDX file"):
            read_idx(path, 3)


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_a_huge_declared_size_is_refused_before_any_memory_is_taken(file, refused, little_memory, packing):
    huge = b"\x00\x00\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    path = file(packings(huge)[packing])
    with little_memory(), refused(FormatError, path, (2**32 - 1) ** 3, "at most"):
        read_idx(path, 3)


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_a_large_declared_size_below_the_cap_takes_no_memory_without_data(file, refused, little_memory, packing):
    path = file(packings(b"\x00\x00\x08\x03" + struct.pack(">3I", 200, 1000, 1000))[packing])
    with little_memory(), refused(FormatError, path, "0 bytes", "expected 200000000"):
        read_idx(path, 3)


def test_a_gzip_bomb_is_not_unpacked(file, refused, little_memory):
    path = file(gzip.compress(idx(IMAGES) + bytes(64_000_000), compresslevel=1))
    with little_memory(), refused(FormatError, path, "more bytes", "expected 24"):
        read_idx(path, 3)


def test_the_cap_is_an_argument(file, refused):
    path = file(idx(IMAGES))
    assert read_idx(path, 3, max_bytes=24).size == 24
    with refused(FormatError, path, "24 bytes", "at most 23"):
        read_idx(path, 3, max_bytes=23)


def test_a_wrong_digest(file, refused):
    path = file(idx(IMAGES))
    with refused(
        FormatError, path, hashlib.sha256(idx(IMAGES)).hexdigest(), f"expected {'0' * 64}", "replace the file"
    ):
        read_idx(path, 3, sha256="0" * 64)


def test_a_missing_file(tmp_path, refused):
    with refused(FileNotFoundError, tmp_path / "none"):
        read_idx(tmp_path / "none", 3)


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 2**32 - 1), (0, 2**20, 2**20)])
def test_huge_dimensions_beside_an_empty_one(file, refused, shape):
    path = file(b"\x00\x00\x08\x03" + struct.pack(">3I", *shape))
    with refused(FormatError, path, shape, "expected at most"):
        read_idx(path, 3)


def test_a_small_gzip_takes_little_memory_whatever_its_header_says():
    content = gzip.compress(b"\x00\x00\x08\x03" + struct.pack(">3I", 200, 1000, 1000))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            decode_idx("some", content, 3)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_decode_is_read_without_a_file(file, refused):
    assert np.array_equal(decode_idx("some", gzip.compress(idx(IMAGES)), 3), IMAGES)
    with refused(FormatError, "some: starts with", "expected"):
        decode_idx("some", b"no", 3)
