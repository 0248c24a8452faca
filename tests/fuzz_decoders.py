"""What the bytes of a file say, by decoders that share nothing with minipixel's: each a few lines, with no checks.

They are asked only about files that minipixel accepts, and an exception of theirs is then a failed test.
"""

import contextlib
import gzip
import hashlib
import io
import json
import tomllib
import warnings
import zlib

import numpy as np
import safetensors.numpy
from PIL import Image


def idx(content):
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    dims = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dims)]
    return {"": np.array(list(content[4 + 4 * dims :]), np.uint8).reshape(shape)}


def npy(content):
    stream = io.BytesIO(content)
    array = np.load(stream, allow_pickle=False)
    assert not stream.read(), "numbers are left over"
    return {"": array}


def npz(content):
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in ("a", "b")}


def bitmaps(content):
    return {"": npy(content)[""].reshape(-1, 28, 28, 1)}


def cifar10(content):
    records = [content[i : i + 3073] for i in range(0, len(content), 3073)]
    images = np.zeros((len(records), 32, 32, 3), np.uint8)
    for n, record in enumerate(records):
        assert len(record) == 3073 and record[0] < 10
        for colour in range(3):
            images[n, :, :, colour] = np.reshape(list(record[1 + 1024 * colour : 1025 + 1024 * colour]), (32, 32))
    return {"images": images, "labels": np.array([record[0] for record in records], np.int64)}


def png(content):
    """Alpha that is opaque and colours that are all grey are left out, and 16 bits rounded to 8."""
    place, chunks = 8, []
    while not chunks or chunks[-1][0] != b"IEND":
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        assert zlib.crc32(b"".join(chunks[-1])).to_bytes(4, "big") == content[place + 8 + length : place + 12 + length]
        place += 12 + length
    header = chunks[0][1]
    W, H, bits, kind = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), header[8], header[9]
    packed = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    C = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    samples = np.zeros((H, W, C), int)
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, right, down in steps if header[12] else ((0, 0, 1, 1),):
        part = samples[y::down, x::right]
        stride, back = -(-part.shape[1] * C * bits // 8), max(1, C * bits // 8)
        above = [0] * stride
        for r in range(len(part) if part.size else 0):
            used, *row = packed[: 1 + stride]
            packed = packed[1 + stride :]
            for i in range(stride):
                left, up = row[i - back] if i >= back else 0, above[i]
                corner = above[i - back] if i >= back else 0
                near = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
                row[i] = (row[i] + [0, left, up, (left + up) // 2, near][used]) % 256
            above, text = row, "".join(f"{byte:08b}" for byte in row)
            part[r] = np.reshape([int(text[i * bits : i * bits + bits], 2) for i in range(part[r].size)], part[r].shape)
    assert not packed, "rows are left over"
    clear = [data for name, data in chunks if name == b"tRNS"]
    alpha = np.ones((H, W), bool) if kind not in (4, 6) else samples[..., -1] == 2**bits - 1
    if kind == 3:
        palette = next(data for name, data in chunks if name == b"PLTE")
        alpha = [[(clear[0] if clear else b"")[i : i + 1] in (b"", b"\xff") for i in row] for row in samples[..., 0]]
        samples = np.array([[list(palette[3 * i : 3 * i + 3]) for i in row] for row in samples[..., 0]])
    elif clear:
        tone = [int.from_bytes(clear[0][2 * c : 2 * c + 2], "big") for c in range(C)]
        alpha = (samples != tone).any(axis=2)
    assert np.all(alpha), "a transparent pixel"
    pixels = samples[..., : 3 if samples.shape[2] > 2 else 1]
    if kind != 3:
        pixels = (pixels * 255 + (2**bits - 1) // 2) // (2**bits - 1)
    colours = samples[..., : pixels.shape[2]]  # of 16 bits, before they are rounded
    grey = bool((colours == colours[..., :1]).all())
    exif = Image.Exif()

    def noted():
        exif.load(next(data for name, data in chunks if name == b"eXIf"))
        return exif

    return {"": turned(pixels[..., :1] if grey else pixels, noted).astype(np.uint8)}


def turned(pixels, read_exif):
    """As EXIF says, by Pillow's reader of it; a note that makes no sense turns nothing."""
    with contextlib.suppress(Exception):
        up = {2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
              6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}  # fmt: skip
        return up[read_exif()[0x0112]](pixels)
    return pixels


def picture(content):
    """The picture as Pillow has it in RGBA, which is all that there is to ask about JPEG and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return {"": turned(np.asarray(image.convert("RGBA")), image.getexif)}


def model(content):
    return safetensors.numpy.load(content)


def model_metadata(content):
    """The header of a model file, and the configuration and the digest in it."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    entry = json.loads(header["__metadata__"]["minipixel"])
    return header, entry["config"], entry["sha256"]


def model_digest(config, tensors):
    """As docs/decisions/0005-model-files.md has it: canonical JSON, then name, dtype, shape, bytes of each tensor."""
    parts = [json.dumps(config, sort_keys=True, separators=(",", ":")).encode()]
    for name, array in sorted(tensors.items()):
        parts += [json.dumps([name, array.dtype.str, list(array.shape)]).encode(), array.tobytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def texts(values):
    """Values of any kind as arrays, so that they are compared as numbers are: 1 is not 1.0, and not True."""
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: np.array(f"{type(value).__name__} {value!r}") for name, value in plain.items()}


def settings(content):
    values = tomllib.loads(content.decode("utf-8"))
    return texts({"made_with": {}} | values)


def log(content):
    """Letter by letter: a quote opens and closes, two are one; commas and line ends count outside."""
    rows, quoted, text = [[""]], False, content.decode("utf-8").replace("\r\n", "\n")
    for i, letter in enumerate(text):
        if letter == '"':
            quoted = not quoted
            rows[-1][-1] += '"' * (quoted and text[max(i - 1, 0)] == '"' and i > 0)
        elif quoted or letter not in ",\r\n":
            rows[-1][-1] += letter
        elif letter == ",":
            rows[-1].append("")
        else:
            rows.append([""])
    header, *rows = [row for row in rows if row != [""]] or [["epoch"]]
    return {str(number): np.array(list(zip(header, row, strict=True))) for number, row in enumerate(rows)}


def figures(content):
    return texts(json.loads(content.decode("utf-8")))
