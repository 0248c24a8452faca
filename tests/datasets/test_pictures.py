"""Pictures of every format and kind come out as their numbers, or are refused in one line."""

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from picture_files import chunk, png16, saved
from PIL import Image

from minipixel.datasets import read_picture
from minipixel.datasets.pictures import FORMATS, decode_picture, format_of
from minipixel.errors import FormatError

rng = np.random.default_rng(0)
COLOURS = rng.integers(256, size=(6, 5, 3), dtype=np.uint8)
GREY = COLOURS[..., :1]
ALPHA = rng.integers(256, size=(6, 5, 4), dtype=np.uint8)
DEEP = rng.integers(65536, size=(6, 5, 4), dtype=np.uint16)
PALETTE = Image.fromarray(COLOURS).quantize(7)
LOOKED_UP = np.asarray(PALETTE.convert("RGB"))


def bits(values, depth):
    """Grey values 0..2**depth-1, (H, W), as a PNG of that depth."""
    image = Image.new("P", values.shape[::-1])
    image.putdata(values.ravel().tolist())
    image.putpalette([255 * i // (2**depth - 1) for i in range(2**depth) for _ in range(3)])
    return saved(image, "PNG", bits=depth)


def clear_palette(mode):
    image = PALETTE.copy()
    return saved(image, mode, transparency=image.getpixel((2, 1)))


def with_clear(colours):
    alpha = np.where(np.asarray(PALETTE) == PALETTE.getpixel((2, 1)), 0, 255).astype(np.uint8)
    return np.concatenate([colours, alpha[..., None]], axis=2)


BINARY = rng.integers(2, size=(6, 5))
FOUR = rng.integers(4, size=(6, 5))
SIXTEEN = rng.integers(16, size=(6, 5))
CMYK = Image.fromarray(rng.integers(256, size=(6, 5, 4), dtype=np.uint8), "CMYK")

# What is in the file, and what is read from it.
SOUND = {
    "PNG, 1 bit": (saved(Image.fromarray(BINARY.astype(bool)), "PNG"), 255 * BINARY[..., None]),
    "PNG, 2 bits": (bits(FOUR, 2), 85 * FOUR[..., None]),
    "PNG, 4 bits": (bits(SIXTEEN, 4), 17 * SIXTEEN[..., None]),
    "PNG, grey": (saved(GREY[..., 0], "PNG"), GREY),
    "PNG, colours": (saved(COLOURS, "PNG"), COLOURS),
    "PNG, colours that are grey": (saved(np.repeat(GREY, 3, axis=2), "PNG"), GREY),
    "PNG, palette": (saved(PALETTE, "PNG"), LOOKED_UP),
    "PNG, palette with a clear colour": (clear_palette("PNG"), with_clear(LOOKED_UP)),
    "PNG, grey and alpha": (saved(ALPHA[..., :2], "PNG"), ALPHA[..., :2]),
    "PNG, colours and alpha": (saved(ALPHA, "PNG"), ALPHA),
    "PNG, 16 bits, grey": (png16(DEEP[..., :1]), DEEP[..., :1]),
    "PNG, 16 bits, grey and alpha": (png16(DEEP[..., :2]), DEEP[..., :2]),
    "PNG, 16 bits, colours": (png16(DEEP[..., :3]), DEEP[..., :3]),
    "PNG, 16 bits, colours and alpha": (png16(DEEP), DEEP),
    "GIF": (saved(PALETTE, "GIF"), LOOKED_UP),
    "GIF with a clear colour": (clear_palette("GIF"), None),
    "BMP": (saved(COLOURS, "BMP"), COLOURS),
    "BMP, grey": (saved(GREY[..., 0], "BMP"), GREY),
    "BMP, 1 bit": (saved(Image.fromarray(BINARY.astype(bool)), "BMP"), 255 * BINARY[..., None]),
    "WebP": (saved(COLOURS, "WEBP", lossless=True), COLOURS),
    "WebP with alpha": (saved(ALPHA | np.uint8(1), "WEBP", lossless=True, exact=True), ALPHA | np.uint8(1)),
    "JPEG, grey": (saved(np.full((8, 8), 77, np.uint8), "JPEG"), np.full((8, 8, 1), 77)),
    "JPEG, CMYK": (saved(CMYK, "JPEG", quality=100), None),
    "TIFF": (saved(COLOURS, "TIFF"), COLOURS),
    "TIFF, packed": (saved(COLOURS, "TIFF", compression="tiff_adobe_deflate"), COLOURS),
    "TIFF, palette": (saved(PALETTE, "TIFF"), LOOKED_UP),
    "TIFF, CMYK": (saved(CMYK, "TIFF"), np.asarray(CMYK.convert("RGB"))),
    "TIFF, 16 bits": (saved(Image.fromarray(DEEP[..., 0]), "TIFF"), DEEP[..., :1]),
    "TIFF, alpha": (saved(ALPHA, "TIFF"), ALPHA),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_what_is_read(tmp_path, name):
    content, wanted = SOUND[name]
    (tmp_path / "a").write_bytes(content)
    got = read_picture(tmp_path / "a")
    assert got.dtype == (np.uint16 if "16 bits" in name else np.uint8) and got.ndim == 3
    assert got.flags.writeable and got.flags.c_contiguous
    if wanted is not None:
        np.testing.assert_array_equal(got, wanted)
    elif "GIF" in name:  # the hidden colour of what is clear means nothing
        np.testing.assert_array_equal(got[..., 3], with_clear(LOOKED_UP)[..., 3])
        np.testing.assert_array_equal(got[got[..., 3] > 0][:, :3], LOOKED_UP[got[..., 3] > 0])
    else:
        assert np.abs(got.astype(int) - np.asarray(CMYK.convert("RGB")).astype(int)).mean() < 12


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("step", [1])
def test_cut_off_anywhere(name, step):
    """Refused, or, where all pixels are there, as the whole file."""
    content, _ = SOUND[name]
    whole, refused = decode_picture("a", content), 0
    for cut in range(0, len(content), step):
        try:
            np.testing.assert_array_equal(decode_picture("a", content[:cut]), whole)
        except FormatError as error:
            assert str(error).startswith("a: ") and str(error).isprintable() and "0x" not in str(error)
            refused += 1
    assert refused > 0.8 * len(content)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_pictures_stand_upright(kind, orientation):
    """As Pillow's own exif_transpose has it."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(COLOURS, kind, exif=exif, **{"lossless": True} if kind == "WEBP" else {})
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB"))
    np.testing.assert_array_equal(decode_picture("a", content), wanted)
    if orientation == 6:
        np.testing.assert_array_equal(wanted, np.rot90(COLOURS, -1))


def test_a_broken_orientation_is_passed_over():
    exif = Image.Exif()
    exif[0x0112] = 9
    np.testing.assert_array_equal(decode_picture("a", saved(COLOURS, "PNG", exif=exif)), COLOURS)
    np.testing.assert_array_equal(decode_picture("a", saved(COLOURS, "PNG", exif=b"Exif\0\0junk")), COLOURS)


def test_a_clear_colour_of_16_bits_and_of_2(monkeypatch):
    """It is one colour to the last bit; of fewer than 8 bits it is stretched as the pixels are."""
    note = (b"tRNS", DEEP[2, 3, :3].astype(">u2").tobytes())
    alpha = decode_picture("a", png16(DEEP[..., :3], note))[..., 3]
    assert np.argwhere(alpha == 0).tolist() == [[2, 3]] and set(alpha.ravel()) == {0, 65535}
    alpha = decode_picture("a", png16(DEEP[..., :1], (b"tRNS", DEEP[2, 3, :1].astype(">u2").tobytes())))[..., 1]
    assert np.argwhere(alpha == 0).tolist() == [[2, 3]]
    rows = b"\0\x1b" * 2  # two rows of 0, 1, 2, 3
    parts = [(b"IHDR", struct.pack(">2I5B", 4, 2, 2, 0, 0, 0, 0)), (b"tRNS", b"\0\2"), (b"IDAT", zlib.compress(rows))]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in [*parts, (b"IEND", b"")])
    got = decode_picture("a", content)
    assert got[0, :, 0].tolist() == [0, 85, 170, 255] and got[0, :, 1].tolist() == [255, 255, 0, 255]


def test_interlaced_16_bits(tmp_path):
    """As Pillow reads them, in their upper bytes; Adam7 with all of its passes, by hand."""
    values = rng.integers(65536, size=(9, 11, 3), dtype=np.uint16)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [values[r::down, c::across] for r, c, down, across in starts]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes if part.size for row in part)
    parts = [(b"IHDR", struct.pack(">2I5B", 11, 9, 16, 2, 0, 0, 1)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    np.testing.assert_array_equal(decode_picture("a", content), values)


def test_of_several_frames_it_is_the_first():
    frames = [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in (10, 200)]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert set(decode_picture("a", content).ravel()) <= set(range(8, 13)), kind


def tiff16():
    """Colours of 16 bits in TIFF, which Pillow cannot write: one strip, its tags after it."""
    tags = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14)]
    tags += [(277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, 24)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = 14 + 24
    return b"II*\0" + struct.pack("<I", start) + struct.pack("<3H", 16, 16, 16) + bytes(24) + struct.pack(
        "<H", len(tags)
    ) + entries + bytes(4)  # fmt: skip


BAD = {
    "nothing": (b"", "starts with nothing, expected a PNG, JPEG, GIF, BMP, WEBP or TIFF file"),
    "text": (b"<html>", "starts with 3c 68 74 6d 6c 3e, expected"),
    "another RIFF": (b"RIFF\0\0\0\0WAVEfmt ", "starts with 52 49 46 46"),
    "floats": (saved(Image.fromarray(rng.random((3, 3)).astype(np.float32)), "TIFF"), "has floats, expected 1 to 16"),
    "32 bits": (saved(Image.fromarray(np.full((3, 3), 70000, np.int32)), "TIFF"), "whole numbers of more than 16 bits"),
    "16 bits of colour in TIFF": (tiff16(), "has colours of 16 bits in TIFF, of which Pillow keeps 8, expected PNG"),
    "a BMP that is too large": (b"BM" + struct.pack("<4I2i2H2I2i2I", 0, 0, 54, 40, 40000, 2000, 1, 24, *[0] * 6),
                                "declares 40000x2000 pixels, expected at least one and at most 64000000"),
    "a GIF that is too large": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0,", "a GIF file that Pillow"),
    "a WebP that is too large": (b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + bytes(8),
                                 "declares 16384x16384 pixels"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(refused, little_memory, case):
    content, said = BAD[case]
    with little_memory(), refused(FormatError, "a: ", said):
        decode_picture("a", content)


def test_the_table_of_signatures():
    for kind in FORMATS:
        assert format_of(saved(COLOURS, kind)) == kind
    assert format_of(b"") is None and format_of(b"RIFF1234WAVE") is None


PROGRAM = """
import io, resource, sys
import numpy as np
from PIL import Image
from minipixel.datasets.pictures import decode_picture
from minipixel.errors import FormatError
content = sys.stdin.buffer.read()
np.asarray(Image.new("L", (9, 9)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_picture("a", content)
except FormatError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts KB on Linux")
@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "JPEG"])
def test_memory_of_a_picture_that_is_too_large(kind):
    """That of Pillow, too, which Python does not count: before it is known how large it is, next to nothing."""
    side = 8100 if kind != "WEBP" else 8001
    content = saved(Image.new("L" if kind != "WEBP" else "RGB", (side, side)), kind)
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=content, capture_output=True, check=True)
    said, grown = done.stdout.decode().splitlines()
    assert f"declares {side}x{side} pixels" in said and int(grown) < 40_000 + len(content) // 500
