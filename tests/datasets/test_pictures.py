"""Pictures of every format, depth and kind come out as the numbers that they were made of."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from minipixel.datasets.pictures import MAX_PIXELS, decode_picture, read_picture
from minipixel.errors import FormatError

noise = np.random.default_rng(0)


def numbers(*shape, top=255):
    return noise.integers(0, top, size=shape, endpoint=True).astype(np.uint8 if top < 256 else np.uint16)


def saved(pixels, kind="PNG", **options):
    image = (
        pixels
        if isinstance(pixels, Image.Image)
        else Image.fromarray(pixels.squeeze(axis=2) if pixels.shape[2] == 1 else pixels)
    )
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(samples, bits, kind, *extra, interlaced=False):
    """A PNG file of samples (H, W, C) of so many bits, packed by what its specification says, each row unfiltered."""

    def packed(part):
        rows = part.reshape(len(part), -1)
        ones = (rows[..., None] >> np.arange(bits)[::-1]) & 1
        rows = np.packbits(ones.astype(np.uint8).reshape(len(rows), -1), axis=1)
        return np.pad(rows, ((0, 0), (1, 0))).tobytes()

    H, W, _ = samples.shape
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [samples[y::down, x::right] for x, y, right, down in (passes if interlaced else ((0, 0, 1, 1),))]
    rows = zlib.compress(b"".join(packed(part) for part in parts if part.size))
    header = (b"IHDR", struct.pack(">2I5B", W, H, bits, kind, 0, 0, interlaced))
    chunks = header, *extra, (b"IDAT", rows), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
interlaced = pytest.mark.parametrize("interlaced", [False, True])


@interlaced
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("size", [(7, 11), (1, 1), (9, 2)])
def test_png(kind, bits, size, interlaced):
    """1, 2 and 4 bits are stretched to 8, a palette is looked up, 16 bits are exact."""
    if bits not in {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}.get(kind, (8, 16)):
        with pytest.raises(FormatError, match=f"has {bits} bits per channel and colour type {kind}"):
            decode_picture("a.png", png(numbers(*size, CHANNELS[kind], top=2**bits - 1), bits, kind))
        return
    samples = numbers(*size, CHANNELS[kind], top=2**bits - 1)
    samples[0, 0] = 0  # so that alpha is clear, and colours and greys are told apart, wherever there are any
    if CHANNELS[kind] > 2:
        samples[0, 0, 0] = 1
    palette = numbers(2**bits, 3) if kind == PALETTE else None
    if palette is not None:
        palette[0] = 1, 2, 3
    extra = [] if palette is None else [(b"PLTE", palette.tobytes())]
    wanted = samples if bits >= 8 else samples * (255 // (2**bits - 1))
    wanted = palette[samples[..., 0]] if palette is not None else wanted
    got = decode_picture("a.png", png(samples, bits, kind, *extra, interlaced=interlaced))
    assert got.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert np.array_equal(got, wanted) and got.flags.c_contiguous and got.flags.writeable


@interlaced
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("kind", [GREY, COLOUR, PALETTE])
def test_png_with_one_transparent_colour(kind, bits, interlaced):
    """tRNS: of the pixels of that very colour, and of no other, alpha is 0; of a palette each colour has its own."""
    if bits not in {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}.get(kind, (8, 16)):
        return
    top = 2**bits - 1
    samples = numbers(6, 10, CHANNELS[kind], top=top)
    samples[0, 0], samples[0, 1], samples[3, 3] = 1, 0, 1
    stretch, opaque = (1, 2**bits - 1) if bits >= 8 else (255 // top, 255)
    if kind == PALETTE:
        palette, alpha = numbers(2**bits, 3), np.full(2**bits, 255, np.uint8)
        palette[0], alpha[:2] = (1, 2, 3), (40, 0)
        extra = (b"PLTE", palette.tobytes()), (b"tRNS", alpha[:2].tobytes())  # those that are left out are opaque
        wanted = np.concatenate([palette, alpha[:, None]], axis=1)[samples[..., 0]]
        got = decode_picture("a.png", png(samples, bits, kind, *extra, interlaced=interlaced))
    else:
        clear = (samples == 1).all(axis=2, keepdims=True)
        wanted = np.concatenate([samples * stretch, np.where(clear, 0, opaque)], axis=2)
        extra = (b"tRNS", struct.pack(f">{CHANNELS[kind]}H", *[1] * CHANNELS[kind]))
        got = decode_picture("a.png", png(samples, bits, kind, extra, interlaced=interlaced))
    wanted = np.concatenate([wanted[..., :1], wanted[..., -1:]], axis=2) if kind == GREY else wanted
    assert np.array_equal(got, wanted)


def plain(pixels):
    """What `read_picture` says it leaves out: colours that are all grey."""
    grey = pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all()
    return pixels[..., :1] if grey else pixels


LOSSLESS = [("BMP", {}), ("GIF", {}), ("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
            ("TIFF", {"compression": "tiff_deflate"}), ("WEBP", {"lossless": True})]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
@pytest.mark.parametrize("C", [1, 3])
def test_lossless_formats(kind, options, C, tmp_path):
    pixels = numbers(7, 9, C)
    (tmp_path / "no.extension").write_bytes(saved(pixels, kind, **options))
    assert np.array_equal(read_picture(tmp_path / "no.extension"), plain(pixels))


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_that_is_not_opaque_stays(kind, options):
    pixels = numbers(7, 9, 4)
    assert np.array_equal(decode_picture("a", saved(pixels, kind, **options)), pixels)
    pixels[..., 3] = 255
    assert np.array_equal(decode_picture("a", saved(pixels, kind, **options)), pixels[..., :3])


@pytest.mark.parametrize("C", [1, 3])
def test_jpeg(C):
    """Nearly what was saved, since JPEG loses a little; a smooth picture loses less than two levels."""
    slope = np.add.outer(np.arange(16) * 4, np.arange(24) * 3)[..., None] + np.arange(C) * 20
    got = decode_picture("a", saved(slope.astype(np.uint8), "JPEG", quality=100, subsampling=0))
    assert got.dtype == np.uint8 and got.shape == (16, 24, C) and np.abs(got - slope.astype(int)).max() <= 3


def test_jpeg_of_cmyk():
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:8, :, 1:3], ink[8:, :, 3] = 255, 128  # magenta and yellow are red; half of black is grey
    picture = Image.frombytes("CMYK", (16, 16), ink.tobytes())
    got = decode_picture("a", saved(picture, "JPEG", quality=100, subsampling=0)).astype(int)
    assert np.abs(got[2:6] - (255, 0, 0)).max() <= 4 and np.abs(got[10:14] - 127).max() <= 4


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_says_what_is_up(kind, turned):
    """Rows and columns 0 of what is stored are, by EXIF's table: 1 top left, 2 top right, ... 6 right top, ..."""
    upright = np.zeros((16, 24, 1), np.uint8)
    upright[:8, :8], upright[:8, 8:16] = 250, 120
    stored = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
              6: np.rot90, 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a, -1)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turned
    content = saved(np.ascontiguousarray(stored[turned](upright)), kind, exif=exif, quality=100)
    got = decode_picture("a", content).astype(int)[..., :1]
    assert got.shape == upright.shape and np.abs(got - upright).max() <= 8


def test_an_exif_that_makes_no_sense_turns_nothing():
    pixels = numbers(3, 4, 3)
    for content in (b"", b"MM\0*", b"II*\0\xff\xff\xff\xff", noise.bytes(40)):
        assert np.array_equal(decode_picture("a", png(pixels, 8, COLOUR, (b"eXIf", content))), pixels)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_of_several_frames(kind):
    """Also where the later ones are of another size."""
    first, second = numbers(6, 7, 3), numbers(6, 7, 3)
    options = {"lossless": True} if kind == "WEBP" else {}
    alone = decode_picture("a", saved(first, kind, **options))
    many = saved(first, kind, save_all=True, append_images=[Image.fromarray(second)], **options)
    assert np.array_equal(decode_picture("a", many), alone) and np.array_equal(alone, first)


def test_a_transparent_gif():
    image = Image.frombytes("P", (5, 4), numbers(4, 5, 1, top=3).tobytes())
    image.putpalette(list(range(12)))
    got = decode_picture("a", saved(image, "GIF", transparency=2))
    places = np.asarray(image)
    assert got.shape == (4, 5, 4) and np.array_equal(got[..., 3] == 0, places == 2)
    assert np.array_equal(got[places != 2][:, 0], 3 * places[places != 2])


def test_tiff_of_16_bits(refused):
    grey = numbers(5, 6, 1, top=65535)
    assert np.array_equal(decode_picture("a", saved(grey, "TIFF")), grey)
    big = Image.fromarray(grey.squeeze(2).astype(">u2"))
    assert np.array_equal(decode_picture("a", saved(big, "TIFF")), grey)


def tiff(bits, kind, samples, W, H, data):
    """A TIFF file without compression: what Pillow writes none of."""
    tags = [(256, 4, W), (257, 4, H), (259, 3, 1), (262, 3, kind), (273, 4, 0), (277, 3, samples), (278, 4, H),
            (279, 4, len(data)), (284, 3, 1)]  # fmt: skip
    end = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = [
        struct.pack("<HHII", tag, form, 1, value if tag != 273 else end + 2 * samples) for tag, form, value in tags
    ]
    entries.append(struct.pack("<HHII", 258, 3, samples, end if samples > 2 else bits))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    return head + struct.pack(f"<{samples}H", *[bits] * samples) + data


def test_what_has_more_than_pillow_keeps_is_refused(refused):
    """16 bits of colour in TIFF, whole numbers of 32 bits, floats: one line, and a way out."""
    content = tiff(16, 2, 3, 4, 3, numbers(3, 4, 3, top=65535).tobytes())
    with refused(FormatError, "a: has colours of 16 bits in TIFF, of which Pillow keeps 8, expected PNG for them"):
        decode_picture("a", content)
    for dtype, what in ((np.float32, "floats"), (np.int32, "whole numbers of more than 16 bits")):
        content = saved(Image.fromarray(np.zeros((3, 4), dtype)), "TIFF")
        with refused(FormatError, f"a: has {what}, expected 1 to 16 bits per channel; scale it to 0..65535"):
            decode_picture("a", content)


def huge(kind):
    """A file that declares 60,000 x 60,000 pixels, and has none."""
    content = bytearray(saved(numbers(8, 8, 3), kind))
    if kind == "JPEG":
        place = content.index(b"\xff\xc0") + 5
        content[place : place + 4] = struct.pack(">2H", 60_000, 60_000)
    elif kind == "GIF":
        content[6:10] = struct.pack("<2H", 60_000, 60_000)
    elif kind == "BMP":
        content[18:26] = struct.pack("<2i", 60_000, 60_000)
    elif kind == "TIFF":
        return tiff(8, 2, 3, 60_000, 60_000, b"abc")
    elif kind == "WEBP":
        content = bytearray(
            b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + (59_999).to_bytes(3, "little") * 2 + bytes(4)
        )
    else:
        return png(np.zeros((1, 1, 3), np.uint8), 8, COLOUR).replace(
            struct.pack(">2I", 1, 1), struct.pack(">2I", 60_000, 60_000)
        )
    return bytes(content)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_what_is_too_large_is_refused_before_it_is_decoded(kind, refused, little_memory, monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("was decoded"))
    with little_memory(), refused(FormatError, "a: "):
        decode_picture("a", huge(kind))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "TIFF", "WEBP"])
def test_our_limit_holds_below_that_of_pillow(kind, refused, monkeypatch):
    monkeypatch.setattr("minipixel.datasets.pictures.MAX_PIXELS", 50)
    with refused(FormatError, "a: declares 8x7 pixels, expected at least one and at most 50"):
        decode_picture("a", saved(numbers(7, 8, 3), kind))
    assert MAX_PIXELS == 64_000_000


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_half_a_file_is_refused(kind, refused):
    content = saved(numbers(30, 40, 3), kind)
    for part in (0.1, 0.3, 0.5, 0.7):
        with refused(FormatError, "a: "):
            decode_picture("a", content[: int(len(content) * part)])


@pytest.mark.parametrize("content", [b"", b"\0", b"RIFF\0\0\0\0WAVE", b"%PDF-1.4", b"P6 1 1 255 abc", b"<svg/>"])
def test_other_files_are_none(content, refused):
    """Whatever else Pillow can read is not let in."""
    with refused(FormatError, "a: starts with ", "expected a PNG, JPEG, GIF, BMP, WEBP or TIFF file"):
        decode_picture("a", content)
