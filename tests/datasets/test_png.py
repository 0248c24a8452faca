import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, PngImagePlugin

from minipixel.datasets import read_png
from minipixel.datasets.pictures import MAX_PIXELS
from minipixel.datasets.png import decode_png
from minipixel.errors import FormatError

rng = np.random.default_rng(0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def header(W=2, H=3, bits=8, kind=0, compression=0, filters=0, interlace=0):
    return b"IHDR", struct.pack(">2I5B", W, H, bits, kind, compression, filters, interlace)


ROWS = b"\0\1\2" * 3
PIXELS = (b"IDAT", zlib.compress(ROWS))
END = (b"IEND", b"")
SOUND = png(header(), PIXELS, END)


def saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def smooth(*shape):
    """Something that makes a PNG writer use all its filters: gradients, edges and noise."""
    values = np.add.outer(np.arange(shape[0]) * 3, np.arange(shape[1]) * 2)[..., None] + np.zeros(shape, int)
    values += (rng.random(shape) < 0.2) * rng.integers(100, size=shape)
    return values.astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 48), (1, 1000), (1000, 1), (1500, 1100)])
@pytest.mark.parametrize("C", [1, 3])
def test_round_trip(tmp_path, size, C):
    """The last one is copied in several blocks."""
    values = smooth(*size, C)
    Image.fromarray(values[..., 0] if C == 1 else values).save(tmp_path / "a.png")
    got = read_png(tmp_path / "a.png")
    assert got.dtype == np.uint8 and got.shape == (*size, C) and np.array_equal(got, values)
    assert got.flags.writeable and got.flags.c_contiguous


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_opaque_alpha_is_left_out(refused, mode):
    values = smooth(9, 8, len(mode))
    values[..., -1] = 255
    assert np.array_equal(decode_png("a.png", saved(Image.fromarray(values))), values[..., :-1])
    values[3, 4, -1] = 254
    with refused(FormatError, "a.png: has transparent pixels, expected an opaque picture"):
        decode_png("a.png", saved(Image.fromarray(values)))


def test_a_palette_is_looked_up(refused):
    image = Image.fromarray(smooth(20, 30, 3)).quantize(40)
    assert np.array_equal(decode_png("a.png", saved(image, bits=8)), np.asarray(image.convert("RGB")))
    few = image.quantize(9)
    assert np.array_equal(decode_png("a.png", saved(few)), np.asarray(few.convert("RGB")))
    content = png(header(kind=3), (b"PLTE", bytes(6)), PIXELS, END)
    with refused(FormatError, "a.png: has a pixel of colour 2, expected 0..1, as its palette"):
        decode_png("a.png", content)


def test_notes_are_passed_over_even_those_that_unpack_to_gigabytes(little_memory):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "me")
    notes.add_itxt("Comment", "x" * 10_000_000, zip=True)
    values = smooth(9, 8, 3)
    content = saved(Image.fromarray(values), pnginfo=notes, gamma=2.2, dpi=(72, 72), icc_profile=b"not one")
    with little_memory():
        assert np.array_equal(decode_png("a.png", content), values)


@pytest.mark.parametrize("cut", range(len(SOUND)))
def test_cut_off_at_every_byte(refused, cut):
    with refused(FormatError, "a.png: ", "expected"):
        decode_png("a.png", SOUND[:cut])


CASES = {
    "another format": (b"GIF89a", "starts with 47 49 46", "a PNG file"),
    "no pixels": (png(header(), END), "order or number", "IHDR, IDAT, IEND"),
    "no header": (png(PIXELS, END), "order or number", "IHDR, IDAT, IEND"),
    "two headers": (png(header(), header(), PIXELS, END), "order or number", "IHDR"),
    "pixels apart": (png(header(), PIXELS, (b"tEXt", b"a\0b"), PIXELS, END), "order or number", "IHDR"),
    "palette after pixels": (png(header(kind=3), PIXELS, (b"PLTE", bytes(9)), END), "order or number", "IHDR"),
    "two palettes": (png(header(kind=3), (b"PLTE", bytes(9)), (b"PLTE", bytes(9)), PIXELS, END), "number", "IHDR"),
    "an end with something in it": (png(header(), PIXELS, (b"IEND", b"x")), "order or number", "IHDR"),
    "an unknown chunk that matters": (png(header(), (b"ABCD", b""), PIXELS, END), "a chunk b'ABCD'", "IHDR, PLTE"),
    "a chunk of no name": (png(header(), (b"\0\0\0\0", b""), PIXELS, END), "a chunk b'\\x00", "IHDR, PLTE"),
    "a transparent colour": (png(header(), (b"tRNS", b"\0\1"), PIXELS, END), "transparent pixels", "opaque"),
    "a long header": (png((b"IHDR", header()[1] + b"\0"), PIXELS, END), "header of 14 bytes", "13"),
    "no width": (png(header(W=0), PIXELS, END), "declares 0x3 pixels", "at least one"),
    "huge": (png(header(W=8001, H=8000), PIXELS, END), "declares 8001x8000", f"at most {MAX_PIXELS}"),
    "huger": (png(header(W=2**32 - 1, H=2**32 - 1), PIXELS, END), "declares 4294967295x", f"at most {MAX_PIXELS}"),
    "more than the file can hold": (png(header(W=8000, H=8000), PIXELS, END), "end too soon or too late", "8000 rows"),
    "16 bits": (png(header(bits=16), PIXELS, END), "end too soon or too late", "3 rows"),
    "a colour type of none": (png(header(kind=5), PIXELS, END), "colour type 5", "grey or colour"),
    "another interlacing": (png(header(interlace=2), PIXELS, END), "interlacing 2", "0, 0, 0 or 1"),
    "3 bits": (png(header(bits=3), PIXELS, END), "3 bits per channel", "grey or colour"),
    "a palette of 16 bits": (png(header(bits=16, kind=3), PIXELS, END), "16 bits per channel", "grey or colour"),
    "a transparent colour of a byte": (png(header(), (b"tRNS", b"\1"), PIXELS, END), "makes no sense", "one that fits"),
    "a transparent colour beside alpha": (
        png(header(kind=4), (b"tRNS", b"\0\1"), PIXELS, END),
        "makes no sense",
        "fits",
    ),
    "interlaced": (png(header(interlace=1), PIXELS, END), "end too soon or too late", "3 rows"),
    "another compression": (png(header(compression=1), PIXELS, END), "compression 1", "0, 0, 0"),
    "a palette for grey": (png(header(), (b"PLTE", bytes(9)), PIXELS, END), "no palette, a bad one", "256 colours"),
    "no palette": (png(header(kind=3), PIXELS, END), "no palette, a bad one", "256 colours"),
    "two thirds of a colour": (png(header(kind=3), (b"PLTE", bytes(8)), PIXELS, END), "a bad one", "256 colours"),
    "one row less": (png(header(H=4), PIXELS, END), "end too soon or too late", "4 rows"),
    "one row more": (png(header(H=2), PIXELS, END), "more rows than the 2", ""),
    "a byte after the stream": (png(header(), (b"IDAT", PIXELS[1] + b"\0"), END), "too soon or too late", "3 rows"),
    "no zlib": (png(header(), (b"IDAT", b"nothing of the kind"), END), "damaged pixels", "zlib"),
    "another sum": (png(header(), (b"IDAT", PIXELS[1][:-1] + b"\0"), END), "damaged pixels", "zlib"),
    "a filter of none": (
        png(header(), (b"IDAT", zlib.compress(b"\5\1\2" * 3)), END),
        "PNG file that Pillow cannot read",
        "a sound one",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_refused(refused, little_memory, case):
    content, got, wanted = CASES[case]
    with little_memory(), refused(FormatError, "a.png: ", got, wanted):
        decode_png("a.png", content)


def test_a_bomb_is_unpacked_no_further_than_the_header_says(refused, little_memory):
    bomb = zlib.compress(bytes(200_000_000), 1)
    with little_memory(), refused(FormatError, "a.png: unpacks to more rows than the 3 that it declares"):
        decode_png("a.png", png(header(), (b"IDAT", bomb), END))


@pytest.mark.parametrize("more", [b"\0", SOUND], ids=["a byte", "a picture"])
def test_what_follows_the_end_is_passed_over(more):
    assert np.array_equal(decode_png("a.png", SOUND + more), decode_png("a.png", SOUND))


def test_pillow_sees_no_notes(monkeypatch):
    """Text, colour profiles and further frames are code that reads what strangers wrote, for nothing."""
    seen, open_ = [], Image.open
    monkeypatch.setattr(Image, "open", lambda file, **options: seen.append(file.getvalue()) or open_(file, **options))
    notes = [(kind, b"x\0\0x") for kind in (b"tEXt", b"iCCP", b"acTL", b"fdAT")]
    assert np.array_equal(decode_png("a.png", png(header(), *notes, PIXELS, *notes, END)), [[[1], [2]]] * 3)
    assert seen == [SOUND]


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(("bits", "kind"), [(b, 0) for b in (1, 2, 4, 8, 16)] + [(b, 3) for b in (1, 2, 4, 8)]
                                           + [(8, 2), (16, 2)])  # fmt: skip
@pytest.mark.parametrize("W", [1, 3, 8, 9])
def test_how_many_bytes_the_rows_take(bits, kind, W, interlaced, refused):
    """One byte too few or too many is refused, what Pillow wants is read: for every kind of row."""
    H, zeros = 5, 0
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, right, down in passes if interlaced else ((0, 0, 1, 1),):
        columns, rows = len(range(x, W, right)), len(range(y, H, down))
        zeros += rows * (1 + (columns * bits * (3 if kind == 2 else 1) + 7) // 8) if columns else 0
    palette = [(b"PLTE", b"\0\0\0")] if kind == 3 else []

    def of(size):
        rows = (b"IDAT", zlib.compress(bytes(size)))
        return png(header(W, H, bits, kind, interlace=interlaced), *palette, rows, END)

    assert np.array_equal(decode_png("a.png", of(zeros)), np.zeros((H, W, 1)))
    for size in (zeros - 1, zeros + 1):
        with refused(FormatError, "a.png: "):
            decode_png("a.png", of(size))


def test_too_many_chunks(refused):
    content = png(header(), *[(b"tEXt", b"")] * 70_000, PIXELS, END)
    with refused(FormatError, "a.png: more than 1844 chunks in 840070 bytes"):
        decode_png("a.png", content)


def test_a_failure_of_pillow_is_a_format_error(monkeypatch, refused):
    def fail(*_):
        raise ValueError("no decoder")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with refused(FormatError, "a.png: got a PNG file that Pillow cannot read (no decoder)"):
        decode_png("a.png", SOUND)


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
