"""Small sound files of every format, where their fields are, and mutations that know the format.

A knowing mutation puts lengths and check sums right again, so that what it did is met by the checks behind them.
"""

import functools
import gzip
import io
import itertools
import math
import random
import struct
import warnings
import zipfile
import zlib

import numpy as np
from fuzz_mutations import NUMBERS, Field, blindly, flip, overwrite
from PIL import Image

noise = np.random.default_rng(0)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IDX = [idx(noise.integers(256, size=shape, dtype=np.uint8)) for shape in [(3, 4, 5), (2, 7, 3), (0, 4, 4)]]
IDX_FIELDS = [Field(2, 1), Field(3, 1), Field(4, 4), Field(8, 4), Field(12, 4)]


def idx_again(rng, content):
    """Other sizes, of all dimensions at once, and as many numbers as these ask for if those are few."""
    shape = [rng.choice([0, 1, 2, 3, 4, 5, rng.choice(NUMBERS) % 2**32]) for _ in range(3)]
    size = math.prod(shape) if math.prod(shape) < 1000 else rng.choice([0, 60, 1000])
    return content[:4] + struct.pack(">3I", *shape) + rng.randbytes(size)


GZIPS = [gzip.compress(content, 9 - 9 * (n == 1), mtime=0) for n, content in enumerate(IDX)]
GZIP_FIELDS = [Field(2, 1), Field(3, 1), Field(4, 4, "little")]


def gzip_again(rng, content):
    """What is inside is broken, the gzip around it is sound; or there are several, one after the other."""
    inside = gzip.decompress(content)
    changed = blindly(rng, inside, IDX_FIELDS) if rng.random() < 0.5 else idx_again(rng, inside)
    place = rng.randrange(len(changed) + 1)
    parts = rng.choice([[changed], [changed], [inside[:place], inside[place:]], [inside, b""], [changed, bytes(9)]])
    return b"".join(gzip.compress(part, rng.choice([0, 6]), mtime=0) for part in parts)


def npy(array, version=(1, 0)):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version)
    return buffer.getvalue()


ARRAYS = {
    "a": noise.integers(256, size=(12, 15), dtype=np.uint8),
    "b": np.array(["cat", "é"]),
    "c": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3, order="F").T,
    "d": np.arange(4, dtype=">i8").reshape(2, 1, 2),
    "e": np.array(2.5),
}
NPYS = [npy(array, (2, 0) if name == "d" else (1, 0)) for name, array in ARRAYS.items()]
NPY_FIELDS = [Field(6, 1), Field(7, 1), Field(8, 2, "little"), Field(8, 4, "little")]
BITMAPS = [npy(noise.integers(256, size=(N, 784), dtype=np.uint8)) for N in (2, 1)]

DESCRS = ["|u1", "<u1", "<i4", ">f8", "<f2", "<U1", "<U3", ">U2", "|O", "|b1", "<c8", "|V4", "|S4", "<M8[s]", "O", ""]
VALUES = [
    "True", "False", "1", "None", "()", "(3,)", "(15, 12)", "(12, 15, 1)", "(-1,)", "(True,)", "(3", "((3,),)", "[3]",
    "(0, 18446744073709551616)", "(1.5,)", "('x',)", "{}", "exit()", "[('x', '<i4')]", "1e400", "(2**40,)",
]  # fmt: skip


def npy_again(rng, content):
    """Another header, of the length that it says it has."""
    size = 2 if content[6] == 1 else 4
    length = int.from_bytes(content[8 : 8 + size], "little")
    entries = [list(entry) for entry in eval(content[8 + size : 8 + size + length]).items()]
    for entry in entries:
        entry[1] = repr(entry[1])
    for _ in range(rng.choice([1, 1, 2])):
        entry = rng.choice(entries)
        what = rng.randrange(6)
        if what == 0:
            entry[1] = repr(rng.choice(DESCRS))
        elif what == 1:
            entry[1] = rng.choice(VALUES)
        elif what == 2:
            entries.insert(rng.randrange(len(entries) + 1), [entry[0], rng.choice([entry[1], *VALUES])])
        elif what == 3:
            entry[0] = rng.choice(["descr", "fortran_order", "shape", "", "x", "__class__"])
        elif what == 4 and len(entries) > 1:
            entries.remove(entry)
        else:
            shape = [rng.choice([0, 1, 12, 15, 180, rng.choice(NUMBERS)]) for _ in range(rng.choice([0, 1, 2, 3, 70]))]
            entry[1] = f"({''.join(f'{n}, ' for n in shape)})"
    rng.random() < 0.3 and rng.shuffle(entries)
    text = "{" + "".join(f"{key!r}: {value}, " for key, value in entries) + "}"
    text += rng.choice([" " * 20 + "\n", "\n", "", "#", " " * 2000]) if rng.random() < 0.2 else "\n"
    if rng.random() < 0.1:
        text = rng.choice(["(" * 300, "-" * 500 + "1", "{'a': " * 90, "'\\d'", "1or 2", "{}", "\0"])
    return (
        content[:8]
        + (len(text) % 256**size).to_bytes(size, "little")
        + text.encode("latin-1")
        + content[8 + size + length :]
    )


def npz(method, members):
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # about a name that comes twice, on purpose
        for name, content in members:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            archive.writestr(entry, content)
    return buffer.getvalue()


MEMBERS = [("a.npy", NPYS[0]), ("b.npy", NPYS[1])]
NPZS = [npz(method, MEMBERS) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]


@functools.cache
def npz_fields(content):
    """The numbers of the zip directory, of the local headers and of the record at the end."""
    fields = []
    for magic, sizes in {b"PK\3\4": (2, 2, 2, 2, 2, 4, 4, 4, 2, 2), b"PK\5\6": (2, 2, 2, 2, 4, 4, 2),
                         b"PK\1\2": (2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4)}.items():  # fmt: skip
        start = content.find(magic)
        while start >= 0:
            place = start + 4
            for size in sizes:
                fields.append(Field(place, size, "little"))
                place += size
            start = content.find(magic, start + 4)
    return fields


def npz_again(rng, content):
    """A broken member in a sound archive, one twice, one too few, one renamed, something before the archive."""
    members = list(MEMBERS)
    place = rng.randrange(2)
    name, inside = members[place]
    what = rng.randrange(5)
    if what < 3:
        members[place] = (name, npy_again(rng, inside) if what else blindly(rng, inside, NPY_FIELDS))
    elif what == 3:
        members[place] = (rng.choice(["../a.npy", "a.npy/", "/a.npy", "A.npy", "a", "a.npy\0.npy", "b.npy"]), inside)
    else:
        more = [("c.npy", b"PK"), (name, inside), ("a.npy", NPYS[2])]
        members = rng.choice([members[:1], members[1:], [*members, rng.choice(more)], members[::-1], []])
    return npz(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), members)


CIFARS = [
    b"".join(bytes([label]) + noise.integers(256, size=3072, dtype=np.uint8).tobytes() for label in labels)
    for labels in ([3, 9], [0])
]
CIFAR_FIELDS = [Field(0, 1), Field(3073, 1)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def picture(W, H, kind, pieces=1, *, extra=()):
    C = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    rows = noise.integers(256, size=(H, 1 + W * C), dtype=np.uint8)
    rows[:, 0] = np.arange(H) % 5
    if kind in (3, 4, 6):
        rows[:, 0] = 0  # so that alpha and places in the palette are what is written here
        rows[:, C::C] = 255 if kind != 3 else rows[:, 1:] % 7
    packed = zlib.compress(rows.tobytes())
    cuts = [len(packed) * i // pieces for i in range(pieces + 1)]
    idats = [(b"IDAT", packed[a:b]) for a, b in itertools.pairwise(cuts)]
    palette = [(b"PLTE", bytes(range(21)))] if kind == 3 else []
    return png([(b"IHDR", struct.pack(">2I5B", W, H, 8, kind, 0, 0, 0)), *extra, *palette, *idats, (b"IEND", b"")])


def depths(W, H, bits, kind, size, interlaced=0):
    """Rows of so many bytes, of which those that name a filter are 0 or 1, as all are."""
    rows = zlib.compress(noise.integers(2, size=size, dtype=np.uint8).tobytes())
    header = struct.pack(">2I5B", W, H, bits, kind, 0, 0, interlaced)
    return png([(b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")])


PNGS = [picture(5, 6, 0), picture(4, 6, 2, 3, extra=[(b"tEXt", b"Title\0me")]), picture(3, 2, 3), picture(2, 3, 4, 2),
        picture(3, 2, 6), depths(5, 6, 4, 0, 6 * 4), depths(3, 2, 16, 2, 2 * 19),
        depths(2, 2, 8, 0, 7, interlaced=1)]  # fmt: skip
PNG_FIELDS = [Field(8, 4), Field(16, 4), Field(20, 4), *(Field(place, 1) for place in range(24, 29)), Field(33, 4)]


def png_again(rng, content):
    """Chunks that are broken, swapped, doubled, missing or new, with lengths and CRCs that are right."""
    place, chunks = 8, []
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    n = rng.randrange(len(chunks))
    kind, data = chunks[n]
    what = rng.randrange(10)
    if what == 0:
        chunks[n] = (
            kind,
            blindly(rng, data or b"\0", [Field(i, s) for i, s in [(0, 4), (4, 4), (8, 1), (9, 1), (12, 1)]]),
        )
    elif what == 1:
        chunks[n] = (
            rng.choice([b"IDAT", b"IEND", b"PLTE", b"tRNS", b"IHDR", b"acTL", b"ABCD", b"gAMA", b"\0\0\0\0"]),
            data,
        )
    elif what == 2:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[n])
    elif what == 3:
        del chunks[n]
    elif what == 4:
        rng.shuffle(chunks)
    elif what == 5:
        header = bytearray(chunks[0][1])
        header[rng.choice([3, 7, 8, 9, 10, 11, 12])] = rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 255])
        chunks[0] = (b"IHDR", bytes(header))
    elif what == 6:
        extra = (
            rng.choice([b"tRNS", b"PLTE", b"zTXt", b"iCCP", b"eXIf", b"IDAT"]),
            rng.randbytes(rng.choice([0, 2, 3, 6])),
        )
        chunks.insert(rng.randrange(len(chunks) + 1), extra)
    else:  # other rows in a sound zlib stream
        first = next(i for i, (kind, _) in enumerate(chunks) if kind == b"IDAT")
        rows = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
        rows = rng.choice([flip, flip, overwrite, blindly])(rng, rows, ())
        new = zlib.compress(rows, rng.choice([0, 6])) + rng.choice([b"", b"", b"", b"", b"\0"])
        chunks = [c for c in chunks if c[0] != b"IDAT"]
        chunks.insert(first, (b"IDAT", new))
    return png(chunks)


def saved(kind, C=3, **options):
    file = io.BytesIO()
    values = noise.integers(256, size=(6, 5, C), dtype=np.uint8)
    Image.fromarray(values.squeeze()).save(file, kind, **options)
    return file.getvalue()


_TURNED = Image.Exif()
_TURNED[0x0112] = 6
PICTURES = {
    "JPEG": [saved("JPEG"), saved("JPEG", 1, exif=_TURNED), saved("JPEG", progressive=True)],
    "GIF": [saved("GIF"), saved("GIF", save_all=True, append_images=[Image.new("L", (5, 6))], transparency=3)],
    "BMP": [saved("BMP"), saved("BMP", 1)],
    "WebP": [saved("WEBP"), saved("WEBP", 4, lossless=True, exif=_TURNED)],
    "TIFF": [saved("TIFF"), saved("TIFF", 1, compression="tiff_lzw"), saved("TIFF", 4, compression="tiff_deflate")],
}


def broken(rng: random.Random, content: bytes, fields, again) -> bytes:
    """A mutation that differs from the file: blind, or by one that knows the format."""
    changed = content
    while changed == content:
        changed = again(rng, content) if again and rng.random() < 0.5 else blindly(rng, content, fields)
    return changed
