import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from picture_files import chunk, png16, saved
from PIL import Image, PngImagePlugin

from minipixel.datasets import read_png
from minipixel.datasets.pictures import MAX_PIXELS
from minipixel.datasets.png import decode_png
from minipixel.errors import FormatError

rng = np.random.default_rng(0)


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def header(W=2, H=3, bits=8, kind=0, compression=0, filters=0, interlace=0):
    return b"IHDR", struct.pack(">2I5B", W, H, bits, kind, compression, filters, interlace)


ROWS = b"\0\1\2" * 3
PIXELS = (b"IDAT", zlib.compress(ROWS))
END = (b"IEND", b"")
SOUND = png(header(), PIXELS, END)


def smooth(*shape):
    """Something that makes a PNG writer use all its filters: gradients, edges and noise."""
    values = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)[..., None] + np.zeros(shape, int)
    values += (rng.random(shape) < 0.2) * rng.integers(100, size=shape)
    return values.astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 48), (1, 1000), (1000, 1), (1500, 1100)])
@pytest.mark.parametrize("C", [1, 3])
def test_round_trip(tmp_path, size, C):
    values = smooth(*size, C)
    Image.fromarray(values[..., 0] if C == 1 else values).save(tmp_path / "a.png")
    got = read_png(tmp_path / "a.png")
    wanted = values if (values != values[..., :1]).any() else values[..., :1]
    assert got.dtype == np.uint8 and got.shape == wanted.shape and np.array_equal(got, wanted)
    assert got.flags.writeable and got.flags.c_contiguous


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_alpha_is_left_out(refused, mode):
    values = smooth(9, 8, len(mode))
    values[..., -1] = 255
    assert np.array_equal(decode_png("a.png", saved(values, "PNG")), values[..., :-1])
    values[3, 4, -1] = 254
    with refused(FormatError, "a.png: has transparent pixels, expected an opaque picture"):
        decode_png("a.png", saved(values, "PNG"))


@pytest.mark.parametrize("C", [1, 3])
def test_16_bits_are_rounded_to_8(C):
    """To the nearest of 256 shades that are 257 apart."""
    values = rng.integers(65536, size=(20, 30, C), dtype=np.uint16)
    values.flat[:4] = 0, 128, 129, 65535
    assert np.array_equal(decode_png("a.png", png16(values)), np.rint(values / 257))


def test_notes_are_passed_over(little_memory):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "me")
    notes.add_itxt("Comment", "x" * 1_000_000, zip=True)
    values = smooth(9, 8, 3)
    content = saved(values, "PNG", pnginfo=notes, gamma=2.2, dpi=(72, 72), icc_profile=b"not one")
    with little_memory():
        assert np.array_equal(decode_png("a.png", content), values)


def test_a_note_that_unpacks_to_much_is_refused(little_memory, refused):
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("Comment", "x" * 10_000_000, zip=True)
    content = saved(smooth(9, 8, 3), "PNG", pnginfo=notes)
    with little_memory(), refused(FormatError, "a.png: got a PNG file that Pillow cannot read (Decompressed data"):
        decode_png("a.png", content)


@pytest.mark.parametrize("cut", range(len(SOUND) - 4))
def test_cut_off_at_every_byte(refused, cut):
    """But for the CRC of the mark at the very end, which holds nothing."""
    with refused(FormatError, "a.png: ", "expected"):
        decode_png("a.png", SOUND[:cut])


@pytest.mark.parametrize("place", range(8, len(SOUND) - 12))
def test_damaged_at_every_byte(refused, place):
    """Of each chunk the CRC is compared, of the pixels as well, which Pillow by itself would pass over; not of IEND."""
    broken = bytearray(SOUND)
    broken[place] ^= 4
    with refused(FormatError, "a.png: ", "expected"):
        decode_png("a.png", bytes(broken))


CASES = {
    "another format": (b"GIF89a", "starts with 47 49 46", "a PNG file"),
    "no pixels": (png(header(), END), "a PNG file that Pillow cannot read", "a sound one"),
    "no header": (png(PIXELS, END), "a PNG file that Pillow cannot read", "a sound one"),
    "no width": (png(header(W=0), PIXELS, END), "a PNG file that Pillow cannot read", "a sound one"),
    "huge": (png(header(W=8001, H=8000), PIXELS, END), "declares 8001x8000", f"at most {MAX_PIXELS}"),
    "huger": (png(header(W=30_000, H=30_000), PIXELS, END), "exceeds limit", "a sound one"),
    "past all bounds": (png(header(W=2**32 - 1, H=2**32 - 1), PIXELS, END), "exceeds limit", "a sound one"),
    "long": (png(header(W=65536, H=1), PIXELS, END), "declares 65536x1", "no more than 65535 on a side"),
    "a colour type of none": (png(header(kind=5), PIXELS, END), "a PNG file that Pillow cannot read", "a sound one"),
    "one row less": (png(header(H=4), PIXELS, END), "ends 3 bytes before its last row", "4 rows"),
    "another sum": (png(header(), (b"IDAT", PIXELS[1][:-1] + b"\0"), END), "incorrect data check", "a sound one"),
    "no zlib": (png(header(), (b"IDAT", b"nothing of the kind"), END), "that Pillow cannot read", "a sound one"),
    "a filter of none": (png(header(), (b"IDAT", zlib.compress(b"\5\1\2" * 3)), END), "that Pillow cannot", "a sound"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused(refused, little_memory, case):
    content, got, wanted = CASES[case]
    with little_memory(), refused(FormatError, "a.png: ", got, wanted):
        decode_png("a.png", content)


def test_a_bomb_is_unpacked_no_further_than_the_header_says(little_memory):
    bomb = zlib.compress(ROWS + bytes(200_000_000), 1)
    with little_memory():
        got = decode_png("a.png", png(header(), (b"IDAT", bomb), END))
    assert got[..., 0].tolist() == [[1, 2]] * 3


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "TIFF", "WEBP"])
def test_other_formats_are_not_let_in(tmp_path, refused, kind):
    Image.fromarray(smooth(4, 4, 3)).save(tmp_path / "a.png", kind)
    with refused(FormatError, tmp_path / "a.png", "expected a PNG file"):
        read_png(tmp_path / "a.png")


def test_a_large_file_and_a_missing_one(tmp_path, refused, little_memory):
    with (tmp_path / "sparse.png").open("wb") as file:
        file.truncate(1 << 40)
    with little_memory(), refused(FormatError, tmp_path / "sparse.png", "1099511627776 bytes, expected at most"):
        read_png(tmp_path / "sparse.png")
    with refused(FileNotFoundError, tmp_path / "none.png"):
        read_png(tmp_path / "none.png")


def test_pillow_is_imported_when_a_picture_is_read():
    program = "import sys; import minipixel; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
